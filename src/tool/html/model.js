/* SPDX-License-Identifier: MIT */
/*
 * What report_html.c wrote, as page.js wants it: figures with their units, sites, stacks, names.
 */
/* exported exact, percent, plural, shown, sum, BYTE_DECADES, below, halfLife, duration, sites,
   NO_STACK, stackOf, headline, whereOf, matchingPlaces */
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);

window.addEventListener("error", (event) => {
    $("warnings").append(make("p", {class: "warning", id: "page-error"},
        `This page has a fault, and not all of it is shown: ${event.message}`));
});

/* make("p", {class: "x"}, "text", node): an element; attributes that are undefined are left out. */
function make(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
        if (name.startsWith("on")) {
            node.addEventListener(name.slice(2), value);
        } else if (value !== undefined) {
            node.setAttribute(name, value);
        }
    }
    node.append(...children.filter((c) => c !== undefined && c !== null));
    return node;
}

/* ---- Figures --------------------------------------------------------------------------------- */

const BYTE_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
const BLOCK_UNITS = ["", "k", "M", "G", "T", "P", "E"];

function scaled(value, step, limit, units) {
    let power = 0;
    while (Math.abs(value) >= limit && power < units.length - 1) {
        value /= step;
        power++;
    }
    const digits = power > 0 && Math.abs(value) < 100 ? 1 : 0;
    return value.toFixed(digits) + (step === 1024 ? " " : "") + units[power];
}

const exact = (value) => value.toLocaleString("en-US", {maximumFractionDigits: 3});
const percent = (part, whole) => whole === 0 || part === 0 ? "0 %" :
    `${(100 * part / whole).toFixed(Math.abs(part) < whole / 10 ? 2 : 1)} %`;
const plural = (n, what) => `${exact(n)} ${what}${n === 1 ? "" : "s"}`;

/* How figures of a unit are shown: short, and exactly. */
const UNITS = {
    bytes: {short: (v) => scaled(v, 1024, 1024, BYTE_UNITS), long: (v) => `${exact(v)} bytes`},
    thousandths: {short: (v) => scaled(v / 1000, 1000, 10000, BLOCK_UNITS),
        long: (v) => `${exact(v / 1000)} blocks`},
    count: {short: exact, long: (v) => plural(v, "sample")},
};

const figure = {};
data.figures.forEach(([name, unit, text], index) => {
    figure[name] = {index, name, text, ...UNITS[unit]};
});
const valueOf = (values, name) => values[figure[name].index] || 0;

function shown(values, name, sign) {
    const value = valueOf(values, name);
    const text = (sign && value > 0 ? "+" : "") + figure[name].short(value);
    return make("span", {title: figure[name].long(value)}, text);
}

const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);

const DECADES = ["1 µs", "10 µs", "100 µs", "1 ms", "10 ms", "100 ms", "1 s", "10 s", "2 min",
    "17 min", "3 h", "28 h", "days"];
const BYTE_DECADES = ["1 kB", "10 kB", "100 kB", "1 MB", "10 MB", "100 MB", "1 GB", "10 GB",
    "100 GB", "1 TB", "10 TB", "100 TB", "more"];
const STAYS = DECADES.length;
const below = (decades, i) => i < decades.length - 1 ? `< ${decades[i]}` : decades[i];
const halfLife = (i) => i < STAYS ? below(DECADES, i) : i === STAYS ? "stays" : "";

function duration(ns) {
    const s = ns / 1e9;
    return s < 1 ? `${(s * 1e3).toFixed(0)} ms` : s < 600 ? `${s.toFixed(1)} s` :
        s < 48 * 3600 ? `${(s / 3600).toFixed(1)} h` : `${(s / 86400).toFixed(1)} days`;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* Where brackets are none, and blanks separate nothing: set aside while those are counted. */
const SIGNS = /<=>|<<=?|>>=?|->\*?|<=?|>=?|\(\)|\[\]/;
const CONVERSION = /[\w:]+(?:\[\])?[ &*]*(?=\()|new/;
const OPERATOR =
    new RegExp(`operator(?:\\s*(?:${SIGNS.source})|\\s+(?:${CONVERSION.source}))`, "g");
const NAMELESS = /\(anonymous namespace\)|\{lambda\(.*?\)#\d+\}/g;
const STRING =
    /std::(?:__cxx11::)?basic_string<char, std::char_traits<char>, std::allocator<char> ?>/g;

/* A C++ name without what makes it long: parameters, the type it returns, large template arguments.
 * The whole name is always a hover away. */
function shorten(name) {
    const aside = [];
    const put = (text) => String.fromCharCode(0xe000 + aside.push(text) - 1);
    const text = name.replace(STRING, "std::string").replace(/std::__cxx11::/g, "std::")
        .replace(/, std::allocator<[^<>]*> ?/g, "").replace(/ \[clone [^\]]*\]/g, "")
        .replace(OPERATOR, put).replace(NAMELESS, (w) => put(w[0] === "{" ? "{lambda}" : w));
    let out = "", depth = 0, inside = "";
    for (const c of text) {
        if ("<(".includes(c)) {
            depth++;
        }
        if (depth > 0) {
            inside += c;
        } else {
            out += c;
        }
        if (depth > 0 && ">)".includes(c) && --depth === 0) {
            if (inside[0] === "<") {
                const isLarge = out !== "" && inside.length > 26;
                out = out.trimEnd() + put(isLarge ? "<…>" : inside.replace(/ >/g, ">"));
            }
            inside = "";
        }
    }
    out = out.replace(/(?: (?:const|volatile)|[ &*])+$/, "").replace(/^.* /, "");
    if (depth > 0 || out === "") {
        return name; /* it is none */
    }
    while (/[\ue000-\uf8ff]/.test(out) && aside.length > 0) {
        const text = aside.pop();
        out = out.replaceAll(String.fromCharCode(0xe000 + aside.length), () => text);
    }
    return out;
}

const shortNames = new Map();

function shortName(name) {
    if (!shortNames.has(name)) {
        shortNames.set(name, /[<(]/.test(name) ? shorten(name) : name);
    }
    return shortNames.get(name);
}

/* What allocates for somebody else: the reader looks for who called it. */
const PLUMBING = /^(?:std::|__gnu_cxx::|operator new|alloc::|core::|__rust|__rdl_|__libc_start)/;
const isPlumbing = (frame) => PLUMBING.test(shortName(frame.name));

/* ---- Sites ----------------------------------------------------------------------------------- */

const moduleName = (m) => m === 0 ? "generated code" : data.modules[m - 1][0].replace(/.*\//, "");
const textAt = (i) => i < 0 ? undefined : data.texts[i];

/* The frames of a place, the innermost first. */
function framesOf(place) {
    const [module, offset, ...values] = data.places[place];
    const frames = [];
    for (let i = 0; i < values.length; i += 4) {
        const unnamed = module === 0 ? offset : `${moduleName(module)}+${offset}`;
        frames.push({name: textAt(values[i]) ?? unnamed, file: textAt(values[i + 1]),
            line: values[i + 2], inlined: values[i + 3] === 1, module, offset});
    }
    return frames;
}

const sites = data.sites.map(([values, histograms, half, places], index) => {
    const [time, bytes, age, sizes] = histograms;
    return {index, values, time, bytes, age, sizes, half, places, matches: true};
});
const NO_STACK = {name: "(no stack)", module: 0,
    why: "samples without a stack: the table of sites was full, or none was found"};

/* The frames of a site, the innermost first. */
function stackOf(site) {
    return site.places.length === 0 ? [NO_STACK] : site.places.flatMap(framesOf);
}

function whereOf(frame) {
    if (frame.why) {
        return frame.why;
    }
    const line = frame.line > 0 ? `:${frame.line}` : "";
    return frame.file ? `${frame.file}${line}` : moduleName(frame.module);
}

/* The frames of a site that say most: who wanted the memory, what that called to get it, and who
 * called it. */
function headline(site) {
    const stack = stackOf(site);
    const found = stack.findIndex((frame) => !isPlumbing(frame));
    const at = found < 0 ? 0 : found;
    return {frame: stack[at], through: stack[at - 1],
        callers: stack.slice(at + 1).filter((frame) => !isPlumbing(frame)).slice(0, 3)};
}

/* The places whose function, file or module has the term in it. */
function matchingPlaces(term) {
    const texts = data.texts.map((text) => text.toLowerCase().includes(term));
    const modules = data.modules.map(([path]) => path.toLowerCase().includes(term));
    return data.places.map(([module, offset, ...values]) => {
        if (module > 0 && modules[module - 1] || offset.includes(term)) {
            return true;
        }
        return values.some((value, i) => i % 4 < 2 && value >= 0 && texts[value]);
    });
}
