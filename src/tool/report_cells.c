/* SPDX-License-Identifier: MIT */
/* Figures in units that people read. */
#include <inttypes.h>
#include <math.h>

#include "tool/report.h"

const char *
report_cell(char *text, int64_t value, enum report_unit unit, bool sign)
{
    static const char *const bytes[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    static const char *const blocks[] = {"", "k", "M", "G", "T", "P", "E"};
    double step = unit == REPORT_BYTES ? 1024 : 1000, v = (double)value;
    size_t power = 0;

    v = unit == REPORT_BLOCKS ? v / 1000 : v;
    if (unit == REPORT_COUNT) {
        snprintf(text, REPORT_CELL, sign ? "%+" PRId64 : "%" PRId64, value);
        return text;
    }
    for (; fabs(v) >= (unit == REPORT_BYTES ? 1024 : 10000) && power < 6; power++) {
        v /= step;
    }
    snprintf(text, REPORT_CELL, sign ? "%+.*f%s%s" : "%.*f%s%s", power > 0 && fabs(v) < 100 ? 1 : 0,
             v, unit == REPORT_BYTES ? " " : "",
             unit == REPORT_BYTES ? bytes[power] : blocks[power]);
    return text;
}

const char *
report_duration(char *text, uint64_t ns)
{
    double s = (double)ns / 1e9;

    if (s < 1) {
        snprintf(text, REPORT_CELL, "%.0f ms", s * 1e3);
    } else if (s < 600) {
        snprintf(text, REPORT_CELL, "%.1f s", s);
    } else if (s < 48 * 3600) {
        snprintf(text, REPORT_CELL, "%.1f h", s / 3600);
    } else {
        snprintf(text, REPORT_CELL, "%.1f days", s / 86400);
    }
    return text;
}

size_t
report_half_life(struct profile_site *site)
{
    const int64_t *died = profile_histogram(site, PROFILE_LIFETIME_NS);
    const int64_t *alive = profile_histogram(site, PROFILE_AGE_NS);
    double at_risk = 0, survived = 1;

    for (size_t i = 0; i < PROFILE_DECADES; i++) {
        at_risk += (double)died[i] + (double)alive[i];
    }
    if (at_risk == 0) {
        return REPORT_NO_HALF_LIFE;
    }
    for (size_t i = 0; i < PROFILE_DECADES && at_risk > 0; i++) {
        survived *= 1 - (double)died[i] / at_risk;
        at_risk -= (double)died[i] + (double)alive[i];
        if (survived <= 0.5) {
            return i;
        }
    }
    return REPORT_STAYS;
}

const char *
report_half_life_text(size_t half_life)
{
    static const char *const texts[] = {"< 1 us",
                                        "< 10 us",
                                        "< 100 us",
                                        "< 1 ms",
                                        "< 10 ms",
                                        "< 100 ms",
                                        "< 1 s",
                                        "< 10 s",
                                        "< 2 min",
                                        "< 17 min",
                                        "< 3 h",
                                        "< 28 h",
                                        "days",
                                        [REPORT_STAYS] = "stays",
                                        [REPORT_NO_HALF_LIFE] = ""};

    return texts[half_life];
}
