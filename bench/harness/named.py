# SPDX-License-Identifier: MIT
"""Real programs profiled: gcc, python3, redis and postgres, and one of ours that has debug
information for certain. The names of their sites are looked up by `tide report`.

Each runs in a directory of its own, below one that everybody may enter: postgres does not run as
root.
"""

import glob
import os
import random
import shutil
import socket
import subprocess
import tempfile
from dataclasses import replace

import overhead
import postgres
import servers
from probes import ProbeError, profiled, read_profile

RUN_SECONDS = 180
REDIS_SEED = 5
SUMS = ("select count(*) from (select aid % 1000 as part, string_agg(filler, ',') from "
        "pgbench_accounts group by part order by part) as sums")


def run(command, environment, directory):
    """Ends well within the time, or ProbeError."""
    try:
        done = subprocess.run(command, env=environment, cwd=directory, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                              timeout=RUN_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ProbeError(f"{command[0]}: not done after {RUN_SECONDS} s") from error
    if done.returncode != 0:
        last = done.stdout.decode(errors="replace").strip().splitlines()[-1:]
        raise ProbeError(f"{command[0]} ended with {done.returncode}: {last}")


def run_gcc(runner, environment, directory):
    run(["gcc", "-O2", "-S", "-o", "large.s", os.path.join(runner.inputs, "large.c")],
        environment, directory)


def run_python(runner, environment, directory):
    run(["/usr/bin/python3", os.path.join(runner.real, "objects.py")],
        dict(environment, PYTHONMALLOC="malloc"), directory)


def run_liveset(runner, environment, directory):
    run([runner.tool("liveset"), "ops=2000000"], environment, directory)


def run_redis(_runner, environment, directory):
    draw = random.Random(REDIS_SEED)
    with servers.redis_server(environment, directory) as server:
        servers.redis_loads(server)
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(server.socket)
            servers.redis_fill(connection, draw)


def run_postgres(_runner, environment, directory):
    """pgbench's own load, and a query that sorts and groups."""
    who = postgres.account(directory)
    data = postgres.make_data(directory, who)
    with postgres.server(environment, directory, data, who):
        postgres.fill(directory)
        servers.run_client(postgres.client(directory, "pgbench", "-n", "-c", "4", "-j", "2", "-t",
                                           "500", "postgres"))
        servers.run_client(postgres.client(directory, "psql", "-X", "-q", "-c", SUMS, "postgres"))


# name, the program whose profiles count (its children included), how it is run
PROGRAMS = (("gcc", "cc1", run_gcc), ("python3", "python3", run_python),
            ("redis", "redis-", run_redis), ("postgres", "postgres", run_postgres),
            ("liveset (ours, with -g)", "liveset", run_liveset))


def is_of(tool, path, program):
    profile = read_profile(tool, path, "--no-symbols", "--top=1")
    return bool(profile) and overhead.base_name(profile["profile"].get("program")).startswith(
        program)


def profile_of(tool, directory, program):
    """The report of all profiles of a program there, as one, and how many they were."""
    paths = [path for path in sorted(glob.glob(os.path.join(directory, "*.tide")))
             if is_of(tool, path, program)]
    if not paths:
        raise ProbeError(f"no process of {program} wrote a profile with samples")
    whole = paths[0]
    if len(paths) > 1:
        whole = os.path.join(directory, "whole.merged")
        run([tool, "merge", "-o", whole, *paths], None, directory)
    return read_profile(tool, whole, "--top=0"), len(paths)


def profile_program(runner, peer, tool, parent, entry):
    name, program, start = entry
    directory = tempfile.mkdtemp(dir=parent)
    os.chmod(directory, 0o755)
    conf = profiled(peer, os.path.join(directory, "%p.tide"))
    try:
        start(runner, conf.environment(runner.base), directory)
        report, profiles = profile_of(tool, directory, program)
    except (ProbeError, servers.ServerError, OSError) as error:
        return {"name": name, "error": str(error)}
    return {"name": name, "profiles": profiles, **overhead.names_of(report)}


def profile_programs(runner, peer, tool, say):
    """A part of the document for each program. The library is where every user can read it."""
    with tempfile.TemporaryDirectory(prefix="tide-named-") as parent:
        os.chmod(parent, 0o755)
        library = shutil.copy(peer.path, parent)
        os.chmod(library, 0o755)
        readable = replace(peer, path=library)
        found = []
        for entry in PROGRAMS:
            say(f"profiling {entry[0]}")
            found.append(profile_program(runner, readable, tool, parent, entry))
        return found
