# SPDX-License-Identifier: MIT
# predict: what a program does is the same with and without; off is off; one CPU, small groups and
# processes that fork are left alone; and, once a CPU is idle, memory is ready before it is taken.
# only: tide
# seconds: 240
. "$here/programs/statistics.sh"
grow=$(t_build "$here/programs/grow.c")

for threads in 1 3; do
    run predict:off "$grow" 192 $threads
    [ "$(figure populated_bytes)" = 0 ] || fail "off: $(figure populated_bytes) bytes made ready"
    [ "$(figure rise_advised)" = 0 ] || fail "off: it looked"
    run predict:on "$grow" 192 $threads
    [ "$(figure rise_advised)" -gt 0 ] || fail "on: growth of 192 MiB was not seen"
done

# The thread does nothing while nothing happens, with and without.
for conf in predict:off predict:on "predict:on,learn:$PWD/state"; do
    preloaded TIDE_CONF="$conf" python3 -c '
import time
kept = [bytearray(1 << 20) for i in range(96)]
del kept[32:]
time.sleep(1)
began = time.process_time()
time.sleep(2)
spent = time.process_time() - began
if spent > 0.2:
    raise SystemExit(f"{spent:.3f} s of CPU time while nothing happened")' 2>err ||
        fail "$conf: $(cat err)"
done

# Never where it would take the CPU from the program.
if command -v taskset >/dev/null; then
    run predict:on taskset -c 0 "$grow" 192
    [ "$(figure populated_bytes)" = 0 ] || fail "one CPU: $(figure populated_bytes) bytes ready"
fi

run predict:on "$grow" 128 2 1
run predict:on,background:false "$grow" 64
[ "$(figure populated_bytes)" = 0 ] || fail "made ready without a thread"
# Where nothing can be made ready it is not tried without end.
run predict:on bash -c 'ulimit -v 4000000 && exec "$@"' - "$grow" 128
[ "$(figure rise_tried)" -lt 4000 ] || fail "tried $(figure rise_tried) times in a moment"
run predict:on,huge_pages:never,purge:off "$grow" 64
run predict:on,profile:true "$grow" 128 2

# What is ready is a small part of what there is, and nearly all of it is used.
ready() {
    run predict:on "$grow" 384
    [ "$(figure populated_used_bytes)" -gt $((64 << 20)) ]
}
made=false
for ((i = 0; i < 12; i++)); do
    if ready; then
        made=true
        break
    fi
    sleep 0.5
done
$made || skip "no CPU was idle"
[ "$(figure populated_regretted_bytes)" -lt $((32 << 20)) ] ||
    fail "of $(figure populated_bytes) bytes made ready $(figure populated_regretted_bytes) unused"

# Bursts do not wake the thread each: it looks by the clock while it finds something to do.
quiet() {
    run predict:on "$grow" 256 1 0 2048
    [ "$(figure rise_applied)" -gt 32 ] && [ "$(figure rise_woken)" -lt 32 ]
}
few=false
for ((i = 0; i < 12; i++)); do
    if quiet; then
        few=true
        break
    fi
    sleep 0.5
done
$few || [ "$(figure rise_applied)" -gt 32 ] || skip "no CPU was idle"
$few || fail "128 bursts woke it $(figure rise_woken) times"
