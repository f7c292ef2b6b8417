# SPDX-License-Identifier: MIT
"""Tests of overhead.py and variants.py: python3 -m unittest discover -s bench/harness

Small literal documents; exact figures where the arithmetic is exact.
"""

import math
import unittest

import catalog
import overhead
import variants
from overhead import FAMILIES, Overheads, requirements
from profile_report import markdown

PEERS = [name for family in FAMILIES for name in (family.off, family.on, family.twin) if name]


def benchmark(name, **walls):
    """walls: tide_on=[figure of each round] …; a peer that is not named took 100 in each round."""
    results = {peer: {"samples": [{"wall_ns": wall, "cpu_us": wall, "ops": 1}
                                  for wall in walls.get(peer.replace("-", "_"), [100])]}
               for peer in PEERS}
    return {"name": name, "kind": "micro", "about": name, "scored": True, "results": results}


def document(*benchmarks, **more):
    return {"peers": [{"name": name, "version": "1", "path": "", "variables": {}}
                      for name in PEERS],
            "benchmarks": list(benchmarks), "pairs": {}, "samples": {}, "instructions": {},
            "every": [], "exceptions": [], "resident": [], "report": {}, "programs": [],
            "settings": {"rounds": 1, "rate": 524288}, "seconds": {}, **more}


def row_of(doc, start):
    return next(row for row in requirements(doc) if row["what"].startswith(start))


def frame(function=None, module="/usr/bin/app", line=None):
    found = {"module": module, "offset": 64}
    if function:
        found["function"] = function
    if line:
        found.update(file="app.c", line=line)
    return found


def report(*sites, symbols="debug"):
    """sites: (allocated bytes, live bytes, frames…)."""
    return {"modules": [{"module": "/usr/bin/app", "symbols": symbols},
                        {"module": "/lib/libc.so.6", "symbols": "debug"}],
            "total": {"allocated_bytes": sum(site[0] for site in sites), "samples": 9},
            "sites": [{"allocated_bytes": allocated, "live_bytes": live, "frames": list(frames)}
                      for allocated, live, *frames in sites]}


class Figures(unittest.TestCase):
    def test_mean_error_of_equal_ratios_is_nothing(self):
        self.assertEqual(overhead.mean_error([1.5, 1.5, 1.5]), 0)
        self.assertIsNone(overhead.mean_error([1.5]))

    def test_mean_error_is_of_the_mean(self):
        self.assertAlmostEqual(overhead.mean_error([math.e, 1 / math.e]), 1.0)

    def test_paired_ratio_takes_rounds_together(self):
        ours = [{"x": 10}, {"x": 40}, {"x": 90}]
        theirs = [{"x": 5}, {"x": 20}, {"x": 30}]
        self.assertEqual(overhead.paired_ratio(ours, theirs, "x"), 2)
        self.assertIsNone(overhead.paired_ratio([], theirs, "x"))

    def test_instructions_are_of_the_difference_of_lengths(self):
        self.assertEqual(overhead.instruction_ratio({"off": [100, 200], "on": [900, 1050]}), 1.5)
        self.assertEqual(overhead.instruction_ratio({"off": [100], "on": [110]}), 1.1)

    def test_instructions_need_both(self):
        self.assertIsNone(overhead.instruction_ratio({"off": [100, 200], "on": [900]}))
        self.assertIsNone(overhead.instruction_ratio({"off": [100, 200]}))
        self.assertIsNone(overhead.instruction_ratio({"off": [200, 200], "on": [1, 2]}))

    def test_cost_of_a_sample(self):
        overheads = Overheads(document(benchmark("a", tide_on=[150]), samples={"a": 25}))
        self.assertEqual(overheads.sample_ns("a"), 2000)
        self.assertIsNone(overheads.sample_ns("b"))


class WallTime(unittest.TestCase):
    def test_mean_is_of_on_to_off(self):
        doc = document(benchmark("a", tide_on=[102]), benchmark("b", tide_on=[100]))
        row = row_of(doc, "profile on: geometric mean")
        self.assertEqual((row["value"], row["result"]), ("1.010", "PASS"))
        doc = document(benchmark("a", tide_on=[104]), benchmark("b", tide_on=[100]))
        self.assertEqual(row_of(doc, "profile on: geometric mean")["result"], "FAIL")

    def test_worst_is_shown_beside_its_twin(self):
        doc = document(benchmark("a", tide_on=[102]),
                       benchmark("b", tide_on=[125], tide_twin=[110]))
        row = row_of(doc, "profile on: worst")
        self.assertEqual((row["value"], row["result"]), ("1.250", "FAIL"))
        self.assertEqual(row["detail"], "1 of 2 above, of the twin 1 of 2 above: "
                         "b 1.25 (twin 1.10)")

    def test_noise_is_the_twins(self):
        doc = document(benchmark("a", tide_twin=[110]), benchmark("b", tide_twin=[110]))
        mean, error, worst = Overheads(doc).noise("wall_ns")
        self.assertAlmostEqual(mean, 1.1)
        self.assertAlmostEqual(error, 0)
        self.assertEqual(worst, (1.1, "b"))

    def test_no_figures_is_no_verdict(self):
        for start in ("profile on: geometric", "profile on: worst", "profile on: overhead",
                      "profile off", "profile on: C++", "resident", "`tide report`", "real",
                      "every"):
            self.assertEqual(row_of(document(), start)["result"], "n/a", start)

    def test_a_failure_is_a_failure(self):
        doc = document(benchmark("a"))
        doc["benchmarks"][0]["results"]["jemalloc-on"]["error"] = "exit status 139"
        self.assertEqual(row_of(doc, "every")["result"], "FAIL")


class Rivals(unittest.TestCase):
    def test_half_of_the_better_ones_overhead(self):
        walls = {"jemalloc_on": [110], "gperftools_on": [140]}
        row = row_of(document(benchmark("a", tide_on=[105], **walls)), "profile on: overhead")
        self.assertEqual((row["value"], row["result"]), ("0.50 ×", "PASS"))
        row = row_of(document(benchmark("a", tide_on=[106], **walls)), "profile on: overhead")
        self.assertEqual(row["result"], "FAIL")

    def test_the_profiler_of_everything_is_a_rival_too(self):
        every = {"name": "a", "results": {"gperftools-off": {"samples": [{"wall_ns": 100}]},
                                          "gperftools-every": {"samples": [{"wall_ns": 104}]}}}
        doc = document(benchmark("a", tide_on=[103], jemalloc_on=[120], gperftools_on=[120]),
                       every=[every])
        row = row_of(doc, "profile on: overhead")
        self.assertEqual(row["result"], "FAIL")
        self.assertIn("every allocation +4.0 %", row["detail"])

    def test_a_rival_without_overhead_leaves_none_to_us(self):
        walls = {"jemalloc_on": [100], "gperftools_on": [140]}
        row = row_of(document(benchmark("a", tide_on=[101], **walls)), "profile on: overhead")
        self.assertEqual(row["result"], "FAIL")
        row = row_of(document(benchmark("a", tide_on=[99], **walls)), "profile on: overhead")
        self.assertEqual(row["result"], "PASS")

    def test_only_benchmarks_that_all_have(self):
        doc = document(benchmark("a", tide_on=[105], jemalloc_on=[120], gperftools_on=[120]),
                       benchmark("b", tide_on=[300]))
        doc["benchmarks"][1]["results"]["jemalloc-on"]["samples"] = []
        self.assertEqual(row_of(doc, "profile on: overhead")["result"], "PASS")


class Parts(unittest.TestCase):
    def test_pairs_are_equal_within_a_tenth(self):
        pairs = {"without": {"64": 51.0, "512": 51.0}, "off": {"64": 51.05, "512": 51.0}}
        self.assertEqual(row_of(document(pairs=pairs), "profile off")["result"], "PASS")
        pairs["off"]["512"] = 51.2
        row = row_of(document(pairs=pairs), "profile off")
        self.assertEqual(row["result"], "FAIL")
        self.assertIn("512 B: 51.0 → 51.2", row["detail"])

    def test_throughput_is_the_worst_of_the_programs(self):
        doc = document(exceptions=[benchmark("a", tide_on=[101]), benchmark("b", tide_on=[125])])
        row = row_of(doc, "profile on: C++")
        self.assertEqual((row["value"], row["result"]), ("0.800", "FAIL"))
        doc = document(exceptions=[benchmark("a", tide_on=[101]), benchmark("b", tide_on=[90])])
        self.assertEqual(row_of(doc, "profile on: C++")["result"], "PASS")

    def test_throughput_that_failed_is_no_pass(self):
        doc = document(exceptions=[benchmark("a")])
        doc["exceptions"][0]["results"]["tide-on"] = {"samples": [], "error": "exit status 134"}
        self.assertEqual(row_of(doc, "profile on: C++")["result"], "FAIL")

    def test_resident_is_what_the_profile_adds(self):
        run = {"about": "all", "off_kib": [1024, 9999, 1000], "on_kib": [7168, 0, 8000],
               "sites": 9, "samples": 9}
        row = row_of(document(resident=[run]), "resident")
        self.assertEqual((row["value"], row["result"]), ("6.00 MiB", "PASS"))
        run["on_kib"] = [7169, 7169, 7169]
        self.assertEqual(row_of(document(resident=[run]), "resident")["result"], "FAIL")

    def test_every_format_of_the_report_counts(self):
        fast = {"format": "text", "seconds": [1, 1], "kib": [1000, 1000], "bytes": 1}
        slow = {"format": "html", "seconds": [2.5], "kib": [1000], "bytes": 1}
        large = {"format": "svg", "seconds": [1], "kib": [300000], "bytes": 1}
        for formats, wanted in (([fast], "PASS"), ([fast, slow], "FAIL"), ([fast, large], "FAIL"),
                                ([fast, {**fast, "error": "killed"}], "FAIL")):
            doc = document(report={"sites": 35000, "formats": formats})
            self.assertEqual(row_of(doc, "`tide report`")["result"], wanted)


class Names(unittest.TestCase):
    def test_own_frame_is_behind_the_library(self):
        site = {"frames": [frame("strdup", "/lib/libc.so.6"), frame("copy")]}
        self.assertEqual(overhead.own_frame(site)["function"], "copy")
        self.assertIsNone(overhead.own_frame({"frames": []}))

    def test_shares_are_of_bytes(self):
        found = overhead.names_of(report((300, 0, frame("a", line=3)), (100, 50, frame())))
        self.assertEqual(found["allocated_bytes"]["named"], 0.75)
        self.assertEqual(found["allocated_bytes"]["lines"], 0.75)
        self.assertEqual(found["live_bytes"]["named"], 0)

    def test_a_caller_may_have_the_name(self):
        found = overhead.names_of(report((100, 0, frame(), frame("palloc")), symbols="none"))
        self.assertEqual(found["allocated_bytes"]["named"], 0)
        self.assertEqual(found["allocated_bytes"]["caller"], 1)
        self.assertEqual(found["top"][0]["functions"], ["", "palloc"])

    def test_debug_information_must_give_lines(self):
        whole = {"name": "app", **overhead.names_of(report((1, 1, frame("a", line=3))))}
        self.assertEqual(row_of(document(programs=[whole]), "real")["result"], "PASS")
        lacking = {"name": "app", **overhead.names_of(report((1, 1, frame("a"))))}
        self.assertEqual(lacking["unnamed"], ["app+64"])
        self.assertEqual(row_of(document(programs=[lacking]), "real")["result"], "FAIL")

    def test_without_debug_information_nothing_is_shown(self):
        plain = {"name": "app", **overhead.names_of(report((1, 1, frame()), symbols="none"))}
        row = row_of(document(programs=[plain]), "real")
        self.assertEqual(row["result"], "n/a")
        self.assertIn("no debug information", row["detail"])

    def test_the_allocators_own_frames_are_wrong(self):
        inside = frame("heap_alloc", "/x/libtidemalloc.so.0")
        found = overhead.names_of(report((1, 1, inside, frame("a", line=3))))
        row = row_of(document(programs=[{"name": "app", **found}]), "real")
        self.assertEqual(row["result"], "FAIL")
        self.assertIn("1 sites begin inside", row["detail"])


class Lengths(unittest.TestCase):
    def test_a_shorter_run_has_the_same_sizes(self):
        by_name = {b.name: b for b in catalog.ALL}
        self.assertEqual(variants.shortened(by_name["pairs-2k"], 2).command,
                         ("pairs", "size=2048", "ops=15000000"))
        self.assertEqual(variants.shortened(by_name["realloc-buffers"], 1000).command[-1], "ops=1")
        self.assertEqual(variants.shortened(by_name["burst-idle"], 2).command[-1], "idle_ms=0")
        self.assertEqual(variants.shortened(by_name["redis"], 2).command, ("redis-loads",))

    def test_every_own_program_becomes_shorter(self):
        for b in catalog.MICRO:
            self.assertNotEqual(variants.shortened(b, 2).command, b.command, b.name)

    def test_only_programs_of_one_thread_are_counted(self):
        counted = {b.name for b in catalog.ALL if variants.counted_commands(b)}
        self.assertIn("crossfree", counted)
        self.assertIn("pairs-2k", counted)
        for name in ("crossfree-t2", "messages-1to1", "pairs-64-t2", "redis", "lua"):
            self.assertNotIn(name, counted)


class Page(unittest.TestCase):
    def test_the_page_has_every_part(self):
        run = {"about": "all", "off_kib": [1], "on_kib": [2], "sites": 9, "samples": 9}
        doc = document(
            benchmark("a", tide_on=[150]), machine=dict.fromkeys((
                "processors", "processor", "virtual", "memory", "os", "kernel", "thp",
                "thp_defrag", "thp_64k", "overcommit", "commit", "commit_changed", "time")),
            pairs={"off": {"64": 51.0}, "without": {"64": 51.0}, "source": "here"},
            instructions={"a": {"tidemalloc": {"off": [1, 2], "on": [2, 4]}}},
            exceptions=[benchmark("throws")], resident=[run],
            report={"sites": 7, "formats": [{"format": "text", "error": "killed"}]},
            programs=[{"name": "app", "error": "not installed"}])
        doc["requirements"] = requirements(doc)
        page = markdown(doc)
        for text in ("## Side by side", "## Benchmarks", "## Instructions", "## C++", "1.500",
                     "## Resident", "## tide report", "killed", "not installed"):
            self.assertIn(text, page)


if __name__ == "__main__":
    unittest.main()
