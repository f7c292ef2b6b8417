# SPDX-License-Identifier: MIT
# tide dump PID: what it writes is what the process itself would have written; the process is
# neither stopped nor traced; what cannot be read is explained.
# only: tide
# seconds: 120
. "$t_top/tests/tool/lib.sh"
. "$t_top/tests/tool/target.sh"

start TIDE_CONF=profile:true,profile_rate:64K
tell hold 40
until_page "$pid"
expect 0 "$tide" dump -o outside.tide "$pid"
tell dump inside.tide
[ "$reply" = 0 ] || fail "tide_profile_dump: $reply"
for side in outside inside; do
    "$tide" report --json --no-symbols -o $side.json $side.tide || fail "$side.tide: $?"
done
python3 - <<'PY'
import json
sides = []
for name in ("outside", "inside"):
    report = json.load(open(name + ".json"))
    sites = {}
    for site in report["sites"]:
        key = tuple((f.get("module"), f["offset"]) for f in site["frames"])
        sites[key] = tuple(site[n] for n in ("allocated_bytes", "live_bytes", "peak_live_bytes",
                                             "allocated_blocks", "samples"))
    sides.append((report, sites))
(outside, o), (inside, i) = sides
assert max(o.values())[1] > 20 << 20, o
# Between the two the process read a line and wrote one.
same = [key for key in i if o.get(key) == i[key]]
assert len(same) >= len(i) - 2, (len(same), len(i))
assert abs(outside["total"]["live_bytes"] - inside["total"]["live_bytes"]) <= 1 << 17
assert outside["modules"] == inside["modules"] and len(inside["modules"]) > 2
PY

# The second one is newer; the usual name; standard output; a command in between.
tell hold 20
expect 0 "$tide" dump "$pid"
[ -s "tide.$pid.tide" ] || fail "no tide.PID.tide: $(ls)"
live() { "$tide" report --json --no-symbols "$1" | python3 -c \
    'import json, sys; print(json.load(sys.stdin)["total"]["live_bytes"] >> 20)'; }
[ "$(live "tide.$pid.tide")" -ge 50 ] || fail "an older profile: $(live "tide.$pid.tide") MiB"
"$tide" dump -o - "$pid" >stdout.tide || fail "to standard output"
cmp -s <(head -c 8 stdout.tide) <(head -c 8 outside.tide) || fail "stdout.tide"
# The answers are gone after a while.
for _ in $(seq 100); do
    found=$(find "/proc/$pid/fd" -lname '/memfd:tidemalloc-*')
    [ -n "$found" ] || break
    sleep 0.1
done
[ -z "$found" ] || fail "answers are kept for ever: $found"

# A child has a profile of its own.
tell grow
until_page "$reply"
child=$reply
for _ in $(seq 100); do # it has its page before it has all its memory
    expect 0 "$tide" dump -o child.tide "$child"
    [ "$(live child.tide)" -lt 80 ] || break
done
[ "$(live child.tide)" -ge 80 ] || fail "the child's profile has $(live child.tide) MiB"
expect 0 "$tide" dump -o parent.tide "$pid"
[ "$(live parent.tide)" -lt 80 ] || fail "the child wrote into its parent's profile"

# Stopped: no answer, and no long wait.
kill -STOP "$pid"
expect 3 "$tide" dump --timeout=1 -o stopped.tide "$pid"
complained "it is stopped"
[ ! -e stopped.tide ] || fail "a file without a profile"
kill -CONT "$pid"
expect 0 "$tide" dump -o again.tide "$pid"
finish
expect 3 "$tide" dump "$pid"
complained "process $pid does not exist"

start
tell hold 40
until_page "$pid"
expect 3 "$tide" dump "$pid"
complained "keeps no profile: start the program by \`tide run\`"
expect 0 "$tide" stats "$pid"
said "allocated_bytes"
said "size classes"
said "in blocks the program holds"
"$tide" stats --json "$pid" | python3 -c '
import json, sys
stats = json.load(sys.stdin)
assert stats["statistics"][0]["allocated_bytes"] > 40 << 20
assert stats["statistics"][0]["classes"]' || fail "stats --json"
finish

start TIDE_CONF=background:false,profile:true
tell hold 64
expect 3 "$tide" dump "$pid"
complained "no background thread"
finish

sleep 30 &
targets+=($!)
expect 3 "$tide" dump $!
complained "process $! is not on tidemalloc"
expect 3 "$tide" stats $!
expect 3 "$tide" top --once $!
expect 2 "$tide" dump 0
expect 2 "$tide" dump
expect 2 "$tide" dump --timeout=x 1
expect 3 "$tide" dump 999999999
complained "does not exist"
expect 0 "$tide" stats outside.tide
said "allocated_bytes"
expect 3 "$tide" stats /nonexistent

# Somebody else's.
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    start TIDE_CONF=profile:true
    tell hold 64
    until_page "$pid"
    dir=$(mktemp -d /var/tmp/tide-dump.XXXXXX)
    trap 'rm -rf "$dir"; end_targets' EXIT
    chmod 0755 "$dir"
    cp "$tide" "$dir/tide"
    for command in dump stats "top --once"; do
        # shellcheck disable=SC2086
        expect 3 setpriv --reuid=65534 --regid=65534 --clear-groups "$dir/tide" $command "$pid"
        complained "process $pid may not be looked at (its owner is root)"
    done
    finish
fi
