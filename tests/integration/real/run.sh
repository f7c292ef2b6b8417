#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Real programs: tests/integration/real/run.sh [NAME...]
#
# Each program does the same work on the system malloc and on the library; what it prints (or makes)
# must be the same, and the library must really have been in the process (its statistics file or
# /proc/PID/maps say so). Servers are started on sockets of their own and stopped by their PID.
# A program which is not installed is skipped. "not ok" shows what the run said. TIDE_TEST_CONF
# holds further options for TIDE_CONF, to try unusual ones on real programs.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/../../lib.sh"
. "$here/programs.sh"
. "$here/servers.sh"
ulimit -c 0

if [ "$TIDE_LIB" = none ]; then
    echo "1..0 # SKIP real programs need the library"
    exit 0
fi

# Servers run as other users, who may not be able to read the build directory.
cp "$TIDE_LIB" "$t_tmp/libtidemalloc.so.0" && TIDE_LIB=$t_tmp/libtidemalloc.so.0
chmod 0711 "$t_tmp"

server_pids=()
stop_servers() {
    local pid
    for pid in ${server_pids[@]+"${server_pids[@]}"}; do kill "$pid" 2>/dev/null; done
    for pid in ${server_pids[@]+"${server_pids[@]}"}; do
        for _ in {1..50}; do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
        kill -9 "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    server_pids=()
}
trap 'stop_servers; t_cleanup' EXIT

# For the work functions: skip the program. They run in a subshell, in a directory of their own.
skip() { echo "$*" >"$t_tmp/skip"; exit 77; }
need() {
    local program
    for program in "$@"; do command -v "$program" >/dev/null || skip "no $program"; done
}
# A command of the program under test: on the library in the second run.
run() {
    if [ -n "$on_tide" ]; then
        timeout -k 2 60 env LD_PRELOAD="$TIDE_LIB" \
            TIDE_CONF="stats:$t_tmp/stats/%p.json${TIDE_TEST_CONF:+,$TIDE_TEST_CONF}" "$@"
    else
        timeout -k 2 60 "$@"
    fi
}

# work NAME ON_TIDE OUTPUT
work() {
    local name=$1
    on_tide=$2
    mkdir -p "$t_tmp/work" "$t_tmp/stats"
    chmod 0777 "$t_tmp/stats"
    (
        trap 'set +e; stop_servers' EXIT
        cd "$t_tmp/work" || exit 1
        set -eu -o pipefail
        "real_${name//-/_}"
    ) >"$3" 2>"$t_tmp/err"
    local status=$?
    rm -rf "$t_tmp/work"
    return $status
}

check_program() {
    local name=$1 status
    rm -rf "$t_tmp/stats" "$t_tmp/skip" "$t_tmp/mapped"
    work "$name" "" "$t_tmp/expected"
    status=$?
    if [ -f "$t_tmp/skip" ]; then
        t_skip "real/$name" "$(cat "$t_tmp/skip")"
        return
    fi
    if [ $status -ne 0 ] || [ ! -s "$t_tmp/expected" ]; then
        t_skip "real/$name" "fails on the system malloc: status $status, $(tail -n 1 "$t_tmp/err")"
        return
    fi
    rm -rf "$t_tmp/stats" "$t_tmp/mapped"
    work "$name" yes "$t_tmp/got"
    status=$?
    if [ $status -ne 0 ]; then
        echo "status $status" >"$t_tmp/why"
        t_fail "real/$name" "$t_tmp/why" "$t_tmp/err" "$t_tmp/got"
    elif ! cmp -s "$t_tmp/expected" "$t_tmp/got"; then
        diff "$t_tmp/expected" "$t_tmp/got" >"$t_tmp/why"
        t_fail "real/$name" "$t_tmp/why" "$t_tmp/err"
    elif grep -q '^tidemalloc:' "$t_tmp/err"; then
        t_fail "real/$name" "$t_tmp/err"
    elif [ ! -e "$t_tmp/mapped" ] &&
        ! grep -q '"allocated_bytes"' "$t_tmp/stats/"* 2>/dev/null; then
        echo "the library was not in the process: no statistics, nothing in its maps" >"$t_tmp/why"
        t_fail "real/$name" "$t_tmp/why" "$t_tmp/err"
    else
        t_ok "real/$name"
    fi
}

all=$(declare -F | sed -n 's/^declare -f real_//p' | tr _ -)
[ $# -gt 0 ] || set -- $all
for name in "$@"; do
    if ! declare -F "real_${name//-/_}" >/dev/null; then
        echo "no program $name; there are:" $all
        exit 2
    fi
    started=$SECONDS
    check_program "$name"
    echo "# $name: $((SECONDS - started)) s"
done
t_finish
