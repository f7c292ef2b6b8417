# SPDX-License-Identifier: MIT
# Are the estimates what they claim to be? Profiles of a program with sites of
# many kinds, each run with a seed of its own: blocks per site are unbiased and vary as sampling
# does, no more and no less (chi-square), and not one is at a wrong site.
# only: tide
# seconds: 180
command -v python3 >/dev/null || skip "no python3"
command -v addr2line >/dev/null || skip "no addr2line"
export PYTHONPATH=$here/programs PYTHONDONTWRITEBYTECODE=1
program=$(t_build "$here/programs/profile_shapes.cc")
printf '#include <stdlib.h>\nvoid *\nplugin_one(size_t n)\n{\n    return malloc(n);\n}\n' >one.c
$CC -std=gnu11 -g -O1 -fno-optimize-sibling-calls -fno-builtin-malloc -fPIC -shared -Wl,--build-id \
    one.c -o one.so
runs=80 rate=2048

for ((run = 0; run < runs; run++)); do
    preloaded TIDE_CONF="profile:true,profile_rate:$rate,profile_out:$PWD/$run.tide" \
        "$program" "$PWD/one.so" || fail "run $run"
done
cat >check.py <<'PY'
import math, subprocess, sys, tide_file
runs, rate, blocks = int(sys.argv[1]), int(sys.argv[2]), 2000
tides = [tide_file.read(f"{run}.tide") for run in range(runs)]

# Functions of the program's and the plug-in's places; the outermost where some are inlined.
wanted = {}
for tide in tides:
    for frames, _, _ in tide.sites:
        for module, offset in frames:
            path = tide.modules[module - 1][4] if module else ""
            if path.endswith(("/profile_shapes", "/one.so")):
                wanted.setdefault(path, set()).add(offset)
names = {}
for path, offsets in wanted.items():
    offsets = sorted(offsets)
    said = subprocess.run(
        ["addr2line", "-a", "-i", "-f", "-C", "-e", path]
        + [hex(tide_file.vaddr(path, o)) for o in offsets],
        capture_output=True, text=True, check=True).stdout
    for offset, part in zip(offsets, said.split("\n0x") if said else []):
        names[path, offset] = [f for f in part.split("\n")[1::2] if f][-1].split("(")[0]

# Size asked for: bytes of its class, and the functions that must be on top of the stack.
SITES = {
    200: (208, ["caller_one", "main"]), 300: (320, ["caller_two", "main"]),
    400: (416, ["void* templated<400ul>", "main"]), 500: (512, ["recursive"] * 13 + ["main"]),
    600: (640, ["zeroed", "main"]), 700: (704, ["grown", "main"]),
    800: (832, ["in_thread", "thread_runs"]), 900: (896, ["generated code"]),
    1000: (1024, ["plugin_one", "main"]),
}
def functions(tide, frames):
    said = []
    for module, offset in frames:
        if module == 0 and offset:
            said.append("generated code")
        else:
            said.append(names.get((tide.modules[module - 1][4], offset), "??"))
    return said

def standard(x, df):
    """A chi-square of so many degrees of freedom as a normal deviate (Wilson and Hilferty)."""
    return ((x / df) ** (1 / 3) - (1 - 2 / (9 * df))) / math.sqrt(2 / (9 * df))

deviates = {size: [] for size in SITES}
for tide in tides:
    found = dict.fromkeys(SITES, 0.0)
    for frames, f, histograms in tide.sites:
        if f["allocated_blocks"] <= 0 or f["live_blocks"] <= 0:
            continue
        size = f["live_bytes"] / (f["live_blocks"] / 1000)
        exact = min(SITES, key=lambda s: abs(s - size))
        said = functions(tide, frames)
        ours = [s for s, (_, top) in SITES.items() if said[:len(top)] == top]
        if abs(exact - size) < 1:  # weights are rounded
            assert ours == [exact], (exact, said)
            found[exact] += f["allocated_blocks"] / 1000
        else:
            assert not ours, (size, said)
    for size, (class_bytes, _) in SITES.items():
        chance = 1 - math.exp(-class_bytes / rate)
        error = math.sqrt(blocks * (1 - chance) / chance)
        deviates[size].append((found[size] - blocks) / error)
everything = [z for zs in deviates.values() for z in zs]
for what, zs in [*deviates.items(), ("all", everything)]:
    mean = sum(zs) / math.sqrt(len(zs))
    spread = standard(sum(z * z for z in zs), len(zs))
    print(f"{what}: mean {mean:+.2f}, spread {spread:+.2f}")
    assert abs(mean) < 5, (what, "is biased", mean)
    assert abs(spread) < 5, (what, "does not vary as samples do", spread)
PY
python3 check.py $runs $rate >out || fail "$(cat out)"
