# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Shared by scripts of tests/integration (sourced): programs whose statistics are looked at.

# run CONF COMMAND...: on the library, to its good end, without a complaint; its statistics are in
# stats.json.
run() {
    local conf=$1
    shift
    preloaded TIDE_CONF="$conf,stats:stats.json" "$@" >out 2>err || fail "$* ($conf): $(cat err)"
    [ ! -s err ] || fail "$* ($conf) complained: $(cat err)"
}
# figure NAME: of the last run.
figure() {
    python3 -c '
import json, sys
def find(tree):
    for key, value in tree.items():
        if key == sys.argv[1]:
            print(value)
        elif isinstance(value, dict):
            find(value)
find(json.load(open("stats.json")))' "$1"
}
