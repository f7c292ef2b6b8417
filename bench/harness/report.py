# SPDX-License-Identifier: MIT
"""The result document as JSON and as a page of Markdown tables."""

import json
import os

import machine as machine_facts
from summary import requirements

EXTRA_KEYS = (("rss_peak_kib", "at the peak"), ("rss_freed_kib", "after the frees"),
              ("rss_idle_kib", "2 s idle"))


def table(header, rows, left=1):
    """A Markdown table; the first `left` columns are text, the others numbers."""
    align = ["---"] * left + ["--:"] * (len(header) - left)
    lines = [header, align, *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def cell(figure, scale, best, digits):
    if figure is None:
        return "–"
    value = figure["median"] / scale
    half = (figure["high"] - figure["low"]) / 2 / figure["median"] * 100 if value else 0
    text = f"{value:.{digits}f}"
    text = f"**{text}**" if figure["median"] == best else text
    return text + (f" ±{half:.0f}%" if half >= 0.5 else "")


def digits_for(benchmark):
    return 3 if benchmark["kind"] == "startup" else 0


def figure_table(summary, key, scale, digits=digits_for):
    rows = []
    for benchmark in summary.benchmarks:
        figures = summary.figures[benchmark["name"]]
        best = summary.best(benchmark["name"], key, summary.names)
        name = benchmark["name"] + ("" if benchmark["scored"] else " (not scored)")
        rows.append([name] + [cell(figures[peer].get(key), scale, best[0] if best else None,
                                   digits(benchmark)) for peer in summary.names])
    return table(["benchmark", *summary.names], rows)


def mean_table(summary):
    """Geometric means of everybody to mimalloc and to the best, time and memory."""
    def text(value):
        return "–" if value is None else f"{value:.3f}"

    rows = [[name,
             text(summary.mean_to(name, "mimalloc", "wall_ns")),
             text(summary.mean_to_best(name, "wall_ns")),
             text(summary.mean_to(name, "mimalloc", "hwm_kib")),
             text(summary.mean_to_best(name, "hwm_kib"))] for name in summary.names]
    return table(["allocator", "wall / mimalloc", "wall / best", "peak RSS / mimalloc",
                  "peak RSS / leanest"], rows)


def requirement_table(summary):
    rows = [[item["what"], item["wanted"], item["value"], item["result"], item["detail"]]
            for item in requirements(summary)]
    return table(["what", "must be", "is", "", "detail"], rows, left=5)


def worst_table(summary):
    rows = []
    for name in summary.names:
        others = [other for other in summary.names if other != name]
        line = [name]
        for key in ("wall_ns", "hwm_kib"):
            pairs = summary.to_best(name, key, others)
            worst = max(((ratio, bench, rival) for bench, (ratio, rival) in pairs.items()),
                        default=None)
            line.append("–" if worst is None else f"{worst[0]:.2f} {worst[1]} ({worst[2]})")
        rows.append(line)
    return table(["allocator", "worst wall / fastest other", "worst peak RSS / leanest other"],
                 rows, left=3)


def idle_table(summary):
    rows = []
    for benchmark in summary.benchmarks:
        for key, when in EXTRA_KEYS:
            values = [summary.median(benchmark["name"], peer, key) for peer in summary.names]
            if any(values):
                rows.append([f"{benchmark['name']}, {when}"] +
                            ["–" if value is None else f"{value / 1024:.1f}" for value in values])
    return table(["RSS, MiB", *summary.names], rows) if rows else ""


def throughput_table(summary):
    rows = []
    for benchmark in summary.benchmarks:
        values = [summary.median(benchmark["name"], peer, "messages_per_s")
                  for peer in summary.names]
        if any(values):
            rows.append([benchmark["name"]] +
                        ["–" if value is None else f"{value / 1e6:.2f}" for value in values])
    return table(["million messages/s", *summary.names], rows) if rows else ""


def notes(summary):
    lines = [f"- {name}: {peer} failed: {error}" for name, peer, error in summary.failures()]
    lines += [f"- {name}: {peer} gave {count:.0f} wrong answers (misaligned blocks)"
              for (name, peer), count in summary.faults().items()]
    return "\n".join(lines)


def versions(document):
    rows = [[peer["name"], peer["version"] or "–", peer["path"] or "(none preloaded)",
             " ".join(f"{key}={value}" for key, value in peer["variables"].items())]
            for peer in document["peers"]]
    return table(["allocator", "version", "library", "variables"], rows, left=4)


def markdown(summary):
    document = summary.document
    counts = document.get("instructions", {})
    alone = document.get("instructions_alone", {})
    sections = [
        "# Benchmark results",
        machine_facts.one_paragraph(document["machine"]) + ".",
        f"{document['settings']['rounds']} rounds, interleaved, medians ± half the distance of the "
        "quartiles. Bold: the best.",
        versions(document),
        "## Requirements", requirement_table(summary),
        "## Geometric means", mean_table(summary), worst_table(summary),
        "## Wall time, ms", figure_table(summary, "wall_ns", 1e6),
        "## Peak RSS (VmHWM), MiB", figure_table(summary, "hwm_kib", 1024, lambda _: 1),
    ]
    if idle_table(summary):
        sections += ["## Resident memory before and after", idle_table(summary)]
    if throughput_table(summary):
        sections += ["## Throughput", throughput_table(summary)]
    if counts:
        rows = [["with other blocks live"] + [f"{count:.1f}" for count in counts.values()],
                ["with none"] + [f"{alone[name]:.1f}" for name in counts]]
        sections += ["## Instructions of a 64 B malloc and free pair (callgrind)",
                     table(["", *counts], rows)]
    if notes(summary):
        sections += ["## Failures and wrong answers", notes(summary)]
    return "\n\n".join(sections) + "\n"


def terminal(summary):
    """The short version printed at the end of a run."""
    parts = [mean_table(summary), worst_table(summary), requirement_table(summary)]
    if notes(summary):
        parts.append(notes(summary))
    return "\n\n".join(parts)


def write_json(path, document):
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump(document, file, indent=1)
        file.write("\n")
