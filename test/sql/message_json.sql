-- ProtoJSON: what is written, what is read, what is refused, in every encoding.
SET search_path = public, evcharge;
\set SHOW_CONTEXT never

-- ---------------------------------------------------------------------------
-- Names and options
-- ---------------------------------------------------------------------------

-- JSON names: an underscore makes the next letter upper case and goes away, the
-- first letter stays; both names are read.
SELECT to_json(m), to_json(m, proto_names => true) FROM from_json('BootNotificationRequestData',
	'{"charge_box_serial_number":"1","chargePointModel":"2","Charge_point_serial_number":"3","ChargePointVendor":"4"}') m;
SELECT to_json(m), to_json(m, proto_names => true) FROM from_json('LocalAuthorizationData',
	'{"idTag":"T","idTagInfo":{"parentIdTag":"P"}}') m;
-- nothing else is a name
SELECT from_json('BootNotificationRequestData', '{"chargePointVendor":"x"}');
SELECT from_json('BootNotificationRequestData', '{"Charge_Point_Vendor":"x"}');
SELECT from_json('ConnectorInfo', '{"ID":1}');
SELECT from_json('ConnectorInfo', '{"":1}');

-- Defaults are written on request, in every message, except absent submessages.
SELECT to_json(m), to_json(m, true), to_json(m, true, true)
FROM from_json('TransactionInfo', '{"id":1,"progress":{}}') m;
SELECT to_json(m, true) FROM from_json('ChargePointState', '{"connectors":{"1":{}}}') m;

-- A row that holds a message becomes JSON with the message as an object.
SELECT row_to_json(r), to_jsonb(r) FROM (SELECT 1 AS n, from_json('ConnectorInfo', '{"id":2}') AS m) r;
SELECT from_json('ConnectorInfo', '{"id":2}')::json, from_json('ConnectorInfo', '{"id":2}')::jsonb;

-- ---------------------------------------------------------------------------
-- int32
-- ---------------------------------------------------------------------------

SELECT j, encode(from_json('ConnectorInfo', json_build_object('id', j::json))) FROM (VALUES
	('0'), ('-0'), ('1'), ('-1'), ('2147483647'), ('-2147483648'), ('1e2'), ('5.0'), ('1E+2'), ('1200e-2'),
	('0.0000000000e999999999999'), ('0.000000021474836470000e17'), ('"7"'), ('"-1e1"'), ('null')) v (j);
SELECT from_json('ConnectorInfo', '{"id":2147483648}');
SELECT from_json('ConnectorInfo', '{"id":-2147483649}');
SELECT from_json('ConnectorInfo', '{"id":1e99999999999999999999}');
SELECT from_json('ConnectorInfo', '{"id":1.5}');
SELECT from_json('ConnectorInfo', '{"id":1e-1}');
SELECT from_json('ConnectorInfo', '{"id":"1 "}');
SELECT from_json('ConnectorInfo', '{"id":""}');
SELECT from_json('ConnectorInfo', '{"id":"0x1"}');
SELECT from_json('ConnectorInfo', '{"id":"NaN"}');
SELECT from_json('ConnectorInfo', '{"id":true}');
SELECT from_json('ConnectorInfo', '{"id":[1]}');
-- in the text form nothing has looked at the JSON before
SELECT '{"@type":"ConnectorInfo","id":01}'::message;
SELECT '{"@type":"ConnectorInfo","id":+1}'::message;
SELECT '{"@type":"ConnectorInfo","id":1.}'::message;
SELECT '{"@type":"ConnectorInfo","id":0x1}'::message;
SELECT '{"@type":"ConnectorInfo","id":}'::message;

-- ---------------------------------------------------------------------------
-- float: the shortest text that reads back as the same float32
-- ---------------------------------------------------------------------------

SELECT j, to_json(m)->>'currentOffered' AS written, encode(m)
FROM (VALUES (1, '0'), (2, '-0.0'), (3, '0.1'), (4, '16.1'), (5, '230'), (6, '1e10'), (7, '16777217'), (8, '1e-45'),
	(9, '1.1754943508222875e-38'), (10, '3.4028234663852886e38'), (11, '3.4028235e38'), (12, '0.30000001192092896'),
	(13, '8589973000'), (14, '5.684342e-14'), (15, '1e-60'), (16, '"2.5"'), (17, '"NaN"'), (18, '"Infinity"'),
	(19, '"-Infinity"'), (20, '"-0"'), (21, '1.00000017881393432617187499'), (22, '1.00000017881393432617187501')) v (n, j),
	from_json('EVChargingStatusData', json_build_object('currentOffered', j::json)) m ORDER BY n;
-- each of a thousand bit patterns is the same after the way through text, except
-- that there is only one NaN in JSON
SELECT count(*) AS same FROM (
	SELECT evcharge.decode('EVChargingStatusData', '\x0d' || decode(substr(md5(i::text), 1, 8), 'hex')) AS m
	FROM generate_series(1, 1000) i) s
WHERE from_json('EVChargingStatusData', to_json(m)) = m OR m ->> 'currentOffered' = 'NaN';
SELECT from_json('EVChargingStatusData', '{"currentOffered":3.4028236e38}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":-1e400}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":"1e400"}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":"inf"}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":"nan"}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":"1,5"}');
SELECT from_json('EVChargingStatusData', '{"currentOffered":false}');
SELECT '{"@type":"EVChargingStatusData","currentOffered":NaN}'::message;

-- ---------------------------------------------------------------------------
-- bool
-- ---------------------------------------------------------------------------

SELECT to_json(from_json('Response', '{"error":true}')), to_json(from_json('Response', '{"error":false}'));
SELECT from_json('Response', '{"error":1}');
SELECT from_json('Response', '{"error":"true"}');
SELECT '{"@type":"Response","error":truely}'::message;

-- ---------------------------------------------------------------------------
-- Strings
-- ---------------------------------------------------------------------------

-- Control characters, quotes and backslashes are escaped, nothing else.
SELECT to_json(evcharge.decode('Response', '\x1222' || decode(string_agg(lpad(to_hex(i), 2, '0'), ''), 'hex') || '\x225c2f'))
FROM generate_series(1, 31) i;
-- Every escape of JSON is read, surrogates in pairs.
SELECT encode(from_json('Response', '{"message":"\"\\\/\b\f\n\r\t\u0041\u00e9\u20AC\ud83d\ude00\uDBFF\uDFFF"}'));
SELECT '{"@type":"Response","message":"\ud83d"}'::message;
SELECT '{"@type":"Response","message":"\ude00\ud83d"}'::message;
SELECT '{"@type":"Response","message":"\ud83dx"}'::message;
SELECT '{"@type":"Response","message":"\ud83d\ud83d"}'::message;
SELECT '{"@type":"Response","message":"\u00"}'::message;
SELECT '{"@type":"Response","message":"\u00g0"}'::message;
SELECT '{"@type":"Response","message":"\x41"}'::message;
SELECT '{"@type":"Response","message":"a'::message;
SELECT '{"@type":"Response","message":"a\'::message;
SELECT '{"@type":"Response","message":"a\u0000b"}'::message;
SELECT from_json('Response', '{"message":"a\u0000b"}');
SELECT E'{"@type":"Response","message":"a\tb"}'::message;
SELECT from_json('Response', '{"message":1}');
SELECT from_json('Response', '{"message":["a"]}');

-- ---------------------------------------------------------------------------
-- null, messages, maps
-- ---------------------------------------------------------------------------

-- null is as if the member were not there
SELECT to_json(from_json('StopTransactionResponseData',
	'{"consumerPublicKey":null,"transactionInfo":null,"resp":{"error":null,"message":"m"}}'));
SELECT to_json(from_json('ChargePointState', '{"connectors":null,"currentTransactionId":null}'));
-- but not as a message itself, nor as the value of a map
SELECT from_json('Response', 'null');
SELECT from_json('ChargePointState', '{"connectors":{"1":null}}');
SELECT from_json('LogData', '{"resp":[]}');
SELECT from_json('LogData', '{"resp":"x"}');
SELECT from_json('LogData', '[{}]');
-- Keys of a map are strings; those of numbers are int32 and are sorted as such.
SELECT to_json(from_json('ChargePointState',
	'{"transactions":{"10":{"id":1},"9":{"id":2},"-1":{"id":3},"0":{},"2147483647":{},"-2147483648":{}}}'));
SELECT to_json(from_json('ChargePointState', '{"authList":{"b":{},"":{},"B":{},"a\"b":{}}}'));
SELECT from_json('ChargePointState', '{"connectors":{"a":{}}}');
SELECT from_json('ChargePointState', '{"connectors":{"":{}}}');
SELECT from_json('ChargePointState', '{"connectors":{"01":{}}}');
SELECT from_json('ChargePointState', '{"connectors":{"1.0":{}}}');
SELECT from_json('ChargePointState', '{"connectors":{"2147483648":{}}}');
SELECT from_json('ChargePointState', '{"connectors":[]}');
-- an error names the way to it
SELECT from_json('ChargePointState', '{"connectors":{"1":{"id":"x"}}}');
SELECT from_json('ChargePointState', '{"authList":{"A1":{"authData":{"idTagInfo":{"status":true}}}}}');
SELECT from_json('ChargePointState', '{"transactions":{"7":{"progress":{"volts":1}}}}');

-- ---------------------------------------------------------------------------
-- What JSON does not allow, and what a message does not
-- ---------------------------------------------------------------------------

-- a member twice, by either of its names, and a key twice, however it is spelled
SELECT from_json('ConnectorInfo', '{"id":1,"id":1}');
SELECT from_json('ConnectorInfo', '{"currentTransaction":1,"current_transaction":null}');
SELECT from_json('ChargePointState', '{"connectors":{"1":{},"2":{},"1":{}}}');
SELECT from_json('ChargePointState', '{"connectors":{"0":{},"-0":{}}}');
SELECT from_json('ChargePointState', '{"authList":{"A":{},"b":{},"\u0041":{}}}');
-- an unknown member is refused, or passed over whatever it holds
SELECT from_json('ConnectorInfo', '{"id":1,"colour":"red"}');
SELECT to_json(from_json('ConnectorInfo',
	'{"x":[1,-2.5e3,"a\n",null,true,false,{"y":{},"z":[]},[]],"id":1,"@type":"LogData","w":"\u00e9"}', true));
SELECT from_json('LogData', '{"resp":{"colour":{}}}');
SELECT to_json(from_json('LogData', '{"resp":{"colour":{}}}', ignore_unknown => true));
-- commas, colons, braces
SELECT '{"@type":"Response",}'::message;
SELECT '{"@type":"Response" "message":"m"}'::message;
SELECT '{"@type":"Response","message" "m"}'::message;
SELECT '{"@type":"Response","message":"m"'::message;
SELECT '{"@type":"Response","message":"m"}}'::message;
SELECT '{"@type":"Response","message":"m"} x'::message;
SELECT '{"@type":"Response",message:"m"}'::message;
SELECT '{"@type":"Response","message":''m''}'::message;
SELECT '{"x":tru,"@type":"Response"}'::message;
SELECT '{"x":[1 2],"@type":"Response"}'::message;
-- nesting ends at 100 levels, also in what is passed over
SELECT to_json(from_json('Response', ('{"x":' || repeat('[', 100) || repeat(']', 100) || '}')::json, true));
SELECT from_json('Response', ('{"x":' || repeat('[', 101) || repeat(']', 101) || '}')::json, true);

-- ---------------------------------------------------------------------------
-- Databases in other encodings.  The wire is UTF-8 in all of them.
-- ---------------------------------------------------------------------------

SELECT current_database() AS here \gset
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_evcharge_latin1;
DROP DATABASE IF EXISTS regress_evcharge_ascii;
CREATE DATABASE regress_evcharge_latin1 ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0;
\c regress_evcharge_latin1
SET client_encoding = 'UTF8';
CREATE EXTENSION evcharge;
SET search_path = public, evcharge;
\set SHOW_CONTEXT never
-- e with acute is one byte here and two on the wire
CREATE TABLE latin AS SELECT evcharge.decode('Response', '\x1204c3a97a7a') AS m;
SELECT octet_length(m ->> 'message'), octet_length(m -> 'message' #>> '{}'), octet_length(to_json(m) ->> 'message'),
	octet_length((m::jsonb) ->> 'message'), encode(m::text::message), encode(from_json('Response', to_json(m)))
FROM latin;
SELECT encode(from_json('Response', json_build_object('message', chr(233)))),
	from_json('Response', '{"message":"\u00e9"}') ->> 'message' = chr(233) AS same;
SELECT encode(m), m #> ARRAY['authList', chr(233)] AS by_key, id_tag = chr(233) AS as_row
FROM evcharge.decode('ChargePointState', '\x2a060a02c3a91200') m, auth_list(m);
-- a character that the encoding lacks: an escape in JSON, an error as text
SELECT replace(m::text, chr(233), '<e acute>'), encode(m::text::message)
FROM evcharge.decode('Response', '\x120d61e282acf09f9880c3a9efbfbf') m;
SELECT evcharge.decode('Response', '\x1203e282ac') ->> 'message';
\echo :LAST_ERROR_SQLSTATE
SELECT evcharge.decode('Response', '\x1203e282ac') -> 'message';
\echo :LAST_ERROR_SQLSTATE
-- a long text is converted piece by piece
SELECT length(m::text), m::text::message = m
FROM evcharge.decode('Response', '\x12e0d403' || decode(repeat('c3a9e282ac', 12000), 'hex')) m;
\c :here
DROP DATABASE regress_evcharge_latin1;

CREATE DATABASE regress_evcharge_ascii ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' LOCALE_PROVIDER libc TEMPLATE template0;
\c regress_evcharge_ascii
CREATE EXTENSION evcharge;
SET search_path = public, evcharge;
\set SHOW_CONTEXT never
-- Bytes go through as they are, but what is to be a message must be UTF-8.
SELECT octet_length(m ->> 'message'), encode(m::text::message), encode(from_json('Response', to_json(m)))
FROM evcharge.decode('Response', '\x1205c3a9e282ac') m;
SELECT encode(from_json('Response', '{"message":"\u00e9"}'));
SELECT from_json('Response', ('{"message":"' || chr(233) || '"}')::json);
\echo :LAST_ERROR_SQLSTATE
\c :here
DROP DATABASE regress_evcharge_ascii;
