# The replayer leaves the database with every session that it replayed, and
# nothing else: the made-up week, and the recorded sessions where those are at
# hand (see scripts/test).

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;

my $node = PostgreSQL::Test::Cluster->new('replay');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf',
	"synchronous_commit = off\nlog_statement = none");
$node->start;

# Make a database and replay into it.
sub replay
{
	my ($database, @options) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		'CREATE EXTENSION evcharge; SELECT evcharge.install()');
	return replay_again($database, @options);
}

sub replay_again
{
	my ($database, @options) = @_;
	my ($stdout, $stderr);

	my $ok = IPC::Run::run(
		[
			'examples/replay.py', '--dsn',
			$node->connstr($database), '--jobs',
			2, @options
		],
		'>', \$stdout, '2>', \$stderr);
	ok($ok, "replays @options");
	note($stdout);
	diag($stderr) unless $ok;
	return $stdout;
}

# Compare the database with the sessions of a CSV file: each of them, then what
# the views make of them.
sub compare
{
	my ($database, $csv) = @_;

	$node->safe_psql($database, <<~"SQL");
		CREATE TABLE public.session (
			charge_point_id text, connector_id int, transaction_id int,
			started_at timestamptz, ended_at timestamptz, energy_wh int,
			PRIMARY KEY (charge_point_id, transaction_id));
		\\copy public.session FROM '$csv' CSV HEADER
		SQL

	is( $node->safe_psql(
			$database, <<~'SQL'),
			WITH stored AS (
				SELECT charge_point_id, connector_id, transaction_id,
					started_at, ended_at, end_meter - start_meter AS energy_wh
				FROM evcharge.transaction
			)
			(TABLE public.session EXCEPT ALL TABLE stored)
			UNION ALL (TABLE stored EXCEPT ALL TABLE public.session)
			SQL
		'',
		'the transactions are the sessions of the file');

	is( $node->safe_psql(
			$database, <<~'SQL'),
			SELECT charge_point_id, s.sessions, h.sessions,
				s.wh, h.wh, d.wh, o.wh
			FROM (SELECT charge_point_id, count(*) AS sessions,
					sum(energy_wh) AS wh
				FROM public.session GROUP BY 1) s
			FULL JOIN (SELECT charge_point_id, count(*) AS sessions,
					sum(energy_kwh * 1000) AS wh
				FROM evcharge.transaction_history GROUP BY 1) h
				USING (charge_point_id)
			FULL JOIN (SELECT charge_point_id, sum(energy_wh) AS wh
				FROM evcharge.energy_daily GROUP BY 1) d
				USING (charge_point_id)
			FULL JOIN (SELECT charge_point_id, sum(energy_wh) AS wh
				FROM evcharge.energy_hourly GROUP BY 1) o
				USING (charge_point_id)
			WHERE (s.sessions = h.sessions
				AND s.wh = h.wh AND s.wh = d.wh AND s.wh = o.wh) IS NOT TRUE
			SQL
		'',
		'each charge point has its sessions and its energy in the views');

	is( $node->safe_psql(
			$database, <<~'SQL'),
			SELECT charge_point_id, connector_id, c.status, c.transaction_id
			FROM evcharge.connector_overview c
				FULL JOIN (SELECT DISTINCT charge_point_id, connector_id
					FROM public.session) s
				USING (charge_point_id, connector_id)
			WHERE c.status IS DISTINCT FROM 'Available'
				OR c.transaction_id IS NOT NULL
			SQL
		'',
		'each connector is there, available and without a transaction');

	is( $node->safe_psql(
			$database, 'SELECT count(*) FROM evcharge.active_transaction'),
		'0', 'no transaction is open');
	is( $node->safe_psql(
			$database, 'SELECT * FROM evcharge.check_integrity()'),
		'', 'check_integrity() finds nothing');
}

sub totals
{
	my ($database) = @_;

	return $node->safe_psql(
		$database, <<~'SQL');
		SELECT (SELECT count(*) FROM evcharge.charge_point_overview),
			(SELECT count(*) FROM evcharge.connector_overview),
			(SELECT count(*) FROM evcharge.transaction_history),
			(SELECT sum(energy_wh) FROM evcharge.energy_daily)
		SQL
}

sub anomalies
{
	my ($database) = @_;

	return $node->safe_psql($database,
		'SELECT reason, count(*) FROM evcharge.anomaly GROUP BY 1 ORDER BY 1');
}

sub transactions
{
	my ($database) = @_;

	return $node->safe_psql(
		$database, <<~'SQL');
		SELECT md5(string_agg(t::text, E'\n' ORDER BY t::text))
		FROM evcharge.transaction t
		SQL
}

# The made-up week has faults, late and repeated reports on purpose; only the
# vehicles that took nothing are odd.
my $week = "$PostgreSQL::Test::Utils::tmp_check/week.csv";
my $summary = replay('week', '--seed', 42, '--write-csv', $week);
compare('week', $week);
my $empty = $node->safe_psql('week',
	'SELECT count(*) FROM public.session WHERE energy_wh = 0');
cmp_ok($empty, '>', 0, 'some made-up sessions have no energy');
is(anomalies('week'), "no_energy|$empty",
	'each of them is an anomaly, and nothing else is');
like(totals('week'), qr/^28\|55\|/, '28 charge points with 55 connectors');
like($summary, qr/^check_integrity\(\) finds nothing$/m,
	'the summary tells of the integrity');

# Charge points that send everything once more change no transaction.
my $before = transactions('week');
replay_again('week', '--seed', 42);
is(transactions('week'), $before, 'a second replay changes no transaction');
is($node->safe_psql('week', 'SELECT * FROM evcharge.check_integrity()'),
	'', 'and breaks no rule');

# Four years of two workplaces, with the faults of real charge points.
SKIP:
{
	my $shared = $ENV{EVCHARGE_SHARED} // '../shared';
	my $csv = "$shared/data/workplace_sessions.csv";

	skip "no file $csv", 9 unless -r $csv;

	replay('workplace', '--csv', $csv);
	compare('workplace', $csv);
	is(totals('workplace'), '28|55|24466|565808860',
		'nothing is lost');
	is( anomalies('workplace'),
		"no_energy|104\ntransaction_id_near_limit|6\ntransaction_overlap|5",
		'the faults of the file are anomalies, and nothing else is');
	is( $node->safe_psql(
			'workplace', <<~'SQL'),
			SELECT charge_point_id, connector_id,
				(occurred_at AT TIME ZONE 'UTC')::date
			FROM evcharge.anomaly WHERE reason = 'transaction_overlap'
			ORDER BY 1, 2
			SQL
		"WP-07|1|2019-09-06\nWP-09|1|2019-09-06\nWP-11|2|2019-06-13\n"
		  . "WP-17|2|2019-09-06\nWP-19|1|2019-09-06",
		'the overlaps are where they happened');
}

$node->stop;
done_testing();
