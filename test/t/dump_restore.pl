# A database with state comes back equal from every kind of dump: each table,
# each view's answer, the counters from which the functions go on.  Restoring
# announces nothing, because nothing happens then.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;

my @channels = map { "evcharge_$_" } qw(charge_point connector transaction auth);

my $node = PostgreSQL::Test::Cluster->new('dump_restore');
$node->init(extra => ['--encoding=UTF8']);
# The answers of views must not change while the test runs.
$node->append_conf('postgresql.conf',
	"evcharge.offline_after = 0\nlog_statement = none");
$node->start;

my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $today = $node->safe_psql('postgres', 'SELECT current_date');

# What of a view depends on the time at which it is asked.
my %volatile = (
	active_transaction => 'duration_seconds',
	connector_timeline => 'duration_seconds',
	gateway_health => 'observed_at,notification_queue_percent');
my %where = (
	connector_utilization => "day < '$today 00:00:00+00'");

# Return what a database answers, one line for each table and view of evcharge
# with the number of its rows and their digest.
sub contents
{
	my ($database) = @_;
	my $contents = '';

	my @relations = split /\n/, $node->safe_psql(
		$database, <<~'SQL');
		SELECT relname FROM pg_class
		WHERE relnamespace = 'evcharge'::regnamespace
			AND relkind IN ('r', 'p', 'v')
		ORDER BY relname
		SQL
	foreach my $relation (@relations)
	{
		my $ignored = $volatile{$relation} // '';
		my $where = $where{$relation} // 'true';
		$contents .= "$relation " . $node->safe_psql(
			$database, <<~"SQL") . "\n";
			SELECT count(*), md5(string_agg(line, E'\\n' ORDER BY line))
			FROM (SELECT (to_jsonb(r) - '{$ignored}'::text[])::text AS line
				FROM evcharge.$relation r WHERE $where) lines
			SQL
	}
	return $contents;
}

# Return SQL for the wire bytes of a message.
sub bytes
{
	my ($type, $json) = @_;
	return "evcharge.encode(evcharge.from_json('$type', '$json'))";
}

# Make a call whose answer is a message; return it as JSON.
sub ask
{
	my ($database, $type, $call) = @_;
	return $node->safe_psql($database,
		"SELECT evcharge.to_json(evcharge.decode('$type', evcharge.$call))");
}

# A day of a site, stopped at eleven so that transactions are open; then what
# the replayer does not send: requests, an anomaly, a log, a whole state.
$node->safe_psql('postgres', 'CREATE DATABASE source');
$node->safe_psql('source',
	'CREATE EXTENSION evcharge; SELECT evcharge.install()');
command_ok(
	[
		'examples/replay.py', '--dsn',
		$node->connstr('source'), '--days',
		1, '--until',
		'11:00'
	],
	'replays a morning');

my $alice = '{"chargePointClientId":"CP-A","consumerPublicKey":"alice"}';
my $start =
  '{"chargePointClientId":"CP-A","connectorId":1,"consumerPublicKey":"alice"}';
my $boot = bytes('BootNotificationRequestData',
	'{"chargePointModel":"Gr\u00fcn & \"quoted\"","ChargePointVendor":"Example"}');
my $available = bytes('ConnectorInfo', '{"id":1,"status":"AVAILABLE"}');
my $odd = bytes('ConnectorInfo', '{"id":2,"status":"on fire"}');
my $log = bytes('LogData',
	'{"currentTime":"2024-01-08T10:00:00Z","resp":{"message":"a\nb\tc\\\\d"}}');
my $blocked = bytes('ConsumerAuthData',
	'{"publicKey":"mallory","authData":{"idTag":"T-1","idTagInfo":{"status":"Blocked"}}}'
);
my $state = bytes(
	'ChargePointState', '{"id":"CP-B","status":"AVAILABLE",'
	  . '"connectors":{"1":{"id":1,"status":"CHARGING","currentTransaction":9}},'
	  . '"transactions":{"9":{"id":9,"connectorId":1,"idTag":"T-2",'
	  . '"startTime":"2024-01-08T09:00:00Z","startMeter":5}},'
	  . '"authList":{"T-2":{"publicKey":"bob","transactionId":9,'
	  . '"authData":{"idTag":"T-2","idTagInfo":{"status":"Accepted"}}}},'
	  . '"currentAuthListVersion":3,"currentTransactionId":9}');

$node->safe_psql(
	'source', <<~"SQL");
	SELECT evcharge.boot_notification('CP-A', $boot);
	SELECT evcharge.report_connector('CP-A', $available);
	SELECT evcharge.report_connector('CP-A', $odd);
	SELECT evcharge.report_log('CP-A', $log);
	SELECT evcharge.set_authorization('CP-A', $blocked);
	SELECT evcharge.load_state($state);
	SQL
like(
	ask('source', 'AuthorizeResponseData',
		'authorize(' . bytes('AuthorizeRequestData', $alice) . ')'),
	qr/"consumerPublicKey":"alice"/,
	'authorizes');
my $request = bytes('StartTransactionRequestData', $start);
unlike(
	ask('source', 'StartTransactionResponseData',
		"start_transaction($request, '2024-01-08 10:00+00', 100)"),
	qr/"error":true/,
	'starts');

my $wanted = contents('source');
my $violations = 'SELECT count(*) FROM evcharge.check_integrity()';
note($wanted);
is($node->safe_psql('source', $violations), '0', 'the source is in order');
foreach my $table (
	qw(charge_point connector transaction auth event meter_sample gateway_log))
{
	unlike($wanted, qr/^$table 0\|/m, "there is something in $table");
}
foreach my $view (qw(active_transaction transaction_history anomaly))
{
	unlike($wanted, qr/^$view 0\|/m, "there is something in $view");
}

# A dump carries what users add to the tables, which are theirs.
$node->safe_psql('source',
	    'CREATE INDEX event_by_kind ON evcharge.event (kind);'
	  . 'GRANT SELECT ON evcharge.connector_overview TO pg_monitor');

# Ways to dump a database, and to restore into another.
my %ways = (
	custom => [
		[ 'pg_dump', '--format=custom', "--file=$tmp/dump.custom", 'source' ],
		[ 'pg_restore', '--jobs=4', '--dbname=custom', "$tmp/dump.custom" ]
	],
	directory => [
		[
			'pg_dump', '--format=directory',
			'--jobs=4', "--file=$tmp/dump.directory",
			'source'
		],
		[ 'pg_restore', '--jobs=4', '--dbname=directory', "$tmp/dump.directory" ]
	],
	plain => [
		[ 'pg_dump', '--format=plain', "--file=$tmp/dump.sql", 'source' ],
		[
			'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1',
			"--file=$tmp/dump.sql", 'plain'
		]
	]);

foreach my $way (sort keys %ways)
{
	my ($dump, $restore) = @{ $ways{$way} };

	$node->command_ok($dump, "$way: dumps");
	$node->safe_psql('postgres', "CREATE DATABASE $way");

	my $listener = $node->background_psql($way);
	$listener->query_safe(join ';', map { "LISTEN $_" } @channels);
	$node->command_ok($restore, "$way: restores");
	unlike($listener->query('SELECT 1'),
		qr/Asynchronous notification/, "$way: nothing is announced");

	is(contents($way), $wanted, "$way: every table and view is equal");
	is($node->safe_psql($way, $violations), '0', "$way: no rule is broken");
	is( $node->safe_psql(
			$way, <<~'SQL'),
			SELECT to_regclass('evcharge.event_by_kind') IS NOT NULL,
				has_table_privilege('pg_monitor',
					'evcharge.connector_overview', 'SELECT')
			SQL
		't|t',
		"$way: what users added is there");
	$node->safe_psql($way, 'SELECT evcharge.install()');

	# The functions go on where they were.
	my ($last_transaction, $last_event) = split /\|/, $node->safe_psql($way,
		'SELECT last_transaction_id, last_event_id FROM evcharge.charge_point'
		  . " WHERE charge_point_id = 'CP-A'");
	my $stop = bytes('StopTransactionRequestData', $start);
	like(
		ask( $way, 'StopTransactionResponseData',
			"stop_transaction($stop, '2024-01-08 11:00+00', 1100)"),
		qr/"transactionInfo":\{"id":$last_transaction,/,
		"$way: what was open can be stopped");
	my $again = bytes('AuthorizeRequestData', $alice);
	$node->safe_psql($way,
		"SELECT evcharge.authorize($again); SELECT evcharge.start_transaction($request)");
	is( $node->safe_psql(
			$way, <<~'SQL'),
			SELECT transaction_id FROM evcharge.active_transaction
			WHERE charge_point_id = 'CP-A'
			SQL
		$last_transaction + 1,
		"$way: the next transaction has the next id");
	is( $node->safe_psql(
			$way, <<~"SQL"),
			SELECT min(event_id), max(event_id) - min(event_id) + 1 = count(*)
			FROM evcharge.event
			WHERE charge_point_id = 'CP-A' AND event_id > $last_event
			SQL
		($last_event + 1) . '|t',
		"$way: the next event has the next id");
	like($listener->query('SELECT 1'),
		qr/Asynchronous notification "evcharge_transaction"/,
		"$way: changes are announced again");
	is($node->safe_psql($way, $violations), '0', "$way: still no rule is broken");
	$listener->quit;
}

$node->stop;
done_testing();
