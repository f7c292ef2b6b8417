# SPDX-License-Identifier: MIT
"""scripts/bench --judge: forecasters and policies on traces of real programs.

Owns which traces are chosen by and which are held back, the accounts that costs are counted in, and
the tables. bench/judging/judge.c does the sums for one trace.
"""

import argparse
import os
import statistics
import subprocess

import command
import machine
import report
from command import ROOT
from runner import BenchError

# Every second program of `scripts/traces --list` is held back: nothing may be chosen by it.
CHOOSING, HELD_BACK = "choosing", "held back"
SAMPLES_LEAST = 10  # forecasts of a trace, to count
BASELINE, ACTING = "peak-1s", "keeper"
BANK, UPPER = ("bank", "alone"), ("upper", "alone")
ACCOUNTS = (("as stated", ()),
            ("the keeper's time counts in full", ("keeper=100",)),
            ("it counts a quarter", ("keeper=25",)),
            ("the keeper needs 4 ms", ("reaction=4",)),
            ("keeping for 0.1 s costs a fault", ("break_even=100",)),
            ("keeping for 10 s costs a fault", ("break_even=10000",)))


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        prog="scripts/bench --judge",
        description="What the forecasters and policies of src/predict are worth on traces of real "
        "programs (made by scripts/traces): pinball losses, and costs over those of an oracle.",
        epilog="Results go to build/bench/results/judge-….")
    parser.add_argument("--traces", metavar="DIRECTORY",
                        default=os.path.join(ROOT, "build", "traces"),
                        help="where scripts/traces put them (default build/traces)")
    parser.add_argument("--only", metavar="REGEX", default="",
                        help="only traces whose name matches")
    parser.add_argument("--tool", metavar="PROGRAM", default=os.path.join(ROOT, "build", "tide"),
                        help="the tide command, instead of build/tide")
    command.add_places(parser, "traces")
    return parser.parse_args(arguments)


def output_of(words):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          universal_newlines=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(words)}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def known_traces():
    """(name, half) in the order of scripts/traces."""
    lines = output_of([os.path.join(ROOT, "scripts", "traces"), "--list"]).splitlines()
    return [(line.split()[0], (CHOOSING, HELD_BACK)[at % 2]) for at, line in enumerate(lines)]


def series_of(options, name):
    """The trace's levels, a millisecond each; made when they are missing or older."""
    trace = os.path.join(options.traces, name + ".trace")
    series = os.path.join(options.traces, name + ".series")
    if not os.path.exists(series) or os.path.getmtime(series) < os.path.getmtime(trace):
        output_of([options.tool, "trace", "--series=1", "-o", series + ".new", trace])
        os.rename(series + ".new", series)
    return series


# ---- What judge says ---------------------------------------------------------------------------

def parse(text):
    """The lines of one run: the series, forecasts, costs."""
    found = {"forecasts": [], "policies": {}}
    for line in text.splitlines():
        kind, *words = line.split("\t")
        if kind == "series":
            found["ms"], found["peak_bytes"] = int(words[0]), int(words[1])
        elif kind == "forecast":
            found["forecasts"].append({
                "step_ms": int(words[0]), "horizon": int(words[1]), "name": words[2],
                "mode": words[3], "asked": int(words[4]), "loss": float(words[5]),
                "coverage": float(words[6])})
        elif kind == "oracle":
            found["oracle_ns"] = float(words[0])
        elif kind == "policy":
            numbers = [float(word) for word in words[2:]]
            found["policies"][words[0]] = dict(zip(
                ("ns", "faults", "readied", "wasted", "returned", "kept_page_ms", "looks"),
                numbers), about=words[1])
    return found


def judge_trace(options, name, half):
    series = series_of(options, name)
    runs = [parse(output_of([os.path.join(options.build, "judge"), series, *words]))
            for _, words in ACCOUNTS]
    return {"name": name, "half": half, "ms": runs[0]["ms"], "peak_bytes": runs[0]["peak_bytes"],
            "forecasts": runs[0]["forecasts"],
            "accounts": [{"about": about, "oracle_ns": run["oracle_ns"],
                          "policies": run["policies"]} for (about, _), run in zip(ACCOUNTS, runs)]}


# ---- Forecasters -------------------------------------------------------------------------------

def settings_of(traces):
    return sorted({(f["step_ms"], f["horizon"]) for t in traces for f in t["forecasts"]})


def mean_forecasts(traces, setting, key):
    """{(name, mode): mean over the traces that are long enough}, and how many those are."""
    values = {}
    for trace in traces:
        for f in trace["forecasts"]:
            if (f["step_ms"], f["horizon"]) == setting and f["asked"] >= SAMPLES_LEAST:
                values.setdefault((f["name"], f["mode"]), []).append(f[key])
    return {who: statistics.mean(found) for who, found in values.items()}, \
        max((len(found) for found in values.values()), default=0)


def losses_by_setting(traces):
    """[(setting, traces, {who: loss in per cent of the peak}, coverage of the upper band)]"""
    rows = []
    for setting in settings_of(traces):
        losses, count = mean_forecasts(traces, setting, "loss")
        if count > 0:
            coverage = mean_forecasts(traces, setting, "coverage")[0][UPPER]
            rows.append((setting, count, {who: 100 * loss for who, loss in losses.items()},
                         coverage))
    return rows


def over_settings(rows):
    """Mean of each over all settings."""
    return {who: statistics.mean(losses[who] for _, _, losses, _ in rows) for who in rows[0][2]} \
        if rows else {}


def best_single(losses, modes=("alone", "margin")):
    """Of forecasters as they are, with the margins that the bank learns for them, or of both."""
    return min((loss, who) for who, loss in losses.items()
               if who not in (BANK, UPPER) and who[1] in modes)


def called(who):
    return who[0] + (", margin" if who[1] == "margin" else "")


def forecast_table(traces):
    rows = losses_by_setting(traces)
    if not rows:
        return "No trace is long enough."
    names = [name for name, mode in rows[0][2] if mode == "margin"]
    lines = []
    for title, count, losses, coverage in (
            [(f"{step} ms × {horizon}", count, losses, f"{coverage:.2f}")
             for (step, horizon), count, losses, coverage in rows]
            + [("mean", "", over_settings(rows), "")]):
        loss, who = best_single(losses)
        lines.append([title, count, *(f"{losses[name, 'alone']:.2f} / {losses[name, 'margin']:.2f}"
                                      for name in names),
                      f"{losses[BASELINE, 'alone']:.2f}", f"{loss:.2f} {called(who)}",
                      f"**{losses[BANK]:.2f}**", f"{losses[UPPER]:.2f}", coverage])
    return report.table(["samples", "traces", *names, BASELINE, "best single", "bank", "upper",
                         "its coverage"], lines)


# ---- Policies ----------------------------------------------------------------------------------

def distance(trace, policy, account=0):
    costs = trace["accounts"][account]
    return costs["policies"][policy]["ns"] / costs["oracle_ns"]


def mean_distance(traces, policy, account=0):
    return statistics.mean(distance(trace, policy, account) for trace in traces)


def policy_table(traces):
    names = list(traces[0]["accounts"][0]["policies"])
    rows = [[t["name"], t["half"], f"{t['ms'] / 1000:.1f}", f"{t['peak_bytes'] / 2**20:.1f}",
             f"{t['accounts'][0]['oracle_ns'] / 1e6:.1f}",
             *(f"{distance(t, name):.2f}" for name in names)] for t in traces]
    return report.table(["trace", "half", "s", "MiB at most", "oracle, ms", *names], rows, left=2)


def account_table(halves):
    rows = []
    for at, (about, _) in enumerate(ACCOUNTS):
        for half, traces in halves.items():
            names = list(traces[0]["accounts"][0]["policies"])
            rows.append([about, half,
                         *(f"{mean_distance(traces, name, at):.2f}" for name in names)])
    return report.table(["account", "traces", *names], rows, left=2)


def requirements(halves):
    """(what, limit, value, among which traces)"""
    rows = []
    for half, traces in halves.items():
        acting = mean_distance(traces, ACTING)
        rows.append(("cost over the oracle's, mean", 1.35, acting, half))
        rows.append(("cost over the recent-peak rule's, of these means", 0.8,
                     acting / mean_distance(traces, BASELINE), half))
        losses = over_settings(losses_by_setting(traces))
        if losses:
            for about, modes in (("best single forecaster's", ("alone",)),
                                 ("best with the bank's margin for it,", ("margin",))):
                loss, who = best_single(losses, modes)
                rows.append((f"pinball loss over the {about} ({called(who)}), mean of all "
                             "horizons", 1, losses[BANK] / loss, half))
    return rows


def requirement_table(halves):
    return report.table(
        ["what", "traces", "must be at most", "is", ""],
        [[what, half, limit, f"{value:.3f}", "PASS" if value <= limit else "FAIL"]
         for what, limit, value, half in requirements(halves)], left=2)


# ---- The page ----------------------------------------------------------------------------------

def halves_of(traces):
    halves = {half: [t for t in traces if t["half"] == half] for half in (CHOOSING, HELD_BACK)}
    return {**{half: found for half, found in halves.items() if found}, "all": traces}


def markdown(document):
    traces = document["traces"]
    halves = halves_of(traces)
    parts = ["# Forecasters and policies on traces of real programs",
             machine.one_paragraph(document["machine"]), requirement_table(halves),
             "## Policies: cost over the oracle's", policy_table(traces),
             account_table(halves)]
    policies = traces[0]["accounts"][0]["policies"]
    parts.append("\n".join(f"- {name}: {policy['about']}" for name, policy in policies.items()))
    for half, found in halves.items():
        parts += [f"## Forecasters: pinball loss at 0.9, % of the peak, {half} "
                  "(alone / with a margin)", forecast_table(found)]
    return "\n\n".join(parts) + "\n"


def run(options):
    pattern = command.matcher("--only", options.only)
    traces = [(name, half) for name, half in known_traces() if pattern.search(name)
              and os.path.exists(os.path.join(options.traces, name + ".trace"))]
    if options.list:
        for name, half in traces:
            print(f"{name:<20} {half}")
        return 0
    if not traces:
        raise BenchError(f"no such traces in {options.traces}: scripts/traces makes them")
    if not os.access(options.tool, os.X_OK):
        raise BenchError(f"{options.tool}: no such program; configure says why it is not built")
    document = {"format": 1, "kind": "judge", "machine": machine.describe(ROOT),
                "traces": [judge_trace(options, name, half) for name, half in traces]}
    directory = command.output_directory(options, document, False, "judge-")
    command.write_results(directory, document, markdown(document))
    return 0


if __name__ == "__main__":
    command.start("scripts/bench --judge", parse_arguments, run)
