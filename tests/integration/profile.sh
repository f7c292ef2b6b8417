# SPDX-License-Identifier: MIT
# A profile of known sites, read back by a reader of the test's own: totals
# within the sampling error, nothing at a wrong site, lifetimes, other threads' frees; options that
# write it; files that are cut off.
# only: tide
# seconds: 120
# report: expected
command -v python3 >/dev/null || skip "no python3"
command -v addr2line >/dev/null || skip "no addr2line"
export PYTHONPATH=$here/programs PYTHONDONTWRITEBYTECODE=1
program=$(t_build "$here/programs/profile_sites.c")
rate=16384

mkdir with_frames
cat >check.py <<'PY'
import math, sys, tide_file
path, rate, finished, unwinder = sys.argv[1], int(sys.argv[2]), sys.argv[3] == "end", sys.argv[4]
tide = tide_file.read(path)
names = tide.functions()
allocated, blocks, live, other, samples = {}, {}, {}, {}, {}
times = {}
for functions, (frames, f, histograms) in zip(names, tide.sites):
    site = next((n for n in functions if n.startswith("site_")), None)
    freed = f["freed_same_blocks"] + f["freed_other_blocks"]
    assert f["live_blocks"] == f["allocated_blocks"] - freed
    assert sum(histograms[3]) == f["allocated_blocks"], (histograms[3], f)
    assert sum(histograms[0]) == sum(histograms[1]) == f["allocated_blocks"] - f["live_blocks"]
    assert sum(histograms[2]) == f["live_blocks"]
    assert f["peak_live_bytes"] >= f["live_bytes"] >= 0
    assert "malloc" not in functions and "tide_malloc" not in functions, functions
    if site is None:
        continue
    assert functions[0] == site, functions  # the innermost frame is who calls malloc
    if unwinder != "frame-pointer":
        top = "make_passed" if site == "site_passed" else "main"
        deep = len(functions) >= 64
        assert deep or top in functions, functions
        assert not deep or functions[1:] == ["recurse"] * (len(functions) - 1), functions
    for table, key in ((allocated, "allocated_bytes"), (blocks, "allocated_blocks"),
                       (live, "live_blocks"), (other, "freed_other_blocks"), (samples, "samples")):
        table[site] = table.get(site, 0) + f[key] / (1000 if "blocks" in key else 1)
    times.setdefault(site, []).append(histograms[0])

def near(what, got, count, size, p=None):
    """An estimate of `count` blocks of `size` bytes, each seen with probability p."""
    p = 1 - math.exp(-size / rate)
    error = math.sqrt(count * (1 / p - 1)) + 0.001 * count
    assert abs(got - count) <= 5 * error, (what, got, count, error)

near("small", blocks["site_small"], 502000, 112)
near("large", blocks["site_large"], 2000, 200000)
near("kept", blocks["site_kept"], 4000, 5000)
near("waiting", blocks["site_waiting"], 20000, 2000)
near("passed", blocks["site_passed"], 20000, 1500)
near("grown", blocks["site_grown"], 4000, 32000)
assert abs(allocated["site_kept"] - 5000 * blocks["site_kept"]) < 1 + samples["site_kept"]
near("grown bytes", allocated["site_grown"] / 32000, 4000, 32000)
near("kept live", live["site_kept"], 4000, 5000)
for site in "site_small", "site_large", "site_waiting", "site_passed":
    assert live[site] == 0, (site, live)
    assert (other[site] > 0) == (site == "site_passed"), (site, other)
near("freed by others", other["site_passed"], 20000, 1500)
# In total: what the sites have, and hardly anything else (the program's start).
known = sum(allocated.values())
assert known <= tide.total("allocated_bytes") <= known * 1.001 + 500000
# 150 ms and more, but not minutes; the others at once as a rule.
waited = [sum(b) for b in zip(*[h + [0] * (13 - len(h)) for h in times["site_waiting"]])]
assert sum(waited[:6]) == 0 and sum(waited[6:8]) > 0.99 * sum(waited), waited
at_once = [sum(b) for b in zip(*[h + [0] * (13 - len(h)) for h in times["site_small"]])]
assert sum(at_once[:3]) > 0.95 * sum(at_once), at_once
assert tide.meta["rate"] == str(rate) and tide.meta["unwinder"] == unwinder, tide.meta
assert tide.meta["program"].endswith("profile_sites") and int(tide.meta["pid"]) > 0
assert tide.modules[0][4].endswith("/profile_sites") and b'"allocated_bytes"' in tide.stat
series = tide.series["live_bytes", 100000000]
assert series[0] == "bytes" and sum("/" not in name for name, _ in tide.series) == 12
assert any(abs(v - (4000 * 5000 + 20000 * 2000)) < 0.15 * 6e7 for v in series[2]), series
# Threads: the series of all sum up to the process's, interval by interval (values are rounded); the
# four that passed blocks on, the fifth is main, and nobody is left over.
tenth = 100000000
threads = {name[:name.rindex("/")] for name, _ in tide.series if name.startswith("thread/")}
assert len(threads) == 5 and all(t.startswith("thread/profile_sites/") for t in threads), threads
for figure in "live_bytes", "allocated_bytes_rate", "freed_bytes_rate", "allocations_rate":
    _, first, values = tide.series[figure, tenth]
    total = [0] * len(values)
    for thread in threads:
        _, begin, part = tide.series[thread + "/" + figure, tenth]
        assert (begin - first) % tenth == 0 and begin >= first
        assert (begin - first) // tenth + len(part) == len(values), thread
        for i, value in enumerate(part, (begin - first) // tenth):
            total[i] += value
    for i, (one, all_) in enumerate(zip(values, total)):
        assert abs(one - all_) <= 5 + 1e-6 * abs(one), (figure, i, one, all_)
main = "thread/profile_sites/" + tide.meta["pid"]
assert main in threads
for thread in threads - {main}:
    made = sum(tide.series[thread + "/allocated_bytes_rate", tenth][2]) / 10
    assert abs(made - 5000 * 1500) < 0.25 * 5000 * 1500, (thread, made)
PY
cat >truncated.py <<'PY'
import sys, tide_file
data = open(sys.argv[1], "rb").read()
tide_file.Tide(data)
for at in list(range(0, len(data), 97)) + [len(data) - 1]:
    for bad in data[:at], data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]:
        try:
            tide_file.Tide(bad)
        except ValueError:
            continue
        raise SystemExit("not noticed: byte %d of %d" % (at, len(data)))
PY

how=profile:true,profile_rate:$rate
unwinder=libunwind
ldconfig -p | grep -q 'libunwind\.so\.8 ' || unwinder=libgcc
no_siblings="-fno-omit-frame-pointer -fno-optimize-sibling-calls"
preloaded TIDE_CONF="$how,profile_out:$PWD/%p.tide" "$program" || fail "program"
mv [0-9]*.tide end.tide || fail "no file, or several"
[ "$(stat -c %a end.tide)" = 600 ] || fail "mode of the file"
python3 check.py end.tide $rate end $unwinder || fail "profile at exit"
python3 truncated.py end.tide || fail "truncated file"
preloaded TIDE_CONF="$how" "$program" "$PWD/within.tide" || fail "program that writes it"
python3 check.py within.tide $rate within $unwinder || fail "profile by tide_profile_dump"

# By frame pointers, in a program that has them.
$CC -std=gnu11 -O1 -g -pthread $no_siblings -I"$t_top/tests" "$here/programs/profile_sites.c" \
    -o with_frames/profile_sites || fail "program with frame pointers"
preloaded TIDE_CONF="$how,profile_unwind:frame-pointer,profile_out:$PWD/fp.tide" \
    with_frames/profile_sites || fail "program with frame pointers"
python3 check.py fp.tide $rate end frame-pointer || fail "profile by frame pointers"

# By libgcc, in a program that has not loaded it.
preloaded TIDE_CONF="$how,profile_unwind:libgcc,profile_out:$PWD/gcc.tide" "$program" ||
    fail "program by libgcc"
python3 check.py gcc.tide $rate end libgcc || fail "profile by libgcc"

# With the library linked into it, whose frames must not be seen either: by libgcc, which the
# program has, whatever is asked for loads nothing, and by frame pointers.
for kind in -static -static-pie ""; do
    [ -f "$t_static_lib" ] || break
    expected=libgcc
    [ -n "$kind" ] || expected=$unwinder
    mkdir "linked$kind"
    $CC -std=gnu11 -O1 -g -pthread $no_siblings $kind -I"$t_top/tests" \
        "$here/programs/profile_sites.c" "$t_static_lib" -o "linked$kind/profile_sites" 2>err ||
        fail "linking $kind: $(cat err)"
    TIDE_CONF="$how,profile_out:$PWD/linked.tide" "linked$kind/profile_sites" ||
        fail "program with the library in it, $kind"
    python3 check.py linked.tide $rate end $expected || fail "with the library in it, $kind"
    for asked in frame-pointer libunwind; do
        [ -n "$kind" ] || [ $asked = frame-pointer ] || continue
        TIDE_CONF="$how,profile_unwind:$asked,profile_out:$PWD/linked.tide" \
            "linked$kind/profile_sites" || fail "$asked with the library in it, $kind"
        python3 check.py linked.tide $rate end frame-pointer ||
            fail "by frame pointers with the library in it, $kind"
    done
done

# An overflowing table says so, and loses nothing.
cat >overflow.py <<'PY'
import sys, tide_file
tide = tide_file.read(sys.argv[1])
frames, f, histograms = tide.sites[0]
assert frames == [] and f["samples"] > 0 and all(s[0] for s in tide.sites[1:])
assert sum(histograms[3]) == f["allocated_blocks"]
PY
preloaded TIDE_CONF="$how,profile_memory:64K,profile_depth:256,profile_out:$PWD/o.tide" \
    "$program" many || fail "many sites in a small table"
python3 overflow.py o.tide || fail "overflow site"

# Due by bytes; by a signal; by seconds, while idle; a file that cannot be written is one line.
preloaded TIDE_CONF="$how,profile_every_bytes:10M,profile_out:$PWD/every.tide" \
    bash -c "exec '$program' & wait" || fail "every 10 MB"
python3 -c 'import tide_file; tide_file.read("every.tide")' || fail "file of every 10 MB"
preloaded TIDE_CONF="$how,profile_signal:3,profile_out:$PWD/signal.tide" \
    "$program" signal "$PWD/signal.tide" || fail "no file after a signal"
python3 -c 'import tide_file; assert tide_file.read("signal.tide").total("live_bytes") > 2e7' ||
    fail "file of a signal"
preloaded TIDE_CONF="$how,profile_every_seconds:1,profile_out:$PWD/seconds.tide" \
    "$program" seconds "$PWD/seconds.tide" || fail "no file twice, a second apart"
python3 -c 'import tide_file; t = tide_file.read("seconds.tide"); assert (
    t.total("live_bytes") > 2e7 and 1.5e9 < int(t.meta["duration_ns"]) < 10e9), t.meta' ||
    fail "file of every second"
preloaded TIDE_CONF="$how,profile_out:/nonexistent/x" "$program" 2>err || fail "unwritable file"
[ "$(wc -l <err)" = 1 ] || fail "unwritable file: $(cat err)"
ls ./*.tmp.* 2>/dev/null && fail "files left behind"
preloaded TIDE_CONF="$how,profile_out:/dev/null" "$program" || fail "/dev/null"
[ -c /dev/null ] || fail "/dev/null was replaced"
exit 0
