# SPDX-License-Identifier: MIT
# tide top: what it prints once, and the live view on a terminal of tmux: lists, sorts, filters,
# opens, helps, follows the size of the terminal, and ends.
# only: tide
# seconds: 120
. "$t_top/tests/tool/lib.sh"
. "$t_top/tests/tool/target.sh"

start TIDE_CONF=profile:true,profile_rate:64K
tell hold 50
until_page "$pid"

expect 0 "$tide" top --once
said "on tidemalloc: RSS"
grep -Eq "^ *$pid +[0-9.]+M +[0-9.]+M +5[0-9.]+M .*page_target" out || fail "$(cat out)"
expect 0 "$tide" top --once --filter=page_target
[ "$(grep -c page_target out)" -ge 1 ] || fail "$(cat out)"
expect 1 "$tide" top --once --filter=no-such-program
expect 0 "$tide" top --json
python3 - "$pid" <<'PY'
import json, sys
top = json.load(open("out"))
assert top["version"] == 1
process = next(p for p in top["processes"] if p["pid"] == int(sys.argv[1]))
assert 50 << 20 <= process["live_bytes"] <= process["rss_bytes"], process
assert process["figures"]["allocated_bytes"] == process["live_bytes"]
assert process["profiling"] is True and "problem" not in process
assert process["growth_bytes_per_s"] == 0
PY
expect 0 "$tide" top --once "$pid"
said "lane default: live 5"
said "arena: committed"
sed -n '/SITE/{n;p}' out | grep -q 'M .*hold < obey < main' || fail "$(cat out)"
expect 0 "$tide" top --json --top=1 "$pid"
python3 - <<'PY'
import json
top = json.load(open("out"))
(site,) = top["sites"]
assert 40 << 20 < site["live_bytes"] < 60 << 20, site
assert [f["function"] for f in site["frames"][:3]] == ["hold", "obey", "main"], site
assert site["rate_bytes_per_s"] == 0 and site["samples"] > 500
assert top["statistics"]["allocated_bytes"] > 50 << 20
PY
expect 0 "$tide" top --once --sort=name --no-symbols "$pid"
said "page_target+0x"
# Rows are as wide as COLUMNS says, or 100 where there is no terminal.
for width in 60 72 100; do
    COLUMNS=$width expect 0 "$tide" top --once "$pid"
    sed -n '/SITE/,$p' out |
        awk -v w=$width 'length > w { wide = 1 } END { exit wide || NR < 2 }' ||
        fail "too wide: $(cat out)"
done
COLUMNS=72 expect 0 "$tide" top --once "$pid"
grep -q 'hold < obey < main < .*\.\.\.$' out && fail "nothing was left out: $(cat out)"
grep -q 'hold < obey.*\.\.\.$' out || fail "$(cat out)"
expect 2 "$tide" top --once --sort=colour
complained "there is no column 'colour'"
expect 2 "$tide" top --once --interval=0
expect 2 "$tide" top one two
expect 2 "$tide" top name
expect 2 "$tide" top
complained "needs a terminal"

# Of a long stack the innermost function of the program itself is left, not the library's only.
cat >deep.cc <<'EOF'
#include <map>
#include <string>
#include <unistd.h>
#include <vector>
static std::map<std::string, std::vector<std::map<std::string, std::string>>> all;
__attribute__((noinline)) void
remember(int i)
{
    all["a long name, number " + std::to_string(i)].resize(20);
    __asm__ volatile("" : : : "memory");
}
int
main()
{
    for (int i = 0; i < 20000; i++)
        remember(i);
    pause();
}
EOF
if $CXX -O1 -g deep.cc -o deep 2>/dev/null; then
    LD_PRELOAD=$TIDE_LIB TIDE_CONF=profile:true,profile_rate:64K ./deep &
    deep=$!
    until_page "$deep"
    expect 0 "$tide" top --once --top=3 "$deep"
    sed '1,/SITE/d' out |
        awk 'length > 100 || !/remember/ { bad = 1 } END { exit bad || NR == 0 }' ||
        fail "$(cat out)"
    kill "$deep"
fi

# ---- The live view -----------------------------------------------------------------------------

command -v tmux >/dev/null || skip "no tmux"
tmux="tmux -L tide-$$ -f /dev/null"
trap '$tmux kill-server 2>/dev/null || true; end_targets' EXIT

# screen PATTERN: waits until it is on the screen, on a busy machine too.
screen() {
    local i
    for ((i = 0; i < 1200; i++)); do
        $tmux capture-pane -p >shown 2>/dev/null || fail "tide top has ended: $(cat ended 2>&1)"
        ! grep -Eq -e "$1" shown || return 0
        sleep 0.05
    done
    fail "'$1' is not on the screen: $(cat shown)"
}
keys() {
    $tmux send-keys "$@"
}
$tmux start-server \; set-option -s exit-empty off # or it may end while the second session begins
$tmux new-session -d -x 80 -y 24 "LC_ALL=C.UTF-8 $tide top -d 0.3 2>ended; echo status \$? >>ended"
screen "on tidemalloc: RSS"
screen "$pid .*page_target"
screen "by rss_bytes"
awk 'length > 80 { exit 1 }' shown || fail "lines are too long"
keys '>' '>'
screen "by live_bytes"
keys r
screen "by live_bytes, least first"
keys r '?'
screen "Any key goes on"
keys x
screen "on tidemalloc"
keys / no-such Enter
screen "only: no-such"
! grep -q page_target shown || fail "the filter lets everything through: $(cat shown)"
keys / BSpace BSpace BSpace BSpace BSpace BSpace BSpace page_tar Enter
screen "only: page_tar"
screen "$pid .*page_target"
keys Enter
screen "lane default: live 5"
screen "hold < obey < main"
screen "by live_bytes"
tell hold 30
screen "lane default: live 8" # it follows what happens
keys Enter
screen "half of its blocks live"
screen "obey \(page_target.c:[0-9]+\)"
keys Escape
screen "lane default"
$tmux resize-window -x 120 -y 40
screen "hold < obey < main < __libc_start"
$tmux resize-window -x 40 -y 10
screen "lane default"
$tmux resize-window -x 80 -y 24
keys BSpace
screen "on tidemalloc"
keys Enter
screen "hold < obey"
finish
screen "process $pid (has ended|does not exist)"
keys q
for _ in $(seq 1200); do
    ! grep -q status ended 2>/dev/null || break
    sleep 0.05
done
grep -qx "status 0" ended || fail "q: $(cat ended)"

$tmux new-session -d -x 80 -y 24 "TERM=nonsense $tide top 2>ended; echo status \$? >>ended"
for _ in $(seq 1200); do
    ! grep -q status ended 2>/dev/null || break
    sleep 0.05
done
grep -q "TERM=nonsense" ended || fail "an unknown terminal: $(cat ended)"
