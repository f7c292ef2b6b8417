# SPDX-License-Identifier: MIT
"""Row of --predict: a program's second run, with what the first has learned.

Owns what is learned between runs. Every run begins with a copy of what so many runs before it
left, so that first and second runs can be in any order within a round: the second of this round
goes by the first of the last one.
"""

import os
import shutil
import subprocess
from dataclasses import replace

import catalog
from catalog import Benchmark
from rows import FIRST, FIRST_TWIN, LEARN, LEARN_TWINS, OFF, SECOND, LearningPeer, Row
from scores import Score, figure_tables, ratio, worst_score
from summary import geometric_mean

IMPORTS = ("import argparse, asyncio, csv, dataclasses, decimal, email, http.client, json, "
           "logging, sqlite3, ssl, unittest, urllib.request, xml.dom.minidom")


def compiler():
    """gcc's own compiler, or gcc's name for one: then the run fails and says so."""
    if shutil.which("gcc") is None:
        return "cc1"
    return subprocess.run(["gcc", "-print-prog-name=cc1"], stdout=subprocess.PIPE, check=False,
                          universal_newlines=True).stdout.strip()


Z3 = next(benchmark for benchmark in catalog.REAL if benchmark.name == "z3")
PROGRAMS = (
    Benchmark("second-cc1", "program",
              (compiler(), "-quiet", "-O2", "-o", "{scratch}/large.s", "{inputs}/large.c"),
              "gcc's compiler itself, -O2 on a generated file", needs=(("gcc", "gcc"),),
              memory_mib=220, seconds=2.5),
    Benchmark("second-python", "program", ("/usr/bin/python3", "-c", IMPORTS),
              "python3's start, and imports", needs=(("/usr/bin/python3", "python3"),),
              seconds=0.4),
    replace(Z3, name="second-z3"),
)
FIGURES = (("wall_ns", "Wall time, ms", 1000000, 1),
           ("thread_faults", "Faults of the program's first thread", 1, 0),
           ("hwm_kib", "Peak RSS, MiB", 1024, 1),
           ("state_bytes", "What was learned, bytes", 1, 0))


def bytes_below(directory):
    return sum(os.path.getsize(os.path.join(place, name))
               for place, _, files in os.walk(directory) for name in files)


class Memory:
    """A runner for peers that learn, too. `place` is a directory of its own."""

    def __init__(self, place):
        self.runner = None
        self.place = place
        self.now = os.path.join(place, "now")
        self.benchmark = None
        self.known = 0      # after so many runs it is known what they leave
        os.makedirs(self.now)

    def beside(self, runner):
        self.runner = runner
        return self

    def after(self, runs):
        return os.path.join(self.place, f"after-{runs}")

    def lay(self, runs):
        shutil.rmtree(self.now, ignore_errors=True)
        if runs == 0:
            os.makedirs(self.now)
        else:
            shutil.copytree(self.after(runs), self.now)

    def keep(self, runs):
        shutil.rmtree(self.after(runs), ignore_errors=True)
        shutil.copytree(self.now, self.after(runs))
        self.known = max(self.known, runs)

    def run_once(self, benchmark, peer):
        if not isinstance(peer, LearningPeer):
            return self.runner.run_once(benchmark, peer)
        if benchmark.name != self.benchmark:
            self.benchmark, self.known = benchmark.name, 0
        while self.known < peer.runs_before:
            sample = self.run_after(benchmark, peer, self.known, True)
            if "error" in sample:
                return sample
        return self.run_after(benchmark, peer, peer.runs_before, peer.teaches)

    def run_after(self, benchmark, peer, runs, teaches):
        self.lay(runs)
        sample = self.runner.run_once(benchmark, peer)
        if "error" not in sample:
            sample["state_bytes"] = bytes_below(self.now)
            if teaches:
                self.keep(runs + 1)
        return sample


def scores(document):
    names = [program.name for program in PROGRAMS]

    def second(name):
        return ratio(document, name, SECOND, FIRST, "wall_ns")

    def twin(name):
        return ratio(document, name, FIRST_TWIN, FIRST, "wall_ns")

    what = "second run: wall time of the first's"
    ratios = [value for name in names if (value := second(name)) is not None]
    noise = [value for name in names if (value := twin(name)) is not None]
    return [Score(f"{what}, mean", 0.95, geometric_mean(ratios), f"{len(ratios)} programs",
                  geometric_mean(noise)),
            worst_score(f"{what}, worst", 1.01, names, second, twin)]


ROW = Row("Second run", PROGRAMS, (OFF, *LEARN, *LEARN_TWINS), (FIRST, SECOND), scores,
          lambda document: figure_tables(document, PROGRAMS, FIGURES),
          repeat={"second-cc1": 2, "second-python": 10, "second-z3": 3})
