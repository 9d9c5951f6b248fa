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
SELECT * FROM evcharge.check_integrity();
