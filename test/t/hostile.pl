# A megabyte of the bytes, or of the JSON, that grow most when they are read
# costs the backend at most eight times its size, and is read or refused in
# linear time.  What is over evcharge.max_message_size costs nothing.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'the kernel does not tell the peak of memory'
  unless -e '/proc/self/clear_refs'
  && slurp_file('/proc/self/status') =~ /^VmHWM:/m;

my $size = 1024 * 1024;
my $most = 8;

# What a backend may take besides: caches, the message of an error, malloc.
my $slack = 2 * 1024 * 1024;

# ---------------------------------------------------------------------------
# Bytes
# ---------------------------------------------------------------------------

sub varint
{
	my ($value) = @_;
	my $bytes = '';

	while ($value >= 0x80)
	{
		$bytes .= chr($value & 0x7f | 0x80);
		$value >>= 7;
	}
	return $bytes . chr($value);
}

# A field that holds bytes.
sub field
{
	my ($number, $bytes) = @_;
	return varint($number << 3 | 2) . varint(length $bytes) . $bytes;
}

# As many of these as there is room for.
sub fill
{
	my ($part) = @_;
	return $part x ($size / length $part);
}

# One after the other, as long as there is room.
sub fill_with
{
	my ($make, $size) = (@_, $size);
	my $bytes = '';

	for (my $i = 1;; $i++)
	{
		my $part = $make->($i);
		return $bytes if length($bytes) + length($part) > $size;
		$bytes .= $part;
	}
}

# A permutation of the 24-bit numbers, so that no order helps a sort.
sub scatter
{
	my ($i) = @_;
	return $i * 7_368_787 % 16_777_216;
}

my $room = $size - 16;
my %bytes = (
	'empty connectors' => fill("\x1a\0"),
	'empty transactions' => fill("\x22\0"),
	'empty auth entries' => fill("\x2a\0"),
	'ascending keys' =>
	  fill_with(sub { field(4, "\x08" . varint($_[0])) }),
	'descending keys' =>
	  fill_with(sub { field(4, "\x08" . varint(300_000 - $_[0])) }),
	'scattered keys' =>
	  fill_with(sub { field(4, "\x08" . varint(scatter($_[0]))) }),
	'two interleaved maps' => fill_with(
		sub { field(3 + $_[0] % 2, "\x08" . varint(scatter($_[0]))) }),
	'negative keys' =>
	  fill_with(sub { field(3, "\x08" . varint(0xffffffff - $_[0])) }),
	'string keys' =>
	  fill_with(sub { field(5, field(1, sprintf '%x', scatter($_[0]))) }),
	'keys that differ late' => fill_with(
		sub { field(5, field(1, 'p' x 1000 . scatter($_[0]))) }),
	'two huge keys, many small ones' => field(
		5, field(1, 'p' x ($size / 4) . 'b')) . field(
		5, field(1, 'p' x ($size / 4) . 'a')) . fill_with(
		sub { field(5, field(1, sprintf '%x', scatter($_[0]))) },
		$size / 2 - 16),
	'one entry, many keys' => field(4, "\x08\x01" x ($room / 2)),
	'one entry, many values' => field(4, "\x12\0" x ($room / 2)),
	'one value, many submessages' =>
	  field(4, field(2, "\x42\0" x ($room / 2))),
	'submessages in submessages' =>
	  field(5, field(2, "\x1a\x02\x12\0" x ($room / 4))),
	'entries with a submessage' =>
	  fill_with(sub { field(4, "\x08" . varint($_[0]) . "\x12\x02\x42\0") }),
	'auth entries with submessages' => fill_with(
		sub { field(5, field(1, sprintf '%x', $_[0])
			  . "\x12\x04\x1a\x02\x12\0") }),
	'one scalar, many times' => fill("\x30\x01"),
	'varints longer than they have to be' =>
	  fill("\x30\x81\x80\x80\x80\x80\x80\x80\x80\x80\0"),
	'bits beyond int32' => fill("\x30\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
	'groups side by side' => fill("\x9b\x06\x9c\x06"),
	'groups, 100 levels' =>
	  fill("\x9b\x06" x 100 . "\x9c\x06" x 100),
	'groups that do not end' => fill("\x9b\x06"),
	'unknown varints' => fill("\xa0\x06\0"),
	'unknown varints, long' => fill("\xa0\x06\x80\x80\0"),
	'known numbers in other wire types' => fill("\x18\x01\x22\0"),
	'unknown fields in entries' =>
	  fill_with(sub { field(4, "\x08" . varint($_[0]) . "\x18\x01") }),
	'a string of ASCII' => field(1, 'a' x $room),
	'a string of two bytes each' => field(1, "\xc3\xa9" x ($room / 2)),
	'a string of four bytes each' =>
	  field(1, "\xf0\x9f\x98\x80" x ($room / 4)),
	'a string of control characters' => field(1, "\x01" x $room),
	'truncated at the very end' =>
	  substr(fill("\x22\0"), 0, -1) . "\x7f",
	'nothing but continuation' => "\xff" x $size);

my %texts = (
	'empty entries' => '{"transactions":{'
	  . substr(fill_with(sub { ",\"$_[0]\":{}" }), 25) . '}}',
	'scattered string keys' => '{"authList":{'
	  . substr(fill_with(sub { ',"' . scatter($_[0]) . '":{}' }), 25) . '}}',
	'one key, many times' =>
	  '{"transactions":{' . '"1":{},' x ($room / 7 - 5) . '"1":{}}}',
	'escapes' => '{"id":"' . '\u00e9' x ($room / 6) . '"}',
	'arrays that nobody wants' => '{"x":[' . '[[[[]]]],' x ($room / 9) . '0]}',
	'a hundred levels' => '{"x":' . '[' x 101 . ']' x 101 . '}',
	'zeros' => '{"currentTransactionId":1' . '0' x $room . '}',
	'a long exponent' => '{"currentTransactionId":1e' . '9' x $room . '}',
	'spaces' => '{' . ' ' x $room . '}');
$texts{'empty entries'} =~ s/\{\d*"?:?\{?\}?,/{/;
$texts{'scattered string keys'} =~ s/(\{"authList":\{)[^,]*,/$1/;

# ---------------------------------------------------------------------------
# The server
# ---------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('hostile');
$node->init(extra => ['--encoding=UTF8']);
# The limit would refuse what is longer when it is canonical.
$node->append_conf('postgresql.conf',
	"evcharge.max_message_size = '64MB'\nlog_statement = none\njit = off");
$node->start;
$node->safe_psql(
	'postgres', <<~'SQL');
	CREATE EXTENSION evcharge;
	SELECT evcharge.install();
	CREATE TABLE hostile (name text, bytes bytea);
	CREATE TABLE hostile_text (name text, bytes json);
	ALTER TABLE hostile ALTER bytes SET STORAGE EXTERNAL;
	ALTER TABLE hostile_text ALTER bytes SET STORAGE EXTERNAL;
	SQL

my $file = "$PostgreSQL::Test::Utils::tmp_check/hostile.copy";
open(my $handle, '>', $file) or die "$file: $!";
foreach my $name (keys %bytes)
{
	print $handle "$name\t\\\\x",
	  unpack('H*', field(1, 'CP') . $bytes{$name}), "\n";
}
close($handle);
$node->safe_psql('postgres', "\\copy hostile FROM '$file'");
open($handle, '>', $file) or die "$file: $!";
foreach my $name (keys %texts)
{
	print $handle "$name\t", $texts{$name} =~ s/\\/\\\\/gr, "\n";
}
close($handle);
$node->safe_psql('postgres', "\\copy hostile_text FROM '$file'");
unlink($file);

# What a call answers, or the SQLSTATE of its error; and by how much the
# backend grows meanwhile, at its peak.
#
# Before that the call is made on a small value, because what it loads is not
# the value's fault, and the value is read, because buffers are everybody's.
sub measure
{
	my ($call, $small, $from, @settings) = @_;
	my ($stdout, $stderr);

	(my $warm_up = $call) =~ s/\bbytes\b/$small/;
	$node->psql(
		'postgres', <<~"SQL",
		\\set VERBOSITY sqlstate
		SET statement_timeout = '20s';
		@settings
		SELECT $warm_up \\g /dev/null
		SELECT md5(bytes::text) FROM $from \\g /dev/null
		COPY (SELECT 5) TO '/proc/self/clear_refs';
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmRSS:\\s+(\\d+)');
		SELECT $call FROM $from;
		SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\\s+(\\d+)');
		SQL
		stdout => \$stdout,
		stderr => \$stderr,
		on_error_stop => 0);
	my ($before, @answer) = split /\n/, $stdout;
	my $peak = pop @answer;
	my $answer = $stderr =~ /.*ERROR:\s+(\w+)/s ? $1 : $answer[0] // '';

	return ($answer, ($peak - $before) * 1024);
}

# ---------------------------------------------------------------------------
# A megabyte
# ---------------------------------------------------------------------------

my $type = "'ChargePointState'";
my $json = q('{"id":"CP","connectors":{"1":{"id":1,"status":"AVAILABLE"}}}');
my $good = "evcharge.encode(evcharge.from_json($type, $json))";

my @calls = (
	[ hostile => \%bytes, 'decode', $good,
		"evcharge.message_type(evcharge.decode($type, bytes))" ],
	[ hostile => \%bytes, 'validate', $good, "(evcharge.validate($type, bytes)).ok" ],
	[ hostile => \%bytes, 'load_state', $good, 'evcharge.load_state(bytes)' ],
	[
		hostile_text => \%texts, 'from_json', "$json\::json",
		"evcharge.message_type(evcharge.from_json($type, bytes))"
	]);

foreach (@calls)
{
	my ($table, $samples, $name, $small, $call) = @$_;
	my ($worst, $most_grown) = ('', 0);

	foreach my $sample (sort keys %$samples)
	{
		my ($answer, $growth) = measure($call, $small,
			"$table WHERE name = '$sample'");

		# load_state() may find that its structs would be too large
		like($answer, qr/^(|t|f|ChargePointState|OC00[145])$/,
			"$name is made on: $sample");
		cmp_ok($growth, '<=', $most * $size + $slack,
			"$name costs little: $sample");
		($worst, $most_grown) = ($sample, $growth) if $growth > $most_grown;
	}
	diag(sprintf '%s costs at most %.1f times the size: %s',
		$name, $most_grown / $size, $worst);
}

# ---------------------------------------------------------------------------
# More than is allowed
# ---------------------------------------------------------------------------

# 32 MB in memory, as a parameter of a statement is, and stored in a table, from
# where they are fetched first.  What is allocated is compared with what it
# takes to look at them.
my $bytes32 = "convert_to(repeat('\"', 33554432), 'UTF8')";
my $inline = "(SELECT $bytes32 AS bytes OFFSET 0) s";
$node->safe_psql('postgres', "INSERT INTO hostile SELECT 'stored', $bytes32");

foreach my $from ($inline, "hostile WHERE name = 'stored'")
{
	my $where = $from eq $inline ? 'in memory' : 'stored';
	my (undef, $alone) =
	  measure('md5(bytes)', "''", $from);

	foreach (
		[ 'decode', "evcharge.decode($type, bytes)", 'OC004' ],
		[ 'try_decode', "evcharge.try_decode($type, bytes) IS NULL", 't' ],
		[ 'validate', "(evcharge.validate($type, bytes)).sqlstate", 'OC004' ],
		[ 'load_state', 'evcharge.load_state(bytes)', 'OC004' ],
		[ 'load_state with id', "evcharge.load_state('CP', bytes)", 'OC004' ],
		[ 'report_log', "evcharge.report_log('CP', bytes)", 'OC004' ])
	{
		my ($name, $call, $expected, $small) = (@$_, $good);
		my ($answer, $growth) = measure($call, $small, $from,
			"SET evcharge.max_message_size = '1MB';");

		is($answer, $expected, "$name refuses 32 MB $where");
		cmp_ok($growth - $alone, '<=', $slack,
			sprintf '%s allocates nothing for 32 MB %s (%.1f MB)',
			$name, $where, ($growth - $alone) / $size);
	}
}

$node->stop;
done_testing();
