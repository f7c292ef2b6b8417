# SPDX-License-Identifier: MIT
# No /proc, no /sys, no /etc: an empty file system over them in a mount name space of its own.
# needs: root
oom=$(t_build "$here/programs/oom.c")
work=$(t_build "$here/programs/bounded_churn.c")
threads=$(t_build "$here/cxx_tls_destructor.cc")
unshare -m true 2>/dev/null || skip "no mount name space"
hide_and_run() {
    unshare -m bash -c '
        mount -t tmpfs none /proc && mount -t tmpfs none /sys || exit 70
        [ ! -e /proc/self ] || exit 71
        exec "$@"' - env $(t_preload) "$@"
}
hide_and_run timeout 20 "$work" 64 || fail "churn without /proc"
hide_and_run timeout 40 bash -c 'ulimit -v 400000; exec "$0" 2 50' "$oom" ||
    fail "oom without /proc"
hide_and_run timeout 20 perl -e 'my %h; $h{$_} = "x" x 90 for 1..200000; sleep 1' ||
    fail "perl without /proc"
hide_and_run timeout 20 bash -c 'for i in {1..50}; do (echo $i >/dev/null); done' ||
    fail "fork without /proc"
