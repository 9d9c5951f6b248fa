-- One door for everything: handle() and handle_event().
SET search_path = evcharge, public;	-- for the operators
SELECT test.charge_point('ENV');

-- any request message -> its answer
SELECT evcharge.handle('{"@type":"AuthorizeRequestData","chargePointClientId":"ENV","consumerPublicKey":"alice"}');
SELECT evcharge.handle('{"@type":"CheckAvailabilityRequestData","chargePointClientId":"ENV","connectorId":1}');
SELECT evcharge.handle('{"@type":"StartTransactionRequestData","chargePointClientId":"ENV","connectorId":1,"consumerPublicKey":"alice"}');
SELECT evcharge.message_type(a), a #>> '{transactionInfo,id}' AS tx, a #>> '{resp,error}' AS error
FROM evcharge.handle('{"@type":"StopTransactionRequestData","chargePointClientId":"ENV","connectorId":1,"consumerPublicKey":"alice"}') a;
SELECT evcharge.message_type(a), a -> 'resp' AS resp
FROM evcharge.handle('{"@type":"BootNotificationRequestData","chargeBoxSerialNumber":"ENV-2","chargePointModel":"M"}') a;
SELECT charge_point_model FROM evcharge.charge_point WHERE charge_point_id = 'ENV-2';
-- a report says where it is from only with the charge point in front
SELECT evcharge.handle('ENV', '{"@type":"ConnectorInfo","id":2,"status":"FAULTED"}') IS NULL AS no_answer;
SELECT status FROM evcharge.connector WHERE charge_point_id = 'ENV' AND connector_id = 2;

-- the envelope of the peers: event_id in field 1, the message in its own field
CREATE FUNCTION test.event(event_id int, field int, message bytea) RETURNS bytea LANGUAGE sql AS $$
	SELECT '\x08'::bytea || set_byte('\x00', 0, $1)
		|| set_byte(set_byte('\x0000', 0, ($2 << 3 | 2) & 127 | 128), 1, ($2 << 3) >> 7)
		|| set_byte('\x00', 0, length($3)) || $3 $$;
SELECT evcharge.handle_event(test.event(25, 19, test.wire('AuthorizeRequestData',
	'{"chargePointClientId":"ENV","consumerPublicKey":"bob"}')))
	= test.event(26, 20, test.wire('AuthorizeResponseData', '{"consumerPublicKey":"bob","resp":{}}')) AS authorized;
SELECT evcharge.handle_event('ENV', test.event(27, 21, test.wire('CheckAvailabilityRequestData',
	'{"chargePointClientId":"ENV","connectorId":1}')))
	= test.event(28, 22, test.wire('CheckAvailabilityResponseData', '{"resp":{}}')) AS available;
SELECT evcharge.handle_event(test.event(29, 24, test.wire('StartTransactionRequestData',
	'{"chargePointClientId":"ENV","connectorId":1,"consumerPublicKey":"bob"}')))
	= test.event(30, 25, test.wire('StartTransactionResponseData', '{"consumerPublicKey":"bob","resp":{}}')) AS started;
SELECT evcharge.handle_event('ENV', test.event(31, 26, test.wire('EVChargingStatusData',
	'{"currentOffered":16,"currentUnit":"A"}'))) IS NULL AS no_answer;
SELECT current_offered FROM evcharge.transaction WHERE charge_point_id = 'ENV' AND ended_at IS NULL;
SELECT substr(a, 1, 4) FROM evcharge.handle_event(test.event(33, 27, test.wire('StopTransactionRequestData',
	'{"chargePointClientId":"ENV","connectorId":1,"consumerPublicKey":"bob"}'))) a;
SELECT substr(a, 1, 4) FROM evcharge.handle_event(test.event(23, 17, test.wire('BootNotificationRequestData',
	'{"chargeBoxSerialNumber":"ENV-3"}'))) a;
SELECT evcharge.handle_event('ENV', test.event(24, 18, test.wire('LogData', '{"resp":{"message":"hello"}}'))) IS NULL AS no_answer;
SELECT message FROM evcharge.gateway_log WHERE charge_point_id = 'ENV';
-- fields in any order, the last member of the oneof counts, parts of one are merged
SELECT evcharge.handle_event(substr(e, 3) || substr(e, 1, 2)) IS NOT NULL AS answered
FROM test.event(27, 21, test.wire('CheckAvailabilityRequestData', '{"chargePointClientId":"ENV","connectorId":1}')) e;
SELECT evcharge.handle_event('\x08199a0105' || '\x0a03454e56'::bytea || '\x9a0105' || '\x1203626f62'::bytea)
	= test.event(26, 20, test.wire('AuthorizeResponseData', '{"consumerPublicKey":"bob","resp":{}}')) AS merged;

-- an event as it goes on to the peers
SELECT evcharge.state_change(e) = test.event(32, 29, test.wire('NotifyChargePointStateChangeData',
	'{"chargePointClientId":"ENV"}')) AS same
FROM evcharge.event e WHERE charge_point_id = 'ENV' AND event_id = 1;

-- any row with a charge_point_id will do, another is an error
SELECT evcharge.state_change(r) FROM (SELECT 'ENV'::varchar AS charge_point_id) r;
SELECT evcharge.state_change(r) IS NULL AS null FROM (SELECT NULL::text AS charge_point_id) r;
SELECT evcharge.state_change(r) FROM (SELECT 1::int8 AS charge_point_id) r;
SELECT evcharge.state_change(r) FROM (SELECT 1 AS x) r;

-- errors: answers, announcements, members of other services, broken envelopes
\set SHOW_CONTEXT never
SELECT evcharge.handle(NULL);
SELECT evcharge.handle('{"@type":"Response"}');
SELECT evcharge.handle('{"@type":"ConnectorInfo","id":1}');
SELECT evcharge.handle('{"@type":"BootNotificationRequestData"}');
SELECT evcharge.handle('{"@type":"NotifyChargePointStateChangeData"}');
SELECT evcharge.handle_event(test.event(32, 29, ''));
SELECT evcharge.handle_event(test.event(5, 3, ''));
SELECT evcharge.handle_event('\x0805');
SELECT evcharge.handle_event('\x');
SELECT evcharge.handle_event(test.event(25, 21, ''));
SELECT evcharge.handle_event('\x08199a01ff');
SELECT evcharge.handle_event('\x00');
-- offsets count inside the message; the context tells where that begins
\set SHOW_CONTEXT errors
SELECT evcharge.handle_event(test.event(25, 19, '\x0aff'));
SELECT * FROM evcharge.check_integrity();
