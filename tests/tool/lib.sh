# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by tests/integration/tool_*.sh (sourced): the tool, and how it is asked.
tide=$TIDE_BUILD/tide
[ -x "$tide" ] || skip "the tool is not built (configure says why)"
command -v python3 >/dev/null || skip "no python3, which writes the profiles"
export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$t_top/tests/tool
unset DEBUGINFOD_URLS

# expect STATUS COMMAND...: its output is in ./out, its complaints in ./err.
expect() {
    local wanted=$1 status=0
    shift
    "$@" >out 2>err </dev/null || status=$?
    [ "$status" = "$wanted" ] || fail "status $status, not $wanted: $* ($(head -c 500 err))"
}
# said TEXT, complained TEXT: the last command's output, or complaint, has it.
said() {
    grep -qF -e "$1" out || fail "'$1' is not in: $(head -c 1500 out)"
}
complained() {
    grep -qF -e "$1" err || fail "'$1' is not in: $(head -c 1500 err)"
}
# generate OUT [ARGUMENT...]: a profile of made-up stacks in real libraries.
generate() {
    python3 "$t_top/tests/tool/generate.py" "$@"
}
# hostile_profile NAME OUT: a profile of a program whose function bears that name.
hostile_profile() {
    printf 'int target(void) { return 1; }\nint main(void) { return target(); }\n' >target.c
    $CC -O0 -c target.c -o plain.o
    objcopy --redefine-sym target="$1" plain.o target.o
    $CC -Wl,--build-id target.o -o target
    python3 "$t_top/tests/tool/hostile.py" "$PWD/target" "$1" "$2"
}
