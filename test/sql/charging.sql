-- Charging as consumers ask for it: check, start, stop.
SELECT test.charge_point('CHG');
SELECT test.authorize('CHG', 'alice'), test.authorize('CHG', 'bob');

-- availability
SELECT test.available('CHG', 1);
SELECT test.available('CHG', 3);
SELECT test.available('CHG-nobody', 1);
SELECT test.status('CHG', 2, 'Preparing', '2026-01-01 08:30Z');
SELECT test.available('CHG', 2);
SELECT test.status('CHG', 2, 'Charging', '2026-01-01 08:31Z');
SELECT test.available('CHG', 2);
SELECT test.status('CHG', 2, 'Available', '2026-01-01 08:32Z');

-- refused: nobody knows the consumer, the connector, the charge point
SELECT test.start('CHG', 1, 'carol', '2026-01-01 09:00Z');
SELECT test.start('CHG', 9, 'alice', '2026-01-01 09:00Z');
SELECT test.start('CHG-nobody', 1, 'alice', '2026-01-01 09:00Z');
SELECT last_event_id, last_transaction_id, auth_list_version FROM evcharge.charge_point WHERE charge_point_id = 'CHG';

-- a start ties connector and authorization to the transaction; the status is
-- the charge point's to tell
SELECT test.start('CHG', 1, 'alice', '2026-01-01 09:00Z', 1000);
SELECT transaction_id, connector_id, consumer_key, started_at AT TIME ZONE 'UTC' AS started, start_meter,
	confirmed_at, ended_at, forced FROM evcharge.transaction WHERE charge_point_id = 'CHG';
SELECT connector_id, status, transaction_id FROM evcharge.connector WHERE charge_point_id = 'CHG' ORDER BY 1;
SELECT consumer_key, transaction_id FROM evcharge.auth WHERE charge_point_id = 'CHG' ORDER BY 1;

-- the same consumer asking again is told yes, and nothing changes
SELECT test.start('CHG', 1, 'alice', '2026-01-01 09:01Z', 1001);
-- another one finds it busy, and the same consumer cannot start a second one
SELECT test.start('CHG', 1, 'bob', '2026-01-01 09:01Z');
SELECT test.start('CHG', 2, 'alice', '2026-01-01 09:01Z');
SELECT test.available('CHG', 1);
SELECT last_event_id, last_transaction_id FROM evcharge.charge_point WHERE charge_point_id = 'CHG';

-- only the owner stops it
SELECT test.stop('CHG', 1, 'bob', '2026-01-01 10:00Z');
SELECT test.stop('CHG', 2, 'alice', '2026-01-01 10:00Z');
SELECT test.stop('CHG', 1, 'alice', '2026-01-01 10:00Z', 8500)::jsonb #- '{transactionInfo,idTag}' AS answer;
SELECT transaction_id, ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'CHG';
-- what it was tied to is free; the tag has left the list
SELECT count(*) FROM evcharge.connector WHERE charge_point_id = 'CHG' AND transaction_id IS NOT NULL;
SELECT consumer_key, transaction_id, list_version, removed_at IS NOT NULL AS removed
FROM evcharge.auth WHERE charge_point_id = 'CHG' ORDER BY 1;
-- a repeated stop has the same answer and changes nothing
SELECT test.stop('CHG', 1, 'alice', '2026-01-01 11:00Z', 9999)::jsonb #- '{transactionInfo,idTag}' AS answer;
SELECT * FROM test.events('CHG', 5);

-- keep_authorization leaves the tag on the list, ready for the next start
SET evcharge.keep_authorization = on;
SELECT test.start('CHG', 2, 'bob', '2026-01-01 12:00Z');
SELECT test.stop('CHG', 2, 'bob', '2026-01-01 12:30Z', NULL, 'EVDisconnected')::jsonb #- '{transactionInfo,idTag}' AS answer;
SELECT test.start('CHG', 2, 'bob', '2026-01-01 13:00Z');
RESET evcharge.keep_authorization;

-- a tag with the same parent may stop it
SELECT evcharge.set_authorization('CHG', test.wire('ConsumerAuthData',
	'{"publicKey":"bob","authData":{"idTagInfo":{"parentIdTag":"Family"}}}'));
SELECT evcharge.set_authorization('CHG', test.wire('ConsumerAuthData',
	'{"publicKey":"dora","authData":{"idTagInfo":{"status":"Accepted","parentIdTag":"FAMILY"}}}'));
SELECT evcharge.set_authorization('CHG', test.wire('ConsumerAuthData',
	'{"publicKey":"eve","authData":{"idTagInfo":{"status":"Accepted","parentIdTag":"other"}}}'));
SELECT test.stop('CHG', 2, 'eve', '2026-01-01 14:00Z');
SELECT test.stop('CHG', 2, 'dora', '2026-01-01 14:00Z')::jsonb #- '{transactionInfo,idTag}' AS answer;

-- and is told the same again; but once another transaction has started on the
-- connector, neither is
SELECT test.stop('CHG', 2, 'dora', '2026-01-01 14:10Z')::jsonb #> '{transactionInfo,endTime}' AS ended;
SELECT test.report('CHG', '{"id":4,"connectorId":2,"startTime":"2026-01-01T14:20:00Z","startMeter":1}');
SELECT test.stop('CHG', 2, 'dora', '2026-01-01 14:30Z');
SELECT test.stop('CHG', 2, 'bob', '2026-01-01 14:30Z');
SELECT test.report('CHG', '{"id":4,"endTime":"2026-01-01T14:40:00Z","endMeter":2}');

-- offline, faulted as a whole, rejected: nothing starts
UPDATE evcharge.charge_point SET last_seen_at = '2026-01-01 08:00Z' WHERE charge_point_id = 'CHG';
SELECT test.available('CHG', 1);
SET evcharge.offline_after = 0;
SELECT test.available('CHG', 1);
RESET evcharge.offline_after;
SELECT test.status('CHG', 0, 'Faulted', '2026-01-01 15:00Z');
SELECT test.start('CHG', 1, 'dora', '2026-01-01 15:00Z');
SELECT test.status('CHG', 0, 'Available', '2026-01-01 15:01Z');
SELECT evcharge.set_registration('CHG', 'Rejected');
SELECT test.start('CHG', 1, 'dora', '2026-01-01 15:00Z');
SELECT evcharge.set_registration('CHG', 'Accepted');

-- ids end at 2147483647 and then are the lowest free ones
UPDATE evcharge.charge_point SET last_transaction_id = 2147483646 WHERE charge_point_id = 'CHG';
SET evcharge.keep_authorization = on;
SELECT test.start('CHG', 1, 'dora', '2026-01-02 08:00Z'), test.stop('CHG', 1, 'dora', '2026-01-02 09:00Z') IS NULL AS none;
-- refused at the end of the counter: the counter is as it was
SELECT test.start('CHG', 1, 'nobody', '2026-01-02 10:00Z');
SELECT last_transaction_id FROM evcharge.charge_point WHERE charge_point_id = 'CHG';
SELECT test.start('CHG', 1, 'dora', '2026-01-02 10:00Z'), test.stop('CHG', 1, 'dora', '2026-01-02 11:00Z') IS NULL AS none;
SELECT last_transaction_id FROM evcharge.charge_point WHERE charge_point_id = 'CHG';
-- an id that a row has is passed over
DELETE FROM evcharge.transaction WHERE charge_point_id = 'CHG' AND transaction_id = 2;
SELECT transaction_ids_wrapped FROM evcharge.charge_point WHERE charge_point_id = 'CHG';
UPDATE evcharge.charge_point SET last_transaction_id = 0 WHERE charge_point_id = 'CHG';
SELECT test.start('CHG', 1, 'dora', '2026-01-02 12:00Z'), test.stop('CHG', 1, 'dora', '2026-01-02 13:00Z') IS NULL AS none;
RESET evcharge.keep_authorization;
SELECT transaction_id, started_at AT TIME ZONE 'UTC' AS started FROM evcharge.transaction
WHERE charge_point_id = 'CHG' ORDER BY started_at;

-- errors: malformed bytes, a reason that OCPP does not have
\set SHOW_CONTEXT never
SELECT evcharge.start_transaction('\x0a');
SELECT test.stop('CHG', 1, 'dora', '2026-01-01 14:00Z', NULL, 'Boredom');
SELECT evcharge.stop_transaction('X', test.wire('StopTransactionRequestData', '{"chargePointClientId":"CHG"}'));
SELECT * FROM evcharge.check_integrity();
