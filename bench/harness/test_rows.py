# SPDX-License-Identifier: MIT
"""Tests of the rows of --predict: scores, what is learned between runs, and readers of output.

Small literal documents; exact figures where the arithmetic is exact.
"""

import os
import tempfile
import unittest

import adverse
import endtoend
import growth
import learned
import peers
import predicting
import rows
import scores
import servers
from catalog import Benchmark
from peers import Peer
from scores import Score, mean_within_noise, median, spread, worst_within_noise

RIVALS = ("glibc", "mimalloc", "jemalloc")


def document(benchmarks, names=(*RIVALS, rows.OFF, rows.TWIN, rows.ON)):
    """benchmarks: {name: {allocator: [sample of each round]}}."""
    entries = [{"name": name, "row": "", "rounds": 1, "seconds": 0,
                "results": {peer: {"samples": samples} for peer, samples in results.items()}}
               for name, results in benchmarks.items()]
    return {"peers": [{"name": name} for name in names], "refused": {}, "benchmarks": entries}


def named(found, start):
    return next(score for score in found if score.what.startswith(start))


class Figures(unittest.TestCase):
    def test_median_and_spread_are_of_the_rounds(self):
        doc = document({"a": {"glibc": [{"x": 90}, {"x": 100}, {"x": 130}]}})
        self.assertEqual(median(doc, "a", "glibc", "x"), 100)
        self.assertAlmostEqual(spread(doc, "a", "glibc", "x"), 0.1)

    def test_what_was_not_run_has_no_figure(self):
        doc = document({"a": {"glibc": [{"x": 90}]}})
        self.assertIsNone(median(doc, "b", "glibc", "x"))
        self.assertIsNone(median(doc, "a", "mimalloc", "x"))
        self.assertIsNone(spread(doc, "a", "glibc", "x"))

    def test_tables_have_the_allocators_that_ran_and_the_figures_that_were_reported(self):
        doc = document({"a": {"glibc": [{"x": 2000}], rows.ON: [{"x": 1000}]}})
        tables = scores.figure_tables(doc, [Benchmark("a", "micro", ("a",), "")],
                                      (("x", "Title", 1000, 1), ("y", "Nothing", 1, 0)))
        self.assertEqual(tables, ["### Title\n\n| program | glibc | tide-on |\n| --- | --: | --: |"
                                  "\n| a | 2.0 | 1.0 |"])


class Verdicts(unittest.TestCase):
    def test_limit_itself_holds(self):
        self.assertEqual(Score("", 0.5, 0.5).verdict(), "holds")
        self.assertEqual(Score("", 0.5, 0.501).verdict(), "fails")
        self.assertEqual(Score("", 0.5, None).verdict(), "not measured")

    def test_above_the_limit_but_no_further_than_the_twin_is_said(self):
        twins = {"a": 1.02, "b": 0.98, "c": 1.01}
        score = worst_within_noise("", {"a": 0.9, "b": 1.03, "c": 1.0}, twins)
        self.assertEqual((score.value, score.where, score.noise), (1.03, "b", 1.02))
        self.assertTrue(score.verdict().startswith("holds within noise"))
        self.assertEqual(worst_within_noise("", {"a": 1.2}, twins).verdict(), "fails")

    def test_mean_is_allowed_two_standard_errors_of_the_twin(self):
        quiet, loud = {"a": 1.001, "b": 0.999}, {"a": 1.1, "b": 0.9}
        self.assertEqual(mean_within_noise("", {"a": 1.05, "b": 1.05}, quiet).verdict(), "fails")
        self.assertTrue(mean_within_noise("", {"a": 1.05, "b": 1.05}, loud).verdict()
                        .startswith("holds within noise"))

    def test_without_a_twin_nothing_is_allowed(self):
        self.assertEqual(worst_within_noise("", {"a": 1.01}, {}).verdict(), "fails")
        self.assertEqual(mean_within_noise("", {"a": 1.01}, {}).verdict(), "fails")


class Growth(unittest.TestCase):
    def test_ramp_is_over_the_best_peer_and_the_worst_ramp_counts(self):
        def faults(best, own):
            return {"glibc": [{"thread_faults": best * 2}], "mimalloc": [{"thread_faults": best}],
                    rows.ON: [{"thread_faults": own}]}

        doc = document({"ramp-250": faults(1000, 10), "ramp-500": faults(1000, 30)})
        score = named(growth.ramp_scores(doc), "ramp: page faults, of")
        self.assertEqual((score.value, score.where, score.verdict()), (0.03, "ramp-500", "fails"))

    def test_second_run_of_a_ramp_is_scored_by_itself(self):
        doc = document({"ramp-250": {"glibc": [{"thread_faults": 1000}],
                                     rows.SECOND: [{"thread_faults": 4}]}})
        score = named(growth.ramp_scores(doc), "ramp: page faults in the second")
        self.assertEqual((score.value, score.verdict()), (0.004, "holds"))

    def test_held_beyond_is_the_difference_to_without(self):
        doc = document({"ramp-250": {rows.OFF: [{"beyond_permille": 70}],
                                     rows.ON: [{"beyond_permille": 95}]}})
        self.assertAlmostEqual(named(growth.ramp_scores(doc), "ramp: held").value, 0.025)

    def test_waves_name_who_has_less_of_both(self):
        def pair(resident, faults):
            return [{"resident_mib_ms": resident, "thread_faults": faults}]

        doc = document({"waves-1s": {"glibc": pair(5, 50), "mimalloc": pair(9, 9),
                                     "jemalloc": pair(20, 1), rows.ON: pair(10, 10)}})
        score = named(growth.wave_scores(doc), "waves: programs")
        self.assertEqual((score.value, score.where), (1, "waves-1s: mimalloc"))
        self.assertEqual(named(growth.wave_scores(document({})), "waves: programs").verdict(),
                         "not measured")

    def test_lifetimes_are_over_mimalloc(self):
        doc = document({"lifetimes": {"mimalloc": [{"beyond_permille": 10000}],
                                      rows.ON: [{"beyond_permille": 7000}]}})
        score, = growth.lifetime_scores(doc)
        self.assertEqual((score.value, score.verdict()), (0.7, "fails"))


class Adverse(unittest.TestCase):
    def test_series_are_over_without_forecasts_and_the_twin_is_shown(self):
        doc = document({"adverse-walk": {rows.OFF: [{"cpu_us": 1000, "resident_mib_ms": 100}],
                                         rows.TWIN: [{"cpu_us": 1020, "resident_mib_ms": 100}],
                                         rows.ON: [{"cpu_us": 1005, "resident_mib_ms": 103}]}})
        cpu, resident = adverse.series_scores(doc)
        self.assertEqual((cpu.value, cpu.noise, cpu.verdict()), (1.005, 1.02, "holds"))
        self.assertEqual((resident.value, resident.verdict()), (1.03, "fails"))

    def test_idle_counts_the_worse_and_nothing_without_a_thread(self):
        def idle(ppm, found=1):
            return [{"thread_found": found, "keeper_ppm": ppm}]

        score, = adverse.idle_scores(document({"idle": {rows.ON: idle(50),
                                                        rows.PROFILED: idle(250)}}))
        self.assertEqual((score.value, score.where, score.verdict()),
                         (0.025, rows.PROFILED, "fails"))
        score, = adverse.idle_scores(document({"idle": {rows.ON: idle(0, 0)}}))
        self.assertEqual(score.verdict(), "not measured")


class FakeRunner:
    """Runs a program that adds a byte to what it has learned, and tells what it found."""

    def __init__(self, directory, failing=False):
        self.path = os.path.join(directory, "learned")
        self.failing = failing
        self.runs = 0

    def run_once(self, _benchmark, _peer):
        self.runs += 1
        if self.failing:
            return {"error": "no"}
        found = os.path.getsize(self.path) if os.path.exists(self.path) else 0
        with open(self.path, "a", encoding="utf-8") as file:
            file.write("x")
        return {"found": found}


class Learned(unittest.TestCase):
    def setUp(self):
        self.place = tempfile.TemporaryDirectory()
        self.memory = learned.Memory(self.place.name)
        self.runner = FakeRunner(self.memory.now)
        self.memory.beside(self.runner)
        self.peers = {peer.name: peer for peer in rows.own_peers("lib", "", self.memory.now)}

    def tearDown(self):
        self.place.cleanup()

    def run_once(self, peer, benchmark="a"):
        return self.memory.run_once(Benchmark(benchmark, "micro", ("a",), ""), self.peers[peer])

    def test_runs_begin_with_what_so_many_runs_left_in_any_order(self):
        for name, found in ((rows.THIRD, 2), (rows.FIRST, 0), (rows.SECOND_TWIN, 1),
                            (rows.SECOND, 1), (rows.FIRST_TWIN, 0), (rows.THIRD, 2)):
            sample = self.run_once(name)
            self.assertEqual((name, sample["found"], sample["state_bytes"]),
                             (name, found, found + 1))
        self.assertEqual(self.runner.runs, 6 + 2)   # two to teach the first of them

    def test_another_program_begins_with_nothing_learned(self):
        self.run_once(rows.FIRST)
        self.assertEqual(self.run_once(rows.SECOND, "b")["found"], 1)
        self.assertEqual(self.runner.runs, 3)

    def test_a_run_that_fails_ends_the_lesson(self):
        self.memory.beside(FakeRunner(self.memory.now, failing=True))
        self.assertEqual(self.run_once(rows.THIRD), {"error": "no"})

    def test_scores_are_the_mean_and_the_worst_program(self):
        def walls(first, second):
            return {rows.FIRST: [{"wall_ns": first}], rows.SECOND: [{"wall_ns": second}]}

        doc = document({"second-cc1": walls(100, 80), "second-python": walls(100, 125)})
        mean, worst = learned.scores(doc)
        self.assertAlmostEqual(mean.value, 1.0)
        self.assertEqual((worst.value, worst.where, worst.verdict()),
                         (1.25, "second-python", "fails"))


class EndToEnd(unittest.TestCase):
    def test_redis_benchmark(self):
        text = ('"test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms","p95_latency_ms",'
                '"p99_latency_ms","max_latency_ms"\n'
                '"SET","80268.00","0.094","0.016","0.087","0.143","0.231","1.5"\n')
        self.assertEqual(endtoend.redis_figures(text), (80268.0, 231000.0))
        with self.assertRaises(servers.ServerError):
            endtoend.redis_figures("a,b\n1,2\n")

    def test_db_bench_takes_each_load_and_nothing_of_the_heading(self):
        text = ("Keys:       16 bytes each (+ 0 bytes user-defined timestamp)\n"
                "fillrandom   :       3.190 micros/op 313456 ops/sec 0.4 seconds; 124 MB/s\n"
                "Microseconds per write:\n"
                "Percentiles: P50: 2.10 P75: 3.00 P99: 8.50 P99.9: 20.00 P99.99: 90.00\n"
                "readrandom   :       9.320 micros/op 107256 ops/sec 1.1 seconds; (1 of 2 found)\n"
                "Percentiles: P50: 8.10 P75: 9.00 P99: 30.60 P99.9: 60.00 P99.99: 99.00\n")
        self.assertEqual(endtoend.read_rocksdb(text), {
            "fillrandom_per_s": 313456, "fillrandom_p99_ns": 8500,
            "readrandom_per_s": 107256, "readrandom_p99_ns": 30600})

    def test_a_program_that_reports_no_throughput_has_failed(self):
        for name, reader in endtoend.READERS.items():
            with self.subTest(name), self.assertRaises(servers.ServerError):
                reader("checksum=1\n")

    def test_ratios_are_above_one_where_it_is_worse(self):
        doc = document({"whole-python": {
            rows.OFF: [{"requests_per_s": 1000, "requests_p99_ns": 100}],
            rows.ON: [{"requests_per_s": 800, "requests_p99_ns": 90}]}})
        self.assertEqual(endtoend.ratios(doc, endtoend.THROUGHPUT, rows.ON),
                         {"whole-python requests": 1.25})
        self.assertEqual(endtoend.ratios(doc, endtoend.P99, rows.ON),
                         {"whole-python requests": 0.9})

    def test_p99_of_pgbench_logs(self):
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "log-a.1"), "w", encoding="utf-8") as file:
                file.writelines(f"0 {at} {at} 0 1 2\n" for at in range(1, 201))
            self.assertEqual(endtoend.p99_of_logs(os.path.join(directory, "log-a")), 199000)
            with self.assertRaises(servers.ServerError):
                endtoend.p99_of_logs(os.path.join(directory, "log-b"))


class Rows(unittest.TestCase):
    def setUp(self):
        self.peers = rows.with_settings([Peer(name) for name in RIVALS]) + \
            rows.own_peers("lib", "span_retain:0", "/state")

    def test_programs_have_names_of_their_own(self):
        names = [b.name for row in predicting.ROWS for b in row.benchmarks]
        self.assertEqual(len(names), len(set(names)))

    def test_rows_have_their_own_configurations_and_rivals(self):
        def of(row):
            return [peer.name for peer in predicting.peers_of(row, self.peers)]

        self.assertEqual(of(growth.RAMP_ROW), [*RIVALS, rows.OFF, rows.ON, *rows.LEARN,
                                               rows.SECOND_TWIN])
        self.assertIn("jemalloc-100ms", of(growth.WAVE_ROW))
        self.assertEqual(of(adverse.SERIES_ROW), [rows.OFF, rows.TWIN, rows.ON])

    def test_further_words_are_for_forecasts_only(self):
        conf = {peer.name: peer.variables.get("TIDE_CONF") for peer in self.peers}
        self.assertEqual(conf[rows.OFF], "predict:off")
        self.assertEqual(conf[rows.ON], "predict:on,span_retain:0")
        self.assertEqual(conf[rows.SECOND], "predict:on,span_retain:0,learn:/state")

    def test_what_the_library_refuses_is_told(self):
        with tempfile.TemporaryDirectory() as directory:
            program = os.path.join(directory, "program")
            with open(program, "w", encoding="utf-8") as file:
                file.write('#!/bin/sh\ncase $TIDE_CONF in *learn:*)\n'
                           'echo "tidemalloc: TIDE_CONF: learn: no such option (ignored)" >&2 ;;\n'
                           'esac\n')
            os.chmod(program, 0o755)
            said = [bool(peers.complaint(Peer("tide", "", {"TIDE_CONF": conf}), program))
                    for conf in ("predict:on", "predict:on,learn:/state")]
        self.assertEqual(said, [False, True])

    def test_use_of_the_machine_by_others_is_told(self):
        share = predicting.share_of_others((0, 100, 50), (10, 116, 56), 2)
        self.assertEqual(share, 0.5)    # of 20 s, 16 were used, 6 by us
        self.assertEqual(predicting.share_of_others((0, 100, 50), (10, 104, 56), 2), 0)
        self.assertIsNone(predicting.share_of_others((0, None, 50), (10, 104, 56), 2))
        doc = document({"ramp-250": {}, "idle": {}})
        self.assertEqual(predicting.disturbance(doc), "")
        doc["benchmarks"][0]["others"], doc["benchmarks"][1]["others"] = share, 0.01
        self.assertIn("in ramp-250 (50%).", predicting.disturbance(doc))

    def test_page_of_an_empty_run_says_that_nothing_was_measured(self):
        doc = document({})
        found = [score for row in predicting.ROWS for score in row.scores(doc)]
        self.assertEqual({score.verdict() for score in found}, {"not measured"})
        self.assertEqual([table for row in predicting.ROWS for table in row.tables(doc)], [])


if __name__ == "__main__":
    unittest.main()
