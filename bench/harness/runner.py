# SPDX-License-Identifier: MIT
"""Runs benchmarks: rounds over all peers in random order, memory touched before each timed run.

Owns the interleaving and what one run is; knows nothing of scores. A run gives a sample: a dict
of numbers (wall_ns, hwm_kib, …) or {"error": text}. A peer that fails twice on a benchmark is not
tried again on it.
"""

import json
import os
import random
import shlex
import shutil
import subprocess
import tempfile

import servers

RUN_SECONDS = 120
SPARE_MIB = 32
SPARE_SHARE = 1.15
FAILURES_ALLOWED = 2


class BenchError(Exception):
    """The bench itself cannot go on."""


def parse_values(text):
    """name=value lines; values are whole numbers."""
    values = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and value.lstrip("-").isdigit():
            values[name] = int(value)
    return values


def read_file(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


class MemoryNotes:
    """The greatest VmHWM seen per benchmark, kept between runs: how much to touch beforehand."""

    def __init__(self, path):
        self.path = path
        try:
            self.mib = json.loads(read_file(path) or "{}")
        except ValueError:
            self.mib = {}

    def known(self, benchmark):
        return benchmark.name in self.mib

    def expected_mib(self, benchmark):
        return self.mib.get(benchmark.name, benchmark.memory_mib)

    def note(self, benchmark, sample):
        seen = sample.get("hwm_kib", 0) // 1024 + 1
        self.mib[benchmark.name] = max(seen, self.mib.get(benchmark.name, 0))

    def save(self):
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            json.dump(self.mib, file, indent=1, sort_keys=True)
        os.rename(self.path + ".new", self.path)


class Runner:
    def __init__(self, build, real, inputs, libc):
        self.build = build
        self.real = real
        self.inputs = inputs
        self.libc = libc
        self.notes = MemoryNotes(os.path.join(build, "memory.json"))
        self.scratch = None
        self.drivers = dict(servers.DRIVERS)
        self.readers = {}   # {program's name: what makes figures of its output, or ServerError}
        self.base = {name: os.environ[name] for name in ("PATH", "HOME", "USER", "TMPDIR")
                     if name in os.environ}
        self.base["LC_ALL"] = "C.UTF-8"

    def __enter__(self):
        # Files of a database should not be timed as a disk: prefer memory.
        parent = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.scratch = tempfile.mkdtemp(prefix="tide-bench-", dir=parent)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.notes.save()

    def tool(self, name):
        return os.path.join(self.build, name)

    def expand(self, word):
        return (word.replace("{inputs}", self.inputs).replace("{real}", self.real)
                .replace("{scratch}", self.scratch))

    def command_of(self, benchmark):
        words = [self.expand(word) for word in benchmark.command]
        if benchmark.kind == "micro":
            words[0] = self.tool(words[0])
        return words

    def pretouch_command(self, benchmark):
        mib = int(self.notes.expected_mib(benchmark) * SPARE_SHARE) + SPARE_MIB
        return [self.tool("pretouch"), str(mib)]

    def pretouch(self, benchmark):
        subprocess.run(self.pretouch_command(benchmark), check=True)

    def measure_command(self, benchmark, peer, *options):
        command = [self.tool("measure"), "-o", self.path("measure"), "-O", self.path("output"),
                   "-E", self.path("errors"), "-t", str(RUN_SECONDS),
                   "-p", peer.preload(benchmark.over_linked, self.libc), *options]
        for name, value in {**benchmark.variables, **peer.variables}.items():
            command += ["-e", f"{name}={value}"]
        return command + ["--", *self.command_of(benchmark)]

    def path(self, name):
        return os.path.join(self.scratch, "bench-" + name)

    def clear(self):
        """Leftovers of the run before: its reports, and the files of a database."""
        for name in os.listdir(self.scratch):
            path = os.path.join(self.scratch, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def collect(self, exit_status):
        """The sample of a run under `measure`, from the files it left."""
        report = parse_values(read_file(self.path("measure")))
        if exit_status != 0 or report.get("exit", 1) != 0:
            return {"error": self.failure_text(exit_status, report)}
        return report

    def failure_text(self, exit_status, report):
        lines = read_file(self.path("errors")).strip().splitlines()
        status = report.get("exit", exit_status)
        what = {124: f"not done after {RUN_SECONDS} s"}.get(status, f"exit status {status}")
        return what + (": " + lines[-1][:200] if lines else "")

    def run_micro(self, benchmark, peer):
        self.pretouch(benchmark)
        done = subprocess.run(self.measure_command(benchmark, peer), env=self.base, check=False)
        sample = self.collect(done.returncode)
        if "error" not in sample:
            sample.update(parse_values(read_file(self.path("output"))))
            if benchmark.busy:
                sample["wall_ns"] = sample["busy_ns"]
        return sample

    def run_startup(self, benchmark, peer):
        """Timed without tracing, for a start is short; then once more for the memory."""
        self.pretouch(benchmark)
        timed = self.measure_command(benchmark, peer, "-x", "-n", str(benchmark.starts))
        done = subprocess.run(timed, env=self.base, check=False)
        sample = self.collect(done.returncode)
        if "error" in sample:
            return sample
        traced = subprocess.run(self.measure_command(benchmark, peer), env=self.base, check=False)
        memory = self.collect(traced.returncode)
        if "error" in memory:
            return memory
        return {**sample, "hwm_kib": memory["hwm_kib"]}

    def run_program(self, benchmark, peer):
        command = ["hyperfine", "--shell=none", "--runs", "1", "--style", "none",
                   "--prepare", shlex.join(self.pretouch_command(benchmark)),
                   "--export-json", self.path("hyperfine"),
                   shlex.join(self.measure_command(benchmark, peer))]
        done = subprocess.run(command, env=self.base, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, universal_newlines=True, check=False)
        sample = self.collect(done.returncode)
        if "error" in sample:
            return sample
        result = json.loads(read_file(self.path("hyperfine")))["results"][0]
        sample["wall_ns"] = int(result["times"][0] * 1e9)
        try:
            sample.update(self.read_output(benchmark))
        except servers.ServerError as error:
            return {"error": str(error)}
        return sample

    def read_output(self, benchmark):
        reader = self.readers.get(benchmark.name)
        return reader(read_file(self.path("output"))) if reader else {}

    def run_server(self, benchmark, peer):
        self.pretouch(benchmark)
        environment = peer.environment(self.base, benchmark.over_linked, self.libc)
        driver = self.drivers[benchmark.command[0]]
        try:
            return driver(environment, self)
        except servers.ServerError as error:
            return {"error": str(error)}

    def run_once(self, benchmark, peer):
        self.clear()
        sample = getattr(self, "run_" + benchmark.kind)(benchmark, peer)
        self.notes.note(benchmark, sample)
        return sample


def run_benchmark(runner, benchmark, peers, rounds, warm, progress, draw=None):
    """All rounds of one benchmark; returns {peer name: {"samples": […], "error": text?}}."""
    draw = draw or random.Random(benchmark.name)
    results = {peer.name: {"samples": []} for peer in peers}
    failures = {peer.name: 0 for peer in peers}
    for number in range(-1 if warm else 0, rounds):
        order = list(peers)
        draw.shuffle(order)
        for peer in order:
            if failures[peer.name] >= FAILURES_ALLOWED:
                progress.step(benchmark)
                continue
            sample = runner.run_once(benchmark, peer)
            progress.step(benchmark)
            if "error" in sample:
                failures[peer.name] += 1
                results[peer.name]["error"] = sample["error"]
                progress.note(f"{benchmark.name}: {peer.name}: {sample['error']}")
            elif number >= 0:
                results[peer.name]["samples"].append(sample)
    compare_checksums(benchmark, results, progress)
    return results


def compare_checksums(benchmark, results, progress):
    """Equal work was done when all printed the same checksum; who differs has failed."""
    seen = {}
    for name, result in results.items():
        for sample in result["samples"]:
            if "checksum" in sample:
                seen.setdefault(sample["checksum"], set()).add(name)
    if len(seen) <= 1:
        return
    common = max(seen, key=lambda checksum: len(seen[checksum]))
    for checksum, names in seen.items():
        for name in names if checksum != common else ():
            results[name]["error"] = f"checksum {checksum} instead of {common}"
            progress.note(f"{benchmark.name}: {name}: {results[name]['error']}")
