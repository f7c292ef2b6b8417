# SPDX-License-Identifier: MIT
# tide report of 35,000 sites: 300 MB at most, and no time to speak of (2 s on a quiet machine; here
# only what nothing but a mistake takes).
# only: tide
# seconds: 240
. "$t_top/tests/tool/lib.sh"
[ "$TIDE_SANITIZER" = no ] || skip "a sanitizer's memory is its own"
generate large.tide --sites 35000
for format in text json collapsed pprof html svg; do
    if [ "$format" = html ] && ! "$tide" report -f html large.tide >/dev/null 2>err; then
        complained "built without html"
        continue
    fi
    python3 - "$tide" "$format" <<'PYTHON'
import os, sys, time
tide, form = sys.argv[1:]
started = time.monotonic()
child = os.spawnv(os.P_NOWAIT, tide, [tide, "report", "-f", form, "-o", "out", "large.tide"])
_, status, usage = os.wait4(child, 0)
seconds = usage.ru_utime + usage.ru_stime
print(f"{form}: {seconds:.2f} s of processor, {time.monotonic() - started:.2f} s, "
      f"{usage.ru_maxrss // 1024} MiB")
assert status == 0, status
assert usage.ru_maxrss < 300_000_000 // 1024, f"{usage.ru_maxrss} KiB"
assert seconds < 8, f"{seconds} s"
PYTHON
done
