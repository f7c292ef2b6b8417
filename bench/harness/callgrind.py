# SPDX-License-Identifier: MIT
"""Instructions of a malloc and free pair, counted by callgrind.

A bare loop is run twice with different counts; the difference, less that of an empty loop, is what
a pair costs, the calls through the PLT included. Valgrind must be told not to put its own malloc in
the allocator's place (--soname-synonyms). Counted with other blocks of the size live (the usual
case, and the required figure) and with none ("alone").
"""

import os
import re
import subprocess

LOOPS = (10000, 60000)


class CountError(Exception):
    """Why there is no count."""


def total_instructions(program, words, environment, scratch):
    command = ["valgrind", "--tool=callgrind", "--soname-synonyms=somalloc=nouserintercepts",
               "--callgrind-out-file=" + os.path.join(scratch, "callgrind.out"), program, *words]
    done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, universal_newlines=True, check=False)
    found = re.search(r"Collected\s*:\s*(\d+)", done.stderr)
    if done.returncode != 0 or not found:
        last = done.stderr.strip().splitlines()[-1:]
        raise CountError(f"valgrind ended with {done.returncode}: {last}")
    return int(found.group(1))


def per_loop(program, words, environment, scratch):
    few, many = (total_instructions(program, [*words, f"ops={loops}"], environment, scratch)
                 for loops in LOOPS)
    return (many - few) / (LOOPS[1] - LOOPS[0])


class PairCounter:
    """Counts for one program; the empty loop is counted once."""

    def __init__(self, program, base, scratch, size=64):
        self.program = program
        self.base = base
        self.scratch = scratch
        self.size = size
        self.empty = per_loop(program, ["mode=empty"], base, scratch)

    def count(self, peer, live):
        words = [f"size={self.size}", f"live={live}"]
        return per_loop(self.program, words, peer.environment(self.base), self.scratch) - self.empty
