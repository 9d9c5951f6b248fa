-- install(): makes the tables and views, once, as objects of its caller.
-- This test runs first, while nothing is installed yet.
\set SHOW_CONTEXT never

-- Before it ran, what needs the tables says so.
SELECT * FROM evcharge.check_integrity();
SELECT evcharge.grant_access(current_user, 'reader');

-- A relation of somebody else in the schema is not taken for ours.
BEGIN;
CREATE VIEW evcharge.anomaly AS SELECT 1 AS one;
SELECT evcharge.install();
ROLLBACK;

-- The search_path of the caller misleads nothing, and nothing is said.
CREATE SCHEMA misleading;
CREATE FUNCTION misleading.now() RETURNS timestamptz
LANGUAGE sql AS $$SELECT '-infinity'::timestamptz$$;
CREATE FUNCTION misleading.format(text, VARIADIC "any") RETURNS text
LANGUAGE internal AS 'text_format_nv';
SET search_path = misleading, pg_catalog;
SELECT evcharge.install();
RESET search_path;
SELECT c.relname
FROM pg_class c
	JOIN pg_depend d ON d.objid IN (
		SELECT r.oid FROM pg_rewrite r WHERE r.ev_class = c.oid)
	JOIN pg_proc p ON p.oid = d.refobjid AND d.refclassid = 'pg_proc'::regclass
WHERE p.pronamespace = 'misleading'::regnamespace;
DROP SCHEMA misleading CASCADE;

-- What it made.
SELECT relkind, relname
FROM pg_class
WHERE relnamespace = 'evcharge'::regnamespace AND relkind IN ('r', 'v')
ORDER BY 1, 2;
SELECT evcharge.tables_version();

-- All of it belongs to the caller, and none of it to the extension.
SELECT count(*) FROM pg_class
WHERE relnamespace = 'evcharge'::regnamespace
	AND pg_get_userbyid(relowner) <> current_user;
SELECT count(*) FROM pg_depend d
WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass;

-- A second call changes nothing: the objects are the same, and what users
-- granted or added stays.
CREATE ROLE regress_evcharge_user;
GRANT SELECT ON evcharge.connector_overview TO regress_evcharge_user;
COMMENT ON TABLE evcharge.connector IS 'My own words';
ALTER TABLE evcharge.connector ADD my_column text;
CREATE INDEX my_index ON evcharge.transaction (started_at);
CREATE TEMP TABLE before AS
SELECT oid, relname, relfilenode, relacl
FROM pg_class WHERE relnamespace = 'evcharge'::regnamespace;
SELECT evcharge.install();
SELECT count(*) AS changed
FROM (SELECT oid, relname, relfilenode, relacl
	FROM pg_class WHERE relnamespace = 'evcharge'::regnamespace
	EXCEPT TABLE before) c;
SELECT has_table_privilege('regress_evcharge_user',
	'evcharge.connector_overview', 'SELECT');
SELECT obj_description('evcharge.connector'::regclass);
DROP INDEX evcharge.my_index;
ALTER TABLE evcharge.connector DROP my_column;
COMMENT ON TABLE evcharge.connector IS
'One row per connector of a charge point; connector 0, the charge point itself, is in charge_point';
REVOKE ALL ON evcharge.connector_overview FROM regress_evcharge_user;

-- Calls at the same time wait for each other: the lock is held to the end.
BEGIN;
SELECT evcharge.install();
SELECT mode, granted FROM pg_locks
WHERE locktype = 'advisory' AND pid = pg_backend_pid()
	AND classid = 'pg_namespace'::regclass
	AND objid = 'evcharge'::regnamespace;
COMMIT;

-- A view that is missing is made again.
DROP VIEW evcharge.integrity;
SELECT evcharge.install();
SELECT to_regclass('evcharge.integrity');

-- Only the owner of the tables can go on with them: neither another role that
-- has every right here, nor a superuser, who would run the code of that owner.
BEGIN;
GRANT USAGE, CREATE ON SCHEMA evcharge TO regress_evcharge_user;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evcharge TO regress_evcharge_user;
SET ROLE regress_evcharge_user;
SAVEPOINT other_role;
\set VERBOSITY sqlstate
SELECT evcharge.install();
ROLLBACK TO other_role;
RESET ROLE;
ALTER FUNCTION evcharge.tables_version() OWNER TO regress_evcharge_user;
\set VERBOSITY terse
SELECT evcharge.install();
ROLLBACK;
\set VERBOSITY default

-- A role that may create in the schema can own them, and need not be a
-- superuser; the functions then work in its name.
BEGIN;
CREATE ROLE regress_evcharge_gateway;
DROP VIEW evcharge.charge_point_overview, evcharge.connector_overview,
	evcharge.active_transaction, evcharge.transaction_history,
	evcharge.progress_history,
	evcharge.auth_overview, evcharge.energy_hourly, evcharge.energy_daily,
	evcharge.connector_timeline, evcharge.connector_utilization,
	evcharge.anomaly, evcharge.gateway_health, evcharge.integrity;
DROP TABLE evcharge.charge_point, evcharge.connector, evcharge.transaction,
	evcharge.auth, evcharge.event, evcharge.meter_sample, evcharge.gateway_log,
	evcharge.announcer;
DROP FUNCTION evcharge.tables_version();
GRANT USAGE, CREATE ON SCHEMA evcharge TO regress_evcharge_user;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA evcharge TO regress_evcharge_user;
GRANT USAGE ON TYPE evcharge.message, evcharge.connector_status,
	evcharge.registration_status, evcharge.authorization_status
	TO regress_evcharge_user;
SET ROLE regress_evcharge_user;
SELECT evcharge.install();
SELECT evcharge.install();
SELECT count(*) FROM evcharge.check_integrity();
SELECT DISTINCT relowner::regrole FROM pg_class
WHERE relnamespace = 'evcharge'::regnamespace;
-- who cannot pass the rights on is told so, instead of granting nothing
SAVEPOINT s;
SELECT evcharge.grant_access('regress_evcharge_gateway', 'ingest');
ROLLBACK TO s;
RESET ROLE;
SELECT evcharge.grant_access('regress_evcharge_gateway', 'ingest');
SET ROLE regress_evcharge_gateway;
SELECT evcharge.heartbeat('I1') IS NOT NULL AS heard;
SET ROLE regress_evcharge_user;
SELECT charge_point_id, registration FROM evcharge.charge_point_overview;
ROLLBACK;
DROP ROLE regress_evcharge_user;

-- Tables of a newer version are left alone.
BEGIN;
CREATE OR REPLACE FUNCTION evcharge.tables_version() RETURNS int4
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1000000';
\set VERBOSITY terse
SELECT evcharge.install();
\set VERBOSITY default
ROLLBACK;

-- No index depends on the locale.
SELECT indexrelid::regclass AS index_by_locale FROM pg_index
WHERE indrelid IN (SELECT oid FROM pg_class WHERE relnamespace = 'evcharge'::regnamespace)
	AND '"default"'::regcollation = ANY (indcollation)
ORDER BY 1;

-- Whatever users see has a comment.
SELECT p.oid::regprocedure AS function_without_comment
FROM pg_proc p
WHERE p.pronamespace = 'evcharge'::regnamespace
	AND obj_description(p.oid, 'pg_proc') IS NULL
ORDER BY 1;
SELECT t.oid::regtype AS type_without_comment
FROM pg_type t
WHERE t.typnamespace = 'evcharge'::regnamespace
	AND t.typtype IN ('b', 'e', 'd') AND t.typcategory <> 'A'
	AND obj_description(t.oid, 'pg_type') IS NULL
ORDER BY 1;
SELECT c.oid::regclass AS relation_without_comment
FROM pg_class c
WHERE c.relnamespace = 'evcharge'::regnamespace
	AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid)
	AND obj_description(c.oid, 'pg_class') IS NULL
ORDER BY 1;
SELECT c.oid::regclass AS relation, a.attname AS column_without_comment
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
WHERE c.relnamespace = 'evcharge'::regnamespace AND c.relkind IN ('r', 'v')
	AND a.attnum > 0 AND NOT a.attisdropped
	AND col_description(c.oid, a.attnum) IS NULL
ORDER BY 1, 2;
