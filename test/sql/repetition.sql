--
-- What is said again counts once: a charge point repeats what was not
-- acknowledged, odd or not
--
\set VERBOSITY terse
SET evcharge.notify = off;

-- Each call is made five times.
CREATE TABLE call (n serial, sql text);
INSERT INTO call (sql)
SELECT format('SELECT evcharge.report_%s', call) FROM (VALUES
	($$connector('REP', m('ConnectorInfo', '{"id":1,"status":"AVAILABLE"}'), '2024-01-08 09:00Z')$$),
	($$connector('REP', m('ConnectorInfo', '{"id":1,"status":"EXPLODED"}'), '2024-01-08 09:01Z')$$),
	($$connector('REP', m('ConnectorInfo', '{"id":-1,"status":"AVAILABLE"}'), '2024-01-08 09:01Z')$$),
	($$connector('REP', m('ConnectorInfo', '{"status":"CHARGING"}'), '2024-01-08 09:02Z')$$),
	($$connector('REP', m('ConnectorInfo', '{"id":1,"status":"AVAILABLE","currentTransaction":77}'), '2024-01-08 09:03Z')$$),
	($$connector('REP', m('ConnectorInfo', '{"id":1,"status":"FAULTED"}'), '2024-01-08 09:02Z')$$),
	($$transaction('REP', m('TransactionInfo', '{"id":5,"connectorId":1,"idTag":"T","startTime":"2024-01-08T09:04:00Z","startMeter":10,
		"progress":{"currentOffered":16,"currentUnit":"A"}}'))$$),
	($$progress('REP', 5, m('EVChargingStatusData', '{"currentOffered":32,"currentUnit":"A"}'), '2024-01-08 09:06Z')$$),
	($$progress('REP', 99, m('EVChargingStatusData', '{"currentOffered":32,"currentUnit":"A"}'), '2024-01-08 09:06Z')$$),
	($$transaction('REP', m('TransactionInfo', '{"id":5,"connectorId":2,"idTag":"U"}'))$$),
	($$transaction('REP', m('TransactionInfo', '{"connectorId":1,"startTime":"2024-01-08T09:05:00Z","startMeter":20}'))$$),
	($$transaction('REP', m('TransactionInfo', '{"id":5,"endTime":"2024-01-08T09:01:00Z","endMeter":5}'))$$),
	($$progress('REP', 5, m('EVChargingStatusData', '{"currentOffered":1}'), '2024-01-08 09:30Z')$$),
	($$transaction('REP', m('TransactionInfo', '{"id":8,"startTime":"yesterday"}'))$$),
	($$log('REP', m('LogData', '{"currentTime":"2024-01-08T09:30:00Z","resp":{"message":"door open"}}'))$$),
	($$log('REP', m('LogData', '{"currentTime":"2024-01-08T09:30:00Z","resp":{"error":true,"message":"door open"}}'))$$)
	) v (call);
CREATE FUNCTION m(type text, content json) RETURNS bytea LANGUAGE sql AS 'SELECT evcharge.encode(evcharge.from_json(type, content))';

-- everything that stays of a report
CREATE VIEW state AS
	SELECT row_to_json(c)::text AS row FROM evcharge.connector c WHERE charge_point_id = 'REP'
	UNION ALL SELECT row_to_json(t)::text FROM evcharge.transaction t WHERE charge_point_id = 'REP'
	UNION ALL SELECT row_to_json(m)::text FROM evcharge.meter_sample m WHERE charge_point_id = 'REP'
	UNION ALL SELECT row_to_json(l)::text FROM evcharge.gateway_log l WHERE charge_point_id = 'REP'
	UNION ALL SELECT row_to_json(e)::text FROM evcharge.event e WHERE charge_point_id = 'REP'
	UNION ALL SELECT concat(status, status_since, last_event_id, last_transaction_id)
		FROM evcharge.charge_point WHERE charge_point_id = 'REP';

DO $$
DECLARE
	c		record;
	before	text[];
	after	text[];
BEGIN
	FOR c IN SELECT * FROM call ORDER BY n LOOP
		EXECUTE c.sql;
		before := ARRAY(SELECT row FROM state ORDER BY 1);
		FOR i IN 2..5 LOOP
			EXECUTE c.sql;
		END LOOP;
		after := ARRAY(SELECT row FROM state ORDER BY 1);
		IF before <> after THEN
			RAISE WARNING '% changed something when it was repeated: % became %', c.sql,
				ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(after)),
				ARRAY(SELECT unnest(after) EXCEPT SELECT unnest(before));
		END IF;
	END LOOP;
END $$;

SELECT event_id, kind, connector_id AS on, transaction_id AS tx, old_value, new_value, reason
FROM evcharge.event WHERE charge_point_id = 'REP' ORDER BY event_id;
SELECT transaction_id AS tx, connector_id AS on, start_meter, end_meter, current_offered, progress_at, forced
FROM evcharge.transaction WHERE charge_point_id = 'REP' ORDER BY 1;

-- The same at another time is another report.
SELECT evcharge.report_connector('REP', m('ConnectorInfo', '{"id":1,"status":"EXPLODED"}'), '2024-01-08 10:01Z');
SELECT evcharge.report_log('REP', m('LogData', '{"currentTime":"2024-01-08T10:30:00Z","resp":{"message":"door open"}}'));
SELECT kind, new_value, reason, occurred_at FROM evcharge.event WHERE charge_point_id = 'REP' ORDER BY event_id DESC LIMIT 2;

-- What a state contradicts itself in is told once, too.
DO $$
BEGIN
	FOR i IN 1..2 LOOP
		PERFORM evcharge.load_state(m('ChargePointState', '{"id":"REP","connectors":{"1":{"currentTransaction":3}},
			"authList":{"TAG":{"transactionId":4,"publicKey":"k"}}}'));
	END LOOP;
END $$;
SELECT kind, transaction_id AS tx, reason FROM evcharge.event
WHERE charge_point_id = 'REP' AND kind IN ('anomaly', 'state_loaded') ORDER BY event_id DESC LIMIT 4;

SELECT * FROM evcharge.check_integrity();
DROP VIEW state;
DROP TABLE call;
DROP FUNCTION m(text, json);
TRUNCATE evcharge.charge_point, evcharge.connector, evcharge.transaction, evcharge.auth,
	evcharge.event, evcharge.meter_sample, evcharge.gateway_log;
