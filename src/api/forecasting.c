/* SPDX-License-Identifier: MIT */
/* See forecasting.h. Tables of names come from keeper/outlook.def, as the fields do. */
#include "api/forecasting.h"

#include <string.h>

#include "keeper/outlook.h"
#include "os/os.h"
#include "profile/writer.h"
#include "types.h"

struct field {
    char name[32];
    size_t offset; /* in struct outlook */
};

TIDE_COLD_DATA static const struct field fields[] = {
#define OUTLOOK_FIGURE(name, unit, brief) {#name, offsetof(struct outlook, name)},
#include "keeper/outlook.def"
};

TIDE_COLD_DATA static const char series_names[OUTLOOK_SERIES_COUNT][24] = {
#define OUTLOOK_SERIES(name, shift, brief) "forecast/" #name,
#include "keeper/outlook.def"
};

TIDE_COLD_DATA static const char states[][12] = {
    [OUTLOOK_OFF] = "off", [OUTLOOK_LEARNING] = "learning", [OUTLOOK_READY] = "forecasting"};

static void
write_weights(fmt_t *out, const struct outlook *outlook)
{
    fmt_str(out, ",\n   \"weights_ppm\":{");
    for (unsigned i = 0; i < FORECASTER_KINDS; i++) {
        fmt_printf(out, "%s\"%s\":", i == 0 ? "" : ",", forecaster_name((enum forecaster_kind)i));
        fmt_u64(out, outlook->weight_ppm[i]);
    }
    fmt_char(out, '}');
}

TIDE_COLD void
forecasting_write_json(fmt_t *out)
{
    struct outlook outlook;

    outlook_look(&outlook);
    fmt_printf(out,
               "[\n  {\"arena\":\"default\",\"state\":\"%s\",\"acts\":false,\"keep_reason\":\"%s\"",
               states[outlook.state], outlook.keep_reason);
    fmt_printf(out, ",\"rise_reason\":\"%s\"", outlook.rise_reason);
    for (size_t i = 0; i < TIDE_ARRAY_LEN(fields); i++) {
        int64_t value;

        memcpy(&value, (const char *)&outlook + fields[i].offset, sizeof value);
        fmt_printf(out, ",\n   \"%s\":", fields[i].name);
        fmt_i64(out, value);
    }
    write_weights(out, &outlook);
    fmt_str(out, "}]");
}

static void
write_values(writer_t *w, const uint32_t *values, uint32_t count)
{
    int64_t before = 0;

    for (uint32_t i = 0; i < count; i++) {
        int64_t value = values[i] == OUTLOOK_UNKNOWN ? -1 : (int64_t)values[i] << SLICE_SHIFT;

        writer_signed(w, value - before);
        before = value;
    }
}

TIDE_COLD void
forecasting_write_series(struct writer *w)
{
    uint32_t values[OUTLOOK_HISTORY];

    for (unsigned i = 0; i < OUTLOOK_SERIES_COUNT; i++) {
        struct outlook_view view = outlook_history((enum outlook_series)i, values);

        if (view.count == 0) {
            continue;
        }
        writer_section(w, "SERI");
        writer_string(w, series_names[i]);
        writer_string(w, "bytes");
        writer_unsigned(w, view.interval_ns);
        writer_unsigned(w, os_real_ns() + (view.first_ns - os_now_ns()));
        writer_unsigned(w, view.count);
        write_values(w, values, view.count);
        writer_section_end(w);
    }
}
