-- The views: numbers that can be checked by hand
SELECT evcharge.install();
SET timezone = 'UTC';
SET datestyle = 'ISO';

-- Columns are what dashboards can draw, each view has a time that sorts, and
-- each view and each column has a comment.
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'evcharge'::regnamespace AND c.relkind = 'v'
	AND a.attnum > 0
	AND a.atttypid NOT IN ('text'::regtype, 'timestamptz'::regtype,
		'numeric'::regtype, 'int4'::regtype, 'int8'::regtype)
ORDER BY 1, a.attnum;
SELECT c.relname,
	string_agg(a.attname, ' ' ORDER BY a.attnum)
		FILTER (WHERE a.atttypid = 'timestamptz'::regtype) AS times,
	bool_and(col_description(c.oid, a.attnum) IS NOT NULL)
		AND obj_description(c.oid) IS NOT NULL AS has_comments
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'evcharge'::regnamespace AND c.relkind = 'v'
	AND a.attnum > 0
GROUP BY c.oid, c.relname
ORDER BY 1;

-- Personal data stands in auth_overview alone.
SELECT c.relname, a.attname
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'evcharge'::regnamespace AND c.relkind = 'v'
	AND a.attname ~ '(^|_)(tag|key)($|_)'
ORDER BY 1, 2;

-- Everything below happens in one transaction on empty tables, so that now()
-- stands still and the tables are left as they were.
BEGIN;
TRUNCATE evcharge.charge_point, evcharge.connector, evcharge.transaction,
	evcharge.auth, evcharge.event, evcharge.meter_sample, evcharge.gateway_log;

-- No charge point, no rows, but one of gateway_health.
SELECT charge_points, connectors, open_transactions, events_24h, newest_event_at
FROM evcharge.gateway_health;
SELECT count(*) FROM evcharge.check_integrity();

---------------------------------------------------------------------------
-- Energy
---------------------------------------------------------------------------
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, ended_at, start_meter, end_meter, stop_reason)
VALUES
	-- 1000 Wh in 2 h 20 min from 10:50: 10, 60, 60 and 10 of 140 minutes, which is
	-- 71.4, 428.6, 428.6 and 71.4 Wh.  Cumulated and rounded down: 71, 500, 928, 1000.
	('A', 1, 1, '2026-03-01 10:50Z', '2026-03-01 13:10Z', 5000, 6000, 'Local'),
	-- 7 Wh in 3 hours that are those of the clock: 2, 2 and 3, and nothing in a 4th.
	('A', 2, 2, '2026-03-01 20:00Z', '2026-03-01 23:00Z', 0, 7, 'Local'),
	-- Over midnight UTC, and with microseconds.
	('A', 3, 1, '2026-03-01 23:59:59.999999Z', '2026-03-02 00:00:00.000001Z', 0, 3, 'Local'),
	-- No time at all, backwards in time, no start: whole in the hour of the end.
	('B', 1, 1, '2026-03-01 12:00Z', '2026-03-01 12:00Z', 0, 100, 'Local'),
	('B', 2, 1, '2026-03-01 17:30Z', '2026-03-01 12:30Z', 0, 20, 'Local'),
	('B', 3, 1, NULL, '2026-03-01 12:40Z', 0, 3, 'Local'),
	-- A clock that was reset: so is a session of 56 years.
	('B', 4, 1, '1970-01-01 00:00Z', '2026-03-01 14:30Z', 0, 4000, 'Local'),
	-- Meters backwards, unknown, at the limits of their type.
	('C', 1, 1, '2026-03-01 10:00Z', '2026-03-01 11:00Z', 500, 400, 'Local'),
	('C', 2, 1, '2026-03-01 11:00Z', '2026-03-01 12:00Z', NULL, 400, 'Local'),
	('C', 3, 1, '2026-03-01 12:00Z', '2026-03-01 13:00Z', 400, NULL, 'Local'),
	('C', 4, 1, '2026-03-01 13:00Z', '2026-03-01 15:00Z', -2147483648, 2147483647, 'Local'),
	-- On no known connector, and open: that is not energy yet.
	('D', 1, 0, '2026-03-01 10:00Z', '2026-03-01 10:30Z', 0, 250, 'Local'),
	('D', 2, 1, '2026-03-01 10:00Z', NULL, 0, NULL, NULL);

SELECT * FROM evcharge.energy_hourly ORDER BY charge_point_id, hour, connector_id;
SELECT * FROM evcharge.energy_daily ORDER BY charge_point_id, day, connector_id;
SELECT charge_point_id, transaction_id, duration_seconds, start_meter, end_meter,
	energy_kwh, stop_reason, forced
FROM evcharge.transaction_history ORDER BY 1, 2;
SELECT charge_point_id, transaction_id FROM evcharge.active_transaction;

-- Hours and days are those of UTC in every session.
CREATE TEMP TABLE in_utc AS
SELECT hour AS at, charge_point_id, connector_id, energy_wh, energy_kwh, transactions
FROM evcharge.energy_hourly
UNION ALL SELECT * FROM evcharge.energy_daily
UNION ALL SELECT day, charge_point_id, connector_id, occupied_seconds,
	utilization_percent, sessions FROM evcharge.connector_utilization
	WHERE day < '2026-04-01';
SET timezone = 'Asia/Kolkata';
SELECT count(*) AS other_in_kolkata FROM (
	(SELECT hour, charge_point_id, connector_id, energy_wh, energy_kwh, transactions
	FROM evcharge.energy_hourly
	UNION ALL SELECT * FROM evcharge.energy_daily
	UNION ALL SELECT day, charge_point_id, connector_id, occupied_seconds,
		utilization_percent, sessions FROM evcharge.connector_utilization
		WHERE day < '2026-04-01')
	EXCEPT ALL TABLE in_utc) x;
SET timezone = 'UTC';

-- A thousand random sessions: each adds up exactly, and hours add up to days.
TRUNCATE evcharge.transaction;
SELECT setseed(0.42);
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, ended_at, start_meter, end_meter, stop_reason)
SELECT 'A' || i % 20, i, 1, s, s + random() * interval '50 hours',
	m, m + (random() ^ 4 * 200000)::int, 'Local'
FROM (SELECT i, '2026-01-01'::timestamptz + random() * interval '60 days' AS s,
		(random() * 1000000)::int AS m
	FROM generate_series(1, 1000) i) r;
SELECT (SELECT sum(end_meter - start_meter) FROM evcharge.transaction)
		= (SELECT sum(energy_wh) FROM evcharge.energy_hourly) AS adds_up,
	(SELECT min(energy_wh) >= 0 FROM evcharge.energy_hourly) AS never_negative;
SELECT count(*) AS other_days FROM (
	SELECT date_trunc('day', hour) AS day, charge_point_id, connector_id,
		sum(energy_wh) AS energy_wh, sum(energy_kwh) AS energy_kwh
	FROM evcharge.energy_hourly GROUP BY 1, 2, 3
	EXCEPT
	SELECT day, charge_point_id, connector_id, energy_wh, energy_kwh
	FROM evcharge.energy_daily) x;
-- The same by a plain sum over hours, one session at a time.
TRUNCATE evcharge.transaction;
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, ended_at, start_meter, end_meter, stop_reason)
VALUES
	('A', 1, 1, '2026-03-01 10:17:23.5Z', '2026-03-02 13:41:07.25Z', 1234, 98765, 'Local');
SELECT count(*) AS hours, sum(energy_wh) AS wh,
	max(abs(energy_wh - 97531 * extract(epoch FROM
		least(hour + interval '1 hour', '2026-03-02 13:41:07.25Z')
		- greatest(hour, '2026-03-01 10:17:23.5Z'))
		/ extract(epoch FROM timestamptz '2026-03-02 13:41:07.25Z'
			- '2026-03-01 10:17:23.5Z'))) < 1 AS within_one_wh
FROM evcharge.energy_hourly;

---------------------------------------------------------------------------
-- Utilization
---------------------------------------------------------------------------
TRUNCATE evcharge.transaction;
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, ended_at, start_meter, end_meter, stop_reason)
VALUES
	-- 10:00 to 12:00 and 11:00 to 13:00 overlap, 11:30 to 11:45 lies within, 14:00 to
	-- 14:30 apart: 3 h 30 min in 4 sessions.
	('A', 1, 1, '2026-03-01 10:00Z', '2026-03-01 12:00Z', 0, 1000, 'Local'),
	('A', 2, 1, '2026-03-01 11:00Z', '2026-03-01 13:00Z', 0, 1000, 'Local'),
	('A', 3, 1, '2026-03-01 11:30Z', '2026-03-01 11:45Z', 0, 0, 'Local'),
	('A', 4, 1, '2026-03-01 14:00Z', '2026-03-01 14:30Z', 9, 8, 'Local'),
	-- The other connector is another matter.
	('A', 5, 2, '2026-03-01 10:00Z', '2026-03-01 10:15Z', 0, 500, 'Local'),
	-- Three days: 6 h, a whole one, 1 h.
	('B', 1, 1, '2026-03-01 18:00Z', '2026-03-03 01:00Z', 0, 3100, 'Local'),
	-- No time, backwards: a session, but no time.
	('C', 1, 1, '2026-03-01 10:00Z', '2026-03-01 10:00Z', 0, 1, 'Local'),
	('C', 2, 1, '2026-03-01 18:00Z', '2026-03-01 17:00Z', 0, 1, 'Local');
SELECT * FROM evcharge.connector_utilization ORDER BY charge_point_id, day, connector_id;
-- An open one counts until now.
TRUNCATE evcharge.transaction;
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, ended_at, start_meter, end_meter, stop_reason)
VALUES
	('A', 1, 1, now() - interval '30 hours', NULL, 0, NULL, NULL),
	('A', 2, 1, now() - interval '30 hours', now() - interval '29 hours', 0, 1500, 'Local');
SELECT sum(occupied_seconds) AS seconds, sum(energy_kwh) AS energy_kwh
FROM evcharge.connector_utilization;

---------------------------------------------------------------------------
-- Timeline
---------------------------------------------------------------------------
INSERT INTO evcharge.event (charge_point_id, event_id, kind, connector_id,
	new_value, occurred_at, recorded_at, cluster, written_by)
SELECT 'A', event_id, kind, connector_id, status, occurred_at, now(), 1,
	pg_current_xact_id()
FROM (VALUES
	-- In the order of their times, not of their arrival: Finishing came late.
	(1, 'connector_status', 1, 'Available', timestamptz '2026-03-01 08:00Z'),
	(2, 'connector_status', 1, 'Charging', '2026-03-01 09:00Z'),
	(3, 'connector_status', 2, 'Available', '2026-03-01 09:30Z'),
	(4, 'connector_status', 1, 'Available', '2026-03-01 11:00Z'),
	(5, 'connector_status', 1, 'Finishing', '2026-03-01 10:30Z'),
	-- A repetition is no change; two at one time keep the order of arrival.
	(6, 'connector_status', 1, 'Available', '2026-03-01 12:00Z'),
	(7, 'connector_status', 1, 'Preparing', '2026-03-01 13:00Z'),
	(8, 'connector_status', 1, 'Charging', '2026-03-01 13:00Z'),
	-- Gone for an hour, and back.
	(9, 'connector_removed', 1, NULL, '2026-03-01 14:00Z'),
	(10, 'connector_status', 1, 'Charging', '2026-03-01 15:00Z'),
	(11, 'connector_status', 1, 'Faulted', '2026-03-01 15:00:02Z'),
	-- It lasts, for an hour now.
	(12, 'connector_status', 3, 'Available', now() - interval '1 hour')
) AS e (event_id, kind, connector_id, status, occurred_at);
SELECT connector_id, status, started_at, ended_at,
	CASE WHEN ended_at IS NOT NULL THEN duration_seconds END AS duration_seconds,
	event_id
FROM evcharge.connector_timeline
WHERE connector_id < 3
ORDER BY connector_id, started_at, event_id;
SELECT connector_id, status, duration_seconds, ended_at, event_id
FROM evcharge.connector_timeline
WHERE connector_id = 3;

---------------------------------------------------------------------------
-- Charge points, connectors and health, as they stand
---------------------------------------------------------------------------
TRUNCATE evcharge.event, evcharge.transaction;
INSERT INTO evcharge.charge_point (charge_point_id, registration, status,
	charge_point_vendor, charge_point_model, charge_point_serial_number,
	firmware_version, auth_list_version, last_event_id, registered_at, last_seen_at)
VALUES ('A', 'Accepted', NULL, 'V', 'M', 'S', 'F', 3, 6, now(), now()),
	('B', 'Accepted', 'Unavailable', NULL, NULL, NULL, NULL, 0, 0, now(), now()),
	('C', 'Accepted', 'Faulted', NULL, NULL, NULL, NULL, 0, 0, now(), now()),
	('D', 'Pending', 'Available', NULL, NULL, NULL, NULL, 0, 0, now(), now()),
	('E', 'Accepted', 'Available', NULL, NULL, NULL, NULL, 0, 1, now(),
		now() - interval '1 year'),
	('F', 'Rejected', 'Available', NULL, NULL, NULL, NULL, 0, 0, now(), NULL);
INSERT INTO evcharge.connector (charge_point_id, connector_id, status, transaction_id)
VALUES ('A', 1, 'Available', NULL), ('A', 2, 'Preparing', NULL),
	('A', 3, 'Preparing', 1), ('A', 4, 'Charging', 2), ('A', 5, 'SuspendedEV', NULL),
	('A', 6, 'Reserved', NULL), ('A', 7, 'Unavailable', NULL),
	('A', 8, 'Faulted', 3), ('A', 9, NULL, NULL),
	('B', 1, 'Available', NULL), ('C', 1, 'Available', NULL),
	('D', 1, 'Available', NULL), ('E', 1, 'Available', NULL),
	('F', 1, 'Faulted', NULL);
-- 32 A at 230 V are 7.36 kW; milliamperes are not guessed at; a charge point
-- may report what is no number.
INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id,
	started_at, confirmed_at, current_offered, current_unit, voltage_offered,
	voltage_unit)
VALUES ('A', 1, 3, now() - interval '90 seconds', NULL, 32, 'A', 230, 'V'),
	('A', 2, 4, now() + interval '1 hour', now(), 16000, 'mA', 230.1, ''),
	('A', 3, 8, NULL, now(), 'Infinity', '', 'NaN', 'v');
INSERT INTO evcharge.auth (charge_point_id, id_tag, consumer_key, transaction_id,
	status, expires_at, list_version, removed_at)
VALUES ('A', 'T1', 'K1', 1, 'Accepted', NULL, 1, NULL),
	('A', 'T2', 'K2', NULL, 'Accepted', now(), 2, NULL),
	('A', 'T3', 'K3', NULL, 'Accepted', now() + interval '1 second', 2, NULL),
	('A', 'T4', 'K4', NULL, 'Blocked', now() - interval '1 day', 2, NULL),
	('A', 'T5', NULL, NULL, NULL, NULL, 2, NULL),
	('A', 'T6', 'K6', NULL, 'Accepted', NULL, 3, now());
-- Six events: one too old, one of them an anomaly.
INSERT INTO evcharge.event (charge_point_id, event_id, kind, connector_id,
	new_value, reason, detail, occurred_at, recorded_at, cluster, written_by)
SELECT 'A', i, CASE i WHEN 4 THEN 'anomaly' ELSE 'booted' END, 1, 'BROKEN',
	CASE i WHEN 4 THEN 'unknown_status' END, 'x', timestamptz '2026-03-01',
	now() - (6 - i) * interval '5 hours', 1, pg_current_xact_id()
FROM generate_series(1, 6) i
UNION ALL
SELECT 'E', 1, 'anomaly', NULL, NULL, 'unknown_status', 'x', timestamptz '2026-03-01',
	now() - interval '2 days', 1, pg_current_xact_id();

SELECT charge_point_id, connector_id, status, availability, transaction_id,
	now() - started_at AS started, current_offered, voltage_offered, power_kw
FROM evcharge.connector_overview ORDER BY 1, 2;
SELECT charge_point_id, registration, status, connection, vendor, model,
	serial_number, firmware_version, auth_list_version
FROM evcharge.charge_point_overview ORDER BY 1;
SELECT charge_point_id, connectors, connectors_available AS available,
	connectors_occupied AS occupied, connectors_unavailable AS unavailable,
	connectors_faulted AS faulted, connectors_offline AS offline, connectors_unknown AS unknown,
	open_transactions, auth_entries
FROM evcharge.charge_point_overview ORDER BY 1;
SELECT transaction_id, connector_id, duration_seconds, confirmed_at = now() AS confirmed,
	current_offered, voltage_offered, power_kw
FROM evcharge.active_transaction ORDER BY 1;
SELECT id_tag, consumer_key, status, transaction_id, connector_id
FROM evcharge.auth_overview ORDER BY 1;
SELECT charge_point_id, event_id, connector_id, reason, detail, reported, occurred_at
FROM evcharge.anomaly ORDER BY 1, 2;
SELECT observed_at = now() AS now, charge_points, charge_points_online,
	charge_points_offline, charge_points_pending
FROM evcharge.gateway_health;
SELECT connectors, connectors_available AS available, connectors_occupied AS occupied,
	connectors_unavailable AS unavailable, connectors_faulted AS faulted,
	open_transactions, unconfirmed_transactions
FROM evcharge.gateway_health;
SELECT events_24h, anomalies_24h, now() - newest_event_at AS newest_event,
	notify_mode = split_part(evcharge.notify_mode(), ': ', 1) AS notify_mode, notify_reason,
	notification_queue_percent BETWEEN 0 AND 100 AS queue,
	extension_version = (SELECT extversion FROM pg_extension
		WHERE extname = 'evcharge') AS extension_version,
	tables_version
FROM evcharge.gateway_health;
ROLLBACK;

---------------------------------------------------------------------------
-- The same as the functions write it
---------------------------------------------------------------------------
BEGIN;
TRUNCATE evcharge.charge_point, evcharge.connector, evcharge.transaction,
	evcharge.auth, evcharge.event, evcharge.meter_sample, evcharge.gateway_log;
CREATE FUNCTION pg_temp.wire(type text, message json) RETURNS bytea
LANGUAGE sql AS $$SELECT evcharge.encode(evcharge.from_json($1, $2))$$;

-- A charge point boots, its connectors report, one a status that OCPP lacks.
SELECT FROM evcharge.boot_notification('P', pg_temp.wire('BootNotificationRequestData',
	'{"ChargePointVendor":"Acme","chargePointModel":"Fast 22"}'));
SELECT FROM evcharge.report_connector('P', pg_temp.wire('ConnectorInfo',
	'{"id":1,"status":"AVAILABLE"}'), '2026-03-01 08:00Z');
SELECT FROM evcharge.report_connector('P', pg_temp.wire('ConnectorInfo',
	'{"id":2,"status":"AVAILABLE"}'), '2026-03-01 08:00Z');
SELECT FROM evcharge.report_connector('P', pg_temp.wire('ConnectorInfo',
	'{"id":2,"status":"ON_STRIKE"}'), '2026-03-01 08:10Z');
-- A consumer starts; the charge point confirms, and reports progress.
SELECT FROM evcharge.authorize(pg_temp.wire('AuthorizeRequestData',
	'{"chargePointClientId":"P","consumerPublicKey":"0xC0FFEE"}'));
SELECT FROM evcharge.start_transaction(pg_temp.wire('StartTransactionRequestData',
	'{"chargePointClientId":"P","connectorId":1,"consumerPublicKey":"0xC0FFEE"}'),
	'2026-03-01 09:30Z', 1000);
SELECT charge_points, connectors_available, connectors_occupied, open_transactions,
	unconfirmed_transactions
FROM evcharge.gateway_health;
SELECT evcharge.report_transaction('P', pg_temp.wire('TransactionInfo',
	'{"id":1,"connectorId":1,"startTime":"2026-03-01T09:30:00Z","startMeter":1000}'));
SELECT FROM evcharge.report_connector('P', pg_temp.wire('ConnectorInfo',
	'{"id":1,"status":"CHARGING","currentTransaction":1}'), '2026-03-01 09:31Z');
SELECT FROM evcharge.report_progress('P', 1, pg_temp.wire('EVChargingStatusData',
	'{"currentOffered":16,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}'),
	'2026-03-01 09:40Z');

SELECT charge_point_id, registration, connection, vendor, model, connectors,
	connectors_available, connectors_occupied, open_transactions, auth_entries,
	auth_list_version
FROM evcharge.charge_point_overview;
SELECT connector_id, status, availability, transaction_id, started_at, power_kw
FROM evcharge.connector_overview ORDER BY connector_id;
SELECT transaction_id, connector_id, started_at, start_meter,
	confirmed_at IS NOT NULL AS confirmed, power_kw, progress_at
FROM evcharge.active_transaction;
SELECT consumer_key, length(id_tag), status, transaction_id, connector_id
FROM evcharge.auth_overview;

-- It stops after an hour and a half; then the charge point reports a session
-- whose meter ran backwards.
SELECT FROM evcharge.stop_transaction(pg_temp.wire('StopTransactionRequestData',
	'{"chargePointClientId":"P","connectorId":1,"consumerPublicKey":"0xC0FFEE"}'),
	'2026-03-01 11:00Z', 7001);
SELECT FROM evcharge.report_connector('P', pg_temp.wire('ConnectorInfo',
	'{"id":1,"status":"AVAILABLE"}'), '2026-03-01 11:05Z');
SELECT evcharge.report_transaction('P', pg_temp.wire('TransactionInfo',
	'{"id":9,"connectorId":2,"startTime":"2026-03-01T10:00:00Z","startMeter":500,
	"endTime":"2026-03-01T10:30:00Z","endMeter":400}'));
SELECT count(*) AS open FROM evcharge.active_transaction;
SELECT transaction_id, connector_id, started_at, ended_at, duration_seconds,
	energy_kwh, stop_reason, forced
FROM evcharge.transaction_history ORDER BY 1;
SELECT hour, connector_id, energy_wh, energy_kwh, transactions
FROM evcharge.energy_hourly ORDER BY 1, 2;
SELECT day, connector_id, energy_kwh FROM evcharge.energy_daily ORDER BY 1, 2;
SELECT day, connector_id, sessions, occupied_hours, utilization_percent, energy_kwh
FROM evcharge.connector_utilization ORDER BY 1, 2;
SELECT connector_id, status, started_at, ended_at
FROM evcharge.connector_timeline ORDER BY 1, 3;
SELECT connector_id, transaction_id, reason, detail, reported, occurred_at
FROM evcharge.anomaly ORDER BY event_id;
SELECT connector_id, status, availability, transaction_id
FROM evcharge.connector_overview ORDER BY connector_id;
SELECT * FROM evcharge.check_integrity();
-- No event has a key or a tag in it.
SELECT count(*) > 10 AS events, count(*) FILTER (
	WHERE strpos(e::text, a.consumer_key) > 0 OR strpos(e::text, a.id_tag) > 0) AS personal
FROM evcharge.event e, evcharge.auth a;
ROLLBACK;
