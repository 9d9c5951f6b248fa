# Sixteen clients call everything at once on six charge points, for a minute or
# as many seconds as EVCHARGE_STRESS_SECONDS says: test/stress.py tells how, and
# compares what was acknowledged with what the tables hold.  EVCHARGE_STRESS
# holds other options for it, such as "--seed 7".

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;

my $node = PostgreSQL::Test::Cluster->new('stress');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf',
	"synchronous_commit = off\nlog_statement = none");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION evcharge');

my $seconds = $ENV{EVCHARGE_STRESS_SECONDS} // 60;
my @options = split ' ', $ENV{EVCHARGE_STRESS} // '';
my ($stdout, $stderr);
my $ok = IPC::Run::run(
	[
		'test/stress.py', '--dsn', $node->connstr('postgres'), '--seconds',
		$seconds, @options
	],
	'>', \$stdout, '2>', \$stderr);
ok($ok, 'nothing is lost, and no error is one that README.md has not');
note($stdout);
diag($stdout, $stderr) unless $ok;

# What it counted.
sub counted
{
	my ($what) = @_;
	my $count = 0;

	$count += $1 while $stdout =~ /^$what: (\d+)$/mg;
	return $count;
}

is(counted('wrong'), 0, 'nothing is wrong');

# It cannot pass by doing nothing, or by refusing everything; test/stress.py sees
# to the same for each kind of call.
foreach my $what (
	'acknowledged start', 'acknowledged stop',
	'calls load_state', 'calls apply_batch',
	'calls expire something', 'transactions rolled back',
	'retried at REPEATABLE READ')
{
	cmp_ok(counted($what), '>=', 20, $what);
}

# The tables, without the script that filled them.
is($node->safe_psql('postgres', 'SELECT * FROM evcharge.check_integrity()'),
	'', 'check_integrity() finds nothing');
is( $node->safe_psql(
		'postgres', <<~'SQL'),
		SELECT charge_point_id, min(event_id), max(event_id), count(*)
		FROM evcharge.event GROUP BY 1
		HAVING min(event_id) <> 1 OR max(event_id) <> count(*)
		SQL
	'',
	'the events of each charge point have no gap');
is( $node->safe_psql(
		'postgres', <<~'SQL'),
		SELECT charge_point_id, connector_id, count(*)
		FROM evcharge.transaction WHERE ended_at IS NULL
		GROUP BY 1, 2 HAVING count(*) > 1
		SQL
	'',
	'no connector has two open transactions');
is( $node->safe_psql(
		'postgres', 'SELECT count(*) FROM evcharge.charge_point'),
	'6', 'there are six charge points');

# What an error of a client cannot tell: a server that fell over and got up.
$node->stop;
my $log = slurp_file($node->logfile);
unlike($log, qr/PANIC|TRAP|terminated by signal|deadlock detected/,
	'no process of the server died, and no deadlock came');

done_testing();
