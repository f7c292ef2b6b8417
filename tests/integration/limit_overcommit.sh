# SPDX-License-Identifier: MIT
# vm.overcommit_memory=2: every writable page counts. The setting is the machine's and is put back.
# needs: root
# only: tide
setting=/proc/sys/vm/overcommit_memory
[ -w $setting ] || skip "$setting cannot be written"
# Two of these at a time would put back what the other one set.
exec 9>"${TMPDIR:-/tmp}/tidemalloc-overcommit.lock"
flock -w 300 9 || skip "another run has $setting"
saved=$(cat $setting)
oom=$(t_build "$here/programs/oom.c")
burst=$(t_build "$here/idle_return.c")
available=$(awk '/CommitLimit/ { l = $2 } /Committed_AS/ { c = $2 }
    END { print int((l - c) / 1024) }' /proc/meminfo)
[ "$available" -gt 1500 ] || skip "only $available MiB of commit charge to be had"
trap 'echo "$saved" >$setting' EXIT
( echo 2 >$setting ) 2>/dev/null || skip "the kernel refuses overcommit_memory=2"

# A small program reports its own charge.
small=$(preloaded awk '/^VmData/ { print int($2 / 1024) }' /proc/self/status)
[ "$small" -lt 64 ] || fail "a small process charges $small MiB"

preloaded "$burst" 1 || fail "burst and idle"
preloaded perl -e 'my %h; $h{$_} = "x" x 50 for 1..100000; print scalar(keys %h), "\n"' || fail perl
( ulimit -v $((600 * 1024)); preloaded "$oom" 2 100 ) || fail "oom"
