# SPDX-License-Identifier: MIT
# What a small process touches of the library: nothing of its cold parts, and few pages of its own.
# Whatever runs at every start must not be cold, nor read a string literal (TIDE_WARM_TEXT).
# only: tide
[ -r /proc/self/smaps ] || skip "no /proc/self/smaps"
readelf -SW "$TIDE_LIB" | grep -q '\.text\.cold' || skip "not laid out by libtidemalloc.ld"
library=$(readlink -f "$TIDE_LIB")

# Resident, own and cold KiB of the library's mappings, the zeros behind them included. Cold are the
# second piece of text and the constants between the two.
figures() {
    preloaded "$@" | awk -v library="$library" '
        /^[0-9a-f]+-[0-9a-f]+ / {
            ours = $6 == library || (ours && $6 == "")
            if ($6 == library && $2 ~ /x/) texts++
            cold = $6 == library && (texts == 2 ? $2 ~ /x/ : texts == 1 && $2 !~ /[xw]/)
        }
        ours && $1 == "Rss:" { resident += $2; if (cold) cold_resident += $2 }
        ours && $1 == "Anonymous:" { own += $2 }
        END { print resident + 0, own + 0, cold_resident + 0 }'
}

read -r resident own cold <<<"$(figures cat /proc/self/smaps)"
echo "resident $resident KiB, own $own KiB, cold $cold KiB"
[ "$resident" -gt 0 ] || fail "the library is not there"
[ "$cold" -eq 0 ] || fail "$cold KiB of the cold parts are resident"
[ "$own" -le 24 ] || fail "$own KiB of the library's pages are the process's own"
read -r resident own cold <<<"$(figures bash -c 'x=$(echo); cat /proc/$$/smaps')"
[ "$cold" -eq 0 ] || fail "$cold KiB of the cold parts are resident in a shell that forks"
