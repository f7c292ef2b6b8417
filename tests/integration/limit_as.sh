# SPDX-License-Identifier: MIT
# ulimit -v and ulimit -d of several sizes: allocation fails with NULL and ENOMEM, then recovers;
# ordinary programs work as far as their memory goes, and never crash.
# seconds: 120
oom=$(t_build "$here/programs/oom.c")
for mib in 64 96 160 400; do
    least=$((mib / 4))
    [ "$mib" -gt 64 ] || least=8
    (ulimit -v $((mib * 1024)) && preloaded "$oom" 0 $least) || fail "oom under ulimit -v, $mib MiB"
    (ulimit -v $((mib * 1024)) && preloaded "$oom" 4 0) ||
        fail "oom with threads under ulimit -v, $mib MiB"
done
for mib in 64 300; do
    (ulimit -d $((mib * 1024)) && preloaded "$oom" 2 8) || fail "oom under ulimit -d, $mib MiB"
done

# works_under MIB EXPECTED COMMAND...: an ordinary program under the limit prints what it should.
works_under() {
    local mib=$1 expected=$2 text
    shift 2
    text=$(ulimit -v $((mib * 1024)) && preloaded "$@") || fail "$1 failed under $mib MiB"
    [ "$text" = "$expected" ] || fail "$1 under $mib MiB: $text"
}
seq 1 20000 | sort -R >numbers
sum=$(sort -n numbers | md5sum | cut -c1-32)
for mib in 64 128 8192; do
    works_under $mib "$sum" sh -c 'sort -n --parallel=1 -S 4M numbers | md5sum | cut -c1-32'
    works_under $mib 20000 perl -e 'my %h; $h{$_} = "x" x 50 for 1..20000; print scalar(keys %h)'
    works_under $mib 3000 bash -c 'for i in {1..3000}; do a+=("word $i"); done; echo ${#a[@]}'
done
