# SPDX-License-Identifier: MIT
"""From the samples of a --predict run to figures and scores. Pure functions of the document.

A figure is the median of one number over the rounds. A score compares figures with a limit. A twin
is a second copy of a configuration: what it differs by is what the machine cannot tell apart.
"""

import math
import statistics
from dataclasses import dataclass

import report
from overhead import mean_error
from summary import geometric_mean

OWN = "tide-"
DEVIATIONS = 3      # of the twin's figures: a single figure further off is no chance


@dataclass(frozen=True)
class Score:
    what: str
    limit: float
    value: float | None
    where: str = ""
    noise: float | None = None      # the same of the twin
    chance: float = 0               # up to this it is as likely chance

    def verdict(self):
        if self.value is None:
            return "not measured"
        if self.value <= self.limit:
            return "holds"
        return f"holds within noise, {self.chance:.3f}" if self.value <= self.chance else "fails"


def entry_of(document, benchmark):
    return next((entry for entry in document["benchmarks"] if entry["name"] == benchmark), None)


def values(document, benchmark, peer, key):
    entry = entry_of(document, benchmark)
    samples = entry["results"].get(peer, {"samples": []})["samples"] if entry else []
    return [sample[key] for sample in samples if key in sample]


def median(document, benchmark, peer, key):
    """The figure, None when there is none."""
    found = values(document, benchmark, peer, key)
    return statistics.median(found) if found else None


def spread(document, benchmark, peer, key):
    """Half the distance of the quartiles over the median, None of fewer than two rounds."""
    found = values(document, benchmark, peer, key)
    middle = statistics.median(found) if found else 0
    if len(found) < 2 or not middle:
        return None
    low, _, high = statistics.quantiles(found, n=4, method="inclusive")
    return (high - low) / 2 / middle


def rivals(document):
    return [peer["name"] for peer in document["peers"] if not peer["name"].startswith(OWN)]


def ratio(document, benchmark, peer, other, key):
    value, divisor = (median(document, benchmark, name, key) for name in (peer, other))
    return None if value is None or not divisor else value / divisor


def over_best(document, benchmark, peer, key):
    """To the least of the rivals."""
    found = [value for name in rivals(document)
             if (value := median(document, benchmark, name, key)) is not None]
    value = median(document, benchmark, peer, key)
    return None if value is None or not found or not min(found) else value / min(found)


def worst(names, figure):
    """(the greatest figure, whose) of those that have one."""
    found = [(value, name) for name in names if (value := figure(name)) is not None]
    return max(found) if found else (None, "")


def worst_score(what, limit, names, figure, noise=None):
    value, where = worst(names, figure)
    return Score(what, limit, value, where, worst(names, noise)[0] if noise else None)


def mean_within_noise(what, ratios, twins):
    """The mean must be at most 1, but for two standard errors of the twin's."""
    chance = math.exp(2 * (mean_error(list(twins.values())) or 0))
    return Score(what, 1, geometric_mean(list(ratios.values())), f"{len(ratios)} figures",
                 geometric_mean(list(twins.values())), chance)


def worst_within_noise(what, ratios, twins):
    """No figure may be above 1 by more than chance: the twin's have the same distribution."""
    logs = [math.log(value) for value in twins.values()]
    chance = math.exp(DEVIATIONS * statistics.pstdev(logs, 0)) if logs else 0
    value, where = worst(ratios, ratios.get)
    return Score(what, 1, value, where, worst(twins, twins.get)[0], chance)


def number(value, digits=3):
    return "–" if value is None else f"{value:.{digits}f}"


def score_table(scores):
    rows = [[score.what, number(score.limit), number(score.value), number(score.noise),
             score.where, score.verdict()] for score in scores]
    return report.table(["what", "must be at most", "is", "twin", "where", ""], rows)


def cell(document, benchmark, peer, key, scale, digits):
    value = median(document, benchmark, peer, key)
    if value is None:
        return "–"
    half = spread(document, benchmark, peer, key)
    return f"{value / scale:.{digits}f}" + (f" ±{half:.0%}" if half and half >= 0.005 else "")


def figure_tables(document, benchmarks, figures):
    """A table for each of (key, title, scale, digits) that any of the benchmarks has."""
    entries = [entry for b in benchmarks if (entry := entry_of(document, b.name))]
    names = [peer["name"] for peer in document["peers"]
             if any(entry["results"].get(peer["name"]) for entry in entries)]
    parts = []
    for key, title, scale, digits in figures:
        rows = [[entry["name"], *(cell(document, entry["name"], name, key, scale, digits)
                                  for name in names)] for entry in entries]
        rows = [row for row in rows if set(row[1:]) != {"–"}]
        if rows:
            parts.append(f"### {title}\n\n" + report.table(["program", *names], rows))
    return parts
