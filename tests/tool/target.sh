# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# For tests that look at running processes (sourced after lib.sh): programs/page_target, and how it
# is told what to do.
target=$(t_build "$here/programs/page_target.c") || fail "page_target does not compile"
targets=()

# start [NAME=VALUE...]: starts one; $pid is its number.
start() {
    rm -f orders
    mkfifo orders
    : >replies # the process opens it once orders has a writer, which may be after the first tell
    env LD_PRELOAD="$TIDE_LIB" "$@" "$target" <orders >replies 2>complaints &
    pid=$!
    targets+=("$pid")
    exec 8>orders
}
# tell ORDER...: waits until it is done; $reply is the number it says.
tell() {
    local lines i
    lines=$(wc -l <replies)
    echo "$*" >&8
    for ((i = 0; i < 6000; i++)); do
        [ "$(wc -l <replies)" -gt "$lines" ] && break
        kill -0 "$pid" 2>/dev/null || fail "the process has ended: $(cat complaints)"
        sleep 0.01
    done
    reply=$(tail -n 1 replies)
    [[ $reply == "ok "* ]] || fail "no reply to '$*'"
    reply=${reply#ok }
}
finish() {
    echo stop >&8
    exec 8>&-
    wait "$pid" || fail "the process ended with $?: $(cat complaints)"
    [ ! -s complaints ] || fail "the process complained: $(cat complaints)"
}
end_targets() {
    exec 8>&-
    [ ${#targets[@]} -eq 0 ] || kill "${targets[@]}" 2>/dev/null || true
}
trap end_targets EXIT

# pages PID: the numbers of its files that are pages.
pages() {
    find "/proc/$1/task"/*/fd -lname '/memfd:tidemalloc (deleted)' -printf '%f\n'
}
# until_page PID: waits until it has one.
until_page() {
    local i
    for ((i = 0; i < 3000; i++)); do
        [ -z "$(pages "$1")" ] || return 0
        sleep 0.02
    done
    fail "process $1 has no page: $(ls -l "/proc/$1/task"/*/fd)"
}
