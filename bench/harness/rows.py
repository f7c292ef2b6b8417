# SPDX-License-Identifier: MIT
"""What a row of --predict is: programs, the allocators that run them, and the scores they give.

Owns the names of the library's configurations. Each row is a module of its own and lists its
programs as data; predicting.py runs them.
"""

from dataclasses import dataclass, field
from typing import Callable

from peers import Peer

OFF, TWIN, ON, PROFILED = "tide-off", "tide-twin", "tide-on", "tide-on-profile"
# The run with nothing learned, with what one run left, with what two left; copies of the first two.
FIRST, SECOND, THIRD = LEARN = ("tide-learn-1", "tide-learn-2", "tide-learn-3")
FIRST_TWIN, SECOND_TWIN = LEARN_TWINS = ("tide-learn-1-twin", "tide-learn-2-twin")

NOBODY, PLAIN, SETTINGS = range(3)

# Settings of the peers' own decay: memory against page faults is a choice, so all are shown.
PEER_SETTINGS = (
    ("mimalloc", "now", {"MIMALLOC_RESET_DELAY": "0", "MIMALLOC_PAGE_RESET": "1"}),
    ("mimalloc", "1s", {"MIMALLOC_RESET_DELAY": "1000", "MIMALLOC_PAGE_RESET": "1"}),
    ("jemalloc", "100ms", {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:100,"
                                          "muzzy_decay_ms:0"}),
    ("jemalloc", "1s", {"MALLOC_CONF": "background_thread:true,dirty_decay_ms:1000,"
                                       "muzzy_decay_ms:0"}),
)


@dataclass
class LearningPeer(Peer):
    runs_before: int = 0        # how many runs' learning it begins with
    teaches: bool = False       # what it leaves is what the next one begins with


@dataclass(frozen=True)
class Row:
    title: str
    benchmarks: tuple
    own: tuple                  # the library's configurations
    needs: tuple                # of these: without them nothing is to be learned from a run
    scores: Callable            # document -> [Score]
    tables: Callable            # document -> [Markdown]
    rivals: int = NOBODY        # or PLAIN, as they come; or with SETTINGS of theirs, too
    repeat: dict = field(default_factory=dict)      # {program: runs a round}, where not one

    def runs_each_round(self, benchmark):
        return self.repeat.get(benchmark.name, 1)


def with_settings(peers):
    """The peers, and those of them that have settings once more with each."""
    by_name = {peer.name: peer for peer in peers}
    return peers + [Peer(f"{name}-{label}", by_name[name].path, variables, by_name[name].package)
                    for name, label, variables in PEER_SETTINGS if name in by_name]


def setting_names():
    return {f"{name}-{label}" for name, label, _ in PEER_SETTINGS}


def own_peers(library, more, learned):
    """The library's configurations: `more` are further words for those with forecasts; what is
    learned is kept in a directory.
    """
    on = ",".join(filter(None, ("predict:on", more)))
    learn = {"TIDE_CONF": f"{on},learn:{learned}"}
    plain = [Peer(name, library, {"TIDE_CONF": conf})
             for name, conf in ((OFF, "predict:off"), (TWIN, "predict:off"), (ON, on),
                                (PROFILED, on + ",profile:true"))]
    return plain + [LearningPeer(name, library, learn, runs_before=runs, teaches=True)
                    for runs, name in enumerate(LEARN)] + \
        [LearningPeer(name, library, learn, runs_before=runs)
         for runs, name in enumerate(LEARN_TWINS)]
