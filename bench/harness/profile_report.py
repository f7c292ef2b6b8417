# SPDX-License-Identifier: MIT
"""The results of --profile as a page of Markdown, a short text, and a picture."""

import os
import shutil

import machine as machine_facts
import plot
from overhead import (FAMILIES, MEASURES, SUBJECT, Overheads, every_ratios, resident_mib,
                      throughput_ratios)
from report import table, versions
from summary import quantile

MISSING = "–"


def text(value, form="{:.3f}"):
    return MISSING if value is None else form.format(value)


def requirement_table(document):
    rows = [[item["what"], item["wanted"], item["value"], item["result"], item["detail"]]
            for item in document["requirements"]]
    return table(["what", "must be", "is", "", "detail"], rows, left=5)


def side_by_side(overheads):
    """Each family's mean and worst row by every measure, and the noise below them."""
    rows = []
    for family in FAMILIES:
        line = [family.name]
        for key, _ in MEASURES:
            mean, worst = overheads.mean(family, key), overheads.worst(family, key)
            line += [text(mean), f"{worst[0]:.2f} {worst[1]}" if worst else MISSING,
                     len(overheads.ratios(family, key)) or MISSING]
        rows.append(line)
    noise = ["tidemalloc off, its twin"]
    for key, _ in MEASURES:
        found = overheads.noise(key)
        noise += ([f"{found[0]:.3f} ± {found[1]:.3f}", f"{found[2][0]:.2f} {found[2][1]}",
                   len(overheads.twin_ratios(SUBJECT, key))] if found else
                  [MISSING, MISSING, MISSING])
    rows.append(noise)
    header = ["on / off"]
    for _, label in MEASURES:
        header += [label, "worst", "rows"]
    return table(header, rows)


def benchmark_table(overheads):
    """All ratios are on / off but the twin's, which is off / off."""
    summary = overheads.summary
    columns = {(family.name, key): overheads.ratios(family, key)
               for family in FAMILIES for key, _ in MEASURES}
    twins = {key: overheads.twin_ratios(SUBJECT, key) for key, _ in MEASURES}
    rows = []
    for name in overheads.names:
        off = summary.median(name, SUBJECT.off, "wall_ns")
        drawn = overheads.document["samples"].get(name)
        rows.append([name, text(off and off / 1e6, "{:.2f}"),
                     text(columns[SUBJECT.name, "wall_ns"].get(name)),
                     text(twins["wall_ns"].get(name)),
                     text(columns[SUBJECT.name, "cpu_us"].get(name)),
                     text(twins["cpu_us"].get(name)),
                     text(columns[SUBJECT.name, "instructions"].get(name)),
                     text(drawn, "{:,}"), text(overheads.sample_ns(name), "{:.0f}")] +
                    [text(columns[family.name, key].get(name)) for family in FAMILIES[1:]
                     for key in ("wall_ns", "instructions")])
    header = ["benchmark", "off, ms", "wall", "twin", "CPU", "twin", "instr.", "samples",
              "ns/sample"]
    for family in FAMILIES[1:]:
        header += [f"{family.name} wall", "instr."]
    return table(header, rows)


def pair_table(document):
    pairs = document["pairs"]
    kinds = [(kind, label) for kind, label in (("without", f"without ({pairs.get('source')})"),
                                               ("off", "off"), ("on", "on")) if pairs.get(kind)]
    sizes = list(pairs["off"])
    rows = [[label] + [f"{pairs[kind][size]:.1f}" for size in sizes] for kind, label in kinds]
    return table(["profiler", *(f"{size} B" for size in sizes)], rows)


def instruction_table(overheads):
    columns = {family.name: overheads.ratios(family, "instructions") for family in FAMILIES}
    rows = [[name] + [text(columns[family.name].get(name)) for family in FAMILIES]
            for name in overheads.document["instructions"]]
    return table(["on / off", *(family.name for family in FAMILIES)], rows)


def every_table(document):
    rows = [[name, text(ratio, "{:.1f}")] for name, ratio in every_ratios(document).items()]
    return table(["benchmark", "on / off"], rows)


def exception_table(document):
    on, twin = (throughput_ratios(document, name) for name in (SUBJECT.on, SUBJECT.twin))
    rows = []
    for benchmark in document["exceptions"]:
        samples = benchmark["results"][SUBJECT.off]["samples"]
        rate = quantile([s["ops"] / s["wall_ns"] * 1e6 for s in samples], 0.5) if samples else None
        name = benchmark["name"]
        rows.append([name, benchmark["about"], text(rate, "{:.0f}"), text(on.get(name)),
                     text(twin.get(name))])
    return table(["benchmark", "", "off, thousand/s", "on / off", "twin / off"], rows, left=2)


def resident_table(document):
    rows = [[run["about"], text(quantile(run["off_kib"], 0.5) / 1024, "{:.2f}"),
             text(quantile(run["on_kib"], 0.5) / 1024, "{:.2f}"), text(resident_mib(run), "{:.2f}"),
             run["sites"], run["samples"]] for run in document["resident"]]
    return table(["blocks", "off, MiB", "on, MiB", "the profile's", "sites", "samples"], rows)


def report_table(document):
    rows = []
    for form in document["report"]["formats"]:
        if form.get("error"):
            rows.append([form["format"], form["error"], MISSING, MISSING])
        else:
            rows.append([form["format"], text(quantile(form["seconds"], 0.5), "{:.2f}"),
                         text(quantile(form["kib"], 0.5) * 1024 / 1e6, "{:.0f}"),
                         text(form["bytes"] / 1e6, "{:.1f}")])
    return table(["format", "s", "most memory, MB", "output, MB"], rows)


def share_table(document):
    """Of the bytes of a program: whose own frame has a name, a line, debug information."""
    rows = []
    for program in document["programs"]:
        if program.get("error"):
            rows.append([program["name"], program["error"]] + [MISSING] * 11)
            continue
        shares = [text(program[weight][key], "{:.1%}")
                  for weight in ("allocated_bytes", "live_bytes")
                  for key in ("named", "caller", "lines", "debug")]
        rows.append([program["name"], "", program["profiles"], program["samples"],
                     program["sites"], *shares])
    shares = ["named", "or a caller", "with line", "debug information"]
    return table(["program", "", "profiles", "samples", "sites", "allocated: " + shares[0],
                  *shares[1:], "live: " + shares[0], *shares[1:]], rows, left=2)


def top_table(document):
    rows = [[program["name"], f"{line['share']:.1%}",
             " ← ".join(name or "(no name)" for name in line["functions"]),
             line["where"] or MISSING, line["module"]]
            for program in document["programs"] for line in program.get("top", [])]
    return table(["program", "of allocated", "function ← its callers", "line", "module"], rows,
                 left=5)


def sections(document):
    """(title, text) of every part that was measured."""
    overheads = Overheads(document)
    if overheads.names or document["instructions"]:
        yield ("Side by side",
               "Geometric means of on / off over the benchmarks, each allocator to itself. The "
               "requirement is about wall time, which decides; the twin (the same library and "
               "settings as off) says what of it the machine makes. Processor time and "
               "instructions beside it are steadier, and know nothing of waiting.\n\n" +
               side_by_side(overheads))
    if document["pairs"].get("off"):
        yield "Instructions of a malloc and free pair, 16 others live", pair_table(document)
    if overheads.names:
        yield ("Benchmarks",
               "Samples are those of one whole run; ns/sample is processor time of on beyond off, "
               "divided by them.\n\n" + benchmark_table(overheads))
    if document["instructions"]:
        yield ("Instructions, callgrind",
               "Own programs: what a longer run has more than a shorter; real programs: the whole, "
               "the start of the profile included.\n\n" + instruction_table(overheads))
    if document["every"]:
        yield ("gperftools, every allocation instrumented (HEAPPROFILE)",
               "Busy time of shorter runs: it is too slow for the others.\n\n" +
               every_table(document))
    if document["exceptions"]:
        yield "C++ exceptions, throughput", exception_table(document)
    if document["resident"]:
        yield "Resident memory, 10,000 call sites", resident_table(document)
    if document["report"].get("formats"):
        yield f"tide report, {document['report']['sites']:,} sites", report_table(document)
    if document["programs"]:
        yield ("Real programs",
               "A site's own frame is the innermost that is neither of the C or C++ library nor of "
               "the allocator.\n\n" + share_table(document) + "\n\n" + top_table(document))


def markdown(document):
    parts = ["# What the profile costs", machine_facts.one_paragraph(document["machine"]) + ".",
             f"{document['settings']['rounds']} rounds, interleaved; medians. A sample every "
             f"{document['settings']['rate'] // 1024} KiB.",
             versions(document), "## Requirements", requirement_table(document)]
    for title, body in sections(document):
        parts += ["## " + title, body]
    seconds = ", ".join(f"{part} {value:.0f} s" for part, value in document["seconds"].items())
    return "\n\n".join([*parts, f"Took: {seconds}."]) + "\n"


def terminal(document):
    overheads = Overheads(document)
    parts = [side_by_side(overheads)] if overheads.names or document["instructions"] else []
    return "\n\n".join([*parts, requirement_table(document)])


# ---- The picture --------------------------------------------------------------------------------

def series(overheads):
    """(label, colour, point type, {benchmark: on over off}), the last drawn on top."""
    colours = ("#3a9a4b", "#7a52a8")
    found = [(family.name, colour, 6, overheads.ratios(family, "wall_ns"))
             for family, colour in zip(FAMILIES[1:], colours)]
    found.append(("tidemalloc, off and off", "#555555", 1,
                  overheads.twin_ratios(SUBJECT, "wall_ns")))
    found.append(("tidemalloc, instructions", plot.SUBJECT_COLOUR, 4,
                  overheads.ratios(SUBJECT, "instructions")))
    found.append(("tidemalloc", plot.SUBJECT_COLOUR, 7, overheads.ratios(SUBJECT, "wall_ns")))
    return [entry for entry in found if entry[3]]


def picture_script(names, found, output):
    tics = ", ".join(f"{plot.quoted(name)} {at}" for at, name in enumerate(names))
    plots = ", ".join(f"'-' using 1:2 with points pt {kind} ps 0.75 lc rgb '{colour}' "
                      f"title {plot.quoted(label)}" for label, colour, kind, _ in found)
    data = "\n".join("\n".join(f"{ratios[name]:.5f} {at}" for at, name in enumerate(names)
                               if name in ratios) + "\ne" for *_, ratios in found)
    return f"""
set terminal svg size 900,{130 + plot.ROW_HEIGHT * len(names)} font 'sans-serif,11' \\
    background rgb 'white'
set output {plot.quoted(output)}
set title 'Wall time with the profile on / off'
set logscale x 2
set xtics ("0.9" 0.9, "1" 1, "1.1" 1.1, "1.25" 1.25, "1.5" 1.5, "2" 2, "4" 4, "8" 8, "16" 16)
set xrange [*<0.9:*]
set yrange [{len(names) - 0.5}:-0.5]
set ytics ({tics})
set grid x y lc rgb '#dddddd'
set key outside top horizontal center
set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#888888'
set arrow from 1.03, graph 0 to 1.03, graph 1 nohead dt 3 lc rgb '#888888'
plot {plots}
{data}
"""


def draw(document, directory, say):
    """Writes overhead.svg there; says why when it cannot."""
    overheads = Overheads(document)
    found = series(overheads)
    if shutil.which("gnuplot") is None:
        say("no picture: gnuplot is not installed")
    elif overheads.names and found:
        error = plot.run_gnuplot(picture_script(overheads.names, found,
                                                os.path.join(directory, "overhead.svg")))
        if error:
            say(f"gnuplot: overhead.svg: {error.splitlines()[-1]}")
