# The announcer: background workers that send NOTIFY behind the transactions.
# They come and go by themselves, tell every event once, lose none in a crash,
# and stand in nobody's way.
#
# EVCHARGE_SEED chooses what eight clients do at once.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Evcharge;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

my $conf = <<'CONF';
shared_preload_libraries = 'evcharge'
max_prepared_transactions = 10
max_worker_processes = 16
max_connections = 30
deadlock_timeout = 10ms
restart_after_crash = on
log_statement = none
CONF

# ---------------------------------------------------------------------------
# What all blocks use
# ---------------------------------------------------------------------------

# What a query answers.
sub answer
{
	my ($node, $database, $query) = @_;
	return $node->safe_psql($database, $query);
}

# The SQLSTATE of the error of a query.
sub sqlstate
{
	my ($node, $database, $query) = @_;
	my $stderr = '';

	$node->psql($database, "\\set VERBOSITY sqlstate\n$query",
		stderr => \$stderr);
	return $stderr =~ /ERROR:\s+(\w+)/ ? $1 : $stderr;
}

# Wait until something is so, or die.
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

# Make the tables in a database, and a function that writes one event.
sub make_tables
{
	my ($node, $database) = @_;

	answer($node, $database, <<~'SQL');
		CREATE EXTENSION evcharge;
		SELECT evcharge.install();
		CREATE OR REPLACE FUNCTION public.say(id text) RETURNS void
		LANGUAGE plpgsql AS $$
		BEGIN
			PERFORM evcharge.report_log(id, evcharge.encode(evcharge.from_json(
				'LogData', '{"resp":{"message":"hello"}}')));
		END $$;
		SQL
}

sub make_database
{
	my ($node, $database) = @_;

	answer($node, 'postgres', "CREATE DATABASE $database");
	make_tables($node, $database);
}

# SQL that writes events of some charge points.
sub say_all
{
	return join '', map { "SELECT say('$_');" } @_;
}

# How changes are announced, and why; the view says the same as the function.
sub mode
{
	my ($node, $database, $set) = @_;
	my $prelude =
	  $set ? "LOAD 'evcharge'; SET evcharge.notify = '$set';" : '';
	my $mode =
	  answer($node, $database, "$prelude SELECT evcharge.notify_mode()");

	is( answer(
			$node,
			$database,
			$prelude
			  . "SELECT concat_ws(': ', notify_mode, notify_reason)"
			  . ' FROM evcharge.gateway_health'),
		$mode,
		"gateway_health says so: $mode");
	return $mode;
}

sub await_mode
{
	my ($node, $database, $mode, $name) = @_;

	ok( $node->poll_query_until(
			$database, "SELECT evcharge.notify_mode() = '$mode'"),
		$name);
}

sub await_announcer
{
	my ($node, $database, $name) = @_;
	await_mode($node, $database, 'announcer',
		$name // "the announcer of $database is at work");
}

# The process of the announcer of a database, if it has one.
sub announcer
{
	my ($node, $database) = @_;
	return answer($node, 'postgres', <<~"SQL");
		SELECT pid FROM pg_stat_activity
		WHERE backend_type = 'evcharge announcer' AND datname = '$database'
		SQL
}

sub await_no_announcer
{
	my ($node, $database, $name) = @_;

	ok($node->poll_query_until('postgres', <<~"SQL"), $name);
		SELECT NOT EXISTS (SELECT FROM pg_stat_activity
			WHERE backend_type = 'evcharge announcer' AND datname = '$database')
		SQL
}

# The databases that have an announcer.
sub is_announced
{
	my ($node, $databases, $name) = @_;

	ok($node->poll_query_until('postgres', <<~"SQL", $databases), $name);
		SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_stat_activity
		WHERE backend_type = 'evcharge announcer'
		SQL
}

# The events in the table, by name.
sub written
{
	my ($node, $database) = @_;
	return split /\n/, answer($node, $database, <<~'SQL');
		SELECT charge_point_id || '/' || event_id FROM evcharge.event
		ORDER BY charge_point_id, event_id
		SQL
}

# Wait until the announcer of a database, if it has begun, has told everything.
my $row = <<'SQL';
	evcharge.announcer
	WHERE cluster = (SELECT system_identifier FROM pg_control_system())
		AND database = (SELECT oid FROM pg_database
			WHERE datname = current_database())
SQL

sub wait_announced
{
	my ($node, $database) = @_;

	$node->poll_query_until($database, <<~"SQL")
		SELECT NOT EXISTS (
			SELECT FROM (SELECT place FROM $row) a,
				LATERAL evcharge.events_since(a.place) f
				JOIN evcharge.event e USING (charge_point_id, event_id)
			WHERE e.cluster = (SELECT system_identifier FROM pg_control_system()))
		SQL
	  or die "not everything in $database was announced";
}

# Begin to listen: what is written from now on, or after "before", is to be heard.
sub watch
{
	my ($node, $database, @before) = @_;
	my $listener = listen($node, $database);

	@before = written($node, $database) unless @before;
	$listener->query_safe('LISTEN evcharge_end');
	return {
		node => $node,
		database => $database,
		listener => $listener,
		known => { map { $_ => 1 } @before },
	};
}

# Return the notifications that a listener got.  Its own comes after all that
# were sent before it.
sub hear
{
	my ($watch) = @_;
	my $output = '';
	my @heard;

	wait_announced($watch->{node}, $watch->{database});
	$output = $watch->{listener}->query_safe('NOTIFY evcharge_end');
	wait_until('the listener hears itself',
		sub {
			$output .= "\n" . $watch->{listener}->query_safe('SELECT 1');
			return $output =~ /"evcharge_end"/;
		});
	while ($output =~
		/^Asynchronous notification "(\w+)" with payload "(.*)" received from server process with PID (\d+)\.$/mg
	  )
	{
		my ($channel, $payload, $pid) = ($1, $2, $3);
		my ($id) = $payload =~ /"charge_point_id":"([^"]*)"/;
		my ($event) = $payload =~ /"event_id":(\d+)/;

		push @heard,
		  { event => "$id/$event", text => "$channel $payload", pid => $pid };
	}
	return @heard;
}

# Each event that was written meanwhile is heard once, and nothing else is.
# Returns the processes that told it.
sub is_heard
{
	my ($watch, $name) = @_;
	my @heard = hear($watch);
	my @new =
	  grep { !$watch->{known}{$_}++ }
	  written($watch->{node}, $watch->{database});
	my %pids = map { $_->{pid} => 1 } @heard;

	is_same(join("\n", map { $_->{event} } @heard), join("\n", @new), $name);
	return join ' ', sort keys %pids;
}

# The same, and it is the announcer who tells.
sub is_announced_once
{
	my ($watch, $name) = @_;

	is( is_heard($watch, $name),
		announcer($watch->{node}, $watch->{database}),
		"$name: by the announcer");
}

# Each event that was written meanwhile is heard, and others have been written
# at least: after a crash some are heard twice.
sub is_heard_at_least
{
	my ($watch, $name) = @_;
	my @heard = hear($watch);
	my %heard = map { $_->{event} => 1 } @heard;
	my @written = written($watch->{node}, $watch->{database});
	my %written = map { $_ => 1 } @written;
	my @new = grep { !$watch->{known}{$_}++ } @written;

	cmp_ok(scalar @new, '>', 0, "$name: there is something to hear");
	is(join(' ', grep { !$heard{$_} } @new), '', $name);
	is(join(' ', grep { !$written{$_} } sort keys %heard),
		'', "$name: nothing is heard that did not happen");
}

# ---------------------------------------------------------------------------
# It starts by itself, and it can be seen whether it did.
# ---------------------------------------------------------------------------

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init(allows_streaming => 'logical', extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf', $conf);
$node->start;

# A new database has none until something happens in it.  What happens before it
# is at work is told by the transaction itself.
make_database($node, 'site');
is( mode($node, 'site'),
	'commit: the announcer has not started yet',
	'new tables have no announcer yet');
my $watch = watch($node, 'site');
answer($node, 'site', say_all('CP-1'));
await_announcer($node, 'site', 'the first event calls it');
ok(is_heard($watch, 'the first event is heard'), 'by somebody');
is(mode($node, 'site'), 'announcer', 'it is in force');
answer($node, 'site', say_all('CP-1'));
is_announced_once($watch, 'the next event is heard');

# A copy of a database, made while its announcer is at work: it has none of its
# own, and nothing of what happened in the other is told again in it.
$watch->{listener}->quit;
answer($node, 'postgres', 'CREATE DATABASE copy TEMPLATE site');
is( mode($node, 'copy'),
	'commit: the announcer has not started yet',
	'a copy has no announcer yet');
my $copy = watch($node, 'copy');
answer($node, 'copy', say_all('CP-1'));
await_announcer($node, 'copy', 'the first event in a copy calls it');
is_heard($copy, 'only that event is heard in the copy');
answer($node, 'copy', say_all('CP-1'));
is_announced_once($copy, 'the next event in the copy is heard');

# The database that was copied has its announcer back, which can be relied on.
$watch = watch($node, 'site');
answer($node, 'site', say_all('CP-2'));
await_announcer($node, 'site', 'the announcer is back after a copy was made');
is_announced_once($watch, 'and has lost nothing');
$_->{listener}->quit foreach $watch, $copy;

# The server starts: each database that has the extension gets its announcer,
# before anything happens.  Those without do not.
$node->restart;
is_announced($node, 'copy site', 'announcers start with the server');
await_announcer($node, $_) foreach 'copy', 'site';

# Without the extension it goes away.  After it was made anew, the first event is
# heard; an announcer that had not noticed must not begin behind it.
foreach my $removal ('DROP SCHEMA evcharge CASCADE',
	'BEGIN; DROP EXTENSION evcharge CASCADE; DROP SCHEMA evcharge CASCADE; COMMIT')
{
	answer($node, 'copy',
		"SET client_min_messages = error; $removal");
	await_no_announcer($node, 'copy', "$removal: the announcer goes away");
	make_tables($node, 'copy');
	$copy = watch($node, 'copy');
	answer($node, 'copy', say_all('CP-1'));
	is_heard($copy, "$removal: the first event of new tables is heard");
	await_announcer($node, 'copy', "$removal: it comes back");
	$copy->{listener}->quit;
}
$copy = watch($node, 'copy');
answer($node, 'copy', <<~"SQL");
	BEGIN;
	SET LOCAL client_min_messages = error;
	DROP SCHEMA evcharge CASCADE;
	CREATE EXTENSION evcharge;
	SELECT evcharge.install();
	COMMIT;
	${\say_all('CP-9')}
	SQL
$copy->{known} = {};
is_heard($copy, 'so it is if the tables were never gone');

# Its row is not what keeps events from being lost while it is at work.
await_announcer($node, 'copy');
wait_announced($node, 'copy');
answer($node, 'copy', 'DELETE FROM evcharge.announcer; ' . say_all('CP-9'));
is_announced_once($copy, 'an event is heard although the place was deleted');
$copy->{listener}->quit;

# Tables of 1.0 have no place for it to keep.
answer($node, 'postgres', 'CREATE DATABASE older');
answer($node, 'older', <<~"SQL");
	CREATE EXTENSION evcharge VERSION '1.0';
	SELECT evcharge.install();
	ALTER EXTENSION evcharge UPDATE;
	SELECT evcharge.report_log('CP-1', evcharge.encode(evcharge.from_json(
		'LogData', '{"resp":{"message":"hello"}}')));
	SQL
await_mode($node, 'older', 'commit: install() has not run',
	'tables of 1.0 have no announcer');
answer($node, 'older', 'SELECT evcharge.install(); SELECT pg_reload_conf()');
await_announcer($node, 'older', 'install() makes room for it');
is(mode($node, 'older'), 'announcer', 'which can be seen');

# Settings: of the database, and that of a session which differs.  An announcer
# that is not wanted goes.
make_database($node, 'plain');
foreach my $set ('commit', 'off')
{
	answer($node, 'postgres', <<~"SQL");
		ALTER DATABASE plain SET evcharge.notify = '$set';
		ALTER DATABASE older SET evcharge.notify = '$set';
		SELECT pg_reload_conf();
		SQL
	is(mode($node, 'plain'), $set, "a database can be set to $set");
	await_no_announcer($node, 'older', "$set: an announcer goes");
	is( mode($node, 'older', 'announcer'),
		'commit: evcharge.notify of the database is not announcer',
		"$set: a session that wants one learns why there is none");
}
answer($node, 'postgres', <<~"SQL");
	ALTER DATABASE plain SET evcharge.notify = 'commit';
	ALTER DATABASE older RESET evcharge.notify;
	SELECT pg_reload_conf();
	SQL
await_announcer($node, 'older', 'it comes when it is wanted again');
answer($node, 'postgres', 'DROP DATABASE older');

# Nothing is lost or told twice by reading the configuration again, which lets
# announcers begin anew.
await_announcer($node, 'site');
wait_announced($node, 'site');
$watch = watch($node, 'site');
foreach (1 .. 10)
{
	answer($node, 'site',
		'SELECT pg_reload_conf(); ' . say_all('CP-1', 'CP-2'));
}
await_announcer($node, 'site', 'it is at work after many reloads');
is_heard($watch, 'every event is heard once, across reloads');

# Not preloaded; preloaded, but no room for a process.
my $other = PostgreSQL::Test::Cluster->new('other');
$other->init(extra => ['--encoding=UTF8']);
$other->append_conf('postgresql.conf', 'log_statement = none');
$other->start;
make_database($other, 'site');
is( mode($other, 'site'),
	'commit: evcharge is not in shared_preload_libraries',
	'without preloading there is no announcer');
my $here = watch($other, 'site');
answer($other, 'site', say_all('CP-1'));
is_heard($here, 'without preloading events are heard');
$here->{listener}->quit;
$other->append_conf('postgresql.conf',
	$conf . "max_worker_processes = 2\nwal_level = logical");
$other->restart;
answer($other, 'site', say_all('CP-1'));
await_mode(
	$other,
	'site',
	'commit: max_worker_processes leaves no room for the announcer',
	'without room for a process there is no announcer');
$other->append_conf('postgresql.conf', 'max_worker_processes = 16');
$other->restart;
await_announcer($other, 'site', 'it starts when there is room');

# ---------------------------------------------------------------------------
# It tells what the transactions themselves would.
# ---------------------------------------------------------------------------

# The same calls in two databases: the same notifications in the same order.
my $calls = join ';', map { s/(\w+)\((.*?)(\w+Data|ConnectorInfo) (\{.*\})\)/SELECT evcharge.$1($2evcharge.encode(evcharge.from_json('$3', '$4')))/r } (
	q(boot_notification('CP "Grün" \\', BootNotificationRequestData {"chargePointModel":"M"})),
	q(report_connector('CP "Grün" \\', ConnectorInfo {"id":1,"status":"AVAILABLE"})),
	q(report_connector('CP "Grün" \\', ConnectorInfo {"id":0,"status":"UNAVAILABLE"})),
	q(report_connector('CP "Grün" \\', ConnectorInfo {"id":0,"status":"AVAILABLE"})),
	q(authorize(AuthorizeRequestData {"chargePointClientId":"CP \"Grün\" \\\\","consumerPublicKey":"secret"})),
	q(start_transaction(StartTransactionRequestData {"chargePointClientId":"CP \"Grün\" \\\\","connectorId":1,"consumerPublicKey":"secret"})),
	q(report_progress('CP "Grün" \\', 1, EVChargingStatusData {"currentOffered":16})),
	q(report_connector('CP "Grün" \\', ConnectorInfo {"id":1,"status":"on fire"})),
	q(report_log('CP "Grün" \\', LogData {"resp":{"message":"hello"}})),
	q(stop_transaction(StopTransactionRequestData {"chargePointClientId":"CP \"Grün\" \\\\","connectorId":1,"consumerPublicKey":"secret"})));
hear($watch);
my $plain = watch($node, 'plain');
answer($node, $_, $calls) foreach 'site', 'plain';
my @announced = hear($watch);
my @committed = hear($plain);
is( join("\n", map { $_->{text} } @announced),
	join("\n", map { $_->{text} } @committed),
	'the announcer sends what transactions would');
is(scalar(@committed), scalar(written($node, 'plain')), 'which is everything');
foreach my $channel ('charge_point', 'connector', 'transaction', 'auth')
{
	ok( (grep { $_->{text} =~ /^evcharge_$channel / } @announced),
		"something came on evcharge_$channel");
}
unlike(join("\n", map { $_->{text} } @announced),
	qr/secret/, 'no key of a consumer');
my $pid = announcer($node, 'site');
is(join(' ', grep { $_ ne $pid } map { $_->{pid} } @announced),
	'', 'all of it comes from the announcer');
$watch->{known}{$_} = 1 foreach written($node, 'site');

# ---------------------------------------------------------------------------
# Everything once, whoever writes at the same time and however late they commit.
# ---------------------------------------------------------------------------

my $seed = $ENV{EVCHARGE_SEED} // int(rand(1_000_000));
note("seed: $seed (EVCHARGE_SEED)");
answer($node, 'site', say_all(map { "CP-$_" } 1 .. 9));
my ($open, $undone) = map { $node->background_psql('site') } 1 .. 2;
$_->query_safe('BEGIN') foreach $open, $undone;
$open->query_safe(say_all('CP-7', 'CP-7'));
$undone->query_safe(say_all('CP-8', 'CP-8'));

# The larger number is always the second, so that nobody waits for ever.
my $sets = "\\set a random(1, 3)\n\\set b random(4, 6)\n";
my $a = q(SELECT say('CP-:a'););
my $b = q(SELECT say('CP-:b'););
$node->pgbench(
	"--no-vacuum --client=8 --jobs=2 --transactions=40 --random-seed=$seed site",
	0,
	[qr{number of transactions actually processed: 320/320}],
	[],
	'eight clients write',
	{
		'001_alone' => "$sets$a",
		'002_several' => "$sets BEGIN; $a $a $b COMMIT;",
		'003_savepoints' => "$sets BEGIN; $a SAVEPOINT s; $b ROLLBACK TO s;"
		  . " $b SAVEPOINT t; $b RELEASE t; COMMIT;",
		'004_undone' => "$sets BEGIN; $a $b ROLLBACK;",
		'005_late' => "$sets BEGIN; $b SELECT pg_sleep(0.01); COMMIT;",
		'006_prepared' => "$sets BEGIN; $a $b"
		  . " PREPARE TRANSACTION 'p:client_id'; COMMIT PREPARED 'p:client_id';",
	});
is_announced_once($watch, 'each event of eight clients is heard once');
$open->query_safe(say_all('CP-7'));
$_->query_safe($_ == $open ? 'COMMIT' : 'ROLLBACK') foreach $open, $undone;
is_announced_once($watch, 'so is what was open all the while');
$_->quit foreach $open, $undone;

# So many that the announcer tells them in more than one transaction.
answer($node, 'site',
	q{SELECT count(say('CP-1')) FROM generate_series(1, 12000)});
is_announced_once($watch, 'a large transaction is heard');

# ---------------------------------------------------------------------------
# Prepared transactions
# ---------------------------------------------------------------------------

is( sqlstate(
		$node, 'plain', 'BEGIN; '
		  . say_all('CP-1')
		  . " PREPARE TRANSACTION 'no'"),
	'0A000',
	'NOTIFY in a transaction does not let it be prepared');

answer($node, 'site',
	'BEGIN; ' . say_all('CP-1', 'CP-2') . " PREPARE TRANSACTION 'yes'");
answer($node, 'site', 'BEGIN; ' . say_all('CP-3') . " PREPARE TRANSACTION 'no'");
answer($node, 'site', say_all('CP-4'));
is_announced_once($watch, 'nothing is heard of what is only prepared');
answer($node, 'site', "COMMIT PREPARED 'yes'");
is_announced_once($watch, 'what was prepared is heard when it is committed');
answer($node, 'site', "ROLLBACK PREPARED 'no'");
answer($node, 'site', say_all('CP-4'));
is_announced_once($watch, 'and never if it is rolled back');

# It is committed while the announcer is in the middle of a look that is too old
# to see it.  That must not be the last look.  (The alarm of deadlock_timeout
# would have it look once more.)
answer($node, 'site',
	'BEGIN; ' . say_all('CP-1') . " PREPARE TRANSACTION 'late'");
my $lock = $node->background_psql('site');
$lock->query_safe('BEGIN; LOCK TABLE evcharge.announcer');
answer($node, 'site', say_all('CP-2'));
$node->poll_query_until('site', <<~'SQL') or die 'the announcer does not look';
	SELECT wait_event_type = 'Lock' FROM pg_stat_activity
	WHERE backend_type = 'evcharge announcer' AND datname = 'site'
	SQL
answer($node, 'site', "COMMIT PREPARED 'late'");
$lock->query_safe('COMMIT');
$lock->quit;
is_announced_once($watch, 'it is heard if it is committed during a look');

# One that survives a restart.
answer($node, 'site',
	'BEGIN; ' . say_all('CP-5') . " PREPARE TRANSACTION 'kept'");
my @before = written($node, 'site');
$watch->{listener}->quit;
$plain->{listener}->quit;
$node->restart;
await_announcer($node, 'site');
$watch = watch($node, 'site', @before);
answer($node, 'site', "COMMIT PREPARED 'kept'");
is_announced_once($watch, 'what was prepared before a restart is heard');

# ---------------------------------------------------------------------------
# It stands in nobody's way.
# ---------------------------------------------------------------------------

# At rest it holds nothing.
ok( $node->poll_query_until(
		'site', <<~'SQL'), 'at rest it holds no lock and no snapshot');
	SELECT state = 'idle' AND backend_xmin IS NULL AND backend_xid IS NULL
		AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.pid = a.pid)
	FROM pg_stat_activity a
	WHERE backend_type = 'evcharge announcer' AND datname = 'site'
	SQL
answer($node, 'copy', <<~'SQL');
	SET lock_timeout = '60s';
	VACUUM FULL evcharge.event;
	VACUUM FULL evcharge.announcer;
	TRUNCATE evcharge.event, evcharge.charge_point, evcharge.announcer;
	ALTER TABLE evcharge.event ADD COLUMN note text;
	SET client_min_messages = error;
	DROP TABLE evcharge.meter_sample CASCADE;
	SQL
command_ok(
	[ 'pg_dump', '-Fc', '-f', $node->backup_dir . '.dump', '-d', $node->connstr('site') ],
	'pg_dump works');

# It leaves a database that somebody wants alone: each of these fails while
# anybody else is connected.
await_announcer($node, 'copy');
answer($node, 'postgres', 'CREATE DATABASE third TEMPLATE copy');
answer($node, 'postgres', 'DROP DATABASE third');
answer($node, 'copy', say_all('CP-1'));
await_announcer($node, 'copy', 'it is back after a copy was made');
answer($node, 'postgres', 'ALTER DATABASE copy RENAME TO renamed');
answer($node, 'renamed', say_all('CP-1'));
await_announcer($node, 'renamed', 'it is back after a change of the name');
my $seen = watch($node, 'renamed');
answer($node, 'renamed', say_all('CP-2'));
is_announced_once($seen, 'events are heard under the new name');

# A statement that fails: the announcer is back, for what was left to it before it
# went and committed after.
$open = $node->background_psql('renamed');
$open->query_safe('BEGIN; ' . say_all('CP-3'));
foreach ([ 'ALTER DATABASE renamed RENAME TO site', '42P04' ],
	[ 'BEGIN; DROP DATABASE renamed', '25001' ])
{
	my ($statement, $error) = @$_;
	is(sqlstate($node, 'postgres', $statement), $error, "fails: $statement");
}
$open->query_safe('COMMIT');
$open->quit;
await_announcer($node, 'renamed', 'it is back after a statement that failed');
is_announced_once($seen, 'it has lost nothing');

# Only who may have the database can send it away.
answer($node, 'postgres', 'CREATE ROLE stranger LOGIN');
$pid = announcer($node, 'renamed');
is(sqlstate($node, 'postgres', "SET ROLE stranger; $_"), '42501', "fails: $_")
  foreach 'DROP DATABASE renamed', 'CREATE DATABASE x TEMPLATE renamed';
is(announcer($node, 'renamed'), $pid, 'it stays where nothing can come of it');
$seen->{listener}->quit;
answer($node, 'postgres', 'DROP DATABASE renamed');
answer($node, 'postgres', 'DROP DATABASE IF EXISTS renamed');

# A server that is stopped in order: everything was told, and its place is kept.
my $place = "SELECT place, announced_at FROM $row";
wait_announced($node, 'site');
$watch->{listener}->quit;
my $was = answer($node, 'site', $place);
$node->stop('fast');
$node->start;
await_announcer($node, 'site');
is(answer($node, 'site', $place),
	$was, 'after a stop and a start nothing is told again');

# ---------------------------------------------------------------------------
# Nothing is lost, whatever dies.
#
# Somebody who holds a lock on its place, and survives, keeps the announcer from
# telling anything until the listener is back.  Meanwhile the announcer of
# another database starts.
# ---------------------------------------------------------------------------

make_database($node, 'copy');
answer($node, 'copy', say_all('CP-1'));
await_announcer($node, 'copy');

foreach my $victim ('the announcer', 'the postmaster', 'nobody')
{
	my $what =
	  $victim eq 'nobody' ? 'pg_terminate_backend()' : "kill -9 of $victim";

	await_announcer($node, 'site');
	wait_announced($node, 'site');
	@before = written($node, 'site');
	$pid = announcer($node, 'site');
	answer($node, 'site', <<~"SQL");
		BEGIN;
		LOCK TABLE evcharge.announcer IN ACCESS EXCLUSIVE MODE;
		PREPARE TRANSACTION 'lock';
		BEGIN;
		${\say_all('CP-3', 'CP-4')}
		PREPARE TRANSACTION 'events';
		${\say_all('CP-1', 'CP-2', 'CP-1')}
		SQL
	if ($victim eq 'the announcer')
	{
		kill(9, $pid);
		wait_until('it is gone', sub { !kill(0, $pid) });
		$node->poll_query_until('postgres', 'SELECT true');
	}
	elsif ($victim eq 'the postmaster')
	{
		my ($postmaster) =
		  slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
		$node->kill9;
		wait_until('it is gone', sub { !kill(0, $postmaster) });
		wait_until('the server starts', sub { $node->start(fail_ok => 1) });
	}
	else
	{
		answer($node, 'site', "SELECT pg_terminate_backend($pid)");
		$node->poll_query_until('site',
			"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
	}
	await_announcer($node, 'copy',
		"$what: another database does not wait for it");
	$watch = watch($node, 'site', @before);
	answer($node, 'site', "COMMIT PREPARED 'events'; ROLLBACK PREPARED 'lock'");
	is_heard_at_least($watch, "$what: every event is heard");
	await_announcer($node, 'site', "$what: it is at work again");
	hear($watch);
	answer($node, 'site', say_all('CP-1'));
	is_announced_once($watch, "$what: and goes on");
	$watch->{listener}->quit;
}

# It cannot write its place, or cannot announce for another reason.  Who writes
# events does not feel it, and none is lost.
$watch = watch($node, 'site');
$pid = announcer($node, 'site');
answer($node, 'site', <<~"SQL");
	ALTER TABLE evcharge.announcer
		ADD CONSTRAINT broken CHECK (place = '') NOT VALID;
	${\say_all('CP-1')}
	SQL
$node->poll_query_until('site',
	"SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)")
  or die 'it does not fail';
foreach (1 .. 2)
{
	$node->wait_for_log(qr/violates check constraint "broken"/,
		-s $node->logfile);
	answer($node, 'site', 'BEGIN; '
		  . say_all('CP-2')
		  . " PREPARE TRANSACTION 'well'; COMMIT PREPARED 'well'");
}
answer($node, 'site', 'ALTER TABLE evcharge.announcer DROP CONSTRAINT broken');
is_announced_once($watch, 'what came while it could not work is heard');

# What a database has as a default for its users is not for the announcer.
answer($node, 'site', <<~'SQL');
	ALTER DATABASE site SET default_transaction_read_only = on;
	ALTER DATABASE site SET default_transaction_isolation = 'serializable';
	SELECT pg_reload_conf();
	SQL
answer($node, 'site',
	'SET default_transaction_read_only = off; ' . say_all('CP-1'));
is_announced_once($watch, 'it writes where transactions only read by default');
answer($node, 'postgres', 'ALTER DATABASE site RESET ALL');
$watch->{listener}->quit;

# The launcher, too, may go; then it comes again.
my $launcher = <<'SQL';
	SELECT pid FROM pg_stat_activity WHERE backend_type = 'evcharge launcher'
SQL
$pid = answer($node, 'site', $launcher);
answer($node, 'site', "SELECT pg_terminate_backend($pid)");
ok( $node->poll_query_until(
		'site', "SELECT coalesce(($launcher) <> $pid, false)"),
	'the launcher is started again');
make_database($node, 'third');
answer($node, 'third', say_all('CP-1'));
await_announcer($node, 'third', 'and starts announcers');

# ---------------------------------------------------------------------------
# Elsewhere
# ---------------------------------------------------------------------------

# A standby has none.  When it is promoted it starts, and tells what comes.
$node->backup('base', backup_options => ['--checkpoint=fast']);
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(mode($standby, 'site'),
	'commit: the server is a standby', 'a standby has no announcer');
is( answer(
		$standby, 'postgres',
		"SELECT count(*) FROM pg_stat_activity WHERE backend_type ~ 'evcharge'"),
	'0',
	'nor a launcher');
$standby->promote;
is_announced($standby, 'copy site third', 'a promotion starts them');
await_announcer($standby, 'site');
wait_announced($standby, 'site');
$watch = watch($standby, 'site');
answer($standby, 'site', say_all('CP-1'));
is_announced_once($watch, 'after a promotion events are heard');
$watch->{listener}->quit;
$standby->stop('immediate');

# A copy that was restored, in the same cluster or another, tells nothing of
# what it brings along.
foreach my $where ($node, $other)
{
	my $name = 'restored in cluster ' . $where->name;

	answer($where, 'postgres', 'CREATE DATABASE restored');
	$watch = listen($where, 'restored');
	command_ok(
		[
			'pg_restore', '-d',
			$where->connstr('restored'), $node->backup_dir . '.dump'
		],
		$name);
	$watch->query_safe('LISTEN evcharge_end');
	$watch = {
		node => $where,
		database => 'restored',
		listener => $watch,
		known => { map { $_ => 1 } written($where, 'restored') },
	};
	answer($where, 'restored', say_all('CP-1'));
	await_announcer($where, 'restored', "$name: an announcer starts");
	is_heard($watch, "$name: only what is new is heard");
	answer($where, 'restored', say_all('CP-1'));
	is_announced_once($watch, "$name: what follows is heard");
	$watch->{listener}->quit;
}

# A logical subscriber tells nothing of what it gets.
make_database($other, 'subscriber');
answer($other, 'subscriber', say_all('CP-own'));
await_announcer($other, 'subscriber');
wait_announced($other, 'subscriber');
$watch = watch($other, 'subscriber');
answer($node, 'site',
	'CREATE PUBLICATION everything FOR TABLES IN SCHEMA evcharge');
answer($other, 'subscriber',
	"CREATE SUBSCRIPTION everything CONNECTION '"
	  . $node->connstr
	  . " dbname=site' PUBLICATION everything");
$other->wait_for_subscription_sync($node, 'everything', 'subscriber');
answer($node, 'site', say_all('CP-1', 'CP-2'));
$node->wait_for_catchup('everything');
$watch->{known}{$_} = 1 foreach written($other, 'subscriber');
answer($other, 'subscriber', say_all('CP-own'));
is_announced_once($watch, 'a subscriber tells only what happens in it');
$watch->{listener}->quit;
answer($other, 'subscriber', 'DROP SUBSCRIPTION everything');

$_->stop('fast') foreach $other, $node;
foreach ($node, $other)
{
	unlike(slurp_file($_->logfile),
		qr/PANIC|TRAP|(server|background worker).*by signal (?!9:)/,
		'no process died but those that were killed: ' . $_->name);
}

done_testing();
