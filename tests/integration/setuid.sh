# SPDX-License-Identifier: MIT
# A setuid program (AT_SECURE) ignores TIDE_CONF: no help, no
# statistics file, no report of bad values. The program is linked with the static library, for
# ld.so drops LD_PRELOAD there anyway.
# needs: root
# only: tide
# report: expected
[ -f "$t_static_lib" ] || skip "no static library"
command -v setpriv >/dev/null || skip "no setpriv"
cat >program.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
int main(void) {
    void *p = malloc(100);
    printf("%d %d %d\n", (int)getuid(), (int)geteuid(), p != NULL);
    free(p);
    return 0;
}
END
$CC -O1 -pthread program.c "$t_static_lib" -o plain
dir=$(mktemp -d /var/tmp/tide-setuid.XXXXXX)
trap 'rm -rf "$dir"' EXIT
cp plain "$dir/plain"
cp plain "$dir/setuid"
chmod 0711 "$dir"
chmod 0755 "$dir/plain"
chmod 4755 "$dir/setuid"
mkdir -m 0777 "$dir/out"
as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups env "$@"; }

as_nobody TIDE_CONF="help:true,stats:$dir/out/plain.json,nonsense:1" "$dir/plain" >out 2>err ||
    fail "plain program"
[ -s err ] || fail "the plain program should have seen TIDE_CONF"
[ -s "$dir/out/plain.json" ] || fail "the plain program should have written statistics"
as_nobody TIDE_CONF="help:true,stats:$dir/out/setuid.json,nonsense:1" "$dir/setuid" >out 2>err ||
    fail "setuid program"
read -r uid euid allocated <out
[ "$uid" = 65534 ] && [ "$euid" = 0 ] || skip "the file system ignores the setuid bit"
[ "$allocated" = 1 ] || fail "no memory"
[ ! -s err ] || fail "TIDE_CONF was honoured: $(head -n 2 err)"
[ ! -e "$dir/out/setuid.json" ] || fail "statistics were written for a setuid program"
