# SPDX-License-Identifier: MIT
"""Tests of judging.py: what judge prints, means over traces and settings, verdicts."""

import unittest

from judging import (CHOOSING, HELD_BACK, best_single, halves_of, losses_by_setting, mean_distance,
                     over_settings, parse, requirements)

TEXT = """series\t1000\t1048576
forecast\t10\t4\tlast\talone\t50\t0.02\t0.8
forecast\t10\t4\tbank\talone\t50\t0.01\t0.9
oracle\t1000
policy\tpeak-1s\tthe baseline\t3000\t1\t2\t3\t4\t5\t6
"""


def trace(name, half, last, bank, asked=50, keeper=1200.0, baseline=2400.0):
    losses = (("last", "alone", last), ("last", "margin", last / 2), ("peak-1s", "alone", 1.0),
              ("bank", "alone", bank), ("upper", "alone", bank))
    return {"name": name, "half": half,
            "forecasts": [{"step_ms": 10, "horizon": 4, "name": who, "mode": mode, "asked": asked,
                           "loss": loss, "coverage": 0.9} for who, mode, loss in losses],
            "accounts": [{"oracle_ns": 1000.0, "policies": {"keeper": {"ns": keeper},
                                                            "peak-1s": {"ns": baseline}}}]}


class Judging(unittest.TestCase):
    def test_lines_are_read(self):
        found = parse(TEXT)
        self.assertEqual((found["ms"], found["peak_bytes"], found["oracle_ns"]),
                         (1000, 1048576, 1000))
        self.assertEqual([f["loss"] for f in found["forecasts"]], [0.02, 0.01])
        self.assertEqual(found["policies"]["peak-1s"],
                         {"ns": 3000, "faults": 1, "readied": 2, "wasted": 3, "returned": 4,
                          "kept_page_ms": 5, "looks": 6, "about": "the baseline"})

    def test_each_trace_counts_once_and_short_ones_not(self):
        traces = [trace("a", CHOOSING, 0.04, 0.01), trace("b", CHOOSING, 0.08, 0.03),
                  trace("c", CHOOSING, 9.0, 9.0, asked=9)]
        [(setting, count, losses, coverage)] = losses_by_setting(traces)
        self.assertEqual((setting, count), ((10, 4), 2))
        self.assertAlmostEqual(losses["last", "alone"], 6)
        self.assertAlmostEqual(losses["bank", "alone"], 2)
        self.assertAlmostEqual(coverage, 0.9)

    def test_neither_the_bank_nor_its_band_is_a_single_forecaster(self):
        losses = over_settings(losses_by_setting([trace("a", CHOOSING, 0.04, 0.01)]))
        loss, who = best_single(losses)
        self.assertEqual(who, ("last", "margin"))
        self.assertAlmostEqual(loss, 2)
        self.assertEqual(best_single(losses, ("alone",))[1], ("last", "alone"))

    def test_verdicts_are_of_each_half(self):
        traces = [trace("a", CHOOSING, 0.04, 0.01), trace("b", HELD_BACK, 0.04, 0.03, keeper=2000)]
        halves = halves_of(traces)
        self.assertEqual(list(halves), [CHOOSING, HELD_BACK, "all"])
        self.assertAlmostEqual(mean_distance(halves["all"], "keeper"), 1.6)
        values = {(what.split(",")[0], half): (value, limit)
                  for what, limit, value, half in requirements(halves)}
        self.assertEqual(values["cost over the oracle's", HELD_BACK], (2.0, 1.35))
        self.assertAlmostEqual(values["cost over the recent-peak rule's", CHOOSING][0], 0.5)
        pinball = [value for what, _, value, half in requirements(halves)
                   if what.startswith("pinball") and half == HELD_BACK]
        self.assertAlmostEqual(pinball[0], 0.75)  # 3 % to the last level's 4
        self.assertAlmostEqual(pinball[1], 1.5)  # to 2 with a margin


if __name__ == "__main__":
    unittest.main()
