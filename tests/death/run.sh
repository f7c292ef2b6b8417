#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Death tests: tests/death/run.sh [NAME...]
#
# Every NAME.c commits one illegal act. Its first comment says what must be reported:
#   expect: the exact phrase (or several, separated by |; "none" when the act may also go unseen)
#   function: the function named in the report
# Checked, by default: one line on stderr, of the promised form, with the phrase, the function and
# the pointer the program announced; death by SIGABRT. Checked with TIDE_CONF=abort:false: the same
# line once, then the program ends well after verifying its heap.

here=$(cd "$(dirname "$0")" && pwd)
. "$here/../lib.sh"
ulimit -c 0
t_warnings="-Wall -Wextra -Wno-use-after-free -Wno-unknown-warning-option"

if [ "$TIDE_LIB" = none ]; then
    echo "1..0 # SKIP death tests need the library"
    exit 0
fi

# report_is_right ERR OUT EXPECT FUNCTION: prints what is wrong, nothing when right.
report_is_right() {
    local err=$1 out=$2 expect=$3 function=$4 lines pointer
    lines=$(wc -l <"$err")
    if [ "$lines" -eq 0 ] && [[ "|$expect|" == *"|none|"* ]] && [ ! -s "$err" ]; then return 0; fi
    if [ "$lines" -ne 1 ]; then
        echo "$lines lines on stderr, expected 1"
        return 0
    fi
    if ! grep -Eq "^tidemalloc: ($function): ($expect): pointer 0x[0-9a-f]+ \(.+\)$" \
        "$err"; then
        echo "report is not 'tidemalloc: $function: $expect: pointer 0x... (...)'"
        return 0
    fi
    pointer=$(sed -n 's/^ptr //p' "$out" | head -n 1)
    if [ -n "$pointer" ] && ! grep -q "pointer $pointer " "$err"; then
        echo "report does not name pointer $pointer"
    fi
}

# run_once NAME PROGRAM CONF: leaves $t_tmp/out, $t_tmp/err and $status.
run_once() {
    local preload
    preload=$(t_preload)
    {
        timeout -k 1 30 env ${preload:+"$preload"} ${3:+"TIDE_CONF=$3"} "$2" \
            >"$t_tmp/out" 2>"$t_tmp/err"
        status=$?
    } 2>/dev/null
}

check_death() {
    local name=$1 program=$2 source=$3 expect function wrong
    expect=$(t_directive "$source" expect)
    function=$(t_directive "$source" function)

    run_once "$name" "$program" ""
    wrong=$(report_is_right "$t_tmp/err" "$t_tmp/out" "$expect" "$function")
    if [ -s "$t_tmp/err" ] || [[ "|$expect|" != *"|none|"* ]]; then
        [ "$status" -eq 134 ] || wrong="$wrong; status $status, expected 134 (SIGABRT)"
    else
        [ "$status" -eq 0 ] || wrong="$wrong; status $status, expected 0"
    fi
    verdict "$name" "$wrong"

    run_once "$name" "$program" abort:false
    wrong=$(report_is_right "$t_tmp/err" "$t_tmp/out" "$expect" "$function")
    [ "$status" -eq 0 ] || wrong="$wrong; status $status, expected 0"
    grep -qx survived "$t_tmp/out" || wrong="$wrong; did not print 'survived'"
    verdict "$name (abort:false)" "$wrong"
}

verdict() {
    if [ -z "$2" ]; then
        t_ok "death/$1"
    else
        echo "${2#; }" >"$t_tmp/why"
        t_fail "death/$1" "$t_tmp/why" "$t_tmp/err" "$t_tmp/out"
    fi
}

if [ $# -eq 0 ]; then
    set -- $(cd "$here" && ls ./*.c | sed 's|^\./||; s|\.c$||')
fi
sources=()
for name in "$@"; do sources+=("$here/$name.c"); done
t_build_all "${sources[@]}"

for name in "$@"; do
    if program=$(t_build "$here/$name.c" 2>"$t_tmp/err"); then
        check_death "$name" "$program" "$here/$name.c"
    else
        t_fail "death/$name" "$t_tmp/err"
    fi
done
t_finish
