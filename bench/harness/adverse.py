# SPDX-License-Identifier: MIT
"""Rows of --predict where forecasts can only cost: series that nobody can forecast, and a process
in which nothing happens. The library with forecasts, over itself without.
"""

from catalog import Benchmark
from rows import OFF, ON, PROFILED, TWIN, Row
from scores import Score, figure_tables, median, ratio, worst, worst_score

SECONDS = 4
PERCENT_PPM = 10000


def series(name, about, shape, *words):
    return Benchmark(f"adverse-{name}", "micro",
                     ("adverse", f"shape={shape}", f"seconds={SECONDS}", *words), about,
                     memory_mib=280, seconds=SECONDS + 1)


# What the rules remember: up to 1.25 s of peaks with forecasts and 1 s without, 0.2 s of growth.
SERIES = (
    series("walk", "a random walk", "walk"),
    series("bursts-130ms", "bursts each 130 ms", "bursts", "period=130"),
    series("bursts-220ms", "bursts each 220 ms", "bursts", "period=220"),
    series("bursts-1100ms", "bursts each 1.1 s", "bursts", "period=1100"),
    series("drops", "growth, and all freed at random times", "drops", "period=300"),
    series("teeth-24ms", "teeth of 24 ms", "sawtooth", "period=24"),
    series("teeth-1100ms", "teeth of 1.1 s", "sawtooth", "period=1100"),
)
IDLE = (
    Benchmark("idle", "micro", ("idle", "seconds=20"),
              "grown to 100 MiB, half of it freed, then idle for 3 and 20 s", memory_mib=120,
              seconds=24),
)
SERIES_FIGURES = (("cpu_us", "CPU time of the process, s", 1000000, 2),
                  ("resident_mib_ms", "Resident, MiB x s", 1000, 0),
                  ("thread_faults", "Faults of the program's thread", 1, 0))
IDLE_FIGURES = (("keeper_ppm", "CPU time of the background thread, % of one core", PERCENT_PPM, 4),
                ("keeper_wakeups", "Its wake-ups", 1, 0))


def series_scores(document):
    names = [program.name for program in SERIES]
    return [worst_score(f"adverse: {text}, of that without forecasts", limit, names,
                        lambda name, key=key: ratio(document, name, ON, OFF, key),
                        lambda name, key=key: ratio(document, name, TWIN, OFF, key))
            for text, limit, key in (("CPU time", 1.01, "cpu_us"),
                                     ("resident bytes over time", 1.02, "resident_mib_ms"))]


def idle_percent(document, peer):
    """None without a thread: nothing was measured then."""
    name = IDLE[0].name
    if not median(document, name, peer, "thread_found"):
        return None
    return median(document, name, peer, "keeper_ppm") / PERCENT_PPM


def idle_scores(document):
    value, where = worst((ON, PROFILED), lambda peer: idle_percent(document, peer))
    return [Score("idle: CPU time of the background thread, % of one core", 0.02, value, where)]


SERIES_ROW = Row("Series that cannot be forecast", SERIES, (OFF, TWIN, ON), (OFF, ON),
                 series_scores,
                 lambda document: figure_tables(document, SERIES, SERIES_FIGURES))
IDLE_ROW = Row("An idle process", IDLE, (ON, PROFILED), (ON,), idle_scores,
               lambda document: figure_tables(document, IDLE, IDLE_FIGURES))
