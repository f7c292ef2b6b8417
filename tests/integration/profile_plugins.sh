# SPDX-License-Identifier: MIT
# Samples of plug-ins that are loaded and unloaded by eight threads, at each
# other's addresses and not there any more when the profile is written: each is of its own plug-in,
# and a plug-in is one module however often it was loaded.
# only: tide
command -v python3 >/dev/null || skip "no python3"
export PYTHONPATH=$here/programs PYTHONDONTWRITEBYTECODE=1
program=$(t_build "$here/programs/profile_plugins.c")
for name in one two; do
    # Of the same layout: nothing but their contents tells one from the other.
    printf '#include <stdlib.h>\nvoid *\nplugin_%s(size_t n)\n{\n%s    return malloc(n);\n}\n' \
        $name "$([ $name = one ] || echo '    __asm__ volatile("nop; nop");')" >$name.c
    $CC -std=gnu11 -g -O1 -fno-optimize-sibling-calls -fno-builtin-malloc -fPIC -shared \
        -Wl,--build-id $name.c -o $name.so
done
cat >check.py <<'PY'
import math, sys, tide_file
tide = tide_file.read(sys.argv[1])
plugins = [m[4].rsplit("/")[-1] for m in tide.modules]
assert sorted(p for p in plugins if p in ("one.so", "two.so")) == ["one.so", "two.so"], plugins
blocks = {}
for names, (frames, f, histograms) in zip(tide.functions(), tide.sites):
    modules = [tide.modules[m - 1][4].rsplit("/")[-1] if m else None for m, _ in frames]
    assert None not in modules, (names, frames)
    for which, size in ("one", 3000), ("two", 6000):
        if which + ".so" in modules:
            assert names[0] == "plugin_" + which and modules[0] == which + ".so", names
            assert "load_and_unload" in names[1], names
            blocks[which] = blocks.get(which, 0) + f["live_blocks"] / 1000
            bucket = 8 if which == "one" else 9
            assert sum(histograms[3]) == histograms[3][bucket], (which, histograms[3])
for which, size in ("one", 3000), ("two", 6000):
    p = 1 - math.exp(-size / 8192)
    assert abs(blocks[which] - 9600) < 5 * math.sqrt(9600 * (1 / p - 1)) + 100, blocks
PY
for _ in 1 2 3; do
    preloaded TIDE_CONF="profile:true,profile_rate:8K,profile_out:$PWD/p.tide" \
        "$program" "$PWD/one.so" "$PWD/two.so" || fail "program"
    python3 check.py p.tide || fail "profile"
done
