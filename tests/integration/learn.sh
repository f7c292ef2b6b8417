# SPDX-License-Identifier: MIT
# learn: a file for each program that grows, none for others; the next run knows it, forecasts from
# its first moment on, and makes memory ready before it has grown; files that are damaged, strange,
# of another version or build are as none and replaced; where none can be written programs run all
# the same, and it is counted; many processes write at a time; children of fork and programs without
# predict:on leave none. learn_forks has what children do while it is written.
# only: tide
# seconds: 240
. "$here/programs/statistics.sh"
grow=$(t_build "$here/programs/grow.c")
state=$PWD/state
learn=predict:on,learn:$state

run "learn:$state" "$grow" 64
[ ! -e "$state" ] || fail "learned without predict:on"
run "$learn" "$grow" 64
[ "$(figure learn_known)" = 0 ] || fail "knows $(figure learn_known) phases from nowhere"
[ "$(figure learn_begun)" -ge 2 ] || fail "$(figure learn_begun) phases began"
[ "$(figure learn_forecast)" = 0 ] || fail "forecast what it could not know"
[ "$(stat -c %a "$state")" = 700 ] || fail "the directory's mode is $(stat -c %a "$state")"
files=("$state"/*)
file=${files[0]}
[ ${#files[@]} = 1 ] || fail "not one file: ${files[*]}"
id=$(readelf -n "$grow" | sed -n 's/.*Build ID: //p')
[ "${file##*/}" = "$id.learned" ] || fail "the file is called $file, the program is of build $id"
[ "$(stat -c %a "$file")" = 600 ] || fail "the file's mode is $(stat -c %a "$file")"
[ "$(stat -c %s "$file")" -le 13312 ] || fail "the file has $(stat -c %s "$file") bytes"

# The callers are known again wherever the program and its libraries are loaded.
run "$learn" "$grow" 64
[ "$(figure learn_known)" -ge 3 ] || fail "knows $(figure learn_known) phases only"
[ "$(figure learn_forecast)" -ge 3 ] ||
    fail "$(figure learn_forecast) of $(figure learn_begun) phases were forecast"

# It begins at once: what grew in earlier runs has a keeper before it has grown in this one.
run predict:on "$grow" 256K
[ "$(figure keeper_running)" = 0 ] || fail "256 KiB are not to have a keeper"
made=false # ready, where a CPU is idle in the few milliseconds that there are
for ((i = 0; i < 12; i++)); do
    rm -rf small
    cp -r "$state" small
    run "predict:on,learn:$PWD/small" "$grow" 256K
    [ "$(figure keeper_running)" = 1 ] || fail "what is learned did not start the keeper"
    if [ "$(figure populated_bytes)" -gt 0 ]; then
        made=true
        break
    fi
    sleep 0.5
done

# Another command line: the start of the program alone is known, and its callers.
run "$learn" "$grow" 48
[ "$(figure learn_forecast)" -lt "$(figure learn_begun)" ] || fail "the arguments were forgotten"
[ "$(figure learn_forecast)" -ge 2 ] || fail "another command line knows nothing"

# Programs that do not grow leave nothing, and children of fork are not the program.
run "$learn" /bin/true
run "$learn" bash -c '(:); (:); /bin/true'
[ "$(find "$state" -type f | wc -l)" = 1 ] || fail "left for nothing: $(ls "$state")"

# What is damaged is not used, and replaced. Of another build, another version, no file at all.
good=$(mktemp) && cp "$file" "$good"
spoil() {
    run "$learn" "$grow" 48
    [ "$(figure learn_known)" = 0 ] || fail "took what was $1 for what was learned"
    run "$learn" "$grow" 48
    [ "$(figure learn_known)" -ge 1 ] || fail "$1: it was not replaced"
    cp "$good" "$file"
}
for at in 0 8 12 16 20 30 60 200; do
    python3 - "$file" $at <<'END'
import sys
name, at = sys.argv[1], int(sys.argv[2])
data = bytearray(open(name, "rb").read())
data[at] ^= 0x40
open(name, "wb").write(data)
END
    spoil "damaged at $at"
done
# What is wrong in them, with the sum that it would have.
while read -r at value what; do
    python3 - "$file" "$at" "$value" <<'END'
import struct, sys, zlib
name, at, value = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = bytearray(open(name, "rb").read())
struct.pack_into("<I", data, 20, 0)
if zlib.crc32(data) != struct.unpack_from("<I", open(name, "rb").read(), 20)[0]:
    raise SystemExit("the sum is another one than is thought here")
struct.pack_into("<I", data, at, value)
struct.pack_into("<I", data, 20, zlib.crc32(data))
open(name, "wb").write(data)
END
    spoil "of $what"
done <<'END'
0 1 another kind
8 2 another version
12 0 no runs
16 2 fewer phases
24 1 another build
END
truncate -s 100 "$file"
spoil "cut short"
: >"$file"
spoil empty
head -c 200000 /dev/zero >"$file"
spoil zeros
cat "$good" "$good" >"$file"
spoil "twice as long"
rm "$file"
spoil "not there"
rm "$file" && mkfifo "$file"
spoil "a pipe" # which nobody writes to
if [ "$(id -u)" = 0 ]; then
    chown 12345 "$file"
    spoil "somebody else's"
fi
rm "$file" && ln -s "$good" "$file"
spoil "a link"

# Where nothing can be written the program runs all the same, and knows what can be read.
cannot_write() {
    [ "$(figure learn_failed)" = 1 ] || fail "$1: did not count that it could not write"
    [ "$(figure learn_saved)" = 0 ] || fail "$1: counted what it could not write"
    [ "$(figure learn_known)" -ge "$2" ] || fail "$1: knows $(figure learn_known) phases only"
}
run "predict:on,learn:/dev/null/nowhere" "$grow" 48
cannot_write "below a device" 0
echo kept >regular
run "predict:on,learn:$PWD/regular" "$grow" 48
cannot_write "a regular file" 0
run "predict:on,learn:$PWD/regular/below" "$grow" 48
cannot_write "below a regular file" 0
[ "$(cat regular)" = kept ] || fail "wrote into a file that was to be a directory"
run "predict:on,learn:$PWD/neither/there" "$grow" 48
cannot_write "in a directory that is not there" 0
# A directory that may only be read; root must be told that it may not write there.
powerless=()
[ "$(id -u)" != 0 ] || powerless=(setpriv --bounding-set=-dac_override --)
if "${powerless[@]}" true 2>/dev/null; then
    chmod 500 "$state"
    run "$learn" "${powerless[@]}" "$grow" 48
    chmod 700 "$state"
    cannot_write "a directory to read" 3
fi
# A limit of what files may grow to; the statistics go where there is none.
limited() {
    ulimit -f 0
    preloaded TIDE_CONF="$learn,stats:stderr" "$grow" 48 2>&1 >/dev/null
}
(set -o pipefail && limited | cat >stats.json) || fail "a limit of files ended it"
cannot_write "a limit of files" 3
cmp -s "$good" "$file" || fail "what could not be replaced is not what it was"
[ "$(find "$state" -name '*.tmp.*' | wc -l)" = 0 ] || fail "half a file stayed: $(ls "$state")"
# A directory by a relative path is where the program began.
mkdir -p begin elsewhere
(cd begin && preloaded TIDE_CONF=predict:on,learn:there python3 -c '
import os
os.chdir("../elsewhere")
kept = [bytes(bytearray(1 << 20)) for i in range(32)]') || fail "python failed"
[ -n "$(ls begin/there)" ] || fail "nothing was kept where it began"
[ -z "$(ls elsewhere)" ] || fail "kept where it went: $(ls elsewhere)"

# Each caller is one, whichever function it calls, in C++ too; coroutines are none of their own.
callers=$(t_build "$here/programs/callers.cc")
run "predict:on,learn:$PWD/sites" "$callers" 1
one=$(figure learn_begun)
run "predict:on,learn:$PWD/sites" "$callers" 12
[ $(($(figure learn_begun) - one)) -ge 9 ] ||
    fail "$one callers, and $(figure learn_begun) where there are eleven more"
[ $(($(figure learn_begun) - one)) -le 40 ] ||
    fail "$one callers, and $(figure learn_begun) where there are eleven more and coroutines"

# Children, however they are made, are not the program; nor does any of them hang.
children=$(t_build "$here/programs/expect_children.c")
run "predict:on,learn:$PWD/children" "$children"
[ "$(find children -type f | wc -l)" = 1 ] || fail "not one file: $(ls children)"
runs=$(od -A n -t u4 -j 12 -N 4 children/*.learned)
[ "$((runs))" = 1 ] || fail "$runs runs were learned from, of one and its children"

# Under a filter that ends the process for opening files.
preloaded TIDE_CONF="predict:on,learn:$PWD/filtered" "$children" filter ||
    fail "opened a file where that ends it"

# Many at a time.
for ((i = 0; i < 12; i++)); do
    preloaded TIDE_CONF="$learn" "$grow" 24 >out.$i 2>err.$i &
done
wait
for ((i = 0; i < 12; i++)); do
    [ ! -s err.$i ] || fail "one of many complained: $(cat err.$i)"
done
run "$learn" "$grow" 24
[ "$(figure learn_known)" -ge 3 ] || fail "what many wrote is of no use"
[ "$(find "$state" -type f | wc -l)" = 1 ] || fail "files stayed behind: $(ls "$state")"

# One that is killed has written when its growth was over for ten seconds.
rm "$file"
preloaded TIDE_CONF="$learn" python3 -c '
import time
kept = [bytearray(1 << 20) for i in range(64)]
time.sleep(60)' &
server=$!
for ((i = 0; i < 300 && $(find "$state" -type f | wc -l) == 0; i++)); do
    sleep 0.1
done
kill -KILL $server
[ "$(find "$state" -type f | wc -l)" = 1 ] || fail "a server learned nothing in 30 s"
$made || skip "no CPU was idle"
