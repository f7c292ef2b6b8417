#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""known.py PROGRAM OUT: a profile of the program made from known.cc.

Site 1: the call of malloc in inner_allocation, inlined into crest, called by main: 1000 blocks of
48 bytes allocated, 250 live. Site 2: three times recurse, main. Site 3: no stack. Site 4: generated
code.
"""

import re
import subprocess
import sys

import tide_write as w


def run(*command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def calls(program, function):
    """Addresses of the calls in the function whose symbol has this in it."""
    inside, found = False, []
    for line in run("objdump", "-d", "--no-show-raw-insn", program).splitlines():
        label = re.match(r"[0-9a-f]+ <(.*)>:", line)
        if label:
            inside = function in label.group(1)
        call = re.match(r"\s+([0-9a-f]+):\s+(?:call|jmp|bl)\s.*<(.*)>", line)
        if inside and call:
            found.append((int(call.group(1), 16), call.group(2)))
    return found


def segment(program):
    for line in run("readelf", "-lW", program).splitlines():
        words = line.split()
        if words and words[0] == "LOAD" and "R E" in line:
            return int(words[1], 16), int(words[2], 16), int(words[4], 16)
    sys.exit("no executable segment")


def main():
    program, out = sys.argv[1:]
    build_id = bytes.fromhex(re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", program))[1])
    offset, address, size = segment(program)

    def place(function, callee):
        found = [a for a, name in calls(program, function) if callee in name]
        return (0, found[0] - address + offset)

    crest = place("crest", "malloc")
    in_main = place("main", "crest")
    recurse = place("recurse", "recurse")
    lifetime = [0, 0, 0, 500_000, 0, 0, 250_000]
    sites = [
        w.site([crest, in_main],
               {"allocated_bytes": 48000, "allocated_blocks": 1_000_000, "live_bytes": 12000,
                "live_blocks": 250_000, "peak_live_bytes": 24000, "growth_bytes": -100,
                "freed_same_blocks": 700_000, "freed_other_blocks": 50_000, "samples": 20,
                "live_samples": 5},
               [lifetime, [0, 750_000], [0, 0, 250_000], [0, 0, 1_000_000]]),
        w.site([recurse, recurse, recurse, place("main", "recurse")],
               {"allocated_bytes": 900, "allocated_blocks": 1500, "live_bytes": 900,
                "live_blocks": 1500, "samples": 1}),
        w.site([], {"allocated_bytes": 7, "allocated_blocks": 1000, "samples": 1}),
        w.site([(None, 0x7F0012345678), in_main], {"allocated_bytes": 5, "live_bytes": 1,
                                                   "samples": 1}),
    ]
    threads = [
        w.series(f"thread/{name}/{figure}", "bytes", interval, 5, values)
        for name, interval, series in (
            ("a/b/1 \x1b/77", 100_000_000, ([4096, 8192], [100, 300], [0, 100], [2, 4])),
            ("a/b/1 \x1b/77", 60_000_000_000, ([1], [1000], [1000], [1000])),
            ("/79", 100_000_000, ([0], [5], [5], [5])),
            ("others/0", 100_000_000, ([10], [90000], [1], [50])))
        for figure, values in zip(("live_bytes", "allocated_bytes_rate", "freed_bytes_rate",
                                   "allocations_rate"), series)]
    threads += [w.series(name, "bytes", 1000, 5, [1]) for name in (
        "thread", "thread/", "thread//", "thread/x", "thread/x/live_bytes", "thread/x/y/live_bytes",
        "thread/1/live_bytes", "thread/x/1/", "threads/x/1/live_bytes")]
    page = offset & ~4095
    rows = [(0x555555554000 + page, (offset + size - page + 4095) & ~4095, page, build_id, program)]
    with open(out, "wb") as file:
        file.write(w.file_of([
            w.meta(program=program, command=program + " \x1b[31m", pid=77, rate=524288,
                   duration_ns=1_500_000_000, time_ns=1_700_000_000_000_000_000),
            w.modules(rows), w.sites(sites[:2]), w.sites(sites[2:]),
            w.series("live_bytes", "bytes", 1000, 5, [3, 1, 2]), *threads, w.stats('{"a": [1]}')]))


main()
