-- What the tests after this one share: the tables, and a shorter way to write
-- messages.  Each test works on charge points of its own.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS evcharge;
SELECT evcharge.install();
CREATE SCHEMA test;

-- JSON to wire bytes, as a gateway would send them
CREATE FUNCTION test.wire(type text, fields text) RETURNS bytea
	LANGUAGE sql AS 'SELECT evcharge.encode(evcharge.from_json($1, $2::json))';

-- wire bytes to JSON, as a gateway would read them
CREATE FUNCTION test.read(type text, wire bytea) RETURNS text
	LANGUAGE sql AS 'SELECT evcharge.to_json(evcharge.decode($1, $2))::text';

-- the history of a charge point, without clocks
CREATE FUNCTION test.events(charge_point text, after int8 DEFAULT 0)
	RETURNS TABLE (event_id int8, kind text, connector int, tx int,
				   old_value text, new_value text, reason text)
	LANGUAGE sql AS $$
	SELECT event_id, kind, connector_id, transaction_id, old_value, new_value, reason
	FROM evcharge.event WHERE charge_point_id = $1 AND event_id > $2 ORDER BY event_id $$;

-- a charge point that booted and has two available connectors
CREATE FUNCTION test.charge_point(id text) RETURNS void LANGUAGE sql AS $$
	SELECT evcharge.boot_notification($1, test.wire('BootNotificationRequestData',
		'{"chargePointModel":"M1","ChargePointVendor":"V1"}'));
	SELECT evcharge.report_connector($1, test.wire('ConnectorInfo',
		'{"id":1,"status":"AVAILABLE"}'), '2026-01-01 08:00Z');
	SELECT evcharge.report_connector($1, test.wire('ConnectorInfo',
		'{"id":2,"status":"AVAILABLE"}'), '2026-01-01 08:00Z') $$;

-- the four requests, with their answers as JSON
CREATE FUNCTION test.authorize(cp text, key text) RETURNS text LANGUAGE sql AS $$
	SELECT test.read('AuthorizeResponseData', evcharge.authorize(
		test.wire('AuthorizeRequestData', json_build_object(
			'chargePointClientId', $1, 'consumerPublicKey', $2)::text))) $$;
CREATE FUNCTION test.available(cp text, connector int) RETURNS text LANGUAGE sql AS $$
	SELECT test.read('CheckAvailabilityResponseData', evcharge.check_availability(
		test.wire('CheckAvailabilityRequestData', json_build_object(
			'chargePointClientId', $1, 'connectorId', $2)::text))) $$;
CREATE FUNCTION test.start(cp text, connector int, key text, at timestamptz, meter int DEFAULT NULL)
	RETURNS text LANGUAGE sql AS $$
	SELECT test.read('StartTransactionResponseData', evcharge.start_transaction(
		test.wire('StartTransactionRequestData', json_build_object(
			'chargePointClientId', $1, 'connectorId', $2, 'consumerPublicKey', $3)::text), $4, $5)) $$;
CREATE FUNCTION test.stop(cp text, connector int, key text, at timestamptz, meter int DEFAULT NULL,
						  reason text DEFAULT 'Remote')
	RETURNS text LANGUAGE sql AS $$
	SELECT test.read('StopTransactionResponseData', evcharge.stop_transaction(
		test.wire('StopTransactionRequestData', json_build_object(
			'chargePointClientId', $1, 'connectorId', $2, 'consumerPublicKey', $3)::text), $4, $5, $6)) $$;

-- what a charge point reports
CREATE FUNCTION test.status(cp text, connector int, status text, at timestamptz) RETURNS void
	LANGUAGE sql AS $$
	SELECT evcharge.report_connector($1, test.wire('ConnectorInfo',
		json_build_object('id', $2, 'status', $3)::text), $4) $$;
CREATE FUNCTION test.report(cp text, fields text) RETURNS int
	LANGUAGE sql AS $$ SELECT evcharge.report_transaction($1, test.wire('TransactionInfo', $2)) $$;
