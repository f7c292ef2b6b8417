# SPDX-License-Identifier: MIT
"""The command line of scripts/bench: chooses benchmarks and allocators, runs, scores, writes."""

import argparse
import shutil

import callgrind
import catalog
import command
import machine
import peers as peer_list
import plot
import report
from command import ROOT, leave_out_missing, say
from progress import Progress, clock
from runner import BenchError, run_benchmark
from summary import Summary, requirements

DEFAULT_ROUNDS = 5
QUICK_ROUNDS = 3


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Compares allocators: time and memory on many programs, in interleaved runs.",
        epilog="Results go to bench/results/ when everything was run, else to build/bench/results/."
               "\nThe status is 0 when the run was complete, 1 when --gate was given and a "
               "requirement fails,\n2 for bad arguments, 3 when something could not be run.\n"
               "As the first word, --profile, --predict and --judge measure other things; see "
               "their --help.")
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
    parser.add_argument("--gate", action="store_true", help="fail when a requirement fails")
    command.add_places(parser)
    options = parser.parse_args(arguments)
    if options.rounds is None:
        options.rounds = QUICK_ROUNDS if options.quick else DEFAULT_ROUNDS
    command.check_rounds(parser, options.rounds)
    options.warm = not (options.no_warm or options.quick)
    return options


def choose_benchmarks(options):
    pattern = command.matcher("--only", options.only or "")
    chosen = [b for b in catalog.ALL if pattern.search(b.name)
              and (b.quick or not options.quick)
              and not (options.no_real and b.kind in ("program", "server"))]
    if not chosen:
        raise BenchError("no benchmark matches (see --list)")
    return chosen


def print_list(benchmarks):
    for b in benchmarks:
        marks = " ".join(mark for mark, on in (("quick", b.quick), ("not scored", not b.scored))
                         if on)
        print(f"{b.name:<20} {b.kind:<8} {b.about}{f' [{marks}]' if marks else ''}")


def begin_document(options, peers):
    return {
        "format": 1,
        "subject": options.subject,
        "left_out": [peer.name for peer in peers if peer.name.startswith(options.subject + "-")],
        "machine": machine.describe(ROOT),
        "settings": {"rounds": options.rounds, "quick": options.quick,
                     "warm": options.warm, "only": options.only},
        "peers": command.describe_peers(peers),
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


def write_results(options, document):
    partial = options.quick or options.only or options.no_real
    directory = command.output_directory(options, document, not partial)
    summary = Summary(document)
    document["requirements"] = requirements(summary)
    if options.json:
        report.write_json(options.json, document)
    command.write_results(directory, document, report.markdown(summary), report.terminal(summary),
                          lambda there: plot.draw(summary, there, say))


def run(options):
    benchmarks = choose_benchmarks(options)
    if options.list:
        print_list(benchmarks)
        return 0
    names = options.peers.split(",") if options.peers else None
    peers = peer_list.select(names, options.extra, ROOT, say)
    benchmarks = leave_out_missing(benchmarks)
    with command.session(options, peers) as runner:
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
    return command.exit_status(options, document)


if __name__ == "__main__":
    command.start("scripts/bench", parse_arguments, run)
