/* SPDX-License-Identifier: MIT */
/*
 * The .tide file: a profile that can be read after the process is gone, on another machine.
 *
 *   file     = magic version sections end
 *   magic    = 89 'T' 'I' 'D' 'E' 0d 0a 1a                   (damaged by text-mode copies: seen)
 *   version  = one byte, PROFILE_VERSION; then three zero bytes
 *   section  = tag (4 letters) length (32 bits) payload checksum (32 bits)
 *
 * Integers of fixed width are little-endian. The checksum is CRC-32 (zlib's) of tag, length and
 * payload. Everything in a payload is an unsigned LEB128 varint, a signed one (zigzag: 0 -1 1 -2
 * are 0 1 2 3), or a text (varint length, bytes, no end mark). Unknown sections are skipped, what
 * stands in a payload behind the known fields is skipped, missing figures are 0. A file without the
 * END section is incomplete: what came before is still good.
 *
 *   META  key text, value text, ... : program, command, pid, start_ns, time_ns (both since 1970),
 *         duration_ns, rate (bytes), tool (version of the library), unit texts; decimal numbers
 *   MODS  count, then for each: start address, size, file offset of start, build-id text (raw
 *         bytes), path text. The main program is the first. Executable mappings only.
 *   SITE  count, then for each: frame count, frames innermost first, then the figures, then the
 *         histograms. A frame is: module index + 1 and the offset in the file; or 0 and an
 *         address (no module: generated code). Offsets are those of the call, not of the return.
 *         Figures: their count, then each as a signed varint in the order of figures.def.
 *         Histograms: their count, then each as bucket count and buckets (blocks in thousandths):
 *           0  lifetime by time:  bucket i < PROFILE_DECADES - 1: below 10^i microseconds
 *           1  lifetime by bytes allocated meanwhile, process-wide: below 10^(i + 3) bytes
 *           2  the age of live blocks, as 0: their lifetimes are at least that (censored)
 *           3  size: up to 2^(i + 4) bytes
 *         The first site of the file is the overflow site when it has no frames: samples for
 *         which there was no room in the table. May come several times; sites are added up.
 *   SERI  name text, unit text, interval in nanoseconds, time of the first value, count, values as
 *         signed differences. Names: live_bytes, allocated_bytes_rate, freed_bytes_rate,
 *         allocations_rate, resident_bytes, retained_bytes (free, and still resident);
 *         "thread/NAME/TID/" before the name for one of a thread
 *         (NAME may have slashes; "thread/others/0/": all threads without one of their own; the
 *         live bytes are those that it allocated, the freed ones those that it freed);
 *         "forecast/" before those of keeper/outlook.def, -1 where a value is not known: forecasts
 *         stand at the end of the time they are for, so that the last ones are of the future
 *   STAT  the allocator's statistics, as JSON text
 *   END!  number of sections before it
 */
#ifndef TIDE_PROFILE_FORMAT_H
#define TIDE_PROFILE_FORMAT_H

#include <stdint.h>

#define PROFILE_MAGIC "\x89TIDE\r\n\x1a"
#define PROFILE_MAGIC_BYTES 8
#define PROFILE_VERSION 1
#define PROFILE_DECADES 13
#define PROFILE_SIZE_BUCKETS 37
#define PROFILE_FRAMES_MAX 256

enum profile_histogram {
    PROFILE_LIFETIME_NS = 0,
    PROFILE_LIFETIME_BYTES = 1,
    PROFILE_AGE_NS = 2,
    PROFILE_SIZES = 3,
    PROFILE_HISTOGRAMS = 4,
};

struct profile_figures {
#define PROFILE_FIGURE(name, unit, text) int64_t name;
#include "profile/figures.def"
#undef PROFILE_FIGURE
};
#define PROFILE_FIGURE_COUNT (sizeof(struct profile_figures) / sizeof(int64_t))

#endif
