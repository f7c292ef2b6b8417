# SPDX-License-Identifier: MIT
"""The command line of scripts/bench --profile: what the heap profile costs, part by part."""

import argparse
import os
import shutil
import time

import callgrind
import command
import machine
import named
import overhead
import peers as peer_list
import probes
import profile_report
import report
import variants
from command import BENCH, ROOT, leave_out_missing, say
from progress import Progress, clock
from runner import BenchError, run_benchmark

ROUNDS = 3
EXCEPTION_ROUNDS = 11
PARTS = ("pairs", "instructions", "resident", "report", "programs", "exceptions", "benchmarks")


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench --profile", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="What the heap profile costs: time, instructions and memory, with the profile "
        "off and on,\nbeside jemalloc's and gperftools'; and what it names in real programs.",
        epilog="Results go to bench/results/profile-… when everything was run, else to "
        "build/bench/results/.\nThe status is as that of scripts/bench.")
    command.add_rounds(parser, ROUNDS)
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only benchmarks whose name matches")
    parser.add_argument("--parts", metavar="A,B,C", default=",".join(PARTS),
                        help=f"only these of {', '.join(PARTS)}")
    command.add_library(parser)
    parser.add_argument("--tool", metavar="PROGRAM", default=os.path.join(ROOT, "build", "tide"),
                        help="the tide command, instead of build/tide")
    parser.add_argument("--without-profiler", metavar="LIB.so",
                        help="a build of the library without the profiler (default: the last "
                        "commit that had none is built)")
    parser.add_argument("--json", metavar="FILE", help="write the results there as well")
    parser.add_argument("--gate", action="store_true", help="fail when a requirement fails")
    command.add_places(parser)
    options = parser.parse_args(arguments)
    options.parts = options.parts.split(",")
    unknown = [part for part in options.parts if part not in PARTS]
    if unknown:
        parser.error(f"--parts: no such part: {', '.join(unknown)}")
    command.check_rounds(parser, options.rounds)
    for name in ("library", "tool", "without_profiler", "build"):
        path = getattr(options, name)
        if path and not os.path.exists(path) and not options.list:
            parser.error(f"{path}: no such file (scripts/bench --profile builds what is missing)")
        setattr(options, name, path and os.path.abspath(path))
    return options


def choose_benchmarks(options):
    pattern = command.matcher("--only", options.only)
    chosen = [b for b in variants.timed_benchmarks() if pattern.search(b.name)]
    if not chosen:
        raise BenchError("no benchmark matches (see --list)")
    return chosen


class Session:
    """One run: its allocators and its document, and a method for each part."""

    def __init__(self, options, benchmarks, peers, runner):
        self.options = options
        self.benchmarks = benchmarks
        self.peers = peers
        self.runner = runner
        self.off, self.on = (next(peer for peer in peers if peer.name == name)
                             for name in (overhead.SUBJECT.off, overhead.SUBJECT.on))
        self.document = {
            "format": 1, "kind": "profile", "machine": machine.describe(ROOT),
            "settings": {"rounds": options.rounds, "only": options.only, "parts": options.parts,
                         "rate": variants.RATE},
            "peers": command.describe_peers(peers),
            "pairs": {}, "benchmarks": [], "samples": {}, "instructions": {}, "every": [],
            "exceptions": [], "resident": [], "report": {}, "programs": [], "seconds": {},
            "complete": False,
        }

    def pairs(self):
        without, missing = self.options.without_profiler, ""
        try:
            without = without or probes.build_without_profiler(ROOT, self.options.build, say)
        except probes.ProbeError as error:
            missing = str(error)
            say(missing)
        self.document["pairs"] = {
            **probes.count_pairs(self.runner, self.off.path, without), "missing": missing,
            "source": self.options.without_profiler or f"commit {probes.BEFORE_PROFILER[:12]}"}

    def instructions(self):
        self.document["instructions"] = probes.count_programs(
            self.runner, self.benchmarks, self.peers, os.path.join(BENCH, "micro"), say)

    def resident(self):
        self.document["resident"] = probes.resident(self.runner, self.off, self.on,
                                                    self.options.tool)

    def report(self):
        self.document["report"] = {"error": "not done"}
        self.document["report"] = probes.large_report(self.runner, ROOT, self.options.tool, say)

    def programs(self):
        self.document["programs"] = named.profile_programs(self.runner, self.on,
                                                           self.options.tool, say)

    def rounds(self, benchmarks, peers, rounds, warm=False, before=None):
        """Interleaved runs; the samples have the processor time as one figure, too."""
        progress = Progress(benchmarks, len(peers) * (rounds + warm))
        say(f"{len(benchmarks)} benchmarks, {len(peers)} allocators, {rounds} rounds: about "
            f"{clock(progress.remaining())}")
        done = []
        for benchmark in benchmarks:
            progress.begin(benchmark)
            if before:
                before(benchmark, progress)
            results = run_benchmark(self.runner, benchmark, peers, rounds, warm, progress)
            for sample in (s for result in results.values() for s in result["samples"]):
                if "user_us" in sample:
                    sample["cpu_us"] = sample["user_us"] + sample["system_us"]
            done.append({"name": benchmark.name, "kind": benchmark.kind, "about": benchmark.about,
                         "command": list(benchmark.command), "scored": True,
                         "results": results})
        progress.end()
        return done

    def exceptions(self):
        own = [peer for peer in self.peers if peer.name.startswith("tide-")]
        self.document["exceptions"] = self.rounds(variants.EXCEPTIONS, own, EXCEPTION_ROUNDS, True)

    def count_samples(self, benchmark, progress):
        """One run that is not timed, which fills the page cache, too."""
        directory = os.path.join(self.options.build, "samples")
        try:
            self.document["samples"][benchmark.name] = probes.count_samples(
                self.runner, benchmark, self.on, self.options.tool, directory)
        except probes.ProbeError as error:
            progress.note(f"{benchmark.name}: samples not counted: {error}")
        shutil.rmtree(directory, ignore_errors=True)

    def run_benchmarks(self):
        chosen = [variants.shortened(b, variants.EVERY_PART // variants.TIMED_PART)
                  for b in self.benchmarks if b.name in variants.EVERY_PROGRAMS]
        every = variants.every_peers(self.peers)
        if every and chosen:
            say("gperftools, every allocation instrumented:")
            self.document["every"] = self.rounds(chosen, every, 1)
        self.document["benchmarks"] = self.rounds(self.benchmarks, self.peers,
                                                  self.options.rounds, before=self.count_samples)

    def run_part(self, part):
        started = time.monotonic()
        say(f"== {part}")
        try:
            getattr(self, "run_benchmarks" if part == "benchmarks" else part)()
        except (probes.ProbeError, callgrind.CountError, OSError) as error:
            say(f"{part}: {error}")
        self.document["seconds"][part] = round(time.monotonic() - started, 1)

    def run(self):
        try:
            for part in PARTS:
                if part in self.options.parts:
                    self.run_part(part)
            self.document["complete"] = True
        except KeyboardInterrupt:
            say("\ninterrupted: what there is will be written")


def write_results(options, document):
    everything = set(options.parts) == set(PARTS) and not options.only
    directory = command.output_directory(options, document, everything, "profile-")
    document["requirements"] = overhead.requirements(document)
    if options.json:
        report.write_json(options.json, document)
    command.write_results(directory, document, profile_report.markdown(document),
                          profile_report.terminal(document),
                          lambda there: profile_report.draw(document, there, say))


def run(options):
    benchmarks = choose_benchmarks(options)
    if options.list:
        for b in benchmarks:
            print(f"{b.name:<20} {b.kind:<8} {' '.join(b.command)}")
        return 0
    benchmarks = leave_out_missing(benchmarks)
    peers = variants.subjects(options.library) + variants.rivals(peer_list.find_library, say)
    with command.session(options, peers) as runner:
        session = Session(options, benchmarks, peers, runner)
        session.run()
        write_results(options, session.document)
    return command.exit_status(options, session.document)


if __name__ == "__main__":
    command.start("scripts/bench --profile", parse_arguments, run)
