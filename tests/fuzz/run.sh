#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fuzzing: tests/fuzz/run.sh [FILE...]
#
# Builds the fuzzer (clang, libFuzzer, address sanitizer, debug checks of level 3) from the sources
# and runs it for TIDE_FUZZ_SECONDS (default 30) on a corpus kept in the build directory. An input
# that fails is kept as crash-* in the build directory and named; `run.sh FILE` replays it. Also
# replays pseudo-random inputs in a plain build with the compiler of the project.
here=$(cd "$(dirname "$0")" && pwd)
TIDE_LIB=none
. "$here/../lib.sh"

work=$t_bin/fuzz
mkdir -p "$work/corpus" || exit 99
tree=${TIDE_FUZZ_SOURCES:-$t_top}
sources=$(find "$tree/src" -name '*.c' ! -path '*/tool/*')
[ -n "$sources" ] || {
    echo "Bail out! no sources"
    exit 99
}
flags="-std=gnu11 -g -D_GNU_SOURCE= -DTIDE_NO_OVERRIDE -DTIDE_VERSION=\"fuzz\" -pthread
    -I$tree/src -I$tree/include -I$t_top/tests"

# compile OUT COMPILER FLAGS...
compile() {
    local out=$1
    shift
    # shellcheck disable=SC2086
    "$@" $flags "$here/fuzz_alloc.c" $sources -o "$out" >"$t_tmp/err" 2>&1
}

fuzzer=$work/fuzz_alloc
if command -v clang >/dev/null; then
    if compile "$fuzzer" clang -O1 -DTIDE_DEBUG=3 -DTIDE_SANITIZED -fsanitize=fuzzer,address; then
        if [ $# -gt 0 ]; then
            "$fuzzer" "$@" >"$t_tmp/out" 2>&1 && t_ok fuzz/replay || t_fail fuzz/replay "$t_tmp/out"
            t_finish
        fi
        seconds=${TIDE_FUZZ_SECONDS:-30}
        echo "# $seconds s, corpus in $work/corpus"
        if timeout -k 5 $((seconds * 2 + 60)) "$fuzzer" -max_total_time="$seconds" -max_len=4096 \
            -rss_limit_mb=3000 -timeout=20 -artifact_prefix="$work/" "$work/corpus" \
            >"$t_tmp/out" 2>&1; then
            t_ok fuzz/libfuzzer
            echo "# $(grep -E '^Done|stat::number' "$t_tmp/out" | tail -n 1)"
        else
            t_fail fuzz/libfuzzer "$t_tmp/out"
        fi
    else
        t_fail fuzz/libfuzzer "$t_tmp/err"
    fi
else
    t_skip fuzz/libfuzzer "no clang"
fi

if compile "$work/replay" "$CC" -O2 -DTIDE_DEBUG=3 -DTIDE_FUZZ_MAIN; then
    timeout 120 "$work/replay" "$@" >"$t_tmp/out" 2>&1 && t_ok fuzz/random ||
        t_fail fuzz/random "$t_tmp/out"
else
    t_fail fuzz/random "$t_tmp/err"
fi
t_finish
