# SPDX-License-Identifier: MIT
# Programs with much static thread-local data, which lies on the stack of each thread: of the
# library's own, too, however much it is.
cat >tls.c <<'EOF'
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

__thread volatile char big[KIB << 10];

int
main(void)
{
    big[1] = 2;
    for (int i = 0; i < 400; i++) {
        void *p = malloc(100000);

        __asm__ volatile("" : : "r"(p) : "memory");
        memset(p, 1, 100000);
    }
    usleep(100000); /* the background thread has its first passes */
    puts("done");
    return 0;
}
EOF
for kib in 1 40 48 50 52 54 56 60 64 100 112 116 120 124 128 200 1000; do
    $CC -DKIB=$kib -O1 tls.c -o tls
    for conf in verbose:false page:off,background:false,profile:true,profile_out:/dev/null; do
        preloaded TIDE_CONF=$conf ./tls >out 2>err || fail "$kib KiB, $conf: $? $(cat err)"
        grep -qx done out || fail "$kib KiB, $conf: $(cat out err)"
    done
done
