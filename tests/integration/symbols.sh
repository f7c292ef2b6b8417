# SPDX-License-Identifier: MIT
# What the shared library exports, needs and carries: the whole malloc
# family and operator new/delete, nothing of jemalloc's names, nothing unexpected; only libc is
# needed; thread-local data is small.
# only: tide
exported=$(nm -D --defined-only "$TIDE_LIB" |
    awk '$2 ~ /[TWViu]/ { sub(/@.*/, "", $3); print $3 }' | sort -u)
required="malloc free calloc realloc aligned_alloc memalign posix_memalign valloc pvalloc cfree
malloc_usable_size free_sized free_aligned_sized mallopt mallinfo mallinfo2 malloc_stats malloc_info
malloc_trim
_Znwm _Znam _ZnwmRKSt9nothrow_t _ZnamRKSt9nothrow_t _ZnwmSt11align_val_t _ZnamSt11align_val_t
_ZnwmSt11align_val_tRKSt9nothrow_t _ZnamSt11align_val_tRKSt9nothrow_t _ZdlPv _ZdaPv _ZdlPvm _ZdaPvm
_ZdlPvRKSt9nothrow_t _ZdaPvRKSt9nothrow_t _ZdlPvSt11align_val_t _ZdaPvSt11align_val_t
_ZdlPvmSt11align_val_t _ZdaPvmSt11align_val_t _ZdlPvSt11align_val_tRKSt9nothrow_t
_ZdaPvSt11align_val_tRKSt9nothrow_t
tide_malloc tide_free tide_calloc tide_realloc tide_aligned_alloc tide_posix_memalign
tide_malloc_usable_size tide_ctl"
aliases='__libc_(malloc|free|calloc|realloc|cfree|memalign|valloc|pvalloc|mallopt)|__posix_memalign'
optional="^(tide_[a-z0-9_]+|$aliases)\$"
wrong=0
complain() {
    echo "$*" >&2
    wrong=1
}
for name in $required; do
    grep -qx "$name" <<<"$exported" || complain "not exported: $name"
done
for name in $exported; do
    grep -qw -- "$name" <<<"$required" && continue
    [[ $name =~ $optional ]] || [[ $name == TIDE* ]] || complain "unexpected export: $name"
done
for name in mallctl mallocx rallocx sdallocx nallocx malloc_stats_print je_malloc reallocarray \
    strdup; do
    ! grep -qx "$name" <<<"$exported" || complain "may not be exported: $name"
done

needed=$(readelf -dW "$TIDE_LIB" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
for library in $needed; do
    case $library in
    libc.so.6 | ld-linux*) ;;
    *) complain "needs $library" ;;
    esac
done
readelf -dW "$TIDE_LIB" | grep -q 'SONAME.*\[libtidemalloc.so.0\]' || complain "soname"
readelf -dW "$TIDE_LIB" | grep -q 'NODELETE' || complain "not marked NODELETE"
! readelf -dW "$TIDE_LIB" | grep -q 'TEXTREL' || complain "text relocations"
readelf -lW "$TIDE_LIB" | grep -q 'GNU_STACK.* RW ' || complain "executable stack"
! readelf -rW "$TIDE_LIB" | grep -Eq 'DTPMOD|DTPOFF|TLSDESC' ||
    complain "thread-local data is not initial-exec"
tls=$(($(readelf -lW "$TIDE_LIB" | awk '$1 == "TLS" { print $6 }') + 0))
[ "$tls" -le 1536 ] || complain "$tls bytes of thread-local data"
exit $wrong
