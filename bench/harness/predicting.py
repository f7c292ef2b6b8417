# SPDX-License-Identifier: MIT
"""scripts/bench --predict: growth and waves of memory under every allocator, forecasts off and on.

Owns the programs, the peers' settings and the scores of this comparison. Each score is the subject
over the best peer on the figure it names; a peer's settings count as peers of their own.
"""

import argparse
import os
import re
import signal
import statistics
import sys
import tempfile
import time

import inputs
import machine
import peers as peer_list
import report
from catalog import Benchmark
from main import BENCH, ROOT, leave_out_missing, on_terminate, say, shown_path, warn_if_busy
from peers import Peer
from progress import Progress, clock
from runner import BenchError, Runner, run_benchmark

ROUNDS = 3
OFF, ON = "tide-off", "tide-on"

RAMPS = tuple(
    Benchmark(f"ramp-{rate}{suffix}", "micro", ("ramp", f"rate={rate}", *words),
              f"grows to 1 GiB at {rate} MB/s, {about}", busy=True, memory_mib=1300)
    for rate in (250, 500)
    for suffix, words, about in (("", (), "steadily"),
                                 ("-bursty", ("burst=2048",), "in bursts of 2 MiB")))
WAVES = (
    Benchmark("waves-200ms", "micro", ("waves", "period=200", "amplitude=64", "seconds=6"),
              "waves of 64 MiB and 0.2 s", memory_mib=200),
    Benchmark("waves-1s", "micro", ("waves", "period=1000", "amplitude=256", "seconds=8"),
              "waves of 256 MiB and 1 s", memory_mib=420),
    Benchmark("waves-3s", "micro", ("waves", "period=3000", "amplitude=512", "seconds=12"),
              "waves of 512 MiB and 3 s", memory_mib=800),
    Benchmark("waves-irregular", "micro", ("waves", "period=1500", "amplitude=256",
                                           "shape=irregular", "seconds=12"),
              "waves of irregular length and height", memory_mib=420),
    Benchmark("waves-2s-t2", "micro", ("waves", "threads=2", "period=2000", "amplitude=256",
                                       "seconds=10"),
              "waves of 256 MiB and 2 s in two threads", memory_mib=420),
)
ALL = RAMPS + WAVES

# Settings of the peers' own decay: memory against page faults is a choice, so all are shown.
SETTINGS = (
    ("mimalloc", "now", {"MIMALLOC_RESET_DELAY": "0", "MIMALLOC_PAGE_RESET": "1"}),
    ("mimalloc", "1s", {"MIMALLOC_RESET_DELAY": "1000", "MIMALLOC_PAGE_RESET": "1"}),
    ("jemalloc", "100ms", {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:100,"
                                          "muzzy_decay_ms:0"}),
    ("jemalloc", "1s", {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:1000,"
                                       "muzzy_decay_ms:0"}),
)
FIGURES = (("thread_faults", "faults of the program's threads", 1, 0),
           ("p99_ns", "p99 of malloc and first touch, us", 1000, 1),
           ("p999_ns", "p99.9, us", 1000, 1),
           ("touch_ns", "total of malloc and first touch, ms", 1000000, 0),
           ("wall_ns", "wall time, s", 1000000000, 2),
           ("beyond_permille", "held beyond the live bytes, per mille", 1, 0),
           ("resident_mib_ms", "resident, MiB x s", 1000, 0),
           ("cpu_us", "CPU time of the process, s", 1000000, 2))


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench --predict",
        description="Growth and waves of memory: page faults, time and resident memory, with "
        "forecasts off and on, beside other allocators at several settings of theirs.",
        epilog="Results go to bench/results/predict-… when everything was run, else to "
        "build/bench/results/.")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N",
                        help=f"rounds (default {ROUNDS})")
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only benchmarks whose name matches")
    parser.add_argument("--peers", metavar="REGEX", default="",
                        help="only allocators whose name matches, and the library itself")
    parser.add_argument("--library", metavar="LIB.so", help="instead of " + peer_list.OWN_LIBRARY,
                        default=os.path.join(ROOT, peer_list.OWN_LIBRARY))
    parser.add_argument("--conf", metavar="CONF", default="",
                        help="further words of TIDE_CONF for the run with forecasts")
    parser.add_argument("--out", metavar="DIRECTORY", help="put the results there instead")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"),
                        metavar="DIRECTORY", help="where the programs were built")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    options = parser.parse_args(arguments)
    if not 1 <= options.rounds <= 1000:
        parser.error("--rounds: want 1 to 1000")
    return options


def choose_peers(options):
    peers = [peer for peer in peer_list.select(None, (), ROOT, say)
             if peer.name != peer_list.OWN_NAME]
    by_name = {peer.name: peer for peer in peers}
    for name, label, variables in SETTINGS:
        if name in by_name:
            base = by_name[name]
            peers.append(Peer(f"{name}-{label}", base.path, variables, base.package))
    peers = [peer for peer in peers if re.search(options.peers, peer.name)]
    conf = "predict:on" + ("," + options.conf if options.conf else "")
    return peers + [Peer(OFF, options.library, {"TIDE_CONF": "predict:off"}),
                    Peer(ON, options.library, {"TIDE_CONF": conf})]


def median(document, benchmark, peer, key):
    """The figure's median over the rounds, None when there is none."""
    for entry in document["benchmarks"]:
        if entry["name"] == benchmark:
            values = [s[key] for s in entry["results"].get(peer, {"samples": []})["samples"]
                      if key in s]
            return statistics.median(values) if values else None
    return None


def best_peer(document, benchmark, key):
    values = [(value, peer["name"]) for peer in document["peers"]
              if not peer["name"].startswith("tide-")
              and (value := median(document, benchmark, peer["name"], key)) is not None]
    return min(values) if values else (None, "")


def over_best(document, benchmark, key):
    value = median(document, benchmark, ON, key)
    best, _ = best_peer(document, benchmark, key)
    return None if value is None or not best else value / best


def over_peer(document, benchmark, key, peer):
    value, other = (median(document, benchmark, name, key) for name in (ON, peer))
    return None if value is None or not other else value / other


def worst(document, names, ratio):
    values = [(value, name) for name in names if (value := ratio(name)) is not None]
    return max(values) if values else (None, "")


def is_beaten(document, benchmark):
    """Peers with both less resident memory over time and fewer page faults."""
    own = [median(document, benchmark, ON, key) for key in ("resident_mib_ms", "thread_faults")]
    if None in own:
        return []
    found = []
    for peer in document["peers"]:
        theirs = [median(document, benchmark, peer["name"], key)
                  for key in ("resident_mib_ms", "thread_faults")]
        if not peer["name"].startswith("tide-") and None not in theirs and \
                all(a < b for a, b in zip(theirs, own)):
            found.append(peer["name"])
    return found


def requirements(document):
    """(what, limit, worst value, where) of the scores that this comparison can give."""
    ramps, waves = [b.name for b in RAMPS], [b.name for b in WAVES]

    def beyond(name):
        on, off = (median(document, name, peer, "beyond_permille") for peer in (ON, OFF))
        return None if on is None or off is None else (on - off) / 1000

    rows = []
    for key, text, limit in (("thread_faults", "ramp: page faults, of the best peer's", 0.02),
                             ("p99_ns", "ramp: p99, of the best peer's", 0.05),
                             ("touch_ns", "ramp: malloc and first touch, of the best peer's", 0.08),
                             ("p999_ns", "ramp: p99.9, of the best peer's", 0.5),
                             ("wall_ns", "ramp: wall time, of the best peer's", 0.85)):
        value, where = worst(document, ramps, lambda name, key=key: over_best(document, name, key))
        rows.append((text, limit, value, where))
    value, where = worst(document, ramps, beyond)
    rows.append(("ramp: held beyond what it holds without, of the live bytes", 0.03, value, where))
    for key, peer, limit in (("resident_mib_ms", "mimalloc", 0.80),
                             ("thread_faults", "jemalloc", 0.5), ("cpu_us", "mimalloc", 1.05)):
        value, where = worst(document, waves, lambda name, key=key, peer=peer:
                             over_peer(document, name, key, peer))
        rows.append((f"waves: {key} of {peer}'s", limit, value, where))
    beaten = [(len(names), f"{name}: {', '.join(names)}") for name in waves
              if (names := is_beaten(document, name))]
    done = any(median(document, name, ON, "resident_mib_ms") is not None for name in waves)
    rows.append(("waves: programs on which a peer has less memory and fewer faults", 0,
                 len(beaten) if done else None, "; ".join(text for _, text in beaten)))
    return rows


def verdict(limit, value):
    return "not measured" if value is None else "PASS" if value <= limit else "FAIL"


def requirement_table(document):
    rows = [[text, limit, "–" if value is None else f"{value:.3f}", where, verdict(limit, value)]
            for text, limit, value, where in requirements(document)]
    return report.table(["what", "must be at most", "worst", "where", ""], rows)


def figure_tables(document):
    names = [peer["name"] for peer in document["peers"]]
    parts = []
    for key, title, scale, digits in FIGURES:
        rows = []
        for entry in document["benchmarks"]:
            cells = [median(document, entry["name"], name, key) for name in names]
            if any(cell is not None for cell in cells):
                rows.append([entry["name"], *("–" if cell is None else
                                              f"{cell / scale:.{digits}f}" for cell in cells)])
        if rows:
            parts.append(f"## {title}\n\n" + report.table(["program", *names], rows))
    return parts


def markdown(document):
    facts = machine.one_paragraph(document["machine"])
    return "\n\n".join(["# Growth and waves of memory", facts,
                        f"Medians of {document['settings']['rounds']} rounds, interleaved.",
                        requirement_table(document), *figure_tables(document)]) + "\n"


def output_directory(options, document):
    if options.out:
        return options.out
    everything = document["complete"] and not (options.only or options.peers or options.conf)
    parent = os.path.join(BENCH if everything else options.build, "results")
    commit = document["machine"]["commit"] or "nocommit"
    return os.path.join(parent, f"predict-{time.strftime('%Y%m%d-%H%M%S')}-{commit}")


def write_results(options, document):
    directory = output_directory(options, document)
    os.makedirs(directory, exist_ok=True)
    report.write_json(os.path.join(directory, "results.json"), document)
    text = markdown(document)
    with open(os.path.join(directory, "table.md"), "w", encoding="utf-8") as file:
        file.write(text)
    print(text)
    say(f"results are in {os.path.relpath(directory)}")


def run_all(options, benchmarks, peers, runner, document):
    progress = Progress(benchmarks, len(peers) * options.rounds)
    say(f"{len(benchmarks)} benchmarks, {len(peers)} allocators, {options.rounds} rounds: about "
        f"{clock(progress.remaining())}")
    try:
        for benchmark in benchmarks:
            progress.begin(benchmark)
            results = run_benchmark(runner, benchmark, peers, options.rounds, False, progress)
            document["benchmarks"].append({"name": benchmark.name, "about": benchmark.about,
                                           "command": list(benchmark.command),
                                           "results": results})
        progress.end()
        document["complete"] = True
    except KeyboardInterrupt:
        say("\ninterrupted: what there is will be written")


def run(options):
    benchmarks = [b for b in ALL if re.search(options.only, b.name)]
    if not benchmarks:
        raise BenchError("no benchmark matches (see --list)")
    if options.list:
        for b in benchmarks:
            print(f"{b.name:<20} {b.about}")
        return 0
    if not os.path.isfile(options.library):
        raise BenchError(f"{options.library}: no such file")
    peers = choose_peers(options)
    libc = peer_list.find_libc()
    warn_if_busy()
    document = {
        "format": 1, "kind": "predict", "machine": machine.describe(ROOT),
        "settings": {"rounds": options.rounds, "only": options.only, "conf": options.conf},
        "peers": [{"name": peer.name, "path": shown_path(peer), "variables": peer.variables}
                  for peer in peers],
        "benchmarks": [], "complete": False}
    with tempfile.TemporaryDirectory(dir=options.build, prefix="peers-") as copies, \
            Runner(options.build, os.path.join(BENCH, "real"), inputs.prepare(options.build),
                   libc) as runner:
        peer_list.freeze(peers, copies)
        run_all(options, leave_out_missing(benchmarks), peers, runner, document)
    write_results(options, document)
    return 0 if document["complete"] else 3


def main():
    signal.signal(signal.SIGTERM, on_terminate)
    options = parse_arguments(sys.argv[1:])
    try:
        return run(options)
    except (BenchError, peer_list.PeerError, re.error) as error:
        say(f"scripts/bench --predict: {error}")
        return 2
    except KeyboardInterrupt:
        return 3


if __name__ == "__main__":
    sys.exit(main())
