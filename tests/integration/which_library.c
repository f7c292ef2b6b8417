/* SPDX-License-Identifier: MIT */
/*
 * Every name of the family resolves to this library (and not some to it, some to the C library).
 * only: tide
 */
#include "check.h"
#include <dlfcn.h>

int
main(void)
{
    static const char *const names[] = {"malloc",
                                        "free",
                                        "calloc",
                                        "realloc",
                                        "aligned_alloc",
                                        "memalign",
                                        "posix_memalign",
                                        "valloc",
                                        "pvalloc",
                                        "malloc_usable_size",
                                        "free_sized",
                                        "free_aligned_sized",
                                        "mallopt",
                                        "mallinfo",
                                        "mallinfo2",
                                        "malloc_stats",
                                        "malloc_info",
                                        "malloc_trim",
                                        "_Znwm",
                                        "_Znam",
                                        "_ZnwmRKSt9nothrow_t",
                                        "_ZdlPv",
                                        "_ZdaPv",
                                        "_ZdlPvm",
                                        "_ZnwmSt11align_val_t",
                                        "_ZdlPvSt11align_val_t"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *f = dlsym(RTLD_DEFAULT, names[i]);
        Dl_info info;
        CHECK(f != NULL && dladdr(f, &info) != 0, "%s is missing", names[i]);
        CHECK(strstr(info.dli_fname, "libtidemalloc") != NULL, "%s comes from %s", names[i],
              info.dli_fname);
    }
    /* Programs decide by these that another allocator is there. */
    static const char *const others[] = {"mallctl", "mallocx", "MallocExtension_Initialize",
                                         "mi_malloc"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK(dlsym(RTLD_DEFAULT, others[i]) == NULL, "%s", others[i]);
    }
    return 0;
}
