# SPDX-License-Identifier: MIT
# A program under LD_AUDIT: the dynamic linker allocates from its
# first instruction and has the audit library in a namespace of its own.
cat >audit.c <<'END'
#define _GNU_SOURCE
#include <link.h>
#include <stdlib.h>
unsigned la_version(unsigned v) { free(malloc(100)); return v; }
unsigned la_objopen(struct link_map *m, Lmid_t l, uintptr_t *c) {
    (void)m, (void)l, (void)c;
    void *p = calloc(10, 10);
    free(p);
    return LA_FLG_BINDTO | LA_FLG_BINDFROM;
}
END
$CC -shared -fPIC -O1 audit.c -o audit.so
program=$(t_build "$here/early_late.c")
preloaded LD_AUDIT="$PWD/audit.so" "$program" || fail "program under LD_AUDIT"
program=$(t_build "$here/cxx_tls_destructor.cc")
preloaded LD_AUDIT="$PWD/audit.so" "$program" || fail "threads under LD_AUDIT"
