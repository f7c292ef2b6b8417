# SPDX-License-Identifier: MIT
# tide report --format=html: a page that needs nothing else, shows the figures in a browser without
# a network, answers searches, and keeps every text a text. Pictures stay in the build directory, in
# tests/screenshots.
# only: tide
# seconds: 240
. "$t_top/tests/tool/lib.sh"
$CXX -g -O1 -fno-optimize-sibling-calls -Wl,--build-id "$t_top/tests/tool/known.cc" -o known
python3 "$t_top/tests/tool/known.py" "$PWD/known" known.tide
status=0
"$tide" report -f html -o known.html known.tide 2>err || status=$?
if [ "$status" = 2 ] && grep -q "built without html" err; then
    complained "configure found no npm"
    complained "format=svg is always there"
    skip "this tide was built without html"
fi
[ "$status" = 0 ] || fail "status $status: $(cat err)"
[ ! -s err ] || fail "complaints: $(cat err)"
expect 0 "$tide" report -f html known.tide
cmp -s out known.html || fail "the same profile gives other bytes"
for licence in "Apache License" "Mike Bostock" "Leon Sorokin" "==== d3-flame-graph 5."; do
    grep -qF "$licence" known.html || fail "a licence is missing: $licence"
done
grep -qF "default-src 'none'" known.html || fail "the page may load something"
command -v chromium >/dev/null || skip "no chromium, which shows the page"

# Without a network where that can be had; the browser resolves no name anyway.
offline=
if unshare -rn true 2>/dev/null; then offline="unshare -rn"; fi
# browse NAME FLAG...: chromium on ./NAME.html, with its messages in ./messages.
browse() {
    local name=$1
    shift
    rm -rf browser
    $offline timeout -k 5 60 chromium --headless --no-sandbox --disable-gpu --disable-quic \
        --no-first-run --disable-background-networking --disable-component-update --disable-sync \
        --disable-dev-shm-usage --host-resolver-rules="MAP * ~NOTFOUND" \
        --user-data-dir="$PWD/browser" --hide-scrollbars --enable-logging=stderr \
        --virtual-time-budget=5000 "$@" "file://$PWD/$name.html" >shown 2>messages </dev/null ||
        fail "chromium on $name: $(tail -n 5 messages)"
    # Pages of the browser's own have something to say, too.
    ! grep CONSOLE messages | grep -v 'source: chrome' >said || fail "$name: $(cat said)"
}
# show NAME: the page's document after all scripts into ./out; no fault, and nothing loaded.
show() {
    browse "$1" --window-size=1400,1000 --dump-dom
    mv shown out
    said 'data-ready-ms="'
    ! grep -q 'id="page-error"' out || fail "$1 has a fault"
    ! grep -qE '<[a-z]+ [^>]*(src|href|srcset|action|data)="' out || fail "$1 refers to something"
    ! grep -q '<html[^>]*hostile-was-here' out || fail "$1 ran what was in a name"
}
# drive FROM TO JAVASCRIPT: the page as it is after somebody did this.
drive() {
    python3 - "$@" <<'PYTHON'
import sys
source, target, script = sys.argv[1:]
before, end, after = open(source + ".html", encoding="utf-8").read().rpartition("</body>")
open(target + ".html", "w", encoding="utf-8").write(
    f"{before}<script>{script}</script>{end}{after}")
PYTHON
}
# picture NAME FLAG...: a screenshot of ./NAME.html that is not blank, kept in the build directory.
picture() {
    local name=$1
    shift
    browse "$name" --window-size=1400,1000 --screenshot="$PWD/$name.png" "$@"
    expect 0 python3 "$t_top/tests/tool/png.py" "$name.png" 1400 1000
    mkdir -p "$TIDE_BUILD/tests/screenshots"
    cp "$name.png" "$TIDE_BUILD/tests/screenshots/report-$name.png"
}

show known
cat >check.py <<'PYTHON'
"""What the document says, by its ids and classes."""
import html.parser, re, sys

class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.cards, self.rows, self.frames, self.heat, self.warnings = [], [], [], [], []
        self.into, self.titles, self.canvases, self.numbers = None, [], 0, []

    def handle_starttag(self, tag, attributes):
        a = {name: value or "" for name, value in attributes}
        kind = a.get("class", "")
        self.titles.append(a.get("title", ""))
        self.canvases += tag == "canvas"
        if tag == "tr" and kind.startswith("site"):
            self.rows.append("")
            self.into = self.rows
        elif tag == "div" and kind == "card":
            self.cards.append("")
            self.into = self.cards
        elif tag == "g" and kind.startswith("frame"):
            self.frames.append(a["name"])
        elif a.get("role") == "alert":
            self.warnings.append("")
            self.into = self.warnings
        elif tag in ("section", "noscript", "script"):
            self.into = None

    def handle_data(self, text):
        if self.into:
            self.into[-1] += text + " "

page = Page()
page.feed(open("out", encoding="utf-8").read())
PYTHON
cat check.py - >first.py <<'PYTHON'
line = {l.split("// line: ")[1].strip(): n for n, l in enumerate(open(sys.argv[1]), 1)
        if "// line: " in l}
assert [c.split()[:2] for c in page.cards[:3]] == [["Live", "12.6"], ["Growth", "-100"],
                                                   ["Allocated", "47.8"]], page.cards
assert "12,901 bytes" in page.titles and "48,912 bytes" in page.titles
assert len(page.rows) == 4, page.rows
first = page.rows[0]
assert first.startswith("inner_allocation "), first
assert f"known.cc:{line['inner']} " in first and "ocean::Wave<double>::crest" in first, first
assert re.search(r"11\.7 KiB\s+250\s+-100 B\s+23\.4 KiB\s+46\.9 KiB\s+1000\s+< 1 ms\s+6\.67 %",
                 first), first
assert "12,000 bytes" in page.titles and "250 blocks" in page.titles
assert any("(no stack)" in row for row in page.rows)
assert any("0x7f0012345678" in row and "generated code" in row for row in page.rows)
for name in ("all", "main", "ocean::Wave<double>::crest", "inner_allocation", "recurse"):
    assert name in page.frames, (name, page.frames)
assert page.frames.count("recurse") == 3
assert len(page.warnings) == 1 and "Overflow" in page.warnings[0], page.warnings
assert page.canvases == 1
PYTHON
python3 first.py "$t_top/tests/tool/known.cc" || fail "the page of known.tide: $(head -c 300 out)"

# What a reader does: searches, changes the figure and the order, opens a stack.
drive known driven 'search("RECURSE"); setView("allocated");
    document.querySelector("[data-column=samples],[data-column=growth_bytes]").click();
    document.querySelector(".site-name").click();
    document.querySelector("#lifetime-options button:last-child").click();
    document.getElementById("theme").click();'
show driven
said '>1 site: 900 B allocated (1.84 %)<'
said 'aria-expanded="true"'
said '<td colspan="9">'
said 'aria-sort="descending"'
said 'color-scheme: dark'
cat check.py - >driven.py <<'PYTHON'
assert len(page.rows) == 1 and page.rows[0].startswith("recurse"), page.rows
text = open("out", encoding="utf-8").read()
stack = re.findall(r"<li><b title=\"([^\"]*)\"", text)
assert stack == ["recurse"] * 3 + ["main"], stack
PYTHON
python3 driven.py || fail "the page after a search"

# Every text of the profile is a piece of some language; every one stays a text.
hostile='</script><img src=x onerror=h()>"&amp;'
hostile_profile "$hostile" hostile.tide
expect 0 "$tide" report -f html -o plain.html hostile.tide
drive plain hostile 'function hostile() {
        document.documentElement.className = "hostile-was-here";
    }
    window.h = hostile;
    setView("live"); document.querySelector(".site-name").click();
    search("<\/SCRIPT><img src=x"); document.getElementById("modules").open = true;'
show hostile
said '&lt;/script&gt;&lt;img src=x onerror=h()&gt;"&amp;amp;</b>'
cat check.py - >hostile.py <<'PYTHON'
assert "1 site:" in open("out", encoding="utf-8").read()
assert len(page.rows) == 1 and page.rows[0].startswith(sys.argv[1]), page.rows
assert sys.argv[1] in page.frames, page.frames
text = open("out", encoding="utf-8").read()
assert "<img" not in text.partition("<body")[2].partition('<script type="application/json"')[0]
PYTHON
python3 hostile.py "$hostile" || fail "hostile names"

# Profiles with less in them.
head -c $(($(stat -c %s known.tide) - 20)) known.tide >cut.tide
expect 3 "$tide" report -f html -o cut.html cut.tide
show cut
said '<strong>Incomplete.</strong>'
python3 -c 'import tide_write as w, sys
sys.stdout.buffer.write(w.file_of([w.meta(program="/bin/true"), w.modules([])]))' >empty.tide
expect 1 "$tide" report -f html -o empty.html empty.tide
show empty
said '<strong>No samples.</strong>'

# Forecasts: a clock of their own with a band, and a picture of them against what happened.
python3 - >tide.tide <<'PYTHON'
import json, math, sys, tide_write as w
S, H = 100_000_000, 32
level = [int((2 + math.sin(i / 9)) * 1e8) for i in range(300)]
said = [-1] * 64 + [3 * 10**8] * 236
forecast = {"arena": "default", "state": "forecasting", "keep_reason": "window",
            "rise_reason": "made", "interval_ns": S, "horizon_ns": H * S, "error_bytes": 1 << 20}
rows = {"level_bytes": (0, level), "forecast_bytes": (H, said),
        "lower_bytes": (H, [v if v < 0 else v - 10**8 for v in said]),
        "upper_bytes": (H, [v if v < 0 else v + 2 * 10**7 for v in said]),
        "kept_bytes": (0, [3 * 10**8 - v for v in level]), "ready_bytes": (0, [10**7] * 300)}
sys.stdout.buffer.write(w.file_of(
    [w.meta(program="/bin/<b>tide", pid=1), w.modules([]),
     w.sites([w.site([(None, 0x1000)], {"live_bytes": 1 << 20, "samples": 2})])] +
    [w.series("forecast/" + n, "bytes", S, 10**18 + at * S, v) for n, (at, v) in rows.items()] +
    [w.stats(json.dumps({"forecasts": [forecast]}))]))
PYTHON
expect 0 "$tide" report -f html -o forecast.html tide.tide
show forecast
said 'stands at the end of the time it is for'
cat check.py - >tide.py <<'PYTHON'
text = open("out", encoding="utf-8").read()
for name in ("level", "forecast", "lower", "upper", "kept", "ready"):
    assert f"{name} bytes" in text, name
assert page.canvases == 1
PYTHON
python3 tide.py || fail "the page of a forecast"
picture forecast
expect 0 "$tide" forecast -o /dev/null -p plot.html tide.tide
browse plot --window-size=1400,1000 --dump-dom
mv shown out
said 'class="band"'
said '&lt;b&gt;tide'
browse plot --window-size=1060,640 --screenshot="$PWD/plot.png"
expect 0 python3 "$t_top/tests/tool/png.py" plot.png 1060 640
cp plot.png "$TIDE_BUILD/tests/screenshots/forecast-plot.png"

# A large one: what nobody could see is left out, and the page says so.
generate large.tide --sites 35000
expect 0 "$tide" report -f html -o large.html large.tide
bytes=$(stat -c %s large.html)
[ "$bytes" -lt 12000000 ] || fail "a page of $bytes bytes"
show large
said '30,000 sites of 35,000 are not in this table'
said 'are put together as “(small ones)”'
echo "35,000 sites: $bytes bytes, shown after" \
    "$(sed -n 's/.*data-ready-ms="\([0-9]*\)".*/\1/p' out | head -n 1) ms"
expect 0 "$tide" report -f html --top=10 -o few.html large.tide
show few
said '34,990 sites of 35,000 are not in this table'

generate usual.tide --sites 300 --depth 12
expect 0 "$tide" report -f html -o light.html usual.tide
cp light.html dark.html
picture light
picture dark --blink-settings=preferredColorScheme=0
! cmp -s light.png dark.png || fail "dark looks like light"
