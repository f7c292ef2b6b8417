# SPDX-License-Identifier: MIT
# tide why: the parts add up to what the kernel counts, whatever the process did before; live
# blocks, holes and who pins them, what is retained and by which rule; and why nothing can be said.
# only: tide
# seconds: 240
. "$t_top/tests/tool/lib.sh"
. "$t_top/tests/tool/target.sh"

cat >check.py <<'PY'
"""What must hold of any explanation; then what the test's own lines say of it."""
import json, sys
why = json.load(open("out"))
assert why["version"] == 1
try:
    import jsonschema
    schema = json.load(open(sys.argv[2]))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(why)
except ImportError:
    print("# no python3-jsonschema: the schema is not checked")
parts = {p["part"]: p["bytes"] for p in why["parts"]}
assert len(parts) == len(why["parts"]), "a part is there twice"
assert sum(parts.values()) == why["resident_bytes"], (parts, why["resident_bytes"])
assert all(v > 0 or k == "changed" for k, v in parts.items()), parts
slack = 256 << 10 # to be asked touches cold code, buffers and tables
assert abs(parts.get("changed", 0)) <= max(slack, why["resident_bytes"] // 50), parts
assert all(" " in p["why"] for p in why["parts"])
assert sum(c["hole_bytes"] for c in why["classes"]) == parts.get("holes", 0)
assert sum(c["live_bytes"] for c in why["classes"]) == parts.get("live_small", 0)
of = {c["block_bytes"]: c for c in why["classes"]}
page = int(sys.argv[1])
rss = int(open(f"/proc/{page}/statm").read().split()[1]) * 4096
assert abs(rss - why["resident_bytes"]) <= max(slack, rss // 20), (rss, why["resident_bytes"])
PY
# settle: waits until nothing has come or gone for two seconds.
settle() {
    local before=0 now same=0 i
    for ((i = 0; i < 120 && same < 8; i++)); do
        now=$(cut -d ' ' -f 2 "/proc/$pid/statm")
        same=$((now == before ? same + 1 : 0))
        before=$now
        sleep 0.25
    done
}
check() {
    expect 0 "$tide" why --json "$@" "$pid"
    cat check.py - >checked.py
    python3 checked.py "$pid" "$t_top/doc/why.schema.json" 2>wrong ||
        fail "$(tail -n 1 wrong): $(tr "\n" " " <out | head -c 2500)"
}

start TIDE_CONF=profile:true,profile_rate:64K
tell hold 64
until_page "$pid"
settle
check <<'PY'
assert 60 << 20 <= parts["live_small"] <= 70 << 20, parts
assert parts["metadata"] > 0 and parts["library"] > 0 and parts["files"] > 0
assert why["profile"] is True
assert of[1024]["live_bytes"] >= 60 << 20
assert of[1024]["sites"][0]["site"].startswith("hold < obey < main"), of[1024]
assert of[1024]["sites"][0]["live_bytes"] > 40 << 20
PY
tell thin # one block of 16 lives: an os page of four has none, or one that pins it
settle
check <<'PY'
assert 3 << 20 <= of[1024]["live_bytes"] <= 6 << 20, of[1024]
assert of[1024]["hole_bytes"] >= 4 << 20, of[1024]
assert why["classes"][0]["block_bytes"] == 1024, "the most holes come first"
assert of[1024]["sites"][0]["site"].startswith("hold < "), of[1024]
PY
expect 0 "$tide" why "$pid"
said "resident, of which"
said "holes: in spans that live blocks of the same size class pin"
grep -Eq "in [0-9]+ spans of 1024 byte blocks" out || fail "$(cat out)"
grep -Eq "pinned by .* live of hold < obey" out || fail "$(cat out)"
check --no-symbols <<'PY'
assert "page_target+0x" in of[1024]["sites"][0]["site"], of[1024]
PY
finish

# What the rule keeps, without a profile and with predict:off: a window that is long enough to look.
start TIDE_CONF=purge_window_ms:60000
tell hold 64
until_page "$pid"
tell free
settle
check <<'PY'
assert parts["kept_window"] >= 40 << 20, parts
assert why["profile"] is False
assert not any(c["sites"] for c in why["classes"])
PY
grep -q "retained by the recent-peak rule: .* in spans within the last" out || fail "$(cat out)"
expect 0 "$tide" why "$pid"
said "no profile, so no sites that pin them"
finish

# In a short one it goes back.
start TIDE_CONF=predict:on
tell hold 64
until_page "$pid"
tell free
settle
check <<'PY'
assert parts.get("kept_window", 0) + parts.get("going", 0) < 8 << 20, parts
assert why["resident_bytes"] < 40 << 20, why["resident_bytes"]
PY
finish

# ---- Why nothing can be said -------------------------------------------------------------------

expect 3 "$tide" why "$pid"
complained "does not exist"
expect 3 "$tide" why $$
complained "is not on tidemalloc"
start TIDE_CONF=page:off
tell hold 20
expect 3 "$tide" why "$pid"
complained "has no statistics page"
finish
expect 2 "$tide" why
complained "one PID is needed"
expect 2 "$tide" why ./file.tide
complained "is no process id"
