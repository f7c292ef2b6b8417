# SPDX-License-Identifier: MIT
"""Single measurements of --profile: instructions, samples drawn, resident memory, `tide report`.

Each returns a part of the result document (overhead.py says what is made of it). What cannot be
measured is said, and left out; nothing is guessed.
"""

import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import callgrind
from overhead import FAMILIES
from peers import Peer
from runner import parse_values, read_file
from variants import COUNTED_PROGRAMS, TIDE, counted_commands

# The last commit without the profiler: what "off" is held against, unless a library is given.
BEFORE_PROFILER = "e66fadad0957bb0271ac4ba541e8bb4bb6ea0f7b"
PAIR_SIZES = (64, 16, 512, 2048, 8192, 65536, 1048576)
COUNT_SECONDS = 240
PROBE_RUNS = 3
REPORT_SITES = 35000
REPORT_EMPTY = 1            # its exit status without samples
REPORT_FORMATS = ("text", "json", "collapsed", "pprof", "html", "svg")
SITES_RATE = 4096           # with blocks of 16 KiB nearly every allocation is a sample


class ProbeError(Exception):
    """Why there is no figure."""


def run_quietly(command, directory):
    """The last line of what went wrong, or ''."""
    done = subprocess.run(command, cwd=directory, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.STDOUT, universal_newlines=True, errors="replace")
    lines = done.stdout.strip().splitlines() or ["it said nothing"]
    return lines[-1] if done.returncode else ""


def build_without_profiler(root, build, say):
    """The library as it was before the profiler, built once from git's history; its path."""
    place = os.path.join(build, "without-profiler-" + BEFORE_PROFILER[:12])
    library = os.path.join(place, "build/.libs/libtidemalloc.so.0")
    if os.path.exists(library):
        return library
    say(f"building the library of {BEFORE_PROFILER[:12]}, which has no profiler")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(os.path.join(place, "build"))
    archive = os.path.join(place, "tree.tar")
    steps = ((["git", "-c", f"safe.directory={root}", "archive", "-o", archive, BEFORE_PROFILER],
              root),
             (["tar", "-xf", archive], place), (["./bootstrap"], place),
             (["../configure"], os.path.join(place, "build")),
             (["make", f"-j{len(os.sched_getaffinity(0))}", "libtidemalloc.la"],
              os.path.join(place, "build")))
    for command, directory in steps:
        error = run_quietly(command, directory)
        if error:
            raise ProbeError(f"no build without the profiler: {command[0]}: {error}; "
                             "--without-profiler LIB.so gives one")
    return library


def count_pairs(runner, library, without):
    """Instructions of a pair by size: {"without": {"64": 51.0, …}, "off": …, "on": …}."""
    counter = callgrind.PairCounter(runner.tool("pair_loop"), runner.base)
    subjects = {"off": Peer("off", library, TIDE[False]), "on": Peer("on", library, TIDE[True])}
    if without:
        subjects["without"] = Peer("without", without)
    return {kind: {str(size): counter.count(peer, live=16, size=size) for size in PAIR_SIZES}
            for kind, peer in subjects.items()}


# ---- Instructions of whole programs -------------------------------------------------------------

def counted(benchmarks):
    """(name, commands, variables) of everything whose instructions are counted."""
    found = [(b.name, counted_commands(b), {}) for b in benchmarks if counted_commands(b)]
    names = {b.name for b in benchmarks}
    return found + [(b.name, [b.command], b.variables) for b in COUNTED_PROGRAMS
                    if b.name in names]


def count_programs(runner, benchmarks, peers, micro, say):
    """{benchmark: {family: {"off": [counts], "on": [counts]}}}, several valgrinds side by side."""
    by_name = {peer.name: peer for peer in peers}
    jobs = []
    for name, commands, variables in counted(benchmarks):
        for family in FAMILIES:
            for state, peer in (("off", family.off), ("on", family.on)):
                jobs += [(name, family.name, state, by_name[peer], command, variables)
                         for command in commands if peer in by_name]

    def count(job):
        *_, peer, command, variables = job
        words = [runner.expand(word).replace("{micro}", micro) for word in command]
        own = runner.tool(words[0])
        words[0] = own if os.path.exists(own) else shutil.which(words[0])
        environment = {**peer.environment(runner.base), **variables}
        return callgrind.total_instructions(words, environment, COUNT_SECONDS)

    found = {}
    say(f"instructions of {len({job[0] for job in jobs})} programs: {len(jobs)} runs of valgrind")
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for number, (job, future) in enumerate([(job, pool.submit(count, job)) for job in jobs]):
            name, family, state = job[:3]
            try:
                result = future.result()
            except callgrind.CountError as error:
                say(f"  {name}: {family} {state}: {error}")
                continue
            found.setdefault(name, {}).setdefault(family, {}).setdefault(state, []).append(result)
            if number % 40 == 39:
                say(f"  {number + 1} of {len(jobs)}")
    return found


# ---- Profiles -----------------------------------------------------------------------------------

def profiled(peer, pattern):
    """The peer with a profile that is written, too."""
    conf = peer.variables["TIDE_CONF"] + ",profile_out:" + pattern
    return replace(peer, variables={**peer.variables, "TIDE_CONF": conf})


def read_profile(tool, path, *options):
    """A profile as the tool's JSON; None of a process that allocated too little for a sample.

    Raises ProbeError with what the tool complains of.
    """
    done = subprocess.run([tool, "report", "--json", *options, path], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    if done.returncode == REPORT_EMPTY:
        return None
    if done.returncode != 0:
        complaint = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ProbeError(f"tide report ended with {done.returncode}: {complaint}")
    return json.loads(done.stdout)


def read_total(tool, path):
    """The sums of a profile, without looking up a name; samples are 0 when there are none."""
    profile = read_profile(tool, path, "--no-symbols", "--top=1")
    return profile["total"] if profile else {"samples": 0, "sites": 0}


def count_samples(runner, benchmark, peer, tool, directory):
    """How many allocations one run of a benchmark samples, all its processes together."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    sample = runner.run_once(replace(benchmark, starts=min(benchmark.starts, 1)),
                             profiled(peer, os.path.join(directory, "%p.tide")))
    if "error" in sample:
        raise ProbeError(sample["error"])
    return sum(read_total(tool, path)["samples"]
               for path in glob.glob(os.path.join(directory, "*.tide")))


def measured(runner, command, peer=None):
    """A run under `measure`, on a peer or as it is: its figures and what it printed."""
    on = ["-p", peer.path] if peer else []
    for name, value in (peer.variables if peer else {}).items():
        on += ["-e", f"{name}={value}"]
    done = subprocess.run([runner.tool("measure"), "-o", runner.path("measure"), "-O",
                           runner.path("output"), "-E", runner.path("errors"), *on, "--",
                           *command], env=runner.base, check=False)
    sample = runner.collect(done.returncode)
    if "error" in sample:
        raise ProbeError(sample["error"])
    return {**sample, **parse_values(read_file(runner.path("output")))}


def resident(runner, off, on, tool):
    """Memory of a program with 10,000 call sites, without a profile and with one. Of ordinary
    pages: the blocks are not written to, and how many huge ones lie under them is chance."""
    runs = []
    off = replace(off, variables={"TIDE_CONF": "profile:false,huge_pages:never"})
    for keep, about in ((0, "all freed"), (1, "a live sample of each")):
        command = [runner.tool("sites"), f"keep={keep}"]
        kib = {"off_kib": [], "on_kib": []}
        path = runner.path("sites.tide")
        dense = replace(on, variables={
            "TIDE_CONF": f"profile:true,profile_rate:{SITES_RATE},huge_pages:never"})
        for _ in range(PROBE_RUNS):
            for key, peer in (("off_kib", off), ("on_kib", dense)):
                kib[key].append(measured(runner, command, peer)["rss_kib"])
        measured(runner, command, profiled(dense, path))
        total = read_total(tool, path)
        runs.append({"about": about, **kib, "sites": total["sites"], "samples": total["samples"]})
    return runs


def time_report(runner, tool, path, form):
    output = runner.path("report-" + form)
    command = [tool, "report", "-f", form, "-o", output, path]
    found = {"format": form, "seconds": [], "kib": []}
    try:
        for _ in range(PROBE_RUNS):
            sample = measured(runner, command)
            found["seconds"].append(sample["wall_ns"] / 1e9)
            found["kib"].append(sample["hwm_kib"])
        found["bytes"] = os.path.getsize(output)
    except ProbeError as error:
        found["error"] = str(error)
    if os.path.exists(output):
        os.unlink(output)
    return found


def formats_of(tool):
    """Those formats of the report that this tool knows."""
    text = subprocess.run([tool, "report", "--help"], stdout=subprocess.PIPE, check=False,
                          universal_newlines=True).stdout
    return [form for form in REPORT_FORMATS if form in text]


def large_report(runner, root, tool, say):
    """Time and memory of each format on a generated profile."""
    with tempfile.TemporaryDirectory(dir=runner.build, prefix="report-") as directory:
        path = os.path.join(directory, "large.tide")
        say(f"writing a profile of {REPORT_SITES:,} sites")
        error = run_quietly([sys.executable, "-B", os.path.join(root, "tests/tool/generate.py"),
                             path, "--sites", str(REPORT_SITES)], directory)
        if error:
            raise ProbeError(f"tests/tool/generate.py: {error}")
        return {"sites": REPORT_SITES, "profile_bytes": os.path.getsize(path),
                "formats": [time_report(runner, tool, path, form) for form in formats_of(tool)]}
