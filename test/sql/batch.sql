-- Many reports in one call.

-- in order, for many charge points, with the times and transactions they need
SELECT * FROM evcharge.apply_batch(
	ARRAY['BAT-1', 'BAT-2', 'BAT-1', 'BAT-1', 'BAT-1', 'BAT-2'],
	ARRAY['BootNotificationRequestData', 'gateway.ConnectorInfo', 'ConnectorInfo', 'TransactionInfo', 'EVChargingStatusData', 'LogData'],
	ARRAY['', test.wire('ConnectorInfo', '{"id":1,"status":"AVAILABLE"}'), test.wire('ConnectorInfo', '{"id":1,"status":"CHARGING"}'),
		test.wire('TransactionInfo', '{"id":4,"connectorId":1,"startTime":"2026-01-01T08:00:00Z"}'),
		test.wire('EVChargingStatusData', '{"currentOffered":16}'), test.wire('LogData', '{"resp":{"message":"hi"}}')],
	ARRAY[NULL, '2026-01-01 07:00Z', '2026-01-01 08:00Z', NULL, '2026-01-01 08:05Z', NULL]::timestamptz[],
	ARRAY[NULL, NULL, NULL, NULL, 4, NULL]);
SELECT * FROM test.events('BAT-1');
SELECT * FROM test.events('BAT-2');
SELECT sampled_at AT TIME ZONE 'UTC' AS at, transaction_id FROM evcharge.meter_sample WHERE charge_point_id = 'BAT-1';

-- a bad one comes back with its position; it changes nothing, the others count
SELECT * FROM evcharge.apply_batch(
	ARRAY['BAT-1', 'BAT-1', 'BAT-1', 'BAT-1', '', NULL, 'BAT-1'],
	ARRAY['ConnectorInfo', 'ConnectorInfo', 'NoSuchData', 'Response', 'LogData', 'LogData', 'ConnectorInfo'],
	ARRAY[test.wire('ConnectorInfo', '{"id":1,"status":"FINISHING"}'), '\x08011205', '', '', '', '',
		test.wire('ConnectorInfo', '{"id":1,"status":"AVAILABLE"}')],
	ARRAY['2026-01-01 09:00Z', now(), now(), now(), now(), now(), '2026-01-01 09:01Z']);
SELECT * FROM test.events('BAT-1', 7);

-- an error that says nothing about its report ends the batch, and all of it
CREATE FUNCTION test.conflict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE 'conflict' USING ERRCODE = '40001';
END $$;
CREATE TRIGGER conflict BEFORE INSERT ON evcharge.event FOR EACH ROW
	WHEN (NEW.charge_point_id = 'BAT-conflict') EXECUTE FUNCTION test.conflict();
CREATE TEMP TABLE mark (inside bool);
DO $$
BEGIN
	INSERT INTO mark VALUES (true);
	PERFORM evcharge.apply_batch(ARRAY['BAT-3', 'BAT-conflict'], ARRAY['LogData', 'LogData'], ARRAY[''::bytea, '']);
EXCEPTION WHEN serialization_failure THEN
	RAISE NOTICE 'the batch ended: %', SQLERRM;
END $$;
SELECT count(*) AS marks, (SELECT count(*) FROM evcharge.charge_point WHERE charge_point_id IN ('BAT-3', 'BAT-conflict')) AS charge_points FROM mark;
DROP TRIGGER conflict ON evcharge.event;

-- a trigger that calls back for the same charge point fails, and harms nothing
CREATE FUNCTION test.call_back() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.kind <> 'log' THEN
		PERFORM evcharge.report_log(NEW.charge_point_id, '');
	END IF;
	RETURN NULL;
END $$;
CREATE TRIGGER call_back AFTER INSERT ON evcharge.event FOR EACH ROW
	WHEN (NEW.charge_point_id = 'BAT-4') EXECUTE FUNCTION test.call_back();
\set SHOW_CONTEXT never
SELECT evcharge.boot_notification('BAT-4', '');
DROP TRIGGER call_back ON evcharge.event;
SELECT evcharge.report_log('BAT-4', '');
SELECT count(*) FROM test.events('BAT-4');

SELECT * FROM evcharge.apply_batch('{}', '{}', '{}');
\set SHOW_CONTEXT never
SELECT * FROM evcharge.apply_batch(ARRAY['BAT-1'], ARRAY['LogData'], '{}');
SELECT * FROM evcharge.apply_batch(ARRAY['BAT-1'], ARRAY['LogData'], ARRAY[''::bytea], '{}');
SELECT * FROM evcharge.apply_batch(ARRAY['BAT-1'], NULL, '{}');
SELECT * FROM evcharge.apply_batch(ARRAY[['a'],['b']], ARRAY['LogData'], '{}');

-- Statuses and progress are applied as a set.  A mixed batch, with reports that
-- are late, repeated, odd and bad, does what the same reports do one at a time.
-- Twins of charge points get the same reports: SET-n by apply_batch, ONE-n not.
CREATE TABLE test.mixed (position int PRIMARY KEY, charge_point text, type text, message bytea, at timestamptz, transaction_id int);
CREATE FUNCTION test.pick(seed text, choices int) RETURNS int LANGUAGE sql IMMUTABLE AS
	'SELECT (''x'' || substr(md5($1), 1, 7))::bit(28)::int % $2';
CREATE FUNCTION test.mix(seed text, size int) RETURNS void LANGUAGE sql AS $$
	TRUNCATE test.mixed;
	INSERT INTO test.mixed
	SELECT i,
		CASE WHEN kind < 2 THEN NULL WHEN kind < 3 THEN repeat('n', 256) ELSE (test.pick(s || 'cp', 9))::text END,
		CASE WHEN kind < 4 THEN 'ConnectorInfo' WHEN kind < 5 THEN NULL WHEN kind < 6 THEN 'NoSuchData' WHEN kind < 7 THEN 'Response'
			WHEN kind < 45 THEN 'ConnectorInfo' WHEN kind < 85 THEN 'EVChargingStatusData' WHEN kind < 93 THEN 'TransactionInfo'
			WHEN kind < 96 THEN 'LogData' WHEN kind < 97 THEN 'BootNotificationRequestData' ELSE 'ConnectorInfo' END,
		CASE WHEN kind < 8 THEN ''
			WHEN kind < 45 THEN test.wire('ConnectorInfo', json_build_object('id', test.pick(s || 'id', 5) - 1,
				'status', (ARRAY['AVAILABLE', 'CHARGING', 'FINISHING', 'SuspendedEV', 'FAULTED', 'UNAVAILABLE', 'Resting'])[1 + test.pick(s || 'status', 7)],
				'currentTransaction', CASE WHEN test.pick(s || 'tx', 4) = 0 THEN 1 ELSE 0 END)::text)
			WHEN kind < 85 THEN test.wire('EVChargingStatusData', json_build_object('currentOffered', test.pick(s || 'amperes', 3) * 8,
				'currentUnit', CASE WHEN test.pick(s || 'unit', 3) > 0 THEN 'A' END, 'voltageOffered', 230.5, 'voltageUnit', 'V')::text)
			WHEN kind < 93 THEN test.wire('TransactionInfo', json_build_object('id', 1 + test.pick(s || 'tx', 5), 'connectorId', 1 + test.pick(s || 'id', 3),
				'startTime', format('2020-01-01T08:%s:00Z', 10 + test.pick(s || 'start', 3)),
				'endTime', CASE WHEN test.pick(s || 'end', 3) = 0 THEN format('2020-01-01T09:%s:00Z', 10 + test.pick(s || 'ended', 3)) END)::text)
			WHEN kind < 96 THEN test.wire('LogData', '{"currentTime":"2020-01-01T08:00:00Z","resp":{"message":"hi"}}')
			WHEN kind < 97 THEN ''
			WHEN kind < 98 THEN NULL
			ELSE '\x08011205' END,
		CASE WHEN test.pick(s || 'time', 40) = 0 THEN NULL WHEN test.pick(s || 'time', 60) = 1 THEN 'infinity'
			ELSE timestamptz '2020-01-01 08:00Z' + test.pick(s || 'at', 90) * interval '1 min' END,
		CASE test.pick(s || 'tx', 12) WHEN 0 THEN NULL WHEN 1 THEN 0 WHEN 2 THEN -1 WHEN 3 THEN 9 ELSE 1 + test.pick(s || 'of', 5) END
	FROM generate_series(1, $2) i, LATERAL (SELECT $1 || i AS s) n, LATERAL (SELECT test.pick(s || 'kind', 100) AS kind) k $$;

-- what a report of test.mixed does alone: the SQLSTATE of its error, if any
CREATE FUNCTION test.alone(r test.mixed) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	cp text := 'ONE-' || r.charge_point;
BEGIN
	IF r.charge_point ~ 'n' THEN cp := r.charge_point; END IF;
	IF cp IS NULL OR r.type IS NULL OR r.message IS NULL THEN RETURN '22004'; END IF;
	IF NOT isfinite(r.at) THEN RETURN '22008'; END IF;
	CASE r.type
		WHEN 'ConnectorInfo' THEN PERFORM evcharge.report_connector(cp, r.message, r.at);
		WHEN 'EVChargingStatusData' THEN PERFORM evcharge.report_progress(cp, r.transaction_id, r.message, r.at);
		WHEN 'TransactionInfo' THEN PERFORM evcharge.report_transaction(cp, r.message);
		WHEN 'LogData' THEN PERFORM evcharge.report_log(cp, r.message);
		WHEN 'BootNotificationRequestData' THEN PERFORM evcharge.boot_notification(cp, r.message);
		ELSE PERFORM evcharge.handle(cp, evcharge.decode(r.type, r.message));
	END CASE;
	RETURN NULL;
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;

-- the rows of the twins, but for what no two calls have in common
CREATE FUNCTION test.known_time(t timestamptz) RETURNS timestamptz LANGUAGE sql IMMUTABLE AS
	$$ SELECT CASE WHEN t < '2021-01-01Z' THEN t WHEN t IS NOT NULL THEN 'infinity' END $$;
CREATE VIEW test.twins AS
SELECT left(charge_point_id, 3) AS twin, substr(charge_point_id, 4) AS charge_point, t AS table, r - '{charge_point_id}'::text[] AS row FROM (
	SELECT charge_point_id, 'charge_point' AS t, to_jsonb(c) - '{registered_at}'::text[] || jsonb_build_object('status_since', test.known_time(status_since),
		'status_reported_at', test.known_time(status_reported_at), 'booted_at', booted_at IS NULL, 'last_seen_at', last_seen_at IS NULL) AS r
	FROM evcharge.charge_point c
	UNION ALL SELECT charge_point_id, 'connector', to_jsonb(c) || jsonb_build_object('status_since', test.known_time(status_since), 'reported_at', test.known_time(reported_at))
	FROM evcharge.connector c
	UNION ALL SELECT charge_point_id, 'transaction', to_jsonb(t) || jsonb_build_object('confirmed_at', confirmed_at IS NULL, 'progress_at', test.known_time(progress_at))
	FROM evcharge.transaction t
	UNION ALL SELECT charge_point_id, 'event', to_jsonb(e) - '{recorded_at,cluster,written_by}'::text[] || jsonb_build_object('occurred_at', test.known_time(occurred_at))
	FROM evcharge.event e
	UNION ALL SELECT charge_point_id, 'meter_sample', to_jsonb(s) || jsonb_build_object('sampled_at', test.known_time(sampled_at)) FROM evcharge.meter_sample s
	UNION ALL SELECT charge_point_id, 'gateway_log', to_jsonb(l) - '{recorded_at}'::text[] FROM evcharge.gateway_log l) rows (charge_point_id, t, r)
WHERE charge_point_id ~ '^(SET|ONE)-';

-- apply test.mixed both ways and tell what differs: nothing
CREATE FUNCTION test.differences() RETURNS TABLE (what text, twin text, charge_point text, "row" text) LANGUAGE plpgsql AS $$
BEGIN
	CREATE TEMP TABLE by_batch ON COMMIT DROP AS
	SELECT m.positions[b.position] AS position, b.sqlstate FROM (SELECT array_agg(position ORDER BY position) AS positions, array_agg(CASE WHEN m.charge_point ~ 'n' THEN m.charge_point ELSE 'SET-' || m.charge_point END ORDER BY position) AS ids,
			array_agg(type ORDER BY position) AS types, array_agg(message ORDER BY position) AS messages,
			array_agg(at ORDER BY position) AS times, array_agg(transaction_id ORDER BY position) AS transactions FROM test.mixed m) m,
		LATERAL evcharge.apply_batch(m.ids, m.types, m.messages, m.times, m.transactions) b;
	CREATE TEMP TABLE by_one ON COMMIT DROP AS
	SELECT * FROM (SELECT m.position, test.alone(m) AS sqlstate FROM test.mixed m ORDER BY m.position OFFSET 0) r WHERE r.sqlstate IS NOT NULL;
	RETURN QUERY
	SELECT 'error', d.by, d.position::text, d.sqlstate FROM (
		(SELECT 'SET' AS by, b.position, b.sqlstate FROM by_batch b EXCEPT SELECT 'SET', o.position, o.sqlstate FROM by_one o)
		UNION ALL (SELECT 'ONE', o.position, o.sqlstate FROM by_one o EXCEPT SELECT 'ONE', b.position, b.sqlstate FROM by_batch b)) d
	UNION ALL SELECT d.table, d.twin, d.charge_point, d.row::text FROM (
		(SELECT t.* FROM test.twins t WHERE t.twin = 'SET' EXCEPT ALL SELECT 'SET', t.charge_point, t.table, t.row FROM test.twins t WHERE t.twin = 'ONE')
		UNION ALL (SELECT t.* FROM test.twins t WHERE t.twin = 'ONE' EXCEPT ALL SELECT 'ONE', t.charge_point, t.table, t.row FROM test.twins t WHERE t.twin = 'SET')) d
	ORDER BY 1, 3, 4, 2;
	DROP TABLE by_batch, by_one;
END $$;

-- of nine charge points two are known, with open and closed transactions
SELECT evcharge.boot_notification(twin || n, '') IS NOT NULL AS booted, test.status(twin || n, 1, 'AVAILABLE', '2020-01-01 07:00Z'),
	test.report(twin || n, '{"id":1,"connectorId":1,"startTime":"2020-01-01T08:00:00Z"}'),
	test.report(twin || n, '{"id":2,"connectorId":2,"startTime":"2020-01-01T08:00:00Z","endTime":"2020-01-01T08:30:00Z","startMeter":1,"endMeter":2}') AS closed
FROM unnest(ARRAY['SET-', 'ONE-']) twin, generate_series(0, 1) n;

SELECT test.mix('first ', 600);
SELECT count(*), count(DISTINCT type) AS types FROM test.mixed;
SELECT * FROM test.differences();
-- the same again, and more, to what is there now
SELECT * FROM test.differences();
SELECT test.mix('second ', 600);
SELECT * FROM test.differences();
-- only what a set can take
SELECT test.mix('third ', 1200);
DELETE FROM test.mixed WHERE type NOT IN ('ConnectorInfo', 'EVChargingStatusData') OR charge_point ~ 'n'
	OR type = 'EVChargingStatusData' AND (transaction_id <= 0 OR transaction_id IS NULL);
SELECT * FROM test.differences();
SELECT twin, "table", count(*) > 0 AS any FROM test.twins GROUP BY 1, 2 ORDER BY 2, 1;
SELECT count(DISTINCT row ->> 'reason') AS reasons FROM test.twins WHERE twin = 'SET';

-- It takes one statement a table, however many reports there are.
CREATE TABLE test.statements (n int GENERATED ALWAYS AS IDENTITY, statement text);
CREATE FUNCTION test.count_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO test.statements (statement) VALUES (TG_OP || ' ' || TG_TABLE_NAME);
	RETURN NULL;
END $$;
CREATE TRIGGER count_statement AFTER INSERT OR UPDATE ON evcharge.charge_point EXECUTE FUNCTION test.count_statement();
CREATE TRIGGER count_statement AFTER INSERT OR UPDATE ON evcharge.connector EXECUTE FUNCTION test.count_statement();
CREATE TRIGGER count_statement AFTER INSERT OR UPDATE ON evcharge.transaction EXECUTE FUNCTION test.count_statement();
CREATE TRIGGER count_statement AFTER INSERT OR UPDATE ON evcharge.meter_sample EXECUTE FUNCTION test.count_statement();
CREATE TRIGGER count_statement AFTER INSERT OR UPDATE ON evcharge.event EXECUTE FUNCTION test.count_statement();
CREATE FUNCTION test.progress_of(n int) RETURNS TABLE (id text, type text, message bytea, at timestamptz) LANGUAGE sql AS $$
	SELECT 'BAT-' || 5 + $1 % 2, 'EVChargingStatusData', test.wire('EVChargingStatusData', json_build_object('currentOffered', $1, 'currentUnit', 'A')::text),
		timestamptz '2020-01-02 08:00Z' + $1 * interval '1 min' $$;
CREATE FUNCTION test.progress(first int, last int) RETURNS SETOF record LANGUAGE sql AS $$
	SELECT b FROM (SELECT array_agg(id ORDER BY n) AS ids, array_agg(type ORDER BY n) AS types, array_agg(message ORDER BY n) AS messages,
			array_agg(at ORDER BY n) AS times, array_agg(1 ORDER BY n) AS transactions
		FROM generate_series($1, $2) n, test.progress_of(n)) m,
		LATERAL evcharge.apply_batch(m.ids, m.types, m.messages, m.times, m.transactions) b $$;
SELECT test.charge_point('BAT-' || n), test.report('BAT-' || n, '{"id":1,"connectorId":1,"startTime":"2020-01-01T08:00:00Z"}')
FROM generate_series(5, 6) n;
TRUNCATE test.statements;
SELECT test.progress(1, 9);
SELECT test.progress(1, 9);
SELECT statement FROM test.statements ORDER BY n;
DROP TRIGGER count_statement ON evcharge.charge_point;
DROP TRIGGER count_statement ON evcharge.connector;
DROP TRIGGER count_statement ON evcharge.transaction;
DROP TRIGGER count_statement ON evcharge.meter_sample;
DROP TRIGGER count_statement ON evcharge.event;

-- An error that nobody foresaw takes back the report that met it, and no other.
CREATE FUNCTION test.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	RAISE 'no % here', NEW.new_value;
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON evcharge.event FOR EACH ROW
	WHEN (NEW.charge_point_id = 'BAT-5' AND NEW.new_value = '14 A, 0') EXECUTE FUNCTION test.refuse();
SELECT test.progress(10, 19);
SELECT * FROM test.events('BAT-5', 6);
SELECT * FROM test.events('BAT-6', 6);
DROP TRIGGER refuse ON evcharge.event;

-- Bulk import: COPY into a table of one's own, then batches of its rows, by
-- charge point, so that two imports cannot wait for each other.
CREATE TEMP TABLE incoming (position int GENERATED ALWAYS AS IDENTITY,
	charge_point_id text, type text, message bytea, at timestamptz, transaction_id int);
COPY incoming (charge_point_id, type, message, at, transaction_id) FROM STDIN;
BAT-6	EVChargingStatusData	\\x0d0000804112014122015622	2026-01-03 08:00Z	1
BAT-5	EVChargingStatusData	\\x0d00008041120141220156	2026-01-03 08:00Z	1
BAT-6	ConnectorInfo	\\x080112084348415247494e47	2026-01-03 08:01Z	\N
BAT-5	ConnectorInfo	\\x080112084348415247494e47	2026-01-03 08:01Z	\N
BAT-6	EVChargingStatusData	\\x0d00000042120141220156	2026-01-03 08:02Z	1
BAT-5	ConnectorInfo	\\x0801120946494e495348494e47	2026-01-03 08:02Z	\N
\.
SELECT c.positions[b.position] AS position, b.sqlstate, b.reason
FROM (SELECT array_agg(position ORDER BY n) AS positions,
		array_agg(charge_point_id ORDER BY n) AS ids, array_agg(type ORDER BY n) AS types,
		array_agg(message ORDER BY n) AS messages, array_agg(at ORDER BY n) AS times,
		array_agg(transaction_id ORDER BY n) AS transactions
	FROM (SELECT *, row_number() OVER (ORDER BY charge_point_id COLLATE "C", position) AS n FROM incoming) i
	GROUP BY (n - 1) / 5 ORDER BY (n - 1) / 5) c,
	LATERAL evcharge.apply_batch(c.ids, c.types, c.messages, c.times, c.transactions) b;
SELECT * FROM test.events('BAT-5', 11);
SELECT * FROM test.events('BAT-6', 11);

-- A batch of any size is taken in parts.
SELECT test.progress(3001, 8000);
SELECT charge_point_id, count(*), max(s.current_offered), bool_and(s.sampled_at < t.progress_at OR s.current_offered = t.current_offered) AS in_order
FROM evcharge.meter_sample s JOIN evcharge.transaction t USING (charge_point_id, transaction_id)
WHERE charge_point_id IN ('BAT-5', 'BAT-6') AND sampled_at > '2020-01-04' GROUP BY 1 ORDER BY 1;
SELECT * FROM evcharge.check_integrity();
