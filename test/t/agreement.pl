# The server and Google's implementation of protobuf agree on 20,000 random
# messages and texts: test/agreement.py says how.  EVCHARGE_AGREEMENT holds
# other options for it, such as "--messages 200000 --seed 7".

use strict;
use warnings;

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

$ENV{PYTHONDONTWRITEBYTECODE} = 1;

my ($other, $error) = run_command([ '/usr/bin/python3', '-c',
	'from google.protobuf.internal import api_implementation as a; print(a.Type())' ]);
die $error if $other eq '';
plan skip_all => "python3-protobuf is the implementation in $other, not that in C++"
  if $other ne 'cpp';

my $node = PostgreSQL::Test::Cluster->new('agreement');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION evcharge');

# The seed is always the same here, so that what fails once fails again.
my @options = split ' ', $ENV{EVCHARGE_AGREEMENT} // '--seed 1';
my ($stdout, $stderr);
my $ok = IPC::Run::run(
	[ 'test/agreement.py', '--dsn', $node->connstr('postgres'), @options ],
	'>', \$stdout, '2>', \$stderr);
ok($ok, 'there is no difference that no rule decides');
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

my $ends = '(?:taken by both|refused by both|decided by a rule)';
my $total = counted("bytes $ends");
cmp_ok($total, '>=', 20_000, 'at least 20,000 messages were compared');
is(counted("texts $ends"), $total, 'and as many texts');
is(counted('differences'), 0, 'no difference is counted');

my @types = $node->safe_psql(
	'postgres', <<~'SQL') =~ /\w+/g;
	DO $$
	BEGIN
		PERFORM evcharge.decode('nothing', '');
	EXCEPTION WHEN SQLSTATE 'OC003' THEN
		DECLARE
			hint text;
		BEGIN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			PERFORM set_config('test.types',
				substring(hint FROM ': (.*)\.'), false);
		END;
	END $$;
	SELECT current_setting('test.types');
	SQL
is(scalar(@types), 19, 'the format has 19 types');
foreach my $type (@types)
{
	cmp_ok(counted("messages $type"), '>', $total / 50, "of type $type");
}
foreach my $sort ('made', 'tampered', 'damaged', 'unruly',
	'unruly and damaged')
{
	cmp_ok(counted("messages $sort"), '>', $total / 6, "bytes that are $sort");
}

# Neither of them refuses, or takes, almost everything.
foreach my $what ('bytes', 'texts')
{
	foreach my $end ('taken', 'refused')
	{
		cmp_ok(counted("$what $end by both"),
			'>', $total / 4, "$what $end by both");
	}
	cmp_ok(counted("$what decided by a rule"),
		'<', $total / 20, "$what decided by a rule are few");
}
cmp_ok(counted('bytes made canonical'),
	'>', $total / 10, 'bytes are made canonical');
cmp_ok(counted('rule for bytes: text in PostgreSQL cannot hold U\+0000'),
	'>', 50, 'U+0000 is refused, as documented');

$node->stop;
done_testing();
