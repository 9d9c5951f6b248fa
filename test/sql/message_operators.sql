-- Looking into a message, comparing, indexing and merging.
SET search_path = public, evcharge;
\set SHOW_CONTEXT never

CREATE TABLE state (n int PRIMARY KEY, m message(ChargePointState));
INSERT INTO state VALUES (1, from_json('ChargePointState', '{"id":"CP \"1\"","status":"AVAILABLE",
	"connectors":{"2":{"id":2,"status":"Available"},"1":{"id":1,"status":"Charging","currentTransaction":50}},
	"transactions":{"50":{"id":50,"idTag":"T","startTime":"2024-05-01T10:00:00Z",
		"progress":{"currentOffered":16.1,"voltageOffered":"NaN"}},"-1":{}},
	"authList":{"T":{"publicKey":"k","authData":{"idTag":"T","idTagInfo":{"status":"Accepted"}}},"":{}}}'));

-- ---------------------------------------------------------------------------
-- -> and ->>
-- ---------------------------------------------------------------------------

-- a field by its JSON name or its proto name; an unset scalar is its default
SELECT m -> 'id' AS id, m ->> 'id' AS id_text, m -> 'currentTransactionId' AS unset,
	m ->> 'current_transaction_id' AS unset_text, m -> 'current_auth_list_version' AS proto FROM state;
SELECT r -> 'error' AS e, r ->> 'error' AS et, r -> 'message' AS m, r ->> 'message' AS mt
FROM (VALUES (from_json('Response', '{"error":true,"message":"\u00041"}')), ('{"@type":"Response"}')) v (r);
-- floats as jsonb, and as text
SELECT p -> 'currentOffered', p ->> 'currentOffered', p -> 'voltageOffered', p ->> 'voltageOffered'
FROM (VALUES (from_json('EVChargingStatusData', '{"currentOffered":16.1,"voltageOffered":"NaN"}')),
	(from_json('EVChargingStatusData', '{"currentOffered":"-Infinity","voltageOffered":1e38}')),
	(from_json('EVChargingStatusData', '{"currentOffered":1e-45,"voltageOffered":-0.0}')),
	('{"@type":"EVChargingStatusData"}')) v (p);
-- a submessage is an object, an absent one is NULL, an empty one is not absent
SELECT m -> 'progress' AS progress, m ->> 'progress' AS text
FROM (VALUES (from_json('TransactionInfo', '{"progress":{"currentUnit":"A"}}')),
	(from_json('TransactionInfo', '{"progress":{}}')), (from_json('TransactionInfo', '{}'))) v (m);
-- a map is an object and never absent
SELECT m -> 'connectors' AS connectors, m ->> 'authList' AS auth_list FROM state;
SELECT '{"@type":"ChargePointState"}'::message -> 'connectors', '{"@type":"ChargePointState"}'::message ->> 'auth_list';
-- what is no field is NULL, as is NULL
SELECT m -> 'nothing', m ->> 'Id', m -> '', m -> NULL, m ->> '1' FROM state;
-- and what follows is jsonb
SELECT m -> 'connectors' -> '1' ->> 'status' FROM state;

-- ---------------------------------------------------------------------------
-- #> and #>>
-- ---------------------------------------------------------------------------

SELECT m #> '{connectors,1}', m #>> '{connectors,1,status}', m #> '{transactions,50,progress,current_offered}',
	m #>> '{transactions,-1,id_tag}', m #>> '{authList,T,authData,idTagInfo,status}', m #> '{authList,""}' FROM state;
-- an absent key, a way through an absent message, past a scalar, through NULL
SELECT m #> '{connectors,3}', m #> '{connectors,3,id}', m #> '{transactions,-1,progress}',
	m #>> '{transactions,-1,progress,currentOffered}', m #> '{id,x}', m #> '{connectors,1,status,x}',
	m #> ARRAY['connectors', NULL], m #> '{connectors,x}', m #> '{connectors,01}', m #> '{authList,U}',
	m || '{"@type":"ChargePointState","connectors":{"0":{}}}' #> '{connectors,-0}' AS minus FROM state;
-- an empty path is the message
SELECT m #> '{}' = m::jsonb, m #>> '{}' = (m::jsonb)::text FROM state;
-- each path into the message leads to what it leads to in its jsonb
SELECT count(*), bool_and(m #> p IS NOT DISTINCT FROM m::jsonb #> p) AS same,
	bool_and(m #>> p IS NOT DISTINCT FROM m::jsonb #>> p) AS same_text
FROM state, (VALUES ('{id}'::text[]), ('{status}'), ('{connectors}'), ('{connectors,1}'), ('{connectors,2,status}'),
	('{transactions}'), ('{transactions,50,progress}'), ('{transactions,50,progress,voltageOffered}'), ('{transactions,-1}'),
	('{authList}'), ('{authList,T,authData}'), ('{authList,T,authData,idTagInfo}'), ('{authList,""}'), ('{x}'), ('{authList,x}')) v (p);
-- unknown fields, also of known numbers, are in nobody's way
SELECT m -> 'id', m -> 'status', m -> 'currentTransaction', m #> '{}'
FROM evcharge.decode('ConnectorInfo', '\x0a017810071805a006011d00000000') m;

-- ---------------------------------------------------------------------------
-- Subscripts
-- ---------------------------------------------------------------------------

SELECT m['id'], m['connectors']['1']['status'], m['connectors'][1]['current_transaction'], m['transactions'][(-1)::int8],
	m['nothing'], m['connectors']['7']['status'], m['id']['x'], m[NULL], m['authList'][''::varchar]
FROM state;
SELECT (m)['connectors']['2'] FROM state WHERE m['connectors']['2']['status'] = '"Available"';
SELECT (NULL::message)['id'];
CREATE VIEW seen AS SELECT m['connectors']['1']['status'] AS status FROM state;
SELECT status FROM seen;
-- only for reading; a name or a key at a time
UPDATE state SET m['id'] = '"x"';
\echo :LAST_ERROR_SQLSTATE
SELECT m['id':'status'] FROM state;
\echo :LAST_ERROR_SQLSTATE
SELECT m[1.5] FROM state;
\echo :LAST_ERROR_SQLSTATE
SELECT m[ARRAY['id']] FROM state;

-- ---------------------------------------------------------------------------
-- Merging
-- ---------------------------------------------------------------------------

-- scalars of the right one win, submessages merge, keys of a map are replaced
SELECT to_json(a || b) FROM
	from_json('ChargePointState', '{"id":"A","status":"S","connectors":{"1":{"id":1,"status":"x"},"2":{"id":2}}}') a,
	from_json('ChargePointState', '{"id":"B","connectors":{"1":{"id":7},"0":{}},"currentTransactionId":5}') b;
SELECT to_json(a || b) FROM
	from_json('ConsumerAuthData', '{"publicKey":"k","authData":{"idTag":"T","idTagInfo":{"status":"s"}}}') a,
	from_json('ConsumerAuthData', '{"transactionId":1,"authData":{"idTagInfo":{"parentIdTag":"p"}}}') b;
-- a default says nothing, so it does not win; unknown fields of both stay
SELECT encode(a || b) FROM evcharge.decode('ConnectorInfo', '\x0801a00601') a, evcharge.decode('ConnectorInfo', '\x0800a00602') b;
SELECT bool_and(m || m = m) AS idempotent, bool_and(m || '{"@type":"ChargePointState"}' = m) AS neutral_right,
	bool_and('{"@type":"ChargePointState"}' || m = m) AS neutral_left FROM state;
SELECT '{"@type":"Response"}'::message || '{"@type":"LogData"}'::message;
\echo :LAST_ERROR_SQLSTATE

-- ---------------------------------------------------------------------------
-- Comparing
-- ---------------------------------------------------------------------------

-- equal is: of one type, and the same canonical bytes, however they came
SELECT evcharge.decode('ConnectorInfo', '\x1800120141880100') = from_json('ConnectorInfo', '{"id":null,"status":"A"}') AS unlike_unknown,
	evcharge.decode('ConnectorInfo', '\x180012014108808000') = from_json('ConnectorInfo', '{"status":"A"}') AS like_default,
	evcharge.decode('StartTransactionRequestData', '\x0a0141') = evcharge.decode('StopTransactionRequestData', '\x0a0141') AS of_two_types,
	evcharge.decode('EVChargingStatusData', '\x0d00000080') = evcharge.decode('EVChargingStatusData', '') AS zeros,
	evcharge.decode('EVChargingStatusData', '\x0d0000c07f') = evcharge.decode('EVChargingStatusData', '\x0d0000c07f') AS nans;
-- by type number, then by bytes, then by length
CREATE TABLE ordered (n int, m message);
INSERT INTO ordered VALUES
(1, evcharge.decode('LogData', '\x0a017a')),
(2, evcharge.decode('Response', '')), (3, evcharge.decode('Response', '\x0801')),
(4, evcharge.decode('Response', '\x0801120141')), (5, evcharge.decode('Response', '\x120141')),
(6, evcharge.decode('Response', '\x120142')), (7, evcharge.decode('Response', '\x1202c3a9')),
(8, evcharge.decode('ConnectorInfo', ''));
SELECT array_agg(n ORDER BY m) AS ascending, array_agg(n ORDER BY m DESC) AS descending FROM ordered;
SELECT bool_and((a.m < b.m) = (a.n < b.n)) AND bool_and((a.m <= b.m) = (a.n <= b.n))
	AND bool_and((a.m = b.m) = (a.n = b.n)) AND bool_and((a.m <> b.m) = (a.n <> b.n))
	AND bool_and((a.m >= b.m) = (a.n >= b.n)) AND bool_and((a.m > b.m) = (a.n > b.n))
	AND bool_and(sign(message_cmp(a.m, b.m)) = sign(a.n - b.n)) AS all_operators_agree
FROM ordered a, ordered b;
-- hashing: equal messages hash alike, also with a seed; grouping, joins, hash indexes
SELECT count(DISTINCT message_hash(m)) AS hashes, bool_and(message_hash(m) = message_hash(m::text::message)) AS alike,
	bool_and(message_hash_extended(m, 0)::bit(32) = message_hash(m)::bit(32)) AS low_half,
	bool_and(message_hash_extended(m, 1) <> message_hash_extended(m, 0)) AS seeded FROM ordered;
SELECT count(*) FROM (SELECT m FROM ordered UNION SELECT m FROM ordered) u;
SET enable_mergejoin = off;
SET enable_nestloop = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ordered a JOIN ordered b USING (m);
SELECT count(*) FROM ordered a JOIN ordered b USING (m);
SET enable_mergejoin = on;
SET enable_hashjoin = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM ordered a JOIN ordered b USING (m);
SELECT count(*) FROM ordered a JOIN ordered b USING (m);
RESET enable_mergejoin;
RESET enable_nestloop;
RESET enable_hashjoin;

-- ---------------------------------------------------------------------------
-- Indexes and parallel plans
-- ---------------------------------------------------------------------------

CREATE TABLE report AS SELECT i AS n, from_json('ConnectorInfo', json_build_object('id', i, 'status', 'S' || i % 7)) AS m
FROM generate_series(1, 2000) i;
CREATE INDEX report_id ON report ((m ->> 'id'));
CREATE INDEX report_status ON report ((m['status']));
CREATE UNIQUE INDEX report_message ON report (m);
CREATE INDEX report_hash ON report USING hash (m);
CREATE INDEX report_decoded ON report ((evcharge.decode('ConnectorInfo', encode(m)) #> '{id}'));
ANALYZE report;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
EXPLAIN (COSTS OFF) SELECT n FROM report WHERE m ->> 'id' = '42';
SELECT n FROM report WHERE m ->> 'id' = '42';
SELECT count(*) FROM report WHERE m['status'] = '"S3"';
EXPLAIN (COSTS OFF) SELECT n FROM report WHERE m >= '{"@type":"ConnectorInfo","id":127}' ORDER BY m LIMIT 2;
SELECT n FROM report WHERE m >= '{"@type":"ConnectorInfo","id":127}' ORDER BY m LIMIT 2;
DROP INDEX report_message;
EXPLAIN (COSTS OFF) SELECT n FROM report WHERE m = '{"@type":"ConnectorInfo","id":7,"status":"S0"}';
SELECT n FROM report WHERE m = '{"@type":"ConnectorInfo","id":7,"status":"S0"}';
RESET enable_seqscan;
RESET enable_bitmapscan;

SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
SET enable_indexscan = off;
EXPLAIN (COSTS OFF) SELECT count(*) FROM report WHERE m #>> '{status}' = 'S3';
SELECT count(*) FROM report WHERE m #>> '{status}' = 'S3';

-- ---------------------------------------------------------------------------
-- What is declared
-- ---------------------------------------------------------------------------

-- Only what looks at the size limit and gives a value for it is not immutable.
SELECT p.oid::regprocedure AS not_immutable_strict_safe, provolatile, proisstrict, proparallel
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e'
WHERE p.prosrc LIKE 'evc_message%' AND (provolatile <> 'i' OR NOT proisstrict OR proparallel <> 's')
ORDER BY 1::text;
SELECT amname, opcname, amvalidate(c.oid) FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype = 'evcharge.message'::regtype ORDER BY 1;

DROP VIEW seen;
DROP TABLE state, ordered, report;
