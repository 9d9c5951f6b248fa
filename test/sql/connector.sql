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

-- each of the nine statuses as that of connector 0: three are fit for it
SELECT test.status('CON-0', 0, s::text, timestamptz '2026-01-01 08:00Z' + n * interval '1 minute')
FROM unnest(enum_range(NULL::evcharge.connector_status)) WITH ORDINALITY t (s, n);
SELECT s.event_id, s.new_value, a.reason FROM evcharge.event s
LEFT JOIN evcharge.event a ON a.charge_point_id = 'CON-0' AND a.kind = 'anomaly'
	AND a.new_value = s.new_value AND a.occurred_at = s.occurred_at
WHERE s.charge_point_id = 'CON-0' AND s.kind = 'charge_point_status' ORDER BY s.event_id;

-- A fault remembers the status before it, also when it is reported again or
-- something older or unknown is; a fault that comes first has nothing to remember,
-- and what follows it forgets.
CREATE FUNCTION pg_temp.after(connector int, said text, at timestamptz)
RETURNS TABLE (status text, before_fault text, since timestamp) LANGUAGE sql AS $$
	SELECT test.status('CON', connector, said, at);
	SELECT status::text, status_before_fault::text, status_since AT TIME ZONE 'UTC' FROM evcharge.connector c
	WHERE charge_point_id = 'CON' AND c.connector_id = connector $$;
SELECT r.at AT TIME ZONE 'UTC' AS at, r.said, a.* FROM (VALUES
	('2026-01-01 10:00Z'::timestamptz, 'Faulted'), ('2026-01-01 10:05Z', 'Charging'),
	('2026-01-01 10:10Z', 'Faulted'), ('2026-01-01 10:15Z', 'Faulted'),
	('2026-01-01 10:01Z', 'Preparing'), ('2026-01-01 10:12Z', 'Finishing'),
	('2026-01-01 10:20Z', 'On fire'), ('2026-01-01 10:25Z', 'SuspendedEV')) r (at, said),
	LATERAL pg_temp.after(22, r.said, r.at) a;
-- the late ones stand in history where they belong
SELECT status, started_at AT TIME ZONE 'UTC' AS "from", ended_at AT TIME ZONE 'UTC' AS "to"
FROM evcharge.connector_timeline WHERE charge_point_id = 'CON' AND connector_id = 22 ORDER BY 2, 3;

-- Of reports of one moment the last to come is the newest. One that is older than
-- all others goes to history alone.
SELECT a.* FROM (VALUES (1, 'Available', '2026-01-01 10:00Z'::timestamptz), (2, 'Preparing', '2026-01-01 10:00Z'),
	(3, 'Charging', '2026-01-01 10:00Z'), (4, 'Finishing', '2026-01-01 09:00Z')) r (n, said, at),
	LATERAL pg_temp.after(23, r.said, r.at) a;
SELECT kind, old_value, new_value, reason, occurred_at AT TIME ZONE 'UTC' AS at FROM evcharge.event
WHERE charge_point_id = 'CON' AND connector_id = 23 ORDER BY event_id;

-- Where a status was skipped, the transition is flagged, and the next one is
-- judged by what was reported, not by what might have been.
SELECT a.* FROM (VALUES ('Available', '2026-01-01 10:00Z'::timestamptz), ('Finishing', '2026-01-01 10:01Z'),
	('Finishing', '2026-01-01 10:02Z'), ('Reserved', '2026-01-01 10:03Z'), ('Available', '2026-01-01 10:04Z')) r (said, at),
	LATERAL pg_temp.after(24, r.said, r.at) a;
SELECT kind, old_value, new_value, detail FROM evcharge.event
WHERE charge_point_id = 'CON' AND connector_id = 24 ORDER BY event_id;

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
