#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes profiles for the tests and measurements of tide.

Usage: generate.py OUT [--sites N] [--depth N] [--seed N] [--main PROGRAM] [LIBRARY...]

The stacks are of random places in the executable segments of PROGRAM (default: this python) and the
LIBRARIES (default: those that are mapped here): nonsense as calls, but real files to look names up
in.
"""

import argparse
import os
import random
import struct
import sys

import tide_write as w


def elf(path):
    """Executable segments as (file offset, address, size), and the build-id."""
    with open(path, "rb") as file:
        data = file.read()
    if data[:5] != b"\x7fELF\x02":
        return [], b""
    start, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    segments, build_id = [], b""
    for i in range(count):
        kind, flags, offset, address, _, file_size, _, _ = struct.unpack_from(
            "<IIQQQQQQ", data, start + i * size)
        if kind == 1 and flags & 1:
            segments.append((offset, address, file_size))
        at = offset
        while kind == 4 and at + 12 <= offset + file_size:
            name, length, note = struct.unpack_from("<III", data, at)
            at += 12 + (name + 3 & ~3)
            if note == 3 and name == 4:
                build_id = data[at:at + length]
            at += length + 3 & ~3
    return segments, build_id


def mapped_libraries():
    with open("/proc/self/maps", encoding="utf-8") as file:
        paths = [line.split()[-1] for line in file if " r-xp " in line]
    return [p for p in dict.fromkeys(paths) if p.startswith("/") and ".so" in p]


def module_rows(paths):
    rows, start = [], 0x550000000000
    for path in paths:
        segments, build_id = elf(path)
        offset, _, size = segments[0]
        page = offset & ~4095
        rows.append((start, (offset + size - page + 4095) & ~4095, page, build_id, path))
        start += 0x10000000
    return rows


def make_site(rng, rows, depth):
    frames = []
    for _ in range(rng.randint(depth // 2, depth)):
        index = rng.choices(range(len(rows)), weights=[r[1] for r in rows])[0]
        # Programs call from few places: a page has 32 of them.
        place = rng.randrange(rows[index][1] // 4096) * 4096 + rng.randrange(32) * 127
        frames.append((index, rows[index][2] + place))
    blocks = rng.randint(1, 1 << rng.randint(1, 16))
    live = rng.randint(0, blocks)
    size = 16 << rng.randint(0, 10)
    lifetime = [0] * 13
    for _ in range(5):
        lifetime[rng.randrange(10)] += (blocks - live) * 200
    figures = {"allocated_bytes": blocks * size, "allocated_blocks": blocks * 1000,
               "live_bytes": live * size, "live_blocks": live * 1000,
               "peak_live_bytes": (live + 1) * size,
               "growth_bytes": rng.randint(-live, live) * size // 8,
               "freed_same_blocks": (blocks - live) * 1000, "samples": 1 + blocks // 50,
               "live_samples": live // 50}
    ages = [0] * 13
    ages[rng.randrange(10)] = live * 1000
    sizes = [0] * 37
    sizes[size.bit_length() - 5] = blocks * 1000
    return w.site(frames, figures, [lifetime, lifetime, ages, sizes])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out")
    parser.add_argument("--sites", type=int, default=100)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--main", default=os.path.realpath(sys.executable))
    parser.add_argument("libraries", nargs="*")
    o = parser.parse_intermixed_args()
    rng = random.Random(o.seed)
    rows = module_rows([o.main] + (o.libraries or mapped_libraries()))
    made = [make_site(rng, rows, o.depth) for _ in range(o.sites)]
    sections = [w.meta(program=o.main, command=f"{o.main} --serve", pid=4000 + o.seed,
                       start_ns=1_700_000_000_000_000_000, time_ns=1_700_000_060_000_000_000,
                       duration_ns=60_000_000_000, rate=524288, tool="0.1.0"), w.modules(rows)]
    for i in range(0, len(made), 4096):
        sections.append(w.sites(made[i:i + 4096]))
    sections.append(w.series("live_bytes", "bytes", 100_000_000, 1_700_000_000_000_000_000,
                             [rng.randint(0, 1 << 30) for _ in range(600)]))
    sections.append(w.stats('{"allocated_bytes": 123}'))
    with open(o.out, "wb") as file:
        file.write(w.file_of(sections))


main()
