# SPDX-License-Identifier: MIT
"""Pictures by gnuplot: each allocator's time and memory on every benchmark beside mimalloc's, and
where the allocators stand on both axes together. Pictures are SVG; without gnuplot there are none.
"""

import os
import shutil
import subprocess

COLOURS = ("#555555", "#1f6fb4", "#d9822b", "#3a9a4b", "#7a52a8", "#8c6d31", "#1aa5a5")
SUBJECT_COLOUR = "#d01010"
ROW_HEIGHT = 17
REFERENCE = "mimalloc"


def colour_of(summary, name):
    if name == summary.subject:
        return SUBJECT_COLOUR
    return COLOURS[summary.names.index(name) % len(COLOURS)]


def ratio_data(summary, key):
    """Lines `row ratio` per allocator, blocks apart by two empty lines; and the row labels."""
    labels = [b["name"] for b in summary.scored]
    blocks = []
    for name in summary.names:
        ratios = summary.ratios(name, REFERENCE, key)
        lines = [f"{ratios[label]:.5f} {at}" for at, label in enumerate(labels) if label in ratios]
        blocks.append("\n".join(lines) or "NaN NaN")
    return labels, "\n\n\n".join(blocks) + "\n"


def quoted(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def ratio_script(summary, labels, data, title, output):
    tics = ", ".join(f"{quoted(label)} {at}" for at, label in enumerate(labels))
    height = 110 + ROW_HEIGHT * len(labels)
    plots = ", ".join(
        f"{quoted(data)} index {at} using 1:2 with points pt {7 if name == summary.subject else 6} "
        f"ps {0.9 if name == summary.subject else 0.75} lc rgb '{colour_of(summary, name)}' "
        f"title {quoted(name)}" for at, name in enumerate(summary.names))
    return f"""
set terminal svg size 900,{height} font 'sans-serif,11' background rgb 'white'
set output {quoted(output)}
set title {quoted(title)}
set logscale x 2
set xtics ("1/8" 0.125, "1/4" 0.25, "1/2" 0.5, "0.7" 0.7, "1" 1, "1.4" 1.4, "2" 2, \\
    "4" 4, "8" 8, "16" 16, "32" 32)
set yrange [{len(labels) - 0.5}:-0.5]
set ytics ({tics})
set grid x y lc rgb '#dddddd'
set key outside top horizontal center
set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb '#888888'
set arrow from 0.85, graph 0 to 0.85, graph 1 nohead dt 3 lc rgb '#888888'
plot {plots}
"""


def both_axes(summary):
    lines = []
    for name in summary.names:
        wall = summary.mean_to_best(name, "wall_ns")
        memory = summary.mean_to_best(name, "hwm_kib")
        if wall and memory:
            lines.append((name, colour_of(summary, name), wall, memory))
    return lines


def both_script(points, output):
    labels = "\n".join(f"set label {quoted(name)} at {wall:.4f},{memory:.4f} offset 1,0.4 "
                       f"tc rgb '{colour}'" for name, colour, wall, memory in points)
    dots = ", ".join(f"'-' using 1:2 with points pt 7 ps 1.2 lc rgb '{colour}' notitle"
                     for _, colour, _, _ in points)
    inline = "\n".join(f"{wall:.4f} {memory:.4f}\ne" for _, _, wall, memory in points)
    return f"""
set terminal svg size 640,520 font 'sans-serif,12' background rgb 'white'
set output {quoted(output)}
set title 'Geometric means; lower left is better'
set xlabel 'wall time / fastest'
set ylabel 'peak RSS / leanest'
set xrange [1:*]
set yrange [1:*]
set offsets graph 0.15, graph 0.15, graph 0.1, 0
set grid lc rgb '#dddddd'
{labels}
plot {dots}
{inline}
"""


def run_gnuplot(script):
    done = subprocess.run(["gnuplot"], input=script, stderr=subprocess.PIPE, check=False,
                          stdout=subprocess.DEVNULL, universal_newlines=True)
    return done.stderr.strip() if done.returncode != 0 else ""


def draw(summary, directory, say):
    """Writes the pictures there; says why when it cannot."""
    if shutil.which("gnuplot") is None:
        say("no pictures: gnuplot is not installed")
        return
    if REFERENCE not in summary.names:
        say(f"no pictures: {REFERENCE} is not among the allocators")
        return
    data = os.path.join(directory, "ratios.tmp")
    for key, title, name in (("wall_ns", f"Wall time / {REFERENCE}", "wall.svg"),
                             ("hwm_kib", f"Peak RSS / {REFERENCE}", "rss.svg")):
        labels, text = ratio_data(summary, key)
        with open(data, "w", encoding="utf-8") as file:
            file.write(text)
        error = run_gnuplot(ratio_script(summary, labels, data, title,
                                         os.path.join(directory, name)))
        if error:
            say(f"gnuplot: {name}: {error.splitlines()[-1]}")
    os.unlink(data)
    points = both_axes(summary)
    error = run_gnuplot(both_script(points, os.path.join(directory, "both.svg"))) if points else ""
    if error:
        say(f"gnuplot: both.svg: {error.splitlines()[-1]}")
