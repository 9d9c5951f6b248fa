# A hot standby answers whatever only reads, as the primary does, and says of
# everything else that it cannot.  A listener may read on there with a cursor of
# the primary.  After a promotion everything goes on: ids, events, cursors.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $primary = PostgreSQL::Test::Cluster->new('primary');
$primary->init(allows_streaming => 1, extra => ['--encoding=UTF8']);
# The answers of views must not change while the test runs.
$primary->append_conf('postgresql.conf',
	"evcharge.offline_after = 0\nlog_statement = none");
$primary->start;

# What a query answers, or the SQLSTATE of its error.
sub answer
{
	my ($node, $query) = @_;
	my ($stdout, $stderr);

	$node->psql('postgres', "\\set VERBOSITY sqlstate\n$query",
		stdout => \$stdout, stderr => \$stderr);
	return $stderr =~ /ERROR:\s+(\w+)/ ? $1 : $stdout;
}

# SQL for the wire bytes of a message.
sub bytes
{
	my ($type, $json) = @_;
	return "evcharge.encode(evcharge.from_json('$type', '$json'))";
}

my $boot = bytes('BootNotificationRequestData', '{"chargePointModel":"M"}');
my $log = bytes('LogData',
	'{"currentTime":"2024-01-08T10:00:00Z","resp":{"message":"hot"}}');
my $progress = bytes('EVChargingStatusData',
	'{"currentOffered":16,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}');
my $blocked = bytes('ConsumerAuthData',
	'{"publicKey":"mallory","authData":{"idTag":"T-1","idTagInfo":{"status":"Blocked"}}}');
my $ended = bytes('TransactionInfo', '{"id":1,"connectorId":1,'
	  . '"startTime":"2024-01-08T08:00:00Z","endTime":"2024-01-08T09:00:00Z","endMeter":900}');
my $state = bytes('ChargePointState',
	'{"id":"CP-3","connectors":{"1":{"id":1,"status":"AVAILABLE"}}}');

sub connector
{
	my ($connector, $status) = @_;
	return bytes('ConnectorInfo', qq({"id":$connector,"status":"$status"}));
}

# The bytes of a request of a consumer.
sub request
{
	my ($name, $id, $connector, $key) = @_;
	return bytes("${name}RequestData", qq({"chargePointClientId":"$id")
		  . ($connector ? qq(,"connectorId":$connector) : '')
		  . ($key ? qq(,"consumerPublicKey":"$key") : '') . '}');
}

# A consumer charges on a connector, from its authorization to the start.
sub start
{
	my ($id, $connector, $key) = @_;
	my $authorize = request('Authorize', $id, 0, $key);
	my $start = request('StartTransaction', $id, $connector, $key);
	return "SELECT evcharge.authorize($authorize);"
	  . "SELECT evcharge.start_transaction($start, '2024-01-08 08:00Z', 100);";
}

sub stop
{
	my ($id, $connector, $key) = @_;
	my $stop = request('StopTransaction', $id, $connector, $key);
	return "SELECT evcharge.stop_transaction($stop, '2024-01-08 09:30Z', 1000);";
}

# Something of everything.
$primary->safe_psql('postgres',
	'CREATE EXTENSION evcharge; SELECT evcharge.install();'
	  . join('', map {
			"SELECT evcharge.boot_notification('$_', $boot);"
			  . "SELECT evcharge.report_connector('$_', ${\connector(1, 'AVAILABLE')});"
			  . "SELECT evcharge.report_connector('$_', ${\connector(2, 'AVAILABLE')});"
	  } 'CP-1', 'CP-2')
	  . start('CP-1', 1, 'alice')
	  . "SELECT evcharge.report_progress('CP-1', 1, $progress, '2024-01-08 08:30Z');"
	  . stop('CP-1', 1, 'alice')
	  . start('CP-1', 2, 'alice')
	  . "SELECT evcharge.report_connector('CP-2', ${\connector(2, 'on fire')});"
	  . "SELECT evcharge.report_log('CP-2', $log);"
	  . "SELECT evcharge.set_authorization('CP-2', $blocked);");

$primary->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($primary, 'base', has_streaming => 1);
$standby->start;
$primary->wait_for_catchup($standby);

# ---------------------------------------------------------------------------
# What only reads
# ---------------------------------------------------------------------------

# What of a view depends on the time or the server at which it is asked.
my %volatile = (
	active_transaction => 'duration_seconds',
	connector_timeline => 'duration_seconds',
	gateway_health => 'observed_at,notification_queue_percent');
my %where = (
	connector_utilization => "day < date_trunc('day', now(), 'UTC')");

sub read_the_same
{
	my ($query, $test_name) = @_;
	my $wanted = answer($primary, $query);

	like($wanted, qr/../, "$test_name: answers");
	is(answer($standby, $query), $wanted, "$test_name: so does the standby");
}

my @relations = split /\n/, answer($primary, <<~'SQL');
	SELECT relname FROM pg_class
	WHERE relnamespace = 'evcharge'::regnamespace AND relkind IN ('r', 'v')
		AND relname <> 'announcer'	-- which is not at work here
	ORDER BY relname
	SQL
foreach my $relation (@relations)
{
	my $ignored = $volatile{$relation} // '';
	my $where = $where{$relation} // 'true';
	my $query = <<~"SQL";
		SELECT to_jsonb(r) - '{$ignored}'::text[]
		FROM evcharge.$relation r WHERE $where ORDER BY 1
		SQL

	if ($relation eq 'integrity')
	{
		is(answer($standby, $query), '', 'integrity: holds on the standby');
		next;
	}
	read_the_same($query, $relation);
}

foreach (
	[ 'a connector that is free', 'CP-2', 1 ],
	[ 'a busy one', 'CP-1', 2 ],
	[ 'an unknown one', 'CP-1', 3 ],
	[ 'an unknown charge point', 'CP-9', 1 ])
{
	my ($what, $id, $connector) = @$_;
	my $check = request('CheckAvailability', $id, $connector);

	foreach my $call (
		"check_availability($check)",
		"check_availability('$id', $check)",
		"handle(evcharge.decode('CheckAvailabilityRequestData', $check))")
	{
		read_the_same("SELECT evcharge.$call", "$what, by " . $call =~ s/\(.*//r);
	}
}
foreach (
	"charge_point_state('CP-1')", "auth_list_changes('CP-1', 0)",
	"auth_list_changes('CP-1', 1)", 'events_since(max_rows => 1000)',
	'notify_mode()', 'online_since()')
{
	my $columns = /^events_since/ ? '(charge_point_id, event_id, kind, new_value)' : 'f::text';
	read_the_same("SELECT $columns FROM evcharge.$_ f", $_);
}
is(answer($standby, 'SELECT * FROM evcharge.check_integrity()'),
	'', 'check_integrity() answers on the standby');

# ---------------------------------------------------------------------------
# What changes state says that the server only reads: 25006,
# read_only_sql_transaction.
# ---------------------------------------------------------------------------

my $authorize = request('Authorize', 'CP-1', 0, 'bob');
my $start = request('StartTransaction', 'CP-2', 1, 'bob');
my $stop = request('StopTransaction', 'CP-1', 2, 'alice');
my $free = connector(1, 'AVAILABLE');
# an Event of that AuthorizeRequestData
my $event = "'\\x08199a010b0a0443502d311203626f62'::bytea";

my %changing = (
	apply_batch => ["ARRAY['CP-1'], ARRAY['ConnectorInfo'], ARRAY[$free]"],
	authorize => [ $authorize, "'CP-1', $authorize" ],
	boot_notification => [ "'CP-1', $boot", "'CP-9', $boot" ],
	expire => ["'CP-1'"],
	grant_access => ["'pg_monitor', 'monitor'"],
	handle => [
		"evcharge.decode('AuthorizeRequestData', $authorize)",
		"'CP-1', evcharge.decode('ConnectorInfo', $free)"
	],
	handle_event => [ $event, "'CP-1', $event" ],
	heartbeat => ["'CP-1'"],
	install => [''],
	load_state => [ $state, "'CP-3', $state" ],
	report_connector => ["'CP-1', $free"],
	report_log => ["'CP-1', $log"],
	report_progress => ["'CP-1', 2, $progress"],
	report_transaction => ["'CP-1', $ended"],
	revoke_access => ["'pg_monitor'"],
	set_authorization => ["'CP-1', $blocked"],
	set_registration => ["'CP-1', 'Rejected'"],
	start_transaction => [ $start, "'CP-2', $start" ],
	stop_transaction => [ $stop, "'CP-1', $stop" ]);

# All functions that are not only read; what install() calls is left out.
foreach my $function (split /\n/, answer($primary, <<~'SQL'))
	SELECT DISTINCT proname FROM pg_proc
	WHERE pronamespace = 'evcharge'::regnamespace AND provolatile = 'v'
		AND proname !~ '^(install|upgrade)_'
	ORDER BY proname
	SQL
{
	foreach my $arguments (@{ $changing{$function} // ['how is it called?'] })
	{
		is(answer($standby, "SELECT evcharge.$function($arguments)"),
			'25006', "$function() says that the standby only reads");
	}
}
is(answer($standby, 'LISTEN evcharge_transaction'),
	'25006', 'so does LISTEN: on a standby events are polled');

# ---------------------------------------------------------------------------
# A listener that goes on at the standby: no event is skipped or comes twice,
# although the standby lags behind and transactions are open.
# ---------------------------------------------------------------------------

# Read what comes after a cursor: the events, as words, and the cursor behind
# them.
sub events_since
{
	my ($node, $cursor, $most) = @_;
	my @events;

	foreach (
		split /\n/,
		answer(
			$node,
			'SELECT charge_point_id, kind, connector_id, new_value, next_cursor'
			  . " FROM evcharge.events_since('$cursor', "
			  . ($most // 1000) . ')'))
	{
		my ($id, $kind, $connector, $value, $next) = split /\|/;
		push @events, "$id/$connector $value";
		$cursor = $next;
	}
	return ($cursor, join ', ', @events);
}

sub report
{
	my ($id, $connector, $status) = @_;
	return "SELECT evcharge.report_connector('$id', ${\connector($connector, $status)})";
}

my ($cursor, $events) = (answer($primary, 'SELECT evcharge.event_cursor()'));
like(answer($standby, 'SELECT evcharge.event_cursor()'),
	qr/^2\//, 'event_cursor() answers on the standby');
answer($standby, 'SELECT pg_wal_replay_pause()');
my $open = $primary->background_psql('postgres');
$open->query_safe('BEGIN; ' . report('CP-1', 1, 'PREPARING'));
$primary->safe_psql('postgres', report('CP-2', 1, 'PREPARING'));
$primary->safe_psql('postgres', report('CP-2', 1, 'AVAILABLE'));

($cursor, $events) = events_since($primary, $cursor, 1);
is($events, 'CP-2/1 Preparing', 'one event is read at the primary');
($cursor, $events) = events_since($standby, $cursor);
is($events, '', 'the standby that lags behind waits');
answer($standby, 'SELECT pg_wal_replay_resume()');
$primary->wait_for_catchup($standby);
($cursor, $events) = events_since($standby, $cursor);
is($events, 'CP-2/1 Available', 'the next comes from the standby');
$open->query_safe('COMMIT');
$primary->wait_for_catchup($standby);
($cursor, $events) = events_since($standby, $cursor);
is($events, 'CP-1/1 Preparing', 'and the one that was committed late');
is((events_since($primary, $cursor))[1], '', 'which the primary knows was read');

# A transaction with so many subtransactions that a standby does not keep track
# of them.
$open->query_safe('BEGIN; DO $$ BEGIN FOR i IN 1 .. 100 LOOP BEGIN'
	  . " PERFORM evcharge.report_connector('CP-1', CASE i % 2"
	  . " WHEN 0 THEN ${\connector(1, 'PREPARING')}"
	  . " ELSE ${\connector(1, 'AVAILABLE')} END);"
	  . ' EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$');
$primary->safe_psql('postgres', report('CP-2', 1, 'PREPARING'));
my ($ahead, $late) = events_since($primary, $cursor);
is($late, 'CP-2/1 Preparing', 'the primary tells what is committed');
$primary->wait_for_catchup($standby);
is((events_since($standby, $cursor))[1],
	'', 'the standby tells it when nothing older can come any more');
is((events_since($standby, $ahead))[1], '', 'nor does it pass anything over');
$open->query_safe('COMMIT');
$primary->wait_for_catchup($standby);
my $large = join ', ',
  map { 'CP-1/1 ' . ($_ % 2 ? 'Available' : 'Preparing') } 1 .. 100;
is((events_since($standby, $ahead))[1], $large, 'then it has what is missing');
($cursor, $events) = events_since($standby, $cursor);
is($events, "$large, CP-2/1 Preparing", 'and everything, once');

# ---------------------------------------------------------------------------
# The primary dies in the middle of a transaction, the standby takes its place.
# ---------------------------------------------------------------------------

my $identifier = 'SELECT system_identifier FROM pg_control_system()';
my $ids = <<~'SQL';
	SELECT last_transaction_id, last_event_id FROM evcharge.charge_point
	WHERE charge_point_id = 'CP-1'
	SQL
my ($last_transaction, $last_event) = split /\|/, answer($primary, $ids);
my $cluster = answer($primary, $identifier);

$open->query_safe('BEGIN; ' . report('CP-1', 1, 'FAULTED'));
$primary->safe_psql('postgres', report('CP-2', 1, 'FINISHING'));
$primary->wait_for_catchup($standby);
my $before = $cursor;
($cursor, $events) = events_since($primary, $cursor);
is($events, 'CP-2/1 Finishing', 'a listener reads from the primary');

# What the standby does not get is no event, but takes transaction ids.
$standby->stop;
$primary->safe_psql('postgres',
	join ';', ("SELECT evcharge.heartbeat('CP-2')") x 10);
my $end = answer($primary, 'SELECT evcharge.event_cursor()');
$primary->stop('immediate');
$open->quit;
$standby->start;
$standby->promote;

# Ids go on where the old primary was, and so does who listens.
is(answer($standby, $identifier), $cluster, 'it is the same cluster still');
is(answer($standby, $ids), "$last_transaction|$last_event",
	'what was not committed is not there');
my $listener = $standby->background_psql('postgres');
$listener->query_safe('LISTEN evcharge_transaction');
$standby->safe_psql('postgres', stop('CP-1', 2, 'alice')
	  . start('CP-1', 2, 'bob') . report('CP-2', 1, 'AVAILABLE'));
is(answer($standby, $ids),
	join('|', $last_transaction + 1, $last_event + 4),
	'the next transaction and the next events have the next ids');
like($listener->query('SELECT 1'),
	qr/"evcharge_transaction".*"transaction_id":${\($last_transaction + 1)}\b/s,
	'which are announced');
$listener->quit;
is(answer($standby, 'SELECT * FROM evcharge.check_integrity()'),
	'', 'no rule is broken');
is(answer($standby, $changing{apply_batch}[0] =~ s/(.*)/SELECT evcharge.apply_batch($1)/r),
	'', 'functions that change state work');

# A cursor of the old primary goes on at the new one, which has all events that
# were before it; also one from when the old one was ahead by transactions
# without events, whose ids are given to others now.
my @new = (
	'CP-1/ ', 'CP-1/ Accepted', 'CP-1/1 Available', 'CP-1/2 ', 'CP-1/2 Remote',
	'CP-2/1 Available');
foreach (
	[ $before, 'some time before', 'CP-2/1 Finishing' ],
	[ $cursor, 'the last event' ],
	[ $end, 'when it died' ])
{
	my ($from, $when, @more) = @$_;

	(undef, $events) = events_since($standby, $from);
	is( join(', ', sort split /, /, $events),
		join(', ', @new, @more),
		"a cursor of the old primary from $when goes on");
}

$standby->stop;
done_testing();
