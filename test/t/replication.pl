# Logical replication carries the whole state into another cluster: rows that
# were there and rows that come, updates and deletes.  Nothing is announced
# there, because nothing happens there.  After a switch-over everything goes on:
# ids, announcements, and listeners with cursors of the publisher.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my @tables = sort
  qw(charge_point connector transaction auth event meter_sample gateway_log);
my @channels = map { "evcharge_$_" } qw(charge_point connector transaction auth);

# The answers of views must not change while the test runs.
my ($publisher, $subscriber) = map {
	my $node = PostgreSQL::Test::Cluster->new($_);
	$node->init(allows_streaming => 'logical', extra => ['--encoding=UTF8']);
	$node->append_conf('postgresql.conf',
		"evcharge.offline_after = 0\nlog_statement = none");
	$node->start;
	$node->safe_psql('postgres',
		'CREATE EXTENSION evcharge; SELECT evcharge.install()');
	$node;
} 'publisher', 'subscriber';

# What a query answers.
sub answer
{
	my ($node, $query) = @_;
	return $node->safe_psql('postgres', $query);
}

# SQL for the wire bytes of a message.
sub bytes
{
	my ($type, $json) = @_;
	return "evcharge.encode(evcharge.from_json('$type', '$json'))";
}

# What of a view depends on the time or the server at which it is asked.
my %volatile = (
	active_transaction => 'duration_seconds',
	connector_timeline => 'duration_seconds',
	gateway_health => 'observed_at,notification_queue_percent');
my %where = (
	connector_utilization => "day < date_trunc('day', now(), 'UTC')");

# Return what a server has in its tables and answers from its views, one line
# for each with the number of rows and their digest.
sub contents
{
	my ($node) = @_;

	return join "\n", map {
		my $ignored = $volatile{$_} // '';
		my $where = $where{$_} // 'true';
		"$_ " . answer($node, <<~"SQL")
			SELECT count(*), md5(string_agg(line, E'\\n' ORDER BY line))
			FROM (SELECT (to_jsonb(r) - '{$ignored}'::text[])::text AS line
				FROM evcharge.$_ r WHERE $where) lines
			SQL
	} split /\n/, answer($node, <<~'SQL');
		SELECT relname FROM pg_class
		WHERE relnamespace = 'evcharge'::regnamespace AND relkind IN ('r', 'v')
		ORDER BY relname
		SQL
}

# Read what comes after a cursor: charge points and numbers of the events in
# their order, and the cursor behind them.
sub events_since
{
	my ($node, $cursor, $most) = @_;
	my @events;

	$most //= 1000;
	foreach (split /\n/, answer($node, <<~"SQL"))
		SELECT charge_point_id, event_id, next_cursor
		FROM evcharge.events_since($cursor, $most)
		SQL
	{
		my ($id, $event, $next) = split /\|/;
		push @events, "$id:$event";
		$cursor = "'$next'";
	}
	return ($cursor, join ' ', @events);
}

# ---------------------------------------------------------------------------
# What happens
# ---------------------------------------------------------------------------

my $boot = bytes('BootNotificationRequestData', '{"chargePointModel":"M"}');
my $log = bytes('LogData',
	'{"currentTime":"2024-01-08T10:00:00Z","resp":{"message":"a\nb\tc\\\\\\\\d"}}');
my $progress = bytes('EVChargingStatusData',
	'{"currentOffered":16.1,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}');
my $blocked = bytes('ConsumerAuthData',
	'{"publicKey":"mallory","authData":{"idTag":"T-1","idTagInfo":{"status":"Blocked"}}}');

sub report
{
	my ($id, $connector, $status) = @_;
	my $info = bytes('ConnectorInfo', qq({"id":$connector,"status":"$status"}));
	return "SELECT evcharge.report_connector('$id', $info);";
}

# A consumer is authorized and charges, and perhaps ends that.
sub start
{
	my ($id, $connector, $key) = @_;
	my $keys = qq("chargePointClientId":"$id","consumerPublicKey":"$key");
	my $authorize = bytes('AuthorizeRequestData', "{$keys}");
	my $start = bytes('StartTransactionRequestData', qq({$keys,"connectorId":$connector}));
	return "SELECT evcharge.authorize($authorize);"
	  . "SELECT evcharge.start_transaction($start, '2024-01-08 08:00Z', 100);";
}

sub stop
{
	my ($id, $connector, $key) = @_;
	my $stop = bytes('StopTransactionRequestData', qq({"chargePointClientId":"$id",)
		  . qq("consumerPublicKey":"$key","connectorId":$connector}));
	return "SELECT evcharge.stop_transaction($stop, '2024-01-08 09:30Z', 1000);";
}

# A charge point from its first boot on, with something in every table.
sub life
{
	my ($id) = @_;
	return "SELECT evcharge.boot_notification('$id', $boot);"
	  . report($id, 1, 'AVAILABLE') . report($id, 2, 'on fire')
	  . start($id, 1, 'alice')
	  . "SELECT evcharge.report_progress('$id', 1, $progress, '2024-01-08 08:30Z');"
	  . stop($id, 1, 'alice') . start($id, 1, 'alice')
	  . "SELECT evcharge.report_log('$id', $log);"
	  . "SELECT evcharge.set_authorization('$id', $blocked);";
}

# What it has is changed and deleted: of the transaction, the connectors, the
# list; entries that left the list are forgotten.
sub death
{
	my ($id) = @_;
	my $state = bytes('ChargePointState',
		qq({"id":"$id","connectors":{"1":{"id":1,"status":"AVAILABLE"}}}));
	return stop($id, 1, 'alice')
	  . 'SET evcharge.auth_list_history = 0;'
	  . "SELECT evcharge.load_state($state);";
}

# ---------------------------------------------------------------------------
# The subscriber gets what is there, and then what comes.
# ---------------------------------------------------------------------------

# Each table has a primary key, which is all that replication needs to find the
# row to change.
is( answer($publisher, <<~'SQL'),
		SELECT string_agg(relname, ' ' ORDER BY relname)
		FROM pg_class c JOIN pg_constraint p
			ON p.conrelid = c.oid AND p.contype = 'p'
		WHERE c.relnamespace = 'evcharge'::regnamespace
			AND c.relkind = 'r' AND c.relreplident = 'd'
			AND relname <> 'announcer'	-- which means nothing elsewhere
		SQL
	"@tables",
	'the seven tables are found by their primary keys');

answer($publisher, life('CP-1') . life('CP-2'));
answer($publisher, 'CREATE PUBLICATION charging FOR TABLES IN SCHEMA evcharge');
my $listener = $subscriber->background_psql('postgres');
$listener->query_safe(join ';', map { "LISTEN $_" } @channels);
answer($subscriber, 'CREATE SUBSCRIPTION charging CONNECTION \''
	  . $publisher->connstr('postgres') =~ s/'/''/gr
	  . '\' PUBLICATION charging');
$subscriber->wait_for_subscription_sync($publisher, 'charging');

my $copied = contents($publisher);
unlike($copied, qr/^(${\join '|', @tables}) 0\|/m, 'there is something in every table');
is(contents($subscriber), $copied, 'what was there is copied');

answer($publisher, life('CP-3') . death('CP-2') . "SELECT evcharge.heartbeat('CP-1')");
is( answer($publisher, <<~'SQL'), '0|0|2', 'rows were deleted and updated');
	SELECT (SELECT count(*) FROM evcharge.connector
			WHERE charge_point_id = 'CP-2' AND connector_id = 2),
		(SELECT count(*) FROM evcharge.auth WHERE charge_point_id = 'CP-2'),
		(SELECT count(*) FROM evcharge.transaction_history
			WHERE charge_point_id = 'CP-2')
	SQL
$publisher->wait_for_catchup('charging');
my $wanted = contents($publisher);
isnt($wanted, $copied, 'something has come');
is(contents($subscriber), $wanted, 'what comes is carried over');
is(answer($subscriber, 'SELECT * FROM evcharge.check_integrity()'),
	'', 'no rule is broken on the subscriber');

# Functions that read answer there.
foreach my $call (
	q{evcharge.charge_point_state('CP-1')},
	q{evcharge.auth_list_changes('CP-1', 0)},
	'evcharge.check_availability(' . bytes('CheckAvailabilityRequestData',
		'{"chargePointClientId":"CP-2","connectorId":1}') . ')')
{
	is(answer($subscriber, "SELECT $call"), answer($publisher, "SELECT $call"),
		$call =~ s/\(.*//r . '() answers the same');
}

# What the listener there has heard until another notification, which comes last.
sub heard
{
	my $heard = '';

	answer($subscriber, q{NOTIFY evcharge_auth, 'the end'});
	$heard .= $listener->query('SELECT') until $heard =~ /"the end"/;
	return join ' ', sort $heard =~ /notification "(\w+)"/g;
}
is(heard(), 'evcharge_auth', 'and nothing of all that is announced there');

# ---------------------------------------------------------------------------
# Events are followed at the publisher.  The subscriber has them, too, but in
# the order of the publisher's transaction ids, with nothing that tells which are
# still to come: one that comes behind a later one which was read is passed over.
# ---------------------------------------------------------------------------

my ($at_publisher, $events) = events_since($publisher, 'NULL', 20);
my ($at_subscriber, $all) = events_since($subscriber, 'NULL');
like($all, qr/^\Q$events\E /, 'the subscriber tells the same events in the same order');
my ($behind, $rest) = events_since($publisher, $at_publisher);
is("$events $rest", $all, 'all that there are');
is((events_since($subscriber, $at_publisher))[1],
	$rest, 'a cursor of the publisher goes on at the subscriber');

# Now one that is read at the publisher, around a transaction that is open.
my $open = $publisher->background_psql('postgres');
$open->query_safe('BEGIN; ' . report('CP-1', 1, 'PREPARING'));
answer($publisher, report('CP-3', 1, 'PREPARING'));
($behind, $events) = events_since($publisher, $behind);
is($events, 'CP-3:15', 'a listener at the publisher reads on');
$open->query_safe('COMMIT');
answer($publisher, report('CP-3', 1, 'AVAILABLE'));
$publisher->wait_for_catchup('charging');
is((events_since($subscriber, $at_subscriber))[1],
	'CP-1:15 CP-3:15 CP-3:16', 'and so does a cursor of the subscriber');

# ---------------------------------------------------------------------------
# The switch-over: the subscriber has everything and goes on alone.
# ---------------------------------------------------------------------------

$wanted = contents($publisher);
answer($subscriber, 'DROP SUBSCRIPTION charging');
$open->quit;
$publisher->stop;
is(contents($subscriber), $wanted, 'the subscriber has everything');
is(heard(), 'evcharge_auth', 'of which still nothing was announced');

my $ids = <<~'SQL';
	SELECT last_transaction_id, last_event_id, auth_list_version
	FROM evcharge.charge_point WHERE charge_point_id = 'CP-1'
	SQL
my ($transaction, $event, $version) = split /\|/, answer($subscriber, $ids);
answer($subscriber, stop('CP-1', 1, 'alice') . start('CP-1', 1, 'bob'));
is( answer($subscriber, $ids),
	join('|', $transaction + 1, $event + 4, $version + 2),
	'the counters go on from there');
is( answer($subscriber, <<~'SQL'),
	SELECT transaction_id, ended_at IS NULL FROM evcharge.transaction
	WHERE charge_point_id = 'CP-1' ORDER BY 1
	SQL
	"1|f\n2|f\n3|t",
	'no transaction id is given twice');
is( heard(),
	join(' ', map { "evcharge_$_" } qw(auth auth auth transaction transaction)),
	'what is done there is announced there');
is(answer($subscriber, 'SELECT * FROM evcharge.check_integrity()'),
	'', 'no rule is broken');

# The listener takes its cursor along: the events that it has not read yet, then
# those of the other cluster.
is((events_since($subscriber, $behind))[1],
	'CP-1:15 CP-3:16 CP-1:16 CP-1:17 CP-1:18 CP-1:19',
	'a listener goes on with the cursor of the publisher, and misses nothing');

$listener->quit;
$subscriber->stop;
done_testing();
