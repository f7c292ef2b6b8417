#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Fuzzing: tests/fuzz/run.sh [FILE...]
#
# Builds the fuzzers (clang, libFuzzer, address sanitizer) and runs them on corpora kept in the
# build directory: fuzz_alloc, from all of the library with debug checks of level 3, for
# TIDE_FUZZ_SECONDS (default 30), and fuzz_reader, from the tool's reader of .tide files, for a
# third of that. An input that fails is kept as crash-* in the build directory and named; `run.sh
# FILE` replays it, by fuzz_reader when it begins as a .tide file does. Also replays pseudo-random
# inputs, and damaged profiles, in plain builds with the compiler of the project.
here=$(cd "$(dirname "$0")" && pwd)
TIDE_LIB=none
. "$here/../lib.sh"

work=$t_bin/fuzz
mkdir -p "$work/corpus" "$work/profiles" || exit 99
tree=${TIDE_FUZZ_SOURCES:-$t_top}
sources=$(find "$tree/src" -name '*.c' ! -path '*/tool/*' ! -path '*/trace/*')
[ -n "$sources" ] || {
    echo "Bail out! no sources"
    exit 99
}
common="-std=gnu11 -g -D_GNU_SOURCE= -DTIDE_VERSION=\"fuzz\" -I$tree/src -I$tree/include
    -I$t_top/tests"

# compile_alloc OUT COMPILER FLAGS..., compile_reader OUT COMPILER FLAGS...
compile_alloc() {
    local out=$1
    shift
    # shellcheck disable=SC2086
    "$@" $common -DTIDE_NO_OVERRIDE -pthread "$here/fuzz_alloc.c" $sources -o "$out" \
        >"$t_tmp/err" 2>&1
}
compile_reader() {
    local out=$1 tool=$tree/src/tool
    shift
    # shellcheck disable=SC2086
    "$@" $common "$here/fuzz_reader.c" "$tool/reader.c" "$tool/writer.c" "$tool/profile.c" \
        "$tool/tool.c" -lz -o "$out" >"$t_tmp/err" 2>&1
}

# run_fuzzer NAME PROGRAM CORPUS SECONDS
run_fuzzer() {
    local name=$1 program=$2 corpus=$3 seconds=$4
    echo "# $seconds s, corpus in $corpus"
    if timeout -k 5 $((seconds * 2 + 60)) "$program" -max_total_time="$seconds" -max_len=4096 \
        -rss_limit_mb=3000 -timeout=20 -artifact_prefix="$work/" "$corpus" \
        >"$t_tmp/out" 2>&1; then
        t_ok "$name"
        echo "# $(grep -E '^Done|stat::number' "$t_tmp/out" | tail -n 1)"
    else
        t_fail "$name" "$t_tmp/out"
    fi
}

# is_profile FILE: it begins as .tide files do.
is_profile() {
    [ "$(head -c 5 "$1" | od -An -tx1)" = " 89 54 49 44 45" ]
}

# replay FILE...: each by the fuzzer that it is for.
replay() {
    local file program
    for file in "$@"; do
        program=$work/fuzz_alloc
        ! is_profile "$file" || program=$work/fuzz_reader
        "$program" "$file" >"$t_tmp/out" 2>&1 && t_ok "fuzz/replay $file" ||
            t_fail "fuzz/replay $file" "$t_tmp/out"
    done
    t_finish
}

# Profiles to begin with; without them the fuzzer would have to find out about sections.
if command -v python3 >/dev/null && [ ! -e "$work/profiles/small.tide" ]; then
    PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$t_top/tests/tool python3 - "$work/profiles" <<'PYTHON'
import sys
import tide_write as w
mods = w.modules([(4096, 8192, 4096, b"\1\2", "/a"), (1 << 20, 4096, 0, b"", "/b")])
site = w.site([(0, 5000), (1, 7), (None, 9)], {"live_bytes": -5, "samples": 9}, [[1, 2], [], [3]])
for name, sections in (
        ("small", [w.meta(pid=1, rate=2), mods, w.sites([site, w.site([])])]),
        ("series", [w.series("a", "b", 1, 2, [5, 3, -4]), w.stats("{}")]),
        ("twice", [mods, w.sites([site]), w.sites([site, site]), w.section("NEW!", b"x")])):
    with open(f"{sys.argv[1]}/{name}.tide", "wb") as file:
        file.write(w.file_of(sections))
PYTHON
fi

if command -v clang >/dev/null; then
    seconds=${TIDE_FUZZ_SECONDS:-30}
    if compile_reader "$work/fuzz_reader" clang -O1 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined; then
        [ $# -gt 0 ] || run_fuzzer fuzz/reader "$work/fuzz_reader" "$work/profiles" \
            $(((seconds + 2) / 3))
    else
        t_fail fuzz/reader "$t_tmp/err"
    fi
    if compile_alloc "$work/fuzz_alloc" clang -O1 -DTIDE_DEBUG=3 -DTIDE_SANITIZED \
        -fsanitize=fuzzer,address; then
        [ $# -eq 0 ] || replay "$@"
        run_fuzzer fuzz/libfuzzer "$work/fuzz_alloc" "$work/corpus" "$seconds"
    else
        t_fail fuzz/libfuzzer "$t_tmp/err"
    fi
else
    t_skip fuzz/libfuzzer "no clang"
fi

if compile_alloc "$work/replay" "$CC" -O2 -DTIDE_DEBUG=3 -DTIDE_FUZZ_MAIN; then
    timeout 120 "$work/replay" >"$t_tmp/out" 2>&1 && t_ok fuzz/random ||
        t_fail fuzz/random "$t_tmp/out"
else
    t_fail fuzz/random "$t_tmp/err"
fi
if compile_reader "$work/replay_reader" "$CC" -O2 -DTIDE_FUZZ_MAIN; then
    timeout 120 "$work/replay_reader" "$work"/profiles/*.tide >"$t_tmp/out" 2>&1 &&
        t_ok fuzz/damaged || t_fail fuzz/damaged "$t_tmp/out"
else
    t_fail fuzz/damaged "$t_tmp/err"
fi
t_finish
