--
-- expire(): what dangles is ended by force, and what the charge point reports
-- later still tells the truth
--
\set VERBOSITY terse
SET evcharge.offline_after = 0;
SET evcharge.notify = off;

CREATE FUNCTION report(cp text, content text) RETURNS int LANGUAGE sql AS $$
	SELECT evcharge.report_transaction(cp, evcharge.encode(evcharge.from_json('TransactionInfo', content::json)))
$$;
CREATE FUNCTION start(cp text, connector int, key text, at timestamptz) RETURNS evcharge.message
LANGUAGE sql AS $$
	SELECT evcharge.decode('StartTransactionResponseData', evcharge.start_transaction(
		evcharge.encode(evcharge.from_json('StartTransactionRequestData', json_build_object(
			'chargePointClientId', cp, 'connectorId', connector, 'consumerPublicKey', key))), at))
$$;
CREATE VIEW transactions AS
	SELECT charge_point_id, transaction_id AS tx, connector_id AS on, start_meter, end_meter,
		confirmed_at IS NOT NULL AS confirmed, ended_at IS NOT NULL AS ended, stop_reason, forced
	FROM evcharge.transaction WHERE charge_point_id LIKE 'EXP%' ORDER BY 1, 2;

DO $$
DECLARE
	cp	text;
	n	int;
BEGIN
	FOREACH cp IN ARRAY ARRAY['EXP-1', 'EXP-2'] LOOP
		PERFORM evcharge.boot_notification(cp, '');
		FOR n IN 1..3 LOOP
			PERFORM evcharge.report_connector(cp, evcharge.encode(evcharge.from_json('ConnectorInfo',
				json_build_object('id', n, 'status', 'AVAILABLE'))));
			PERFORM evcharge.set_authorization(cp, evcharge.encode(evcharge.from_json('ConsumerAuthData',
				json_build_object('publicKey', 'key-' || n, 'authData', json_build_object('idTag', 'TAG-' || n,
					'idTagInfo', json_build_object('status', 'Accepted',
						'expiryDate', CASE n WHEN 3 THEN '2020-01-01T00:00:00Z' END))))));
		END LOOP;
	END LOOP;
END $$;

-- nothing dangles yet but the entry whose time has passed
SELECT start('EXP-1', 1, 'key-1', now());
SELECT start('EXP-1', 2, 'key-2', now() - interval '59 min');
SELECT * FROM evcharge.expire('EXP-1');
SELECT id_tag, status, list_version FROM evcharge.auth WHERE charge_point_id = 'EXP-1' ORDER BY 1;
SELECT update_type, list_version, evcharge.to_json(auth_data) FROM evcharge.auth_list_changes('EXP-1', 3);
-- and once is enough
SELECT * FROM evcharge.expire('EXP-1');

-- never confirmed: ended by force, connector and entry are free, both are told
UPDATE evcharge.transaction SET started_at = started_at - interval '2 min'
	WHERE charge_point_id = 'EXP-1' AND transaction_id = 2;
SELECT * FROM evcharge.expire('EXP-1');
SELECT * FROM transactions;
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'EXP-1' ORDER BY 1;
SELECT kind, connector_id AS on, transaction_id AS tx, old_value, new_value, reason, detail
FROM evcharge.event WHERE charge_point_id = 'EXP-1' ORDER BY event_id DESC LIMIT 4;

-- the charge point confirms after all: it goes on, with its connector
SELECT report('EXP-1', '{"id":2,"connectorId":2,"startTime":"2024-01-08T09:00:00Z","startMeter":500,"idTag":"TAG-2"}');
SELECT * FROM transactions;
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'EXP-1' ORDER BY 1;
SELECT kind, connector_id AS on, transaction_id AS tx
FROM evcharge.event WHERE charge_point_id = 'EXP-1' ORDER BY event_id DESC LIMIT 2;
-- it is as old as its confirmation, whatever the charge point's clock says
SELECT * FROM evcharge.expire('EXP-1');
-- open for too long: ended for good, until its end is reported
UPDATE evcharge.transaction SET confirmed_at = now() - interval '8 days'
	WHERE charge_point_id = 'EXP-1' AND transaction_id = 2;
SELECT * FROM evcharge.expire('EXP-1');
SELECT report('EXP-1', '{"id":2,"connectorId":2,"startTime":"2024-01-08T09:00:00Z","startMeter":500,"idTag":"TAG-2"}');
SELECT * FROM transactions;
SELECT report('EXP-1', '{"id":2,"endTime":"2024-01-09T09:00:00Z","endMeter":40500}');
SELECT * FROM transactions;

-- not confirmed, but its connector has another one by the time: it stays ended
UPDATE evcharge.transaction SET started_at = started_at - interval '2 hours'
	WHERE charge_point_id = 'EXP-1' AND transaction_id = 1;
SELECT count(*) FROM evcharge.expire('EXP-1');
SELECT report('EXP-1', '{"id":7,"connectorId":1,"startTime":"2024-01-10T09:00:00Z","startMeter":1000}');
SELECT report('EXP-1', '{"id":1,"connectorId":1,"startTime":"2024-01-08T09:00:00Z","startMeter":100}');
SELECT * FROM transactions;

-- 0 is no limit
SELECT start('EXP-2', 1, 'key-1', '2024-01-08 09:00Z');
SET evcharge.confirm_within = 0;
SET evcharge.max_transaction_duration = 0;
SELECT * FROM evcharge.expire('EXP-2');
SELECT * FROM evcharge.expire('EXP-2');
RESET evcharge.confirm_within;
RESET evcharge.max_transaction_duration;

-- without a charge point: those that have something to end, and no more of
-- them than wanted
UPDATE evcharge.transaction SET confirmed_at = now() - interval '8 days'
	WHERE charge_point_id = 'EXP-1' AND transaction_id = 7;
SELECT * FROM evcharge.expire(NULL, 1);
SELECT * FROM evcharge.expire();
SELECT * FROM evcharge.expire();

SELECT * FROM evcharge.expire('EXP-3');
SELECT * FROM evcharge.expire(NULL, 0);
SELECT * FROM evcharge.check_integrity();

DROP VIEW transactions;
DROP FUNCTION report(text, text), start(text, int, text, timestamptz);
TRUNCATE evcharge.charge_point, evcharge.connector, evcharge.transaction, evcharge.auth,
	evcharge.event, evcharge.meter_sample, evcharge.gateway_log;
