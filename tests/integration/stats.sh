# SPDX-License-Identifier: MIT
# TIDE_CONF=stats:FILE and stats:stderr write one valid JSON object at
# exit, with the promised figures, sound among themselves; a file that cannot be written is one
# line, and forks do not mix up.
# only: tide
# report: expected
cat >check.py <<'END'
import json, sys
def no_duplicates(pairs):
    keys = [k for k, _ in pairs]
    assert len(keys) == len(set(keys)), [k for k in keys if keys.count(k) > 1]
    return dict(pairs)
data = json.loads(open(sys.argv[1]).read(), object_pairs_hook=no_duplicates)
assert isinstance(data, dict)
def find(node, key):
    if isinstance(node, dict):
        if key in node:
            return node[key]
        for value in node.values():
            found = find(value, key)
            if found is not None:
                return found
    return None
figures = {}
for name in ("allocated", "active", "resident", "retained", "metadata"):
    key = name + "_bytes"
    figures[key] = find(data, key)
    assert figures[key] is not None, "no %s" % key
numbers = {k: v for k, v in figures.items() if isinstance(v, int)}
assert all(0 <= v < 1 << 50 for v in numbers.values()), numbers
if "allocated_bytes" in numbers and "active_bytes" in numbers:
    assert numbers["allocated_bytes"] <= numbers["active_bytes"] * 1.01 + 65536, numbers
END
small='my %h; $h{$_} = "x" x 50 for 1..50000; print scalar(keys %h), "\n"'
preloaded TIDE_CONF="stats:$PWD/perl.json" perl -e "$small" >out 2>err || fail "perl"
[ "$(cat out)" = 50000 ] && [ ! -s err ] || fail "output of perl: $(head -c 200 err)"
python3 check.py perl.json || fail "statistics of perl: $(head -c 500 perl.json)"
preloaded TIDE_CONF=stats:stderr perl -e 'print 1' >out 2>err.json || fail "perl to stderr"
python3 check.py err.json || fail "statistics on stderr: $(head -c 500 err.json)"
preloaded TIDE_CONF="stats:$PWD/threads.json" "$(t_build "$here/cxx_tls_destructor.cc")" ||
    fail "threads"
python3 check.py threads.json || fail "statistics with threads"
preloaded TIDE_CONF="stats:$PWD/ls.json" ls >/dev/null || fail "ls"
python3 check.py ls.json || fail "statistics of ls: $(head -c 500 ls.json)"
preloaded TIDE_CONF="stats:/nonexistent/directory/file" perl -e 'print 1' >out 2>err ||
    fail "status with an unwritable file"
[ "$(cat out)" = 1 ] || fail "output with an unwritable file"
[ "$(wc -l <err)" = 1 ] || fail "unwritable file: $(wc -l <err) lines"
preloaded TIDE_CONF="stats:$PWD/%p.json" bash -c 'for i in 1 2 3; do (exit 0); done; /bin/true' ||
    fail "forks"
ls [0-9]*.json >/dev/null || fail "no file per process"
for file in [0-9]*.json; do
    python3 check.py "$file" || fail "statistics of a process of a tree: $file"
done
preloaded TIDE_CONF="stats:$PWD/closed.json" bash -c 'exec 2>&-; /bin/true' || fail "closed stderr"
preloaded TIDE_CONF=stats:stderr bash -c 'exec 2>&-; /bin/true' ||
    fail "closed stderr, statistics there"
