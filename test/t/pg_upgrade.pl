# A cluster with state comes back equal from pg_upgrade, here to the same
# version.  The new cluster has another system identifier but goes on with the
# ids of transactions of the old one: readers of events go on all the same.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Evcharge;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my ($old, $new) = map { PostgreSQL::Test::Cluster->new($_) } qw(old new);
foreach my $node ($old, $new)
{
	$node->init(extra => ['--encoding=UTF8']);
	$node->append_conf('postgresql.conf',
		"evcharge.offline_after = 0\nlog_statement = none");
}

$old->start;
make_roles($old);
make_site($old, 'source');
my $readers = read_events($old, 'source');
my $contents = contents($old, 'source');
my $catalogue = catalogue($old, 'source');
my $settings = cluster_settings($old, 'source');

# A database that came from yet another cluster, and a reader who came since.
$old->safe_psql('postgres', 'CREATE DATABASE moved TEMPLATE source');
$old->safe_psql('moved', 'UPDATE evcharge.event SET cluster = 4711');
my $moved = $old->safe_psql('moved', 'SELECT evcharge.event_cursor()');
is(events($old, 'moved', $moved), '', 'after a move, a reader is at the end');

my $cluster = 'SELECT system_identifier FROM pg_control_system()';
my $old_cluster = $old->safe_psql('postgres', $cluster);
$old->stop;

# It writes files into the current directory, and refuses to run where a server
# could be reached that is not its own.
my $bindir = $new->config_data('--bindir');
my @pg_upgrade = (
	'pg_upgrade', '--no-sync', '--old-datadir', $old->data_dir,
	'--new-datadir', $new->data_dir, '--old-bindir', $bindir,
	'--new-bindir', $bindir, '--socketdir', $new->host,
	'--old-port', $old->port, '--new-port', $new->port);
chdir $PostgreSQL::Test::Utils::tmp_check or die $!;
command_ok([ @pg_upgrade, '--check' ], 'pg_upgrade --check finds no problem');
command_ok([ @pg_upgrade, '--link' ], 'pg_upgrade upgrades');

$new->start;
my $listener = listen($new, 'source');
isnt($new->safe_psql('postgres', $cluster),
	$old_cluster, 'it is another cluster');
is( $new->safe_psql(
		'source', <<~'SQL'),
		SELECT pg_snapshot_xmin(pg_current_snapshot())::text::numeric
			> max(written_by::text::numeric) FROM evcharge.event
		SQL
	't',
	'in which the ids of transactions go on');
is_same(contents($new, 'source'),
	$contents, 'every table and view is equal');
is_same(catalogue($new, 'source'),
	$catalogue, 'all that users made is equal');
is_same(cluster_settings($new, 'source'), $settings, 'settings are equal');
check_events($new, 'source', $readers, 'before a change');
unlike($listener->query('SELECT 1'),
	qr/Asynchronous notification/, 'nothing was announced');

run_install($new, 'source');
check_goes_on($new, 'source', 'upgraded');
check_events($new, 'source', $readers, 'after a change');
like($listener->query('SELECT 1'),
	qr/Asynchronous notification "evcharge_transaction"/,
	'changes are announced again');
$listener->quit;

# Its events of before came from elsewhere, and still count as read.
is(events($new, 'moved', $moved), '',
	'a reader of a cluster without events is not sent back to the beginning');

$new->stop;
done_testing();
