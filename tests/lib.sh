# SPDX-License-Identifier: MIT
# Shared by the shell drivers under tests/ (sourced, not run).
#
# Owns: finding the build and the library, compiling the small test programs, TAP output.
# Refuses to know: what any test checks.
#
# Environment: TIDE_BUILD  the build directory (default: the current directory when it holds the
#                          library, else build/)
#              TIDE_LIB    the library to preload; "none": run the programs on the system malloc
#              TIDE_CC (or CC), CXX  compilers for the test programs
# A driver prints `ok NAME`, `not ok NAME` or `ok NAME # SKIP reason` and a plan at the end (TAP),
# and exits 1 when anything failed.

set -u
export LC_ALL=C
unset TIDE_CONF MALLOC_CONF

t_top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
if [ -z "${TIDE_BUILD:-}" ]; then
    TIDE_BUILD=$t_top/build
    [ ! -e "$PWD/.libs/libtidemalloc.so.0" ] || TIDE_BUILD=$PWD
fi
TIDE_LIB=${TIDE_LIB:-$TIDE_BUILD/.libs/libtidemalloc.so.0}
t_static_lib=$TIDE_BUILD/.libs/libtidemalloc.a
CC=${TIDE_CC:-${CC:-gcc}}
CXX=${CXX:-g++}
t_bin=$TIDE_BUILD/tests/bin
t_count=0
t_failed=0
# shellcheck disable=SC2034  # read by the drivers
t_warnings="-Wall -Wextra"

if [ "$TIDE_LIB" != none ]; then
    if [ ! -e "$TIDE_LIB" ]; then
        echo "Bail out! no library at $TIDE_LIB (build first, or set TIDE_BUILD or TIDE_LIB)"
        exit 99
    fi
    TIDE_LIB=$(readlink -f "$TIDE_LIB")
fi

t_tmp=$(mktemp -d "${TMPDIR:-/tmp}/tide-test.XXXXXX") || exit 99
t_cleanup() { rm -rf "$t_tmp"; }
trap t_cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

t_ok() {
    t_count=$((t_count + 1))
    echo "ok $1"
}

# t_fail NAME [FILE...]: the files are shown as TAP diagnostics.
t_fail() {
    t_count=$((t_count + 1))
    t_failed=$((t_failed + 1))
    echo "not ok $1"
    shift
    local file
    for file in "$@"; do
        [ -f "$file" ] && tail -n 25 "$file" | cut -c1-400 | sed 's/^/# /'
    done
    return 0
}

t_skip() {
    t_count=$((t_count + 1))
    echo "ok $1 # SKIP $2"
}

t_finish() {
    echo "1..$t_count"
    [ "$t_failed" -eq 0 ] || echo "# $t_failed of $t_count failed"
    [ "$t_failed" -eq 0 ]
    exit $?
}

# t_directive FILE KEY: the value of "KEY: value" in the file's first comment.
t_directive() {
    sed -n "1,30s/^[ *#/]*$2: *//p" "$1" | head -n 1
}

# t_directives FILE KEY: the values of all such lines, joined by |.
t_directives() {
    sed -n "1,30s/^[ *#/]*$2: *//p" "$1" | paste -s -d '|'
}

# t_preload: words for env(1) that put the library under a program.
t_preload() {
    [ "$TIDE_LIB" = none ] || echo "LD_PRELOAD=$TIDE_LIB"
}

# t_build SOURCE: compile when out of date, print the program's path. "link:" in the file adds
# flags.
t_build() {
    local source=$1 compiler flags base out newer
    base=$(basename "$(dirname "$source")")/$(basename "${source%.*}")
    out=$t_bin/$base
    mkdir -p "$(dirname "$out")" || return 1
    newer=$(find "$source" "$t_top"/tests/*.h "$(dirname "$source")" -maxdepth 1 -name '*.[ch]*' \
        \( -path "$source" -o -name '*.h' \) -newer "$out" 2>/dev/null | head -n 1)
    if [ ! -x "$out" ] || [ -n "$newer" ]; then
        case $source in
        *.cc) compiler=$CXX flags="-std=gnu++17" ;;
        *) compiler=$CC flags="-std=gnu11" ;;
        esac
        # shellcheck disable=SC2046,SC2086
        $compiler $flags -O1 -g -pthread -I"$t_top/tests" -I"$t_top/include" $t_warnings \
            "$source" -o "$out.tmp.$$" $(t_directive "$source" link) >&2 || return 1
        mv -f "$out.tmp.$$" "$out" || return 1
    fi
    echo "$out"
}

# t_build_all SOURCE...: compile several, two at a time; failures show up again in t_build.
t_build_all() {
    local source
    for source in "$@"; do
        while [ "$(jobs -rp | wc -l)" -ge 2 ]; do wait -n; done
        t_build "$source" >/dev/null 2>&1 &
    done
    wait
}
