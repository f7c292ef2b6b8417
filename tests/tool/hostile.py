#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hostile.py PROGRAM SYMBOL OUT: a profile in which every text tries to get out of where it is put.

The one site is in the program's function of that name; the other texts are those below.
"""

import re
import subprocess
import sys

import tide_write as w

NAMES = ("</script><script>hostile()</script>", "<img src=x onerror=hostile()>",
         "\"'&<>`${hostile()}", "]]><!--", "\x1b[31m\x01\x7f", "&lt;script&gt;",
         "javascript:hostile()")


def main():
    program, symbol, out = sys.argv[1:]
    listed = subprocess.run(["nm", program], check=True, capture_output=True, text=True).stdout
    address = next(int(line.split(" ", 2)[0], 16) for line in listed.splitlines()
                   if line.split(" ", 2)[2:] == [symbol])
    notes = subprocess.run(["readelf", "-n", program], check=True, capture_output=True, text=True)
    build_id = bytes.fromhex(re.search(r"Build ID: ([0-9a-f]+)", notes.stdout)[1])
    text = "".join(NAMES)
    bad = b"\xff\xc0\x80\xef\xbf\xbf" + text.encode()
    paths = [program.encode(), bad]
    figures = {"allocated_bytes": 5000, "allocated_blocks": 5000, "live_bytes": 4000,
               "live_blocks": 4000, "growth_bytes": 3000, "samples": 5}
    site = w.site([(0, address + 4), (1, 0x1234), (None, 0x5678)], figures, [[0, 1000], [], [4000]])
    meta = w.section("META", b"".join(w.text(t) for t in (
        "program", bad, "command", bad, text, text, "time_ns", "9" * 30, "start_ns", text,
        "rate", text)))
    rows = [(0x1000 + (i << 32), 0x1000000, 0, build_id if i == 0 else b"", path)
            for i, path in enumerate(paths)]
    sections = [meta, w.modules(rows), w.sites([site]), w.stats(text)]
    for name, unit in ((text, text), ("live_bytes", "bytes"), (f"thread/{text}/1/x", "bytes")):
        sections.append(w.series(name, unit, 100_000_000, 1_700_000_000_000_000_000, [1, 5, 3]))
    sections.append(w.series("live_bytes", "bytes", 0, 5, [1, 2]))
    sections.append(w.series("resident_bytes", "bytes", 100_000_000, 1 << 63, [1, 1 << 62]))
    with open(out, "wb") as file:
        file.write(w.file_of(sections))


main()
