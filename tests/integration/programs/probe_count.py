# SPDX-License-Identifier: MIT
"""probe_count.py LIBRARY PROBE PROGRAM...: how often the kernel saw the probe in the program.

Sets a uprobe by perf_event_open, for that process alone. Ends with 77 where the kernel has none or
does not let us.
"""

import ctypes
import os
import re
import struct
import subprocess
import sys

SYSCALL = {"x86_64": 298, "aarch64": 241}[os.uname().machine]
UPROBE_TYPE = "/sys/bus/event_source/devices/uprobe/type"
ATTR_SIZE = 128
DISABLED, INHERIT, ENABLE_ON_EXEC = 1, 2, 1 << 12


def offset_of(library, probe):
    """Where in the file the probe's nop is."""
    notes = subprocess.run(["readelf", "-n", library], capture_output=True, text=True, check=True)
    (place,) = re.findall(rf"Name: {probe}\n\s*Location: (\w+)", notes.stdout)
    place = int(place, 16)
    lines = subprocess.run(["readelf", "-lW", library], capture_output=True, text=True, check=True)
    for offset, start, size in re.findall(r"LOAD\s+(\w+)\s+(\w+)\s+\w+\s+(\w+)", lines.stdout):
        if 0 <= place - int(start, 16) < int(size, 16):
            return place - int(start, 16) + int(offset, 16)
    raise SystemExit(f"{probe} is in no segment")


def main():
    """Forks, sets the probe on the child, and lets it go on to the program."""
    library, probe, *program = sys.argv[1:]
    if not os.path.exists(UPROBE_TYPE):
        print("this kernel has no uprobes")
        sys.exit(77)
    with open(UPROBE_TYPE, encoding="ascii") as file:
        kind = int(file.read())
    path = ctypes.create_string_buffer(library.encode())
    attr = struct.pack(
        "IIQQQQQ II QQ", kind, ATTR_SIZE, 0, 0, 0, 0, DISABLED | INHERIT | ENABLE_ON_EXEC,
        0, 0, ctypes.addressof(path), offset_of(library, probe)
    ).ljust(ATTR_SIZE, b"\0")
    begin, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(begin, 1)
        os.execvp(program[0], program)
    libc = ctypes.CDLL(None, use_errno=True)
    event = libc.syscall(SYSCALL, attr, child, -1, -1, 0)
    error = ctypes.get_errno()
    os.write(go, b"x")
    if os.waitpid(child, 0)[1] != 0:
        raise SystemExit("the program failed")
    if event < 0:
        print("perf_event_open:", os.strerror(error))
        sys.exit(77)
    print(struct.unpack("Q", os.read(event, 8))[0])


main()
