# SPDX-License-Identifier: MIT
# Loading and unloading of shared objects: loops of dlopen and dlclose
# from several threads, objects bound with RTLD_DEEPBIND (blocks cross in both directions), and the
# library itself loaded late into a process that runs on the system malloc.
# only: tide
$CC -std=gnu11 -O1 -fPIC -shared -I"$here" -x c "$here/plugin.inc" -o "$PWD/plugin.so"
loop=$(t_build "$here/programs/dlopen_loop.c")
deepbind=$(t_build "$here/programs/deepbind.c")
late=$(t_build "$here/programs/dlopen_late.c")
preloaded "$loop" "$PWD/plugin.so" || fail "dlopen loop"
preloaded "$deepbind" "$PWD/plugin.so" led || fail "RTLD_DEEPBIND"
preloaded TIDE_CONF=profile:true "$deepbind" "$PWD/plugin.so" led || fail "with a profile"
preloaded TIDE_CONF=deepbind:false "$deepbind" "$PWD/plugin.so" own || fail "deepbind:false"
timeout 30 "$late" "$TIDE_LIB" || fail "library loaded late"
