/* SPDX-License-Identifier: MIT */
/* The client-error line; see report.h. Also the assert's last words. */
#include "heap/report.h"

#include <stdlib.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/assert.h"
#include "base/fmt.h"
#include "os/os.h"

const char REPORT_DOUBLE_FREE[] = "double free";
const char REPORT_INTERIOR[] = "interior pointer";
const char REPORT_FOREIGN[] = "foreign pointer";
const char REPORT_NOT_ALLOCATED[] = "not allocated";
const char REPORT_CORRUPTED[] = "corrupted free list";
const char REPORT_WRONG_SIZE[] = "wrong size";

bool report_aborts = true;
static uint64_t reports;  /* atomic(relaxed) */
static uint32_t reported; /* atomic(relaxed): with abort:false only the first is printed */

uint64_t
report_count(void)
{
    return atomic_load_relaxed(&reports);
}

static void
describe_block(struct fmt *f, const void *p, const span_t *span)
{
    if (span == NULL) {
        fmt_str(f, "outside every arena and not of the C library's heap");
    } else if (span == &span_none) {
        fmt_str(f, "arena memory that no block was ever in");
    } else if (span->kind == SPAN_NONE) {
        fmt_str(f, "its span was released; all its blocks were freed before");
    } else if (span->kind == SPAN_LARGE) {
        fmt_str(f, "large block of ");
        fmt_u64(f, span->bytes);
        fmt_str(f, " bytes at ");
        fmt_ptr(f, span->start);
    } else {
        size_t offset = (size_t)((const char *)p - span->start);

        fmt_str(f, "size class ");
        fmt_u64(f, span->block_size);
        fmt_str(f, ", block ");
        fmt_u64(f, offset / span->block_size);
        fmt_str(f, " of the span at ");
        fmt_ptr(f, span->start);
        if (offset % span->block_size != 0) {
            fmt_str(f, ", ");
            fmt_u64(f, offset % span->block_size);
            fmt_str(f, " bytes into it");
        }
    }
}

TIDE_COLD void
report_pointer(const char *function, const char *what, const void *p, const span_t *span)
{
    char text[320];
    struct fmt f;

    atomic_add_relaxed(&reports, 1);
    if (!report_aborts && atomic_exchange_acquire(&reported, 1) != 0) {
        return;
    }
    fmt_init_buffer(&f, text, sizeof text);
    fmt_str(&f, "tidemalloc: ");
    fmt_str(&f, function);
    fmt_str(&f, ": ");
    fmt_str(&f, what);
    fmt_str(&f, ": pointer ");
    fmt_ptr(&f, p);
    fmt_str(&f, " (");
    describe_block(&f, p, span);
    fmt_str(&f, ")\n");
    os_write(STDERR_FILENO, text, f.len);
    if (report_aborts) {
        abort();
    }
}

TIDE_COLD void
tide_assert_fail(const char *file, int line, const char *expression)
{
    char text[320];
    struct fmt f;

    fmt_init_buffer(&f, text, sizeof text);
    fmt_str(&f, "tidemalloc: assertion failed at ");
    fmt_str(&f, file);
    fmt_str(&f, ":");
    fmt_u64(&f, (size_t)line);
    fmt_str(&f, ": ");
    fmt_str(&f, expression);
    fmt_str(&f, "\n");
    os_write(STDERR_FILENO, text, f.len);
    abort();
}
