# SPDX-License-Identifier: MIT
# tide report --format=pprof: Go's pprof opens it and finds what the JSON report has.
# only: tide
# seconds: 180
. "$t_top/tests/tool/lib.sh"
command -v go >/dev/null || skip "no go (Debian: golang-go), whose pprof would read it"
export HOME=$PWD PPROF_TMPDIR=$PWD GOFLAGS=-mod=mod GOCACHE=$PWD/cache
$CXX -g -O1 -fno-optimize-sibling-calls -Wl,--build-id "$t_top/tests/tool/known.cc" -o known
python3 "$t_top/tests/tool/known.py" "$PWD/known" known.tide
expect 0 "$tide" report -f pprof -o known.pb.gz known.tide
[ "$(head -c 2 known.pb.gz | od -An -tx1)" = " 1f 8b" ] || fail "it is not compressed"

expect 0 go tool pprof -top -nodecount=100 known.pb.gz
said "File: known"
said "Build ID: $(readelf -n known | sed -n 's/.*Build ID: //p')"
said "Type: inuse_space"
grep -qE '^ *(12000B|11.72kB) .*inner_allocation \(inline\)$' out || fail "$(cat out)"
for type in alloc_objects/1003 alloc_space/48912 inuse_objects/252 inuse_space/12901; do
    expect 0 go tool pprof -raw known.pb.gz
    said "${type%/*}"
    expect 0 go tool pprof -top -unit=minimum -sample_index="${type%/*}" known.pb.gz
    said "of ${type#*/}"
done
expect 0 go tool pprof -raw known.pb.gz
said "PeriodType: space bytes"
said "Period: 524288"
said "1: 0x5555"
said "[FN][FL][LN][IN]"
expect 0 go tool pprof -top -sample_index=alloc_objects -tagroot=lifetime -nodecount=100 known.pb.gz
grep -qE ' 500 .* 1: freed within 1 ms$' out || fail "$(cat out)"
grep -qE ' 250 .* 2: freed within 1 s$' out || fail "$(cat out)"
grep -qE ' 25[0-9] .* 5: live$' out || fail "$(cat out)"
expect 0 go tool pprof -traces known.pb.gz
said "recurse"
said "(no stack)"

# A larger one, without names: pprof has to do with mappings.
generate large.tide --sites 2000
expect 0 "$tide" report -f pprof --no-symbols -o large.pb.gz large.tide
expect 0 "$tide" report -f pprof -o named.pb.gz large.tide
expect 0 "$tide" report --json --top=1 large.tide
live=$(python3 -c 'import json; print(json.load(open("out"))["total"]["live_bytes"])')
expect 0 go tool pprof -top -unit=B named.pb.gz
said "of ${live}B total"
expect 0 go tool pprof -symbolize=none -top -unit=B large.pb.gz
said "of ${live}B total"
