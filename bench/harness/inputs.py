# SPDX-License-Identifier: MIT
"""Generated inputs of the real programs: from fixed seeds, made once, kept in the build directory.

Each maker writes one file or directory; `prepare` makes what is missing. The version is part of
the directory's name: raise it when a maker changes.
"""

import os
import random

VERSION = 1


def c_statement(draw, number):
    constant = draw.randrange(1, 99)
    kind = draw.randrange(7)
    callee = draw.randrange(max(number, 1))
    if kind == 0:
        return (f"for (unsigned i = 0; i < b % {constant}; i++) {{ x += (long)i * y ^ z; "
                f"z = x >> {constant % 13}; n->name[i % 24] = (char)x; }}")
    if kind == 1:
        return (f"if (x > y + {constant}) {{ y -= z * {constant}; w *= 1.{constant}; }} "
                f"else {{ z ^= x << {constant % 7}; w += (double)y; }}")
    if kind == 2 and number > 0:
        return f"x += f{callee}(n, y - {constant}, (unsigned)z);"
    if kind == 3:
        cases = " ".join(f"case {at}: y += {draw.randrange(99)} * z; break;" for at in range(7))
        return f"switch (x & 7) {{ {cases} default: z--; }}"
    if kind == 4:
        return (f"while (n && n->key < x) {{ n->key += {constant}; "
                "if (n->next == NULL) break; n = n->next; y++; }")
    if kind == 5:
        return (f"for (int i = 0; i < {constant}; i++) "
                f"for (int j = 0; j < {constant % 9 + 2}; j++) "
                f"w += (double)(i * j) / (double)(y + {constant});")
    return f"z = (x * {constant} + y / {constant}) % {constant + 100}; y = z ? x / z : y;"


def make_c_source(path, functions=170, seed=11):
    """A large C file: functions full of loops, switches and calls of earlier functions."""
    draw = random.Random(seed)
    lines = ["#include <stddef.h>",
             "struct node { struct node *next; long key; double weight; char name[24]; };",
             "typedef long (*handler)(struct node *, long, unsigned);"]
    for number in range(functions):
        lines.append(f"static long f{number}(struct node *n, long a, unsigned b)")
        lines.append(f"{{\n    long x = a, y = b, z = {draw.randrange(1000)};")
        lines.append("    double w = n->weight;")
        lines += ["    " + c_statement(draw, number) for _ in range(draw.randrange(6, 14))]
        lines.append("    n->weight = w;\n    return x + y * z;\n}")
    table = ", ".join(f"f{number}" for number in range(functions))
    lines.append(f"handler table[] = {{{table}}};\n")
    write(path, "\n".join(lines))


def make_job_shop(path, jobs=12, machines=10, slack=1.2, seed=3):
    """A job-shop schedule as linear integer arithmetic; z3 proves in a second there is none."""
    draw = random.Random(seed)
    lines = ["(set-logic QF_LIA)"]
    lines += [f"(declare-fun s{j}_{m} () Int)" for j in range(jobs) for m in range(machines)]
    length = [[draw.randrange(1, 12) for _ in range(machines)] for _ in range(jobs)]
    order = [draw.sample(range(machines), machines) for _ in range(jobs)]
    lines.append("(declare-fun end () Int)")
    for j in range(jobs):
        lines.append(f"(assert (>= s{j}_{order[j][0]} 0))")
        for a, b in zip(order[j], order[j][1:]):
            lines.append(f"(assert (>= s{j}_{b} (+ s{j}_{a} {length[j][a]})))")
        last = order[j][-1]
        lines.append(f"(assert (<= (+ s{j}_{last} {length[j][last]}) end))")
    for m in range(machines):
        for j in range(jobs):
            lines += [f"(assert (or (>= s{j}_{m} (+ s{k}_{m} {length[k][m]})) "
                      f"(>= s{k}_{m} (+ s{j}_{m} {length[j][m]}))))" for k in range(j)]
    least = max(sum(length[j][m] for j in range(jobs)) for m in range(machines))
    lines.append(f"(assert (<= end {int(least * slack)}))\n(check-sat)\n")
    write(path, "\n".join(lines))


def make_directory(path, files=200):
    os.makedirs(path + ".new", exist_ok=True)
    for number in range(files):
        write(os.path.join(path + ".new", f"file-{number:03}"), "x" * number)
    os.rename(path + ".new", path)


def write(path, text):
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(text)
    os.rename(path + ".new", path)


MAKERS = {"large.c": make_c_source, "jobshop.smt2": make_job_shop, "directory": make_directory}


def prepare(build):
    """Makes what is missing below build; returns the directory of the inputs."""
    place = os.path.join(build, f"inputs-{VERSION}")
    os.makedirs(place, exist_ok=True)
    for name, maker in MAKERS.items():
        path = os.path.join(place, name)
        if not os.path.exists(path):
            maker(path)
    return place
