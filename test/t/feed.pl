# events_since() gives each event once to whoever passes the cursor on: while
# transactions stay open from one read to another, with subtransactions that are
# rolled back, prepared, and committed by somebody else, also after a crash.
#
# Sessions and readers take turns, so that everything follows from the seed,
# EVCHARGE_SEED, and the number of turns, EVCHARGE_TURNS.  test/t/stress.pl has
# sixteen who write at the same time.

use strict;
use warnings;

use FindBin;
use lib $FindBin::RealBin;

use Evcharge;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seed = $ENV{EVCHARGE_SEED} // int(rand(1_000_000));
my $turns = $ENV{EVCHARGE_TURNS} // 1200;
note("seed: $seed (EVCHARGE_SEED), turns: $turns (EVCHARGE_TURNS)");
srand($seed);

my $node = PostgreSQL::Test::Cluster->new('feed');
$node->init(extra => ['--encoding=UTF8']);
$node->append_conf(
	'postgresql.conf', <<~'CONF');
	evcharge.notify = off
	max_prepared_transactions = 10
	log_statement = none
	CONF
$node->start;
$node->safe_psql(
	'postgres', <<~'SQL');
	CREATE EXTENSION evcharge;
	SELECT evcharge.install();
	CREATE FUNCTION say(id text) RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		PERFORM evcharge.report_log(id, evcharge.encode(evcharge.from_json(
			'LogData', '{"resp":{"message":"hello"}}')));
	END $$;

	-- uses up transaction ids, so that what is open becomes old
	CREATE TABLE used (n int);
	CREATE FUNCTION use_ids() RETURNS void LANGUAGE plpgsql AS $$
	BEGIN
		FOR n IN 1 .. 1500 LOOP
			BEGIN
				INSERT INTO used VALUES (n);
			EXCEPTION WHEN others THEN
				RAISE;
			END;
		END LOOP;
	END $$;
	SQL

my %done;    # how often what was done

# ---------------------------------------------------------------------------
# Who writes: each transaction has charge points of its own, or it would wait.
# ---------------------------------------------------------------------------

my @free = map { "CP-$_" } 1 .. 40;
my @sessions;    # of: psql, and the charge points of its transaction
my %prepared;    # name => its charge points
my $names = 0;

sub start_sessions
{
	@sessions =
	  map { { psql => $node->background_psql('postgres') } } 1 .. 5;
}

# Run a statement in a session.
sub in
{
	my ($session, $statement) = @_;
	$session->{psql}->query_safe($statement);
}

# Write an event or two of a charge point of the transaction.
sub write_events
{
	my ($session) = @_;
	my @ids = @{ $session->{ids} };
	my $id = $ids[ rand @ids ];
	in($session, "SELECT say('$id')");
	in($session, "SELECT say('$id')") if rand() < 0.3;
}

sub prepare
{
	my ($session) = @_;
	my $name = 'p' . ++$names;

	in($session, "PREPARE TRANSACTION '$name'");
	$prepared{$name} = delete $session->{ids};
	$done{PREPARE}++;
}

# A session's turn: begin a transaction, do something in it, or end it.
sub take_turn
{
	my ($session) = @_;
	my $choice = rand();

	if (!$session->{ids})
	{
		$session->{ids} = [ splice(@free, rand(@free - 1), 2) ];
		in($session, 'BEGIN');
		write_events($session);
		return;
	}
	if ($choice < 0.25)
	{
		write_events($session);
		return;
	}
	if ($choice < 0.5)
	{
		my $end = rand() < 0.5 ? 'ROLLBACK TO' : 'RELEASE';

		in($session, 'SAVEPOINT here');
		write_events($session);
		in($session, "$end here");
		write_events($session) if rand() < 0.5;
		$done{$end}++;
		return;
	}
	if ($choice < 0.65 && keys %prepared < 9)
	{
		prepare($session);
		return;
	}
	my $end = rand() < 0.75 ? 'COMMIT' : 'ROLLBACK';
	in($session, $end);
	push @free, @{ delete $session->{ids} };
	$done{$end}++;
}

# Anybody who has no transaction ends a prepared one.
sub end_prepared
{
	my ($session) = grep { !$_->{ids} } @sessions;
	my @names = sort keys %prepared;

	return unless $session && @names;
	my $name = $names[ rand @names ];
	my $end = (rand() < 0.75 ? 'COMMIT' : 'ROLLBACK') . ' PREPARED';
	in($session, "$end '$name'");
	push @free, @{ delete $prepared{$name} };
	$done{$end}++;
}

# Anybody who has no transaction makes the others' old.
sub use_ids
{
	my ($session) = grep { !$_->{ids} } @sessions;

	return unless $session;
	in($session, 'SELECT use_ids()');
	$done{'ids used'}++;
}

# ---------------------------------------------------------------------------
# Who reads: by one event, by a few, by many; and one who reads a while in one
# snapshot, which must not change what comes after.
# ---------------------------------------------------------------------------

my @readers = map { { most => $_, cursor => 'NULL', read => {} } } 1, 3, 1000, 2;

sub start_readers
{
	$_->{psql} = $node->background_psql('postgres') foreach @readers;
	$_->{within} = 0 foreach @readers;
}

# Read a page, or no further than a row of it; tell whether there was anything.
sub read_page
{
	my ($reader) = @_;
	my @rows = split /\n/,
	  $reader->{psql}
	  ->query_safe('SELECT charge_point_id, event_id, next_cursor'
		  . " FROM evcharge.events_since($reader->{cursor}, $reader->{most})");

	splice(@rows, 1 + rand @rows) if @rows && rand() < 0.3;
	foreach (@rows)
	{
		my ($id, $event, $next) = split /\|/;

		$reader->{read}{"$id/$event"}++;
		$reader->{cursor} = "'$next'";
	}
	return @rows > 0;
}

sub end_snapshot
{
	my ($reader) = @_;

	$reader->{psql}->query_safe('COMMIT') if $reader->{within};
	$reader->{within} = 0;
}

sub read_turn
{
	my ($reader) = @_;

	if ($reader == $readers[3] && rand() < 0.2)
	{
		if ($reader->{within})
		{
			end_snapshot($reader);
		}
		else
		{
			$reader->{psql}->query_safe('BEGIN ISOLATION LEVEL REPEATABLE READ');
			$reader->{within} = 1;
			$done{'a reader begins'}++;
		}
	}
	read_page($reader);
}

# ---------------------------------------------------------------------------
# The turns, and a crash in the middle of them
# ---------------------------------------------------------------------------

start_sessions();
start_readers();
foreach my $turn (1 .. $turns)
{
	my $choice = rand();

	if ($choice < 0.55)
	{
		take_turn($sessions[ rand @sessions ]);
	}
	elsif ($choice < 0.65)
	{
		end_prepared();
	}
	elsif ($choice < 0.68)
	{
		use_ids();
	}
	else
	{
		read_turn($readers[ rand @readers ]);
	}
	next unless $turn == int($turns / 2);

	# What is open is lost, what is prepared is not.
	foreach my $session (@sessions[ 0, 1 ])
	{
		take_turn($session) until $session->{ids};
	}
	prepare($sessions[1]);
	$node->stop('immediate');
	$_->{psql}->quit foreach @sessions, @readers;
	push @free, map { @{ $_->{ids} // [] } } @sessions;
	$node->start;
	start_sessions();
	start_readers();
}

# Everything ends, and is read to its end.
foreach my $session (@sessions)
{
	in($session, 'COMMIT') if $session->{ids};
	delete $session->{ids};
}
end_prepared() while keys %prepared;
foreach my $reader (@readers)
{
	end_snapshot($reader);
	while (read_page($reader)) { }
}

my $written = $node->safe_psql('postgres',
	"SELECT charge_point_id || '/' || event_id FROM evcharge.event");
foreach my $reader (@readers)
{
	my $read = $reader->{read};

	is_same(
		join("\n", map { ($_) x $read->{$_} } keys %$read),
		$written, "each event once, by pages of $reader->{most}");
}
is( $node->safe_psql('postgres', 'SELECT * FROM evcharge.check_integrity()'),
	'', 'no rule is broken');

# It cannot pass by doing nothing.
if ($turns >= 1200)
{
	foreach my $what (
		'COMMIT', 'ROLLBACK', 'RELEASE', 'ROLLBACK TO', 'PREPARE',
		'COMMIT PREPARED', 'ROLLBACK PREPARED', 'a reader begins',
		'ids used')
	{
		cmp_ok($done{$what} // 0, '>=', 1, "$what: " . ($done{$what} // 0));
	}
}

$_->{psql}->quit foreach @sessions, @readers;
$node->stop;
done_testing();
