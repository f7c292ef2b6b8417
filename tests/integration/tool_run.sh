# SPDX-License-Identifier: MIT
# tide run: the library is preloaded, TIDE_CONF has what was asked for, the rest is the program's.
# only: tide
# report: expected
. "$t_top/tests/tool/lib.sh"
here=$PWD

expect 0 "$tide" run --library="$TIDE_LIB" -- sh -c 'grep -c libtidemalloc /proc/$$/maps; env'
said "LD_PRELOAD=$TIDE_LIB"
said "profile:true,profile_out:$here/tide.%p.tide"
[ "$(head -n 1 out)" -gt 0 ] || fail "the library is not there"
LD_PRELOAD=/lib/none.so TIDE_CONF=verbose:false expect 0 \
    "$tide" run -o a.tide -r 64K -s stderr -c abort:false --library="$TIDE_LIB" env
said "LD_PRELOAD=$TIDE_LIB:/lib/none.so"
said "TIDE_CONF=verbose:false,profile:true,profile_out:$here/a.tide,profile_rate:64K,"
said ",stats:stderr,abort:false"
expect 0 "$tide" run --no-profile --library="$TIDE_LIB" env
! grep -q '^TIDE_CONF=.*profile' out || fail "a profile although none was wanted"
# A comment of the user's ends with its line, and what is added is not in it.
TIDE_CONF='verbose:false # mine' expect 0 \
    "$tide" run -o b.tide -c 'abort:false #x' -c stats:stderr --library="$TIDE_LIB" true
[ -s b.tide ] || fail "the profile is in the comment"
grep -q '"pid"' err || fail "the statistics are in the comment: $(cat err)"
rm b.tide
expect 2 "$tide" run -c 'stats:a#b,purge:peaks' true
expect 2 "$tide" run -c 'predict:oops #x' true
expect 2 "$tide" run -c $'# c\npredict:oops' true
expect 2 "$tide" run -o 'my #1/p' true
HOME=$here expect 0 "$tide" run --no-profile --predict --learn="$here" true
# The one beside the tool is found.
expect 0 "$tide" run --no-profile env
said "LD_PRELOAD=$(readlink -f "$TIDE_BUILD/.libs/libtidemalloc.so.0")"

# Predictions, and where what is learned is kept.
unset XDG_STATE_HOME
mkdir home
HOME=$here/home expect 0 "$tide" run env
! grep -q 'predict:\|learn:' out || fail "predicts although that was not asked"
[ ! -e home/.local ] || fail "made directories for nothing"
HOME=$here/home TIDE_CONF=predict:on expect 0 "$tide" run env
said "learn:$here/home/.local/state/tidemalloc"
HOME=$here/a,b expect 0 "$tide" run --predict env
! grep -q 'learn:' out || fail "learns in a directory that TIDE_CONF cannot hold"
[ "$(stat -c %a "$here/home/.local/state/tidemalloc")" = 700 ] || fail "the directory was not made"
XDG_STATE_HOME=$here/xdg expect 0 "$tide" run --predict env
said "predict:on,learn:$here/xdg/tidemalloc"
HOME='' expect 0 "$tide" run --predict env
! grep -q 'learn:' out || fail "learns although there is no place for it"
XDG_STATE_HOME=$here/xdg expect 0 "$tide" run --predict --no-learn env
! grep -q 'learn:' out || fail "learns although that was not wanted"
expect 0 "$tide" run --learn=here/there env
said "predict:on,learn:$here/here/there"
expect 2 "$tide" run --learn=a,b true
complained "comma"
expect 2 "$tide" run -o "$(printf '%0250d' 0)" true
complained "more than 255 bytes"
expect 7 "$tide" run --learn=/proc/nowhere sh -c 'env; exit 7'
complained "tide run: --learn: /proc/nowhere: nothing can be kept there, so nothing is learned: "
said "predict:on"
! grep -q 'learn:' out || fail "learns where nothing can be kept"

# What does nothing is named, and the program run.
expect 7 "$tide" run --no-profile --rate=64K --output=a.tide sh -c 'exit 7'
complained "--rate has no effect with --no-profile"
complained "--output has no effect with --no-profile"
expect 0 "$tide" run --no-learn true
complained "--no-learn has no effect without --predict"
expect 0 "$tide" run --no-learn --learn=here true
complained "--no-learn has no effect with --learn=here"

# What the library would not take is told before the program runs.
for rate in 64Q K -1 0 '' 200T 99999999999999999999; do
    expect 2 "$tide" run "--rate=$rate" touch ran
    complained "tide run: --rate takes a number of bytes from 1 to 140737488355328, such as 64K,"
    complained ", not '$rate'; see 'tide run --help'"
done
# wrong CONF COMPLAINT
wrong() {
    expect 2 "$tide" run -c "$1" touch ran
    complained "tide run: --conf: $2"
    [ "$(wc -l <err)" = 1 ] && [ ! -e ran ] || fail "the program was run: $(cat err)"
}
wrong abort:perhaps "abort takes true or false, not 'perhaps'"
wrong purge:peaks "purge takes one of off|peak, not 'peaks'"
wrong profile_depth:257 "profile_depth takes a whole number from 1 to 256, not '257'"
wrong "abort:false, profile_memory:1K" "profile_memory takes a number of bytes from 65536 to"
wrong "stats:$(printf '%0300d' 0)" "stats takes a text of at most 255 bytes"
wrong nonsense:1 "there is no option 'nonsense'"
wrong stats "'stats' has no value: write stats:VALUE"
# Whatever it takes itself passes: all options, as it lists them.
LD_PRELOAD=$TIDE_LIB TIDE_CONF=stats:stderr /bin/true 2>all.json
python3 - >all.conf <<'PY'
import json
options = json.load(open("all.json"))["options"]
assert len(options) > 20
print(",".join(f"{k}:{str(v).lower() if isinstance(v, bool) else v}"
               for k, v in options.items() if k != "stats"))
PY
expect 0 "$tide" run -c "$(cat all.conf),, stats : $here/a#b.json # purge:never" true
HOME=$here/nohome expect 0 "$tide" run --predict env
[ ! -e nohome ] || fail "made a home"
[ ! -s err ] || fail "a complaint about what nobody asked for: $(cat err)"
expect 0 "$tide" run -c abort:false -c purge:off env
said ",abort:false,purge:off"

# learns TIDE_CONF [OPTIONS]: something is learned then, for forecasts are on. What is last wins.
learns() {
    local before=$1
    shift
    TIDE_CONF=$before "$tide" run "$@" env >out 2>err || fail "refused: $(cat err)"
    grep -q ',learn:' out
}
export XDG_STATE_HOME=$here/state
learns predict:on && learns " predict : true" && learns "" -c predict:1 ||
    fail "on is not understood"
! learns "" && ! learns predict:true -c predict:false && ! learns "" --predict -c predict:no ||
    fail "off is not understood"
learns predict:on,learn:$here/mine && ! grep -q ",learn:$here/state" out ||
    fail "a directory that was given is not the one: $(cat out)"
unset XDG_STATE_HOME

expect 42 "$tide" run -- sh -c 'exit 42'
expect 0 "$tide" run printf '%s\n' --help
said "--help"
expect 143 sh -c "\"$tide\" run sh -c 'kill -TERM \$\$'; exit \$?"
expect 127 "$tide" run -- /nonexistent/program
complained "cannot be run: No such file"
expect 126 "$tide" run -- /etc/passwd
expect 2 "$tide" run
expect 2 "$tide" run -o a,b.tide true
complained "comma"
expect 3 "$tide" run --library=/nonexistent.so true
complained "/nonexistent.so: the library cannot be read"

# A place where none can be written is told before the program runs, not after.
expect 3 "$tide" run -o "$here/nowhere/a.tide" touch ran
complained "$here/nowhere/a.tide: the profile cannot be written there: No such file"
[ ! -e ran ] || fail "the program was run"

# Programs into which nothing is preloaded are named, and run.
printf '#include <stdio.h>\nint main(void) { puts("ran"); return 7; }\n' >alone.c
if $CC -static alone.c -o alone 2>/dev/null; then
    expect 7 "$tide" run -o a.tide ./alone
    said ran
    complained "tide run: ./alone is a static program, into which nothing can be preloaded: it runs"
    [ "$(wc -l <err)" = 1 ] || fail "more than one line: $(cat err)"
    PATH=/nowhere::/bin expect 7 "$tide" run --no-profile alone
    complained "tide run: alone is a static program"
    expect 7 "$tide" trace -o a.trace ./alone
    said ran
    complained "tide trace: ./alone is a static program"
    complained ": nothing of it is recorded"
    printf '#! %s\n' "$here/alone" >script
    chmod +x script
    expect 7 "$tide" run -o a.tide ./script
    complained "$here/alone is a static program"
    $CC -static-pie alone.c -o alone_pie
    expect 7 "$tide" run -o a.tide ./alone_pie
    complained "./alone_pie is a static program"
fi
$CC alone.c -o usual
printf '#!%s\n' "$here/usual" >script
loader=$(readelf -l usual | sed -n 's/.*interpreter: \(.*\)]/\1/p')
for command in ./usual ./script "$loader ./usual"; do
    # shellcheck disable=SC2086
    expect 7 "$tide" run -o a.tide $command
    [ ! -s err ] || fail "a complaint about $command: $(cat err)"
done
if [ "$(id -u)" = 0 ] &&
    python3 -c 'import os, sys; sys.exit(bool(os.statvfs(".").f_flag & os.ST_NOSUID))'; then
    chown 65534 usual
    chmod 4711 usual
    expect 7 "$tide" run -o a.tide ./usual
    complained "tide run: ./usual is run with more rights than yours"
fi

# A profile is written, and can be shown: of a program that has freed all of it, stacks show what it
# allocated.
cat >all.c <<'EOF'
#include <stdlib.h>
int
main(void)
{
    for (int i = 0; i < 99; i++) {
        void *p = malloc(1 << 20);

        __asm__ volatile("" : : "r"(p) : "memory");
        free(p);
    }
}
EOF
$CC -g -O1 all.c -o all
expect 0 "$tide" run -o all.%p.tide -r 64K ./all
mv all.*.tide all.tide
expect 0 "$tide" report -f collapsed --no-symbols all.tide
complained "nothing of it is live"
awk '{ n += $NF } END { exit !(n >= 90 * 1048576 && n <= 110 * 1048576) }' out || fail "$(cat out)"
expect 0 "$tide" report -f collapsed --sort=live all.tide
[ ! -s err ] && ! grep -q '[1-9][0-9]*$' out || fail "live although nothing is: $(cat out err)"

# With %p each process of a script has its file; `tide run` within it makes only the program's.
printf '#!/bin/bash\n./all\n./all\ntrue\n' >twice
printf '#!/bin/bash\nls\n"%s" run -o within.%%p ./all\ntrue\n' "$tide" >once
chmod +x twice once
expect 0 "$tide" run -o each.%p ./twice
expect 0 ./once
found=$(find . -name 'each.*' | wc -l)/$(find . -name 'within.*' | wc -l)
[ "$found" = 3/1 ] || fail "not three files and one: $found"

# A shell without a sample does not write over the profile of what it ran.
expect 0 "$tide" run -o shell.tide -r 8M sh -c './all; true'
expect 0 "$tide" report -f collapsed --no-symbols shell.tide
complained "nothing of it is live"
