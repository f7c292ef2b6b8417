# SPDX-License-Identifier: MIT
# A client of memcached (argument: its socket): 20,000 values over 40 connections, read back in part.
use strict;
use warnings;
use IO::Socket::UNIX;
my @s = map { IO::Socket::UNIX->new(Peer => $ARGV[0]) or die "connect: $!" } 1 .. 40;
sub value { return "v" x ($_[0] * 37 % 3000) }
my $stored = 0;
for my $i (1 .. 20000) {
    my ($s, $v) = ($s[$i % 40], value($i));
    print $s "set key$i 0 0 " . length($v) . "\r\n$v\r\n";
    $stored += <$s> eq "STORED\r\n";
}
my ($hits, $bytes) = (0, 0);
for my $i (1 .. 5000) {
    my $s = $s[$i % 40];
    print $s "get key$i\r\n";
    my $line = <$s>;
    next if $line eq "END\r\n";
    my ($n) = $line =~ /^VALUE key$i 0 (\d+)/ or die $line;
    $hits++;
    $bytes += $n;
    die "damage" if <$s> ne value($i) . "\r\n";
    <$s>;
}
my $s = $s[0];
print $s "incr none 1\r\n";
print "$stored $hits $bytes ", scalar(<$s>);
print $s "flush_all\r\n";
print scalar(<$s>);
