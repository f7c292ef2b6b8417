# SPDX-License-Identifier: MIT
# /etc/tidemalloc.conf (in a mount name space with an /etc of its own): it is read, a bad entry is
# reported with the file's name, and TIDE_CONF goes before it.
# needs: root
# only: tide
# report: expected
unshare -m true 2>/dev/null || skip "no mount name space"
# with_file TEXT CONF: runs a program with such a file and such a variable.
with_file() {
    unshare -m bash -c 'mount -t tmpfs none /etc && printf "%b" "$1" >/etc/tidemalloc.conf &&
        exec env LD_PRELOAD="$3" TIDE_CONF="$2" cat /dev/null' - "$1" "$2" "$TIDE_LIB" >out 2>err ||
        fail "status with file '$1', TIDE_CONF '$2'"
}
with_file '# a comment\n\nabort:false , stats:'"$PWD"'/from-file.json # more\nbackground:true\n' ''
[ ! -s err ] || fail "a good file is reported: $(head -n 2 err)"
[ -s from-file.json ] || fail "the file was not read"
rm from-file.json
with_file "stats:$PWD/from-file.json\n" "stats:$PWD/from-variable.json"
[ -s from-variable.json ] && [ ! -e from-file.json ] || fail "TIDE_CONF does not go first"
with_file 'abort:perhaps\nnonsense:3\n' ''
[ "$(wc -l <err)" = 2 ] || fail "two bad entries, $(wc -l <err) lines"
grep -q '^tidemalloc: /etc/tidemalloc.conf:.*abort' err || fail "file not named: $(cat err)"
with_file "$(printf 'x%.0s' {1..9000})" ''
[ "$(wc -l <err)" -le 3 ] || fail "$(wc -l <err) lines for one long line"
with_file '\0\0\0\xff\n:::,,,\n' ''
