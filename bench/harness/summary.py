# SPDX-License-Identifier: MIT
"""From samples to figures: medians and spread, geometric means, and the table of requirements.

Pure functions of the result document; no files, no clocks. A benchmark on which an allocator has
no figure is left out of the comparisons with that allocator, and named.
"""

import math

SUBJECT_LIMITS = {
    "wall_to_mimalloc": 0.85, "wall_worst": 1.05, "rss_to_mimalloc": 0.85, "rss_to_jemalloc": 0.95,
    "rss_worst": 1.10, "idle_share": 0.35, "start_ms": 0.3, "start_kib": 600, "messages": 1.5,
}
FLOOR_KIB = 4096    # below that a peak is mostly the program, the C library and the stack
LEAN_PEERS = ("mimalloc", "jemalloc", "tcmalloc")
THROUGHPUT = "messages-2to2"


def quantile(values, share):
    """By linear interpolation between the sorted values."""
    ordered = sorted(values)
    at = share * (len(ordered) - 1)
    low = int(at)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (at - low)


def spread(values):
    return {"median": quantile(values, 0.5), "low": quantile(values, 0.25),
            "high": quantile(values, 0.75), "count": len(values)}


def figures_of(result):
    """The spread of every number of an allocator's samples on one benchmark."""
    if result.get("error") or not result["samples"]:
        return {}
    names = set.intersection(*(set(sample) for sample in result["samples"]))
    return {name: spread([sample[name] for sample in result["samples"]]) for name in names
            if name != "checksum"}


def geometric_mean(values):
    return math.exp(sum(math.log(value) for value in values) / len(values)) if values else None


class Summary:
    """Figures of a result document, by benchmark and allocator."""

    def __init__(self, document):
        self.document = document
        self.subject = document["subject"]
        self.names = [peer["name"] for peer in document["peers"]]
        self.others = [name for name in self.names if name not in document["left_out"]
                       and name != self.subject]
        self.benchmarks = document["benchmarks"]
        self.scored = [b for b in self.benchmarks if b["scored"]]
        self.figures = {b["name"]: {name: figures_of(b["results"].get(name, {"samples": []}))
                                    for name in self.names} for b in self.benchmarks}

    def median(self, benchmark, name, key):
        figure = self.figures.get(benchmark, {}).get(name, {}).get(key)
        return figure["median"] if figure and figure["median"] > 0 else None

    def ratios(self, name, reference, key):
        """{benchmark: name's median over reference's} where both have one."""
        found = {}
        for benchmark in self.scored:
            ours = self.median(benchmark["name"], name, key)
            theirs = self.median(benchmark["name"], reference, key)
            if ours and theirs:
                found[benchmark["name"]] = ours / theirs
        return found

    def best(self, benchmark, key, among):
        """(value, name) of the least median among these allocators, or None."""
        known = [(self.median(benchmark, name, key), name) for name in among]
        known = [pair for pair in known if pair[0]]
        return min(known) if known else None

    def to_best(self, name, key, among):
        found = {}
        for benchmark in self.scored:
            ours = self.median(benchmark["name"], name, key)
            best = self.best(benchmark["name"], key, among)
            if ours and best:
                found[benchmark["name"]] = (ours / best[0], best[1])
        return found

    def mean_to(self, name, reference, key):
        return geometric_mean(list(self.ratios(name, reference, key).values()))

    def mean_to_best(self, name, key):
        return geometric_mean([pair[0] for pair in self.to_best(name, key, self.names).values()])

    def within_spread(self, benchmark, rival, key, limit):
        """Whether the two middle halves touch at the limit: another run may go the other way."""
        ours = self.figures[benchmark][self.subject][key]
        theirs = self.figures[benchmark][rival][key]
        return ours["low"] <= limit * theirs["high"]

    def failures(self):
        return [(b["name"], name, result["error"]) for b in self.benchmarks
                for name, result in b["results"].items() if result.get("error")]

    def faults(self):
        """Wrong answers that did not end the run: {(benchmark, allocator): count}."""
        return {(b["name"], name): self.figures[b["name"]][name]["faults"]["median"]
                for b in self.benchmarks for name in self.names
                if self.figures[b["name"]][name].get("faults", {}).get("median")}


def row(what, wanted, value, passed, detail=""):
    return {"what": what, "wanted": wanted, "value": value,
            "result": "n/a" if passed is None else "PASS" if passed else "FAIL", "detail": detail}


def rss_mean_row(summary, rival, limit):
    """The detail says what the mean would be without the benchmarks that hardly use memory."""
    ratios = summary.ratios(summary.subject, rival, "hwm_kib")
    large = [ratio for name, ratio in ratios.items()
             if summary.median(name, rival, "hwm_kib") >= FLOOR_KIB]
    detail = ""
    if large:
        detail = (f"of {len(large)} of {len(ratios)} benchmarks with a peak above 4 MiB: "
                  f"{geometric_mean(large):.3f}")
    return row_at_most(f"geometric mean of peak RSS, to {rival}",
                       geometric_mean(list(ratios.values())), limit, detail=detail)


def row_at_most(what, value, limit, text="{:.3f}", detail="", unit=""):
    if value is None:
        return row(what, f"≤ {limit}{unit}", "–", None, detail or "no figures")
    return row(what, f"≤ {limit}{unit}", text.format(value) + unit, value <= limit, detail)


def wall_mean_row(summary):
    subject = summary.subject
    means = {name: summary.mean_to(subject, name, "wall_ns") for name in summary.others}
    detail = ", ".join(f"{name} {mean:.3f}" for name, mean in means.items() if mean)
    limit = SUBJECT_LIMITS["wall_to_mimalloc"]
    value = means.get("mimalloc")
    if value is None:
        return row("geometric mean of wall time", f"≤ {limit} × mimalloc, < every peer", "–", None,
                   detail)
    passed = value <= limit and all(mean < 1 for mean in means.values() if mean)
    return row("geometric mean of wall time", f"≤ {limit} × mimalloc, < every peer",
               f"{value:.3f}", passed, "× " + detail)


def worst_row(summary, what, key, among, limit):
    pairs = summary.to_best(summary.subject, key, among)
    if not pairs:
        return row(what, f"≤ {limit}", "–", None, "no figures")
    over = sorted(((ratio, name, rival) for name, (ratio, rival) in pairs.items()), reverse=True)
    worst = over[0]
    offenders = [f"{name} {ratio:.2f} ({rival}"
                 f"{', within spread' if summary.within_spread(name, rival, key, limit) else ''})"
                 for ratio, name, rival in over if ratio > limit]
    detail = "; ".join(offenders) or f"{worst[1]} against {worst[2]}"
    if offenders:
        detail = f"{len(offenders)} of {len(over)} above: {detail}"
    return row(what, f"≤ {limit}", f"{worst[0]:.3f}", worst[0] <= limit, detail)


def idle_row(summary):
    shares = {}
    for benchmark in summary.benchmarks:
        if benchmark["idle_gate"]:
            for name in summary.names:
                idle = summary.median(benchmark["name"], name, "rss_idle_kib")
                peak = summary.median(benchmark["name"], name, "rss_peak_kib")
                if idle and peak:
                    shares.setdefault(name, {})[benchmark["name"]] = idle / peak
    ours = shares.get(summary.subject, {})
    detail = ", ".join(f"{name} {share:.2f}" for name, share in ours.items())
    peers = ", ".join(f"{name} {max(values.values()):.2f}" for name, values in shares.items()
                      if name != summary.subject)
    detail = "; ".join(part for part in (detail, f"peers: {peers}" if peers else "") if part)
    return row_at_most("RSS 2 s after a burst, share of its peak",
                       max(ours.values()) if ours else None, SUBJECT_LIMITS["idle_share"],
                       detail=detail)


def instructions_row(summary):
    counts = summary.document.get("instructions", {})
    alone = summary.document.get("instructions_alone", {})
    detail = ", ".join(f"{name} {count:.1f}" for name, count in counts.items())
    detail += "; no other block live: " + ", ".join(f"{name} {count:.1f}"
                                                    for name, count in alone.items())
    ours, theirs = counts.get(summary.subject), counts.get("mimalloc")
    if ours is None or theirs is None:
        return row("instructions of a 64 B malloc+free pair", "≤ mimalloc's", "–", None, detail)
    return row("instructions of a 64 B malloc+free pair", f"≤ {theirs:.1f}", f"{ours:.1f}",
               ours <= theirs, detail)


def start_row(summary, what, key, divisor, limit, unit, text):
    """The worst extra over glibc among the tiny programs."""
    extras = {}
    for benchmark in summary.benchmarks:
        if benchmark["kind"] == "startup":
            ours = summary.median(benchmark["name"], summary.subject, key)
            plain = summary.median(benchmark["name"], "glibc", key)
            if ours and plain:
                extras[benchmark["name"]] = (ours - plain) / divisor
    detail = ", ".join(f"{name} {text.format(extra)}{unit}" for name, extra in extras.items())
    return row_at_most(what, max(extras.values()) if extras else None, limit, text, detail, unit)


def messages_row(summary):
    limit = SUBJECT_LIMITS["messages"]
    what = "2 producers → 2 consumers, throughput"
    found = {}
    for benchmark in (THROUGHPUT, THROUGHPUT + "-both"):
        ours = summary.median(benchmark, summary.subject, "messages_per_s")
        theirs = summary.median(benchmark, "mimalloc", "messages_per_s")
        if ours and theirs:
            found[benchmark] = ours / theirs
    detail = ", ".join(f"{name} {ratio:.2f}" for name, ratio in found.items())
    if THROUGHPUT not in found:
        return row(what, f"≥ {limit} × mimalloc", "–", None, detail)
    ratio = found[THROUGHPUT]
    return row(what, f"≥ {limit} × mimalloc", f"{ratio:.3f}", ratio >= limit, detail)


def correct_row(summary):
    """Not in the issue's table, but nothing else counts when the answers are wrong."""
    wrong = [f"{name}: {error}" for name, peer, error in summary.failures()
             if peer == summary.subject]
    wrong += [f"{name}: {count:.0f} faults" for (name, peer), count in summary.faults().items()
              if peer == summary.subject]
    present = summary.subject in summary.names
    return row("every benchmark ran and was right", "all", "all" if not wrong else
               f"{len(wrong)} wrong", not wrong if present else None, "; ".join(wrong))


def requirements(summary):
    limits = SUBJECT_LIMITS
    lean = [name for name in LEAN_PEERS if name in summary.others]
    return [
        wall_mean_row(summary),
        worst_row(summary, "worst single benchmark, to the fastest peer", "wall_ns",
                  summary.others, limits["wall_worst"]),
        rss_mean_row(summary, "mimalloc", limits["rss_to_mimalloc"]),
        rss_mean_row(summary, "jemalloc", limits["rss_to_jemalloc"]),
        worst_row(summary, "worst single peak RSS, to the leanest of " + ", ".join(LEAN_PEERS),
                  "hwm_kib", lean, limits["rss_worst"]),
        idle_row(summary),
        instructions_row(summary),
        start_row(summary, "tiny process: extra wall time over glibc", "wall_ns", 1e6,
                  limits["start_ms"], " ms", "{:.3f}"),
        start_row(summary, "tiny process: extra RSS over glibc", "hwm_kib", 1,
                  limits["start_kib"], " KiB", "{:.0f}"),
        messages_row(summary),
        correct_row(summary),
    ]
