# evcharge does what a small model of it says: 2,000 random stories of charge
# points, as they are, with every call repeated, and with messages overtaking
# each other.  test/model.py says how.  EVCHARGE_MODEL holds other options for
# it, such as "--stories 20000 --seed 7".

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;

my $node = PostgreSQL::Test::Cluster->new('model');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf',
	"synchronous_commit = off\nlog_statement = none\nautovacuum = off");
$node->start;

# Two databases, so that two processes share the work.
my @databases = ('one', 'two');
foreach my $database (@databases)
{
	$node->safe_psql('postgres', "CREATE DATABASE $database");
	$node->safe_psql($database,
		'CREATE EXTENSION evcharge; SELECT evcharge.install()');
}

# The seed is always the same here, so that what fails once fails again.
my @options = split ' ', $ENV{EVCHARGE_MODEL} // '--seed 1';
my ($stdout, $stderr);
my $ok = IPC::Run::run(
	[
		'test/model.py',
		(map { ('--dsn', $node->connstr($_)) } @databases),
		@options
	],
	'>', \$stdout, '2>', \$stderr);
ok($ok, 'the server does what the model says');
note($stdout);
diag($stdout, $stderr) unless $ok;

# What it counted.
sub counted
{
	my ($what) = @_;

	return $stdout =~ /^$what: (\d+)$/m ? $1 : 0;
}

is(counted('differences'), 0, 'no difference is counted');
my $stories = counted('stories');
cmp_ok($stories, '>=', 2000, 'at least 2,000 stories were told')
  unless $ENV{EVCHARGE_MODEL};
is(counted('performances'), 3 * $stories, 'each was played three times');
cmp_ok(counted('calls told'), '>', 15 * $stories, 'in a few dozen calls');
cmp_ok(counted('calls repeated'),
	'>', 2 * counted('calls told'), 'with repetitions');

# The stories are about everything: each call, and each event that a charge
# point, its consumers and its operator can cause.
my @calls = qw(authorization authorize availability boot expire heartbeat
  load log progress registration start status stop sync transaction);
my @events = qw(auth_added auth_changed auth_removed booted
  charge_point_status connector_added connector_id_invalid
  connector_removed connector_status forced_end id_tag_mismatch
  id_tag_not_authorized log meter_backwards no_energy no_transaction_id
  not_confirmed open_too_long registered registration_changed state_loaded
  status_not_allowed time_backwards transaction_amended transaction_closed
  transaction_confirmed transaction_ended transaction_id_near_limit
  transaction_mismatch transaction_overlap transaction_progress
  transaction_reopened transaction_started transition_not_allowed
  unknown_charge_point unknown_status unknown_transaction unreadable_time);
# Requests are granted and refused, lists sent whole and in part.
my @answers = (
	(map { ("$_ granted", "$_ refused") } qw(authorize availability start stop)),
	'list Full', 'list Differential', 'list unchanged');
SKIP:
{
	skip 'other options', 1 if $ENV{EVCHARGE_MODEL};
	foreach my $what (@answers, (map { "call $_" } @calls),
		(map { "event $_" } @events))
	{
		cmp_ok(counted($what), '>=', 10, $what);
	}
}

$node->stop;
done_testing();
