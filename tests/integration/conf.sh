# SPDX-License-Identifier: MIT
# TIDE_CONF: every bad entry is reported in one line which names its key, the default is kept and
# the program runs; good entries are silent; help lists every option; neither text nor length can do
# harm.
# only: tide
# report: expected
run_with() {
    preloaded TIDE_CONF="$1" bash -c 'echo works' >out 2>err ||
        fail "status with TIDE_CONF=${1:0:60}"
    [ "$(cat out)" = works ] || fail "output with TIDE_CONF=${1:0:60}"
}
# one_line ENTRY KEY
one_line() {
    run_with "$1"
    [ "$(wc -l <err)" = 1 ] ||
        fail "$(wc -l <err) lines for TIDE_CONF=${1:0:60}: $(head -c 300 err)"
    [[ "$(cat err)" == "tidemalloc: TIDE_CONF: $2: "* ]] ||
        fail "TIDE_CONF=${1:0:60}: $(head -c 300 err)"
}
silent() {
    run_with "$1"
    [ ! -s err ] || fail "TIDE_CONF=${1:0:60} is good, but: $(head -c 300 err)"
}
one_line abort:maybe abort
one_line abort: abort
one_line abort abort
one_line background:7x background
one_line keeper_threshold:banana keeper_threshold
one_line keeper_threshold:-5 keeper_threshold
one_line keeper_threshold:1X keeper_threshold
one_line keeper_threshold:99999999999999999999999 keeper_threshold
one_line keeper_threshold:16777217T keeper_threshold
one_line nosuchkey:1 nosuchkey
one_line huge_pages:sometimes huge_pages
one_line abort:false,background:perhaps,keeper_threshold:32M background
for entry in abort:maybe keeper_threshold:banana huge_pages:sometimes; do
    run_with "$entry"
    grep -q '(kept .*)$' err || fail "the default is not named: $(cat err)"
done
run_with abort:maybe,nosuchkey:1,background:perhaps
[ "$(wc -l <err)" = 3 ] || fail "three bad entries, $(wc -l <err) lines"

silent ""
silent abort:true
silent abort:false,background:false
silent keeper_threshold:32M
silent keeper_threshold:0
silent keeper_threshold:1G,abort:true
silent abort:true,

long=$(printf 'x%.0s' {1..20000})
for entry in "$long" "$long:1" "abort:$long" "$long:$long,abort:false" ",,,," ":" "::::" \
    ":abort" "abort:false:true" "stats:" $'abort:\x01\x02' $'\xff\xfe:1' \
    "abort:false;background:false" "%s%s%n:%n" "abort=%n"; do
    run_with "$entry"
    [ "$(wc -l <err)" -le 5 ] || fail "$(wc -l <err) lines for ${entry:0:40}"
    [ "$(wc -c <err)" -le 5000 ] || fail "$(wc -c <err) bytes for ${entry:0:40}"
done

run_with help:true
if [ -f "$t_top/src/api/options.def" ]; then
    for option in $(sed -n 's/^TIDE_OPTION(\([a-z_]*\),.*/\1/p' "$t_top/src/api/options.def"); do
        grep -qw "$option" err || fail "help does not list $option"
    done
fi
for option in abort background keeper_threshold stats help; do
    grep -qw "$option" err || fail "help does not list $option"
done

# A program that never allocates gets its answer, too.
preloaded TIDE_CONF=help:true /bin/true 2>err || fail "status of true with help:true"
grep -qw keeper_threshold err || fail "no help from a program that does not allocate"
