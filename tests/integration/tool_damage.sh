# SPDX-License-Identifier: MIT
# Damaged profiles: what is wrong and where, what is whole is shown and called incomplete, exit 3.
# only: tide
. "$t_top/tests/tool/lib.sh"
generate good.tide --sites 5000 --depth 12 /usr/bin/env
size=$(stat -c %s good.tide)
expect 0 "$tide" report --no-symbols good.tide
said "5000 sites"

head -c $((size - 1)) good.tide >cut.tide
expect 3 "$tide" report --no-symbols cut.tide
said "INCOMPLETE"
said "5000 sites"
complained "cut.tide: at byte "
complained "copy the file again"
head -c $((size * 9 / 10)) good.tide >cut.tide
expect 3 "$tide" report --no-symbols --json cut.tide
complained "are left in the file: it was cut off"
expect 3 "$tide" report cut.tide -f text -n1 --no-symbols
said "INCOMPLETE"
said " sites, "
[ "$(sed -n 's/^\([0-9]*\) sites, .*/\1/p' out)" = 4096 ] || fail "sites of whole sections"
head -c 400 good.tide >cut.tide
expect 3 "$tide" report cut.tide
complained "nothing in it can be used"
[ ! -s out ] || fail "something was shown of nothing"

# One byte in the middle of the second section of sites.
cp good.tide flipped.tide
printf '\377\376\375' | dd of=flipped.tide bs=1 seek=$((size - 9000)) conv=notrunc status=none
expect 3 "$tide" report --no-symbols flipped.tide
complained "checksum of section"
for text in "" "hello" $'\x89TIDE\n\x1a\x01'; do
    printf '%s' "$text" >other.tide
    expect 3 "$tide" report other.tide
    complained "other.tide: at byte 0: "
done
python3 -c 'import tide_write as w, sys
sys.stdout.buffer.write(w.file_of([], version=9))' >newer.tide
expect 3 "$tide" report newer.tide
complained "version 9"

# What was made of an incomplete profile stays one.
head -c $((size - 20)) good.tide >cut.tide
expect 3 "$tide" merge -o merged.tide good.tide cut.tide
expect 0 "$tide" report --no-symbols merged.tide
said "INCOMPLETE"
expect 3 "$tide" dump -o dumped.tide cut.tide
expect 0 "$tide" report --json --no-symbols dumped.tide
said '"complete": false'
