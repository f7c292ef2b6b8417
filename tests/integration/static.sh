# SPDX-License-Identifier: MIT
# Static and static-pie programs with libtidemalloc.a: C, threads and
# fork, C++ with exceptions, the tide_conf symbol, and a program whose functions bear names of the
# library's own. malloc must be ours (statistics say so) and
# must be linked once.
# only: tide
# report: expected
[ -f "$t_static_lib" ] || skip "no static library"
cat >c.c <<'END'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *work(void *arg) {
    for (int i = 0; i < 20000; i++) {
        char *p = malloc((size_t)i % 3000 + 1);
        if (p == NULL) abort();
        memset(p, 1, (size_t)i % 3000 + 1);
        if (i % 3 == 0) p = realloc(p, 5000);
        free(p);
    }
    return arg;
}
int main(void) {
    pthread_t t[4];
    work(NULL);
    for (int i = 0; i < 4; i++) if (pthread_create(&t[i], NULL, work, NULL) != 0) return 1;
    for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
    char *text = NULL, *big = calloc(1, 64 << 20);
    memset(big, 1, 64 << 20);
    if (asprintf(&text, "%s %d", "number", 42) < 0) return 2;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) { free(big); work(NULL); _exit(0); }
    int status = 1;
    if (waitpid(child, &status, 0) != child || status != 0) return 3;
    puts(text);
    free(text);
    free(big);
    void *p = NULL;
    if (posix_memalign(&p, 4096, 100) != 0) return 4;
    free(p);
    return 0;
}
END
cat >cxx.cc <<'END'
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>
static int work() {
    std::map<std::string, std::vector<int>> m;
    int caught = 0;
    for (int i = 0; i < 3000; i++) {
        m["a longer key, number " + std::to_string(i)].resize(i % 50);
        try {
            if (i % 10 == 0) throw std::runtime_error("number " + std::to_string(i));
        } catch (const std::exception &e) { caught++; }
    }
    try {
        size_t n = SIZE_MAX / 2;
        asm("" : "+r"(n));
        char *p = new char[n];
        asm volatile("" : "+r"(p));
        delete[] p;
    } catch (const std::bad_alloc &) { caught += 1000; }
    return caught;
}
int main() {
    std::vector<std::thread> t;
    for (int i = 0; i < 3; i++) t.emplace_back(work);
    for (auto &x : t) x.join();
    std::cout << work() << std::endl;
}
END
cat >conf.c <<'END'
#include <stdio.h>
#include <stdlib.h>
const char *tide_conf = "nonsense:1,stats:stderr";
int main(void) { void *volatile p = malloc(100); free(p); puts("done"); return 0; }
END
cat >names.c <<'END'
#include <stdio.h>
#include <stdlib.h>
#define NAMES(name) name(page_begin) name(lock_acquire_slow) name(fmt_str) name(site_at) \
    name(os_now_ns) name(heap_alloc_slow) name(profile_pass) name(report_pointer) name(meta_alloc)
#define DEFINE(name) int name(void) { return 1; }
#define CALL(name) + name()
NAMES(DEFINE)
int main(void)
{
    void *volatile p = malloc(100);
    free(p);
    printf("%d\n", 0 NAMES(CALL));
    return 0;
}
END
is_ours() { grep -q '"allocated_bytes"' "$1"; }
for kind in -static -static-pie; do
    $CC -O1 $kind -D_GNU_SOURCE -pthread c.c "$t_static_lib" -o c$kind || fail "linking C $kind"
    TIDE_CONF=stats:stderr timeout 20 ./c$kind >out 2>err || fail "C $kind: $(cat err)"
    [ "$(cat out)" = "number 42" ] || fail "C $kind: $(cat out)"
    is_ours err || fail "C $kind does not run on our malloc"
    [ "$(nm c$kind | grep -c ' [TtWi] malloc$')" = 1 ] ||
        fail "malloc defined more than once, $kind"
    $CXX -O1 $kind -pthread cxx.cc "$t_static_lib" -o cxx$kind || fail "linking C++ $kind"
    TIDE_CONF=stats:stderr timeout 20 ./cxx$kind >out 2>err || fail "C++ $kind: $(cat err)"
    [ "$(cat out)" = 1300 ] || fail "C++ $kind: $(cat out)"
    is_ours err || fail "C++ $kind does not run on our malloc"
    $CC -O1 $kind names.c "$t_static_lib" -o names$kind || fail "our names clash, $kind"
    TIDE_CONF=stats:stderr ./names$kind >out 2>err || fail "names $kind: $(cat err)"
    [ "$(cat out)" = 9 ] || fail "names $kind: $(cat out)"
    is_ours err || fail "names $kind does not run on our malloc"
    $CC -O1 $kind conf.c "$t_static_lib" -o conf$kind || fail "linking tide_conf $kind"
    ./conf$kind >out 2>err || fail "tide_conf $kind"
    is_ours err || fail "tide_conf was not read, $kind"
    grep -q 'nonsense' err || fail "a bad entry of tide_conf was not reported, $kind"
    TIDE_CONF=stats:env.json ./conf$kind >out 2>err || fail "tide_conf and TIDE_CONF $kind"
    [ -s env.json ] || fail "TIDE_CONF does not override tide_conf, $kind"
    rm -f env.json
done
