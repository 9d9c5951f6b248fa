# A database with evcharge in it, with state, and with all that users add to its
# tables; and the questions whose answers must be the same after it was moved.

package Evcharge;

use strict;
use warnings;

use Exporter 'import';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

our @EXPORT = qw(make_roles make_site make_empty make_extension
  grant_owner grant_access run_install
  contents catalogue cluster_settings is_same
  events read_events check_events listen check_goes_on);

# The views must answer the same throughout a test, so of what depends on the
# time at which it is asked, only this is left out.
my %volatile = (
	active_transaction => 'duration_seconds',
	connector_timeline => 'duration_seconds',
	gateway_health => 'observed_at,notification_queue_percent');
my %where = (connector_utilization =>
	  "day < date_trunc('day', (SELECT max(recorded_at) FROM evcharge.event), 'UTC')"
);

my @channels = map { "evcharge_$_" } qw(charge_point connector transaction auth);

my $alice = '{"chargePointClientId":"CP-A","consumerPublicKey":"alice"}';
my $start =
  '{"chargePointClientId":"CP-A","connectorId":1,"consumerPublicKey":"alice"}';

# Return SQL for the wire bytes of a message.
sub bytes
{
	my ($type, $json) = @_;
	return "evcharge.encode(evcharge.from_json('$type', '$json'))";
}

# Make a call whose answer is a message; return it as JSON.
sub ask
{
	my ($node, $database, $type, $call) = @_;
	return $node->safe_psql($database,
		"SELECT evcharge.to_json(evcharge.decode('$type', evcharge.$call))");
}

# ---------------------------------------------------------------------------
# Making it
# ---------------------------------------------------------------------------

# Make the owner of the tables, who is no superuser, and four kinds of users.
sub make_roles
{
	my ($node) = @_;

	$node->safe_psql(
		'postgres', <<~'SQL');
		CREATE ROLE charging LOGIN;
		CREATE ROLE gateway;
		CREATE ROLE grafana;
		CREATE ROLE support;
		CREATE ROLE pager;
		ALTER ROLE gateway SET evcharge.notify = 'off';
		GRANT SET ON PARAMETER evcharge.notify TO support;
		SQL
}

# Make a database with the tables in the hands of "charging": a day of a site,
# stopped at eleven so that transactions are open; then what the replayer does
# not send: requests, an anomaly, a log, a whole state.
sub make_site
{
	my ($node, $database, $version) = @_;

	make_empty($node, $database, $version);

	local $ENV{PYTHONDONTWRITEBYTECODE} = 1;
	command_ok(
		[
			'examples/replay.py', '--dsn', $node->connstr($database),
			'--days', 1, '--until', '11:00'
		],
		'replays a morning');

	my $boot = bytes('BootNotificationRequestData',
		'{"chargePointModel":"Gr\u00fcn & \"quoted\"","ChargePointVendor":"Example"}'
	);
	my $available = bytes('ConnectorInfo', '{"id":1,"status":"AVAILABLE"}');
	my $odd = bytes('ConnectorInfo', '{"id":2,"status":"on fire"}');
	my $log = bytes('LogData',
		'{"currentTime":"2024-01-08T10:00:00Z","resp":{"message":"a\nb\tc\\\\d"}}'
	);
	my $blocked = bytes('ConsumerAuthData',
		'{"publicKey":"mallory","authData":{"idTag":"T-1","idTagInfo":{"status":"Blocked"}}}'
	);
	my $state = bytes(
		'ChargePointState', '{"id":"CP-B","status":"AVAILABLE",'
		  . '"connectors":{"1":{"id":1,"status":"CHARGING","currentTransaction":9}},'
		  . '"transactions":{"9":{"id":9,"connectorId":1,"idTag":"T-2",'
		  . '"startTime":"2024-01-08T09:00:00Z","startMeter":5}},'
		  . '"authList":{"T-2":{"publicKey":"bob","transactionId":9,'
		  . '"authData":{"idTag":"T-2","idTagInfo":{"status":"Accepted"}}}},'
		  . '"currentAuthListVersion":3,"currentTransactionId":9}');

	$node->safe_psql(
		$database, <<~"SQL");
		SELECT evcharge.boot_notification('CP-A', $boot);
		SELECT evcharge.report_connector('CP-A', $available);
		SELECT evcharge.report_connector('CP-A', $odd);
		SELECT evcharge.report_log('CP-A', $log);
		SELECT evcharge.set_authorization('CP-A', $blocked);
		SELECT evcharge.load_state($state);
		SQL
	like(
		ask($node, $database, 'AuthorizeResponseData',
			'authorize(' . bytes('AuthorizeRequestData', $alice) . ')'),
		qr/"consumerPublicKey":"alice"/,
		'authorizes');
	my $request = bytes('StartTransactionRequestData', $start);
	unlike(
		ask($node, $database, 'StartTransactionResponseData',
			"start_transaction($request, '2024-01-08 10:00+00', 100)"),
		qr/"error":true/,
		'starts');
	add_things($node, $database);

	# A comparison of nothing with nothing would pass.
	my $contents = contents($node, $database);
	foreach my $relation (
		qw(charge_point connector transaction auth event meter_sample
		gateway_log active_transaction transaction_history anomaly energy_hourly
		connector_timeline connector_utilization))
	{
		like($contents, qr/^evcharge\.$relation [1-9]/m,
			"there is something in $relation");
	}
	like(catalogue($node, $database), qr/^\(trigger,/m, 'and things of users');
	check_integrity($node, $database, 'the source is in order');
}

# Make a database with the tables, and nothing in them.
sub make_empty
{
	my ($node, $database, $version) = @_;

	$node->safe_psql('postgres', "CREATE DATABASE $database");
	make_extension($node, $database, $version);
	run_install($node, $database);
	grant_access($node, $database);
}

# Make the extension, of the newest version unless another is wanted, and do
# what README.md tells before another role than a superuser can own the tables.
sub make_extension
{
	my ($node, $database, $version) = @_;

	$version = $version ? "VERSION '$version'" : '';
	$node->safe_psql($database, "CREATE EXTENSION evcharge $version");
	grant_owner($node, $database);
}

sub run_install
{
	my ($node, $database) = @_;

	$node->safe_psql($database,
		'SET ROLE charging; SELECT evcharge.install()');
}

sub grant_owner
{
	my ($node, $database) = @_;

	$node->safe_psql(
		$database, <<~'SQL');
		GRANT USAGE, CREATE ON SCHEMA evcharge TO charging;
		GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evcharge TO charging;
		GRANT USAGE ON TYPE evcharge.message, evcharge.connector_status,
			evcharge.registration_status, evcharge.authorization_status TO charging;
		SQL
}

sub grant_access
{
	my ($node, $database) = @_;

	$node->safe_psql(
		$database, <<~'SQL');
		SELECT evcharge.grant_access('gateway', 'ingest');
		SELECT evcharge.grant_access('grafana', 'reader');
		SELECT evcharge.grant_access('support', 'operator');
		SELECT evcharge.grant_access('pager', 'monitor');
		SQL
}

# What users do to the tables, which are theirs, and what they put beside them.
# The journal would grow if its trigger fired while data are restored.
sub add_things
{
	my ($node, $database) = @_;

	$node->safe_psql(
		$database, <<~"SQL");
		CREATE SCHEMA site AUTHORIZATION charging;
		GRANT USAGE ON SCHEMA site TO grafana;
		ALTER DATABASE $database SET evcharge.offline_after = 0;
		SET ROLE charging;

		ALTER TABLE evcharge.charge_point
			ADD COLUMN gone int,
			ADD COLUMN address text NOT NULL DEFAULT 'unknown',
			ADD CONSTRAINT has_address CHECK (address <> '');
		ALTER TABLE evcharge.charge_point DROP COLUMN gone;
		ALTER TABLE evcharge.transaction
			ADD COLUMN energy_wh int8
				GENERATED ALWAYS AS (end_meter::int8 - start_meter) STORED,
			ADD CONSTRAINT not_too_old CHECK (started_at > '2001-01-01') NOT VALID,
			SET (fillfactor = 60, autovacuum_vacuum_scale_factor = 0.01);
		ALTER TABLE evcharge.event
			ALTER detail SET STORAGE EXTERNAL,
			ALTER kind SET STATISTICS 500,
			ALTER kind SET (n_distinct = 20);
		UPDATE evcharge.charge_point SET address = 'Nußbaumallee 1'
			WHERE charge_point_id = 'CP-A';

		CREATE INDEX event_by_kind ON evcharge.event (kind) WITH (fillfactor = 80);
		CREATE INDEX event_by_day ON evcharge.event USING brin
			((recorded_at AT TIME ZONE 'UTC')) WHERE kind <> 'log';
		ALTER INDEX evcharge.event_by_day ALTER COLUMN 1 SET STATISTICS 50;
		ALTER TABLE evcharge.event CLUSTER ON event_by_kind;
		ALTER TABLE evcharge.connector REPLICA IDENTITY FULL;
		CREATE STATISTICS evcharge.event_reasons ON kind, reason FROM evcharge.event;
		ALTER STATISTICS evcharge.event_reasons SET STATISTICS 200;
		ALTER TABLE evcharge.gateway_log ENABLE ROW LEVEL SECURITY;
		CREATE POLICY own_log ON evcharge.gateway_log FOR SELECT TO support
			USING (charge_point_id = 'CP-A');

		CREATE TABLE site.journal (transaction_id int4, trigger_name text);
		CREATE FUNCTION site.note() RETURNS trigger LANGUAGE plpgsql AS \$\$
		BEGIN
			INSERT INTO site.journal VALUES (NEW.transaction_id, TG_NAME);
			RETURN NEW;
		END \$\$;
		CREATE TRIGGER note_plain AFTER INSERT OR UPDATE ON evcharge.transaction
			FOR EACH ROW EXECUTE FUNCTION site.note();
		CREATE TRIGGER note_off AFTER INSERT ON evcharge.transaction
			FOR EACH ROW EXECUTE FUNCTION site.note();
		CREATE TRIGGER note_always BEFORE UPDATE OF ended_at ON evcharge.transaction
			FOR EACH ROW WHEN (NEW.ended_at IS NOT NULL)
			EXECUTE FUNCTION site.note();
		CREATE TRIGGER note_replica AFTER INSERT ON evcharge.transaction
			FOR EACH ROW EXECUTE FUNCTION site.note();
		ALTER TABLE evcharge.transaction DISABLE TRIGGER note_off,
			ENABLE ALWAYS TRIGGER note_always,
			ENABLE REPLICA TRIGGER note_replica;

		CREATE TABLE site.place (
			charge_point_id text PRIMARY KEY REFERENCES evcharge.charge_point,
			floor int);
		INSERT INTO site.place VALUES ('CP-A', -1);
		CREATE TABLE site.archive (
			state evcharge.message(ChargePointState) UNIQUE,
			status evcharge.connector_status DEFAULT 'Available');
		CREATE INDEX archive_state ON site.archive USING hash (state);
		CREATE INDEX archive_id ON site.archive ((state['id']));
		INSERT INTO site.archive SELECT evcharge.charge_point_state(charge_point_id)
			FROM evcharge.charge_point;
		CREATE VIEW site.status WITH (security_barrier) AS
			SELECT (state['id'])::text AS id, status FROM site.archive;
		CREATE MATERIALIZED VIEW site.free AS
			SELECT charge_point_id, count(*) FROM evcharge.connector_overview
			WHERE availability = 'available' GROUP BY 1;

		COMMENT ON TABLE evcharge.event IS 'What happened at our sites';
		COMMENT ON COLUMN evcharge.event.detail IS 'It''s \\ a "detail"';
		COMMENT ON COLUMN evcharge.charge_point.address IS 'Where it stands';
		COMMENT ON COLUMN evcharge.auth.id_tag IS NULL;
		COMMENT ON VIEW evcharge.anomaly IS 'What to look into';
		COMMENT ON INDEX evcharge.event_by_kind IS 'For the weekly report';
		COMMENT ON TRIGGER note_off ON evcharge.transaction IS 'Off since May';
		COMMENT ON CONSTRAINT has_address ON evcharge.charge_point IS 'Post office';

		GRANT SELECT (charge_point_id, status) ON evcharge.connector TO pager;
		GRANT SELECT ON evcharge.energy_daily TO pager WITH GRANT OPTION;
		REVOKE SELECT ON evcharge.connector_timeline FROM grafana;
		ALTER DEFAULT PRIVILEGES IN SCHEMA evcharge GRANT SELECT ON TABLES TO support;
		RESET ROLE;

		REVOKE EXECUTE ON FUNCTION evcharge.events_since FROM grafana;
		GRANT EXECUTE ON FUNCTION evcharge.heartbeat TO pager;
		SET client_min_messages = error;	-- wal_level need not suffice
		CREATE PUBLICATION history FOR TABLE evcharge.event WHERE (kind <> 'log'),
			evcharge.connector (charge_point_id, connector_id, status)
			WITH (publish = 'insert');
		CREATE PUBLICATION everything FOR TABLES IN SCHEMA evcharge;
		SQL
}

# ---------------------------------------------------------------------------
# Looking at it
# ---------------------------------------------------------------------------

# Return what a database answers: one line for each table and view that is not
# PostgreSQL's, with the number of its rows and their digest.
sub contents
{
	my ($node, $database) = @_;

	my $digests = $node->safe_psql(
		$database, <<~'SQL');
		SELECT c.oid::regclass, relname FROM pg_class c
		WHERE c.oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm')
		ORDER BY 1
		SQL
	$digests =~ s{^(.*)\|(.*)$}{
		my ($relation, $name) = ($1, $2);
		my $ignored = $volatile{$name} // '';
		my $where = $where{$name} // 'true';
		"SELECT '$relation ' || count(*) || ' '"
		  . " || coalesce(md5(string_agg(line, E'\\n' ORDER BY line)), '')"
		  . " FROM (SELECT (to_jsonb(r) - '{$ignored}'::text[])::text AS line"
		  . " FROM $relation r WHERE $where) lines;"
	}gem;
	return $node->safe_psql($database, $digests);
}

# Return what a database consists of: one line for each thing that is not
# PostgreSQL's, with all that a user can say of it.
sub catalogue
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		$database, <<~'SQL');
		CREATE FUNCTION pg_temp.rights(acl aclitem[]) RETURNS text LANGUAGE sql
		AS $$
			SELECT string_agg(format('%s to %s by %s%s', privilege_type,
				CASE grantee WHEN 0 THEN 'public' ELSE pg_get_userbyid(grantee) END,
				pg_get_userbyid(grantor),
				CASE WHEN is_grantable THEN ' grantable' END), ', '
				ORDER BY privilege_type, grantee::regrole::text, grantor::regrole::text)
			FROM aclexplode(acl)
		$$;
		SET search_path = '';

		CREATE TEMP VIEW line AS
		SELECT ROW('schema', nspname, nspowner::regrole,
			pg_temp.rights(coalesce(nspacl, acldefault('n', nspowner))))::text AS line
		FROM pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_'
		UNION ALL
		SELECT ROW('extension', extname, extversion, extnamespace::regnamespace,
			extowner::regrole)::text
		FROM pg_extension
		UNION ALL
		SELECT ROW('member', e.extname, pg_describe_object(classid, objid, objsubid))::text
		FROM pg_depend JOIN pg_extension e ON refobjid = e.oid
		WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
		UNION ALL
		SELECT ROW('relation', oid::regclass, relkind, relpersistence,
			relowner::regrole, relreplident, relrowsecurity, relforcerowsecurity,
			relispopulated, reloptions,
			pg_temp.rights(coalesce(relacl, acldefault('r', relowner))))::text
		FROM pg_class
		WHERE oid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
			AND relpersistence <> 't'
		UNION ALL
		SELECT ROW('column', attrelid::regclass, row_number() OVER (
				PARTITION BY attrelid ORDER BY attnum), attname,
			format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull,
			attidentity, attgenerated, attstorage, attcompression, attstattarget,
			-- some servers stamp each column with its version
			(SELECT array_agg(o ORDER BY o) FROM unnest(attoptions) o
				WHERE o NOT LIKE 'pg\_attver=%'),
			pg_get_expr(adbin, adrelid), pg_temp.rights(attacl))::text
		FROM pg_attribute
			JOIN pg_class c ON c.oid = attrelid
			LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
		WHERE attrelid >= 16384 AND attnum > 0 AND NOT attisdropped
			AND relnamespace <> 'pg_toast'::regnamespace AND relpersistence <> 't'
		UNION ALL
		SELECT ROW('index', pg_get_indexdef(indexrelid), indisclustered,
			indisreplident, indisvalid, indisready)::text
		FROM pg_index JOIN pg_class c ON c.oid = indexrelid
		WHERE indexrelid >= 16384 AND relnamespace <> 'pg_toast'::regnamespace
		UNION ALL
		SELECT ROW('constraint', conrelid::regclass, conname, convalidated,
			pg_get_constraintdef(oid))::text
		FROM pg_constraint WHERE oid >= 16384
		UNION ALL
		SELECT ROW('trigger', pg_get_triggerdef(oid), tgenabled)::text
		FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL
		-- later branches of a UNION lose the column names that nobody reads
		SELECT ROW('rule', replace(pg_get_ruledef(r.oid), '::text AS text', '::text'),
			ev_enabled)::text
		FROM pg_rewrite r JOIN pg_class c ON c.oid = ev_class
		WHERE r.oid >= 16384 AND relpersistence <> 't'
		UNION ALL
		SELECT ROW('policy', polrelid::regclass, polname, polcmd, polpermissive,
			polroles::regrole[], pg_get_expr(polqual, polrelid),
			pg_get_expr(polwithcheck, polrelid))::text
		FROM pg_policy
		UNION ALL
		SELECT ROW('statistics', pg_get_statisticsobjdef(oid), stxowner::regrole,
			stxstattarget)::text
		FROM pg_statistic_ext
		UNION ALL
		SELECT ROW('routine', oid::regprocedure, proowner::regrole,
			CASE WHEN prokind <> 'a' THEN pg_get_functiondef(oid) END,
			pg_temp.rights(coalesce(proacl, acldefault('f', proowner))))::text
		FROM pg_proc WHERE oid >= 16384 AND pronamespace::regnamespace::text !~ '^pg_'
		UNION ALL
		SELECT ROW('type', oid::regtype, typowner::regrole, typtype, typstorage,
			typdefault, (SELECT array_agg(enumlabel ORDER BY enumsortorder)
				FROM pg_enum WHERE enumtypid = t.oid),
			pg_temp.rights(coalesce(typacl, acldefault('T', typowner))))::text
		FROM pg_type t
		WHERE oid >= 16384 AND typnamespace::regnamespace::text !~ '^pg_'
		UNION ALL
		SELECT ROW('default rights', defaclrole::regrole,
			defaclnamespace::regnamespace, defaclobjtype,
			pg_temp.rights(defaclacl))::text
		FROM pg_default_acl
		UNION ALL
		SELECT ROW('publication', pubname, pubowner::regrole, puballtables,
			pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot)::text
		FROM pg_publication
		UNION ALL
		SELECT ROW('publication', pubname, prrelid::regclass,
			(SELECT array_agg(attname ORDER BY attnum) FROM pg_attribute
				WHERE attrelid = prrelid AND attnum = ANY (prattrs)),
			pg_get_expr(prqual, prrelid))::text
		FROM pg_publication_rel JOIN pg_publication p ON p.oid = prpubid
		UNION ALL
		SELECT ROW('publication', pubname, pnnspid::regnamespace)::text
		FROM pg_publication_namespace JOIN pg_publication p ON p.oid = pnpubid
		UNION ALL
		SELECT ROW('comment', pg_describe_object(classoid, objoid, objsubid),
			description)::text
		FROM pg_description
		WHERE objoid >= 16384 AND classoid <> 'pg_largeobject'::regclass;

		SELECT replace(line, E'\n', ' ') FROM line ORDER BY line COLLATE "C";
		SQL
}

# Return what a cluster keeps for the settings of a database and of roles.
sub cluster_settings
{
	my ($node, $database) = @_;

	return $node->safe_psql(
		'postgres', <<~"SQL");
		SELECT coalesce(datname, 'all'), coalesce(rolname, 'all'), setconfig
		FROM pg_db_role_setting
			LEFT JOIN pg_database d ON d.oid = setdatabase
			LEFT JOIN pg_roles r ON r.oid = setrole
		WHERE datname IS NULL OR datname = '$database'
		ORDER BY 1, 2;
		SELECT parname, paracl FROM pg_parameter_acl ORDER BY 1;
		SQL
}

# Compare two texts of many lines, and show only where they differ.
sub is_same
{
	my ($got, $wanted, $name) = @_;
	my %count;

	$count{$_}-- foreach split /\n/, $wanted;
	$count{$_}++ foreach split /\n/, $got;
	my @differ = grep { $count{$_} } sort keys %count;
	ok(!@differ, $name);
	diag(($count{$_} > 0 ? 'surplus: ' : 'missing: ') . $_) foreach @differ;
}

# Return the names of the events after a cursor, one a line, as a reader gets
# them who asks for a few at a time.
sub events
{
	my ($node, $database, $cursor) = @_;

	return $node->safe_psql(
		$database, <<~"SQL");
		CREATE TEMP TABLE place (cursor text);
		CREATE TEMP TABLE reading (event text);
		INSERT INTO place VALUES (nullif('$cursor', ''));
		DO \$\$
		BEGIN
			LOOP
				WITH page AS (
					SELECT e.*, row_number() OVER () AS n
					FROM evcharge.events_since((SELECT cursor FROM place), 300) e
				), kept AS (
					INSERT INTO reading
					SELECT charge_point_id || '/' || event_id FROM page
				)
				UPDATE place SET cursor = (SELECT next_cursor FROM page
					ORDER BY n DESC LIMIT 1)
				WHERE EXISTS (SELECT FROM page);
				EXIT WHEN NOT FOUND;
			END LOOP;
		END \$\$;
		TABLE reading;
		SQL
}

# Return cursors of readers who stand at different places, and the events that
# each of them has still to get.  One of them came while a transaction ran that
# had begun before others and committed after them.
sub read_events
{
	my ($node, $database) = @_;
	my %cursors = (beginning => '');
	my $page = sub {
		my ($after, $rows) = @_;
		return $node->safe_psql($database,
			"SELECT next_cursor FROM evcharge.events_since(nullif('$after', ''), $rows)"
			  . ' OFFSET '
			  . ($rows - 1));
	};
	my $log = bytes('LogData', '{"resp":{"message":"hello"}}');

	$cursors{page} = $page->('', 100);

	my $late = $node->background_psql($database);
	$late->query_safe("BEGIN; SELECT evcharge.report_log('CP-B', $log)");
	$node->safe_psql($database, "SELECT evcharge.report_log('CP-A', $log)");
	$cursors{'page with a late commit'} = $page->('', 200);
	$cursors{'late commit'} =
	  $node->safe_psql($database, 'SELECT evcharge.event_cursor()');
	$late->query_safe('COMMIT');
	$late->quit;

	$cursors{end} =
	  $node->safe_psql($database, 'SELECT evcharge.event_cursor()');

	my %readers = map {
		$_ => [ $cursors{$_}, events($node, $database, $cursors{$_}) ]
	} keys %cursors;
	like($readers{'late commit'}[1],
		qr{\ACP-B/\d+\z}, 'a reader gets what was committed late');
	is($readers{end}[1], '', 'a reader at the end gets nothing');
	return \%readers;
}

# Each reader gets what it had still to get, and what came since; nothing else,
# and nothing twice.
sub check_events
{
	my ($node, $database, $readers, $name) = @_;
	my $since = $node->safe_psql(
		$database, <<~"SQL");
		SELECT charge_point_id || '/' || event_id FROM evcharge.event
		EXCEPT SELECT regexp_split_to_table('$readers->{beginning}[1]', '\n')
		SQL

	foreach my $place (sort keys %$readers)
	{
		my ($cursor, $rest) = @{ $readers->{$place} };
		is_same(
			events($node, $database, $cursor),
			join("\n", grep { $_ ne '' } $rest, $since),
			"$name: a reader goes on from: $place");
	}
}

# ---------------------------------------------------------------------------
# Going on with it
# ---------------------------------------------------------------------------

# Return a session that listens to everything.
sub listen
{
	my ($node, $database) = @_;

	my $listener = $node->background_psql($database);
	$listener->query_safe(join ';', map { "LISTEN $_" } @channels);
	return $listener;
}

sub check_integrity
{
	my ($node, $database, $name) = @_;

	is($node->safe_psql($database, 'SELECT * FROM evcharge.check_integrity()'),
		'', $name);
}

# The functions go on where they were: what is open ends, the counters count on.
sub check_goes_on
{
	my ($node, $database, $name) = @_;

	my ($last_transaction, $last_event) = split /\|/,
	  $node->safe_psql(
		$database, <<~'SQL');
		SELECT last_transaction_id, last_event_id FROM evcharge.charge_point
		WHERE charge_point_id = 'CP-A'
		SQL

	my $stop = bytes('StopTransactionRequestData', $start);
	like(
		ask($node, $database, 'StopTransactionResponseData',
			"stop_transaction($stop, '2024-01-08 11:00+00', 1100)"),
		qr/"transactionInfo":\{"id":$last_transaction,/,
		"$name: what was open can be stopped");

	my $again = bytes('AuthorizeRequestData', $alice);
	my $request = bytes('StartTransactionRequestData', $start);
	$node->safe_psql($database,
		"SELECT evcharge.authorize($again); SELECT evcharge.start_transaction($request)"
	);
	is( $node->safe_psql(
			$database, <<~'SQL'),
			SELECT transaction_id FROM evcharge.active_transaction
			WHERE charge_point_id = 'CP-A'
			SQL
		$last_transaction + 1,
		"$name: the next transaction has the next id");
	is( $node->safe_psql(
			$database, <<~"SQL"),
			SELECT min(event_id), max(event_id) - min(event_id) + 1 = count(*)
			FROM evcharge.event
			WHERE charge_point_id = 'CP-A' AND event_id > $last_event
			SQL
		($last_event + 1) . '|t',
		"$name: the next event has the next id");
	check_integrity($node, $database, "$name: no rule is broken");
}

1;
