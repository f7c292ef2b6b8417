# SPDX-License-Identifier: MIT
# The statistics page: which processes have one, that it is in nobody's way, survives programs that
# close all their files and children that inherit it, and cannot be written by who reads it.
# only: tide
# seconds: 120
[ -r /proc/self/fd ] || skip "no /proc/PID/fd"
. "$t_top/tests/tool/lib.sh"
. "$t_top/tests/tool/target.sh"

# Small processes have none, nor a thread; nor is there one when it is not wanted.
start
tell hold 1
[ -z "$(pages "$pid")" ] || fail "a small process has a page"
[ "$(ls "/proc/$pid/task" | wc -l)" = 1 ] || fail "a small process has a thread"
expect 3 "$tide" stats "$pid"
complained "process $pid has no statistics page"
complained "page:on makes one at once"
finish
start TIDE_CONF=page:off
tell hold 64
sleep 0.5
[ -z "$(pages "$pid")" ] || fail "a page although none is wanted"
expect 3 "$tide" stats "$pid"
finish
start TIDE_CONF=page:on
until_page "$pid"
expect 0 "$tide" stats "$pid"
finish

# It is among files of its own, gone at exec, and nobody can write to it.
start
tell next
first=$reply
tell hold 64
until_page "$pid"
number=$(pages "$pid")
[ "$number" -ge 3 ] || fail "the page is file $number, where messages go"
tell next
[ "$reply" = "$first" ] || fail "a file that is opened is $reply, and was $first"
python3 - "$pid" "$number" <<'PY'
import fcntl, mmap, os, sys
import glob

def is_page(path):
    return os.readlink(path).startswith("/memfd:tidemalloc ")


path, = filter(is_page, glob.glob(f"/proc/{sys.argv[1]}/task/*/fd/{sys.argv[2]}"))
assert not any(map(is_page, glob.glob(f"/proc/{sys.argv[1]}/fd/*"))), "among the program's files"
for line in open(path.replace("/fd/", "/fdinfo/")):
    if line.startswith("flags:"):
        assert int(line.split()[1], 8) & os.O_CLOEXEC, line
try:
    fd = os.open(path, os.O_RDWR)  # root may
except PermissionError:
    sys.exit(0)
for attempt in (lambda: os.pwrite(fd, b"x", 0), lambda: os.truncate(fd, 0),
                lambda: os.truncate(fd, 1 << 20),
                lambda: mmap.mmap(fd, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)):
    try:
        attempt()
    except PermissionError:
        continue
    raise AssertionError("the page can be changed")
PY

# Children do not have their parent's, and get their own when they are large enough.
tell fork
[ -z "$(pages "$reply")" ] || fail "a child of fork has its parent's page"
tell _Fork
expect 3 "$tide" stats "$reply"
complained "has no statistics page"
tell grow
until_page "$reply"
expect 0 "$tide" stats --json "$reply"
python3 - "$reply" out <<'PY'
import json, sys
stats = json.load(open(sys.argv[2]))
assert stats["pid"] == int(sys.argv[1]) == stats["statistics"][0]["pid"], stats["pid"]
PY
expect 0 "$tide" stats "$pid"

# A program that closes all files keeps its memory, its own files under the same numbers, and gets
# another page when there is room for one.
tell close
tell take
took=$reply
sleep 1.5
tell check
[ "$reply" = "$took" ] || fail "$((took - reply)) of the program's files were closed"
tell release
tell hold 32
until_page "$pid"
expect 0 "$tide" stats "$pid"
finish

# Few files.
(ulimit -n 20 && exec env LD_PRELOAD="$TIDE_LIB" TIDE_CONF=page:on sleep 20) &
targets+=($!)
until_page $!
[ "$(pages $!)" -lt 20 ] || fail "beyond the limit"
