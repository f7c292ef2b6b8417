#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""png.py FILE WIDTH HEIGHT: is the picture of this size, and is something in it? Prints what is.

Not blank means: many colours, the most frequent one does not fill nearly all, and no quarter of the
height is of one colour.
"""

import collections
import struct
import sys
import zlib


def chunks(data):
    at = 8
    while at < len(data):
        length, = struct.unpack_from(">I", data, at)
        yield data[at + 4:at + 8], data[at + 8:at + 8 + length]
        at += 12 + length


def paeth(left, above, corner):
    guess = left + above - corner
    near = [(abs(guess - left), 0, left), (abs(guess - above), 1, above),
            (abs(guess - corner), 2, corner)]
    return min(near)[2]


def unfilter(kind, line, before, step):
    for i, value in enumerate(line):
        left = line[i - step] if i >= step else 0
        corner = before[i - step] if i >= step else 0
        if kind == 1:
            value += left
        elif kind == 2:
            value += before[i]
        elif kind == 3:
            value += (left + before[i]) // 2
        elif kind == 4:
            value += paeth(left, before[i], corner)
        line[i] = value & 255
    return line


def rows(path):
    """Width, height, and the lines as lists of pixels."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:8] != b"\x89PNG\r\n\x1a\n":
        sys.exit(f"{path} is no PNG")
    found = list(chunks(data))
    width, height, depth, color, *_, interlace = struct.unpack(">IIBBBBB", found[0][1])
    if depth != 8 or color not in (2, 6) or interlace:
        sys.exit(f"{path} is of a kind that is not read here")
    step = 3 if color == 2 else 4
    raw = zlib.decompress(b"".join(body for name, body in found if name == b"IDAT"))
    before, lines = bytearray(width * step), []
    for y in range(height):
        at = y * (width * step + 1)
        before = unfilter(raw[at], bytearray(raw[at + 1:at + 1 + width * step]), before, step)
        lines.append([bytes(before[x:x + 3]) for x in range(0, width * step, step)])
    return width, height, lines


def main():
    path, wanted = sys.argv[1], tuple(map(int, sys.argv[2:4]))
    width, height, lines = rows(path)
    colors = collections.Counter(pixel for line in lines for pixel in line)
    (most, count), = colors.most_common(1)
    part = count / (width * height)
    plain = [q for q in range(4)
             if len({p for line in lines[q * height // 4:(q + 1) * height // 4] for p in line}) < 3]
    print(f"{width} x {height}, {len(colors)} colours, {part:.0%} is #{most.hex()}")
    if (width, height) != wanted or len(colors) < 50 or part > 0.9 or plain:
        sys.exit(f"{path}: it looks empty (wanted {wanted}; quarters without anything: {plain})")


main()
