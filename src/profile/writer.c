/* SPDX-License-Identifier: MIT */
/* See writer.h. */
#include "profile/writer.h"

#include <errno.h>
#include <string.h>

#include "base/bits.h"
#include "os/os.h"
#include "profile/format.h"

#define FIRST_BYTES ((size_t)128 << 10)
#define HEAD_BYTES 8u /* tag and length */
#define VARINT_MAX 10u

uint32_t
crc32_of(uint32_t crc, const void *bytes, size_t len)
{
    /* Half a byte at a time: as fast as the file is written, and 64 bytes of table. */
    static const uint32_t table[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    const unsigned char *p = bytes;

    crc = ~crc;
    while (len-- > 0) {
        crc ^= *p++;
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static bool
make_room(writer_t *w, size_t len)
{
    size_t size = w->size == 0 ? FIRST_BYTES : w->size;
    char *buffer;

    if (w->error != 0) {
        return false;
    }
    if (w->size - w->used >= len) {
        return true;
    }
    while (size - w->used < len) {
        size *= 2;
    }
    buffer = os_map(size, "tidemalloc profile: file");
    if (buffer == NULL) {
        w->error = ENOMEM;
        return false;
    }
    if (w->size > 0) {
        memcpy(buffer, w->buffer, w->used);
        os_unreserve(w->buffer, w->size);
    }
    w->buffer = buffer;
    w->size = size;
    return true;
}

static void
put(writer_t *w, const void *bytes, size_t len)
{
    if (make_room(w, len)) {
        memcpy(w->buffer + w->used, bytes, len);
        w->used += len;
    }
}

static void
encode_32(unsigned char *to, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++) {
        to[i] = (unsigned char)(value >> 8 * i);
    }
}

static size_t
encode(unsigned char *to, uint64_t value)
{
    size_t len = 0;

    while (value >= 0x80) {
        to[len++] = (unsigned char)(value | 0x80);
        value >>= 7;
    }
    to[len++] = (unsigned char)value;
    return len;
}

static void
send(writer_t *w)
{
    if (w->error == 0) {
        w->error = fmt_write_fd(w->fd, w->buffer, w->used);
    }
    w->used = 0;
}

void
writer_begin(writer_t *w, int fd)
{
    static const char version[4] = {PROFILE_VERSION};

    *w = (writer_t){.fd = fd};
    put(w, PROFILE_MAGIC, PROFILE_MAGIC_BYTES);
    put(w, version, sizeof version);
    send(w);
}

void
writer_section(writer_t *w, const char *tag)
{
    w->used = 0;
    put(w, tag, 4);
    put(w, "\0\0\0", 4);
}

void
writer_unsigned(writer_t *w, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];

    put(w, bytes, encode(bytes, value));
}

void
writer_signed(writer_t *w, int64_t value)
{
    writer_unsigned(w, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

void
writer_text(writer_t *w, const char *text, size_t len)
{
    writer_unsigned(w, len);
    put(w, text, len);
}

void
writer_string(writer_t *w, const char *text)
{
    writer_text(w, text, strlen(text));
}

void
writer_number(writer_t *w, uint64_t value)
{
    char text[24];
    fmt_t out;

    fmt_init_buffer(&out, text, sizeof text);
    fmt_u64(&out, value);
    writer_string(w, text);
}

size_t
writer_payload(const writer_t *w)
{
    return w->used < HEAD_BYTES ? 0 : w->used - HEAD_BYTES;
}

void
writer_unsigned_first(writer_t *w, uint64_t value)
{
    unsigned char bytes[VARINT_MAX];
    size_t len = encode(bytes, value);

    if (make_room(w, len)) {
        memmove(w->buffer + HEAD_BYTES + len, w->buffer + HEAD_BYTES, writer_payload(w));
        memcpy(w->buffer + HEAD_BYTES, bytes, len);
        w->used += len;
    }
}

int
writer_sink(void *writer, const char *text, size_t len)
{
    writer_t *w = writer;

    put(w, text, len);
    return w->error;
}

void
writer_section_end(writer_t *w)
{
    unsigned char checksum[4];

    if (writer_payload(w) > UINT32_MAX) {
        w->error = EFBIG;
    }
    if (w->error == 0) {
        encode_32((unsigned char *)w->buffer + 4, (uint32_t)writer_payload(w));
        encode_32(checksum, crc32_of(0, w->buffer, w->used));
    }
    put(w, checksum, sizeof checksum);
    w->sections++;
    send(w);
}

int
writer_finish(writer_t *w)
{
    uint32_t before = w->sections;

    writer_section(w, "END!");
    writer_unsigned(w, before);
    writer_section_end(w);
    if (w->size > 0) {
        os_unreserve(w->buffer, w->size);
    }
    w->size = 0;
    return w->error;
}
