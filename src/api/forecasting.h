/* SPDX-License-Identifier: MIT */
/* What the keeper forecasts (keeper/outlook.h), as statistics and profiles have it. */
#ifndef TIDE_API_FORECASTING_H
#define TIDE_API_FORECASTING_H

#include "base/fmt.h"

struct writer;

/* A JSON array with an object for each arena, of which there is one. */
void forecasting_write_json(fmt_t *out);
/* SERI sections (profile/format.h); none while nothing is forecast. */
void forecasting_write_series(struct writer *w);

#endif
