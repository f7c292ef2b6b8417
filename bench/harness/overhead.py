# SPDX-License-Identifier: MIT
"""What a heap profile costs: from the samples of a --profile run to figures and requirements.

Pure functions of the result document; no files, no clocks. A family is an allocator with its
profile off and on; an overhead is the geometric mean of on over off, less one. The subject's twin
is a copy of it with the profile off: what it differs by is what the machine cannot tell apart.
"""

import math
from dataclasses import dataclass

from summary import Summary, geometric_mean, quantile, row, row_at_most

LIMITS = {
    "wall_mean": 1.01, "wall_worst": 1.03, "rivals_share": 0.5, "throughput": 0.98,
    "resident_mib": 6.0, "report_seconds": 2.0, "report_mb": 300.0, "pair": 0.1,
}
# key, what it is called, and whether it decides
MEASURES = (("wall_ns", "wall time"), ("cpu_us", "processor time"),
            ("instructions", "instructions (callgrind)"))
TOP_SITES = 20
CHAIN = 3               # frames shown of a site


@dataclass(frozen=True)
class Family:
    name: str
    off: str
    on: str
    twin: str = ""


FAMILIES = (Family("tidemalloc", "tide-off", "tide-on", "tide-twin"),
            Family("jemalloc", "jemalloc-off", "jemalloc-on"),
            Family("gperftools", "gperftools-off", "gperftools-on"))
SUBJECT, *RIVALS = FAMILIES


def mean_error(ratios):
    """The standard error of the geometric mean of ratios, as a share; None of fewer than two."""
    if len(ratios) < 2:
        return None
    logs = [math.log(ratio) for ratio in ratios]
    mean = sum(logs) / len(logs)
    variance = sum((value - mean) ** 2 for value in logs) / (len(logs) - 1)
    return math.sqrt(variance / len(logs))


def paired_ratio(samples, reference, key):
    """The median over rounds of one's figure over the other's of the same round."""
    ratios = [ours[key] / theirs[key] for ours, theirs in zip(samples, reference)
              if ours.get(key) and theirs.get(key)]
    return quantile(ratios, 0.5) if ratios else None


def instruction_ratio(counts):
    """On over off of a program's counts: of what the longer run has more than the shorter.

    counts: {"off": [short, long], "on": [short, long]}, or one count each of a program that has
    one length. None when something is missing.
    """
    off, on = counts.get("off"), counts.get("on")
    if not off or not on or len(off) != len(on):
        return None
    below, above = (off[0], on[0]) if len(off) == 1 else (off[-1] - off[0], on[-1] - on[0])
    return above / below if below > 0 and above > 0 else None


class Overheads:
    """Ratios on/off of a document, by family and measure."""

    def __init__(self, document):
        self.document = document
        self.summary = Summary({"subject": SUBJECT.on, "left_out": [], "peers":
                                document["peers"], "benchmarks": document["benchmarks"]})
        self.names = [b["name"] for b in self.summary.scored]

    def ratios(self, family, key):
        """{benchmark: on over off}."""
        if key == "instructions":
            counted = {name: instruction_ratio(families.get(family.name, {}))
                       for name, families in self.document["instructions"].items()}
            return {name: ratio for name, ratio in counted.items() if ratio}
        return self.summary.ratios(family.on, family.off, key)

    def twin_ratios(self, family, key):
        if key == "instructions" or not family.twin:
            return {}
        return self.summary.ratios(family.twin, family.off, key)

    def mean(self, family, key):
        return geometric_mean(list(self.ratios(family, key).values()))

    def overhead(self, family, key, among=None):
        """Geometric mean of on over off, less one, of the benchmarks that are among these."""
        ratios = [ratio for name, ratio in self.ratios(family, key).items()
                  if among is None or name in among]
        return geometric_mean(ratios) - 1 if ratios else None

    def worst(self, family, key):
        """(ratio, benchmark), or None."""
        return max(((ratio, name) for name, ratio in self.ratios(family, key).items()),
                   default=None)

    def noise(self, key):
        """(the twin's mean, its standard error, its worst row), None without a twin's figures."""
        ratios = self.twin_ratios(SUBJECT, key)
        error = mean_error(list(ratios.values()))
        if error is None:
            return None
        return (geometric_mean(list(ratios.values())), error,
                max((ratio, name) for name, ratio in ratios.items()))

    def common(self, key):
        """The benchmarks on which every family that has any has a figure."""
        found = [set(self.ratios(family, key)) for family in FAMILIES]
        found = [names for names in found if names]
        return set.intersection(*found) if found else set()

    def sample_ns(self, benchmark):
        """Processor time of on beyond off for each sample drawn, or None."""
        drawn = self.document["samples"].get(benchmark)
        off = self.summary.median(benchmark, SUBJECT.off, "cpu_us")
        on = self.summary.median(benchmark, SUBJECT.on, "cpu_us")
        return (on - off) * 1000 / drawn if drawn and off and on else None


def percent(share):
    return f"{share * 100:+.1f} %"


def pair_row(document):
    what = "profile off, to a build without the profiler: instructions of a malloc+free pair"
    pairs = document["pairs"]
    off, without = pairs.get("off", {}), pairs.get("without", {})
    shared = [size for size in off if size in without]
    if not shared:
        return row(what, "equal", "–", None, pairs.get("missing", "no figures"))
    apart = [size for size in shared if abs(off[size] - without[size]) > LIMITS["pair"]]
    detail = ", ".join(f"{size} B: {without[size]:.1f} → {off[size]:.1f}" for size in apart)
    first = shared[0]
    return row(what, "equal", f"{off[first]:.1f} to {without[first]:.1f} ({first} B)", not apart,
               f"sizes {', '.join(shared)} B" + (f"; not equal: {detail}" if apart else
                                                 ": all equal"))


def noise_text(noise):
    if noise is None:
        return "no twin"
    mean, error, (ratio, name) = noise
    return f"twin {mean:.3f} ± {error:.3f}, its worst {ratio:.2f} ({name})"


def mean_row(overheads):
    others = [f"{label} {overheads.mean(SUBJECT, key):.3f}" for key, label in MEASURES[1:]
              if overheads.mean(SUBJECT, key)]
    return row_at_most("profile on: geometric mean of wall time, to off",
                       overheads.mean(SUBJECT, "wall_ns"), LIMITS["wall_mean"],
                       detail="; ".join([*others, noise_text(overheads.noise("wall_ns"))]))


def worst_row(overheads):
    limit = LIMITS["wall_worst"]
    ratios = overheads.ratios(SUBJECT, "wall_ns")
    twins = overheads.twin_ratios(SUBJECT, "wall_ns")
    over = sorted(((ratio, name) for name, ratio in ratios.items() if ratio > limit), reverse=True)
    parts = [f"{name} {ratio:.2f}" + (f" (twin {twins[name]:.2f})" if name in twins else "")
             for ratio, name in over]
    worst = overheads.worst(SUBJECT, "wall_ns")
    noise = f"of the twin {sum(ratio > limit for ratio in twins.values())} of {len(twins)} above"
    if over:
        noise = f"{len(over)} of {len(ratios)} above, {noise}: " + "; ".join(parts)
    return row_at_most("profile on: worst single benchmark, to off", worst and worst[0], limit,
                       detail=noise if ratios else "")


def every_overhead(document):
    """Overhead of gperftools' profiler of all allocations, on the few programs it is run on."""
    ratios = [ratio for ratio in every_ratios(document).values() if ratio]
    return geometric_mean(ratios) - 1 if ratios else None


def every_ratios(document):
    """{benchmark: on over off} of the profiler of all allocations."""
    return {b["name"]: paired_ratio(b["results"]["gperftools-every"]["samples"],
                                    b["results"]["gperftools-off"]["samples"], "wall_ns")
            for b in document["every"]}


def rivals_row(overheads):
    """Held on the benchmarks on which all have a figure, so that the means are of the same."""
    what = "profile on: overhead of wall time, to the better rival's"
    share = LIMITS["rivals_share"]
    names = overheads.common("wall_ns")
    found = {family.name: overheads.overhead(family, "wall_ns", names) for family in FAMILIES}
    found["gperftools, every allocation"] = every_overhead(overheads.document)
    detail = ", ".join(f"{name} {percent(value)}" for name, value in found.items()
                       if value is not None)
    for key, label in MEASURES[1:]:
        among = overheads.common(key)
        values = [(family.name, overheads.overhead(family, key, among)) for family in FAMILIES]
        known = [f"{name} {percent(value)}" for name, value in values if value is not None]
        detail += f"; {label}: {', '.join(known)}" if known else ""
    ours = found.pop(SUBJECT.name)
    rivals = [(value, name) for name, value in found.items() if value is not None]
    if ours is None or not rivals:
        return row(what, f"≤ {share} ×", "–", None, detail or "no figures")
    best, _ = min(rivals)
    value = f"{ours / best:.2f} ×" if best > 0 else f"{percent(ours)} to {percent(best)}"
    return row(what, f"≤ {share} ×", value, ours <= share * best, detail)


def throughput_ratios(document, name):
    """{benchmark: exceptions per second with `name`, as a share of those with the profile off}."""
    found = {}
    for benchmark in document["exceptions"]:
        results = benchmark["results"]
        inverse = paired_ratio(results[SUBJECT.off]["samples"], results[name]["samples"],
                               "wall_ns")
        if inverse and not results[name].get("error"):
            found[benchmark["name"]] = inverse
    return found


def exceptions_row(document):
    what, limit = "profile on: C++ exception throughput, to off", LIMITS["throughput"]
    ratios = throughput_ratios(document, SUBJECT.on)
    if not ratios or len(ratios) < len(document["exceptions"]):
        return row(what, f"≥ {limit}", "–", None if not document["exceptions"] else False,
                   "no figures")
    twins = throughput_ratios(document, SUBJECT.twin)
    detail = ", ".join(f"{name} {ratio:.3f} (twin {twins.get(name, math.nan):.3f})"
                       for name, ratio in ratios.items())
    worst = min(ratios.values())
    return row(what, f"≥ {limit}", f"{worst:.3f}", worst >= limit, detail)


def resident_mib(run):
    """What the profile added to the program's memory, in MiB, medians of the runs."""
    off, on = (quantile(run[key], 0.5) for key in ("off_kib", "on_kib"))
    return (on - off) / 1024


def resident_row(document):
    runs = document["resident"]
    detail = "; ".join(f"{run['about']}: {resident_mib(run):.2f} MiB, {run['sites']} sites in the "
                       "profile" for run in runs)
    return row_at_most("resident memory of the profiler with 10,000 sites",
                       max(map(resident_mib, runs)) if runs else None, LIMITS["resident_mib"],
                       "{:.2f}", detail, " MiB")


def report_row(document):
    report = document["report"]
    what = f"`tide report` on {report.get('sites', 0):,} sites"
    limits = f"≤ {LIMITS['report_seconds']:.0f} s, ≤ {LIMITS['report_mb']:.0f} MB"
    formats = report.get("formats", [])
    if not formats:
        return row(what, limits, "–", None, report.get("error", "no figures"))
    broken = [f["format"] for f in formats if f.get("error")]
    whole = [f for f in formats if not f.get("error")]
    seconds = max((quantile(f["seconds"], 0.5) for f in whole), default=0)
    megabytes = max((quantile(f["kib"], 0.5) for f in whole), default=0) * 1024 / 1e6
    detail = ", ".join(f"{f['format']} {quantile(f['seconds'], 0.5):.2f} s" for f in whole)
    detail += "".join(f"; {name} failed" for name in broken)
    held = seconds <= LIMITS["report_seconds"] and megabytes <= LIMITS["report_mb"]
    return row(what, limits, f"{seconds:.2f} s, {megabytes:.0f} MB", held and not broken, detail)


# ---- Names of a program's sites -----------------------------------------------------------------

# Code between a program and the allocator: what called it is the program's own frame.
RUNTIME = ("libc.so", "libstdc++.so", "libgcc_s.so", "ld-linux", "libpthread.so")
SUBJECT_LIBRARY = "libtidemalloc.so"


def base_name(path):
    return (path or "").rsplit("/", 1)[-1]


def own_frames(site):
    """Innermost first: those that are neither of the C or C++ library nor of the allocator."""
    return [frame for frame in site["frames"]
            if not base_name(frame.get("module")).startswith((*RUNTIME, SUBJECT_LIBRARY))]


def own_frame(site):
    return next(iter(own_frames(site)), None)


def is_named(frame):
    return bool(frame and frame.get("function"))


def has_line(frame):
    return bool(is_named(frame) and frame.get("file") and frame.get("line"))


def names_of(report):
    """Shares of bytes whose own frame has a name, a line, or a module with debug information.

    report: what `tide report --json` writes, all sites. `caller` is the share with a name anywhere
    among the program's frames: functions that a stripped program does not export have none.
    `unnamed` lists sites among the top ones that have debug information and yet no line; `inside`
    counts sites that begin in the allocator.
    """
    debug = {module["module"] for module in report["modules"] if module["symbols"] == "debug"}
    found = {"sites": len(report["sites"]), "samples": report["total"]["samples"],
             "inside": sum(base_name(site["frames"][0].get("module")).startswith(SUBJECT_LIBRARY)
                           for site in report["sites"] if site["frames"])}
    for weight in ("allocated_bytes", "live_bytes"):
        total = sum(site[weight] for site in report["sites"])

        def share(good, weight=weight, total=total):
            return sum(site[weight] for site in report["sites"]
                       if good(site)) / total if total else None

        found[weight] = {
            "total": total, "named": share(lambda site: is_named(own_frame(site))),
            "caller": share(lambda site: any(map(is_named, own_frames(site)))),
            "lines": share(lambda site: has_line(own_frame(site))),
            "debug": share(lambda site: (own_frame(site) or {}).get("module") in debug)}
    found["unnamed"] = unnamed_sites(report, debug)
    found["top"] = [top_line(site, report["total"]["allocated_bytes"])
                    for site in by_weight(report, "allocated_bytes")[:5]]
    return found


def by_weight(report, weight):
    return sorted((site for site in report["sites"] if site[weight] > 0),
                  key=lambda site: -site[weight])


def unnamed_sites(report, debug):
    """Frames of the top sites that should have function, file and line, and have not."""
    lacking = []
    for weight in ("allocated_bytes", "live_bytes"):
        for site in by_weight(report, weight)[:TOP_SITES]:
            frame = own_frame(site)
            if frame and frame.get("module") in debug and not has_line(frame):
                lacking.append(f"{base_name(frame['module'])}+{frame.get('offset')}")
    return sorted(set(lacking))


def top_line(site, total):
    frames = own_frames(site)
    first = frames[0] if frames else {}
    return {"share": site["allocated_bytes"] / total if total else 0,
            "functions": [frame.get("function") or "" for frame in frames[:CHAIN]],
            "where": f"{base_name(first['file'])}:{first['line']}" if has_line(first) else "",
            "module": base_name(first.get("module"))}


def program_text(program):
    if program.get("error"):
        return f"{program['name']}: {program['error']}"
    named, lines = (program["allocated_bytes"][key] for key in ("named", "lines"))
    return f"{program['name']} {named or 0:.0%} named, {lines or 0:.0%} with lines"


def programs_row(document):
    """What debug information there is must be used; how much there is, is the machine's."""
    what = "real programs: top sites named, with file and line where debug information is"
    programs = document["programs"]
    if not programs:
        return row(what, "all", "–", None, "no figures")
    wrong = [program["name"] for program in programs if program.get("error") or
             program["unnamed"] or program["inside"]]
    detail = "; ".join(program_text(program) for program in programs)
    for program in programs:
        if program.get("unnamed"):
            detail += f"; {program['name']} lacks lines of {', '.join(program['unnamed'][:5])}"
        if program.get("inside"):
            detail += f"; {program['name']}: {program['inside']} sites begin inside the allocator"
    lines = any(not program.get("error") and program["allocated_bytes"]["debug"]
                for program in programs)
    return row(what, "all", "all" if not wrong else f"not {', '.join(wrong)}",
               (not wrong) if lines or wrong else None,
               detail if lines else detail + "; no debug information here")


def correct_row(overheads):
    failures = overheads.summary.failures()
    text = "; ".join(f"{name}: {peer}: {error}" for name, peer, error in failures)
    ran = bool(overheads.summary.benchmarks)
    return row("every benchmark ran and was right", "all", f"{len(failures)} wrong" if failures
               else "all" if ran else "–", not failures if ran else None, text)


def requirements(document):
    overheads = Overheads(document)
    return [pair_row(document), mean_row(overheads), worst_row(overheads), rivals_row(overheads),
            exceptions_row(document), resident_row(document), report_row(document),
            programs_row(document), correct_row(overheads)]
