# SPDX-License-Identifier: MIT
# Prints C with many functions, types and switch statements.
BEGIN {
    count = 350
    print "typedef unsigned long u; struct node { u key, value; struct node *left, *right; };"
    for (i = 0; i < count; i++) {
        printf "static u mix%d(u a, u b) {", i
        printf " for (u i = 0; i < %d; i++) { a = a * %d + (b >> %d); b ^= a << %d; } return a ^ b; }\n",
            i % 17 + 3, 2 * i + 3, i % 31 + 1, i % 13 + 1
        printf "u walk%d(struct node *n, u key) { u sum = 0;", i
        printf " while (n) { sum += mix%d(n->key, n->value); n = key < n->key ? n->left : n->right; }", i
        printf " switch (sum %% 16) {"
        for (k = 0; k < 16; k++) printf " case %d: return sum * %d + key;", k, k * i + 1
        print " } return sum; }"
        printf "u table%d[64] = {", i
        for (k = 0; k < 64; k++) printf "%d,", (k * i) % 251
        print "};"
    }
    print "u (*all[])(struct node *, u) = {"
    for (i = 0; i < count; i++) printf "walk%d,\n", i
    print "};"
}
