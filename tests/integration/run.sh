#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Integration tests: tests/integration/run.sh [NAME...]
#
# A test is a C or C++ program or a shell script in this directory, run with the library preloaded:
# status 0 passes, 77 skips (with a line "skip: reason"), anything else fails. Directives in its
# first comment:
#   needs: root         skipped for other users
#   only: tide          skipped when TIDE_LIB=none runs the tests on the system malloc
#   conf: ...           TIDE_CONF for the run
#   args: a | b | c     run once with each set of arguments
#   seconds: N          time allowed (default 120)
#   report: expected    a line "tidemalloc: ..." on stderr is not a failure
#   link: ...           linker flags
# Scripts (*.sh) are sourced by this driver in a subshell with the functions of tests/lib.sh; they
# call t_program to build helper programs and exit with the same statuses.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
ulimit -c 0
t_warnings="-Wall -Wextra -Wno-unknown-warning-option"
t_warnings="$t_warnings -Wno-use-after-free -Wno-alloc-size-larger-than"

# For scripts: run a command (NAME=VALUE words first) on the library, for 60 seconds at most.
preloaded() {
    local preload
    preload=$(t_preload)
    timeout -k 2 60 env ${preload:+"$preload"} "$@"
}
skip() {
    echo "skip: $*"
    exit 77
}
fail() {
    echo "failed: $*" >&2
    exit 1
}

run_program() {
    local label=$1 source=$2 arguments=$3 program preload conf
    program=$(t_build "$source" 2>"$t_tmp/err") || return 1
    preload=$(t_preload)
    conf=$(t_directive "$source" conf)
    # shellcheck disable=SC2086
    {
        timeout -k 2 "$limit" env ${preload:+"$preload"} ${conf:+"TIDE_CONF=$conf"} \
            "$program" $arguments >"$t_tmp/out" 2>"$t_tmp/err" </dev/null
    } 2>/dev/null
}

run_script() {
    mkdir -p "$t_tmp/work"
    (
        trap - EXIT
        cd "$t_tmp/work" || exit 1
        set -e
        . "$2"
    ) >"$t_tmp/out" 2>"$t_tmp/err" </dev/null &
    local child=$! status
    (
        trap - EXIT
        end=$((SECONDS + limit))
        while [ $SECONDS -lt $end ] && kill -0 $child 2>/dev/null; do sleep 0.2; done
        # TERM first: a script may have settings of the machine to put back.
        kill -TERM $child 2>/dev/null || exit 0
        echo "timed out" >>"$t_tmp/err"
        sleep 5
        kill -KILL $child 2>/dev/null
    ) &
    local watcher=$!
    wait $child 2>/dev/null
    status=$?
    kill $watcher 2>/dev/null
    wait $watcher 2>/dev/null
    rm -rf "$t_tmp/work"
    return $status
}

verdict() {
    local label=$1 status=$2 source=$3
    case $status in
    0)
        if [ "$(t_directive "$source" report)" != expected ] &&
            grep -q '^tidemalloc:' "$t_tmp/err"; then
            t_fail "$label" "$t_tmp/err"
        else
            t_ok "$label"
        fi
        ;;
    77) t_skip "$label" "$(sed -n 's/^skip: //p' "$t_tmp/out" | head -n 1)" ;;
    *)
        echo "status $status" >"$t_tmp/why"
        t_fail "$label" "$t_tmp/why" "$t_tmp/err" "$t_tmp/out"
        ;;
    esac
}

if [ $# -eq 0 ]; then
    # shellcheck disable=SC2046
    set -- $(cd "$here" && printf '%s\n' *.c *.cc *.sh | sed 's|\.[a-z]*$||' |
        grep -vx run | sort -u)
fi
sources=()
for name in "$@"; do
    for source in "$here/$name".c "$here/$name".cc; do
        [ ! -f "$source" ] || sources+=("$source")
    done
done
t_build_all ${sources[@]+"${sources[@]}"}

for name in "$@"; do
    for source in "$here/$name".c "$here/$name".cc "$here/$name".sh; do
        [ -f "$source" ] || continue
        limit=$(t_directive "$source" seconds)
        limit=${limit:-120}
        if [ "$(t_directive "$source" needs)" = root ] && [ "$(id -u)" != 0 ]; then
            t_skip "integration/$name" "needs root"
            continue
        fi
        if [ "$(t_directive "$source" only)" = tide ] && [ "$TIDE_LIB" = none ]; then
            t_skip "integration/$name" "needs the library"
            continue
        fi
        : >"$t_tmp/out" >"$t_tmp/err"
        case $source in
        *.sh)
            run_script "$name" "$source"
            verdict "integration/$name" $? "$source"
            ;;
        *)
            IFS='|' read -r -a sets <<<"$(t_directives "$source" args)"
            [ ${#sets[@]} -gt 0 ] || sets=("")
            for arguments in "${sets[@]}"; do
                # shellcheck disable=SC2086
                set -- $arguments
                run_program "$name" "$source" "$arguments"
                verdict "integration/$name${1:+ $*}" $? "$source"
            done
            ;;
        esac
    done
done
t_finish
