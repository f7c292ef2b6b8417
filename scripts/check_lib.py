# SPDX-License-Identifier: MIT
"""Shared by the check_* scripts beside it: which files there are, and how results are printed.

A check prints one line per result, `ok NAME`, `not ok NAME` or `skip NAME: reason`, with `#` lines
of explanation under a failure, and exits 1 when anything failed.
"""

import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SKIPPED_DIRS = {".git", "build", "autom4te.cache", "build-aux", "__pycache__", ".libs", ".deps"}
LINES_MAX = 60

# What ./bootstrap makes, for a tree that git does not know.
GENERATED = re.compile(r"^(aclocal\.m4|configure~?|config\.h\.in~?|Makefile\.in|m4/l.*\.m4)$")

failed = 0


def result(good, name, complaints=()):
    """Print one result with its complaints; returns whether it was good."""
    global failed
    print(("ok " if good else "not ok ") + name)
    lines = [line for text in complaints for line in str(text).splitlines()]
    for line in lines[:LINES_MAX]:
        print("#   " + line)
    if len(lines) > LINES_MAX:
        print(f"#   … and {len(lines) - LINES_MAX} more lines")
    if not good:
        failed += 1
    sys.stdout.flush()
    return good


def skip(name, reason):
    print(f"skip {name}: {reason}")


def finish():
    sys.exit(1 if failed else 0)


def project_files():
    """Paths, relative to the top, of all files that are or could be committed."""
    try:
        listed = subprocess.run(
            ["git", "-C", TOP, "-c", f"safe.directory={TOP}", "ls-files", "-z", "--cached",
             "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode().split("\0")
        if os.path.isdir(os.path.join(TOP, ".git")) or os.path.isfile(os.path.join(TOP, ".git")):
            return sorted(f for f in set(listed) if f and os.path.isfile(os.path.join(TOP, f)))
    except (OSError, subprocess.CalledProcessError):
        pass
    found = []
    for folder, dirs, files in os.walk(TOP):
        dirs[:] = [d for d in dirs if d not in SKIPPED_DIRS]
        found += [os.path.relpath(os.path.join(folder, f), TOP) for f in files]
    return sorted(f for f in found if not GENERATED.match(f))


def with_suffix(*suffixes, under=("src/", "include/", "tests/", "bench/")):
    return [f for f in project_files() if f.endswith(suffixes) and f.startswith(tuple(under))]


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def blank(match):
    """The matched text with everything but its line ends made blank."""
    return re.sub(r"[^\n]", " ", match.group(0))


CODE = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def without_comments(text):
    """The C text with comments made blank, line by line the same length."""
    return CODE.sub(lambda m: blank(m) if m.group(0).startswith("/") else m.group(0), text)
