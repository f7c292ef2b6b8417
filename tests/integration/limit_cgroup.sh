# SPDX-License-Identifier: MIT
# A cgroup memory limit: a process that allocates and frees many times
# the limit, but holds less than it at any time, is not killed.
# needs: root
churn=$(t_build "$here/programs/bounded_churn.c")
group=
if [ -w /sys/fs/cgroup/memory/tasks ]; then
    group=/sys/fs/cgroup/memory/tide-test-$$
    limit_file=memory.limit_in_bytes
elif grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
    group=/sys/fs/cgroup/tide-test-$$
    limit_file=memory.max
fi
[ -n "$group" ] || skip "no cgroup memory controller"
mkdir "$group" 2>/dev/null || skip "no cgroup can be made"
trap 'rmdir "$group"' EXIT
[ -w "$group/$limit_file" ] || skip "the memory controller is not enabled here"
echo $((80 << 20)) >"$group/$limit_file" || skip "no limit can be set"
(
    bash -c 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"' - "$group" \
        env $(t_preload) timeout 50 "$churn" 40
) || fail "killed under an 80 MiB limit while holding at most 40 MiB"
