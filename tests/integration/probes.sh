# SPDX-License-Identifier: MIT
# USDT probes: the notes of the library, of a stripped copy and of a static
# program; what gdb reads of the arguments at them; that the kernel's uprobes fire; and that both
# ways of making them, by <sys/sdt.h> and by base/probe.h's own, say the same.
# only: tide
# seconds: 120
command -v readelf >/dev/null || skip "no readelf"
command -v gdb >/dev/null || skip "no gdb"
machine=$(uname -m)

# probes_of FILE: "NAME ARGUMENTS" of each, sorted.
probes_of() {
    readelf -n "$1" | awk '
        /Provider: / { ours = $2 == "tidemalloc" }
        /Name: / { name = $2 }
        /Arguments: / && ours { sub(/.*Arguments: /, ""); print name, $0 }' | sort
}
register='8@(%r[a-z0-9]+|x[0-9]+)'
has_both() {
    probes_of "$1" >notes
    [ "$(wc -l <notes)" = 2 ] && grep -qE "^alloc $register $register $register$" notes &&
        grep -qE "^free $register$" notes || fail "probes of $2: $(cat notes)"
}
has_both "$TIDE_LIB" "the library"
strip "$TIDE_LIB" -o stripped.so && has_both stripped.so "the stripped library"
if [ -f "$t_static_lib" ]; then
    $CC -static "$here/programs/probe_macros.c" -O1 -I"$t_top/src" "$t_static_lib" \
        -Wl,-u,malloc -o static 2>err || fail "static program: $(cat err)"
    probes_of static >notes
    [ "$(grep -c '^alloc ' notes)" = 2 ] || fail "probes of a static program: $(cat notes)"
fi

# gdb_at PROGRAM...: runs it under gdb and prints what each probe is called with.
cat >at.gdb <<'END'
set pagination off
set breakpoint pending on
set debuginfod enabled off
set environment TIDE_CONF = profile:true,profile_rate:16K
break -probe-stap tidemalloc:alloc
commands
    silent
    printf "alloc %lx %lu %lu\n", $_probe_arg0, $_probe_arg1, $_probe_arg2
    continue
end
break -probe-stap tidemalloc:free
commands
    silent
    printf "free %lx\n", $_probe_arg0
    continue
end
END
gdb_at() {
    timeout 60 gdb -nx -batch -x at.gdb "${library[@]}" -ex run "$@" >out 2>err </dev/null ||
        fail "gdb: $(cat err)"
    grep -q 'exited normally' out || fail "under gdb: $(cat out err)"
}

# The macros, made both ways: the arguments that the program gives.
ways=(-UHAVE_SYS_SDT_H)
if echo '#include <sys/sdt.h>' | $CC -E - >/dev/null 2>&1; then ways+=(-DHAVE_SYS_SDT_H=1); fi
library=()
for way in "${ways[@]}"; do
    for level in -O0 -O2; do
        $CC -std=gnu11 $level "$way" -I"$t_top/src" "$here/programs/probe_macros.c" -o macros ||
            fail "$way $level"
        [ "$(probes_of macros | sed 's/ .*//' | paste -sd ' ')" = "alloc free" ] ||
            fail "$way $level: $(probes_of macros)"
        gdb_at ./macros
        grep -qx 'alloc 123456789b 22 18446744073709551615' out && grep -qx 'free 17' out ||
            fail "$way $level: $(cat out)"
    done
done
# For the other machine, as far as its assembler goes.
for target in x86_64 aarch64; do
    if [ $target != "$machine" ] && command -v clang-14 >/dev/null &&
        [ -d /usr/$target-linux-gnu/include ]; then
        clang-14 --target=$target-linux-gnu -isystem /usr/$target-linux-gnu/include -O1 -c \
            -I"$t_top/src" "$here/programs/probe_macros.c" -o other.o || fail "for $target"
        has_both other.o "an object for $target"
    fi
done

# The library under a program: what it printed is, in that order, among what gdb did; every free is
# of what was allocated; and the weights of the small blocks come to what it allocated of them.
program=$(t_build "$here/programs/probes.c")
library=(-ex "set environment LD_PRELOAD = $TIDE_LIB" -ex "set args $PWD/expected")
gdb_at "$program"
cat >check.py <<'END'
import math
said = [l for l in open("out").read().split("\n") if l.startswith(("alloc ", "free "))]
rest = iter(said)
for line in open("expected").read().split("\n")[:-1]:
    assert line in rest, line
live, samples = {}, 0
small = 0
for line in said:
    what, p, *numbers = line.split()
    if what == "free":
        del live[p]
        continue
    size, weight = map(int, numbers)
    assert p not in live and weight >= size, line
    live[p] = size
    if size == 1000:
        small += weight
        samples += 1
blocks, chance = 20000, 1 - math.exp(-1024 / 16384)  # of its size class
assert abs(small / 1000 - blocks) < 5 * math.sqrt(blocks * (1 / chance - 1)), (small, samples)
END
python3 check.py || fail "what gdb saw: $(head -n 20 out)"

# And by the kernel, if there are uprobes and we may.
status=0
preload=$(t_preload)
for probe in alloc free; do
    python3 "$here/programs/probe_count.py" "$TIDE_LIB" $probe env "$preload" \
        TIDE_CONF=profile:true,profile_rate:16K "$program" expected >out 2>err || status=$?
    [ $status = 77 ] && break
    [ $status = 0 ] || fail "uprobe $probe: $(cat out err)"
    [ "$(cat out)" -gt 600 ] && [ "$(cat out)" -lt 2500 ] || fail "uprobe $probe: $(cat out) times"
done
exit 0
