# SPDX-License-Identifier: MIT
"""Writes .tide files by src/profile/format.h alone, for the tests of the tool that reads them.

A file is a list of sections, so that a test can leave one out, damage it, or bring its own.
"""

import struct
import zlib

MAGIC = b"\x89TIDE\r\n\x1a"
FIGURES = ("allocated_bytes", "allocated_blocks", "live_bytes", "live_blocks", "peak_live_bytes",
           "growth_bytes", "freed_same_blocks", "freed_other_blocks", "samples", "live_samples")


def unsigned(value):
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def signed(value):
    return unsigned(value * 2 if value >= 0 else -value * 2 - 1)


def text(value):
    value = value.encode() if isinstance(value, str) else value
    return unsigned(len(value)) + value


def section(tag, payload):
    head = tag.encode() + struct.pack("<I", len(payload)) + payload
    return head + struct.pack("<I", zlib.crc32(head))


def meta(**values):
    return section("META", b"".join(text(k) + text(str(v)) for k, v in values.items()))


def modules(rows):
    """Rows of (start, size, file offset, build-id, path)."""
    return section("MODS", unsigned(len(rows)) + b"".join(
        unsigned(start) + unsigned(size) + unsigned(offset) + text(build_id) + text(path)
        for start, size, offset, build_id, path in rows))


def site(frames, figures=None, histograms=()):
    """Frames of (module index or None, offset); figures by name, blocks in thousandths."""
    figures = figures or {}
    out = unsigned(len(frames))
    for module, offset in frames:
        out += unsigned(0 if module is None else module + 1) + unsigned(offset)
    out += unsigned(len(FIGURES)) + b"".join(signed(figures.get(f, 0)) for f in FIGURES)
    out += unsigned(len(histograms))
    for buckets in histograms:
        out += unsigned(len(buckets)) + b"".join(unsigned(b) for b in buckets)
    return out


def sites(rows):
    return section("SITE", unsigned(len(rows)) + b"".join(rows))


def series(name, unit, interval_ns, time_ns, values):
    out = text(name) + text(unit) + unsigned(interval_ns) + unsigned(time_ns)
    out += unsigned(len(values))
    last = 0
    for value in values:
        out += signed(value - last)
        last = value
    return section("SERI", out)


def stats(value):
    return section("STAT", text(value))


def end(count):
    return section("END!", unsigned(count))


def file_of(sections, version=1):
    """A whole file of these sections."""
    return MAGIC + bytes((version, 0, 0, 0)) + b"".join(sections) + end(len(sections))
