# SPDX-License-Identifier: MIT
"""What the command lines of scripts/bench have in common: paths, lines to the user, the set-up
around a run, where its results go, and what the process ends with. Knows no benchmark.
"""

import contextlib
import os
import re
import shutil
import signal
import sys
import tempfile
import time

import inputs
import machine
import peers as peer_list
import report
from runner import BenchError, Runner

HARNESS = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.dirname(HARNESS)
ROOT = os.path.dirname(BENCH)


def say(text):
    print(text, file=sys.stderr, flush=True)


def add_rounds(parser, rounds):
    parser.add_argument("--rounds", type=int, default=rounds, metavar="N",
                        help=f"rounds (default {rounds})")


def add_places(parser, listed="benchmarks"):
    parser.add_argument("--out", metavar="DIRECTORY", help="put the results there instead")
    parser.add_argument("--build", default=os.path.join(ROOT, "build", "bench"),
                        metavar="DIRECTORY", help="where the programs were built")
    parser.add_argument("--list", action="store_true", help=f"list the {listed} and stop")


def add_library(parser):
    parser.add_argument("--library", metavar="LIB.so", help="instead of " + peer_list.OWN_LIBRARY,
                        default=os.path.join(ROOT, peer_list.OWN_LIBRARY))


def check_rounds(parser, rounds):
    if not 1 <= rounds <= 1000:
        parser.error("--rounds: want 1 to 1000")


def matcher(option, text):
    """The pattern that an option gives; a wrong one is the user's error."""
    try:
        return re.compile(text)
    except re.error as error:
        raise BenchError(f"{option} {text}: {error}") from error


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


def shown_path(peer):
    """The library's path, relative when it is below the project."""
    path = peer.origin or peer.path
    return os.path.relpath(path, ROOT) if path.startswith(ROOT + os.sep) else path


def describe_peers(peers):
    return [{"name": peer.name, "path": shown_path(peer), "variables": peer.variables,
             "version": machine.package_version(peer.package) if peer.package else peer.digest}
            for peer in peers]


def warn_if_busy():
    load = os.getloadavg()[0]
    if load > 0.3 * len(os.sched_getaffinity(0)):
        say(f"warning: the load is {load:.1f}; other work will disturb the figures")


@contextlib.contextmanager
def session(options, peers):
    """A runner, and libraries that a build meanwhile does not change; each peer is checked."""
    libc = peer_list.find_libc()
    warn_if_busy()
    with tempfile.TemporaryDirectory(dir=options.build, prefix="peers-") as copies, \
            Runner(options.build, os.path.join(BENCH, "real"), inputs.prepare(options.build),
                   libc) as runner:
        peer_list.freeze(peers, copies)
        for peer in peers:
            peer_list.check_takes_over(peer, runner.tool("pair_loop"), libc)
        yield runner


def output_directory(options, document, everything, kind=""):
    """Where results go: into the repository when everything was run to its end."""
    if options.out:
        return options.out
    parent = os.path.join(BENCH if everything and document["complete"] else options.build,
                          "results")
    commit = document["machine"]["commit"] or "nocommit"
    return os.path.join(parent, f"{kind}{time.strftime('%Y%m%d-%H%M%S')}-{commit}")


def write_results(directory, document, page, shown="", draw=None):
    """results.json, table.md, and the pictures that draw(directory) makes; the user is shown the
    page itself when nothing else is to be."""
    os.makedirs(directory, exist_ok=True)
    report.write_json(os.path.join(directory, "results.json"), document)
    with open(os.path.join(directory, "table.md"), "w", encoding="utf-8") as file:
        file.write(page)
    if draw:
        draw(directory)
    print(shown or page)
    say(f"results are in {os.path.relpath(directory)}")


def exit_status(options, document):
    failed = [item for item in document["requirements"] if item["result"] == "FAIL"]
    if not document["complete"]:
        return 3
    return 1 if options.gate and failed else 0


def _on_terminate(_signal, _frame):
    raise KeyboardInterrupt


def start(name, parse_arguments, run):
    """The whole process: its exit status is 2 for what the user can mend, 3 when cut short."""
    signal.signal(signal.SIGTERM, _on_terminate)
    options = parse_arguments(sys.argv[1:])
    try:
        sys.exit(run(options))
    except (BenchError, peer_list.PeerError) as error:
        say(f"{name}: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(3)
