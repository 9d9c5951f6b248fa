# Servers and backends that are killed in the middle of calls lose nothing and
# leave nothing half-done.
#
# Eight clients, two on each of four charge points, charge without end: the
# calls of a client are numbered, and each call's number can be told from what
# it leaves in the tables.  A client that lost its server begins again with the
# call that was not answered, as a gateway does.

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $clients = 8;
my $charge_points = 4;

my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $node = PostgreSQL::Test::Cluster->new('crash');
$node->init(extra => ['--encoding=UTF8']);
# A server that was killed loses what its WAL writer had not written yet; let
# that be much.
$node->append_conf('postgresql.conf', <<~'CONF');
	restart_after_crash = on
	wal_writer_delay = 10s
	synchronous_commit = on
	log_statement = none
	CONF
$node->start;

# What a query answers.
sub answer
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Every charge point is there, with its connectors.  Calls 4n to 4n + 3 of a
# client authorize, start, report progress and stop; the session has n as its
# meter and in its times.  A call that ends a transaction stands still, after it
# wrote most of what it has to write, while somebody holds a lock exclusively.
answer(<<~"SQL");
	CREATE EXTENSION evcharge;
	SELECT evcharge.install();

	CREATE TABLE client AS
	SELECT i AS client, 'CP-' || i / 2 AS charge_point_id,
		i % 2 + 1 AS connector_id, 'client-' || i AS consumer_key, 0 AS answered
	FROM generate_series(0, $clients - 1) i;

	CREATE FUNCTION bytes(type text, fields json) RETURNS bytea LANGUAGE sql
	RETURN evcharge.encode(evcharge.from_json(type, fields, true));
	CREATE FUNCTION boot(charge_point_id text) RETURNS bytea LANGUAGE sql
	RETURN evcharge.boot_notification(charge_point_id,
		bytes('BootNotificationRequestData', '{"chargePointModel":"M"}'));
	SELECT boot(charge_point_id) FROM client WHERE connector_id = 1;
	SELECT evcharge.report_connector(charge_point_id, bytes('ConnectorInfo',
		json_build_object('id', connector_id, 'status', 'AVAILABLE')))
	FROM client;

	CREATE FUNCTION call(c client, call int) RETURNS json
	LANGUAGE plpgsql AS \$\$
	DECLARE
		n int := call / 4;
		at timestamptz := to_timestamp(n * 60);
		keys json := json_build_object('chargePointClientId', c.charge_point_id,
			'connectorId', c.connector_id, 'consumerPublicKey', c.consumer_key);
	BEGIN
		CASE call % 4
		WHEN 0 THEN
			RETURN evcharge.to_json(evcharge.decode('AuthorizeResponseData',
				evcharge.authorize(bytes('AuthorizeRequestData', keys))));
		WHEN 1 THEN
			RETURN evcharge.to_json(evcharge.decode('StartTransactionResponseData',
				evcharge.start_transaction(
					bytes('StartTransactionRequestData', keys), at, n)));
		WHEN 2 THEN
			PERFORM evcharge.report_progress(t.charge_point_id, t.transaction_id,
				bytes('EVChargingStatusData', '{"currentOffered":16}'), at)
			FROM evcharge.active_transaction t
			WHERE (t.charge_point_id, t.connector_id)
				= (c.charge_point_id, c.connector_id);
			RETURN '{"resp":{}}';
		WHEN 3 THEN
			RETURN evcharge.to_json(evcharge.decode('StopTransactionResponseData',
				evcharge.stop_transaction(
					bytes('StopTransactionRequestData', keys), at, n + 1)));
		END CASE;
	END \$\$;

	CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS \$\$
	BEGIN
		PERFORM pg_advisory_xact_lock_shared(7);
		RETURN NULL;
	END \$\$;
	CREATE TRIGGER stand_still AFTER INSERT ON evcharge.event
	FOR EACH ROW WHEN (NEW.kind = 'transaction_ended')
	EXECUTE FUNCTION stand_still();
	SQL

# Wait until something is so.
sub wait_until
{
	my ($what, $is_so) = @_;
	my $attempts = 10 * $PostgreSQL::Test::Utils::timeout_default;

	until (&$is_so)
	{
		die "not so: $what" unless --$attempts;
		usleep(100_000);
	}
}

# Kill the postmaster.
sub kill_postmaster
{
	my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;

	$node->kill9;
	wait_until('the postmaster is gone', sub { !kill(0, $pid) });
}

# Start it again; that fails while anything is left of the one before.
sub start_again
{
	wait_until('the server starts', sub { $node->start(fail_ok => 1) });
}

# ---------------------------------------------------------------------------
# The clients
# ---------------------------------------------------------------------------

my @answered = (0) x $clients;    # how many of its calls have been

# Start a client that makes its calls up to a number, one by one; a line of its
# output is a call that was answered.
sub start_client
{
	my ($client, $until) = @_;
	my $file = "$tmp/crash.$client";

	open(my $script, '>', "$file.sql") or die "$file.sql: $!";
	print $script "SELECT $_, call(c, $_) FROM client c WHERE client = $client;\n"
	  foreach $answered[$client] .. $until - 1;
	close($script);
	return IPC::Run::start(
		[
			'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', "$file.sql", '-d',
			$node->connstr('postgres')
		],
		'>',
		"$file.out",
		'2>',
		"$file.err");
}

# Wait until the clients are gone, all for the same reason, and take down which
# of their calls were answered.  The response to what is granted is empty.
sub finish_clients
{
	my ($what, $how, @running) = @_;
	my (@ends, @odd);

	foreach my $client (0 .. $clients - 1)
	{
		push @ends, $running[$client]->full_result(0) >> 8;
		foreach (split /\n/, slurp_file("$tmp/crash.$client.out"))
		{
			push @odd, "$client: $_"
			  unless /^(\d+)\|\{.*"resp":\{\}\}$/
			  && $1 == $answered[$client]++;
		}
	}
	is(join(' ', @ends), join(' ', ($how) x $clients), "$what: clients end")
	  or diag(map { slurp_file("$tmp/crash.$_.err") } 0 .. $clients - 1);
	is(join("\n", @odd), '', "$what: every answer was good");
	answer(join ';', map {
			"UPDATE client SET answered = $answered[$_] WHERE client = $_"
	} 0 .. $clients - 1) if $node->poll_query_until('postgres', 'SELECT true');
}

# ---------------------------------------------------------------------------
# The reader: passes its cursor on, whatever happens to the server meanwhile.
# ---------------------------------------------------------------------------

my $cursor = 'NULL';
my %read;

# Read some events, and tell whether there were any.
sub read_events
{
	my ($most) = @_;
	my @rows = split /\n/,
	  answer('SELECT charge_point_id, event_id, next_cursor'
		  . " FROM evcharge.events_since($cursor, $most)");

	foreach (@rows)
	{
		my ($id, $event, $next) = split /\|/;
		$read{"$id $event"}++;
		$cursor = "'$next'";
	}
	return @rows > 0;
}

# Read all that there is.
sub read_all_events
{
	while (read_events(1000)) { }
}

# ---------------------------------------------------------------------------
# What must be true whenever the clients have gone
# ---------------------------------------------------------------------------

sub check
{
	my ($what) = @_;

	# What the tables have of a client are its calls from the first on without
	# a gap and without one twice: all that were answered, and at most the one
	# that was not.  Who starts was authorized, each time under a tag of its own.
	is(answer(<<~'SQL'), '', "$what: answered calls are there, each once");
		WITH t AS (
			SELECT client, t.*
			FROM evcharge.transaction t
				JOIN client USING (charge_point_id, connector_id, consumer_key)
		), done AS (
			SELECT client, start_meter * 4 + 1 AS call FROM t
			UNION ALL SELECT client, start_meter * 4 FROM t
				WHERE id_tag IS NOT NULL
			UNION ALL SELECT client,
					extract(epoch FROM sampled_at)::int / 60 * 4 + 2
				FROM t JOIN evcharge.meter_sample
					USING (charge_point_id, transaction_id)
			UNION ALL SELECT client, (end_meter - 1) * 4 + 3 FROM t
				WHERE ended_at IS NOT NULL
			UNION ALL SELECT client, (SELECT count(*)::int * 4 FROM t
					WHERE t.client = c.client)
				FROM client c JOIN evcharge.auth
					USING (charge_point_id, consumer_key)
				WHERE removed_at IS NULL AND auth.transaction_id IS NULL
		)
		SELECT client, answered, count(call), min(call), max(call)
		FROM client LEFT JOIN done USING (client)
		GROUP BY client, answered
		HAVING count(call) NOT IN (answered, answered + 1)
			OR count(DISTINCT call) <> count(call)
			OR max(call) <> count(call) - 1
		ORDER BY client
		SQL

	# An event for each of them, none for anything else.
	is(answer(<<~'SQL'), '', "$what: every change has its event");
		WITH change AS (
			SELECT charge_point_id, id, kind
			FROM evcharge.transaction CROSS JOIN LATERAL (VALUES
				(transaction_id, 'transaction_started', true),
				(transaction_id, 'transaction_ended', ended_at IS NOT NULL),
				(NULL, 'auth_added', true),
				(NULL, 'auth_removed', ended_at IS NOT NULL)) c (id, kind, is_so)
			WHERE is_so
			UNION ALL SELECT charge_point_id, transaction_id, 'transaction_progress'
			FROM evcharge.meter_sample
			UNION ALL SELECT charge_point_id, NULL, 'auth_added'
			FROM evcharge.auth WHERE removed_at IS NULL AND transaction_id IS NULL
		), event AS (
			SELECT charge_point_id, transaction_id, kind FROM evcharge.event
			WHERE kind ~ '^(transaction|auth|anomaly)'
		)
		(TABLE change EXCEPT ALL TABLE event)
		UNION ALL (TABLE event EXCEPT ALL TABLE change)
		SQL

	# Ids and list versions without gaps; check_integrity() looks at the events'.
	is(answer(<<~'SQL'), '', "$what: counters are what they count");
		SELECT charge_point_id, last_transaction_id, auth_list_version, t.*, e.*
		FROM evcharge.charge_point p
			CROSS JOIN LATERAL (SELECT count(*), max(transaction_id)
				FROM evcharge.transaction
				WHERE charge_point_id = p.charge_point_id) t
			CROSS JOIN LATERAL (SELECT count(*) FROM evcharge.event
				WHERE charge_point_id = p.charge_point_id AND kind ~ '^auth') e
		WHERE (last_transaction_id, last_transaction_id, auth_list_version)
			<> (t.count, t.max, e.count)
		SQL
	is(answer('SELECT * FROM evcharge.check_integrity()'),
		'', "$what: no rule is broken");
}

# ---------------------------------------------------------------------------
# Four crashes
# ---------------------------------------------------------------------------

foreach my $round (
	[ 'a backend in the middle of a call', 1, 0 ],
	[ 'the postmaster in the middle of calls', 1, 1 ],
	[ 'a backend at work', 0, 0 ],
	[ 'the postmaster at work', 0, 1 ])
{
	my ($victim, $stopped, $postmaster) = @$round;
	my $what = "kill -9 of $victim";
	my $events = answer('SELECT max(last_event_id) FROM evcharge.charge_point');
	my @running = map { start_client($_, $answered[$_] + 10_000) } 0 .. $clients - 1;
	my $brake;

	# Every charge point has seen something.
	$node->poll_query_until('postgres',
		"SELECT min(last_event_id) > $events + 100 FROM evcharge.charge_point")
	  or die 'the clients do nothing';
	read_events(150);
	if ($stopped)
	{
		# On each charge point one call holds the row and half of its work, and
		# the other client's waits for it.
		$brake = $node->background_psql('postgres');
		$brake->query_safe('SELECT pg_advisory_lock(7)');
		$node->poll_query_until('postgres', <<~"SQL")
			SELECT count(*) = $clients
				AND count(*) FILTER (WHERE wait_event = 'advisory') = $charge_points
			FROM pg_stat_activity WHERE wait_event_type = 'Lock'
			SQL
		  or die 'the calls do not stand still';
		read_all_events() if $postmaster;
	}
	if ($postmaster)
	{
		kill_postmaster();
	}
	else
	{
		my $pid;
		wait_until('a backend is at work', sub { $pid = answer(<<~'SQL') });
			SELECT pid FROM pg_stat_activity
			WHERE query LIKE '%call(%' AND pid <> pg_backend_pid() AND state = 'active'
			ORDER BY wait_event = 'advisory' DESC NULLS LAST LIMIT 1
			SQL
		is(kill(9, $pid), 1, "$what: it is killed");
	}

	# psql says 2 when it loses its server.
	$_->finish foreach @running;
	$brake->quit if $stopped;
	start_again() if $postmaster;
	finish_clients($what, 2, @running);
	check($what);
}

# ---------------------------------------------------------------------------
# And on it goes: the clients make their calls again and end their sessions.
# ---------------------------------------------------------------------------

my @last = map { start_client($_, (int($answered[$_] / 4) + 10) * 4) } 0 .. $clients - 1;
$_->finish foreach @last;
finish_clients('afterwards', 0, @last);
check('afterwards');
is(answer('SELECT count(*) FROM evcharge.active_transaction'),
	'0', 'afterwards: all sessions end');

read_all_events();
is( join(' ', grep { $read{$_} > 1 } sort keys %read),
	'', 'the reader saw no event twice');
is( join("\n", sort keys %read),
	answer(
		"SELECT charge_point_id || ' ' || event_id FROM evcharge.event"
		  . ' ORDER BY (charge_point_id || \' \' || event_id) COLLATE "C"'),
	'the reader saw every event');

# What a transaction that was rolled back wrote last need not be on disk, and
# after a crash its id is given to another.  A cursor must not take that one for
# something that was read.
answer("SELECT boot('CP-0')");
answer('BEGIN; SELECT pg_current_xact_id(); ROLLBACK') foreach 1 .. 3;
read_all_events();
my $end = answer('SELECT evcharge.event_cursor()');
kill_postmaster();
start_again();
answer("SELECT boot('CP-1')");
foreach ([ "'$end'", 'event_cursor()' ], [ $cursor, 'events_since()' ])
{
	my ($from, $origin) = @$_;

	is( answer("SELECT charge_point_id, kind FROM evcharge.events_since($from)"),
		'CP-1|booted',
		"a cursor of $origin does not skip what comes after a crash");
}

$node->stop('immediate');
done_testing();
