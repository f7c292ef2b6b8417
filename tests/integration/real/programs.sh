# SPDX-License-Identifier: MIT
# The command-line programs of real/run.sh (sourced): each real_NAME works in an empty directory,
# calls the program through `run` and prints only what must not depend on the allocator.

real_gcc() {
    need gcc
    awk -f "$here/work/large_source.awk" >large.c
    run gcc -O2 -S -o - large.c | md5sum
    run gcc -O1 -g -c large.c -o large.o
    objdump -d large.o | md5sum
}

real_cxx() {
    need g++
    g++ -O1 -pthread "$here/work/churn.cc" -o program
    run ./program
}

real_python3() {
    need python3
    run python3 "$here/work/churn.py"
    PYTHONMALLOC=malloc run python3 "$here/work/churn.py"
}

real_python3_tests() {
    local interpreter= candidate
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c 'import test.test_json, test.test_dict' 2>/dev/null; then
            interpreter=$candidate
            break
        fi
    done
    [ -n "$interpreter" ] || skip "no test package of python3 (Debian: libpython3.11-testsuite)"
    local modules="test_dict test_list test_set test_json test_re test_gc test_memoryview test_array
        test_deque test_heapq test_thread test_unicode test_bigmem test_struct test_codecs
        test_descr test_string"
    # shellcheck disable=SC2086
    PYTHONMALLOC=malloc run "$interpreter" -m unittest -v ${modules//test_/test.test_} \
        >log 2>&1 || {
        tail -n 30 log >&2
        return 1
    }
    grep -E ' \.\.\. (ok|skipped|FAIL|ERROR)|^OK|^FAILED' log | sed 's/0x[0-9a-f]*//g' | sort
}

real_ruby() {
    need ruby
    run ruby "$here/work/churn.rb"
}

real_perl() {
    need perl
    run perl "$here/work/churn.pl"
}

real_lua() {
    need lua5.4
    run lua5.4 "$here/work/churn.lua"
}

# Its extensions are opened with RTLD_DEEPBIND: they would be bound to the C library's malloc.
real_php() {
    need php
    run php "$here/work/churn.php"
    USE_ZEND_ALLOC=0 run php "$here/work/churn.php"
}

real_sqlite3() {
    need sqlite3
    run sqlite3 :memory: <"$here/work/churn.sql"
    run sqlite3 file.db <"$here/work/churn.sql"
}

real_git() {
    need git
    export HOME=$PWD GIT_CONFIG_NOSYSTEM=1
    export GIT_AUTHOR_DATE="1700000000 +0000" GIT_COMMITTER_DATE="1700000000 +0000"
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
    local quiet="-q -dSAFER -dBATCH -dNOPAUSE"
    # shellcheck disable=SC2086
    run gs $quiet -sDEVICE=ppmraw -r100 -sOutputFile=%stdout "$here/work/pages.ps" | md5sum
    # shellcheck disable=SC2086
    run gs $quiet -sDEVICE=png16m -r72 -dNumRenderingThreads=2 -dBandHeight=50 \
        -sOutputFile=page%d.png "$here/work/pages.ps"
    md5sum page*.png
}

real_z3() {
    need z3
    awk -f "$here/work/queens.awk" >queens.smt2
    run z3 -T:50 queens.smt2
    run z3 -T:50 "$here/work/factors.smt2"
}

real_node() {
    need node
    run node "$here/work/churn.js"
}

real_bash() {
    need bash
    run bash "$here/work/churn.bash"
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
    awk 'BEGIN {
        s = 1
        for (i = 0; i < 300000; i++) { s = (s * 16807) % 2147483647; print s, "text " s % 1000 }
    }' >lines
    run sort --parallel=2 -S 8M -k2,2 -k1,1n lines | md5sum
    run awk '{ n[$3]++; t[$1 % 50000] = t[$1 % 50000] $3 }
        END { for (i = 0; i < 1000; i++) s = s * 31 % 1000003 + n[i]; print s, length(t) }' lines
}
