# SPDX-License-Identifier: MIT
"""A postgres server on a unix socket, as somebody who may run one: it refuses to run as root.

Owns where its programs are, whom they run as, and a data directory that is made once and copied
for each run. What they do is up to the caller.
"""

import glob
import os
import pwd
import shutil
import subprocess

import servers
from servers import ServerError

SCALE = 4      # of pgbench: 400,000 accounts, some 60 MB


def programs():
    """Where the newest server's programs are."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"))
    if not found:
        raise ServerError("postgresql is not installed")
    return os.path.dirname(found[-1])


def account(directory):
    """How to become somebody who may run postgres: arguments of subprocess; owns the directory."""
    if os.geteuid() != 0:
        return {}
    try:
        entry = pwd.getpwnam("postgres")
    except KeyError as error:
        raise ServerError("there is no user postgres") from error
    os.chmod(directory, 0o755)
    for place, _, names in os.walk(directory):
        for path in [place] + [os.path.join(place, name) for name in names]:
            os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def client(directory, name, *words):
    """A client's command line, without its database."""
    return [os.path.join(programs(), name), "-h", directory, "-U", "postgres", *words]


def server(environment, directory, data, who):
    query = client(directory, "psql", "-X", "-q", "-c", "select 1", "postgres")

    def ready(_socket):
        return subprocess.run(query, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    command = [os.path.join(programs(), "postgres"), "-D", data, "-k", directory, "-c",
               "listen_addresses=", "-c", "fsync=off"]
    return servers.Server(command, environment, directory, ready, **who)


def make_data(directory, who):
    """A new data directory, below one that postgres may enter."""
    data = os.path.join(directory, "data")
    servers.run_client([os.path.join(programs(), "initdb"), "-D", data, "-U", "postgres", "-A",
                        "trust", "--locale=C", "--no-sync"], cwd=directory, **who)
    return data


def fill(directory):
    servers.run_client(client(directory, "pgbench", "-i", "-q", "-s", str(SCALE), "postgres"))


def filled_data(inputs, directory, plain):
    """A copy of a filled data directory, which is made when there is none yet; and who owns it."""
    kept = os.path.join(inputs, "postgres-" + programs().split(os.sep)[-2])
    data = os.path.join(directory, "data")
    if os.path.isdir(kept):
        shutil.copytree(kept, data)
        return data, account(directory)
    who = account(directory)
    make_data(directory, who)
    with server(plain, directory, data, who):
        fill(directory)
    shutil.rmtree(kept + ".new", ignore_errors=True)
    shutil.copytree(data, kept + ".new")
    os.rename(kept + ".new", kept)
    return data, who
