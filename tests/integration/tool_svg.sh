# SPDX-License-Identifier: MIT
# tide report --format=svg: XML whatever the names are, widths and figures that add up, and the same
# bytes each time.
# only: tide
. "$t_top/tests/tool/lib.sh"
# check_svg FILE TOTAL: frames lie inside the one above them, and their widths are their figures.
cat >check.py <<'PYTHON'
import re, sys
import xml.etree.ElementTree as tree
path, total, least = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
space = "{http://www.w3.org/2000/svg}"
root = tree.parse(path).getroot()
assert root.tag == space + "svg" and not root.findall(f".//{space}script")
frames, names = [], []
for group in root.findall(space + "g"):
    title, rect = group.find(space + "title").text, group.find(space + "rect")
    name, figures, *module = title.split("\n")
    value = int(re.search(r"\((\d+) bytes\)", figures)[1])
    x, y, width = (float(rect.get(a)) for a in ("x", "y", "width"))
    frames.append((y, x, width, value))
    names.append(name)
    label = group.find(space + "text")
    assert label is None or label.text == name or label.text[-1] == "…" and \
        name.startswith(label.text[:-1]), (label.text, name)
assert len(frames) >= least, len(frames)
y, x, width, value = frames[0]
assert names[0] == "all" and value == total, (names[0], value)
scale = width / total
rows = {}
for y, x, width, value in frames:
    assert abs(width - value * scale) < 0.011, (width, value)
    rows.setdefault(y, []).append((x, width, value))
for y in sorted(rows)[1:]:
    above = rows[y - 18]
    for x, width, value in rows[y]:
        inside = [v for ax, aw, v in above if ax - 0.02 <= x and x + width <= ax + aw + 0.02]
        assert inside and value <= max(inside), (x, y)
    row = sorted(rows[y])
    assert all(a[0] + a[1] <= b[0] + 0.02 for a, b in zip(row, row[1:])), y
    for ax, aw, v in above:
        callees = [c for x, width, c in row if ax - 0.01 <= x and x + width <= ax + aw + 0.02]
        assert sum(callees) <= v + 1, (y, ax)
print("\n".join(names))
PYTHON
$CXX -g -O1 -fno-optimize-sibling-calls -Wl,--build-id "$t_top/tests/tool/known.cc" -o known
python3 "$t_top/tests/tool/known.py" "$PWD/known" known.tide

expect 0 "$tide" report -f svg -o live.svg known.tide
[ ! -s out ] || fail "-o leaves standard output alone"
expect 0 "$tide" report -f svg known.tide
cmp -s out live.svg || fail "the same profile gives other bytes"
expect 0 python3 check.py live.svg 12901 7
for name in main "ocean::Wave<double>::crest(int)" inner_allocation recurse; do
    said "$name"
done
[ "$(grep -cx recurse out)" = 3 ] || fail "recursion: $(cat out)"
expect 0 "$tide" report -f svg --sort=allocated -o allocated.svg known.tide
expect 0 python3 check.py allocated.svg 48912 7
# Seven of 48,912 bytes have no stack, which is less than half a pixel; of the blocks they are two.
! grep -qF "(no stack)" out || fail "too small a frame is drawn"
expect 0 "$tide" report -f svg --sort=allocated_blocks known.tide
said "(no stack)"
said "1000 blocks, 99.75 %"
expect 0 "$tide" report -f svg --top=1 known.tide
! grep -qF recurse out || fail "more than one site"
expect 0 "$tide" report -f svg --sort=growth known.tide
said "no site has any growth_bytes"
expect 0 "$tide" report -f svg --no-symbols known.tide
said "known+0x"

generate random.tide --sites 3000
expect 0 "$tide" report --json --top=1 --no-symbols random.tide
live=$(python3 -c 'import json; print(json.load(open("out"))["total"]["live_bytes"])')
expect 0 "$tide" report -f svg -o random.svg random.tide
expect 0 python3 check.py random.svg "$live" 1000

hostile='</script><svg onload="x">&amp;'
hostile_profile "$hostile" hostile.tide
expect 0 "$tide" report -f svg -o hostile.svg hostile.tide
expect 0 python3 check.py hostile.svg 4000 4
said "$hostile"
head -c $(($(stat -c %s known.tide) - 20)) known.tide >cut.tide
expect 3 "$tide" report -f svg cut.tide
said "INCOMPLETE"
expect 2 "$tide" diff -f svg known.tide known.tide
complained "a difference has no format 'svg'"
