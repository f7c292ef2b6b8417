# SPDX-License-Identifier: MIT
# tide trace: what is recorded of programs whose calls are known, and of real ones, on both mallocs;
# however they end; and that a replay does the same calls.
# only: tide
# seconds: 300
. "$t_top/tests/tool/lib.sh"
[ -e "$TIDE_BUILD/.libs/libtidetrace.so" ] || skip "libtidetrace.so is not built"
unset LD_PRELOAD # what is preloaded besides may allocate
ulimit -s 8192  # or a thread's stack goes with its thread, and a block of the linker's with it
tools=$t_top/tests/tool
$CC -g -O1 -fno-builtin -pthread -I"$t_top/tests" "$tools/trace_known.c" -o known
$CXX -g -O0 -std=c++17 "$tools/trace_new.cc" -o new
$CXX -g -O0 -std=c++17 -DPLUGIN -fPIC -shared "$tools/trace_new.cc" -o plugin.so
$CC -g -O1 "$tools/trace_plugin.c" -o plugin -ldl
make -f "$t_top/bench/Makefile.local" OUT="$PWD/bench" CC="$CC" "$PWD/bench/replay" \
    >make.log 2>&1 ||
    fail "replay is not built: $(cat make.log)"

# value NAME FILE: a number of a trace.
value() {
    "$tide" trace --info --json "$2" >json || fail "$2 is not good"
    sed -n "s/^ \"$1\": \([0-9a-z]*\),$/\1/p" json
}
# has NAME WANTED FILE
has() {
    local got
    got=$(value "$1" "$3")
    [ "$got" = "$2" ] || fail "$3: $1 is $got, not $2"
}
# whole FILE: nothing was lost, and the file is good.
whole() {
    has damaged false "$1"
    has lost_frees 0 "$1"
    has lost_calls 0 "$1"
    has unknown_frees "${2:-0}" "$1"
}
# replayed FILE REALLOCS FREES: the calls that replaying makes, on both mallocs.
replayed() {
    local preload
    expect 0 "$tide" trace --prepare -o replay.in "$1"
    for preload in "" "$TIDE_LIB"; do
        expect 0 env LD_PRELOAD="$preload" bench/replay replay.in check=1 touch=all sample=0
        said "malloc=$(value malloc "$1")"
        said "calloc=$(value calloc "$1")"
        said "aligned=$(value aligned "$1")"
        said "realloc=$2"
        said "free=$3"
        said "threads=$(value threads "$1")"
        said "checksum=$(value allocated_bytes "$1")"
    done
}

# ---- Programs whose calls are known ----
for malloc in system tide "$TIDE_LIB"; do
    expect 3 "$tide" trace --malloc="$malloc" -o known.trace -- ./known
    whole known.trace
    has malloc 1410 known.trace
    has aligned 13 known.trace
    has realloc 305 known.trace
    has free 1919 known.trace
    has operators 0 known.trace
    has threads 3 known.trace
    # pthread_create has one of its own for each thread; some of these blocks are there for good.
    [ "$(value calloc known.trace)" -le 502 ] || fail "$(cat json)"
    [ "$(value end_live_blocks known.trace)" -le 2 ] || fail "$(cat json)"
    # 700 x 100, 300 x 300, 500 x 200, 400 x 64 and 10 x 50 bytes are live at once, and a bit more.
    peak=$(value peak_live_bytes known.trace)
    [ "$peak" -ge 286100 ] && [ "$peak" -le 295000 ] || fail "peak: $peak"
    replayed known.trace 300 1923

    # However it ends, everything is there.
    expect 137 sh -c "\"$tide\" trace --malloc=$malloc -o end.trace ./known kill; exit \$?"
    has malloc 1410 end.trace
    has free 0 end.trace
    expect 5 "$tide" trace --malloc="$malloc" -o end.trace ./known exit
    has malloc 1410 end.trace
    whole end.trace

    # C++: each operator counts once, whatever it is made of, and its caller is the program.
    expect 6 "$tide" trace --malloc="$malloc" -o new.trace ./new
    whole new.trace
    has operators 80 new.trace
    expect 0 "$tide" trace --info new.trace
    said "plugin new+"
    expect 8 "$tide" trace --malloc="$malloc" -o new.trace ./plugin "$PWD/plugin.so"
    has operators 80 new.trace
    whole new.trace

    # A child of fork is not recorded, or has a file of its own.
    expect 3 "$tide" trace --malloc="$malloc" -o fork.trace ./known fork
    whole fork.trace
    has malloc 1410 fork.trace
    expect 3 "$tide" trace --malloc="$malloc" -o fork.%p.trace ./known fork
    files=(fork.*.trace)
    [ ${#files[@]} = 2 ] || fail "files: $(echo fork.*)"
    for file in "${files[@]}"; do
        case $(value malloc "$file") in
        1410) whole "$file" ;;
        7) whole "$file" 5 ;;
        *) fail "$file: $(cat json)" ;;
        esac
    done
    rm -f fork.*.trace
    # What it becomes by exec has another one.
    expect 6 "$tide" trace --malloc="$malloc" -o exec.trace ./known exec "$PWD/new"
    has operators 0 exec.trace
    has operators 80 exec.trace.1
    rm -f exec.trace.1

    # No larger than it may be; the program goes on.
    expect 3 "$tide" trace --malloc="$malloc" -o many.trace --max-size=64K ./known many
    complained "many.trace: the trace is as large as it may be (--max-size)"
    [ "$(stat -c %s many.trace)" -le 65536 ] || fail "larger"
    has stopped true many.trace
    has damaged false many.trace
    expect 0 "$tide" trace --info many.trace
    said "the trace ends before the program"
done
# A signal handler that comes while a record is written is counted, and spoils nothing.
$CC -g -O1 -fno-builtin "$tools/trace_signals.c" -o signals
$CC -g -O1 -fno-builtin -DLIBRARY -fPIC -shared "$tools/trace_signals.c" -o signals.so
expect 0 "$tide" trace --malloc="$PWD/signals.so" -o signals.trace ./signals
read -r calls _ <err
has damaged false signals.trace
[ "$calls" = $(($(value malloc signals.trace) + $(value lost_calls signals.trace))) ] ||
    fail "$calls calls: $(head -c 600 json)"

# A program that asks for nothing has a trace of nothing.
printf 'int main(void) { return 4; }\n' >nothing.c
$CC nothing.c -o nothing
expect 4 "$tide" trace -o nothing.trace ./nothing
has calls 0 nothing.trace
expect 1 "$tide" trace --prepare -o nothing.in nothing.trace
# The limit of the process, which would be a signal, ends a trace as well.
expect 3 sh -c "ulimit -f 64; exec \"$tide\" trace -o limit.trace ./known many"
has stopped true limit.trace

# ---- Real programs ----
program='import json, threading
d = json.loads(json.dumps([{"a": i, "b": str(i) * 3} for i in range(3000)]))
t = [threading.Thread(target=lambda: [str(i) for i in range(3000)]) for _ in range(3)]
[x.start() for x in t]; [x.join() for x in t]; print(len(d))'
python=$(python3 -c 'import sys; print(sys.executable)') # python3 may be a script
for malloc in system tide; do
    expect 0 env PYTHONMALLOC=malloc "$tide" trace --malloc=$malloc -o py.trace -- \
        "$python" -c "$program"
    said 3000
    whole py.trace
    [ "$(value malloc py.trace)" -gt 20000 ] || fail "$(cat json)"
    [ "$(($(value file_bytes py.trace) / $(value calls py.trace)))" -le 8 ] || fail "$(cat json)"
    replayed py.trace "$(value realloc py.trace)" "$(value free py.trace)"
    expect 7 "$tide" trace --malloc=$malloc -o sh.%p.trace -- \
        bash -c 'for i in {1..9}; do x=$(echo $i | cat); done; [ "$x" = 9 ] && exit 7'
    files=(sh.*.trace)
    [ ${#files[@]} -gt 9 ] || fail "files: $(echo sh.*)"
    for file in "${files[@]}"; do
        has damaged false "$file"
    done
    rm -f sh.*.trace
done

# ---- What is said of a trace ----
expect 0 "$tide" trace --info -n 2 py.trace
said "calls in 4 threads"
[ "$(sed '1,/caller$/d' out | wc -l)" = 2 ] || fail "$(cat out)"
expect 0 "$tide" trace --series=1 py.trace
python3 - "$(value peak_live_bytes py.trace)" "$(value allocated_bytes py.trace)" \
    "$(value calls py.trace)" <<'END' || fail "series"
import csv, sys
rows = [{k: int(v) for k, v in r.items()} for r in csv.DictReader(open("out"))]
assert max(r["high_bytes"] for r in rows) == int(sys.argv[1])
assert sum(r["allocated_bytes"] for r in rows) == int(sys.argv[2])
assert sum(r["calls"] for r in rows) == int(sys.argv[3])
assert [r["time_ms"] for r in rows] == list(range(len(rows)))
assert all(r["high_bytes"] >= r["live_bytes"] for r in rows)
END
expect 0 "$tide" trace --series=1 --json py.trace
python3 -c 'import json; assert sum(r["calls"] for r in json.load(open("out"))["rows"]) > 0'

# ---- Lanes ----
# What stays is told from what goes by the height of the stack alone, and ends on pages of its own.
$CC -g -O1 -fno-builtin "$tools/trace_lanes.c" -o lanes
expect 0 "$tide" trace -o lanes.trace ./lanes
whole lanes.trace
expect 0 "$tide" trace --lanes --json lanes.trace
python3 - "$(value malloc lanes.trace)" <<'END' || fail "lanes: $(cat out)"
import json, sys
d = json.load(open("out"))
w = {x.pop("lanes"): x for x in d["worlds"]}
assert d["small_blocks"] == int(sys.argv[1])
assert d["pause_ns"] > 1.3e9
none, key = w["none"]["pinned_pause_bytes"], w["key"]["pinned_pause_bytes"]
assert d["live_pause_bytes"] <= key <= none / 2, (key, none)
assert w["caller"]["pinned_pause_bytes"] > none * 0.9
assert (w["caller"]["keys"], w["key"]["keys"]) == (1, 2)
assert w["none"]["short_bytes"] == 0
assert w["known"]["short_wrong_bytes"] == w["known"]["short_missed_bytes"] == 0
assert all(x["resident_peak_bytes"] >= x["pinned_peak_bytes"] for x in w.values())
END
expect 0 "$tide" trace --lanes=1000 py.trace
said "1000 times the live bytes"
[ "$(sed '1,/^  lanes /d' out | wc -l)" = 5 ] || fail "$(cat out)"
expect 0 "$tide" trace --lanes nothing.trace
said "0 small blocks"

# Recursion has more heights than the table takes: the rest counts without, the caller is one.
cat >deep.c <<'END'
#include <stdlib.h>
static void *blocks[40000];
static __attribute__((noinline)) void
go(int depth)
{
    if (depth > 0) {
        blocks[depth - 1] = malloc(40);
        go(depth - 1);
        free(blocks[depth - 1]);
    }
}
int
main(void)
{
    go(40000);
    go(40000);
    return 0;
}
END
$CC -g -O1 -fno-builtin deep.c -o deep
expect 0 "$tide" trace -o deep.trace ./deep
whole deep.trace
has malloc 80000 deep.trace
expect 0 "$tide" trace --info --json -n 1 deep.trace
said '"allocated_blocks": 80000'
expect 0 "$tide" trace --lanes --json deep.trace
said '"keys": 16385'

# ---- Wrong usage, wrong files ----
expect 0 "$tide" trace --help
expect 2 "$tide" trace
expect 2 "$tide" trace --info
expect 2 "$tide" trace --prepare py.trace
expect 2 "$tide" trace --max-size=1K true
expect 2 "$tide" trace --series=0 py.trace
expect 2 "$tide" trace --lanes=0 py.trace
expect 3 "$tide" trace --malloc=/nonexistent.so true
complained "/nonexistent.so: the library cannot be read"
expect 3 "$tide" trace -o "$PWD" true
complained "it is no file"
expect 127 "$tide" trace -- /nonexistent/program
expect 3 "$tide" trace --info /nonexistent.trace
complained "cannot be read: No such file"
expect 3 "$tide" trace --info known
complained "it is no trace"
head -c 1000 py.trace >short.trace
expect 3 "$tide" trace --info short.trace
complained "cut off within its head"
head -c 50000 py.trace >short.trace
expect 3 "$tide" trace --info short.trace
complained "the file is cut off"
{ head -c 8 py.trace && printf '\377' && tail -c +10 py.trace; } >version.trace
expect 3 "$tide" trace --info version.trace
complained "of version 255"
{ head -c 30000 py.trace && printf '\377\377' && tail -c +30003 py.trace; } >flipped.trace
expect 3 "$tide" trace --info flipped.trace
complained "damaged at byte"
expect 3 "$tide" trace --lanes flipped.trace
complained "damaged at byte"
expect 3 "$tide" trace --prepare -o replay.in flipped.trace
expect 0 bench/replay replay.in check=1
head -c 100 replay.in >short.in
expect 2 bench/replay short.in
