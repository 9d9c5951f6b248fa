# The listeners of examples/ lose nothing: not when their connections are cut
# while events flow, not when they cannot connect for a while, not when the
# server crashes, not when they are stopped or killed and started again, and not
# on a hot standby.
#
# They look at the clock once an hour, so all that they print they were told of,
# or found when they came back.

use strict;
use warnings;

use Cwd;
use JSON::PP;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(usleep);

$ENV{PYTHONDONTWRITEBYTECODE} = 1;
delete $ENV{PYTHONUNBUFFERED};

# Where Debian puts modules of Node.
$ENV{NODE_PATH} = join ':', grep { defined } $ENV{NODE_PATH},
  '/usr/share/nodejs', '/usr/lib/nodejs';

my $tmp = $PostgreSQL::Test::Utils::tmp_check;
my $json = JSON::PP->new->utf8;
my %programs = ('listen.py' => ['examples/listen.py']);

SKIP:
{
	my ($stdout, $stderr);
	my $found = eval {
		IPC::Run::run(
			[
				'node', '-e',
				'require("module").createRequire(process.argv[1]).resolve("pg")',
				getcwd() . '/examples/'
			],
			'>', \$stdout, '2>', \$stderr);
	};

	skip 'listen.js needs node and its module pg', 1 unless $found;
	command_like([ 'node', 'examples/listen.js', '--help' ],
		qr/--cursor-file/, 'listen.js tells its options');
	$programs{'listen.js'} = [ 'node', 'examples/listen.js' ];
}
my @names = sort keys %programs;

my $node = PostgreSQL::Test::Cluster->new('listen');
$node->init(allows_streaming => 1, extra => ['--encoding=UTF8']);
$node->append_conf('postgresql.conf', 'log_statement = none');
$node->start;

# What a query answers.
sub answer
{
	my ($query) = @_;
	return $node->safe_psql('postgres', $query);
}

# Wait until something is so.
sub wait_until
{
	my ($what, $is_so) = @_;
	my $attempts = 20 * $PostgreSQL::Test::Utils::timeout_default;

	until (&$is_so)
	{
		die "not so: $what" unless --$attempts;
		usleep(50_000);
	}
}

# Report n of a connector changes its status and leaves an entry in the log.
answer(<<~'SQL');
	CREATE EXTENSION evcharge;
	SELECT evcharge.install();
	CREATE ROLE listener LOGIN;
	SELECT evcharge.grant_access('listener', 'reader');

	CREATE FUNCTION bytes(type text, fields json) RETURNS bytea LANGUAGE sql
	RETURN evcharge.encode(evcharge.from_json(type, fields));
	CREATE FUNCTION report(charge_point_id text, connector int, n int)
	RETURNS void LANGUAGE sql AS $$
		SELECT evcharge.report_connector(charge_point_id, bytes('ConnectorInfo',
			json_build_object('id', connector, 'status',
				(ARRAY['AVAILABLE', 'PREPARING'])[n % 2 + 1])), to_timestamp(n));
		SELECT evcharge.report_log(charge_point_id, bytes('LogData',
			json_build_object('currentTime', to_timestamp(n),
				'resp', json_build_object('message', connector::text))));
	$$;
	SQL

# ---------------------------------------------------------------------------
# The writers: four clients, two on each of two charge points
# ---------------------------------------------------------------------------

my $reports = 0;

# Start clients that make some reports each.
sub start_writers
{
	my ($count) = @_;
	my @writers;

	foreach my $client (0 .. 3)
	{
		my $file = "$tmp/writer.$client.sql";
		my ($charge_point, $connector) = (1 + int($client / 2), 1 + $client % 2);

		open(my $script, '>', $file) or die "$file: $!";
		print $script "SELECT report('CP-$charge_point', $connector, $_);\n"
		  foreach $reports + 1 .. $reports + $count;
		close($script);
		push @writers,
		  IPC::Run::start(
			[
				'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-f', $file, '-d',
				$node->connstr('postgres')
			],
			'>',
			"$file.out",
			'2>',
			"$file.err");
	}
	$reports += $count;
	return @writers;
}

# Wait until they are gone, all for the same reason.
sub finish_writers
{
	my ($how, @writers) = @_;

	$_->finish foreach @writers;
	my @ends = map { $_->full_result(0) >> 8 } @writers;
	die "writers end with @ends" if grep { $_ != $how } @ends;
}

# Return the number of the newest event of each charge point.
sub newest_events
{
	return map { split /\|/ } split /\n/,
	  answer('SELECT charge_point_id, last_event_id FROM evcharge.charge_point');
}

# Start clients, and wait until each charge point has something new.
sub start_flow
{
	my %before = newest_events();
	my @writers = start_writers(@_);

	wait_until(
		'events flow',
		sub {
			my %now = newest_events();
			return %now && !grep { $now{$_} < ($before{$_} // 0) + 20 } keys %now;
		});
	return @writers;
}

# ---------------------------------------------------------------------------
# The listeners.  One may have several lives, each with an output of its own.
# ---------------------------------------------------------------------------

my (%running, %lives, %killed);

END
{
	my $status = $?;
	$_->signal('KILL') foreach values %running;
	$? = $status;
}

# Start a listener: a program, and a word if it is another than the first.
sub start_listener
{
	my ($name, %options) = @_;
	my ($program) = split / /, $name;
	my $file = "$tmp/$name." . ++$lives{$name};
	my $server = $options{server} // $node;
	my $place = $options{place} // "$tmp/$name.cursor";
	local @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)} =
	  ($server->host, $server->port, 'postgres', 'listener');

	$running{$name} = IPC::Run::start(
		[
			@{ $programs{$program} }, '--cursor-file',
			$place, '--forward',
			'--interval', $options{interval} // 3600
		],
		@{ $options{output} // [ '>', $file ] },
		'2>', "$file.err");
}

sub start_listeners
{
	start_listener($_) foreach @names;
}

# Send the listeners a signal and wait for their ends.
sub stop_listeners
{
	my ($signal, @which) = @_;
	my @ends;

	foreach my $name (@which)
	{
		my $listener = delete $running{$name};
		$listener->signal($signal);
		$listener->finish;
		push @ends, $listener->full_result(0);
	}
	return join ' ', @ends;
}

# What a listener has printed, life by life: the state and the events.
sub printed
{
	my ($name) = @_;
	my @printed;

	foreach my $life (1 .. $lives{$name})
	{
		my $text = slurp_file("$tmp/$name.$life");
		my @lines = map { $json->decode($_) } $text =~ /^(.+)\n/mg;
		push @printed,
		  {
			state => [ grep { !exists $_->{event_id} } @lines ],
			events => [ grep { exists $_->{event_id} } @lines ]
		  };
	}
	return @printed;
}

# Wait until a listener has printed the newest event of each charge point.
sub wait_for_listener
{
	my ($name) = @_;
	my %newest = newest_events();

	wait_until(
		"$name prints all there is",
		sub {
			my $text = join '',
			  map { slurp_file("$tmp/$name.$_") } 1 .. $lives{$name};
			return !grep {
				$text !~ /^\{"charge_point_id": ?"$_", ?"event_id": ?$newest{$_},.*\n/m
			} keys %newest;
		});
}

sub wait_for_listeners
{
	wait_for_listener($_) foreach @names;
}

# Wait until the listeners are connected.
sub wait_for_connections
{
	wait_until(
		'the listeners are connected',
		sub {
			answer(
				"SELECT count(*) FROM pg_stat_activity WHERE usename = 'listener'"
			) == @names;
		});
}

# Cut the connections of the listeners; return how many there were.
sub cut
{
	return answer('SELECT count(pg_terminate_backend(pid, 60000))'
		  . " FROM pg_stat_activity WHERE usename = 'listener'");
}

# ---------------------------------------------------------------------------
# What happens to them
# ---------------------------------------------------------------------------

# They begin before the first event.
start_listeners();
wait_until("$_ begins", sub { -e "$tmp/$_.cursor" }) foreach @names;

# Each channel wakes them.
foreach my $call (
	q[report_log('CP-1', bytes('LogData', '{"resp":{"message":"0"}}'))],
	q[report_connector('CP-1', bytes('ConnectorInfo',
		'{"id":1,"status":"AVAILABLE"}'), 'epoch')],
	q[report_transaction('CP-1', bytes('TransactionInfo',
		'{"id":1,"connectorId":1,"startTime":"1970-01-01T00:00:00Z"}'))],
	q[set_authorization('CP-1', bytes('ConsumerAuthData',
		'{"authData":{"idTag":"T-1","idTagInfo":{"status":"Accepted"}}}'))])
{
	answer("SELECT evcharge.$call");
	wait_for_listeners();
}

# Their connections are cut while events flow.
foreach my $round (1 .. 4)
{
	my @writers = start_flow(60);

	wait_for_connections();
	is(cut(), @names, "round $round: connections are cut");
	finish_writers(0, @writers);
}
wait_for_listeners();

# They stay away while much happens, and then hear again what happens.
answer('ALTER ROLE listener NOLOGIN');
cut();
finish_writers(0, start_writers(50));
answer('ALTER ROLE listener LOGIN');
wait_for_listeners();
finish_writers(0, start_writers(1));
wait_for_listeners();

# The server crashes while events flow.  From then on the announcer tells of
# them, and no longer each transaction of its own.
{
	my @writers = start_flow(10_000);

	$node->stop('immediate');
	finish_writers(2, @writers);
	$node->append_conf('postgresql.conf',
		"shared_preload_libraries = 'evcharge'");
	$node->start;
	finish_writers(0, start_writers(50));
	wait_for_listeners();
	wait_until('the announcer is at work',
		sub { answer('SELECT evcharge.notify_mode()') eq 'announcer' });
	finish_writers(0, start_writers(1));
	wait_for_listeners();
}

# They are stopped, and miss two transactions that meet on a charge point: the
# one that began first reports last, so it is read first.
is(stop_listeners('TERM', @names), join(' ', (0) x @names),
	'listeners end in good order');
{
	my $cursor = slurp_file("$tmp/listen.py.cursor");
	my $first = $node->background_psql('postgres');

	$first->query_safe('BEGIN; SELECT pg_current_xact_id()');
	finish_writers(0, start_writers(1));
	$first->query_safe("SELECT report('CP-1', 1, " . ++$reports . '); COMMIT');
	$first->quit;
	my @ids = split /\n/,
	  answer("SELECT event_id FROM evcharge.events_since('$cursor')"
		  . " WHERE charge_point_id = 'CP-1'");
	isnt("@ids", join(' ', sort { $a <=> $b } @ids),
		'some events are read in another order than that of their ids');
}
start_listeners();
wait_for_listeners();

my (%newest_late, $states_late);

# Others begin while events flow, with the state.
{
	my @writers = start_flow(80);

	start_listener("$_ late") foreach @names;
	wait_until("$_ late begins", sub { -e "$tmp/$_ late.cursor" })
	  foreach @names;
	finish_writers(0, @writers);
	finish_writers(0, start_writers(1));
	wait_for_listener("$_ late") foreach @names;
	is(stop_listeners('INT', map { "$_ late" } @names),
		join(' ', (0) x @names), 'SIGINT ends them, too');
	%newest_late = newest_events();
	$states_late = answer(<<~'SQL');
		SELECT charge_point_id, connector_id, status FROM evcharge.connector
		ORDER BY charge_point_id, connector_id
		SQL
}
wait_for_listeners();

# They are killed in the middle of what they missed: it is more than fits into
# a pipe, so they cannot have printed it all.
stop_listeners('TERM', @names);
finish_writers(0, start_writers(100));
foreach my $name (@names)
{
	start_listener($name, output => [ '>pipe', \*OUTPUT ]);
	$killed{$name} = $lives{$name};
	my $listener = delete $running{$name};
	my $text = <OUTPUT>;
	$listener->signal('KILL');
	$text .= $_ while <OUTPUT>;
	$listener->finish;
	append_to_file("$tmp/$name.$lives{$name}", $text);
}
start_listeners();
wait_for_listeners();

# On a hot standby they poll, from a place that they reached on the primary; and
# when it is promoted, they listen.
{
	$node->backup('base');
	my $standby = PostgreSQL::Test::Cluster->new('standby');
	$standby->init_from_backup($node, 'base', has_streaming => 1);
	$standby->start;
	stop_listeners('TERM', @names);
	start_listener($_, server => $standby) foreach @names;
	finish_writers(0, start_writers(1));
	wait_for_listeners();
	like(slurp_file("$tmp/$_.$lives{$_}.err"),
		qr/\Alisten: polling a standby\n\z/, "$_ polls a hot standby")
	  foreach @names;

	$node->wait_for_catchup($standby);
	$node->stop;
	$standby->promote;
	$node = $standby;
	wait_until("$_ listens after the promotion",
		sub { slurp_file("$tmp/$_.$lives{$_}.err") =~ /^listen: listening$/m })
	  foreach @names;
	finish_writers(0, start_writers(1));
	wait_for_listeners();
}

# Without notifications they find what happened as time goes by.
{
	$node->append_conf('postgresql.conf', 'evcharge.notify = off');
	$node->reload;
	stop_listeners('TERM', @names);
	start_listener($_, interval => 0.5) foreach @names;
	wait_for_connections();
	finish_writers(0, start_writers(1));
	wait_for_listeners();
}

# What cannot get better ends them.
foreach my $name (@names)
{
	my $place = "$tmp/$name.bad";
	append_to_file($place, 'nowhere');
	start_listener("$name astray", place => $place);
	my $listener = delete $running{"$name astray"};
	$listener->finish;
	is($listener->full_result(0) >> 8, 1, "$name gives up a bad cursor");
	like(
		slurp_file("$tmp/$name astray.1.err"),
		qr/invalid cursor: "nowhere"/,
		"$name says why");
}

# ---------------------------------------------------------------------------
# What they printed
# ---------------------------------------------------------------------------

stop_listeners('TERM', keys %running);

# All that an event says.
sub content
{
	my ($event) = @_;
	return join '|', map { $_ . '=' . ($event->{$_} // '') } sort keys %$event;
}

my %events;
foreach (split /\n/, answer(<<~'SQL'))
	SELECT row_to_json(e) FROM (
		SELECT e.charge_point_id, event_id, e.kind, e.connector_id,
			e.transaction_id, old_value, new_value, reason, detail, occurred_at,
			recorded_at, encode(evcharge.state_change(e), 'base64') AS state_change
		FROM evcharge.event e) e
	SQL
{
	my $event = $json->decode($_);
	$events{"$event->{charge_point_id} $event->{event_id}"} = content($event);
}

# From a place on each charge point, every event is there in the order of ids,
# none twice; but a life that follows a violent death may begin with some of
# those of the one before.  All is as the table has it.
sub check_events
{
	my ($name, $newest, %last) = @_;
	my $life = 0;
	my (@odd, %count);

	foreach my $printed (printed($name))
	{
		my %began;

		$life++;
		foreach my $event (@{ $printed->{events} })
		{
			my ($id, $number) = @$event{qw(charge_point_id event_id)};
			my $again = $life == ($killed{$name} // -1) + 1 && !$began{$id}++;

			push @odd, "life $life: $id $number after " . ($last{$id} // 0)
			  unless $number == ($last{$id} // 0) + 1
			  || $again && $number <= $last{$id};
			push @odd, "life $life: $id $number differs"
			  if content($event) ne ($events{"$id $number"} // '');
			$last{$id} = $number;
			$count{$life}++;
		}
	}
	is(join("\n", @odd), '', "$name: each event once and in order");
	is_deeply(\%last, $newest, "$name: to the last");
	is(join(' ', grep { !$count{$_} } 1 .. $life),
		'', "$name: each life has events");
}

foreach my $name (@names)
{
	check_events($name, { newest_events() });

	# The state and the events that follow make the state as it is now.
	my ($late) = printed("$name late");
	my (%last, %status);
	foreach my $row (@{ $late->{state} })
	{
		$last{ $row->{charge_point_id} } = $row->{last_event_id};
		$status{"$row->{charge_point_id}|$row->{connector_id}"} = $row->{status};
	}
	check_events("$name late", \%newest_late, %last);
	$status{"$_->{charge_point_id}|$_->{connector_id}"} = $_->{new_value}
	  foreach grep { $_->{kind} eq 'connector_status' } @{ $late->{events} };
	is(join("\n", map { "$_|$status{$_}" } sort keys %status),
		$states_late, "$name late: state and events make the state");
}
is(answer('SELECT * FROM evcharge.check_integrity()'), '', 'no rule is broken');

$node->stop;
done_testing();
