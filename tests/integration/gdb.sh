# SPDX-License-Identifier: MIT
# gdb's commands on a program with a block in each state, running and as a
# core file: with a profile and without one, without debug information, without tidemalloc, and on a
# static program.
# only: tide
# seconds: 180
command -v gdb >/dev/null || skip "no gdb"
gdb -nx -batch -ex 'python print(1)' 2>/dev/null | grep -qx 1 || skip "a gdb without Python"
script=$t_top/gdb/tidemalloc-gdb.py
program=$(t_build "$here/programs/gdb_blocks.c")

cat >ask.gdb <<'END'
set debuginfod enabled off
set print thread-events off
python
for what in ("small_live", "small_free", "inside", "never", "tail", "in_bin", "passed", "large",
             "large_inside", "large_kept", "large_gone", "span_kept", "sampled", "sampled_large",
             "sampled_deep", "on_data", "(void *)0", "$sp"):
    try:
        text = gdb.execute("tide block " + what, to_string=True)
    except gdb.error as error:
        text = "error: " + str(error) + "\n"
    print("== " + what + "\n" + text, end="")
print("== heaps\n" + gdb.execute("tide heaps", to_string=True), end="")
try:
    print("== sites\n" + gdb.execute("tide sites 2", to_string=True), end="")
except gdb.error as error:
    print("== sites\nerror: " + str(error))
end
END
# at_stop CONF PROGRAM OUTPUT [GDB-ARGUMENTS]: runs it to stop_here and asks.
at_stop() {
    local conf=$1 ask=$2 out=$3
    shift 3
    timeout 60 gdb -nx -batch -ex "set debuginfod enabled off" -ex "source $script" \
        -ex "set environment TIDE_CONF = $conf" "$@" -ex 'break stop_here' -ex run -x ask.gdb \
        -ex "generate-core-file core.$out" -ex 'kill' "$ask" >"$out" 2>err </dev/null ||
        fail "gdb: $(cat err "$out")"
}
library=(-ex "set environment LD_PRELOAD = $TIDE_LIB" -ex 'set startup-with-shell off')

# What must be said of each, without a profile and with one.
cat >check.py <<'END'
import re, sys
text = open(sys.argv[1]).read()
said = {}
for part in text.split("\n== ")[1:]:
    what, _, answer = part.partition("\n")
    said[what] = answer
heap = r"heap 0x\w+, " + (r'thread 1 "\w+" \(LWP \d+\)' if sys.argv[2] == "names" else "live")
own = r"owner +" + heap

def expect(what, *patterns):
    for pattern in patterns:
        assert re.search(pattern, said[what]), f"{what}: no {pattern!r} in\n{said[what]}"

free = r"state +free, (on its span's list|in the bin of " + heap + ")"
plain = sys.argv[3] == "plain"
expect("large_inside", r", 123456 bytes inside the block 0x\w+\n", r"state +live")
expect("large_kept", "large block of 102400 bytes\n",
       "state +free, kept for its next one by " + heap)
expect("large_gone", "free memory")
expect("on_data", "not of tidemalloc")
expect("(void *)0", "0x0: not of tidemalloc")
expect("$sp", "not of tidemalloc")
if plain:
    expect("small_live", r": block of 2560 bytes\n", r"state +live",
           "size class 2560, block 0 of 12", own)
    expect("small_free", r": block of 704 bytes\n", free, own)
    expect("inside", r": block of 2560 bytes, 15 bytes inside the block 0x\w+\n", r"state +live")
    expect("never", r"state +never handed out yet", "block 11 of 12")
    expect("tail", "no block")
    expect("in_bin", r"state +free, in the bin of " + heap, r"block 0 of 12", own + ", lent")
    expect("passed", r"state +free, (freed by another thread|in the ring of " + heap + ")",
           r"owner +heap 0x\w+, orphan")
    expect("large", ": large block of 1003520 bytes\n", r"state +live")
    expect("span_kept", "free memory", "kept +for its next span by " + heap)
    expect("sites", "there is no profile in this process")
    assert "sample" not in text.replace("== sampled", ""), text
else:
    expect("large", "sample +1000000 bytes", r"\n +#0 +main at .*gdb_blocks.c:\d+\n")
    for what, size in ("sampled", 30000), ("sampled_large", 5000000):
        expect(what, r"state +live", rf"sample +{size} bytes asked for .* stands for 1\.0 blocks",
               r"\n +#0 +site_of_sampled at .*gdb_blocks.c:\d+\n +#1 +main at .*gdb_blocks.c:\d+\n")
    expect("sampled_deep", r"sample +400000 bytes",
           r"\n +#0 +descend at " + r".*\n +#\d+ +descend at " * 29 + r".*\n +#30 +main at ")
    expect("sites", r"^\d+ sites", r"\n +5000000 +1 +5000000\n +#0 +site_of_sampled at ",
           r"\n +1000000 +1 +1000000\n +#0 +main at ")
expect("heaps", r"\n0x\w+ +\d+ +\d+ +\d+ +\d+  " + heap.split(", ")[1], r"  orphan")
assert "error" not in text.replace("error: tide: there is no profile", ""), text
END
for how in plain profiled; do
    conf=
    [ $how = plain ] || conf=profile:true,profile_rate:1K
    at_stop "$conf" "$program" $how "${library[@]}"
    python3 check.py $how names $how || fail "$how"
    # A core file is no terabyte, and says the same.
    [ "$(stat -c %s core.$how)" -lt 200000000 ] || fail "core of $(stat -c %s core.$how) bytes"
    timeout 60 gdb -nx -batch -ex "source $script" -x ask.gdb "$program" core.$how >out 2>err ||
        fail "gdb on a core file: $(cat err)"
    python3 check.py out names $how || fail "$how, core file"
    rm -f core.$how
done
if [ -f "$t_static_lib" ]; then
    $CC -std=gnu11 -O1 -g -pthread -static -I"$t_top/tests" -Wno-use-after-free \
        "$here/programs/gdb_blocks.c" "$t_static_lib" -o gdb_static 2>err ||
        fail "static program: $(cat err)"
    at_stop "" ./gdb_static static
    python3 check.py static "$(grep -q 'thread 1 "' static && echo names)" plain || fail "static"
fi

# What it cannot do it says, in one line.
says() {
    local expected=$1
    shift
    timeout 60 gdb -nx -batch -ex "set debuginfod enabled off" -ex "source $script" "$@" \
        -ex 'tide block 0' >out 2>&1 </dev/null || true
    grep -q "tide: .*$expected" out || fail "no '$expected' in: $(cat out)"
    grep -q Traceback out && fail "$(cat out)"
    return 0
}
says "not on tidemalloc, or has not been started" "$program"
says "not on tidemalloc, or has not been started" -ex 'break stop_here' -ex run "$program"
strip --strip-debug "$TIDE_LIB" -o libtidemalloc.so
says "no debug information of .*libtidemalloc" \
    -ex "set environment LD_PRELOAD = $PWD/libtidemalloc.so" -ex "break stop_here" -ex run \
    "$program"
exit 0
