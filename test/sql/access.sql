-- Who may do what: PUBLIC nothing, four kinds of user what they need
\set SHOW_CONTEXT never
SELECT evcharge.install();

-- PUBLIC has no right on anything in the schema, nor on the schema.
SELECT p.oid::regprocedure AS everybody_may_call
FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
WHERE p.pronamespace = 'evcharge'::regnamespace AND a.grantee = 0
ORDER BY 1;
SELECT t.oid::regtype AS everybody_may_use
FROM pg_type t, aclexplode(coalesce(t.typacl, acldefault('T', t.typowner))) a
WHERE t.typnamespace = 'evcharge'::regnamespace AND a.grantee = 0
	AND t.typtype IN ('b', 'e', 'd') AND t.typcategory <> 'A'
ORDER BY 1;
SELECT c.relname AS everybody_may_read
FROM pg_class c, aclexplode(c.relacl) a
WHERE c.relnamespace = 'evcharge'::regnamespace AND a.grantee = 0
ORDER BY 1;
SELECT a.privilege_type AS everybody_has_on_schema
FROM pg_namespace n, aclexplode(n.nspacl) a
WHERE n.nspname = 'evcharge' AND a.grantee = 0;

-- Every name of the recipe exists.
SELECT name AS no_such_relation
FROM evcharge.access_rules() r, unnest(r.relations) name
WHERE to_regclass(format('evcharge.%I', name)) IS NULL;
SELECT name AS no_such_function
FROM evcharge.access_rules() r, unnest(r.functions) name
WHERE NOT EXISTS (SELECT FROM pg_proc p
	WHERE p.pronamespace = 'evcharge'::regnamespace AND p.proname = name);

-- The roles of this test go with its transaction.
BEGIN;
CREATE ROLE regress_ingest;
CREATE ROLE regress_reader;
CREATE ROLE regress_operator;
CREATE ROLE regress_monitor;
CREATE ROLE regress_nobody;
SELECT evcharge.grant_access('regress_ingest', 'ingest');
SELECT evcharge.grant_access('regress_reader', 'reader');
SELECT evcharge.grant_access('regress_operator', 'operator');
SELECT evcharge.grant_access('regress_monitor', 'monitor');

-- What each may read,
SELECT relname,
	CASE WHEN has_table_privilege('regress_ingest', oid, 'SELECT') THEN 'x' END AS ingest,
	CASE WHEN has_table_privilege('regress_reader', oid, 'SELECT') THEN 'x' END AS reader,
	CASE WHEN has_table_privilege('regress_operator', oid, 'SELECT') THEN 'x' END AS operator,
	CASE WHEN has_table_privilege('regress_monitor', oid, 'SELECT') THEN 'x' END AS monitor,
	CASE WHEN has_table_privilege('regress_nobody', oid, 'SELECT') THEN 'x' END AS nobody
FROM pg_class
WHERE relnamespace = 'evcharge'::regnamespace AND relkind IN ('r', 'v')
ORDER BY relkind, relname;
-- write (nothing),
SELECT role, relname
FROM pg_class,
	unnest('{regress_ingest, regress_reader, regress_operator, regress_monitor}'::name[]) role
WHERE relnamespace = 'evcharge'::regnamespace AND relkind IN ('r', 'v')
	AND has_table_privilege(role, oid, 'INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER')
ORDER BY 1, 2;
-- and call: "all" the functions of a name, "some" of them, or none,
CREATE FUNCTION pg_temp.may_call(role name, functions oid[]) RETURNS text
LANGUAGE sql AS $$
SELECT CASE WHEN bool_and(has_function_privilege(role, f, 'EXECUTE')) THEN 'all'
	WHEN bool_or(has_function_privilege(role, f, 'EXECUTE')) THEN 'some' END
FROM unnest(functions) f
$$;
SELECT proname,
	pg_temp.may_call('regress_ingest', array_agg(oid)) AS ingest,
	pg_temp.may_call('regress_reader', array_agg(oid)) AS reader,
	pg_temp.may_call('regress_operator', array_agg(oid)) AS operator,
	pg_temp.may_call('regress_monitor', array_agg(oid)) AS monitor,
	pg_temp.may_call('regress_nobody', array_agg(oid)) AS nobody
FROM pg_proc
WHERE pronamespace = 'evcharge'::regnamespace AND provolatile <> 'i'
GROUP BY proname
ORDER BY proname;
-- where a function that is IMMUTABLE is everybody's who has any access.
SELECT role, count(*) > 10 AS many,
	count(*) = count(*) FILTER (WHERE has_function_privilege(role, oid, 'EXECUTE')) AS all
FROM pg_proc,
	unnest('{regress_ingest, regress_reader, regress_operator, regress_monitor}'::name[]) role
WHERE pronamespace = 'evcharge'::regnamespace AND provolatile = 'i'
GROUP BY role
ORDER BY role;

-- The same seen from inside.
CREATE FUNCTION pg_temp.try(command text)
RETURNS TABLE (ingest text, reader text, operator text, monitor text, nobody text)
LANGUAGE plpgsql AS $$
DECLARE
	kind	text;
	result	jsonb := '{}';
BEGIN
	FOREACH kind IN ARRAY '{ingest, reader, operator, monitor, nobody}'::text[] LOOP
		BEGIN
			PERFORM set_config('role', 'regress_' || kind, true);
			EXECUTE command;
			RAISE EXCEPTION USING MESSAGE = 'ok';	-- undo it, and the role
		EXCEPTION WHEN OTHERS THEN
			result := jsonb_set(result, ARRAY[kind],
				to_jsonb(CASE SQLSTATE WHEN '42501' THEN '-' ELSE SQLERRM END));
		END;
	END LOOP;
	RETURN QUERY SELECT r.* FROM jsonb_to_record(result)
		AS r (ingest text, reader text, operator text, monitor text, nobody text);
END
$$;
SELECT regexp_replace(command, '\s+', ' ', 'g') AS command, t.*
FROM (VALUES
	(1, $$SELECT evcharge.heartbeat('A1')$$),
	(2, $$SELECT evcharge.check_availability('\x')$$),
	(3, $$SELECT evcharge.charge_point_state('A1')$$),
	(4, $$SELECT * FROM evcharge.events_since()$$),
	(5, $$SELECT evcharge.event_cursor()$$),
	(6, $$SELECT evcharge.set_registration('A1', 'Accepted')$$),
	(7, $$SELECT * FROM evcharge.check_integrity()$$),
	(8, $$SELECT evcharge.encode(evcharge.decode('ConnectorInfo', '\x0801'))$$),
	(9, $$SELECT evcharge.try_decode('ConnectorInfo', '\xff')$$),
	(10, $$SELECT 1 FROM evcharge.validate('ConnectorInfo', '\xff')$$),
	(11, $$CREATE TEMP TABLE t (m evcharge.message, s evcharge.connector_status)$$),
	(20, $$TABLE evcharge.charge_point_overview$$),
	(21, $$TABLE evcharge.connector_overview$$),
	(22, $$TABLE evcharge.active_transaction$$),
	(23, $$TABLE evcharge.transaction_history$$),
	(24, $$TABLE evcharge.energy_hourly$$),
	(25, $$TABLE evcharge.energy_daily$$),
	(26, $$TABLE evcharge.connector_timeline$$),
	(27, $$TABLE evcharge.connector_utilization$$),
	(28, $$TABLE evcharge.anomaly$$),
	(29, $$TABLE evcharge.gateway_health$$),
	(30, $$TABLE evcharge.auth_overview$$),
	(31, $$SELECT id_tag FROM evcharge.transaction$$),
	(32, $$TABLE evcharge.event$$),
	(40, $$UPDATE evcharge.charge_point SET registration = 'Accepted'$$),
	(41, $$DELETE FROM evcharge.event$$),
	(42, $$CREATE TABLE evcharge.mine ()$$),
	(43, $$SELECT evcharge.install()$$),
	(44, $$SELECT evcharge.grant_access(current_user, 'operator')$$),
	(45, $$SET evcharge.notify = off$$)
) c (n, command), pg_temp.try(command) t
ORDER BY n;

-- A role may be of several kinds; revoke_access() leaves it nothing.
SELECT evcharge.grant_access('regress_reader', 'monitor');
SELECT has_function_privilege('regress_reader', 'evcharge.check_integrity()', 'EXECUTE') AS monitor,
	has_table_privilege('regress_reader', 'evcharge.energy_daily', 'SELECT') AS reader;
SELECT evcharge.revoke_access('regress_reader');
SELECT evcharge.revoke_access('regress_operator');
SELECT evcharge.revoke_access('regress_ingest');
SELECT evcharge.revoke_access('regress_monitor');
SELECT count(*) FROM pg_shdepend
WHERE refclassid = 'pg_authid'::regclass
	AND refobjid IN ('regress_reader'::regrole, 'regress_operator'::regrole,
		'regress_ingest'::regrole, 'regress_monitor'::regrole)
	AND deptype = 'a';

-- Not of the owner of the tables, in whose name the functions work.
ALTER TABLE evcharge.auth OWNER TO regress_nobody;
SAVEPOINT owner;
SELECT evcharge.revoke_access('regress_nobody');
ROLLBACK TO owner;

-- No such kind, no such role; and everybody is not a role.
SELECT evcharge.grant_access('regress_reader', 'admin');
ROLLBACK TO owner;
SELECT evcharge.grant_access('regress_stranger', 'reader');
ROLLBACK TO owner;
SELECT evcharge.grant_access('public', 'reader');
ROLLBACK;
