# SPDX-License-Identifier: MIT
"""A small reader of .tide files for the tests, written from src/profile/format.h alone."""

import struct
import subprocess
import zlib

FIGURES = ("allocated_bytes allocated_blocks live_bytes live_blocks peak_live_bytes growth_bytes "
           "freed_same_blocks freed_other_blocks samples live_samples").split()


class Payload:
    def __init__(self, data):
        self.data, self.at = data, 0

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self):
        value = self.unsigned()
        return value >> 1 ^ -(value & 1)

    def text(self):
        size = self.unsigned()
        self.at += size
        assert self.at <= len(self.data)
        return self.data[self.at - size:self.at]

    def left(self):
        return self.at < len(self.data)


class Tide:
    """Raises ValueError for what is no complete file."""

    def __init__(self, data):
        self.meta, self.modules, self.sites, self.series, self.stat = {}, [], [], {}, None
        if data[:8] != b"\x89TIDE\r\n\x1a" or data[8:12] != b"\1\0\0\0":
            raise ValueError("no .tide file of version 1")
        at, sections, ended = 12, 0, False
        while at < len(data):
            if ended or at + 12 > len(data):
                raise ValueError("truncated, or more behind the end")
            tag, size = struct.unpack_from("<4sI", data, at)
            if at + 12 + size > len(data):
                raise ValueError("truncated")
            body = data[at + 8:at + 8 + size]
            checksum, = struct.unpack_from("<I", data, at + 8 + size)
            if zlib.crc32(data[at:at + 8 + size]) != checksum:
                raise ValueError("checksum")
            at += 12 + size
            if tag == b"END!":
                ended = Payload(body).unsigned() == sections
            else:
                self.take(tag, Payload(body))
            sections += 1
        if not ended:
            raise ValueError("no END")

    def take(self, tag, p):
        if tag == b"META":
            while p.left():
                key = p.text().decode()
                self.meta[key] = p.text().decode()
        elif tag == b"MODS":
            for _ in range(p.unsigned()):
                self.modules.append((p.unsigned(), p.unsigned(), p.unsigned(), p.text().hex(),
                                     p.text().decode()))
        elif tag == b"SITE":
            for _ in range(p.unsigned()):
                frames = [(p.unsigned(), p.unsigned()) for _ in range(p.unsigned())]
                figures = dict(zip(FIGURES, [p.signed() for _ in range(p.unsigned())]))
                histograms = [[p.unsigned() for _ in range(p.unsigned())]
                              for _ in range(p.unsigned())]
                self.sites.append((frames, figures, histograms))
        elif tag == b"SERI":
            name, unit, interval, first = p.text(), p.text(), p.unsigned(), p.unsigned()
            values, value = [], 0
            for _ in range(p.unsigned()):
                value += p.signed()
                values.append(value)
            self.series[name.decode(), interval] = (unit.decode(), first, values)
        elif tag == b"STAT":
            self.stat = p.text()
        assert not p.left() or tag not in (b"META", b"MODS", b"SITE", b"SERI", b"STAT"), tag

    def total(self, name):
        return sum(figures[name] for _, figures, _ in self.sites)

    def functions(self):
        """For each site the names of its frames, innermost first."""
        wanted, names = {}, {}
        for frames, _, _ in self.sites:
            for module, offset in frames:
                wanted.setdefault(module, set()).add(offset)
        for module, offsets in wanted.items():
            path = self.modules[module - 1][4] if module else ""
            if not path.startswith("/"):
                continue
            offsets = sorted(offsets)
            lines = subprocess.run(
                ["addr2line", "-f", "-e", path] + [hex(vaddr(path, o)) for o in offsets],
                capture_output=True, text=True).stdout.splitlines()
            names.update({(module, o): lines[2 * i] for i, o in enumerate(offsets)
                          if 2 * i < len(lines)})
        return [[names.get(frame, "??") for frame in frames] for frames, _, _ in self.sites]


segments = {}


def vaddr(path, offset):
    """The address that the linker gave what stands at this offset of the file."""
    if path not in segments:
        data = open(path, "rb").read()
        phoff, = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        heads = [struct.unpack_from("<IIQQQQ", data, phoff + i * size) for i in range(count)]
        segments[path] = [(h[2], h[2] + h[5], h[3]) for h in heads if h[0] == 1]
    for begin, end, address in segments[path]:
        if begin <= offset < end:
            return address + offset - begin
    return offset


def read(path):
    with open(path, "rb") as f:
        return Tide(f.read())
