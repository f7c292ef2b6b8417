# SPDX-License-Identifier: MIT
# Makes reference.h: what R and its package forecast say about the same series, for test_smooth.c and
# test_ar.c. The tests need the header only.
#
#   Rscript tests/unit/predict/reference.R > tests/unit/predict/reference.h
#
# Parameters are fixed, or read back from what R optimised, together with the first states, so that
# what is compared are the recursions. Made with R 4.2.2 and forecast 8.20.
suppressMessages(library(forecast))

n <- 60
ahead <- 12

# A level, a ramp, a wave, a step and what looks like noise; integers, so that both sides read the
# same numbers.
t <- 0:(n - 1)
x <- round(1e6 * (50 + t + 20 * sin(2 * pi * t / 11) + ifelse(t >= 30, 25, 0) + (t * 7919) %% 13))

# A slow ramp with noise, where thetaf finds a gain between its bounds.
noise <- ((t * t * 31 + t * 17) %% 101) / 101 + ((t * t * t * 7 + 3) %% 97) / 97
y <- round(1e6 * (80 + 0.4 * t + 3 * cumsum(noise - mean(noise)) + 9 * noise))

number <- function(v) sprintf("%.17g", v)
scalar <- function(name, v, what) {
  cat(sprintf("#define REFERENCE_%s %s /* %s */\n", name, number(v), what))
}
vector <- function(name, v) {
  lines <- split(number(v), (seq_along(v) - 1) %/% 4)
  text <- vapply(lines, paste, "", collapse = ", ")
  cat(sprintf("\nstatic TIDE_UNUSED const double reference_%s[%d] = {\n    %s};\n", name,
              length(v), paste(text, collapse = ",\n    ")))
}

cat("/* SPDX-License-Identifier: MIT */\n")
cat("/* Made by reference.R; not to be edited. */\n")
cat("#ifndef TIDE_TESTS_UNIT_PREDICT_REFERENCE_H\n")
cat("#define TIDE_TESTS_UNIT_PREDICT_REFERENCE_H\n\n")
cat('#include "base/compiler.h"\n\n')
cat("/* clang-format off */\n")

# Simple exponential smoothing; the first level is the first value.
simple <- ses(x, h = ahead, alpha = 0.3, initial = "simple")
scalar("SES_GAIN", 0.3, "ses(alpha), initial = simple")

# Holt's linear trend: the first level is the first value, the first trend the first difference.
linear <- holt(x, h = ahead, alpha = 0.4, beta = 0.25, initial = "simple")
scalar("HOLT_GAIN", 0.4, "holt(alpha), initial = simple")
scalar("HOLT_BETA", 0.25, "holt(beta): the gain of the trend is the product of both")

# Damped: first states as ets found them.
damped <- ets(x, model = "AAN", damped = TRUE, alpha = 0.4, beta = 0.1, phi = 0.9, bounds = "admissible")
scalar("DAMPED_GAIN", 0.4, "ets(model = AAN, damped = TRUE, alpha)")
scalar("DAMPED_TREND", 0.1, "ets(beta)")
scalar("DAMPED_DAMPING", 0.9, "ets(phi)")
scalar("DAMPED_LEVEL", damped$initstate[[1]], "ets()$initstate")
scalar("DAMPED_SLOPE", damped$initstate[[2]], "ets()$initstate")

# Theta: gain and first level as ses found them inside of thetaf.
theta <- thetaf(y, h = ahead)
inner <- ses(y, h = ahead)
scalar("THETA_GAIN", theta$model$alpha[[1]], "thetaf()$model$alpha")
scalar("THETA_LEVEL", inner$model$initstate[[1]], "ses()$model$initstate")
scalar("THETA_DRIFT", theta$model$drift[[1]], "thetaf()$model$drift")

# AR(4) of the differences by least squares, no mean; its path by the recursion.
d <- diff(x)
fit <- ar.ols(d, aic = FALSE, order.max = 4, demean = FALSE, intercept = FALSE)
path <- x[n] + cumsum(predict(fit, newdata = d, n.ahead = ahead)$pred)

# The same with weights memory^age.
memory <- 0.9
scalar("AR_MEMORY", memory, "weights of lm.wfit by age")
lags <- embed(d, 5)
decayed <- lm.wfit(lags[, -1], lags[, 1], memory^((nrow(lags) - 1):0))

cat(sprintf("#define REFERENCE_AHEAD %d\n", ahead))
vector("series", x)
vector("theta_series", y)
vector("ses", as.numeric(simple$mean))
vector("ses_fitted", as.numeric(simple$fitted))
vector("holt", as.numeric(linear$mean))
vector("holt_fitted", as.numeric(linear$fitted))
vector("damped", as.numeric(forecast(damped, h = ahead)$mean))
vector("damped_fitted", as.numeric(damped$fitted))
vector("theta", as.numeric(theta$mean))
vector("ar_coefficient", as.numeric(fit$ar))
vector("ar_decayed_coefficient", as.numeric(decayed$coefficients))
vector("ar", as.numeric(path))
cat("\n/* clang-format on */\n\n#endif\n")
