# SPDX-License-Identifier: MIT
"""What the figures were taken on: processor, kernel, memory policy, packages, commit.

Only reads; knows nothing of benchmarks. A fact that cannot be read is None, never an error.
"""

import os
import platform
import subprocess
import time

PACKAGES = (
    "libc6", "libmimalloc2.0", "libjemalloc2", "libtcmalloc-minimal4", "libgoogle-perftools4",
    "libunwind8", "gcc-12", "python3", "python3.11-dbg", "postgresql-15", "redis-server",
    "memcached", "lua5.4", "ruby", "sqlite3", "z3", "ghostscript", "rocksdb-tools", "hyperfine",
    "valgrind", "gnuplot-nox",
)
THP = "/sys/kernel/mm/transparent_hugepage/"


def read_line(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.readline().strip()
    except OSError:
        return None


def output_of(*command, cwd=None):
    try:
        done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, check=True,
                              stderr=subprocess.DEVNULL, universal_newlines=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def field_of(path, name):
    try:
        with open(path, encoding="utf-8") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key.strip() == name:
                    return value.strip()
    except OSError:
        pass
    return None


def busy_seconds():
    """Processor time that was used since the start, by anybody, the host of a virtual machine
    included; None when it cannot be read.
    """
    words = (read_line("/proc/stat") or "").split()[1:9]
    if len(words) < 8:
        return None
    ticks = [int(word) for word in words]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def chosen(line):
    """The word in brackets of a kernel setting such as 'always [madvise] never'."""
    return line.partition("[")[2].partition("]")[0] if line and "[" in line else line


def package_version(name):
    return output_of("dpkg-query", "-W", "-f", "${Version}", name) or None


def os_name():
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME")
    except (OSError, AttributeError):
        return None


def describe(root):
    commit = output_of("git", "rev-parse", "--short=12", "HEAD", cwd=root)
    changed = output_of("git", "status", "--porcelain", cwd=root)
    return {
        "time": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "processor": field_of("/proc/cpuinfo", "model name") or platform.machine(),
        "processors": len(os.sched_getaffinity(0)),
        "memory": field_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "virtual": "hypervisor" in (field_of("/proc/cpuinfo", "flags") or ""),
        "os": os_name(),
        "thp": chosen(read_line(THP + "enabled")),
        "thp_defrag": chosen(read_line(THP + "defrag")),
        "thp_64k": chosen(read_line(THP + "hugepages-64kB/enabled")),
        "overcommit": read_line("/proc/sys/vm/overcommit_memory"),
        "commit": commit,
        "commit_changed": None if commit is None else bool(changed),
        "packages": {name: package_version(name) for name in PACKAGES},
    }


def one_paragraph(machine):
    """The description for people, without the packages."""
    commit = machine["commit"] or "none"
    return (
        f"{machine['processors']} × {machine['processor']}"
        f"{' (virtual machine)' if machine['virtual'] else ''}, {machine['memory']}, "
        f"{machine['os']}, Linux {machine['kernel']}, THP {machine['thp']} "
        f"(defrag {machine['thp_defrag']}, 64 KiB pages {machine['thp_64k']}), overcommit "
        f"{machine['overcommit']}, commit {commit}"
        f"{' with changes' if machine['commit_changed'] else ''}, {machine['time']}"
    )
