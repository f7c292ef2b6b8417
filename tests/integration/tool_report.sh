# SPDX-License-Identifier: MIT
# tide report: figures as they were written, names of known places, every format, every option.
# only: tide
# seconds: 120
. "$t_top/tests/tool/lib.sh"
$CXX -g -O1 -fno-optimize-sibling-calls -Wl,--build-id "$t_top/tests/tool/known.cc" -o known
python3 "$t_top/tests/tool/known.py" "$PWD/known" known.tide

expect 0 "$tide" report known.tide
said "pid 77"
said "over 1.5 s, a sample every 512 KiB"
said "12.6 KiB live in 252 blocks"
said "4 sites, 23 samples"
said "known.cc:$(grep -n 'line: inner' "$t_top/tests/tool/known.cc" | cut -d: -f1)"
said "(samples without a stack"
said "(generated code)"
said "8.0 KiB      200 B          3       50 B  a/b/1 ? (77)"
said "10 B   87.9 KiB         50        1 B  all other threads"
! grep -q $'\x1b' out || fail "a control character came through"
[ ! -s err ] || fail "complaints: $(cat err)"

expect 0 "$tide" report --top=1 --frames=1 --sort=allocated known.tide
said "... 2 more (--frames=0"
said "... 3 sites more (--top=0"
for figure in live allocated growth peak samples live_blocks freed_other_blocks; do
    expect 0 "$tide" report --sort "$figure" known.tide
done

expect 0 "$tide" report --json -o report.json known.tide
[ ! -s out ] || fail "-o leaves standard output alone"
expect 0 "$tide" report -f json known.tide
cmp -s out report.json || fail "-o writes something else"
python3 - "$t_top/doc/report.schema.json" "$t_top/tests/tool/known.cc" <<'PYTHON'
import json, sys
report = json.load(open("report.json"))
try:
    import jsonschema
    schema = json.load(open(sys.argv[1]))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(report)
except ImportError:
    print("# no python3-jsonschema: the schema is not checked")
source = [l.partition("// line: ")[2].strip() for l in open(sys.argv[2])]
line = {name: number for number, name in enumerate(source, 1) if name}
assert report["schema"] == 1 and report["complete"] is True
assert report["profile"]["pid"] == 77
total = report["total"]
assert total["sites"] == 4 and total["allocated_bytes"] == 48912, total
assert total["allocated_blocks"] == 1002.5 and total["live_bytes"] == 12901, total
first = report["sites"][0]
assert first["allocated_blocks"] == 1000 and first["growth_bytes"] == -100, first
assert first["lifetime"] == {"time": [0, 0, 0, 500, 0, 0, 250], "bytes": [0, 750],
                             "age": [0, 0, 250]}, first
assert first["sizes"] == [0, 0, 1000], first
inner, outer, main = first["frames"]
assert inner["function"] == "inner_allocation", inner  # it has no linkage name
assert inner["inlined"] and inner["line"] == line["inner"], inner
assert outer["function"] == "ocean::Wave<double>::crest(int)", outer
assert outer["line"] == line["outer"] and "inlined" not in outer, outer
assert outer["file"].endswith("known.cc") and outer["module"].endswith("/known"), outer
assert inner["offset"] == outer["offset"] and outer["build_id"], outer
assert main["function"] == "main", main
recursion = [s for s in report["sites"] if len(s["frames"]) == 4][0]["frames"]
assert [f["function"] for f in recursion] == ["recurse"] * 3 + ["main"], recursion
assert recursion[0]["line"] == line["recurse"], recursion
overflow = [s for s in report["sites"] if not s["frames"]]
assert len(overflow) == 1 and overflow[0]["overflow"] is True
generated = [s for s in report["sites"] if "module" not in (s["frames"] or [main])[0]]
assert generated[0]["frames"][0] == {"offset": 0x7F0012345678}, generated
assert report["modules"][0]["symbols"] == "debug"
threads = {t["tid"]: t for t in report["threads"]}
assert [t["tid"] for t in report["threads"]][:2] == [0, 77], report["threads"]
assert threads[77] == {"name": "a/b/1 \x1b", "tid": 77, "live_bytes": 8192,
                       "allocated_bytes_rate": 200, "allocations_rate": 3,
                       "freed_bytes_rate": 50}, threads
assert threads[79]["name"] == "" and threads[0]["name"] == "others", threads
assert set(threads) <= {0, 77, 79, 1}, threads
assert report["series"][0]["values"] == [3, 1, 2] and report["statistics"] == [{"a": [1]}]
PYTHON

expect 0 "$tide" report -f collapsed known.tide
said "main;ocean::Wave<double>::crest(int);inner_allocation 12000"
said "main;recurse;recurse;recurse 900"
expect 0 "$tide" report -f collapsed --sort=allocated_blocks known.tide
said "(no stack) 1"
said "inner_allocation 1000"

# The file moved: its build-id finds it. Another build in its place is not believed.
id=$(readelf -n known | sed -n 's/.*Build ID: //p')
mkdir -p debug/.build-id/"${id:0:2}"
cp known debug/.build-id/"${id:0:2}/${id:2}"
$CXX -g -O0 -DOTHER -Wl,--build-id=sha1 "$t_top/tests/tool/known.cc" -o known
expect 0 "$tide" report known.tide
complained "known has another build-id than the file that ran"
complained "--debug-dir=DIR"
said "known+0x"
! grep -q "crest" out || fail "names from another build were used"
expect 0 "$tide" report --debug-dir=debug known.tide
said "ocean::Wave<double>::crest(int)"
[ ! -s err ] || fail "complaints: $(cat err)"
rm known
expect 0 "$tide" report known.tide
said "known+0x"
# Debug information alone has the same addresses but other offsets.
objcopy --only-keep-debug debug/.build-id/"${id:0:2}/${id:2}" \
    debug/.build-id/"${id:0:2}/${id:2}.debug"
rm debug/.build-id/"${id:0:2}/${id:2}"
expect 0 "$tide" report --debug-dir=debug --json known.tide
said '"function": "ocean::Wave<double>::crest(int)", "file": "'
expect 0 "$tide" report --debug-dir=debug --no-symbols known.tide
! grep -q "crest" out || fail "names although none were wanted"

# Usage, and what is not there.
expect 0 "$tide" --help
said "tide COMMAND"
expect 0 "$tide" --version
said "tide 0."
expect 0 "$tide" help
said "tide COMMAND"
for command in run report diff merge dump; do
    expect 0 "$tide" "$command" --help
    said "Usage: tide $command"
    mv out help
    expect 0 "$tide" help "$command"
    cmp -s help out || fail "'tide help $command' is another text: $(cat out)"
    expect 2 "$tide" "$command"
    complained "; see 'tide $command --help'"
    for word in --nonsense --nonsense=1 -x -Xy; do
        expect 2 "$tide" "$command" "$word"
        [ "$(wc -l <err)" = 1 ] || fail "more than one line: $(cat err)"
        complained "tide $command: there is no option '${word:0:2}"
        complained "'; see 'tide $command --help'"
    done
done
for word in -o --output; do
    expect 2 "$tide" stats "$word"
    complained "tide stats: the option '$word' needs a value"
done
expect 2 "$tide" stats --json=1 --timeout
complained "the option '--json=1' takes no value"
expect 2 "$tide" stats --json -jo
complained "there is no option '-j'"
expect 2 "$tide" run --no true
complained "'--no' may mean several options"
expect 2 "$tide"
expect 2 "$tide" help nonsense
complained "there is no command 'nonsense'"
expect 2 "$tide" nonsense
complained "there is no command 'nonsense'"
expect 2 "$tide" report --format=xml known.tide
complained "there is no format 'xml'"
expect 2 "$tide" report --sort=size known.tide
expect 2 "$tide" report --top=-1 known.tide
expect 2 "$tide" report --top=x known.tide
expect 2 "$tide" report known.tide known.tide
expect 3 "$tide" report nonexistent.tide
complained "nonexistent.tide: cannot be read: No such file"
expect 3 "$tide" report -o /nonexistent/out known.tide
complained "cannot be written"
expect 3 "$tide" report -o /dev/full known.tide
complained "not everything could be written"
expect 3 "$tide" report .
python3 -c 'import tide_write as w, sys
sys.stdout.buffer.write(w.file_of([w.meta(program="/bin/true"), w.modules([])]))' >empty.tide
expect 1 "$tide" report empty.tide
complained "no samples"
expect 1 "$tide" report --json empty.tide
said '"sites": []'
"$tide" report - <known.tide >out 2>err || fail "standard input"
said "4 sites"
