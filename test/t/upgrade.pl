# A database that was made with a released version becomes what a fresh one of
# this version is, and keeps its data and all that users added.  The library
# serves it before that, too.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Digest::SHA;
use Evcharge;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# What was released does not change.
my %released = ('1.0' =>
	  '8326b066ab614df06ec6ebf129a7d75435ea03058d2f374c1ce2360a00acb250'
);

# What an upgrade changes on purpose: install() makes the views anew, with their
# comments; gateway_health tells versions and has a column more.
my $renewed = qr/^\(extension,|^\(comment,"view |^evcharge\.(gateway_health|announcer) /;

my $node = PostgreSQL::Test::Cluster->new('upgrade');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf',
	"evcharge.offline_after = 0\nlog_statement = none");
$node->start;
make_roles($node);
make_empty($node, 'fresh');

# Return the lines of one text that are not in another.
sub lines_without
{
	my ($lines, $without) = @_;
	my %known = map { $_ => 1 } split /\n/, $without;
	return join "\n", grep { !$known{$_} } split /\n/, $lines;
}

# What identifies something compares as in the database where 1.0 made the
# tables, and by its bytes where this version does.
sub without_collations
{
	my ($catalogue) = @_;

	$catalogue =~ s/^(\(column,evcharge\..*,text,)"""C"""/$1"""default"""/mg;
	return $catalogue;
}

# Do what README.md tells under "Upgrading".
sub upgrade
{
	my ($database) = @_;

	$node->safe_psql($database, 'ALTER EXTENSION evcharge UPDATE');
	grant_owner($node, $database);
	run_install($node, $database);
}

foreach my $version (sort keys %released)
{
	my $script = $node->config_data('--sharedir')
	  . "/extension/evcharge--$version.sql";
	is(Digest::SHA->new(256)->addfile($script)->hexdigest,
		$released{$version}, "$version: the script is as it was released");

	(my $name = "v$version") =~ s/\W/_/;

	# Empty, it becomes a fresh one.
	make_empty($node, "${name}_empty", $version);
	my $plain = catalogue($node, "${name}_empty");
	upgrade("${name}_empty");
	grant_access($node, "${name}_empty");
	is_same(
		without_collations(catalogue($node, "${name}_empty")),
		without_collations(catalogue($node, 'fresh')),
		"$version: what an upgrade makes is what a fresh install makes");

	# The functions and tables of the old version work with this library: they
	# make a site with all there is.
	make_site($node, $name, $version);
	my $added = lines_without(catalogue($node, $name), $plain);
	my $readers = read_events($node, $name);
	my $contents = contents($node, $name);
	command_ok(
		[
			'pg_dump', '--format=custom', '--file',
			"$PostgreSQL::Test::Utils::tmp_check/$name.dump", $node->connstr($name)
		],
		"$version: dumps");

	upgrade($name);
	my $changed = contents($node, $name);
	is_same(
		(join "\n", grep { !/$renewed/ } split /\n/, $changed),
		(join "\n", grep { !/$renewed/ } split /\n/, $contents),
		"$version: every table and view is equal");
	my $lost = lines_without($added, catalogue($node, $name));
	is((join "\n", grep { !/$renewed/ } split /\n/, $lost),
		'', "$version: what users added is there");

	# Its rows in new tables.
	my $moved = "${name}_moved";
	make_empty($node, $moved);
	$node->safe_psql(
		$moved, <<~'SQL');
		ALTER TABLE evcharge.charge_point ADD COLUMN address text;
		ALTER TABLE evcharge.transaction ADD COLUMN energy_wh int8
			GENERATED ALWAYS AS (end_meter::int8 - start_meter) STORED;
		SQL
	command_ok(
		[
			'pg_dump', '--data-only', '--schema=evcharge', '--file',
			"$PostgreSQL::Test::Utils::tmp_check/$moved", $node->connstr($name)
		],
		"$version: its rows are dumped");
	$node->command_ok(
		[
			'psql', '--no-psqlrc', '--quiet', '--set=ON_ERROR_STOP=1', '--file',
			"$PostgreSQL::Test::Utils::tmp_check/$moved", $moved
		],
		"$version: and are restored into new tables");
	is_same(
		(join "\n", grep { /^evcharge/ } split /\n/, contents($node, $moved)),
		(join "\n", grep { /^evcharge/ } split /\n/, contents($node, $name)),
		"$version: which are equal");
	check_goes_on($node, $moved, "$version: in new tables");

	check_events($node, $name, $readers, "$version: upgraded");
	check_goes_on($node, $name, "$version: upgraded");

	# A dump of the old version comes back under this one, and then is upgraded.
	my $back = "${name}_back";
	$node->safe_psql('postgres', "CREATE DATABASE $back");
	command_ok(
		[
			'pg_restore', '--exit-on-error', '--dbname', $node->connstr($back),
			"$PostgreSQL::Test::Utils::tmp_check/$name.dump"
		],
		"$version: a dump is restored under this version");
	is($node->safe_psql($back, 'SELECT evcharge.tables_version()'),
		'1', "$version: with its tables as they were");
	is_same(
		(join "\n", grep { !/$renewed/ } split /\n/, contents($node, $back)),
		(join "\n", grep { !/$renewed/ } split /\n/, $contents),
		"$version: a dump comes back equal");
	check_goes_on($node, $back, "$version: before it is upgraded");
	upgrade($back);
	is($node->safe_psql($back, 'SELECT evcharge.tables_version()'),
		$node->safe_psql('fresh', 'SELECT evcharge.tables_version()'),
		"$version: and is upgraded");
}

$node->stop;
done_testing();
