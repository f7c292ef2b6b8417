/* SPDX-License-Identifier: MIT */
/*
 * Draws the page and answers the reader. Names and paths are somebody else's bytes: they become
 * text nodes and attributes, never HTML.
 */
/* global d3, flamegraph, uPlot */
/* global data, $, make, exact, percent, plural, UNITS, figure, valueOf, shown, sum, DECADES,
   BYTE_DECADES, STAYS, below, halfLife, duration, shortName, moduleName, sites, NO_STACK, stackOf,
   headline, whereOf, matchingPlaces */
"use strict";

/* ---- What is shown --------------------------------------------------------------------------- */

const VIEWS = {
    live: {label: "Live", figure: "live_bytes", width: 3,
        about: "allocated and not freed when the profile was written"},
    allocated: {label: "Allocated", figure: "allocated_bytes", width: 4,
        about: "everything asked for since the profile began, freed or not"},
    growth: {label: "Growth", figure: "growth_bytes", width: 5, net: 6,
        about: "live bytes now less those of a minute ago"},
};
const state = {view: "live", term: "", sort: data.sort, descending: true, limit: 100,
    lifetime: "time", clock: undefined};
const flameTotal = (view) => data.flame[VIEWS[view].width];

function setView(view) {
    state.view = view;
    state.sort = VIEWS[view].figure;
    state.descending = true;
    for (const button of $("views").children) {
        button.setAttribute("aria-pressed", button.dataset.view === view);
    }
    drawFlame();
    sortSites();
    drawTable();
    drawHeat();
    describeMatches();
}

function makeViews() {
    for (const [view, {label, about}] of Object.entries(VIEWS)) {
        const button = make("button", {type: "button", "data-view": view, title: about,
            onclick: () => setView(view)}, label);
        button.disabled = flameTotal(view) === 0;
        $("views").append(button);
    }
    const byOption = Object.keys(VIEWS).find((v) => VIEWS[v].figure === data.sort);
    state.view = [byOption, "live", "allocated"].find((v) => v && flameTotal(v) > 0) ?? "allocated";
    if (flameTotal(state.view) > 0 && byOption && byOption !== state.view) {
        state.sort = VIEWS[state.view].figure;
    }
    for (const button of $("views").children) {
        button.setAttribute("aria-pressed", button.dataset.view === state.view);
    }
}

/* ---- Head ------------------------------------------------------------------------------------ */

function drawHead() {
    const meta = data.meta;
    const number = (key) => Number(meta[key] ?? 0);
    const name = (meta.program ?? "").replace(/.*\//, "") || "(program unknown)";
    const about = [
        meta.command || meta.program,
        number("pid") > 0 && `pid ${meta.pid}`,
        number("profiles") > 1 && `${meta.profiles} profiles`,
        number("time_ns") > 0 && number("time_ns") < 8e21 &&
            new Date(number("time_ns") / 1e6).toISOString().replace("T", " ").slice(0, 19) + " UTC",
        number("duration_ns") > 0 && `over ${duration(number("duration_ns"))}`,
        number("rate") > 0 && `a sample every ${UNITS.bytes.short(number("rate"))}`,
    ];
    document.title = `${name} – tide`;
    $("program").textContent = name;
    $("about").textContent = about.filter(Boolean).join(" · ");
    drawWarnings(number("lost_samples"));
    drawCards();
    const rows = Object.entries(meta).map(([key, value]) => [key, value]);
    rows.push(["page made by", `tide ${data.tide}`]);
    $("meta").querySelector("div").append(plainTable(["Key", "Value"], rows));
}

function warn(strong, text) {
    $("warnings").append(make("p", {class: "warning", role: "alert"}, make("strong", {}, strong),
        ` ${text}`));
}

function drawWarnings(lost) {
    const overflow = sites.find((site) => site.places.length === 0);
    if (!data.complete) {
        warn("Incomplete.", "The file is damaged: what follows is true, but not all there was.");
    }
    if (data.site_count === 0) {
        warn("No samples.", "The program allocated too little to be sampled; a smaller " +
            "profile_rate would see more.");
    }
    if (overflow) {
        const part = percent(valueOf(overflow.values, "allocated_bytes"),
            valueOf(data.total, "allocated_bytes"));
        warn("Overflow.", `${part} of the allocated bytes have no call site: the table of sites ` +
            "was full, or no stack was found. They are in all sums, as (no stack).");
    }
    if (lost > 0) {
        warn("Lost samples.", `${plural(lost, "sample")} could not be kept.`);
    }
}

function card(label, value, under) {
    return make("div", {class: "card"}, make("div", {class: "label"}, label),
        make("div", {class: "value"}, value), make("div", {class: "below"}, ...under));
}

/* undefined: it is no JSON. */
function parsed(text) {
    try {
        return JSON.parse(text);
    } catch {
        return undefined;
    }
}

function drawCards() {
    const total = data.total;
    const bytes = (label, value, under) => value > 0 && card(label,
        make("span", {title: UNITS.bytes.long(value)}, UNITS.bytes.short(value)), [under]);
    const resident = data.series.filter(([name]) => name === "resident_bytes")
        .map(([, , , , values]) => values.at(-1) ?? 0).find((v) => v > 0);
    const statistics = data.statistics.length === 1 ? parsed(data.statistics[0]) : undefined;
    const cards = [
        card("Live", shown(total, "live_bytes"), [shown(total, "live_blocks"), " blocks"]),
        bytes("Resident", resident, "at the end"),
        bytes("Retained", statistics?.retained_bytes, "free, but still resident"),
        card("Growth", shown(total, "growth_bytes", true), ["in the last minute"]),
        card("Allocated", shown(total, "allocated_bytes"),
            [shown(total, "allocated_blocks"), " blocks"]),
        card("Half of blocks live", halfLife(data.half_life) || "–",
            [data.half_life === STAYS ? "more than half are still there" : "all sites together"]),
        card("Call sites", exact(data.site_count), [shown(total, "samples"), " samples"]),
    ];
    $("cards").append(...cards.filter(Boolean));
}

function plainTable(headings, rows) {
    return make("table", {}, make("thead", {}, make("tr", {}, ...headings.map((h) =>
        make("th", {}, h)))), make("tbody", {}, ...rows.map((row) =>
        make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
}

function drawRest() {
    $("modules").querySelector("div").append(plainTable(["Module", "Names from", "Build-id"],
        data.modules.map(([path, id, symbols]) => [path, symbols, make("code", {}, id)])));
    $("statistics").hidden = data.statistics.length === 0;
    $("statistics").querySelector("pre").textContent = data.statistics.map((text) =>
        parsed(text) === undefined ? text : JSON.stringify(parsed(text), null, 2)).join("\n\n");
    $("credits").querySelector("pre").textContent = $("licences").textContent;
}

/* ---- Tip ------------------------------------------------------------------------------------- */

const tip = {
    show(event, text) {
        const box = $("tip");
        box.textContent = text;
        box.hidden = false;
        const {width, height} = box.getBoundingClientRect();
        box.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - width - 8))}px`;
        box.style.top = `${event.clientY + 18 + height > innerHeight ?
            event.clientY - height - 10 : event.clientY + 18}px`;
    },
    hide() {
        $("tip").hidden = true;
    },
};

/* ---- Flame graph ----------------------------------------------------------------------------- */

/* Modules get colours in the order of their part of the graph; the program itself has that of fire,
 * and what is behind the last colour grey. */
const FIRE = [28, 88, 66];
const HUES = [[205, 58, 70], [145, 40, 66], [275, 42, 76], [55, 62, 64], [330, 48, 76],
    [175, 42, 64], [235, 52, 77], [85, 42, 66]];
const GREY = [220, 8, 74];
const moduleColors = new Map();

const hash = (text) => [...text].reduce((h, c) => (h * 31 + c.charCodeAt(0)) >>> 0, 7);

function drawLegend() {
    const area = new Map();
    const add = ([, module, , , width, , , ...callees]) => {
        area.set(module, (area.get(module) ?? 0) + width);
        callees.forEach(add);
    };
    data.flame.slice(7).forEach(add);
    const ordered = [...area.keys()].filter((m) => m > 0).sort((a, b) => area.get(b) - area.get(a));
    let used = 0;
    for (const module of ordered) {
        const isMain = data.modules[module - 1][3];
        moduleColors.set(module, isMain ? FIRE : HUES[used++] ?? GREY);
    }
    const keys = ordered.filter((m) => moduleColors.get(m) !== GREY).slice(0, 7);
    $("legend").append(...keys.map((m) => make("span", {title: data.modules[m - 1][0]},
        make("i", {style: `background:${hsl(moduleColors.get(m), 0)}`}), moduleName(m))));
}

const hsl = ([h, s, l], shade) => `hsl(${h} ${s}% ${l + shade}%)`;

function frameColor(node) {
    if (node.highlight) {
        return "#e64ad8";
    }
    const {name, module, value, net} = node.data;
    if (net !== undefined) {
        const depth = value === 0 ? 0 : Math.abs(net / value);
        return `hsl(${net > 0 ? 2 : 212} ${20 + 60 * depth}% ${88 - 24 * depth}%)`;
    }
    return hsl(moduleColors.get(module) ?? GREY, hash(name) % 11 - 5);
}

const KINDS = {"-1": "all", "-3": "(no stack)", "-4": "(small ones)"};

/* A node of data.flame for the library, with those callees that have any of the figure. */
function flameNode(node, view) {
    const [kind, module, count, , , , , ...callees] = node;
    const {width, net} = VIEWS[view];
    return {
        name: kind < 0 ? KINDS[kind] : shortName(data.texts[kind]),
        whole: kind < 0 ? KINDS[kind] : data.texts[kind], module, count,
        value: node[width], net: net && node[net], values: node,
        children: callees.filter((callee) => callee[width] > 0).map((c) => flameNode(c, view)),
    };
}

function flameText({data: node}) {
    const total = flameTotal(state.view), short = UNITS.bytes.short, [, , , live, all, , growth] =
        node.values;
    const lines = [node.whole, node.module > 0 ? data.modules[node.module - 1][0] : "",
        `${percent(node.value, total)} of ${VIEWS[state.view].label.toLowerCase()}, ` +
        `${plural(node.count, "site")}`,
        `live ${short(live)} (${UNITS.bytes.long(live)})`,
        `allocated ${short(all)} (${UNITS.bytes.long(all)})`];
    if (growth !== 0) {
        lines.push(`growth ${growth > 0 ? "+" : ""}${short(growth)} (${UNITS.bytes.long(growth)})`);
    }
    return lines.filter(Boolean).join("\n");
}

let chart;

function drawFlame() {
    const box = $("flame");
    const tooltip = () => undefined;
    tooltip.show = (event, node) => tip.show(event, flameText(node));
    tooltip.hide = tip.hide;
    tip.hide();
    box.replaceChildren();
    $("flame-note").textContent = flameNote();
    $("legend").hidden = VIEWS[state.view].net !== undefined;
    if (flameTotal(state.view) === 0) {
        box.append(make("p", {class: "dim"}, "There is nothing to draw."));
        chart = undefined;
        return;
    }
    chart = flamegraph.default().width(box.clientWidth).cellHeight(19).inverted(true)
        .transitionDuration(0).minFrameSize(1).tooltip(tooltip)
        .setColorMapper((node) => frameColor(node))
        .setSearchMatch((node, term) => node.data.whole.toLowerCase().includes(term))
        .setSearchHandler(() => undefined).setDetailsHandler(() => undefined);
    chart.onClick(() => chart.transitionDuration(0));
    d3.select(box).datum(flameNode(data.flame, state.view)).call(chart);
    if (state.term) {
        chart.search(state.term);
    }
}

function flameNote() {
    const {about, net} = VIEWS[state.view];
    const small = data.flame_small > 0 ? ` ${plural(data.flame_small, "frame")} of less than ` +
        `1/${exact(data.flame_parts)} of each total, and what they call, are put together as ` +
        "“(small ones)”." : "";
    return `The figure is bytes: ${about}. The outermost function is on top, a click zooms.` +
        (net ? " The width is what grew and what shrank; red grew, blue shrank." : "") + small;
}

/* ---- Search ---------------------------------------------------------------------------------- */

function search(term) {
    state.term = term.trim().toLowerCase();
    state.limit = 100;
    if (state.term === "") {
        sites.forEach((site) => { site.matches = true; });
        chart?.clear();
    } else {
        const places = matchingPlaces(state.term);
        for (const site of sites) {
            site.matches = site.places.length > 0 ? site.places.some((place) => places[place]) :
                NO_STACK.name.includes(state.term);
        }
        chart?.search(state.term);
    }
    drawTable();
    drawHeat();
    describeMatches();
}

function describeMatches() {
    const found = sites.filter((site) => site.matches);
    const {figure: name, label} = VIEWS[state.view];
    const part = sum(found.map((site) => valueOf(site.values, name)));
    $("found").textContent = state.term === "" ? "" : `${plural(found.length, "site")}: ` +
        `${figure[name].short(part)} ${label.toLowerCase()}` + (state.view === "growth" ? "" :
        ` (${percent(part, valueOf(data.total, name))})`);
}

/* ---- Call sites ------------------------------------------------------------------------------ */

const otherThread = (values) => {
    const other = valueOf(values, "freed_other_blocks");
    const all = other + valueOf(values, "freed_same_blocks");
    return all === 0 ? -1 : other / all;
};
const COLUMNS = [
    {id: "site", label: "Call site", order: (site) => headline(site).frame.name},
    {id: "live_bytes", label: "Live", bar: true},
    {id: "live_blocks", label: "Blocks"},
    {id: "growth_bytes", label: "Growth", sign: true},
    {id: "peak_live_bytes", label: "Peak"},
    {id: "allocated_bytes", label: "Allocated", bar: true},
    {id: "allocated_blocks", label: "Blocks"},
    {id: "half", label: "Half-life", title: "how long half of the blocks live; stays: more than " +
        "half are still there", order: (site) => site.half > STAYS ? -1 : site.half,
        show: (site) => halfLife(site.half)},
    {id: "other", label: "Freed elsewhere",
        title: "blocks that another thread freed, of all that were freed",
        order: (site) => otherThread(site.values), show: (site) => {
            const part = otherThread(site.values);
            return part < 0 ? "" : percent(part, 1);
        }},
];
const extra = data.figures.map(([name]) => name).filter((name) => name === data.sort &&
    !COLUMNS.some((column) => column.id === name));
COLUMNS.splice(1, 0, ...extra.map((name) => ({id: name, label: name.replaceAll("_", " ")})));

let ordered = [];

function sortSites() {
    const column = COLUMNS.find((c) => c.id === state.sort);
    const order = column.order ?? ((site) => valueOf(site.values, column.id));
    const keys = new Map(sites.map((site) => [site, order(site)]));
    const compare = (a, b) => {
        const x = keys.get(a), y = keys.get(b);
        const result = x < y ? -1 : x > y ? 1 : 0;
        return (state.descending ? -result : result) ||
            valueOf(b.values, "allocated_bytes") - valueOf(a.values, "allocated_bytes");
    };
    ordered = [...sites].sort(compare);
}

function drawTableHead() {
    const headings = COLUMNS.map((column) => {
        const isSorted = column.id === state.sort;
        const sort = () => {
            state.descending = isSorted ? !state.descending : column.id !== "site";
            state.sort = column.id;
            sortSites();
            drawTable();
            drawHeat();
            $("table").querySelector(`[data-column="${column.id}"]`).focus();
        };
        const arrow = isSorted ? (state.descending ? " ▾" : " ▴") : "";
        return make("th", {scope: "col", class: column.id === "site" ? undefined : "number",
            "aria-sort": isSorted ? (state.descending ? "descending" : "ascending") : undefined},
        make("button", {type: "button", "data-column": column.id, onclick: sort,
            title: column.title ?? figure[column.id]?.text}, column.label + arrow));
    });
    $("table").tHead.replaceChildren(make("tr", {}, ...headings));
}

function cellOf(site, column) {
    if (column.show) {
        return make("td", {class: "number"}, column.show(site));
    }
    const value = valueOf(site.values, column.id), total = valueOf(data.total, column.id);
    const cell = make("td", {class: "number"}, shown(site.values, column.id, column.sign));
    if (column.sign && value !== 0) {
        cell.classList.add(value > 0 ? "grew" : "shrank");
    }
    if (column.bar && total > 0) {
        const width = Math.max(0, Math.min(100, 100 * value / total)).toFixed(1);
        cell.append(make("span", {class: "bar", title: `${percent(value, total)} of all`},
            make("i", {style: `width:${width}%`})));
    }
    return cell;
}

/* Who wanted the memory; beneath where that is, through what, and who called it. */
function siteName(site) {
    const {frame, through, callers} = headline(site);
    const button = make("button", {type: "button", class: "site-name", "aria-expanded": "false",
        title: frame.name}, make("b", {}, shortName(frame.name)));
    const under = make("div", {class: "where"}, whereOf(frame),
        frame.file ? ` · ${moduleName(frame.module)}` : undefined);
    if (through) {
        under.append(make("span", {title: through.name}, ` · by ${shortName(through.name)}`));
    }
    const names = callers.map((caller) => shortName(caller.name));
    return [button, under, names.length > 0 ?
        make("div", {class: "where mono"}, `← ${names.join(" ← ")}`) : undefined];
}

function rowOf(site) {
    const [button, ...under] = siteName(site);
    const row = make("tr", {class: "site", "data-site": site.index},
        make("td", {}, button, ...under.filter(Boolean)),
        ...COLUMNS.slice(1).map((column) => cellOf(site, column)));
    row.addEventListener("click", () => {
        if (getSelection().isCollapsed) {
            toggle(row, site, button);
        }
    });
    button.addEventListener("keydown", (event) => {
        const rows = [...$("table").querySelectorAll(".site-name")];
        const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
        const next = step && rows[rows.indexOf(button) + step];
        if (next) {
            event.preventDefault();
            next.focus();
        }
    });
    return row;
}

function toggle(row, site, button) {
    const isOpen = row.classList.toggle("open");
    button.setAttribute("aria-expanded", isOpen);
    if (isOpen) {
        row.after(make("tr", {class: "detail"}, make("td", {colspan: COLUMNS.length},
            detailOf(site))));
    } else {
        row.nextElementSibling.remove();
    }
}

function barsOf(buckets, label, className) {
    const most = Math.max(...buckets);
    return buckets.flatMap((value, i) => value === 0 ? [] : [make("span", {}, label(i)),
        make("i", {class: className, style: `width:${(100 * value / most).toFixed(1)}%`}),
        make("span", {class: "number", title: UNITS.thousandths.long(value)},
            UNITS.thousandths.short(value))]);
}

function detailOf(site) {
    const frames = stackOf(site).map((frame) => make("li", {}, make("b", {title: frame.name},
        shortName(frame.name)), " ",
        frame.inlined ? make("span", {class: "tag dim"}, "inlined") : undefined,
        make("div", {class: "where", title: frame.module > 0 ?
            `${data.modules[frame.module - 1][0]} at ${frame.offset}` : undefined},
        frame.file ? `${whereOf(frame)} · ${moduleName(frame.module)}` : whereOf(frame))));
    const figures = data.figures.flatMap(([name, , text]) => [
        make("span", {title: text}, name.replaceAll("_", " ")),
        make("span", {class: "number"}, shown(site.values, name))]);
    const parts = [make("h3", {}, "Figures"), make("div", {class: "figures"}, ...figures)];
    const add = (title, bars) => bars.length > 0 &&
        parts.push(make("h3", {}, title), make("div", {class: "bars"}, ...bars));
    add("Blocks freed, by how long they lived", barsOf(site.time, (i) => below(DECADES, i)));
    add("Blocks still live, by age", barsOf(site.age, (i) => below(DECADES, i), "kept"));
    add("Blocks by size", barsOf(site.sizes, (i) => `≤ ${UNITS.bytes.short(2 ** (i + 4))}`));
    return make("div", {class: "detail-grid"},
        make("div", {}, make("h3", {}, "Stack, the innermost call first"),
            make("ol", {class: "stack"}, ...frames)), make("div", {}, ...parts));
}

function drawTable() {
    const found = ordered.filter((site) => site.matches);
    drawTableHead();
    $("table").tBodies[0].replaceChildren(...found.slice(0, state.limit).map(rowOf));
    $("site-count").textContent = `${exact(Math.min(state.limit, found.length))} of ` +
        plural(found.length, state.term === "" ? "site" : "matching site");
    $("more").hidden = found.length <= state.limit;
    $("more").textContent = `Show ${exact(Math.min(200, found.length - state.limit))} more`;
    $("table-note").textContent = data.left_out === 0 ? "" :
        `${plural(data.left_out, "site")} of ${exact(data.site_count)} are not in this table: ` +
        `each has less than ${(data.left_out_ppm / 1e4).toFixed(4)} % of what is live, ` +
        "allocated, at its peak and growing. They are in all sums, the flame graph and the first " +
        "row of the lifetimes; tide report --top=0 puts them here, too.";
}

/* Brings a site into sight, opened. */
function openSite(site) {
    const place = ordered.filter((s) => s.matches).indexOf(site);
    if (place >= state.limit) {
        state.limit = place + 1;
        drawTable();
    }
    const row = $("table").querySelector(`[data-site="${site.index}"]`);
    const button = row.querySelector("button");
    if (!row.classList.contains("open")) {
        toggle(row, site, button);
    }
    row.scrollIntoView({block: "center"});
    button.focus({preventScroll: true});
}

/* ---- Lifetimes ------------------------------------------------------------------------------- */

const HEAT_ROWS = 25;

/* The groups of columns: which histogram, its decades, its words and its colour. */
function heatGroups() {
    return state.lifetime === "time" ?
        [{key: "time", decades: DECADES, title: "freed after less than", color: "--freed",
            says: (i) => `freed after ${below(DECADES, i)}`},
        {key: "age", decades: DECADES, title: "still live, age below", color: "--kept",
            says: (i) => `still live, ${below(DECADES, i)} old`}] :
        [{key: "bytes", decades: BYTE_DECADES, title: "freed after less than so many bytes were " +
            "allocated by all", color: "--freed",
        says: (i) => `freed after ${below(BYTE_DECADES, i)} were allocated by all threads`},
        {key: "live", decades: ["live"], title: "still", color: "--kept",
            says: () => "still live"}];
}

function drawHeat() {
    const [time, bytes, age] = data.lifetimes;
    const whole = {time, bytes, age, live: [sum(age)]};
    const rows = ordered.filter((site) => site.matches).slice(0, HEAT_ROWS).map((site) =>
        ({site, time: site.time, bytes: site.bytes, age: site.age, live: [sum(site.age)]}));
    const groups = heatGroups().map((group) => {
        const used = group.decades.map((_, i) => [whole, ...rows].some((row) => row[group.key][i]));
        return {...group, first: Math.max(0, used.indexOf(true)), last: used.lastIndexOf(true)};
    }).filter((group) => group.last >= 0);
    const titles = groups.flatMap((group) => [make("th", {class: "gap"}),
        make("th", {class: "group", colspan: group.last - group.first + 1}, group.title)]);
    const labels = groups.flatMap((group) => [make("th", {class: "gap"}),
        ...group.decades.slice(group.first, group.last + 1).map((d) => make("th", {}, d))]);
    $("heat").replaceChildren(
        make("thead", {}, make("tr", {}, make("th", {class: "name"}), make("th", {class: "size"}),
            ...titles),
            make("tr", {}, make("th"), make("th", {}, "blocks"), ...labels)),
        make("tbody", {}, heatRow(whole, groups), ...rows.map((row) => heatRow(row, groups))));
    $("heat-note").textContent = "Cells are percentages of the blocks of their row. " +
        (rows.length === 0 ? "" : `The ${plural(rows.length, "site")} are the first of the table ` +
        "below, in its order; a click shows the stack.") +
        (state.lifetime === "time" ? "" : " The bytes are those of the whole process, so that an " +
        "idle program does not make lifetimes longer.");
}

function heatRow(row, groups) {
    const all = sum(groups.flatMap(({key}) => row[key]));
    const {frame, through} = row.site ? headline(row.site) : {};
    const name = frame ? shortName(frame.name) : "all sites";
    const head = frame ? make("button", {type: "button", title: `${frame.name}\n${whereOf(frame)}`,
        onclick: () => openSite(row.site)}, name, through ?
        make("span", {class: "dim"}, ` by ${shortName(through.name)}`) : undefined) : name;
    const cells = groups.flatMap((group) => [make("td", {class: "gap"}),
        ...group.decades.slice(group.first, group.last + 1).map((_, i) =>
            heatCell(row[group.key][group.first + i] ?? 0, all, group, group.first + i, name))]);
    return make("tr", {class: row.site ? undefined : "whole"}, make("th", {scope: "row"}, head),
        make("td", {class: "size", title: UNITS.thousandths.long(all)},
            UNITS.thousandths.short(all)), ...cells);
}

function heatCell(value, all, group, decade, name) {
    const part = all === 0 ? 0 : value / all;
    const cell = make("td");
    if (value > 0) {
        const depth = Math.round(100 * Math.min(1, 0.08 + 0.92 * Math.sqrt(part)));
        cell.textContent = part >= 0.005 ? (100 * part).toFixed(0) : "·";
        cell.style.background = `color-mix(in srgb, var(${group.color}) ${depth}%, var(--card))`;
        cell.classList.toggle("strong", depth > 55);
        const text = `${name}\n${group.says(decade)}: ${UNITS.thousandths.long(value)}, ` +
            percent(value, all);
        cell.addEventListener("mousemove", (event) => tip.show(event, text));
        cell.addEventListener("mouseleave", tip.hide);
    }
    return cell;
}

function makeLifetimeSwitch() {
    const options = {time: "Time", bytes: "Bytes allocated meanwhile"};
    for (const [key, label] of Object.entries(options)) {
        $("lifetime-options").append(make("button", {type: "button",
            "aria-pressed": key === state.lifetime, onclick(event) {
                state.lifetime = key;
                for (const button of $("lifetime-options").children) {
                    button.setAttribute("aria-pressed", button === event.currentTarget);
                }
                drawHeat();
            }}, label));
    }
}

/* ---- Over time ------------------------------------------------------------------------------- */

/* Series of one clock (whose they are, and their interval) are drawn together, a chart a unit. */
function clocks() {
    const found = new Map(), seen = new Map();
    for (const [name, unit, interval, start, values] of data.series) {
        const slash = name.lastIndexOf("/");
        let owner = slash < 0 ? "process" : name.slice(0, slash).replace(/^thread\//, "thread ");
        const times = (seen.get(`${name} ${interval}`) ?? 0) + 1;
        seen.set(`${name} ${interval}`, times);
        owner += times > 1 ? ` ${times}` : "";
        const key = `${owner}, ${interval < 1e9 ? "every " + duration(interval) :
            interval === 6e10 ? "every minute" : `every ${duration(interval)}`}`;
        const isKnown = !/^(resident|retained)_bytes$/.test(name) || values.some((v) => v > 0);
        const first = found.get(key)?.[0].start ?? start;
        const isNear = interval > 0 && Math.abs(start - first) / interval < 1e5;
        if (values.length > 0 && isKnown && isNear) {
            found.set(key, [...found.get(key) ?? [],
                {name: name.slice(slash + 1), unit, interval, start, values: owner === "forecast" ?
                    values.map((v) => v < 0 ? null : v) : values}]);
        }
    }
    for (const series of found.values()) {
        /* Bytes, then what is of a second; what was before what was forecast. */
        series.sort((a, b) => a.unit.length - b.unit.length ||
            (b.name === "level_bytes") - (a.name === "level_bytes"));
    }
    return found;
}

/* Rows for uPlot: seconds, then the values of each series, or null where it has none. */
function align(series) {
    const {interval} = series[0];
    const start = Math.min(...series.map((s) => s.start));
    const offset = (s) => Math.round((s.start - start) / interval);
    const length = Math.max(...series.map((s) => offset(s) + s.values.length));
    const times = Array.from({length}, (_, i) => (start + i * interval) / 1e9);
    return [times, ...series.map((s) => times.map((_, i) => s.values[i - offset(s)] ?? null))];
}

/* What a colour of the style sheet is now: canvases know neither variables nor light-dark(). */
function color(variable) {
    const probe = make("i", {style: `color:var(${variable})`});
    document.body.append(probe);
    const value = getComputedStyle(probe).color;
    probe.remove();
    return value;
}

function drawChart(box, unit, series) {
    const isBytes = unit.startsWith("bytes");
    const suffix = unit.includes("/") ? `/${unit.split("/")[1]}` : "";
    const show = (v) => v === null || v === undefined ? "–" :
        (isBytes ? UNITS.bytes.short(v) : scaled(v, 1000, 10000, BLOCK_UNITS)) + suffix;
    const colors = ["--accent", "--kept", "--freed", "--grew"].map(color);
    const ends = ["upper_bytes", "lower_bytes"]; /* of a band, which is filled and has no lines */
    const band = ends.map((end) => series.findIndex(({name}) => name === end) + 1);
    const clear = (solid, part) => solid.replace("rgb(", "rgba(").replace(")", `, ${part})`);
    const drawn = series.filter(({name}) => !ends.includes(name));
    const axis = {stroke: color("--dim"), grid: {stroke: color("--line"), width: 1},
        ticks: {stroke: color("--line"), width: 1}, font: "11px system-ui, sans-serif"};
    const chartSeries = series.map((one, i) => ({
        label: one.name.replace(/_rate$/, "").replaceAll("_", " "),
        stroke: drawn.includes(one) ? colors[drawn.indexOf(one) % colors.length] :
            clear(colors[1], 0.45),
        width: drawn.includes(one) ? 1.6 : 0.5, points: {show: series[0].values.length < 3},
        value: (_, v) => show(v), fill: i === 0 ? clear(colors[0], "0.10") : undefined}));
    return new uPlot({
        width: box.clientWidth, height: 190, fmtDate: formatDate,
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1e3), "UTC"),
        cursor: {sync: {key: "time"}, drag: {x: true, y: false}},
        scales: {y: {range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.06 : 1]}},
        axes: [axis, {...axis, size: 76, values: (_, ticks) => ticks.map(show)}],
        series: [{label: "UTC"}, ...chartSeries],
        bands: band.includes(0) ? [] : [{series: band, fill: clear(colors[1], 0.18)}],
    }, align(series), box);
}

/* The library's dates are American, and of the reader's zone: as the head of the page has them. */
const DATES = [["{M}/{D}/{YY}", "{YYYY}-{MM}-{DD}"], ["{M}/{D}", "{MM}-{DD}"],
    ["{h}:{mm}:{ss}{aa}", "{HH}:{mm}:{ss}"], ["{h}:{mm}{aa}", "{HH}:{mm}"], ["{h}{aa}", "{HH}:00"]];
const formatDate = (form) =>
    uPlot.fmtDate(DATES.reduce((text, [from, to]) => text.replace(from, to), form));

const UNIT_TITLES = {bytes: "Memory", "bytes/s": "Bytes a second", "blocks/s": "Blocks a second"};

function drawCharts() {
    const series = clocks().get(state.clock) ?? [];
    $("charts").replaceChildren();
    if (series.length === 0) {
        $("charts").append(make("p", {class: "dim"}, "The profile has no series."));
    }
    for (const unit of new Set(series.map((s) => s.unit))) {
        const box = make("figure", {}, make("figcaption", {}, UNIT_TITLES[unit] ?? unit));
        $("charts").append(box);
    }
    [...new Set(series.map((s) => s.unit))].forEach((unit, i) => {
        drawChart($("charts").children[i], unit, series.filter((s) => s.unit === unit));
    });
    if (state.clock?.startsWith("forecast,")) {
        $("charts").lastChild.append(make("p", {class: "note"}, "A forecast, with its band, " +
            "stands at the end of the time it is for: compare it with the most of the level " +
            "within that time before. Nothing acts on it."));
    }
}

function makeClockSwitch() {
    const all = clocks();
    const values = (key) => all.get(key)[0].values.length;
    const keys = [...all.keys()];
    /* The whole run when there is enough of it. */
    state.clock = keys.findLast((key) => key.startsWith("process,") && values(key) >= 10) ??
        keys[0];
    if (keys.length > 1) {
        const select = make("select", {"aria-label": "Which series", onchange(event) {
            state.clock = event.target.value;
            drawCharts();
        }}, ...keys.map((key) => make("option", {value: key}, key)));
        select.value = state.clock;
        $("time-options").append(select);
    }
}

/* ---- Start ----------------------------------------------------------------------------------- */

function listen() {
    let timer;
    const later = (action, ms) => {
        clearTimeout(timer);
        timer = setTimeout(action, ms);
    };
    $("search").addEventListener("input", (event) => later(() => search(event.target.value), 120));
    /* Only a zoom is slow enough to be followed: it comes after this, and ends with onClick. */
    const isStill = matchMedia("(prefers-reduced-motion)").matches;
    $("flame").addEventListener("click", () => chart?.transitionDuration(isStill ? 0 : 200), true);
    $("unzoom").addEventListener("click", () => chart?.resetZoom());
    $("more").addEventListener("click", () => {
        state.limit += 200;
        drawTable();
    });
    $("theme").addEventListener("click", () => {
        const style = document.documentElement.style;
        const isDark = style.colorScheme === "" ?
            matchMedia("(prefers-color-scheme: dark)").matches : style.colorScheme === "dark";
        style.colorScheme = isDark ? "light" : "dark";
        drawCharts();
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawCharts);
    document.addEventListener("keydown", (event) => {
        const isTyping = event.target.matches?.("input, select");
        if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) {
            event.preventDefault();
            $("search").focus();
        } else if (event.key === "Escape" && event.target === $("search")) {
            $("search").value = "";
            search("");
            $("search").blur();
        }
    });
    let width = innerWidth;
    window.addEventListener("resize", () => {
        if (innerWidth !== width) {
            width = innerWidth;
            later(() => {
                drawFlame();
                drawCharts();
            }, 150);
        }
    });
}

function start() {
    const steps = [makeViews, drawHead, drawLegend, drawFlame, sortSites, drawTable,
        makeLifetimeSwitch, drawHeat, makeClockSwitch, drawCharts, drawRest, listen];
    for (const step of steps) {
        try {
            step();
        } catch (fault) {
            reportError(fault); /* and what can be shown, is */
        }
    }
    document.documentElement.dataset.readyMs = Math.round(performance.now());
}

start();
