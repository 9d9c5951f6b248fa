-- The contract: names, signatures, codes that programs outside rely on (pgTAP).
\set QUIET 1
\pset format unaligned
\pset tuples_only true
\pset pager off
\set ON_ERROR_ROLLBACK 1
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS pgtap;
BEGIN;
SET search_path = public;
SELECT no_plan();

-- functions: name, arguments, result
CREATE TEMP TABLE promised (name text, arguments text, result text);
INSERT INTO promised VALUES
	('decode', 'text, bytea', 'evcharge.message'),
	('try_decode', 'text, bytea', 'evcharge.message'),
	('encode', 'evcharge.message', 'bytea'),
	('message_type', 'evcharge.message', 'text'),
	('to_json', 'evcharge.message, boolean, boolean', 'json'),
	('from_json', 'text, json, boolean', 'evcharge.message'),
	('authorize', 'bytea', 'bytea'),
	('authorize', 'text, bytea', 'bytea'),
	('check_availability', 'bytea', 'bytea'),
	('check_availability', 'text, bytea', 'bytea'),
	('start_transaction', 'bytea, timestamp with time zone, integer', 'bytea'),
	('start_transaction', 'text, bytea, timestamp with time zone, integer', 'bytea'),
	('stop_transaction', 'bytea, timestamp with time zone, integer, text', 'bytea'),
	('stop_transaction', 'text, bytea, timestamp with time zone, integer, text', 'bytea'),
	('boot_notification', 'text, bytea', 'bytea'),
	('set_registration', 'text, text', 'void'),
	('report_connector', 'text, bytea, timestamp with time zone', 'void'),
	('report_transaction', 'text, bytea', 'integer'),
	('report_progress', 'text, integer, bytea, timestamp with time zone', 'void'),
	('report_log', 'text, bytea', 'void'),
	('heartbeat', 'text', 'timestamp with time zone'),
	('charge_point_state', 'text, integer', 'evcharge.message'),
	('load_state', 'bytea', 'void'),
	('load_state', 'text, bytea', 'void'),
	('set_authorization', 'text, bytea', 'void'),
	('handle', 'evcharge.message', 'evcharge.message'),
	('handle', 'text, evcharge.message', 'evcharge.message'),
	('handle_event', 'bytea', 'bytea'),
	('handle_event', 'text, bytea', 'bytea'),
	('event_cursor', '', 'text'),
	('state_change', 'record', 'bytea'),
	('install', '', 'void');
SELECT is(
	(SELECT pg_get_function_result(p.oid) FROM pg_proc p
	 WHERE p.pronamespace = 'evcharge'::regnamespace AND p.proname = promised.name
	   AND oidvectortypes(p.proargtypes) = promised.arguments),
	result, format('evcharge.%s(%s)', name, arguments))
FROM promised;
SELECT has_function('evcharge', name::name, format('evcharge.%s exists', name))
FROM unnest(ARRAY['validate', 'connectors', 'transactions', 'auth_list', 'auth_list_changes',
	'apply_batch', 'events_since', 'check_integrity']) name;

-- everything that a user can see has a comment
SELECT is_empty($$ SELECT p.oid::regprocedure FROM pg_proc p
	WHERE pronamespace = 'evcharge'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL $$,
	'every function has a comment');
SELECT is_empty($$ SELECT t.oid::regtype FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
	WHERE typnamespace = 'evcharge'::regnamespace AND typelem = 0 AND c.oid IS NULL
	  AND obj_description(t.oid, 'pg_type') IS NULL $$, 'every type has a comment');
SELECT is_empty($$ SELECT c.oid::regclass, a.attname FROM pg_class c
	LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum >= 0 AND NOT a.attisdropped AND a.attname <> 'my_column'
	WHERE c.relnamespace = 'evcharge'::regnamespace AND c.relkind IN ('r', 'v')
	  AND (obj_description(c.oid, 'pg_class') IS NULL OR a.attnum > 0 AND col_description(c.oid, a.attnum) IS NULL) $$,
	'every table, view and column has a comment');

-- volatility tells the truth: what the planner may cache, run in parallel, and
-- what works on a standby
SELECT is(
	(SELECT string_agg(proname, ' ' ORDER BY proname) FROM pg_proc
	 WHERE pronamespace = 'evcharge'::regnamespace AND provolatile = 'v' AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')),
	'apply_batch authorize authorize boot_notification expire handle handle handle_event handle_event heartbeat '
	'load_state load_state report_connector report_log report_progress report_transaction set_authorization '
	'set_registration start_transaction start_transaction stop_transaction stop_transaction',
	'what changes state is volatile, and nothing else');

-- keys: all begin with the charge point, but that of the announcer, which is of a database
SELECT is_empty($$ SELECT conrelid::regclass FROM pg_constraint
	WHERE connamespace = 'evcharge'::regnamespace AND contype IN ('p', 'u')
	  AND conrelid <> 'evcharge.announcer'::regclass
	  AND (SELECT attname FROM pg_attribute WHERE attrelid = conrelid AND attnum = conkey[1]) <> 'charge_point_id' $$,
	'every primary key begins with charge_point_id');
SELECT is_empty($$ SELECT conname FROM pg_constraint WHERE connamespace = 'evcharge'::regnamespace AND contype = 'f' $$,
	'no foreign key between the tables');
SELECT is_empty($$ SELECT tgname FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
	WHERE relnamespace = 'evcharge'::regnamespace $$, 'no trigger on them');
SELECT is_empty($$ SELECT relname FROM pg_class WHERE relnamespace = 'evcharge'::regnamespace AND relkind = 'S' $$,
	'no sequence');
SELECT lives_ok($$ SELECT test.report('CTR', '{"id":1,"connectorId":1,"startTime":"2026-01-01T08:00:00Z"}') $$, 'a transaction opens');
SELECT throws_ok($$ INSERT INTO evcharge.transaction (charge_point_id, transaction_id, connector_id) VALUES ('CTR', 2, 1) $$,
	'23505', NULL, 'two open transactions on a connector violate a constraint');

-- error codes
SELECT throws_ok($$ SELECT evcharge.decode('ConnectorInfo', '\x0a') $$, 'OC001', NULL, 'OC001 malformed message');
SELECT throws_ok($$ SELECT evcharge.report_connector('CTR', '\xff') $$, 'OC001', NULL, 'OC001 from a report');
SELECT throws_ok($$ SELECT evcharge.handle('{"@type":"Response"}') $$, 'OC002', NULL, 'OC002 another type than wanted');
SELECT throws_ok($$ SELECT evcharge.decode('Nonsense', '') $$, 'OC003', NULL, 'OC003 no such message type');
SET evcharge.max_message_size = 64;
SELECT throws_ok($$ SELECT evcharge.decode('LogData', ('\x0a46' || encode(repeat('x', 70)::bytea, 'hex'))::bytea) $$,
	'OC004', NULL, 'OC004 message too large');
SELECT throws_ok($$ SELECT evcharge.report_log('CTR', ('\x0a46' || encode(repeat('x', 70)::bytea, 'hex'))::bytea) $$,
	'OC004', NULL, 'OC004 from a report');
RESET evcharge.max_message_size;
SELECT throws_ok($$ SELECT evcharge.set_registration('CTR', 'x') $$, 'OC005', NULL, 'OC005 invalid value');
CREATE OR REPLACE FUNCTION evcharge.tables_version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 0';
SELECT throws_ok($$ SELECT evcharge.heartbeat('CTR') $$, 'OC006', NULL, 'OC006 tables of another version');
CREATE OR REPLACE FUNCTION evcharge.tables_version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 99';
SELECT throws_ok($$ SELECT evcharge.heartbeat('CTR') $$, 'OC006', NULL, 'OC006 also when they are newer');
CREATE OR REPLACE FUNCTION evcharge.tables_version() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1';
SELECT lives_ok($$ SELECT evcharge.heartbeat('CTR') $$, 'and all is well again');

SELECT * FROM finish();
ROLLBACK;
