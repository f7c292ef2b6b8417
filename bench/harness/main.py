# SPDX-License-Identifier: MIT
"""The command line of scripts/bench: chooses benchmarks and allocators, runs, scores, writes."""

import argparse
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import callgrind
import catalog
import inputs
import machine
import peers as peer_list
import plot
import report
from progress import Progress, clock
from runner import BenchError, Runner, run_benchmark
from summary import Summary, requirements

HARNESS = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HARNESS)
ROOT = os.path.dirname(BENCH)
DEFAULT_ROUNDS = 5
QUICK_ROUNDS = 3


def say(text):
    print(text, file=sys.stderr, flush=True)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares allocators: time and memory on many programs, in interleaved runs.",
        epilog="Results go to bench/results/ when everything was run, else to build/bench/results/."
               "\nThe status is 0 when the run was complete, 1 when --gate was given and a "
               "requirement fails,\n2 for bad arguments, 3 when something could not be run.")
    parser.add_argument("extra", nargs="*", metavar="NAME=PATH.so[@VARIABLE=VALUE…]",
                        help="more allocators (PATH '-' preloads nothing)")
    parser.add_argument("--peers", metavar="A,B,C", help="only these of glibc, mimalloc, "
                        "jemalloc, tcmalloc, tide (default: all that are there)")
    parser.add_argument("--only", metavar="REGEX", help="only benchmarks whose name matches")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds (default 5)")
    parser.add_argument("--quick", action="store_true",
                        help="a small selection in 3 rounds without a first one, for tuning")
    parser.add_argument("--no-real", action="store_true", help="leave the real programs out")
    parser.add_argument("--no-warm", action="store_true", help="leave out the untimed first round")
    parser.add_argument("--subject", default="tide", metavar="NAME",
                        help="whose figures the requirements are about (default tide); NAME-… are "
                        "taken for variants of it and not as its rivals")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    parser.add_argument("--out", metavar="DIRECTORY", help="put the results there instead")
    parser.add_argument("--gate", action="store_true", help="fail when a requirement fails")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"),
                        metavar="DIRECTORY", help="where the programs were built")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    options = parser.parse_args(arguments)
    if options.rounds is not None and not 1 <= options.rounds <= 1000:
        parser.error("--rounds: want 1 to 1000")
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else DEFAULT_ROUNDS
    options.warm = not (options.no_warm or options.quick)
    return options


def choose_benchmarks(options):
    try:
        pattern = re.compile(options.only or "")
    except re.error as error:
        raise BenchError(f"--only {options.only}: {error}") from error
    chosen = [b for b in catalog.ALL if pattern.search(b.name)
              and (b.quick or not options.quick)
              and not (options.no_real and b.kind in ("program", "server"))]
    if not chosen:
        raise BenchError("no benchmark matches (see --list)")
    return chosen


def leave_out_missing(benchmarks):
    """Real programs that are not installed are left out, with a line each."""
    there = []
    for benchmark in benchmarks:
        absent = [package for program, package in benchmark.needs if not shutil.which(program)]
        if absent:
            say(f"leaving out {benchmark.name}: package {', '.join(absent)} is not installed")
        else:
            there.append(benchmark)
    return there


def print_list(benchmarks):
    for b in benchmarks:
        marks = " ".join(mark for mark, on in (("quick", b.quick), ("not scored", not b.scored))
                         if on)
        print(f"{b.name:<20} {b.kind:<8} {b.about}{f' [{marks}]' if marks else ''}")


def shown_path(peer):
    """The library's path, relative when it is below the project."""
    path = peer.origin or peer.path
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


def begin_document(options, peers):
    return {
        "format": 1,
        "subject": options.subject,
        "left_out": [peer.name for peer in peers if peer.name.startswith(options.subject + "-")],
        "machine": machine.describe(ROOT),
        "settings": {"rounds": options.rounds, "quick": options.quick,
                     "warm": options.warm, "only": options.only},
        "peers": [{"name": peer.name, "path": shown_path(peer), "variables": peer.variables,
                   "version": machine.package_version(peer.package) if peer.package
                   else peer.digest} for peer in peers],
        "instructions": {},
        "instructions_alone": {},
        "benchmarks": [],
        "complete": False,
    }


def count_instructions(document, runner, peers):
    if shutil.which("valgrind") is None:
        say("no instruction counts: valgrind is not installed")
        return
    try:
        counter = callgrind.PairCounter(runner.tool("pair_loop"), runner.base)
    except callgrind.CountError as error:
        say(f"no instruction counts: {error}")
        return
    for peer in peers:
        try:
            document["instructions"][peer.name] = counter.count(peer, live=16)
            document["instructions_alone"][peer.name] = counter.count(peer, live=0)
        except callgrind.CountError as error:
            say(f"no instruction count of {peer.name}: {error}")


def run_all(options, benchmarks, peers, runner, document):
    warm = options.warm
    progress = Progress(benchmarks, len(peers) * (options.rounds + warm))
    say(f"{len(benchmarks)} benchmarks, {len(peers)} allocators, {options.rounds} rounds: "
        f"about {clock(progress.remaining())}")
    for benchmark in benchmarks:
        progress.begin(benchmark)
        results = run_benchmark(runner, benchmark, peers, options.rounds, warm, progress)
        document["benchmarks"].append({
            "name": benchmark.name, "kind": benchmark.kind, "about": benchmark.about,
            "command": list(benchmark.command), "scored": benchmark.scored,
            "idle_gate": benchmark.idle_gate, "results": results,
        })
    progress.end()
    document["complete"] = True


def output_directory(options, document):
    if options.out:
        return options.out
    everything = document["complete"] and not (options.quick or options.only or options.no_real)
    parent = os.path.join(BENCH, "results") if everything else os.path.join(options.build,
                                                                              "results")
    commit = document["machine"]["commit"] or "nocommit"
    return os.path.join(parent, f"{time.strftime('%Y%m%d-%H%M%S')}-{commit}")


def write_results(options, document):
    directory = output_directory(options, document)
    os.makedirs(directory, exist_ok=True)
    summary = Summary(document)
    document["requirements"] = requirements(summary)
    report.write_json(os.path.join(directory, "results.json"), document)
    if options.json:
        report.write_json(options.json, document)
    with open(os.path.join(directory, "table.md"), "w", encoding="utf-8") as file:
        file.write(report.markdown(summary))
    plot.draw(summary, directory, say)
    print(report.terminal(summary))
    say(f"results are in {os.path.relpath(directory)}")
    return summary


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.3 * len(os.sched_getaffinity(0)):
        say(f"warning: the load is {load:.1f}; other work will disturb the figures")


def exit_status(options, document):
    failed = [item for item in document["requirements"] if item["result"] == "FAIL"]
    if not document["complete"]:
        return 3
    return 1 if options.gate and failed else 0


def run(options):
    benchmarks = choose_benchmarks(options)
    if options.list:
        print_list(benchmarks)
        return 0
    names = options.peers.split(",") if options.peers else None
    peers = peer_list.select(names, options.extra, ROOT, say)
    benchmarks = leave_out_missing(benchmarks)
    libc = peer_list.find_libc()
    warn_if_busy()
    with tempfile.TemporaryDirectory(dir=options.build, prefix="peers-") as copies, \
            Runner(options.build, os.path.join(BENCH, "real"), inputs.prepare(options.build),
                   libc) as runner:
        peer_list.freeze(peers, copies)
        for peer in peers:
            peer_list.check_takes_over(peer, runner.tool("pair_loop"), libc)
        document = begin_document(options, peers)
        if options.subject not in [peer.name for peer in peers]:
            say(f"the subject {options.subject} is not among the allocators: no requirement can "
                "be checked")
        try:
            count_instructions(document, runner, peers)
            run_all(options, benchmarks, peers, runner, document)
        except KeyboardInterrupt:
            say("\ninterrupted: what there is will be written")
        write_results(options, document)
    return exit_status(options, document)


def on_terminate(_signal, _frame):
    raise KeyboardInterrupt


def main():
    signal.signal(signal.SIGTERM, on_terminate)
    options = parse_arguments(sys.argv[1:])
    try:
        return run(options)
    except (BenchError, peer_list.PeerError) as error:
        say(f"scripts/bench: {error}")
        return 2
    except KeyboardInterrupt:
        return 3


if __name__ == "__main__":
    sys.exit(main())
