# SPDX-License-Identifier: MIT
# Hashes, arrays, regular expressions, a fork, and one long string.
use strict;
use warnings;
my ($seed, %h, @a) = (3);
sub rnd { $seed = ($seed * 1103515245 + 12345) % 2147483648; return $seed }
for my $i (1 .. 150000) {
    my $k = "key " . rnd() % 20000;
    $h{$k} .= chr(97 + $i % 26);
    push @a, [$i, $k] if $i % 3 == 0;
}
my $sum = 0;
for my $k (sort keys %h) {
    $sum = ($sum * 31 + length($h{$k})) % 1000003;
    $sum += () = $h{$k} =~ /[aeiou]+/g;
}
splice @a, 1000, 20000;
my $text = join ",", map { "$_->[0]:$_->[1]" } @a;
$text =~ s/(\d+)/<$1>/g;
my $pid = fork();
if (!$pid) { undef %h; exit(scalar(@a) % 200) }
waitpid $pid, 0;
print "$sum ", length($text), " ", $? >> 8, " ", scalar(keys %h), "\n";
my $big = "x" x 50_000_000;
$big .= "y" x 1000 for 1 .. 1000;
print length($big), "\n";
