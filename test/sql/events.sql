-- The feed that a listener catches up from; notify.spec has the notifications.

-- what a listener reads: from the beginning, in steps, each event once
SELECT evcharge.event_cursor() AS before \gset
SELECT test.charge_point('EVT-1');
SELECT test.charge_point('EVT-2');
BEGIN;
SELECT test.status('EVT-1', 1, 'Preparing', '2026-01-01 09:00Z');
SELECT test.status('EVT-1', 1, 'Charging', '2026-01-01 09:01Z');
-- one's own events are read once they are committed
SELECT count(*) FROM evcharge.events_since(:'before') WHERE new_value = 'Charging';
COMMIT;
SELECT charge_point_id, event_id, kind, new_value FROM evcharge.events_since(:'before');
WITH RECURSIVE step AS (
	SELECT 0 AS n, NULL::text AS charge_point_id, NULL::int8 AS event_id, :'before' AS next_cursor
	UNION ALL
	SELECT n + 1, e.charge_point_id, e.event_id, e.next_cursor
	FROM step, LATERAL evcharge.events_since(step.next_cursor, 1) e)
SELECT n, charge_point_id, event_id FROM step WHERE n > 0 ORDER BY n;
SELECT next_cursor AS here FROM evcharge.events_since(:'before') OFFSET 13 \gset
SELECT count(*) FROM evcharge.events_since(:'here');
SELECT count(*) FROM evcharge.events_since(evcharge.event_cursor());
SELECT (SELECT count(*) FROM evcharge.events_since(NULL, 1000000)) = (SELECT count(*) FROM evcharge.event) AS all;

-- after a restore into another cluster: what the old one wrote comes first and
-- ends; a cursor of the old cluster goes on where it was
CREATE TEMP TABLE held AS SELECT * FROM evcharge.event;
BEGIN;
UPDATE evcharge.event SET cluster = 4711;
SELECT (SELECT count(*) FROM evcharge.events_since(NULL, 1000000)) = (SELECT count(*) FROM held) AS all;
SELECT count(*) FROM evcharge.events_since(regexp_replace(:'here', '^2/-?\d+/', '2/4711/'));
SELECT count(*) FROM evcharge.events_since(regexp_replace(:'before', '^2/-?\d+/', '2/4711/'));
-- a cluster of which nothing is left: better twice than not at all
SELECT (SELECT count(*) FROM evcharge.events_since('1/99/100/', 1000000)) = (SELECT count(*) FROM held) AS all;
ROLLBACK;

-- off: events are written, nobody is told
SET evcharge.notify = off;
SELECT evcharge.notify_mode();
SELECT test.status('EVT-1', 1, 'Finishing', '2026-01-01 09:02Z');
RESET evcharge.notify;
SELECT evcharge.notify_mode() ~ '^(announcer$|commit: )' AS by_default;

\set SHOW_CONTEXT never
SELECT * FROM evcharge.events_since('yesterday');
SELECT * FROM evcharge.events_since('1/1/5/7/');
SELECT * FROM evcharge.events_since(NULL, 0);
SELECT * FROM evcharge.check_integrity();
