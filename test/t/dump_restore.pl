# A database with state comes back equal from every kind of dump: the content of
# each table, the answer of each view, all that users added and granted.
# Restoring announces nothing, because nothing happens then; after it the
# functions go on where they were.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Evcharge;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my %options = (
	psql => [ '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--dbname' ],
	pg_restore => [ '--exit-on-error', '--dbname' ]);

my $node = PostgreSQL::Test::Cluster->new('dump_restore');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf',
	"evcharge.offline_after = 0\nlog_statement = none");
$node->start;

make_roles($node);
make_site($node, 'source');
my $readers = read_events($node, 'source');
my $contents = contents($node, 'source');
my $catalogue = catalogue($node, 'source');
note($contents);

# Run a program as the user of the cluster would; command_ok() waits longer.
sub run_program
{
	my ($cluster, $name, $program, @arguments) = @_;

	local $ENV{PGHOST} = $cluster->host;
	local $ENV{PGPORT} = $cluster->port;
	is(system_log($program, @arguments), 0, $name);
}

# Another cluster, where the ids of transactions mean something else.
{
	my $other = PostgreSQL::Test::Cluster->new('another_cluster');
	$other->init(extra => ['--encoding=UTF8']);
	$other->append_conf('postgresql.conf',
		"evcharge.offline_after = 0\nlog_statement = none");
	$other->start;

	run_program($node, 'pg_dumpall dumps',
		'pg_dumpall', '--file', "$tmp/all");
	# The superuser is there already, which is the only error.
	$other->command_checks_all(
		[ 'psql', '--no-psqlrc', '--quiet', '--file', "$tmp/all", 'postgres' ],
		0,
		[],
		[
			qr/\A(?:(?!ERROR).)*ERROR:  role "[^"\n]*" already exists(?:(?!ERROR).)*\z/s
		],
		'pg_dumpall restores');
	is_same(contents($other, 'source'),
		$contents, 'pg_dumpall: every table and view is equal');
	is_same(catalogue($other, 'source'),
		$catalogue, 'pg_dumpall: all that users made is equal');
	is_same(cluster_settings($other, 'source'),
		cluster_settings($node, 'source'), 'pg_dumpall: settings are equal');
	run_install($other, 'source');
	check_goes_on($other, 'source', 'pg_dumpall');
	check_events($other, 'source', $readers, 'pg_dumpall');

	# And back to where it was; the events of the other cluster now stand
	# between those of this one.
	my $away = read_events($other, 'source');
	run_program($other, 'moving back dumps',
		'pg_dump', '--format=custom', '--file', "$tmp/back", 'source');
	$other->stop;
	$node->safe_psql('postgres', 'CREATE DATABASE back');
	run_program($node, 'moving back restores',
		'pg_restore', @{ $options{pg_restore} },
		'back', "$tmp/back");
	run_install($node, 'back');
	check_goes_on($node, 'back', 'moving back');
	check_events($node, 'back', $away, 'moving back, from there');
	check_events($node, 'back', $readers, 'moving back, from before');
}

# Each way is a list of steps: commands, where "psql" and "pg_restore" restore
# into the database of the way's name, and functions of that name.  "lost" is
# what of the catalogue is not carried, as PostgreSQL has it.
my %ways = (
	plain => {
		steps => [
			[ 'pg_dump', '--file', "$tmp/plain", 'source' ],
			[ 'psql', '--file', "$tmp/plain" ]
		]
	},
	inserts => {
		steps => [
			[
				'pg_dump', '--column-inserts', '--rows-per-insert=100',
				'--file', "$tmp/inserts", 'source'
			],
			[ 'psql', '--single-transaction', '--file', "$tmp/inserts" ]
		]
	},
	custom => {
		steps => [
			[ 'pg_dump', '--format=custom', '--file', "$tmp/custom", 'source' ],
			[ 'pg_restore', '--jobs=4', "$tmp/custom" ]
		]
	},
	directory => {
		steps => [
			[
				'pg_dump', '--format=directory', '--jobs=4', '--file',
				"$tmp/directory", 'source'
			],
			[ 'pg_restore', '--jobs=4', "$tmp/directory" ]
		]
	},
	sections => {
		steps => [
			map {
				[
					'pg_dump', "--section=$_", '--format=custom', '--file',
					"$tmp/$_", 'source'
				],
				  [ 'pg_restore', '--jobs=4', "$tmp/$_" ]
			} qw(pre-data data post-data)
		]
	},

	# The triggers of users are there before the data, and must not fire.
	# --disable-triggers leaves all of them enabled.
	parts => {
		steps => [
			[ 'pg_dump', '--schema-only', '--file', "$tmp/empty", 'source' ],
			[ 'psql', '--file', "$tmp/empty" ],
			[
				'pg_dump', '--data-only', '--disable-triggers', '--file',
				"$tmp/rows", 'source'
			],
			[ 'psql', '--file', "$tmp/rows" ],
			[ 'psql', '--command', 'REFRESH MATERIALIZED VIEW site.free' ]
		],
		lost => qr/trigger,"CREATE TRIGGER note_/
	},

	# Over what is there already.
	again => {
		steps => [
			[ 'pg_dump', '--format=custom', '--file', "$tmp/again", 'source' ],
			[ 'pg_restore', "$tmp/again" ],
			[
				'pg_restore', '--clean', '--if-exists', '--single-transaction',
				"$tmp/again"
			]
		]
	},

	# A schema has the types of its tables from the extension.
	schema => {
		steps => [
			[
				'pg_dump', '--schema=evcharge', '--schema=site',
				'--extension=evcharge', '--file', "$tmp/schema", 'source'
			],
			[ 'psql', '--file', "$tmp/schema" ]
		],
		lost => qr/publication,/
	},

	# The owner of the tables moves them, after a superuser has made the
	# extension; of that, the owner can give nothing away.
	owner => {
		steps => [
			sub {
				make_extension($node, @_);
				$node->safe_psql(@_,
					'CREATE SCHEMA site AUTHORIZATION charging');
			},
			[
				'pg_dump', '--username=charging', '--format=custom', '--file',
				"$tmp/owner", 'source'
			],
			[
				'pg_restore', '--username=charging', '--no-publications',
				'--schema=evcharge', '--schema=site', "$tmp/owner"
			]
		],
		lost => qr/publication,|schema,|(?:routine|type),(?!.*,charging,)/
	});

foreach my $way (sort keys %ways)
{
	my $lost = $ways{$way}{lost} // qr/nothing/;
	my $left = sub { return $_[0] =~ s/^\(($lost).*\n//gmr };

	$node->safe_psql('postgres', "CREATE DATABASE $way");
	my $listener = listen($node, $way);
	foreach my $step (@{ $ways{$way}{steps} })
	{
		if (ref $step eq 'CODE')
		{
			$step->($way);
			next;
		}
		my ($program, @arguments) = @$step;
		unshift @arguments, @{ $options{$program} }, $way
		  if $options{$program};
		run_program($node, "$way: " . join(' ', @$step) =~ s{\Q$tmp\E/}{}gr,
			$program, @arguments);
	}
	unlike($listener->query('SELECT 1'),
		qr/Asynchronous notification/, "$way: nothing is announced");
	is_same(contents($node, $way), $contents,
		"$way: every table and view is equal");
	is_same($left->(catalogue($node, $way)),
		$left->($catalogue), "$way: all that users made is equal");

	run_install($node, $way);
	check_goes_on($node, $way, $way);
	like($listener->query('SELECT 1'),
		qr/Asynchronous notification "evcharge_transaction"/,
		"$way: changes are announced again");
	$listener->quit;
}

$node->stop;
done_testing();
