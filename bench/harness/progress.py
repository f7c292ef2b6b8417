# SPDX-License-Identifier: MIT
"""Progress on standard error: what runs, how much is done, when it will end.

On a terminal one line is rewritten; elsewhere a line per benchmark is printed. The estimate comes
from what a step of each benchmark took so far, and from a plain guess for those still to come.
"""

import sys
import time

GUESS_SECONDS = {"micro": 0.55, "startup": 0.4, "program": 1.6, "server": 8.0}
BURST_SECONDS = 2.9


def guess(benchmark):
    if benchmark.seconds:
        return benchmark.seconds
    return BURST_SECONDS if benchmark.idle_gate else GUESS_SECONDS[benchmark.kind]


def clock(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    return f"{minutes}:{seconds:02}"


class Progress:
    def __init__(self, benchmarks, steps, stream=sys.stderr):
        """steps: how many runs each benchmark has, or {name: how many}."""
        self.left = {benchmark.name: steps[benchmark.name] if isinstance(steps, dict) else steps
                     for benchmark in benchmarks}
        self.seconds = {benchmark.name: guess(benchmark) for benchmark in benchmarks}
        self.total = sum(self.left.values())
        self.done = 0
        self.stream = stream
        self.live = stream.isatty()
        self.started = self.last = time.monotonic()
        self.shown = False

    def remaining(self):
        """Seconds still to come, every step at its known or guessed cost."""
        return sum(count * self.seconds[name] for name, count in self.left.items())

    def begin(self, benchmark):
        self.last = time.monotonic()
        if not self.live:
            self.say(f"[{self.percent():3}%] {benchmark.name}: {benchmark.about} "
                     f"(about {clock(self.remaining())} left)")

    def percent(self):
        return 100 * self.done // max(self.total, 1)

    def step(self, benchmark):
        now = time.monotonic()
        self.done += 1
        self.left[benchmark.name] -= 1
        took = now - self.last
        self.seconds[benchmark.name] += 0.4 * (took - self.seconds[benchmark.name])
        self.last = now
        if self.live:
            text = (f"[{self.percent():3}%] {benchmark.name:<20} {self.done}/{self.total}, "
                    f"{clock(now - self.started)} gone, about {clock(self.remaining())} left")
            self.stream.write("\r\033[K" + text)
            self.stream.flush()
            self.shown = True

    def note(self, text):
        self.say("  " + text)

    def say(self, text):
        if self.shown:
            self.stream.write("\r\033[K")
            self.shown = False
        print(text, file=self.stream, flush=True)

    def end(self):
        self.say(f"done in {clock(time.monotonic() - self.started)}")
