-- check_integrity(): a legal history breaks no rule, however rich it is, and
-- each rule is seen when it is broken.
BEGIN;
SET LOCAL timezone = 'UTC';
SET LOCAL datestyle = 'ISO';
SET LOCAL evcharge.notify = 'off';
SET LOCAL evcharge.confirm_within = '1h';
-- a whole state
CREATE FUNCTION pg_temp.load(fields text) RETURNS void LANGUAGE sql AS $$
	SELECT evcharge.load_state(test.wire('ChargePointState', $1)) $$;
-- an entry of a list, or its removal where there is no status
CREATE FUNCTION pg_temp.entry(cp text, tag text, key text, status text) RETURNS void
LANGUAGE sql AS $$
	SELECT evcharge.set_authorization(cp, test.wire('ConsumerAuthData', json_strip_nulls(
		json_build_object('publicKey', key, 'authData', json_build_object('idTag', tag,
			'idTagInfo', CASE WHEN status <> '' THEN json_build_object('status', status) END)))::text)) $$;
-- meter values
CREATE FUNCTION pg_temp.progress(cp text, tx int, at timestamptz) RETURNS void LANGUAGE sql AS $$
	SELECT evcharge.report_progress($1, $2, test.wire('EVChargingStatusData',
		'{"currentOffered":16,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}'), $3) $$;

---------------------------------------------------------------------------
-- What the functions write
---------------------------------------------------------------------------
-- statuses: skipped and repeated ones, late ones, a fault on a fault, connector
-- 0 in a status that it cannot have, a connector and a status that there are not
DO $$
BEGIN
	PERFORM test.charge_point('INT-1'), test.charge_point('INT-1');
	PERFORM test.status('INT-1', 1, s, timestamptz '2026-01-01 09:00Z' + n * interval '1 minute')
	FROM unnest(ARRAY['Charging', 'Faulted', 'Faulted', 'Reserved', 'Charging', 'bogus']) WITH ORDINALITY t (s, n);
	PERFORM test.status('INT-1', 1, 'Preparing', '2026-01-01 09:02:30Z');
	PERFORM test.status('INT-1', 1, 'Preparing', '2026-01-01 07:00Z');
	PERFORM test.status('INT-1', 1, 'Finishing', '2026-01-01 09:05Z');
	PERFORM test.status('INT-1', 0, s, timestamptz '2026-01-01 09:00Z' + n * interval '1 minute')
	FROM unnest(ARRAY['Faulted', 'Charging', 'Charging', 'Available']) WITH ORDINALITY t (s, n);
	PERFORM test.status('INT-1', 0, 'Unavailable', '2026-01-01 09:02Z');
	PERFORM test.status('INT-1', -1, 'Available', '2026-01-01 09:00Z');
	PERFORM test.status('INT-1', 3, 'Available', '2222-01-01 00:00Z');
	PERFORM evcharge.set_registration('INT-1', s) FROM unnest(ARRAY['Pending', 'Pending', 'Accepted']) s;
	PERFORM evcharge.report_log('INT-1', test.wire('LogData', '{"currentTime":"soon"}'));
	PERFORM evcharge.report_log('INT-1', test.wire('LogData', '{"resp":{"error":true,"message":"m"}}'));
	PERFORM test.status('INT-2', 1, 'Available', '2026-01-01 08:00Z');	-- before it booted
	PERFORM evcharge.heartbeat('INT-3');
END $$;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- transactions: requested, confirmed and ended; started by the charge point
-- with an id, without one, on no connector; overlapping; unknown; ended only
DO $$
BEGIN
	PERFORM test.charge_point('INT-4'), test.authorize('INT-4', 'k1'), test.authorize('INT-4', 'k2');
	PERFORM test.start('INT-4', 1, 'k1', '2026-01-01 09:00Z', 100);
	PERFORM test.start('INT-4', 1, 'k1', '2026-01-01 09:00Z', 100);
	PERFORM test.start('INT-4', 2, 'k2', '2026-01-01 09:00Z');
	PERFORM test.report('INT-4', '{"id":1,"connectorId":1,"startTime":"2026-01-01T09:00:05Z","startMeter":100}');
	PERFORM pg_temp.progress('INT-4', 1, '2026-01-01 09:10Z');
	PERFORM pg_temp.progress('INT-4', 1, '2026-01-01 09:05Z');
	PERFORM pg_temp.progress('INT-4', 77, '2026-01-01 09:05Z');
	PERFORM pg_temp.progress('INT-4', NULL, '2026-01-01 09:05Z');
	PERFORM test.stop('INT-4', 1, 'k1', '2026-01-01 10:00Z', 50, 'EVDisconnected');
	PERFORM pg_temp.progress('INT-4', 1, '2026-01-01 11:00Z');
	PERFORM test.report('INT-4', '{"id":1,"connectorId":1,"endTime":"2026-01-01T10:00:05Z","endMeter":150}');
	-- takes the connector of transaction 2
	PERFORM test.report('INT-4', '{"id":9,"connectorId":2,"idTag":"x","startTime":"2026-01-01T09:30:00Z"}');
	-- started before that one, and is over by force
	PERFORM test.report('INT-4', '{"id":5,"connectorId":2,"startTime":"2026-01-01T09:10:00Z"}');
	PERFORM test.report('INT-4', '{"id":-1,"connectorId":1,"idTag":"y","startTime":"2026-01-01T11:00:00Z"}');
	PERFORM test.report('INT-4', '{"connectorId":1,"endTime":"soon"}');
	PERFORM test.report('INT-4', '{"id":20,"connectorId":-5}');
	PERFORM test.report('INT-4', '{"id":21}');
	PERFORM test.report('INT-4', '{"id":21,"connectorId":2,"startTime":"2026-01-01T12:00:00Z"}');
	PERFORM test.report('INT-4', '{"id":22,"connectorId":7,"endTime":"2026-01-01T12:00:00Z",
		"progress":{"currentOffered":1}}');
END $$;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- lists: tags in use that leave the list, come back in another spelling, go to
-- another consumer, stay; removed entries that are forgotten; the last version
SET LOCAL evcharge.auth_list_history = 2;
DO $$
BEGIN
	PERFORM test.charge_point('INT-5');
	PERFORM pg_temp.entry('INT-5', tag, lower(tag), 'Accepted')
	FROM unnest(ARRAY['A', 'B', 'C', 'D', 'E', 'F']) tag;
	PERFORM test.start('INT-5', 1, 'a', '2026-01-01 09:00Z'), test.start('INT-5', 2, 'b', '2026-01-01 09:00Z');
	PERFORM pg_temp.entry('INT-5', 'a', 'a', ''), pg_temp.entry('INT-5', 'B', 'z', 'Blocked');
	PERFORM pg_temp.entry('INT-5', 'a', 'c', 'Accepted'), pg_temp.entry('INT-5', 'B', 'z', '');
	PERFORM test.report('INT-5', format('{"id":%s,"connectorId":%s,"endTime":"2026-01-01T10:00:00Z"}', n, n))
	FROM generate_series(1, 2) n;
	PERFORM pg_temp.entry('INT-5', tag, lower(tag), '') FROM unnest(ARRAY['C', 'D', 'E']) tag;
	SET LOCAL evcharge.keep_authorization = on;
	PERFORM test.start('INT-5', 1, 'f', '2026-01-01 11:00Z'), test.stop('INT-5', 1, 'f', '2026-01-01 12:00Z');
	SET LOCAL evcharge.keep_authorization = off;
	PERFORM test.start('INT-5', 1, 'f', '2026-01-01 13:00Z');
END $$;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';
UPDATE evcharge.charge_point SET auth_list_version = 2147483646 WHERE charge_point_id = 'INT-5';
SELECT pg_temp.entry('INT-5', tag, 'g', status) FROM (VALUES ('G', 'Accepted'), ('H', 'Blocked'), ('G', '')) t (tag, status);
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- ids that wrap
UPDATE evcharge.charge_point SET last_transaction_id = 2147483646 WHERE charge_point_id = 'INT-5';
SELECT test.report('INT-5', format('{"connectorId":2,"startTime":"%s"}', t))
FROM unnest(ARRAY['2026-01-02T00:00:00Z', '2026-01-03T00:00:00Z']) t;
SELECT last_transaction_id, transaction_ids_wrapped FROM evcharge.charge_point WHERE charge_point_id = 'INT-5';
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- whole states: of an unknown charge point; again; with lower counters; two open
-- transactions on a connector, one that moves, one without a connector; a
-- connector that goes with its transaction; a transaction that opens again
DO $$
BEGIN
	PERFORM pg_temp.load('{"id":"INT-6","currentAuthListVersion":7,"currentTransactionId":9,"status":"CHARGING",
		"connectors":{"0":{},"1":{"id":1,"status":"FAULTED","currentTransaction":3},"2":{"id":2}},
		"transactions":{"3":{"id":3,"connectorId":1,"idTag":"t","startTime":"2026-01-01T09:00:00Z",
				"progress":{"currentUnit":"A"}},
			"4":{"id":4,"connectorId":1},"5":{"id":5,"connectorId":0},"6":{"id":6,"connectorId":8},
			"7":{"id":7,"connectorId":9,"endTime":"2026-01-01T09:00:00Z"}},
		"authList":{"T":{"publicKey":"k","transactionId":3},"U":{"transactionId":4}}}') FROM generate_series(1, 2);
	PERFORM evcharge.load_state(evcharge.encode(evcharge.charge_point_state('INT-6', 0)));
END $$;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';
SELECT pg_temp.load('{"id":"INT-6","currentAuthListVersion":8,"currentTransactionId":1,
	"connectors":{"1":{"id":1,"status":"AVAILABLE"},"3":{"id":3,"status":"FAULTED"}},
	"transactions":{"3":{"id":3,"connectorId":3,"idTag":"t"},"6":{"id":6,"connectorId":1},
		"7":{"id":7,"connectorId":9}},"authList":{"T":{"publicKey":"k","transactionId":3}}}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';
SELECT pg_temp.load('{"id":"INT-6"}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- a list that a state takes back to an older version, its entries as they are
SELECT pg_temp.load(format('{"id":"INT-7","currentAuthListVersion":%s,"authList":{"T":{"publicKey":"k"}}}', v))
FROM unnest(ARRAY[9, 4]) v;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- a state in which a transaction has another tag, and its old one has left the list
SELECT test.charge_point('INT-8'), pg_temp.entry('INT-8', 'T', 'k', 'Accepted');
SELECT test.start('INT-8', 1, 'k', '2026-01-01 09:00Z');
SELECT pg_temp.entry('INT-8', 'T', 'k', '');
SELECT pg_temp.load('{"id":"INT-8","currentAuthListVersion":2,"currentTransactionId":1,
	"connectors":{"1":{"id":1,"status":"AVAILABLE"}},
	"transactions":{"1":{"id":1,"connectorId":1,"idTag":"S","startTime":"2026-01-01T09:00:00Z"}}}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- a transaction that is ended by force with its connector, and started after all
SELECT test.charge_point('INT-9'), pg_temp.entry('INT-9', 'T', 'k', 'Accepted');
SELECT test.start('INT-9', 1, 'k', '2026-01-01 09:00Z');
SELECT pg_temp.load('{"id":"INT-9","currentAuthListVersion":2,"currentTransactionId":1}');
SELECT test.report('INT-9', '{"id":1,"connectorId":1,"idTag":"T","startTime":"2026-01-01T09:00:00Z"}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- a transaction that moves to the connector of another, of neither of which the
-- start is known
SELECT pg_temp.load('{"id":"INT-10","currentTransactionId":2,
	"transactions":{"1":{"id":1,"connectorId":1},"2":{"id":2,"connectorId":0}}}');
SELECT test.report('INT-10', '{"id":2,"connectorId":1}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- what dangles is ended; one of the two goes on after all
SELECT test.charge_point('INT-11'), pg_temp.entry('INT-11', 'T', 'k', 'Accepted'), pg_temp.entry('INT-11', 'U', 'l', 'Accepted');
SELECT test.start('INT-11', 1, 'k', '2026-01-01 09:00Z'), test.start('INT-11', 2, 'l', '2026-01-01 09:00Z');
SELECT connector_id, transaction_id, reason FROM evcharge.expire('INT-11') ORDER BY 1;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';
SELECT test.report('INT-11', '{"id":1,"connectorId":1,"idTag":"T","startTime":"2026-01-01T09:00:00Z"}');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- old events that are purged, also all of them, and old rows of what may be many
SELECT count(*) FROM evcharge.gateway_log WHERE charge_point_id = 'INT-1';
DELETE FROM evcharge.event WHERE charge_point_id = 'INT-1' AND event_id < 10
	OR charge_point_id = 'INT-4' AND event_id = 1 OR charge_point_id = 'INT-6';
DELETE FROM evcharge.transaction WHERE charge_point_id = 'INT-5' AND ended_at IS NOT NULL;
DELETE FROM evcharge.meter_sample WHERE charge_point_id LIKE 'INT-%';
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';
DELETE FROM evcharge.event WHERE charge_point_id = 'INT-1';
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

---------------------------------------------------------------------------
-- Each rule, broken on purpose
---------------------------------------------------------------------------
-- What is broken: transaction 1 on connector 1 is closed, 2 there is open with
-- tag T2; tag T1 has left the list; event 1 to the newest are there.
DO $$
BEGIN
	SET LOCAL evcharge.auth_list_history = 100;
	PERFORM test.charge_point('INT-X'), test.status('INT-X', 0, 'Available', '2026-01-01 08:00Z');
	PERFORM pg_temp.entry('INT-X', 'T1', 'k1', 'Accepted'), pg_temp.entry('INT-X', 'T2', 'k2', 'Accepted');
	PERFORM test.start('INT-X', 1, 'k1', '2026-01-01 09:00Z', 0), test.stop('INT-X', 1, 'k1', '2026-01-01 10:00Z', 9);
	PERFORM test.start('INT-X', 1, 'k2', '2026-01-01 11:00Z', 9);
	PERFORM pg_temp.progress('INT-X', 2, '2026-01-01 11:30Z');
	PERFORM evcharge.report_log('INT-X', test.wire('LogData', '{"currentTime":"2026-01-01T11:40:00Z"}'));
	PERFORM evcharge.set_registration('INT-X', 'Pending');
	PERFORM test.status('INT-X', 2, 'Charging', '2026-01-01 12:00Z');
	PERFORM test.status('INT-X', 2, 'Preparing', '2026-01-01 12:10Z');	-- odd
END $$;
SELECT event_id, kind, connector_id, transaction_id, new_value, reason FROM evcharge.event
WHERE charge_point_id = 'INT-X' ORDER BY event_id;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- Runs SQL, and takes it back after a look at what the check finds.
CREATE TEMP TABLE before AS SELECT * FROM evcharge.check_integrity();
CREATE FUNCTION pg_temp.found(sql text)
RETURNS TABLE (rule text, cp text, connector int, tx int, detail text) LANGUAGE plpgsql AS $$
DECLARE
	rows json;
BEGIN
	BEGIN
		EXECUTE sql;
		SELECT json_agg(i) INTO rows
		FROM (SELECT * FROM evcharge.check_integrity() EXCEPT SELECT * FROM before) i;
		RAISE SQLSTATE 'TAKEB';
	EXCEPTION WHEN SQLSTATE 'TAKEB' THEN
		NULL;
	END;
	RETURN QUERY SELECT j.rule, j.charge_point_id, j.connector_id, j.transaction_id,
		regexp_replace(j.detail, '\d{4}-\d\d-\d\d [0-9:.]+\+00', '<time>', 'g')
	FROM json_to_recordset(rows) AS j (rule text, charge_point_id text, connector_id int, transaction_id int, detail text);
END $$;

CREATE TEMP TABLE broken (n serial, sql text);
INSERT INTO broken (sql) VALUES
	-- charge point exists
	($$INSERT INTO evcharge.connector (charge_point_id, connector_id) VALUES ('INT-', 1), ('INT-', 2)$$),
	($$INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id) VALUES ('INT-', 1, 0)$$),
	($$INSERT INTO evcharge.auth (charge_point_id, id_tag, list_version) VALUES ('INT-', 'T', 1)$$),
	($$INSERT INTO evcharge.event (charge_point_id, event_id, kind, occurred_at, recorded_at, cluster, written_by)
		VALUES ('INT-', 2, 'booted', now(), now(), 1, '3')$$),
	($$UPDATE evcharge.meter_sample SET charge_point_id = 'INT-' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.gateway_log SET charge_point_id = 'INT-' WHERE charge_point_id = 'INT-X'$$),
	-- ids count from 1
	($$INSERT INTO evcharge.connector (charge_point_id, connector_id) VALUES ('INT-6', 0)$$),
	($$UPDATE evcharge.transaction SET transaction_id = 0 WHERE charge_point_id = 'INT-4' AND transaction_id = 1$$),
	($$UPDATE evcharge.event SET event_id = event_id - 2 WHERE charge_point_id = 'INT-2' AND event_id = 1$$),
	($$UPDATE evcharge.meter_sample SET transaction_id = -1 WHERE charge_point_id = 'INT-X'$$),
	-- times are finite
	($$UPDATE evcharge.charge_point SET registered_at = '-infinity' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET last_seen_at = 'infinity' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.connector SET reported_at = 'infinity' WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.transaction SET started_at = '-infinity' WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	($$UPDATE evcharge.transaction SET ended_at = 'infinity' WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	($$UPDATE evcharge.transaction SET confirmed_at = 'infinity' WHERE charge_point_id = 'INT-X' AND transaction_id = 2$$),
	($$UPDATE evcharge.transaction SET progress_at = 'infinity' WHERE charge_point_id = 'INT-X' AND transaction_id = 2$$),
	($$UPDATE evcharge.auth SET expires_at = 'infinity' WHERE charge_point_id = 'INT-X' AND id_tag = 'T2'$$),
	($$UPDATE evcharge.auth SET removed_at = '-infinity' WHERE charge_point_id = 'INT-X' AND id_tag = 'T1'$$),
	($$UPDATE evcharge.event SET occurred_at = 'infinity' WHERE charge_point_id = 'INT-X' AND event_id = 9$$),
	($$UPDATE evcharge.event SET recorded_at = 'infinity' WHERE charge_point_id = 'INT-X' AND event_id = 9$$),
	($$UPDATE evcharge.meter_sample SET sampled_at = 'infinity' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.gateway_log SET logged_at = 'infinity' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.gateway_log SET recorded_at = 'infinity' WHERE charge_point_id = 'INT-X'$$),
	-- seen when it booted
	($$UPDATE evcharge.charge_point SET last_seen_at = NULL WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET last_seen_at = booted_at - interval '1 second' WHERE charge_point_id = 'INT-X'$$),
	-- status has its times, of a charge point and of a connector
	($$UPDATE evcharge.charge_point SET status_since = NULL, status_reported_at = NULL WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET status_reported_at = NULL WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET status_reported_at = '2026-01-01 07:00Z' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.connector SET status_since = NULL, reported_at = NULL WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.connector SET status_since = NULL WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.connector SET reported_at = '2026-01-01 07:00Z' WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	-- status before a fault
	($$UPDATE evcharge.connector SET status_before_fault = 'Charging' WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.connector SET status = 'Faulted', status_before_fault = 'Faulted' WHERE charge_point_id = 'INT-1' AND connector_id = 2$$),
	-- auth list is kept from a version of it
	($$UPDATE evcharge.charge_point SET auth_list_kept_from = 99 WHERE charge_point_id = 'INT-2'$$),
	($$UPDATE evcharge.charge_point SET auth_list_kept_from = -1 WHERE charge_point_id = 'INT-X'$$),
	-- stop reason
	($$UPDATE evcharge.transaction SET stop_reason = 'Boredom' WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	($$UPDATE evcharge.transaction SET forced = true WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	-- progress is whole
	($$UPDATE evcharge.transaction SET voltage_unit = NULL WHERE charge_point_id = 'INT-X' AND transaction_id = 2$$),
	($$UPDATE evcharge.transaction SET progress_at = now() WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	-- connector has its transaction: none, a closed one, that of another connector
	($$UPDATE evcharge.connector SET transaction_id = 77 WHERE charge_point_id = 'INT-X' AND connector_id = 2$$),
	($$UPDATE evcharge.connector SET transaction_id = 1 WHERE charge_point_id = 'INT-X' AND connector_id = 2$$),
	($$UPDATE evcharge.connector SET transaction_id = 2 WHERE charge_point_id = 'INT-X' AND connector_id = 2$$),
	-- transaction has its connector: a free one, one that is not there; then both
	($$UPDATE evcharge.connector SET transaction_id = NULL WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.transaction SET connector_id = 9 WHERE charge_point_id = 'INT-X' AND transaction_id = 2$$),
	($$UPDATE evcharge.transaction SET ended_at = NULL, stop_reason = NULL, connector_id = 2
		WHERE charge_point_id = 'INT-X' AND transaction_id = 1$$),
	-- last transaction id
	($$UPDATE evcharge.charge_point SET last_transaction_id = 0 WHERE charge_point_id = 'INT-X'$$),
	-- auth entry has its transaction: none, a closed one, one with another tag or none
	($$UPDATE evcharge.auth SET transaction_id = 77 WHERE charge_point_id = 'INT-X' AND id_tag = 'T2'$$),
	($$UPDATE evcharge.auth SET transaction_id = 1 WHERE charge_point_id = 'INT-X' AND id_tag = 'T1'$$),
	($$UPDATE evcharge.auth SET transaction_id = 2 WHERE charge_point_id = 'INT-X' AND id_tag = 'T1'$$),
	($$UPDATE evcharge.transaction SET id_tag = NULL WHERE charge_point_id = 'INT-X' AND transaction_id = 2$$),
	-- auth list version
	($$UPDATE evcharge.auth SET list_version = list_version + 10 WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.auth SET list_version = -1 WHERE charge_point_id = 'INT-X' AND id_tag = 'T2'$$),
	-- auth entries that left are needed
	($$UPDATE evcharge.charge_point SET auth_list_kept_from = 3 WHERE charge_point_id = 'INT-X'$$),
	-- event ids have no gap: in the middle, at the newest end
	($$DELETE FROM evcharge.event WHERE charge_point_id = 'INT-X' AND event_id = 14$$),
	($$DELETE FROM evcharge.event WHERE charge_point_id = 'INT-X' AND event_id = 19$$),
	($$UPDATE evcharge.charge_point SET last_event_id = 20 WHERE charge_point_id = 'INT-X'$$),
	-- log entry has its event
	($$UPDATE evcharge.gateway_log SET event_id = 2 WHERE charge_point_id = 'INT-X'$$),
	-- first event is the registration, and none else is
	($$UPDATE evcharge.event SET kind = 'state_loaded' WHERE charge_point_id = 'INT-X' AND event_id = 1$$),
	($$UPDATE evcharge.event SET kind = 'registered' WHERE charge_point_id = 'INT-X' AND event_id = 2$$),
	-- event is of a known kind
	($$UPDATE evcharge.event SET kind = 'miracle' WHERE charge_point_id = 'INT-X' AND event_id = 16$$),
	-- event concerns what its kind says
	($$UPDATE evcharge.event SET connector_id = NULL WHERE charge_point_id = 'INT-X' AND event_id = 17$$),
	($$UPDATE evcharge.event SET transaction_id = NULL WHERE charge_point_id = 'INT-X' AND kind = 'transaction_progress'$$),
	($$UPDATE evcharge.event SET connector_id = 1 WHERE charge_point_id = 'INT-X' AND kind = 'charge_point_status'$$),
	($$UPDATE evcharge.event SET transaction_id = 1 WHERE charge_point_id = 'INT-X' AND event_id = 4$$),
	($$UPDATE evcharge.event SET transaction_id = 1 WHERE charge_point_id = 'INT-X' AND event_id = 3$$),
	($$UPDATE evcharge.event SET connector_id = 1 WHERE charge_point_id = 'INT-X' AND event_id = 2$$),
	($$UPDATE evcharge.event SET connector_id = 1 WHERE charge_point_id = 'INT-X' AND kind = 'auth_removed'$$),
	-- event has values of its kind
	($$UPDATE evcharge.event SET old_value = new_value WHERE charge_point_id = 'INT-X' AND event_id = 4$$),
	($$UPDATE evcharge.event SET old_value = 'ON_FIRE' WHERE charge_point_id = 'INT-X' AND event_id = 4$$),
	($$UPDATE evcharge.event SET old_value = 'Available' WHERE charge_point_id = 'INT-X' AND kind = 'charge_point_status'$$),
	($$UPDATE evcharge.event SET new_value = 'Allowed' WHERE charge_point_id = 'INT-X' AND event_id = 8$$),
	($$UPDATE evcharge.event SET new_value = NULL WHERE charge_point_id = 'INT-X' AND event_id = 2$$),
	($$UPDATE evcharge.event SET new_value = 'Welcome' WHERE charge_point_id = 'INT-X' AND event_id = 2$$),
	($$UPDATE evcharge.event SET new_value = NULL WHERE charge_point_id = 'INT-X' AND kind = 'transaction_ended'$$),
	($$UPDATE evcharge.event SET detail = NULL WHERE charge_point_id = 'INT-X' AND kind = 'anomaly'$$),
	-- registration is the newest
	($$UPDATE evcharge.charge_point SET registration = 'Accepted' WHERE charge_point_id = 'INT-X'$$),
	-- boot is the newest
	($$UPDATE evcharge.charge_point SET booted_at = NULL WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET booted_at = booted_at - interval '1 second' WHERE charge_point_id = 'INT-X'$$),
	-- status has its event
	($$UPDATE evcharge.charge_point SET status = 'Unavailable' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.charge_point SET status_since = '2026-01-01 07:00Z' WHERE charge_point_id = 'INT-X'$$),
	($$UPDATE evcharge.connector SET status = 'Finishing' WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	($$UPDATE evcharge.connector SET status_since = '2026-01-01 07:00Z' WHERE charge_point_id = 'INT-X' AND connector_id = 1$$),
	-- connector has its events
	($$INSERT INTO evcharge.connector (charge_point_id, connector_id) VALUES ('INT-X', 3)$$),
	($$DELETE FROM evcharge.connector WHERE charge_point_id = 'INT-X' AND connector_id = 2$$),
	-- auth list has its events
	($$DELETE FROM evcharge.auth WHERE charge_point_id = 'INT-X' AND id_tag = 'T2'$$),
	($$UPDATE evcharge.auth SET removed_at = NULL WHERE charge_point_id = 'INT-X' AND id_tag = 'T1'$$),
	-- transaction has its events
	($$UPDATE evcharge.event SET transaction_id = 1 WHERE charge_point_id = 'INT-X' AND event_id = 13$$),
	($$UPDATE evcharge.event SET transaction_id = 2 WHERE charge_point_id = 'INT-X' AND kind = 'transaction_ended'$$);

CREATE TEMP TABLE seen AS
SELECT b.n, b.sql, f.* FROM broken b LEFT JOIN LATERAL pg_temp.found(b.sql) f ON true;
SELECT n, rule, cp, connector, tx, detail FROM seen ORDER BY n, rule, detail;

-- each does break something, and all is as before
SELECT n, sql FROM seen WHERE rule IS NULL ORDER BY n;
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id LIKE 'INT-%';

-- No rule was left out: a literal of two words or more in small letters is one.
WITH rule AS (
	SELECT DISTINCT m[1] AS name
	FROM regexp_matches(pg_get_viewdef('evcharge.integrity'::regclass), $$'([a-z0-9]+(?: [a-z0-9]+)+)'::text$$, 'g') m)
SELECT (SELECT count(*) FROM rule) AS rules,
	array(SELECT name FROM rule EXCEPT SELECT rule FROM seen ORDER BY 1) AS not_broken,
	array(SELECT rule FROM seen EXCEPT SELECT name FROM rule ORDER BY 1) AS not_a_rule;
-- No detail has a tag or a key in it.
SELECT count(*) AS personal FROM seen WHERE detail ~ '\m[Tk][12]\M';
ROLLBACK;
