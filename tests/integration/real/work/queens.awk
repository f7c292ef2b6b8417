# SPDX-License-Identifier: MIT
# Prints the problem of nine queens for an SMT solver.
BEGIN {
    n = 9
    print "(set-logic QF_LIA)"
    for (i = 0; i < n; i++)
        printf "(declare-const q%d Int) (assert (and (>= q%d 0) (< q%d %d)))\n", i, i, i, n
    for (i = 0; i < n; i++)
        for (k = i + 1; k < n; k++) {
            printf "(assert (not (= q%d q%d)))\n", i, k
            printf "(assert (not (= (- q%d q%d) %d)))\n", i, k, k - i
            printf "(assert (not (= (- q%d q%d) %d)))\n", k, i, k - i
        }
    print "(check-sat)"
}
