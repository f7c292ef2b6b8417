# SPDX-License-Identifier: MIT
"""scripts/bench --predict: what forecasts give and what they cost, row by row.

Owns the command line, the choice of programs and allocators, and the page of results. What is run
and how it is scored is in the rows' modules.
"""

import argparse
import os
import resource
import tempfile
import time
from dataclasses import dataclass

import adverse
import command
import endtoend
import growth
import learned
import machine
import peers as peer_list
import report
import rows
import scores
from catalog import Benchmark
from command import ROOT, say
from progress import Progress, clock
from rows import Row
from runner import BenchError, run_benchmark

ROUNDS = 3
OTHERS_MAX = 0.05   # of the processors: with more the figures are of something else
ROWS = (growth.RAMP_ROW, learned.ROW, growth.WAVE_ROW, adverse.SERIES_ROW, growth.LIFETIME_ROW,
        adverse.IDLE_ROW, endtoend.ROW)


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench --predict",
        description="What forecasts give and cost: page faults, time and resident memory of "
        "programs that grow, ebb and flow, come again, cannot be forecast or do nothing, with "
        "forecasts off and on, and beside other allocators at several settings of theirs.",
        epilog="Results go to bench/results/predict-… when everything was run, else to "
        "build/bench/results/. The status is 0 when the run was complete, 2 for bad arguments, 3 "
        "when something could not be run.")
    command.add_rounds(parser, ROUNDS)
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only programs whose name matches (see --list)")
    parser.add_argument("--peers", metavar="REGEX", default="",
                        help="only allocators whose name matches, and the library itself")
    command.add_library(parser)
    parser.add_argument("--conf", metavar="CONF", default="",
                        help="further words of TIDE_CONF for the runs with forecasts")
    command.add_places(parser)
    options = parser.parse_args(arguments)
    command.check_rounds(parser, options.rounds)
    return options


@dataclass(frozen=True)
class Step:
    """A program, on these allocators, so often."""
    row: Row
    benchmark: Benchmark
    peers: list
    rounds: int


def choose_peers(options, directory):
    pattern = command.matcher("--peers", options.peers)
    others = [peer for peer in peer_list.select(None, (), ROOT, say)
              if peer.name != peer_list.OWN_NAME]
    return [peer for peer in rows.with_settings(others) if pattern.search(peer.name)] + \
        rows.own_peers(options.library, options.conf, directory)


def refusals(peers, program):
    """{peer: what the library says}, where it does not know a word of the configuration."""
    found = {}
    for peer in peers:
        line = peer_list.complaint(peer, program) if peer.name.startswith(scores.OWN) else ""
        if line:
            found[peer.name] = line
            say(f"leaving out {peer.name}: {line}")
    return found


def peers_of(row, peers):
    others = rows.setting_names() if row.rivals < rows.SETTINGS else ()
    return [peer for peer in peers if peer.name in row.own or
            (row.rivals != rows.NOBODY and not peer.name.startswith(scores.OWN)
             and peer.name not in others)]


def is_built(benchmark, runner):
    path = runner.tool(benchmark.command[0])
    if benchmark.kind != "micro" or os.path.exists(path):
        return True
    say(f"leaving out {benchmark.name}: there is no program bench/micro/{benchmark.command[0]}")
    return False


def make_steps(options, chosen, peers, runner):
    steps = []
    for row in ROWS:
        there = peers_of(row, peers)
        missing = [name for name in row.needs if name not in [peer.name for peer in there]]
        for benchmark in command.leave_out_missing([b for b in row.benchmarks if b in chosen]):
            if missing:
                say(f"leaving out {benchmark.name}: it needs {', '.join(missing)}")
            elif is_built(benchmark, runner):
                steps.append(Step(row, benchmark, there,
                                  options.rounds * row.runs_each_round(benchmark)))
    return steps


def own_seconds():
    """Processor time of the harness and of every program that has ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def clocks():
    return time.monotonic(), machine.busy_seconds(), own_seconds()


def share_of_others(before, after, processors):
    """Of what the processors could have done, what they did for somebody else; None if unknown."""
    if None in before or None in after or after[0] <= before[0]:
        return None
    wall, busy, own = (late - early for early, late in zip(before, after))
    return max(busy - own, 0) / (wall * processors)


def run_all(steps, runner, document):
    progress = Progress([step.benchmark for step in steps],
                        {step.benchmark.name: len(step.peers) * step.rounds for step in steps})
    say(f"{len(steps)} programs, {document['settings']['rounds']} rounds: about "
        f"{clock(progress.remaining())}")
    try:
        for step in steps:
            progress.begin(step.benchmark)
            before = clocks()
            results = run_benchmark(runner, step.benchmark, step.peers, step.rounds, False,
                                    progress)
            after = clocks()
            document["benchmarks"].append({
                "name": step.benchmark.name, "row": step.row.title, "about": step.benchmark.about,
                "command": list(step.benchmark.command), "rounds": step.rounds,
                "seconds": round(after[0] - before[0], 1), "results": results,
                "others": share_of_others(before, after, document["machine"]["processors"])})
        progress.end()
        document["complete"] = True
    except KeyboardInterrupt:
        say("\ninterrupted: what there is will be written")


def notes(document):
    lines = [f"- {name} was left out: {text}" for name, text in document["refused"].items()]
    lines += [f"- {entry['name']}: {name} failed: {result['error']}"
              for entry in document["benchmarks"] for name, result in entry["results"].items()
              if "error" in result]
    return "\n".join(lines)


def disturbance(document):
    """What to think of the page when others used the machine, "" when they did not."""
    shares = {entry["name"]: entry["others"] for entry in document["benchmarks"]
              if (entry.get("others") or 0) > OTHERS_MAX}
    if not shares:
        return ""
    return ("**Others used the machine**, in " +
            ", ".join(f"{name} ({share:.0%})" for name, share in shares.items()) +
            ". The library makes nothing ready where no processor is idle, so with forecasts not "
            "only times but page faults and memory are of that, too. Do not judge by these.")


def time_table(document):
    return report.table(["row", "runs", "seconds"], [
        [row.title, sum(entry["rounds"] * len(entry["results"]) for entry in entries),
         f"{sum(entry['seconds'] for entry in entries):.0f}"]
        for row in ROWS
        if (entries := [e for e in document["benchmarks"] if e["row"] == row.title])])


def markdown(document):
    parts = ["# Forecasts", machine.one_paragraph(document["machine"]) + ".",
             f"Medians of {document['settings']['rounds']} rounds (times what a row repeats), "
             "interleaved, ± half the distance of the quartiles.",
             *filter(None, [disturbance(document)]),
             scores.score_table([score for row in ROWS for score in row.scores(document)])]
    if notes(document):
        parts += ["## Left out, and failures", notes(document)]
    for row in ROWS:
        tables = row.tables(document)
        if tables:
            parts += [f"## {row.title}", *tables]
    return "\n\n".join([*parts, "## How long it took", time_table(document)]) + "\n"


def write_results(options, document):
    partial = options.only or options.peers or options.conf
    directory = command.output_directory(options, document, not partial, "predict-")
    command.write_results(directory, document, markdown(document))


def describe(peers, directory):
    """The peers; what a path is called is the affair of this run."""
    described = command.describe_peers(peers)
    for peer in described:
        peer["variables"] = {name: value.replace(directory, "DIRECTORY")
                             for name, value in peer["variables"].items()}
    return described


def choose_benchmarks(options):
    pattern = command.matcher("--only", options.only)
    chosen = [b for row in ROWS for b in row.benchmarks if pattern.search(b.name)]
    if not chosen:
        raise BenchError("no program matches (see --list)")
    return chosen


def run(options):
    chosen = choose_benchmarks(options)
    if options.list:
        for b in chosen:
            print(f"{b.name:<20} {b.about}")
        return 0
    if not os.path.isfile(options.library):
        raise BenchError(f"{options.library}: no such file")
    with tempfile.TemporaryDirectory(dir=os.path.abspath(options.build),
                                     prefix="learned-") as place:
        memory = learned.Memory(place)
        peers = choose_peers(options, memory.now)
        with command.session(options, peers) as runner:
            endtoend.install(runner)
            refused = refusals(peers, runner.tool("pair_loop"))
            peers = [peer for peer in peers if peer.name not in refused]
            document = {
                "format": 2, "kind": "predict", "machine": machine.describe(ROOT),
                "settings": {"rounds": options.rounds, "only": options.only,
                             "conf": options.conf},
                "peers": describe(peers, memory.now), "refused": refused, "benchmarks": [],
                "complete": False}
            run_all(make_steps(options, chosen, peers, runner), memory.beside(runner), document)
            write_results(options, document)
    return 0 if document["complete"] else 3


if __name__ == "__main__":
    command.start("scripts/bench --predict", parse_arguments, run)
