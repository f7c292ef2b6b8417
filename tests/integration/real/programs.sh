# SPDX-License-Identifier: MIT
# The command-line programs of real/run.sh (sourced): each real_NAME
# works in an empty directory, calls the program through `run` and prints only what must not depend
# on the allocator.

real_gcc() {
    need gcc
    large_source >large.c
    run gcc -O2 -S -o - large.c | md5sum
    run gcc -O1 -g -c large.c -o large.o
    objdump -d large.o | md5sum
}

# C with many functions, types and switch statements.
large_source() {
    awk 'BEGIN {
        print "typedef unsigned long u; struct node { u key, value; struct node *left, *right; };"
        for (i = 0; i < 350; i++) {
            printf "static u mix%d(u a, u b) { for (u i = 0; i < %d; i++) { a = a * %d + (b >> %d); b ^= a << %d; } return a ^ b; }\n", i, i % 17 + 3, 2 * i + 3, i % 31 + 1, i % 13 + 1
            printf "u walk%d(struct node *n, u key) { u sum = 0; while (n) { sum += mix%d(n->key, n->value); n = key < n->key ? n->left : n->right; } switch (sum %% 16) {", i, i
            for (k = 0; k < 16; k++) printf "case %d: return sum * %d + key;", k, k * i + 1
            print "} return sum; }"
            printf "u table%d[64] = {", i
            for (k = 0; k < 64; k++) printf "%d,", (k * i) % 251
            print "};"
        }
        print "u (*all[])(struct node *, u) = {"
        for (i = 0; i < 350; i++) printf "walk%d,\n", i
        print "};"
    }'
}

real_cxx() {
    need g++
    cat >program.cc <<'END'
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>
struct Error : std::runtime_error { std::string detail; Error(const std::string &w, int n) : std::runtime_error(w), detail(n, 'd') {} };
static int deep(int n) { std::string local(n * 10, 'x'); if (n == 0) throw Error("bottom", 1000); return deep(n - 1) + (int)local.size(); }
static std::string work(unsigned seed) {
    std::unordered_map<std::string, std::vector<int>> m;
    for (int i = 0; i < 20000; i++) { seed = seed * 1103515245u + 12345; m[std::to_string(seed % 3000)].push_back((int)(seed >> 16)); }
    std::vector<std::string> keys; for (auto &e : m) keys.push_back(e.first);
    std::sort(keys.begin(), keys.end());
    long sum = 0; for (auto &k : keys) for (int v : m[k]) sum = sum * 31 + v;
    int caught = 0; size_t detail = 0;
    for (int i = 0; i < 1000; i++) { try { deep(i % 40); } catch (const Error &e) { caught++; detail += e.detail.size(); try { throw; } catch (const std::exception &f) { detail += std::string(f.what()).size(); } } }
    std::stringstream s; s << sum << ' ' << caught << ' ' << detail;
    std::regex r("([0-9]+) ([0-9]+)"); std::smatch match; std::string text = s.str(); std::regex_search(text, match, r); s << ' ' << match[2];
    return s.str();
}
int main() {
    std::vector<std::string> result(4); std::vector<std::thread> t;
    for (unsigned i = 0; i < 4; i++) t.emplace_back([&, i] { result[i] = work(i + 1); });
    for (auto &x : t) x.join();
    for (auto &r : result) std::cout << r << '\n';
    std::exception_ptr p; std::thread([&] { try { throw Error("crosses threads", 50000); } catch (...) { p = std::current_exception(); } }).join();
    try { std::rethrow_exception(p); } catch (const Error &e) { std::cout << e.what() << ' ' << e.detail.size() << '\n'; }
}
END
    g++ -O1 -pthread program.cc -o program
    run ./program
}

real_python3() {
    need python3
    cat >program.py <<'END'
import gc, hashlib, json, os, random, re, sys, threading, zlib
rng = random.Random(7)
def tree(depth):
    if depth == 0:
        return rng.choice([rng.random(), rng.randrange(10**9), "text %d" % rng.randrange(1000), None, True])
    return {"key%d" % i: tree(depth - 1) for i in range(6)} if depth % 2 else [tree(depth - 1) for _ in range(6)]
h = hashlib.sha256()
for i in range(4):
    text = json.dumps(tree(6), sort_keys=True)
    h.update(text.encode()); h.update(zlib.compress(json.dumps(json.loads(text)).encode()))
objects = [[j, str(j), {j: j}] for j in range(200000)]
del objects[::2]; gc.collect()
result = [0] * 4
def work(n):
    s = ""
    for i in range(20000):
        s += chr(97 + i % 26)
        if i % 1000 == 0: s = re.sub("[aeiou]", "", s)
    result[n] = len(s)
ts = [threading.Thread(target=work, args=(n,)) for n in range(4)]
[t.start() for t in ts]; [t.join() for t in ts]
sys.stdout.flush()
pid = os.fork()
if pid == 0:
    del objects; gc.collect(); os._exit(len(bytearray(10**7)) % 7)
h.update(str(result).encode()); print(h.hexdigest(), result, os.waitpid(pid, 0)[1], len(objects))
END
    run python3 program.py
    PYTHONMALLOC=malloc run python3 program.py
}

real_python3_tests() {
    local interpreter= candidate
    for candidate in /usr/bin/python3 python3; do
        "$candidate" -c 'import test.test_json, test.test_dict' 2>/dev/null && interpreter=$candidate && break
    done
    [ -n "$interpreter" ] || skip "python3's test package is not installed (Debian: libpython3.11-testsuite)"
    local modules="test_dict test_list test_set test_json test_re test_gc test_memoryview test_array test_deque
        test_heapq test_thread test_unicode test_bigmem test_struct test_codecs test_descr test_string"
    # shellcheck disable=SC2086
    PYTHONMALLOC=malloc run "$interpreter" -m unittest -v ${modules//test_/test.test_} >log 2>&1 || { tail -n 30 log >&2; return 1; }
    grep -E ' \.\.\. (ok|skipped|FAIL|ERROR)|^OK|^FAILED' log | sed 's/0x[0-9a-f]*//g' | sort
}

real_ruby() {
    need ruby
    cat >program.rb <<'END'
require 'digest'
r = Random.new(5)
words = Array.new(60_000) { |i| "word#{r.rand(5000)}" * (1 + i % 3) }
counts = Hash.new(0); words.each { |w| counts[w] += 1 }
text = counts.sort.map { |k, v| "#{k}=#{v}" }.join("\n")
GC.start; GC.compact rescue nil
ts = 4.times.map { |n| Thread.new { (1..3000).inject("") { |s, i| s << (i * n).to_s; s.size > 5000 ? s[1000..] : s }.size } }
tree = ->(d) { d == 0 ? [] : [tree.(d - 1), tree.(d - 1)] }
count = ->(t) { t.empty? ? 1 : t.sum { |x| count.(x) } }
pid = fork { GC.start; exit!(words.size % 256) }
Process.wait(pid)
puts Digest::SHA256.hexdigest(text), ts.map(&:value).inspect, count.(tree.(15)), $?.exitstatus, (2**5000).to_s.size
END
    run ruby program.rb
}

real_perl() {
    need perl
    cat >program.pl <<'END'
use strict; use warnings;
my ($seed, %h, @a) = (3);
sub rnd { $seed = ($seed * 1103515245 + 12345) % 2147483648; return $seed }
for my $i (1 .. 150000) { my $k = "key " . rnd() % 20000; $h{$k} .= chr(97 + $i % 26); push @a, [$i, $k] if $i % 3 == 0 }
my $sum = 0; for my $k (sort keys %h) { $sum = ($sum * 31 + length($h{$k})) % 1000003; $sum += () = $h{$k} =~ /[aeiou]+/g }
splice @a, 1000, 20000; my $text = join ",", map { "$_->[0]:$_->[1]" } @a; $text =~ s/(\d+)/<$1>/g;
my $pid = fork(); if (!$pid) { undef %h; exit(scalar(@a) % 200) } waitpid $pid, 0;
print "$sum ", length($text), " ", $? >> 8, " ", scalar(keys %h), "\n";
my $big = "x" x 50_000_000; $big .= "y" x 1000 for 1 .. 1000; print length($big), "\n";
END
    run perl program.pl
}

real_lua() {
    need lua5.4
    cat >program.lua <<'END'
local seed = 1
local function rnd(n) seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n end
local t = {}
for i = 1, 200000 do t[i] = { id = rnd(1000), name = "n" .. rnd(100000) } end
table.sort(t, function(a, b) if a.id ~= b.id then return a.id < b.id end return a.name < b.name end)
local sum = 0
for i = 1, #t, 7 do sum = (sum * 31 + t[i].id + #t[i].name) % 1000003 end
for i = 1, #t, 2 do t[i] = nil end
collectgarbage()
local parts = {}
for i = 1, 100000 do parts[#parts + 1] = ("%d:%s"):format(i, ("x"):rep(i % 10)) end
local s = table.concat(parts)
local co = coroutine.wrap(function() for i = 1, 1000 do coroutine.yield(("y"):rep(i)) end end)
local n = 0
for i = 1, 1000 do n = n + #co() end
print(sum, #s, s:gsub("x", "zz"):len(), n)
END
    run lua5.4 program.lua
}

real_sqlite3() {
    need sqlite3
    cat >program.sql <<'END'
create table t(id integer primary key, k integer, name text, body blob);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 120000)
insert into t select i, (i * 7919) % 10007, 'name ' || (i * 31 % 5003), zeroblob(i % 200) from n;
create index by_k on t(k); create index by_name on t(name, k);
select count(*), sum(k), max(name), sum(length(body)) from t;
select k, count(*), group_concat(name) from t where k < 20 group by k order by k desc;
delete from t where id % 3 = 0; update t set name = name || '!' where k % 5 = 0;
select name, sum(k) s from t group by name order by s desc, name limit 20;
select count(*) from t a join t b on a.k = b.k where a.id < 2000;
vacuum; pragma integrity_check;
END
    run sqlite3 :memory: <program.sql
    run sqlite3 file.db <program.sql
}

real_git() {
    need git
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1 GIT_AUTHOR_DATE="1700000000 +0000" GIT_COMMITTER_DATE="1700000000 +0000"
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
    run git init -q -b main repository
    cd repository
    local i k
    for i in {1..3}; do
        for k in {1..300}; do seq $((k * i)) $((k * i + 400)) >file$((k % 200 * i)); done
        run git add -A
        run git commit -q -m "commit $i"
    done
    run git checkout -q -b side HEAD~1
    echo side >side
    run git add side
    run git commit -q -m side
    run git merge -q -m merge main
    run git -c pack.threads=2 repack -q -a -d -f
    run git fsck --full 2>/dev/null
    run git rev-parse HEAD
    run git log --stat --format=%H | md5sum
    run git diff HEAD~2 | md5sum
    run git blame file5 | md5sum
    run git grep -c 77 HEAD | md5sum
}

real_ghostscript() {
    need gs
    cat >page.ps <<'END'
%!PS
/Helvetica findfont 9 scalefont setfont
1 1 6 { /page exch def
  0 1 60 { /i exch def 40 i 12 mul 40 add moveto (line ) show i 10 string cvs show ( of page ) show page 10 string cvs show } for
  0 1 200 { /i exch def i 200 div 0.5 page 6 div setrgbcolor 300 400 i page mul 3 mod 50 mul 20 add 0 360 arc i 20 mod 0 eq { fill } { stroke } ifelse } for
  showpage } for
END
    run gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=ppmraw -r100 -sOutputFile=%stdout page.ps | md5sum
    run gs -q -dSAFER -dBATCH -dNOPAUSE -sDEVICE=png16m -r72 -dNumRenderingThreads=2 -dBandHeight=50 -sOutputFile=page%d.png page.ps
    md5sum page*.png
}

real_z3() {
    need z3
    {
        echo '(set-logic QF_LIA)'
        awk 'BEGIN { n = 9
            for (i = 0; i < n; i++) printf "(declare-const q%d Int) (assert (and (>= q%d 0) (< q%d %d)))\n", i, i, i, n
            for (i = 0; i < n; i++) for (k = i + 1; k < n; k++)
                printf "(assert (and (not (= q%d q%d)) (not (= (- q%d q%d) %d)) (not (= (- q%d q%d) %d))))\n", i, k, i, k, k - i, k, i, k - i }'
        echo '(check-sat)'
    } >queens.smt2
    {
        echo '(set-logic QF_BV) (declare-const a (_ BitVec 14)) (declare-const b (_ BitVec 14))'
        echo '(assert (bvugt a #b00000000000001)) (assert (bvugt b #b00000000000001)) (assert (bvult a #b00000010000000)) (assert (bvult b #b00000010000000))'
        echo '(assert (= (bvmul a b) #b10011101100111)) (check-sat)'
    } >factors.smt2
    run z3 -T:50 queens.smt2
    run z3 -T:50 factors.smt2
}

real_node() {
    need node
    cat >program.js <<'END'
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
const crypto = require('crypto'), zlib = require('zlib');
function work(seed) {
    const h = crypto.createHash('sha256'); let s = seed;
    const rnd = n => (s = (Math.imul(s, 1103515245) + 12345) & 0x7fffffff) % n;
    for (let i = 0; i < 40; i++) {
        const o = {}; for (let k = 0; k < 1000; k++) o['k' + rnd(5000)] = [rnd(100), 'text'.repeat(rnd(20)), { v: rnd(7) }];
        h.update(JSON.stringify(Object.keys(o).sort().map(k => o[k])));
        h.update(zlib.inflateSync(zlib.deflateSync(Buffer.alloc(200000, rnd(256)))));
    }
    return h.digest('hex');
}
if (isMainThread) {
    const results = []; let left = 3;
    for (let i = 0; i < 3; i++) new Worker(__filename, { workerData: i + 1 }).on('message', m => { results[i] = m; if (--left == 0) { results.push(work(9)); console.log(results.join('\n')); } });
} else parentPort.postMessage(work(workerData));
END
    run node program.js
}

real_bash() {
    need bash
    cat >program.bash <<'END'
declare -A h; s=1
for ((i = 0; i < 20000; i++)); do s=$(( (s * 1103515245 + 12345) % 2147483648 )); h[k$((s % 2000))]+="${s:0:2}"; done
text=""; for k in "${!h[@]}"; do text+="$k=${#h[$k]};"; done; echo ${#h[@]} ${#text}
a=(); for ((i = 0; i < 20000; i++)); do a+=("element $i"); done; b=("${a[@]//e/E}"); echo "${b[19999]} ${#b[*]}"
for i in {1..200}; do x=$(echo $((i * i))); done; echo $x
echo "${text//[0-9]/}" | tr -d 'k=;\n' | wc -c; printf '%s\n' "${a[@]}" | sort -r | head -n 3
f() { local n=$1; (( n == 0 )) && return 0; local big=$(printf '%*s' 100 x); f $((n - 1)); }; f 400; echo deep
END
    run bash program.bash
}

real_tar_xz() {
    need tar xz
    mkdir tree
    for i in {1..40}; do seq $((i * 1000)) $((i * 1000 + 20000)) >"tree/file $i"; done
    run tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf tree.tar tree
    md5sum <tree.tar
    run xz -T2 -3 --block-size=1MiB -k tree.tar
    md5sum <tree.tar.xz
    run xz -T2 -dc tree.tar.xz | md5sum
    run tar -tf tree.tar.xz | wc -l
    mkdir out
    run tar -xf tree.tar -C out
    diff -r tree out/tree && echo same
}

real_sort() {
    need sort awk
    awk 'BEGIN { s = 1; for (i = 0; i < 300000; i++) { s = (s * 16807) % 2147483647; print s, "text " s % 1000 } }' >lines
    run sort --parallel=2 -S 8M -k2,2 -k1,1n lines | md5sum
    run awk '{ n[$3]++; t[$1 % 50000] = t[$1 % 50000] $3 } END { for (i = 0; i < 1000; i++) s = s * 31 % 1000003 + n[i]; print s, length(t) }' lines
}
