# SPDX-License-Identifier: MIT
# tide forecast: of a program that grows and of one that is at rest: level, forecast, band, error,
# reasons, history; plots; of a file; on the screen of tide top; and why there is none.
# only: tide
# seconds: 240
. "$t_top/tests/tool/lib.sh"
. "$t_top/tests/tool/target.sh"

cat >check.py <<'PY'
"""What must hold of any forecast; then what the test's own lines say of it."""
import json, re, sys
top = json.load(open("out"))
assert top["version"] == 1
(arena,) = top["arenas"]
schema = json.load(open(sys.argv[2]))
try:
    import jsonschema
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(top)
except ImportError:
    print("# no python3-jsonschema: the schema is not checked")
figures = set(re.findall(r'^OUTLOOK_FIGURE\((\w+),', open(sys.argv[3]).read(), re.M))
assert figures == set(arena) - {"arena", "state", "acts", "keep_reason", "rise_reason",
                                "weights_ppm", "history"}
assert figures <= set(schema["$defs"]["arena"]["required"]), "the schema is not up to date"
names = {"keep_reason": set(), "rise_reason": set()}
for kind, name in re.findall(r'^(RISE|KEEP)_REASON\((\w+),', open(sys.argv[1]).read(), re.M):
    names[kind.lower() + "_reason"].add(name)
for key, known in names.items():
    reason = arena[key]
    assert reason["name"] in known, reason
    assert reason["text"] != reason["name"] and " " in reason["text"], reason
assert arena["arena"] == "default" and arena["acts"] is False
assert arena["keep_bytes"] <= arena["free_bytes"]
history = arena["history"]
lines = [history[n] for n in ("level_bytes", "forecast_bytes", "lower_bytes", "upper_bytes",
                              "kept_bytes", "ready_bytes", "outcome_bytes")]
assert len({len(line) for line in lines}) == 1
for level, forecast, lower, upper, *rest in zip(*lines):
    assert (forecast < 0) == (lower < 0) == (upper < 0)
    assert forecast < 0 or lower <= forecast <= upper, (lower, forecast, upper)
horizon = arena["horizon_ns"] // arena["interval_ns"] if arena["interval_ns"] else 0
past = history["past"]
for i, outcome in enumerate(history["outcome_bytes"][:past]):
    window = history["level_bytes"][max(0, i + 1 - horizon):i + 1]
    assert outcome == (max(window) if i + 1 >= horizon else -1), (i, outcome)
PY
# check: of the last JSON, with Python on standard input.
check() {
    cat check.py - >checked.py
    python3 checked.py "$t_top/src/keeper/reasons.def" "$t_top/doc/forecast.schema.json" \
        "$t_top/src/keeper/outlook.def" || fail "$(head -c 2000 out)"
}

# ---- A program that grows ----------------------------------------------------------------------

start TIDE_CONF=predict:on,profile:true
tell hold 20
until_page "$pid"
expect 0 "$tide" forecast "$pid"
said "nothing acts on it"
said "none yet, after"
said "looks, one every 100 ms"
expect 0 "$tide" forecast --json "$pid"
check <<'PY'
assert arena["state"] == "learning" and arena["scored"] == 0 and arena["model_ns"] == 0
assert set(history["forecast_bytes"]) <= {-1}
PY
for ((i = 0; i < 120; i++)); do
    tell hold 1
    sleep 0.1
done
expect 0 "$tide" forecast --json "$pid"
check <<'PY'
assert arena["state"] == "forecasting", arena["state"]
assert arena["samples"] >= 100 and arena["scored"] > 0
assert 140 << 20 <= arena["level_bytes"] <= 160 << 20, arena["level_bytes"]
assert arena["forecast_bytes"] >= 0.95 * arena["level_bytes"], "a ramp is no ebb"
assert arena["lower_bytes"] <= arena["forecast_bytes"] <= arena["upper_bytes"]
assert arena["model_ns"] > 0 and arena["model_rule_taken_bytes"] > 0
assert 990000 <= sum(arena["weights_ppm"].values()) <= 1010000
assert len(history["level_bytes"]) == past + horizon
assert history["level_bytes"][past - 1] > history["level_bytes"][past - 50] > 0
assert history["forecast_bytes"][-1] == -(-arena["forecast_bytes"] // 32768) * 32768
PY
expect 0 "$tide" forecast --plot=grown.svg -o text "$pid"
[ ! -s out ] || fail "-o FILE, and yet: $(cat out)"
grep -q "the recent-peak rule" text || fail "$(cat text)"
grep -q "^ .*|.*###" text || fail "no chart: $(cat text)"
awk 'NR > 1 && length > 112 { exit 1 }' text || fail "lines are too long: $(cat text)"
for line in "Memory in use" "Free memory that it keeps: " "Memory made ready before" \
    "If the forecast decided" "  forecast      up to" "  why           " "  wanted        for"; do
    grep -q "^$line" text || fail "no line '$line': $(cat text)"
done
expect 0 "$tide" forecast -p grown.html -o /dev/null "$pid"
python3 - <<'PY' || fail "the plots"
import re, xml.dom.minidom
svg = xml.dom.minidom.parse("grown.svg")
kinds = {e.getAttribute("class") for e in svg.getElementsByTagName("*")}
assert {"level", "band", "forecast", "outcome", "kept"} <= kinds, kinds
for line in svg.getElementsByTagName("polyline") + svg.getElementsByTagName("polygon"):
    for point in line.getAttribute("points").split():
        x, y = map(float, point.split(","))
        assert 0 <= x <= 1000 and 0 <= y <= 600, point
text = open("grown.html").read()
assert "default-src 'none'" in text and "<svg" in text and "<script" not in text
PY
expect 2 "$tide" forecast --plot=plot.png "$pid"
complained "--plot takes a file FILE.svg or FILE.html"

# ---- The same as a file, and in the report -----------------------------------------------------

expect 0 "$tide" dump -o grown.tide "$pid"
expect 0 "$tide" forecast --json grown.tide
check <<'PY'
assert arena["state"] == "forecasting" and past > 60
PY
expect 0 "$tide" report --json -o report.json grown.tide
python3 - <<'PY' || fail "the report has no forecast"
import json
names = {s["name"] for s in json.load(open("report.json"))["series"]}
assert {"forecast/level_bytes", "forecast/upper_bytes"} <= names, names
PY

# ---- On the screen -----------------------------------------------------------------------------

expect 0 "$tide" top --once "$pid"
said "tide: in spans"
if command -v tmux >/dev/null; then
    tmux="tmux -L tide-forecast-$$ -f /dev/null"
    trap '$tmux kill-server 2>/dev/null || true; end_targets' EXIT
    # screen PATTERN: waits until it is on the screen.
    screen() {
        local i
        for ((i = 0; i < 1200; i++)); do
            $tmux capture-pane -p >shown 2>/dev/null || fail "tide top has ended"
            ! grep -Eq -e "$1" shown || return 0
            sleep 0.05
        done
        fail "'$1' is not on the screen: $(cat shown)"
    }
    $tmux start-server \; set-option -s exit-empty off
    $tmux new-session -d -x 80 -y 24 "LC_ALL=C.UTF-8 $tide top -d 0.3 $pid"
    screen "tide: in spans .* forecast"
    $tmux send-keys '?'
    screen "the tide of an open process"
    $tmux send-keys x t
    screen "LEVEL AND FORECAST"
    screen "\|.*###"
    screen "nothing acts on it"
    screen "now, and \+3.2 s"
    awk 'length > 80 { exit 1 }' shown || fail "lines are too long: $(cat shown)"
    $tmux resize-window -x 60 -y 20
    screen "LEVEL AND FORECAST"
    screen "\|.*###"
    $tmux send-keys Escape
    screen "SITE"
    $tmux send-keys q
fi

# ---- At rest: what was not looked at meanwhile is known --------------------------------------

expect 0 "$tide" forecast --json "$pid"
samples=$(python3 -c 'import json; print(json.load(open("out"))["arenas"][0]["samples"])')
sleep 12
expect 0 "$tide" forecast --json "$pid"
check <<PY
assert arena["samples"] >= $samples + 100, (arena["samples"], $samples)
tail = history["level_bytes"][past - 60:past]
assert min(tail) == max(tail), tail
assert arena["rise_reason"]["name"] in ("no_growth", "is_ready", "no_cpu"), arena["rise_reason"]
assert arena["forecast_bytes"] < arena["level_bytes"] + (16 << 20), "growth is over"
PY
finish

# ---- Why there is none -------------------------------------------------------------------------

start TIDE_CONF=predict:off
tell hold 20
until_page "$pid"
expect 1 "$tide" forecast "$pid"
complained "predict is off: start the program with TIDE_CONF=predict:on"
expect 1 "$tide" forecast --json "$pid"
check <<'PY'
assert arena["state"] == "off" and arena["samples"] == 0 and history["level_bytes"] == []
assert arena["keep_reason"]["name"] in ("nothing", "window", "spare"), arena["keep_reason"]
PY
expect 0 "$tide" top --once "$pid"
! grep -q "tide:" out || fail "a forecast with predict:off: $(cat out)"
finish
start TIDE_CONF=predict:on,page:off
tell hold 20
expect 3 "$tide" forecast "$pid"
complained "has no statistics page"
finish
expect 3 "$tide" forecast "$pid"
complained "does not exist"
expect 3 "$tide" forecast $$
complained "is not on tidemalloc"
expect 2 "$tide" forecast
expect 3 "$tide" forecast ./no-such-file
python3 -c 'import tide_write as w, sys
sys.stdout.buffer.write(w.file_of([w.meta(program="/bin/true"), w.modules([])]))' >bare.tide
expect 1 "$tide" forecast bare.tide
complained "there are no statistics in it"
python3 -c 'import tide_write as w, sys
sys.stdout.buffer.write(w.file_of([w.meta(program="/bin/true"), w.modules([]),
                                   w.stats("{\"allocated_bytes\":1}")]))' >older.tide
expect 3 "$tide" forecast older.tide
complained "tells of no forecasts"
