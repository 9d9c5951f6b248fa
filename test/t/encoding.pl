# Calls in databases that do not store UTF-8, which the wire always is.
#
# LATIN1: text is converted both ways.  A character that the encoding lacks is
# an error, 22P05, that changes nothing.
#
# SQL_ASCII: text is taken and given as it is.  What came over the wire is
# UTF-8; whoever passes other bytes as text can store them, but not send them.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PGCLIENTENCODING} = 'UTF8';

my $node = PostgreSQL::Test::Cluster->new('encoding');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;

foreach my $encoding ('LATIN1', 'SQL_ASCII')
{
	my $database = lc $encoding;

	$node->safe_psql('postgres',
		"CREATE DATABASE $database ENCODING '$encoding'"
		  . " LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
	$node->safe_psql($database,
		'CREATE EXTENSION evcharge; SELECT evcharge.install()');
}

# Strings as UTF-8: a charge point, a consumer, and one with a euro sign, which
# LATIN1 lacks.
my $saeule = "S\xc3\xa4ule";
my $cle = "cl\xc3\xa9";
my $euro = "\xe2\x82\xac";

# A field of a message with such a string, as hexadecimal digits.
sub field
{
	my ($number, $string) = @_;
	return unpack 'H*', chr($number << 3 | 2) . chr(length $string) . $string;
}

# What a query answers, or the SQLSTATE of its error.
sub answer
{
	my ($database, $query) = @_;
	my ($stdout, $stderr);

	$node->psql($database, "\\set VERBOSITY sqlstate\n$query",
		stdout => \$stdout, stderr => \$stderr);
	return $stderr =~ /ERROR:\s+(\w+)/ ? $1 : $stdout;
}

# What all tables and counters hold.
sub state_of
{
	my ($database) = @_;
	return answer($database,
		'SELECT (SELECT md5(string_agg(c::text, E\'\\n\' ORDER BY c::text))'
		  . ' FROM evcharge.charge_point c),'
		  . ' (SELECT count(*) FROM evcharge.event),'
		  . ' (SELECT count(*) FROM evcharge.auth),'
		  . ' (SELECT count(*) FROM evcharge.gateway_log)');
}

foreach my $database ('latin1', 'sql_ascii')
{
	my $stored = $database eq 'latin1' ? 1 : 2;    # bytes of a letter
	my $key = field(1, $saeule) . field(2, $cle);

	# Each call takes the name as text and in the bytes.
	is( answer($database,
			"SELECT evcharge.to_json(evcharge.decode('LogData',"
			  . " evcharge.boot_notification('$saeule', '\\x"
			  . field(2, $saeule) . "'))) #>> '{resp,message}'"),
		'Accepted',
		"$database: boot_notification() takes a name with an umlaut");
	is( answer($database,
			"SELECT evcharge.report_connector('$saeule', '\\x08011209"
			  . unpack('H*', 'AVAILABLE') . "')"),
		'',
		"$database: report_connector()");
	my $response = answer($database,
		"SELECT encode(evcharge.authorize('\\x$key'), 'hex')");
	is($response, field(1, $cle) . '1200',
		"$database: authorize() answers with the same bytes");
	is( answer($database,
			"SELECT encode(evcharge.authorize('$saeule', '\\x$key'), 'hex')"),
		$response,
		"$database: and takes the name as text besides");
	is( answer($database,
			'SELECT consumer_key, octet_length(consumer_key),'
			  . ' octet_length(charge_point_id) FROM evcharge.auth'),
		"$cle|" . (2 + $stored) . '|' . (4 + $stored),
		"$database: what is stored is in the encoding of the database");

	# A status that OCPP does not know is kept as text.
	is( answer($database,
			"SELECT evcharge.report_connector('$saeule', '\\x0802"
			  . field(2, $cle) . "')"),
		'',
		"$database: report_connector() with an odd status");
	like(
		answer($database,
			"SELECT a::text FROM evcharge.anomaly a"
			  . " WHERE reason = 'unknown_status'"),
		qr/,$cle,/,
		"$database: which is in the anomaly");
	is( answer($database,
			"SELECT evcharge.report_log('$saeule', '\\x120812064772c3bc6e21')"),
		'',
		"$database: report_log()");
	is( answer($database,
			'SELECT message, octet_length(message) FROM evcharge.gateway_log'),
		"Gr\xc3\xbcn!|" . (4 + $stored),
		"$database: which is in the log");

	# What goes out is UTF-8 again.
	like(
		answer($database,
			"SELECT encode(evcharge.encode(evcharge.charge_point_state("
			  . "'$saeule')), 'hex')"),
		qr/^@{[field(1, $saeule)]}.*@{[field(1, $cle)]}/,
		"$database: charge_point_state() has the bytes of UTF-8");
	is( answer($database,
			"SELECT evcharge.load_state(evcharge.encode("
			  . "evcharge.charge_point_state('$saeule')))"),
		'',
		"$database: load_state() takes them");
	my $events = answer($database,
		"SELECT count(*), count(*) FILTER (WHERE position('\\x"
		  . unpack('H*', $saeule)
		  . "'::bytea IN evcharge.state_change(e)) > 0)"
		  . ' FROM evcharge.event e');
	like($events, qr/^(\d+)\|\1$/,
		"$database: each event is announced with them ($events)");
	is( answer($database,
			"SELECT count(*) = (SELECT count(*) FROM evcharge.event)"
			  . " FROM evcharge.events_since()"
			  . " WHERE charge_point_id = '$saeule'"),
		't',
		"$database: the feed has each event under the name");
}

# ---------------------------------------------------------------------------
# A character that the encoding lacks
# ---------------------------------------------------------------------------

my %calls = (
	'authorize' => "evcharge.authorize('\\x"
	  . field(1, $saeule) . field(2, $euro) . "')",
	'report_connector' => "evcharge.report_connector('$saeule', '\\x0802"
	  . field(2, $euro) . "')",
	'report_log' => "evcharge.report_log('$saeule', '\\x1205"
	  . field(2, $euro) . "')",
	'load_state' => "evcharge.load_state('\\x" . field(1, "CP$euro") . "')");
foreach my $name (sort keys %calls)
{
	my $before = state_of('latin1');

	is(answer('latin1', "SELECT $calls{$name}"),
		'22P05', "latin1: $name() refuses a euro sign");
	is(state_of('latin1'), $before, "latin1: $name() has changed nothing");
	like(answer('sql_ascii', "SELECT $calls{$name} IS NULL"),
		qr/^[tf]$/, "sql_ascii: $name() takes a euro sign");
}
is( answer('sql_ascii',
		"SELECT octet_length(message) FROM evcharge.gateway_log"
		  . " WHERE message = '$euro'"),
	3,
	'sql_ascii: the euro sign is stored as UTF-8');

# A value can hold it: it is only not text.
is( answer('latin1',
		"SELECT m, evcharge.encode(m) FROM evcharge.decode('Response', '\\x"
		  . field(2, $euro) . "') m"),
	'{"@type":"type.googleapis.com/gateway.Response","message":"\u20ac"}|\x'
	  . field(2, $euro),
	'latin1: a message with a euro sign is an escape in JSON');

# ---------------------------------------------------------------------------
# Text that is not UTF-8, which only SQL_ASCII takes
# ---------------------------------------------------------------------------

my $latin = "convert_from('\\x53e4756c65', 'SQL_ASCII')";
is( answer('sql_ascii', "SELECT evcharge.heartbeat($latin) IS NOT NULL"),
	't', 'sql_ascii: a name that is not UTF-8 is a name');
is( answer('sql_ascii', "SELECT evcharge.charge_point_state($latin)"),
	'22021', 'sql_ascii: but it cannot be sent in a message');

foreach my $database ('latin1', 'sql_ascii')
{
	is(answer($database, 'SELECT * FROM evcharge.check_integrity()'),
		'', "$database: check_integrity() finds nothing");
}

$node->stop;
done_testing();
