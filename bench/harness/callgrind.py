# SPDX-License-Identifier: MIT
"""Instructions of a malloc and free pair, counted by callgrind.

A bare loop is run twice with different counts; the difference, less that of an empty loop, is what
a pair costs, the calls through the PLT included. Valgrind must be told not to put its own malloc in
the allocator's place (--soname-synonyms). Counted with other blocks of the size live (the usual
case, and the required figure) and with none ("alone").
"""

import re
import subprocess

LOOPS = (10000, 60000)


class CountError(Exception):
    """Why there is no count."""


def total_instructions(command, environment, seconds=None):
    """Of a command and its children, outside the kernel. May be called by threads side by side."""
    valgrind = ["valgrind", "--tool=callgrind", "--soname-synonyms=somalloc=nouserintercepts",
                "--callgrind-out-file=/dev/null", "--trace-children=yes"]
    try:
        done = subprocess.run(valgrind + command, env=environment, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, errors="replace",
                              universal_newlines=True, check=False, timeout=seconds)
    except subprocess.TimeoutExpired as error:
        raise CountError(f"not done after {seconds} s under valgrind") from error
    found = re.findall(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or not found:
        last = done.stderr.strip().splitlines()[-1:]
        raise CountError(f"valgrind ended with {done.returncode}: {last}")
    return sum(map(int, found))


def per_loop(program, words, environment):
    few, many = (total_instructions([program, *words, f"ops={loops}"], environment)
                 for loops in LOOPS)
    return (many - few) / (LOOPS[1] - LOOPS[0])


class PairCounter:
    """Counts for one program; the empty loop is counted once."""

    def __init__(self, program, base):
        self.program = program
        self.base = base
        self.empty = per_loop(program, ["mode=empty"], base)

    def count(self, peer, live, size=64):
        words = [f"size={size}", f"live={live}"]
        return per_loop(self.program, words, peer.environment(self.base)) - self.empty
