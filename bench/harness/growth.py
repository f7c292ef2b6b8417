# SPDX-License-Identifier: MIT
"""Rows of --predict: ramps (growth to 1 GiB), waves (load that comes and goes), and what is left of
blocks of very different lifetimes. Each score is the library over the best peer, or over one.
"""

from catalog import Benchmark
from rows import LEARN, OFF, ON, PLAIN, SECOND, SECOND_TWIN, SETTINGS, THIRD, Row
from scores import (Score, figure_tables, median, over_best, ratio, rivals, worst, worst_score)

RAMPS = tuple(
    Benchmark(f"ramp-{rate}{suffix}", "micro", ("ramp", f"rate={rate}", *words),
              f"grows to 1 GiB at {rate} MB/s, {about}", busy=True, memory_mib=1300,
              seconds=1100 / rate + 2)
    for rate in (250, 500)
    for suffix, words, about in (("", (), "steadily"),
                                 ("-bursty", ("burst=2048",), "in bursts of 2 MiB")))


def wave(name, about, memory_mib, seconds, *words):
    return Benchmark(f"waves-{name}", "micro", ("waves", *words, f"seconds={seconds}"), about,
                     memory_mib=memory_mib, seconds=seconds + 1)


WAVES = (
    wave("200ms", "waves of 64 MiB and 0.2 s", 200, 6, "period=200", "amplitude=64"),
    wave("1s", "waves of 256 MiB and 1 s", 420, 8, "period=1000", "amplitude=256"),
    wave("3s", "waves of 512 MiB and 3 s", 800, 12, "period=3000", "amplitude=512"),
    wave("irregular", "waves of irregular length and height", 420, 12, "period=1500",
         "amplitude=256", "shape=irregular"),
    wave("2s-t2", "waves of 256 MiB and 2 s in two threads", 420, 10, "threads=2", "period=2000",
         "amplitude=256"),
)
LIFETIMES = (
    Benchmark("lifetimes", "micro", ("lifetimes",),
              "sessions, caches and requests, of which nine of ten end", busy=True,
              memory_mib=600, seconds=6),
)

FAULTS = ("thread_faults", "Faults of the program's threads", 1, 0)
RAMP_FIGURES = (
    FAULTS,
    ("p99_ns", "p99 of malloc and first touch, us", 1000, 1),
    ("p999_ns", "p99.9, us", 1000, 1),
    ("touch_ns", "Total of malloc and first touch, ms", 1000000, 0),
    ("wall_ns", "Wall time, s", 1000000000, 2),
    ("beyond_permille", "Held beyond the live bytes, per mille", 1, 0),
    ("state_bytes", "What was learned, bytes", 1, 0))
WAVE_FIGURES = (
    FAULTS,
    ("resident_mib_ms", "Resident, MiB x s", 1000, 0),
    ("live_mib_ms", "Live bytes, MiB x s", 1000, 0),
    ("cpu_us", "CPU time of the process, s", 1000000, 2))
LIFETIME_FIGURES = (
    ("beyond_permille", "Resident over live at the end, per mille", 1, 0),
    ("rss_idle_kib", "Resident at the end, MiB", 1024, 1),
    ("live_idle_kib", "Live at the end, MiB", 1024, 1),
    ("rss_peak_kib", "Resident at the peak, MiB", 1024, 1),
    ("wall_ns", "Time of the work, s", 1000000000, 2))


def names(benchmarks):
    return [benchmark.name for benchmark in benchmarks]


def beyond(document, name):
    """What is held for growth, as a share of the live bytes."""
    on, off = (median(document, name, peer, "beyond_permille") for peer in (ON, OFF))
    return None if on is None or off is None else (on - off) / 1000


def ramp_scores(document):
    scores = [
        worst_score(f"ramp: {text}, of the best peer's", limit, names(RAMPS),
                    lambda name, peer=peer, key=key: over_best(document, name, peer, key))
        for text, limit, peer, key in (
            ("page faults", 0.02, ON, "thread_faults"),
            ("p99", 0.05, ON, "p99_ns"),
            ("malloc and first touch", 0.08, ON, "touch_ns"),
            ("p99.9", 0.5, ON, "p999_ns"),
            ("wall time", 0.85, ON, "wall_ns"),
            ("page faults in the second run", 0.005, SECOND, "thread_faults"),
            ("page faults in the second run's twin", 0.005, SECOND_TWIN, "thread_faults"),
            ("page faults in the third run", 0.005, THIRD, "thread_faults"))]
    scores.insert(5, worst_score("ramp: held beyond what it holds without, of the live bytes", 0.03,
                                 names(RAMPS), lambda name: beyond(document, name)))
    return scores


def is_beaten(document, benchmark):
    """Peers with both less resident memory over time and fewer page faults."""
    def pair(peer):
        return [median(document, benchmark, peer, key)
                for key in ("resident_mib_ms", "thread_faults")]

    own = pair(ON)
    return [] if None in own else [
        name for name in rivals(document)
        if None not in (theirs := pair(name)) and all(a < b for a, b in zip(theirs, own))]


def wave_scores(document):
    scores = [
        worst_score(f"waves: {text} of {peer}'s", limit, names(WAVES),
                    lambda name, peer=peer, key=key: ratio(document, name, ON, peer, key))
        for text, limit, peer, key in (("resident bytes over time", 0.80, "mimalloc",
                                        "resident_mib_ms"),
                                       ("page faults", 0.5, "jemalloc", "thread_faults"),
                                       ("CPU time", 1.05, "mimalloc", "cpu_us"))]
    beaten = {name: found for name in names(WAVES) if (found := is_beaten(document, name))}
    done = worst(names(WAVES), lambda name: median(document, name, ON, "resident_mib_ms"))[0]
    where = "; ".join(f"{name}: {', '.join(found)}" for name, found in beaten.items())
    return scores + [Score("waves: programs on which a peer has less memory and fewer faults", 0,
                           None if done is None else len(beaten), where)]


def lifetime_scores(document):
    return [worst_score("lifetimes: resident over live at the end, of mimalloc's", 0.6,
                        names(LIFETIMES), lambda name: ratio(document, name, ON, "mimalloc",
                                                             "beyond_permille"))]


RAMP_ROW = Row("Ramps", RAMPS, (OFF, ON, *LEARN, SECOND_TWIN), (), ramp_scores,
               lambda document: figure_tables(document, RAMPS, RAMP_FIGURES), PLAIN)
WAVE_ROW = Row("Waves", WAVES, (OFF, ON), (), wave_scores,
               lambda document: figure_tables(document, WAVES, WAVE_FIGURES), SETTINGS)
LIFETIME_ROW = Row("Mixed lifetimes", LIFETIMES, (OFF, ON), (), lifetime_scores,
                   lambda document: figure_tables(document, LIFETIMES, LIFETIME_FIGURES), PLAIN)
