-- Connector transitions: OCPP 1.6 section 4.9, all 81 pairs.

-- Each pair on a connector of its own: first the one status, then the other.
-- 1 is a transition that is allowed, 0 one that is flagged; the same status
-- twice is neither, and stands as 0 as in the table of OCPP.
CREATE TEMP TABLE pair AS
SELECT f.status AS "from", t.status AS "to", (row_number() OVER (ORDER BY f.status, t.status))::int AS connector
FROM unnest(enum_range(NULL::evcharge.connector_status)) f (status),
	 unnest(enum_range(NULL::evcharge.connector_status)) t (status);
SELECT count(test.status('FSM', connector, "from"::text, '2026-01-01 08:00Z')) FROM pair;
SELECT count(test.status('FSM', connector, upper("to"::text), '2026-01-01 09:00Z')) FROM pair;
CREATE TEMP VIEW walked AS
SELECT p."from", p."to",
	(p."from" <> p."to" AND NOT EXISTS (SELECT FROM evcharge.event e WHERE e.charge_point_id = 'FSM'
		AND e.connector_id = p.connector AND e.reason = 'transition_not_allowed'))::int AS allowed
FROM pair p;
SELECT "from", string_agg(allowed::text, ',' ORDER BY "to") AS "to: in the same order"
FROM walked GROUP BY "from" ORDER BY "from";
SELECT sum(allowed) AS allowed, count(*) AS pairs FROM walked;

-- The same table as a file, where that is at hand: no pair differs.
\set table `cat "${EVCHARGE_SHARED:-../shared}/data/ocpp16_connector_transitions.csv" 2>/dev/null || true`
SELECT w."from", w."to", w.allowed, l.cells[p.place] AS allowed_in_file
FROM walked w
	JOIN (SELECT string_to_array(line, ',') AS cells FROM string_to_table(:'table', E'\n') line) l
		ON l.cells[1] = w."from"::text
	JOIN (SELECT name, place FROM unnest(string_to_array(split_part(:'table', E'\n', 1), ',')) WITH ORDINALITY h (name, place)) p
		ON p.name = w."to"::text
WHERE l.cells[p.place] IS DISTINCT FROM w.allowed::text;

-- whatever was reported is recorded, allowed or not
SELECT count(*) FROM pair JOIN evcharge.connector c ON c.connector_id = pair.connector
WHERE c.charge_point_id = 'FSM' AND c.status = pair."to"
  AND c.status_since = CASE WHEN "from" = "to" THEN timestamptz '2026-01-01 08:00Z' ELSE '2026-01-01 09:00Z' END;

-- while it is faulted, the status before the fault is known
SELECT test.status('FSM', 100, 'Charging', '2026-01-01 08:00Z');
SELECT test.status('FSM', 100, 'Faulted', '2026-01-01 08:01Z');
SELECT status, status_before_fault FROM evcharge.connector WHERE charge_point_id = 'FSM' AND connector_id = 100;
SELECT test.status('FSM', 100, 'Charging', '2026-01-01 08:02Z');
SELECT status, status_before_fault FROM evcharge.connector WHERE charge_point_id = 'FSM' AND connector_id = 100;

SELECT * FROM evcharge.check_integrity();
