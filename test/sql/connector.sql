-- Status reports of connectors.
SELECT evcharge.boot_notification('CON', '') IS NOT NULL AS booted;

-- every spelling of the wire is read, in any case
SELECT test.status('CON', n::int, s, '2026-01-01 08:00Z') FROM unnest(ARRAY[
	'Available', 'PREPARING', 'charging', 'SuspendedEV', 'SUSPENDED_EV', 'SUSPENDEDEVSE',
	'suspended_evse', 'Finishing']) WITH ORDINALITY t (s, n);
SELECT connector_id, status, status_since AT TIME ZONE 'UTC' AS since FROM evcharge.connector
WHERE charge_point_id = 'CON' ORDER BY connector_id;

-- anything else is kept as text in an anomaly, and changes nothing
SELECT test.status('CON', 1, 'ON_FIRE', '2026-01-01 08:01Z');
SELECT test.status('CON', 1, '', '2026-01-01 08:01Z');
SELECT test.status('CON', 1, 'S_USPENDEDEV', '2026-01-01 08:01Z');
SELECT test.status('CON', -1, 'Available', '2026-01-01 08:01Z');
SELECT status FROM evcharge.connector WHERE charge_point_id = 'CON' AND connector_id = 1;
SELECT connector_id, reason, new_value, detail FROM evcharge.event
WHERE charge_point_id = 'CON' AND kind = 'anomaly' ORDER BY event_id;

-- connector 0 is the charge point itself, and can be in three statuses
SELECT test.status('CON', 0, 'Available', '2026-01-01 08:00Z');
SELECT test.status('CON', 0, 'Unavailable', '2026-01-01 08:10Z');
SELECT test.status('CON', 0, 'Charging', '2026-01-01 08:20Z');
SELECT status, status_since AT TIME ZONE 'UTC' AS since FROM evcharge.charge_point WHERE charge_point_id = 'CON';
SELECT test.status('CON', 0, 'Faulted', '2026-01-01 08:05Z');	-- late
SELECT test.status('CON', 0, 'Faulted', '2026-01-01 08:05Z');	-- late, and repeated
SELECT status FROM evcharge.charge_point WHERE charge_point_id = 'CON';
SELECT kind, old_value, new_value, reason, occurred_at AT TIME ZONE 'UTC' AS at FROM evcharge.event
WHERE charge_point_id = 'CON' AND connector_id IS NULL AND kind NOT IN ('registered', 'booted') ORDER BY event_id;
SELECT count(*) FROM evcharge.connector WHERE charge_point_id = 'CON' AND connector_id <= 0;

-- a repeated report changes nothing, but tells how new the status is
SELECT test.status('CON', 20, 'Available', '2026-01-01 10:00Z');
SELECT test.status('CON', 20, 'Available', '2026-01-01 10:30Z');
-- so a report of the time between is late: it goes to history only, and once
SELECT test.status('CON', 20, 'Charging', '2026-01-01 10:10Z');
SELECT test.status('CON', 20, 'Charging', '2026-01-01 10:10Z');
SELECT status, status_since AT TIME ZONE 'UTC' AS since, reported_at AT TIME ZONE 'UTC' AS reported
FROM evcharge.connector WHERE charge_point_id = 'CON' AND connector_id = 20;
-- the history ends where the row stands
SELECT kind, old_value, new_value, occurred_at AT TIME ZONE 'UTC' AS at FROM evcharge.event
WHERE charge_point_id = 'CON' AND connector_id = 20 ORDER BY event_id;

-- a connector that names a transaction which is not open here
SELECT evcharge.report_connector('CON', test.wire('ConnectorInfo',
	'{"id":21,"status":"CHARGING","currentTransaction":77}'), '2026-01-01 10:00Z');
SELECT kind, transaction_id, reason FROM evcharge.event
WHERE charge_point_id = 'CON' AND connector_id = 21 ORDER BY event_id;

-- malformed bytes are an error with its place, and nothing has changed
SELECT last_event_id AS before FROM evcharge.charge_point WHERE charge_point_id = 'CON' \gset
\set SHOW_CONTEXT never
SELECT evcharge.report_connector('CON', '\x08011209');
SELECT evcharge.report_connector('CON', '\x0801', 'infinity');
SELECT evcharge.report_connector('CON', NULL);
SELECT last_event_id = :before AS unchanged FROM evcharge.charge_point WHERE charge_point_id = 'CON';
SELECT * FROM evcharge.check_integrity();
