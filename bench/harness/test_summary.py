# SPDX-License-Identifier: MIT
"""Tests of summary.py: python3 -m unittest discover -s bench/harness

Small literal documents; exact figures where the arithmetic is exact.
"""

import unittest

from summary import Summary, geometric_mean, quantile, requirements


def benchmark(name, walls, memory=None, **more):
    """walls and memory: {allocator: [figure of each round]}."""
    results = {}
    for peer, values in walls.items():
        kib = (memory or {}).get(peer, [10000] * len(values))
        results[peer] = {"samples": [{"wall_ns": wall, "hwm_kib": hwm}
                                     for wall, hwm in zip(values, kib)]}
    return {"name": name, "kind": "micro", "scored": True, "idle_gate": False,
            "results": results, **more}


def document(*benchmarks, names=("glibc", "mimalloc", "tide"), **more):
    return {"subject": "tide", "left_out": [], "peers": [{"name": name} for name in names],
            "benchmarks": list(benchmarks), **more}


def row_of(doc, start):
    return next(row for row in requirements(Summary(doc)) if row["what"].startswith(start))


class Figures(unittest.TestCase):
    def test_quantile_interpolates(self):
        self.assertEqual(quantile([3, 1, 2], 0.5), 2)
        self.assertEqual(quantile([1, 2, 3, 4], 0.5), 2.5)
        self.assertEqual(quantile([7], 0.25), 7)

    def test_geometric_mean(self):
        self.assertAlmostEqual(geometric_mean([0.5, 2.0]), 1.0)
        self.assertIsNone(geometric_mean([]))


class Requirements(unittest.TestCase):
    def test_wall_mean_passes_when_below_limit_and_every_peer(self):
        doc = document(benchmark("a", {"glibc": [200], "mimalloc": [100], "tide": [80]}))
        self.assertEqual(row_of(doc, "geometric mean of wall")["result"], "PASS")

    def test_wall_mean_fails_when_another_peer_is_faster(self):
        doc = document(benchmark("a", {"glibc": [70], "mimalloc": [100], "tide": [80]}))
        self.assertEqual(row_of(doc, "geometric mean of wall")["result"], "FAIL")

    def test_worst_names_benchmark_and_rival(self):
        doc = document(benchmark("a", {"glibc": [100], "mimalloc": [90], "tide": [80]}),
                       benchmark("b", {"glibc": [100], "mimalloc": [200], "tide": [150]}))
        row = row_of(doc, "worst single benchmark")
        self.assertEqual((row["value"], row["result"]), ("1.500", "FAIL"))
        self.assertIn("b 1.50 (glibc)", row["detail"])

    def test_worst_says_when_the_spread_touches_the_limit(self):
        doc = document(benchmark("a", {"glibc": [900, 900, 900], "mimalloc": [90, 100, 130],
                                       "tide": [100, 110, 120]}))
        self.assertIn("within spread", row_of(doc, "worst single benchmark")["detail"])

    def test_variants_of_the_subject_are_no_rivals(self):
        doc = document(benchmark("a", {"mimalloc": [100], "tide": [80], "tide-old": [40]}),
                       names=("mimalloc", "tide", "tide-old"))
        doc["left_out"] = ["tide-old"]
        self.assertEqual(row_of(doc, "worst single benchmark")["result"], "PASS")

    def test_benchmarks_not_scored_are_in_no_mean(self):
        doc = document(benchmark("a", {"glibc": [200], "mimalloc": [100], "tide": [80]}),
                       benchmark("b", {"glibc": [1], "mimalloc": [1], "tide": [100]},
                                 scored=False))
        self.assertEqual(row_of(doc, "worst single benchmark")["result"], "PASS")

    def test_failed_allocator_has_no_figures_and_fails_correctness(self):
        doc = document(benchmark("a", {"glibc": [200], "mimalloc": [100], "tide": [80]}))
        doc["benchmarks"][0]["results"]["tide"]["error"] = "exit status 139"
        self.assertEqual(row_of(doc, "geometric mean of wall")["result"], "n/a")
        self.assertEqual(row_of(doc, "every benchmark")["result"], "FAIL")

    def test_idle_share_is_the_worst_of_the_marked(self):
        def burst(name, idle):
            sample = {"wall_ns": 1, "hwm_kib": 1000, "rss_peak_kib": 1000, "rss_idle_kib": idle}
            return {"name": name, "kind": "micro", "scored": True, "idle_gate": True,
                    "results": {"tide": {"samples": [sample]}}}

        row = row_of(document(burst("a", 200), burst("b", 400)), "RSS 2 s")
        self.assertEqual((row["value"], row["result"]), ("0.400", "FAIL"))

    def test_instructions_compare_with_mimalloc(self):
        doc = document(instructions={"mimalloc": 51.0, "tide": 51.0},
                       instructions_alone={"mimalloc": 112.0, "tide": 51.0})
        self.assertEqual(row_of(doc, "instructions")["result"], "PASS")


if __name__ == "__main__":
    unittest.main()
