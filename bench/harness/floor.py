#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How far each allocator's peak memory is above what the programs need at least.

Usage: floor.py FLOOR_OUT RESULTS.json

FLOOR_OUT: what one round of all benchmarks wrote under the counting library (floor.c):

    ./scripts/bench --rounds 1 --no-warm --peers floor --subject floor --out build/floor \\
        "floor=build/bench/floor.so@FLOOR_OUT=$PWD/build/floor.txt"

RESULTS.json: of a run with the allocators. Three floors, all relative to mimalloc's peak like the
requirement: the requested bytes; blocks of size classes; size classes that never hand pages to one
another. To each the process itself is added, less what the counting library takes of it. Programs
that do not touch all of a block need less: no floor is above the leanest allocator of the run, that
of classes not above the leanest that has classes. Real programs hold memory outside malloc in
between and have no such figure: for them the leanest stands for all three.
"""

import json
import math
import re
import statistics
import sys

OWN_KIB = 150       # of the counting library: pairs-* against the same without anything preloaded
LINE = re.compile(r"base=(\d+) bytes=(\d+) blocks=(\d+) classes=(\d+) command=(.*)")
REPEATED = ("true", "ls")
UNCOUNTED = ("pair_loop", "gcc ")       # checks of the harness; the driver of cc1
FLOORS = ("bytes", "blocks", "classes")


def read_floors(path):
    """The lines of a round in the order of the catalog: (command, base, bytes, blocks, classes)."""
    rows = []
    last = None
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = LINE.match(line)
            if not match or any(word in match[5] for word in UNCOUNTED):
                continue
            program = match[5].split()[0]
            if program in REPEATED and program == last:
                continue
            last = program
            rows.append((match[5], *map(int, match.groups()[:4])))
    return rows


def geometric(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def table(rows, results):
    """A line for each benchmark, and the ratios to mimalloc by floor and allocator."""
    ratios = {}
    lines = []
    for benchmark, row in zip(results["benchmarks"], rows):
        if not benchmark["scored"]:
            continue
        peak = {name: statistics.median(sample["hwm_kib"] for sample in result["samples"])
                for name, result in benchmark["results"].items()}
        leanest = min(peak.values())
        with_classes = min(kib for name, kib in peak.items() if name != "glibc")
        floors = [min(row[1] - OWN_KIB + held, least)
                  for held, least in zip(row[2:], (leanest, leanest, with_classes))]
        if benchmark["kind"] not in ("micro", "startup"):
            floors = [leanest] * len(FLOORS)
        for name, kib in [*zip(FLOORS, floors), *peak.items()]:
            ratios.setdefault(name, []).append(kib / peak["mimalloc"])
        lines.append((peak[results["subject"]] / floors[-1], benchmark["name"], floors, peak))
    return sorted(lines, reverse=True), ratios


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.split("\n\n")[1])
    rows = read_floors(sys.argv[1])
    with open(sys.argv[2], encoding="utf-8") as file:
        results = json.load(file)
    if len(rows) != len(results["benchmarks"]):
        sys.exit(f"floor.py: {sys.argv[1]} has {len(rows)} programs and {sys.argv[2]} "
                 f"{len(results['benchmarks'])}: run all benchmarks once, into an empty file")
    lines, ratios = table(rows, results)
    subject = results["subject"]
    print(f"{'benchmark':20}{'above':>7}{'bytes':>9}{'blocks':>9}{'classes':>9}{subject:>9}  KiB")
    for above, name, floors, peak in lines:
        print(f"{name:20}{above:7.2f}" + "".join(f"{kib:9.0f}" for kib in floors)
              + f"{peak[subject]:9.0f}")
    print("\ngeometric means, to mimalloc:")
    for name, values in ratios.items():
        print(f"{name:20}{geometric(values):7.3f}")


if __name__ == "__main__":
    main()
