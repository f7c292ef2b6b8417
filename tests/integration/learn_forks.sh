# SPDX-License-Identifier: MIT
# learn_forks: while several processes write what they learned to the same directory, their keepers
# and they themselves at their exit, threads of theirs make children all the time. No child hangs or
# writes, none of the processes is the worse for it, and what stays is one file, which is of use.
# only: tide
forks=$(t_build "$here/programs/learn_forks.c")
state=$PWD/state
learn=predict:on,learn:$state

# storm N [ARGUMENT]: so many at a time. It is over when the last child has closed its output: those
# that hang are ended by their alarm, but later than that.
storm() {
    local count=$1 i
    shift
    for ((i = 0; i < count; i++)); do
        (preloaded TIDE_CONF="$learn" "$forks" "$@" 2>&1 || echo "status $?") &
    done | timeout 40 cat >complaints || fail "a child hangs: $(cat complaints)"
    [ ! -s complaints ] || fail "of $count at a time: $(cat complaints)"
    [ "$(find "$state" -type f | wc -l)" = 1 ] || fail "not one file: $(ls "$state")"
}
# runs_between LEAST MOST: as many were learned from. Of runs that end together some may be lost.
runs_between() {
    runs=$(($(od -A n -t u4 -j 12 -N 4 "$state"/*.learned)))
    ((runs >= $1 && runs <= $2)) || fail "learned from $runs runs, not $1 to $2"
}
# The next run knows what they wrote.
is_of_use() {
    local known
    known=$(preloaded TIDE_CONF="$learn" "$forks" known 2>err) && [ ! -s err ] || fail "$(cat err)"
    ((known >= 3)) || fail "knows $known phases only"
}

storm 3 wait
runs_between 1 3
is_of_use
runs_between 2 4
before=$runs
storm 8
runs_between $((before + 1)) $((before + 8))
is_of_use
