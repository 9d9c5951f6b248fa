-- The message type: its forms, what it takes from the wire and what it refuses.
SET search_path = public, evcharge;
\set SHOW_CONTEXT never

-- ---------------------------------------------------------------------------
-- All 19 messages, every field
-- ---------------------------------------------------------------------------

CREATE TABLE sample (
	number	int PRIMARY KEY,
	type	text NOT NULL,
	json	json NOT NULL
);
INSERT INTO sample VALUES
(1, 'BootNotificationRequestData', '{"chargeBoxSerialNumber":"box","chargePointModel":"model","ChargePointSerialNumber":"serial","ChargePointVendor":"vendor","firmwareVersion":"1.2","iccid":"89","imsi":"26","meterSerialNumber":"m1","meterType":"MID"}'),
(2, 'LogData', '{"currentTime":"2024-05-01T10:00:00Z","resp":{"error":true,"message":"m"}}'),
(3, 'AuthorizeRequestData', '{"chargePointClientId":"CP","consumerPublicKey":"key"}'),
(4, 'AuthorizeResponseData', '{"consumerPublicKey":"key","resp":{"error":true,"message":"m"}}'),
(5, 'CheckAvailabilityRequestData', '{"chargePointClientId":"CP","connectorId":1}'),
(6, 'CheckAvailabilityResponseData', '{"resp":{"error":true,"message":"m"}}'),
(7, 'StartTransactionRequestData', '{"chargePointClientId":"CP","connectorId":1,"consumerPublicKey":"key"}'),
(8, 'StartTransactionResponseData', '{"consumerPublicKey":"key","resp":{"error":true,"message":"m"}}'),
(9, 'NotifyChargePointStateChangeData', '{"chargePointClientId":"CP"}'),
(10, 'Response', '{"error":true,"message":"m"}'),
(11, 'EVChargingStatusData', '{"currentOffered":16.1,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}'),
(12, 'StopTransactionRequestData', '{"chargePointClientId":"CP","connectorId":1,"consumerPublicKey":"key"}'),
(13, 'StopTransactionResponseData', '{"consumerPublicKey":"key","transactionInfo":{"id":7,"endMeter":5},"resp":{"error":true,"message":"m"}}'),
(14, 'ChargePointState', '{"id":"CP","status":"AVAILABLE","connectors":{"1":{"id":1,"status":"CHARGING","currentTransaction":7}},"transactions":{"7":{"id":7,"idTag":"T"}},"authList":{"T":{"publicKey":"key","transactionId":7,"authData":{"idTag":"T","idTagInfo":{"status":"Accepted"}}}},"currentAuthListVersion":3,"currentTransactionId":7}'),
(15, 'ConnectorInfo', '{"id":1,"status":"CHARGING","currentTransaction":7}'),
(16, 'TransactionInfo', '{"id":7,"idTag":"T","connectorId":1,"startTime":"2024-05-01T10:00:00Z","endTime":"2024-05-01T11:00:00Z","startMeter":100,"endMeter":200,"progress":{"currentOffered":16}}'),
(17, 'ConsumerAuthData', '{"publicKey":"key","transactionId":7,"authData":{"idTag":"T","idTagInfo":{"status":"Accepted"}}}'),
(18, 'LocalAuthorizationData', '{"idTag":"T","idTagInfo":{"status":"Accepted"}}'),
(19, 'IdTagInfo', '{"expiryDate":"2025-01-01T00:00:00Z","parentIdTag":"P","status":"Accepted"}');

-- Wire bytes, with every field of the type.
SELECT type, encode(from_json(type, json)) FROM sample ORDER BY number;

-- What was read prints as it was written, in every form it goes back and forth,
-- and each field is known by its JSON name and by its proto name.
SELECT count(*) AS all_the_same
FROM sample, from_json(type, json) m
WHERE to_json(m)::text = json::text
	AND message_type(m) = type
	AND evcharge.decode(type, encode(m)) = m
	AND m::text::message = m
	AND from_json(type, to_json(m, proto_names => true)) = m
	AND from_json(type, to_json(m, emit_defaults => true)) = m
	AND m::jsonb = json::jsonb;

-- The empty message of each type: nothing on the wire, every default on request.
SELECT type, encode(m) AS wire, to_json(m) AS json, to_json(m, true) AS defaults
FROM sample, evcharge.decode(type, '') m ORDER BY number;

-- ---------------------------------------------------------------------------
-- Names of types
-- ---------------------------------------------------------------------------

SELECT message_type(evcharge.decode(name, '')) FROM (VALUES
	('LogData'), ('gateway.LogData'), ('type.googleapis.com/gateway.LogData'),
	('example.com/a/LogData'), ('/LogData')) v (name);
-- An unknown one is the caller's mistake, whoever is asked.
SELECT evcharge.decode('Logdata', '');
\echo :LAST_ERROR_SQLSTATE
SELECT try_decode('gateway.', '');
\echo :LAST_ERROR_SQLSTATE
SELECT validate('', '');
\echo :LAST_ERROR_SQLSTATE
SELECT evcharge.decode('events.LogData', '');
\echo :LAST_ERROR_SQLSTATE

-- ---------------------------------------------------------------------------
-- The text form: ProtoJSON of google.protobuf.Any
-- ---------------------------------------------------------------------------

SELECT '{"@type":"type.googleapis.com/gateway.ConnectorInfo","id":1,"status":"CHARGING"}'::message;
SELECT ' { "id" : 1 , "@type" : "ConnectorInfo" } '::message;
SELECT '{"status":"{\"@type\":1}","@type":"gateway.ConnectorInfo"}'::message;
SELECT '{"@type":"Response"}'::message;
-- refused: no type, no object, the type twice, a type that is no string
SELECT '{"id":1}'::message;
\echo :LAST_ERROR_SQLSTATE
SELECT ''::message;
SELECT '[]'::message;
SELECT '{"@type":"ConnectorInfo","@type":"ConnectorInfo"}'::message;
SELECT '{"@type":15}'::message;
SELECT '{"@type":"Connector"}'::message;
\echo :LAST_ERROR_SQLSTATE
-- "@type" is a name of Any, not of a message inside it
SELECT '{"@type":"LogData","resp":{"@type":"Response"}}'::message;
\echo :LAST_ERROR_SQLSTATE

-- ---------------------------------------------------------------------------
-- The binary form: wire bytes of google.protobuf.Any
-- ---------------------------------------------------------------------------

SELECT message_send('{"@type":"ConnectorInfo","id":1}');
SELECT message_send('{"@type":"Response"}');

-- COPY WITH BINARY goes through it and back, for every type.
CREATE TABLE stored (number int PRIMARY KEY, m message);
INSERT INTO stored SELECT number, from_json(type, json) FROM sample;
INSERT INTO stored VALUES (20, evcharge.decode('ConnectorInfo', '\xa2060378797a')), (21, NULL);
\copy stored TO PROGRAM 'cat >"$PG_ABS_BUILDDIR/results/message.copy"' WITH (FORMAT binary)
CREATE TABLE restored (LIKE stored);
\copy restored FROM PROGRAM 'cat "$PG_ABS_BUILDDIR/results/message.copy"' WITH (FORMAT binary)
SELECT count(*) FROM stored JOIN restored USING (number) WHERE stored.m = restored.m;

-- An Any written by somebody else: the value first and not canonical, the type
-- URL twice, a field that Any does not have.
CREATE TABLE received (m message);
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\33\22\5\30\7\10\201\0\12\1x\12\15ConnectorInfo\30\1\377\377"' WITH (FORMAT binary)
SELECT m, encode(m) FROM received;
-- refused: no type, a cut envelope, a cut message, another type than the column's
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\377\377"' WITH (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\22\12\15ConnectorInfo\22\5\10\377\377"' WITH (FORMAT binary)
\copy received FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\22\12\15ConnectorInfo\22\1\10\377\377"' WITH (FORMAT binary)
CREATE TABLE only_logs (m message(LogData));
\copy only_logs FROM PROGRAM 'printf "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\1\0\0\0\17\12\15ConnectorInfo\377\377"' WITH (FORMAT binary)

-- ---------------------------------------------------------------------------
-- The type modifier
-- ---------------------------------------------------------------------------

CREATE TABLE logs (m message(LogData), n message("gateway.Response"), o message);
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = 'logs'::regclass AND attnum > 0 ORDER BY attnum;
INSERT INTO logs VALUES ('{"@type":"LogData"}', '{"@type":"Response"}', '{"@type":"IdTagInfo"}');
INSERT INTO logs (m) SELECT o FROM logs;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO logs (n) VALUES ('{"@type":"LogData"}');
UPDATE logs SET m = n;
SELECT '{"@type":"LogData"}'::message(logdata), '{"@type":"LogData"}'::message::message(LogData);
SELECT '{"@type":"LogData"}'::message::message(Response);
CREATE TABLE wrong (m message(Nothing));
\echo :LAST_ERROR_SQLSTATE
CREATE TABLE wrong (m message(LogData, Response));

-- ---------------------------------------------------------------------------
-- What is refused: where, in which field, and why
-- ---------------------------------------------------------------------------

CREATE TABLE bad (number serial PRIMARY KEY, rule text, type text, wire bytea);
INSERT INTO bad (rule, type, wire) VALUES
('tag cut off', 'LogData', '\x80'),
('varint cut off', 'ConnectorInfo', '\x0880'),
('value missing', 'ConnectorInfo', '\x08'),
('length cut off', 'LogData', '\x0a80'),
('length past the end', 'LogData', '\x0a0461'),
('length past the end of the submessage', 'LogData', '\x120412056162'),
('length past 2 GB', 'LogData', '\x0affffffffff01'),
('length in more than 5 bytes', 'LogData', '\x0a818080808000'),
('float cut off', 'EVChargingStatusData', '\x0d000080'),
('unknown fixed64 cut off', 'Response', '\xf9010000'),
('unknown length past the end', 'Response', '\xfa0105'),
('tag 0', 'Response', '\x080100'),
('field number 0 with a wire type', 'Response', '\x0200'),
('field number out of range', 'Response', '\x808080801000'),
('tag in more than 5 bytes', 'Response', '\x88808080800001'),
('wire type 6', 'ConnectorInfo', '\x08010e'),
('wire type 7', 'ConnectorInfo', '\x080117'),
('wire type 7 of an unknown field', 'ConnectorInfo', '\x08017f'),
('varint over 10 bytes', 'ConnectorInfo', '\x08ffffffffffffffffffff01'),
('tag over 10 bytes', 'ConnectorInfo', '\xffffffffffffffffffff01'),
('group without end', 'Response', '\x0801a3061801'),
('group in a group without end', 'Response', '\xa306ab06ac06'),
('group ends with another number', 'Response', '\xa306ac06'),
('group ends that did not begin', 'Response', '\x0801a406'),
('known number as a group without end', 'Response', '\x0b'),
('fault inside a group', 'Response', '\xa3060a05ffa406'),
('UTF-8: lone continuation', 'Response', '\x1203618062'),
('UTF-8: cut off', 'Response', '\x1203c3a9c3'),
('UTF-8: overlong', 'Response', '\x1203e09fbf'),
('UTF-8: overlong NUL', 'Response', '\x1202c080'),
('UTF-8: surrogate', 'Response', '\x1203eda080'),
('UTF-8: above U+10FFFF', 'Response', '\x1204f4908080'),
('UTF-8: fault behind much ASCII', 'Response', '\x12126162636465666768696a6b6c6d6e6f7071ff'),
('U+0000', 'Response', '\x120361620041'),
('U+0000 in a string of 8 bytes', 'Response', '\x12086162636465660068'),
('U+0000 although the field comes again', 'Response', '\x120100120161'),
('invalid UTF-8 although the field comes again', 'Response', '\x1201ff120161'),
('in a submessage of a submessage', 'ConsumerAuthData', '\x1a0712050a0361ff62'),
('in the value of a map, by number', 'ChargePointState', '\x1a0a0880808080081203120180'),
('in the value of a map, by string', 'ChargePointState', '\x2a0c0a044122c3a912040a02c328'),
('in the value of a map, before its key', 'ChargePointState', '\x1a0912050801120180080a'),
('in the key of a map', 'ChargePointState', '\x2a050a03e282412200'),
('in an entry of a map', 'ChargePointState', '\x220308051a'),
('in a message of a message in a map', 'ChargePointState', '\x2a0c0a015412071a0512031a01ff'),
('in an unknown field of a map entry', 'ChargePointState', '\x22039a0605');

SELECT number, rule, (v).byte_offset, (v).field, (v).sqlstate AS state, (v).detail
FROM bad, validate(type, wire) v ORDER BY number;
-- each is NULL for try_decode, and decode raises what validate says
SELECT number, rule FROM bad WHERE try_decode(type, wire) IS NOT NULL;
DO $$
DECLARE
	b record;
	state text;
	reason text;
BEGIN
	FOR b IN SELECT * FROM bad, validate(type, wire) LOOP
		BEGIN
			PERFORM evcharge.decode(b.type, b.wire);
			RAISE EXCEPTION 'decoded: %', b.rule;
		EXCEPTION WHEN SQLSTATE 'OC001' THEN
			GET STACKED DIAGNOSTICS reason = PG_EXCEPTION_DETAIL;
			IF reason <> b.detail OR b.ok THEN
				RAISE EXCEPTION '%: % but %', b.rule, b.detail, reason;
			END IF;
		END;
	END LOOP;
END $$;
SELECT evcharge.decode('LogData', '\x12051203ff4142');
\echo :LAST_ERROR_SQLSTATE
SELECT evcharge.decode('LogData', '\x00');
-- what validate says of good bytes
SELECT * FROM validate('LogData', '\x0a0161');

-- A message nests 100 levels of messages, map entries and groups, not 101.
SELECT level, kind, (validate(type, prefix || wire)).*
FROM (VALUES (99), (100), (101)) l (level),
	LATERAL (SELECT decode(repeat('9b06', level) || repeat('9c06', level), 'hex') AS wire) g,
	LATERAL (VALUES ('group', 'Response', ''::bytea)) k (kind, type, prefix) ORDER BY level;
SELECT level, (validate('LogData', '\x12' || '\x9003'::bytea || wire)).*
FROM (VALUES (100)) l (level),
	LATERAL (SELECT decode(repeat('9b06', level) || repeat('9c06', level), 'hex') AS wire) g;

-- ---------------------------------------------------------------------------
-- What is taken: and its canonical form
-- ---------------------------------------------------------------------------

CREATE TABLE good (number serial PRIMARY KEY, rule text, type text, wire bytea);
INSERT INTO good (rule, type, wire) VALUES
('fields in any order', 'ConnectorInfo', '\x180712014308 01'),
('a scalar twice: the last', 'ConnectorInfo', '\x08010802120141120142'),
('... also if it is the default', 'ConnectorInfo', '\x080108001201411200'),
('defaults are left out', 'ConnectorInfo', '\x080012001800'),
('float -0 is not the default', 'EVChargingStatusData', '\x0d000000801d00000000'),
('a submessage twice: merged', 'LogData', '\x12020801120312014d'),
('... at every depth', 'ConsumerAuthData', '\x1a030a0141 1a0512030a0145 1a0512031a0153'),
('a map key twice: the last, not merged', 'ChargePointState', '\x1a09080112050801120141 1a06080112021803'),
('... also the default key', 'ChargePointState', '\x1a0412020801 1a06080012021802'),
('a map entry without key', 'ChargePointState', '\x1a0412020801'),
('a map entry without value', 'ChargePointState', '\x1a020805'),
('a map entry without both', 'ChargePointState', '\x2a00'),
('key and value of an entry in the other order', 'ChargePointState', '\x1a0612020801 0805'),
('key and value of an entry twice', 'ChargePointState', '\x1a0f080112020801080212050802120141'),
('an unknown field of a map entry is dropped', 'ChargePointState', '\x1a04080118 01'),
('map entries by number', 'ChargePointState', '\x22020805 220b08ffffffffffffffffff01 22020800 1a020801'),
('map entries by bytes', 'ChargePointState', '\x2a030a01622a050a03c3a9612a040a0261612a030a0161'),
('another wire type: an unknown field', 'ConnectorInfo', '\x0a0161120142150000803f'),
('unknown fields last, as they came', 'ConnectorInfo', '\xa80601a006020801'),
('unknown fields of every wire type', 'ConnectorInfo', '\xa00601a1060102030405060708a206026162a306a4 06a50601020304'),
('groups in groups', 'ConnectorInfo', '\xa306ab060801ac06a406'),
('a known number as a group', 'ConnectorInfo', '\x0b08010c'),
('unknown fields of a submessage', 'LogData', '\x12050801a00601'),
('unknown fields of a submessage that comes twice', 'LogData', '\x1203a00601 1203a00602'),
('unknown fields in few bytes', 'ConnectorInfo', '\xa0868000 8100'),
('varints in more bytes than needed', 'ConnectorInfo', '\x88008100 9200 8100 41'),
('a tag in 5 bytes', 'ConnectorInfo', '\x888080800001'),
('int32 from 64 bits: the low half', 'ConnectorInfo', '\x08818080801018ffffffff0f'),
('int32 from a varint of 10 bytes', 'ConnectorInfo', '\x08ffffffffffffffffff7f'),
('bool from any varint', 'Response', '\x0880808080808080808001'),
('bool from an overlong zero', 'Response', '\x08808000'),
('NaN, infinities', 'EVChargingStatusData', '\x0d0000c07f1d000080ff'),
('every length of UTF-8', 'Response', '\x120c7fc280dfbfe0a080f4 8fbfbf'),
('around the surrogates', 'Response', '\x1206ed9fbfee8080');

SELECT number, rule, encode(m),
	CASE WHEN octet_length(m::text) = length(m::text) THEN to_json(m) END AS json
FROM good, evcharge.decode(type, wire) m ORDER BY number;
-- The canonical form is canonical, and every value survives its forms; the text
-- form has no place for unknown fields.
SELECT count(*) FILTER (WHERE evcharge.decode(type, encode(m)) = m) AS canonical,
	count(*) FILTER (WHERE encode(m::text::message) <> encode(m)) AS with_unknown_fields
FROM good, try_decode(type, wire) m;

-- ---------------------------------------------------------------------------
-- The size limit
-- ---------------------------------------------------------------------------

SET evcharge.max_message_size = 100;
SELECT encode(evcharge.decode('Response', '\x1262' || convert_to(repeat('a', 98), 'UTF8'))) IS NOT NULL AS at_the_limit;
SELECT evcharge.decode('Response', '\x1263' || convert_to(repeat('a', 99), 'UTF8'));
\echo :LAST_ERROR_SQLSTATE
SELECT try_decode('Response', '\x1263' || convert_to(repeat('a', 99), 'UTF8'));
SELECT * FROM validate('Response', '\x1263' || convert_to(repeat('a', 99), 'UTF8'));
SELECT from_json('Response', json_build_object('message', repeat('a', 99)));
-- it holds for the message, not for its text
SELECT length(from_json('Response', json_build_object('message', repeat(E'\x01', 98)))::text);
SELECT ('{"@type":"Response","message":"' || repeat('a', 99) || '"}')::message;
-- and for the canonical form, so that what was taken can be restored
SELECT evcharge.decode('ChargePointState', decode(string_agg('1a0208' || lpad(to_hex(i), 2, '0'), ''), 'hex'))
FROM generate_series(1, 24) i;
-- what is stored already is not measured again
RESET evcharge.max_message_size;
CREATE TABLE large AS SELECT from_json('Response', json_build_object('message', repeat('a', 1000))) AS m;
SET evcharge.max_message_size = 100;
SELECT length(m ->> 'message'), length(encode(m || m)), length(m::text) FROM large;
RESET evcharge.max_message_size;

-- 49,152 map entries of 6 bytes are a value like any other; but their structs
-- would have 6.7 MB, and what needs them refuses before they are made.
CREATE TABLE hostile AS SELECT string_agg('\x220408'::bytea ||
	set_byte(set_byte(set_byte('\x000000', 0, 128 + n % 128), 1, 128 + n / 128 % 128), 2, n / 16384), '') AS wire
FROM generate_series(16384, 65535) n;
SELECT length(wire), (SELECT count(*) FROM transactions(evcharge.decode('ChargePointState', wire))) FROM hostile;
SELECT load_state(wire) FROM hostile;
\echo :LAST_ERROR_SQLSTATE

-- ---------------------------------------------------------------------------
-- On disk
-- ---------------------------------------------------------------------------

-- Values in every shape of TOAST read the same.
CREATE TABLE shape (storage text PRIMARY KEY, m message);
ALTER TABLE shape ALTER m SET STORAGE extended;
INSERT INTO shape SELECT 'extended', from_json('ChargePointState', json_build_object('id', 'CP', 'transactions',
	(SELECT json_object_agg(i, json_build_object('id', i, 'idTag', md5(i::text))) FROM generate_series(1, 200) i)));
ALTER TABLE shape ALTER m SET STORAGE external;
INSERT INTO shape SELECT 'external', m || m FROM shape;
INSERT INTO shape VALUES ('short', '{"@type":"ChargePointState","id":"CP"}');
SELECT storage, m ->> 'id' AS id, m #>> '{transactions,200,idTag}' AS tag, length(encode(m)) AS wire,
	(SELECT count(*) FROM transactions(m)) AS transactions
FROM shape ORDER BY storage;
SELECT a.m = b.m AS same, a.m = c.m AS other FROM shape a, shape b, shape c
WHERE a.storage = 'extended' AND b.storage = 'external' AND c.storage = 'short';

-- An early field is looked for in the first chunk, and in the whole value if it
-- is not there: cut off, behind the cut, absent, or of a message of another type.
INSERT INTO shape
SELECT 'external ' || n, m || from_json('ChargePointState', json_build_object('id', repeat('x', n), 'status', 'AVAILABLE'))
FROM shape, unnest(ARRAY[1960, 1985, 5000]) n WHERE storage = 'external';
INSERT INTO shape
SELECT 'external absent', from_json('ChargePointState', (m::jsonb - 'id')::json)
FROM shape WHERE storage = 'external';
INSERT INTO shape
SELECT 'external other', from_json('AuthorizeRequestData', json_build_object('consumerPublicKey', repeat('k', 5000)));
SELECT storage, length(m ->> 'id') AS id, m ->> 'status' AS status, jsonb_typeof(m -> 'id') AS type,
	length(m ->> 'consumer_public_key') AS key
FROM shape ORDER BY storage;

-- The number of a type is written to disk: it never changes.
CREATE EXTENSION pageinspect;
CREATE TABLE page (m message);
ALTER TABLE page ALTER m SET STORAGE plain;
INSERT INTO page SELECT evcharge.decode(type, '') FROM sample ORDER BY number;
SELECT lp AS number, type, substr(t_data, 2) AS version_and_type
FROM heap_page_items(get_raw_page('page', 0)) JOIN sample ON number = lp ORDER BY lp;
DROP EXTENSION pageinspect;

-- ---------------------------------------------------------------------------
-- The maps of a ChargePointState as rows
-- ---------------------------------------------------------------------------

CREATE TABLE state AS SELECT 1 AS n, from_json('ChargePointState', '{"id":"CP",
	"connectors":{"2":{"id":2,"status":"Available"},"1":{"id":9,"status":"Charging","currentTransaction":7},"-1":{}},
	"transactions":{"7":{"id":7,"idTag":"T","connectorId":1,"startTime":"s","endTime":"e","startMeter":1,"endMeter":2,
		"progress":{"currentOffered":16}},"8":{"progress":{}},"0":{}},
	"authList":{"T":{"publicKey":"k","transactionId":7,"authData":{"idTag":"other","idTagInfo":
		{"expiryDate":"x","parentIdTag":"p","status":"Accepted"}}},"":{},"U":{"authData":{}}}}') AS m;
-- The id is the key of the map; everything else as it stands.
SELECT c.* FROM state, connectors(m) c;
SELECT t.* FROM state, transactions(m) t;
SELECT a.* FROM state, auth_list(m) a;
-- unknown fields among them are no rows, an empty state has none, NULL neither
SELECT * FROM connectors(evcharge.decode('ChargePointState', '\x180118011a02080320011a'::bytea || '\x00'));
SELECT * FROM transactions('{"@type":"ChargePointState"}');
SELECT * FROM auth_list(NULL);
SELECT (connectors(m)).connector_id FROM state LIMIT 2;
SELECT * FROM connectors('{"@type":"ConnectorInfo"}');
\echo :LAST_ERROR_SQLSTATE

DROP TABLE sample, stored, restored, received, only_logs, logs, bad, good, large, hostile, shape, page, state;
