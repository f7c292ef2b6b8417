# SPDX-License-Identifier: MIT
# tide report: the same names and lines from every form of debug information that compilers write,
# and names alone from a symbol table.
# only: tide
# seconds: 120
. "$t_top/tests/tool/lib.sh"
number_of() {
    sed -n "/line: $1\$/=" "$t_top/tests/tool/known.cc"
}
# check COMPILER FLAG...: build, and compare the first site.
check() {
    "$@" -O1 -fno-optimize-sibling-calls -Wl,--build-id "$t_top/tests/tool/known.cc" -o known ||
        fail "build: $*"
    python3 "$t_top/tests/tool/known.py" "$PWD/known" known.tide
    expect 0 "$tide" report --json --top=1 known.tide
    grep -o '"line": [0-9]*' out | head -n 2 | tr -dc '0-9\n' >lines
    [ "$(cat lines)" = "$(number_of inner; number_of outer)" ] || fail "$*: lines $(cat lines)"
    said '"function": "ocean::Wave<double>::crest(int)"'
    said 'inner_allocation'
}
for flags in -gdwarf-5 -gdwarf-4 "-gdwarf-3 -gstrict-dwarf" -gsplit-dwarf \
    "-gdwarf-4 -gsplit-dwarf" -fdebug-types-section -g1 -no-pie -gz -flto -Wl,-z,noseparate-code; do
    # shellcheck disable=SC2086
    check "$CXX" -g $flags
done
if command -v clang++ >/dev/null; then
    for flags in -gdwarf-5 -gdwarf-4 -gsplit-dwarf -gsimple-template-names; do
        check clang++ -g $flags
    done
fi
# What distributions do: debug information beside the program, found by the link.
check "$CXX" -g
objcopy --only-keep-debug known known.debug
strip -g known
objcopy --add-gnu-debuglink=known.debug known
mkdir .debug && mv known.debug .debug/
expect 0 "$tide" report --json --top=1 known.tide
said "\"line\": $(number_of inner)"
rm -r .debug
expect 0 "$tide" report --json --top=1 known.tide
said '"symbols": "symbol table"'
said '"function": "ocean::Wave<double>::crest(int)"'
! grep -q '"line"' out || fail "lines from nowhere"
