# SPDX-License-Identifier: MIT
# tide stats reads what the library and itself write as JSON: one process or several, from a file or
# standard input; what is damaged, cut short or something else gets a line, and exit code 3.
# only: tide
. "$t_top/tests/tool/lib.sh"

many='my @a = map { "x" x 100 } 1..50000'
preloaded TIDE_CONF="stats:$PWD/one.json" perl -e "$many" || fail perl
expect 0 "$tide" stats one.json
pid=$(python3 -c 'import json; print(json.load(open("one.json"))["pid"])')
[ "$(head -n 1 out)" = "pid $pid" ] || fail "no pid: $(head -n 1 out)"
grep -q '^  allocated_bytes  *[0-9.]* [KM]iB ' out || fail "no figures: $(head out)"
grep -q 'size classes' out || fail "no classes"
[ ! -s err ] || fail "$(cat err)"

# As --json has them, and that again
expect 0 "$tide" stats --json one.json
cp out again.json
python3 - <<'END' || fail "other figures: $(head -c 300 again.json)"
import json
again = json.load(open("again.json"))
assert again["version"] == 1
assert again["statistics"] == [json.load(open("one.json"))]
END
sed 's/"version": 1/&,"command":"perl -e of mine"/' again.json >named.json
expect 0 "$tide" stats again.json
[ "$(head -n 1 out)" = "pid $pid" ] || fail "no pid again: $(head -n 1 out)"
expect 0 "$tide" stats named.json
head -n 1 out | grep -q '^perl -e of mine' || fail "no command: $(head -n 1 out)"

# Several, and from a pipe
preloaded TIDE_CONF="stats:$PWD/two.json" perl -e 1 || fail perl
cat one.json two.json | "$tide" stats --json - >both.json || fail "of two processes"
python3 - <<'END' || fail "not both"
import json
both = json.load(open("both.json"))["statistics"]
assert both == [json.load(open(name)) for name in ("one.json", "two.json")]
END
cat one.json two.json >both
expect 0 "$tide" stats both
[ "$(grep -c '^pid ' out)" = 2 ] || fail "not two processes"

# Damage
head -c 300 two.json | cat one.json - >cut.json
expect 3 "$tide" stats cut.json
grep -q "^pid $pid" out || fail "the whole one is not shown"
grep -q 'cut.json: line [0-9]*: .*INCOMPLETE' err || fail "said: $(cat err)"
for text in '{' '{}' '{"tidemalloc":1,"pid":2}' '{"statistics":[3]}' '{"a":1,"a":2}' '[]' ''; do
    printf '%s' "$text" >bad.json
    expect 3 "$tide" stats bad.json
    [ "$(wc -l <err)" = 1 ] && grep -q 'bad.json: .*nothing in it can be used' err ||
        fail "of '$text': $(cat err)"
    [ ! -s out ] || fail "figures of '$text'"
done
expect 3 "$tide" stats missing.json
