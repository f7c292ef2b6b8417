# SPDX-License-Identifier: MIT
# ulimit -v and ulimit -d of several sizes: allocation fails with NULL and ENOMEM, then recovers;
# ordinary programs work as far as their memory goes, and never crash.
# seconds: 120
oom=$(t_build "$here/programs/oom.c")
for mib in 64 96 160 400; do
    least=$((mib / 4))
    [ "$mib" -gt 64 ] || least=8
    (ulimit -v $((mib * 1024)); preloaded "$oom" 0 $least) || fail "oom under ulimit -v, $mib MiB"
    (ulimit -v $((mib * 1024)); preloaded "$oom" 4 0) || fail "oom with threads under ulimit -v, $mib MiB"
done
for mib in 64 300; do
    (ulimit -d $((mib * 1024)); preloaded "$oom" 2 8) || fail "oom under ulimit -d, $mib MiB"
done
seq 1 20000 | sort -R >numbers
for mib in 64 128 8192; do
    sorted=$( (ulimit -v $((mib * 1024)); preloaded sort -n --parallel=1 -S 4M numbers | tail -n 1) ) || fail "sort, $mib MiB"
    [ "$sorted" = 20000 ] || fail "sort under $mib MiB: $sorted"
    text=$( (ulimit -v $((mib * 1024)); preloaded perl -e 'my %h; $h{$_} = "x" x 50 for 1..20000; print scalar(keys %h)') ) || fail "perl, $mib MiB"
    [ "$text" = 20000 ] || fail "perl under $mib MiB: $text"
    text=$( (ulimit -v $((mib * 1024)); preloaded bash -c 'a=(); for i in {1..3000}; do a+=("word $i"); done; echo ${#a[@]}') ) || fail "bash, $mib MiB"
    [ "$text" = 3000 ] || fail "bash under $mib MiB: $text"
done
