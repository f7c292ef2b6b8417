# SPDX-License-Identifier: MIT
# The bash completion of tide offers commands, options, values and files.
# only: tide
. "$t_top/tests/tool/lib.sh"
common=/usr/share/bash-completion/bash_completion
[ -r "$common" ] || skip "no bash-completion"
touch one.tide other.txt one.trace
# complete_line WORD...: what is offered for the last word, in one line.
complete_line() {
    bash -c '
        . "$1"
        . "$2"
        shift 2
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE="$*" COMP_POINT=$(printf %s "$*" | wc -c)
        compopt() { :; }
        _tide
        printf "%s " "${COMPREPLY[@]}"' - "$common" "$t_top/completions/tide" "$@" 2>err
}
# offers WANTED WORD...
offers() {
    local wanted=$1 got
    shift
    got=$(complete_line "$@")
    [[ " $got " == *" $wanted "* ]] || fail "for '$*': '$got', not '$wanted' ($(cat err))"
}
offers report tide rep
offers merge tide ""
offers --debug-dir= tide report --de
offers --match= tide diff --m
offers allocated tide report --sort al
offers pprof tide report -f p
offers html tide report -f h
offers svg tide report --format s
offers one.tide tide report ""
[[ "$(complete_line tide report "")" != *other.txt* ]] || fail "files that are no profiles"
offers --library= tide run --l
offers forecast tide help fo
offers stats tide st
offers retained tide top --sort re
offers --once tide top --o
offers --timeout= tide dump --t
offers one.tide tide dump on
offers --max-size= tide trace --ma
offers system tide trace --malloc sy
offers one.trace tide trace --info ""
offers one.trace tide trace --lanes ""
offers $$ tide top $$
offers $$ tide stats $$
