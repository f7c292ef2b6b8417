# SPDX-License-Identifier: MIT
# tide merge, dump and diff: sums, in any order; what changed, in one build and between two.
# only: tide
. "$t_top/tests/tool/lib.sh"
for seed in 1 2 3; do
    generate "$seed.tide" --seed "$seed" --sites 300 --depth 3 /usr/bin/env
done
expect 0 "$tide" merge -o all.tide 1.tide 2.tide 3.tide
expect 0 "$tide" merge -o reverse.tide 3.tide 2.tide 1.tide
cmp all.tide reverse.tide || fail "the order of files is seen"
expect 0 "$tide" merge -o two.tide 2.tide 3.tide
expect 0 "$tide" merge -o - two.tide 1.tide
cmp all.tide out || fail "the bracketing is seen"
cp 1.tide itself.tide
expect 0 "$tide" merge -o itself.tide itself.tide 2.tide
expect 0 "$tide" dump -o dumped.tide all.tide
cmp all.tide dumped.tide || fail "a dump of a merged profile is not it"
for file in 1 2 3 all; do
    expect 0 "$tide" report --no-symbols --json -o $file.json $file.tide
done
python3 - <<'PYTHON'
import json
one, two, three, whole = (json.load(open(f"{n}.json")) for n in ("1", "2", "3", "all"))
for key in ("allocated_bytes", "live_bytes", "live_blocks", "growth_bytes", "samples"):
    wanted = sum(r["total"][key] for r in (one, two, three))
    assert abs(whole["total"][key] - wanted) < 0.01, key
    assert abs(sum(s[key] for s in whole["sites"]) - wanted) < 0.01, key
assert whole["profile"]["profiles"] == 3 and whole["profile"]["pid"] == 0
assert len(whole["series"]) == 3
PYTHON
expect 2 "$tide" merge -o out.tide
expect 2 "$tide" merge 1.tide 2.tide
expect 3 "$tide" merge -o out.tide 1.tide nonexistent.tide
[ ! -e out.tide ] || fail "a merge without one of its files was written"
expect 3 "$tide" dump -o out.tide 999999999
complained "does not exist"

# Differences: of a file with itself, and of two.
expect 0 "$tide" diff --no-symbols --json 1.tide 1.tide
python3 - <<'PYTHON'
import json
diff = json.load(open("out"))
assert diff["kind"] == "diff"
assert all(s["before"][k] == s[k] for s in diff["sites"] for k in ("live_bytes", "samples"))
PYTHON
expect 0 "$tide" diff --no-symbols --json 1.tide all.tide
cp out diff.json
python3 - "$t_top/doc/report.schema.json" <<'PYTHON'
import json, sys
diff, one, whole = (json.load(open(f)) for f in ("diff.json", "1.json", "all.json"))
assert diff["profile"]["profiles"] == 3 and diff["profile_before"]["pid"] == 4001
assert len(diff["series"]) == 3
assert diff["total"]["live_bytes"] == whole["total"]["live_bytes"]
assert diff["total"]["before"]["live_bytes"] == one["total"]["live_bytes"]
changes = [abs(s["live_bytes"] - s["before"]["live_bytes"]) for s in diff["sites"]]
assert changes == sorted(changes, reverse=True) and changes[0] > 0
try:
    import jsonschema
    jsonschema.Draft202012Validator(json.load(open(sys.argv[1]))).validate(diff)
except ImportError:
    pass
PYTHON
expect 0 "$tide" diff --no-symbols 1.tide all.tide
said "change"
said "from: "
expect 0 "$tide" diff --no-symbols -f collapsed 1.tide all.tide
[ "$(awk '{print NF}' out | sort -u)" = 3 ] || fail "collapsed: a stack and two weights"
expect 2 "$tide" diff -f pprof 1.tide 2.tide
expect 2 "$tide" diff 1.tide
expect 2 "$tide" diff --match=luck 1.tide 2.tide

# Two builds of one program: offsets mean nothing, functions do.
for build in 1 2; do
    $CXX -g -O1 -fno-optimize-sibling-calls -Wl,--build-id -falign-functions=$((build * 128)) \
        "$t_top/tests/tool/known.cc" -o known
    mkdir -p build$build && mv known build$build/
    python3 "$t_top/tests/tool/known.py" "$PWD/build$build/known" known$build.tide
done
expect 0 "$tide" diff --json known1.tide known2.tide
python3 - <<'PYTHON'
import json
diff = json.load(open("out"))
assert len(diff["sites"]) == 4, len(diff["sites"])
assert all(s["before"]["allocated_bytes"] == s["allocated_bytes"] for s in diff["sites"])
PYTHON
expect 0 "$tide" diff --match=offset --json known1.tide known2.tide
[ "$(grep -c '"frames"' out)" -gt 4 ] || fail "--match=offset compares offsets"
