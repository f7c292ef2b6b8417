# SPDX-License-Identifier: MIT
"""The allocators under comparison: where their library is and whether it really takes over.

Libraries outside the system's directories are copied for the time of a run, so that a build that
goes on meanwhile changes nothing. A peer is a name, a library to preload (none for glibc) and
variables to set with it. Knows no benchmark. A peer asked for by name must exist; a default one
that is missing is left out with a line that says so.
"""

import hashlib
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field


class PeerError(Exception):
    """What is wrong with a peer, for the user."""


@dataclass
class Peer:
    name: str
    path: str = ""
    variables: dict = field(default_factory=dict)
    package: str = ""
    origin: str = ""    # where the library was before it was copied
    digest: str = ""    # of the copied library, to tell builds apart

    def environment(self, base, over_linked=False, libc=""):
        """The environment of a program that is to use this peer.

        over_linked: the program brings an allocator of its own as a library (redis does); glibc
        then has to be preloaded like the others, to come first.
        """
        environment = dict(base, **self.variables)
        preload = self.preload(over_linked, libc)
        if preload:
            environment["LD_PRELOAD"] = preload
        return environment

    def preload(self, over_linked=False, libc=""):
        return self.path or (libc if over_linked else "")


KNOWN = (
    Peer("glibc", "", {}, "libc6"),
    Peer("mimalloc", "libmimalloc.so.2", {}, "libmimalloc2.0"),
    Peer("jemalloc", "libjemalloc.so.2", {}, "libjemalloc2"),
    Peer("tcmalloc", "libtcmalloc_minimal.so.4", {}, "libtcmalloc-minimal4"),
)
OWN_LIBRARY = "build/.libs/libtidemalloc.so.0"
OWN_NAME = "tide"


def library_directories():
    """Where Debian keeps shared libraries of this machine's architecture."""
    places = ["/lib", "/usr/lib", "/usr/local/lib"]
    for parent in ("/usr/lib", "/lib"):
        try:
            places += [os.path.join(parent, name) for name in os.listdir(parent)
                       if name.endswith("-linux-gnu")]
        except OSError:
            pass
    return places


def find_library(name):
    for place in library_directories():
        path = os.path.join(place, name)
        if os.path.exists(path):
            return path
    return None


def find_libc():
    """The C library this very process runs on."""
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            path = line.split(maxsplit=5)[-1].strip()
            if re.search(r"/libc(-[0-9.]+)?\.so(\.6)?$", path):
                return path
    raise PeerError("cannot find the C library in /proc/self/maps")


def parse_extra(word):
    """'name=path.so' or 'name=path.so@VARIABLE=VALUE@…', as given on the command line."""
    name, _, rest = word.partition("=")
    path, *variables = rest.split("@")
    if not re.fullmatch(r"[A-Za-z][\w.+-]*", name) or not path:
        raise PeerError(f"{word}: want name=path.so, with @VARIABLE=VALUE behind it if wanted")
    if path != "-" and not os.path.isfile(path):
        raise PeerError(f"{word}: no such file: {path}")
    if any("=" not in variable for variable in variables):
        raise PeerError(f"{word}: want VARIABLE=VALUE after @")
    return Peer(name, "" if path == "-" else os.path.abspath(path),
                dict(variable.split("=", 1) for variable in variables))


def known_peer(name, root):
    """The known peer of that name with its path filled in, or None when it is not installed."""
    if name == OWN_NAME:
        path = os.path.join(root, OWN_LIBRARY)
        return Peer(OWN_NAME, path) if os.path.isfile(path) else None
    for peer in KNOWN:
        if peer.name == name:
            path = find_library(peer.path) if peer.path else ""
            return None if path is None else Peer(name, path, {}, peer.package)
    names = ", ".join([peer.name for peer in KNOWN] + [OWN_NAME])
    raise PeerError(f"{name}: no such allocator (known: {names}; others as name=path.so)")


def select(names, extras, root, say):
    """The peers of this run. names is None for all that are there."""
    chosen = []
    wanted = names if names is not None else [peer.name for peer in KNOWN] + [OWN_NAME]
    extra_peers = [parse_extra(word) for word in extras]
    extra_names = {peer.name for peer in extra_peers}
    for name in wanted:
        if name in extra_names:
            continue
        peer = known_peer(name, root)
        if peer is not None:
            chosen.append(peer)
            continue
        missing = f"{OWN_LIBRARY} is not built" if name == OWN_NAME else "not installed"
        if names is not None and name != OWN_NAME:
            raise PeerError(f"{name}: {missing}")
        say(f"leaving out {name}: {missing}")
    chosen += extra_peers
    if len({peer.name for peer in chosen}) != len(chosen):
        raise PeerError("two allocators have the same name")
    if not chosen:
        raise PeerError("no allocator left to run")
    return chosen


def freeze(peers, directory):
    """Copies libraries that may change during the run; the peers then use the copies."""
    for peer in peers:
        if not peer.path or peer.package:
            continue
        place = os.path.join(directory, peer.name)
        os.makedirs(place)
        copy = os.path.join(place, os.path.basename(peer.path))
        shutil.copyfile(peer.path, copy)
        with open(copy, "rb") as file:
            peer.digest = hashlib.sha256(file.read()).hexdigest()[:12]
        peer.origin, peer.path = peer.path, copy


def complaint(peer, program):
    """What the library says about its settings when a small program runs; "" when it is content."""
    done = subprocess.run([program, "ops=1"], env=peer.environment(dict(os.environ)),
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          universal_newlines=True, check=False)
    return next((line for line in done.stderr.splitlines() if "TIDE_CONF:" in line), "")


def check_takes_over(peer, program, libc):
    """Fails unless a malloc of the program is bound to the peer's library."""
    environment = peer.environment(dict(os.environ, LD_DEBUG="bindings", LD_BIND_NOW="1"))
    done = subprocess.run([program, "ops=1"], env=environment, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, universal_newlines=True, check=False)
    bound = re.findall(r"binding file \S*" + re.escape(os.path.basename(program)) +
                       r" \[0\] to (\S+) \[0\]: normal symbol `malloc'", done.stderr)
    expected = os.path.realpath(peer.path or libc)
    if done.returncode != 0:
        raise PeerError(f"{peer.name}: a small program under {peer.path or 'glibc'} ended with "
                        f"{done.returncode}: {done.stderr.strip().splitlines()[-1:]}")
    if not bound or os.path.realpath(bound[-1]) != expected:
        raise PeerError(f"{peer.name}: malloc is bound to {bound[-1:] or 'nothing'}, "
                        f"not to {expected}")
