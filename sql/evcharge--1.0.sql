/* evcharge: the charging state of an EV gateway, inside PostgreSQL */

-- complain if the script is sourced in psql rather than through CREATE EXTENSION
\echo Use "CREATE EXTENSION evcharge" to load this file. \quit

-- ---------------------------------------------------------------------------
-- Types that the tables use
-- ---------------------------------------------------------------------------

CREATE TYPE evcharge.connector_status AS ENUM (
	'Available', 'Preparing', 'Charging', 'SuspendedEV', 'SuspendedEVSE',
	'Finishing', 'Reserved', 'Unavailable', 'Faulted');
COMMENT ON TYPE evcharge.connector_status IS
'Status of a connector, spelled as OCPP 1.6 section 7.7 ChargePointStatus spells it';

CREATE TYPE evcharge.registration_status AS ENUM (
	'Accepted', 'Pending', 'Rejected');
COMMENT ON TYPE evcharge.registration_status IS
'Whether a charge point may take part: OCPP 1.6 section 7.38 RegistrationStatus';

CREATE TYPE evcharge.authorization_status AS ENUM (
	'Accepted', 'Blocked', 'Expired', 'Invalid', 'ConcurrentTx');
COMMENT ON TYPE evcharge.authorization_status IS
'Status of an id tag: OCPP 1.6 section 7.2 AuthorizationStatus';

-- ---------------------------------------------------------------------------
-- The message type
-- ---------------------------------------------------------------------------

CREATE TYPE evcharge.message;

CREATE FUNCTION evcharge.message_in(cstring, oid, int4) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_in'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_in(cstring, oid, int4) IS
'I/O of the type message';

CREATE FUNCTION evcharge.message_out(evcharge.message) RETURNS cstring
	AS 'MODULE_PATHNAME', 'evc_message_out'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_out(evcharge.message) IS
'I/O of the type message';

CREATE FUNCTION evcharge.message_recv(internal, oid, int4) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_recv'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_recv(internal, oid, int4) IS
'I/O of the type message';

CREATE FUNCTION evcharge.message_send(evcharge.message) RETURNS bytea
	AS 'MODULE_PATHNAME', 'evc_message_send'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_send(evcharge.message) IS
'I/O of the type message';

CREATE FUNCTION evcharge.message_typmod_in(cstring[]) RETURNS int4
	AS 'MODULE_PATHNAME', 'evc_message_typmod_in'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_typmod_in(cstring[]) IS
'I/O of the type modifier of message';

CREATE FUNCTION evcharge.message_typmod_out(int4) RETURNS cstring
	AS 'MODULE_PATHNAME', 'evc_message_typmod_out'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_typmod_out(int4) IS
'I/O of the type modifier of message';

CREATE FUNCTION evcharge.message_subscript(internal) RETURNS internal
	AS 'MODULE_PATHNAME', 'evc_message_subscript'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_subscript(internal) IS
'Subscripts of the type message';

-- STORAGE external: a large value goes to the TOAST table as it is.  So read, a
-- field costs no more than fetching the value, two thirds of what jsonb takes in
-- the same storage, and the value has a third of the size of that jsonb; a field
-- in front of the maps, such as the id, needs the first chunk only.  Compressed, a
-- ChargePointState would be two fifths smaller, but reading it would cost twice as
-- much (pglz) or be no faster than jsonb (lz4).  bench/message prints all of this.
-- A column that is written often and read seldom is better off with ALTER TABLE
-- ... SET STORAGE extended.
CREATE TYPE evcharge.message (
	INPUT = evcharge.message_in,
	OUTPUT = evcharge.message_out,
	RECEIVE = evcharge.message_recv,
	SEND = evcharge.message_send,
	TYPMOD_IN = evcharge.message_typmod_in,
	TYPMOD_OUT = evcharge.message_typmod_out,
	SUBSCRIPT = evcharge.message_subscript,
	INTERNALLENGTH = VARIABLE,
	ALIGNMENT = int4,
	STORAGE = external
);
COMMENT ON TYPE evcharge.message IS
'One protobuf message of the charging format together with its type: google.protobuf.Any as a type';

CREATE FUNCTION evcharge.message(evcharge.message, int4, bool) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_coerce'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message(evcharge.message, int4, bool) IS
'The message, if it is of the type that the type modifier names';

CREATE CAST (evcharge.message AS evcharge.message)
	WITH FUNCTION evcharge.message(evcharge.message, int4, bool)
	AS IMPLICIT;
COMMENT ON CAST (evcharge.message AS evcharge.message) IS
'Sees that a message is of the type that the type modifier names';

-- The size limit decides only whether bytes are taken, never what comes of
-- them: decode() is immutable, try_decode() and validate() are not.

CREATE FUNCTION evcharge.decode(type text, wire bytea) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_decode'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.decode(text, bytea) IS
'The message in these wire bytes; an error with byte offset and field if they are malformed';

CREATE FUNCTION evcharge.try_decode(type text, wire bytea) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_try_decode'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.try_decode(text, bytea) IS
'The message in these wire bytes; NULL if they are malformed or too many';

CREATE FUNCTION evcharge.validate(type text, wire bytea,
	OUT ok bool, OUT byte_offset int4, OUT field text, OUT sqlstate text, OUT detail text)
	AS 'MODULE_PATHNAME', 'evc_message_validate'
	LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.validate(text, bytea) IS
'Whether decode() takes these wire bytes, and if not, where they are wrong and why';

CREATE FUNCTION evcharge.encode(evcharge.message) RETURNS bytea
	AS 'MODULE_PATHNAME', 'evc_message_encode'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.encode(evcharge.message) IS
'The canonical wire bytes of the message';

CREATE FUNCTION evcharge.message_type(evcharge.message) RETURNS text
	AS 'MODULE_PATHNAME', 'evc_message_type'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_type(evcharge.message) IS
'The type of the message: ConnectorInfo';

-- ---------------------------------------------------------------------------
-- JSON
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.to_json(message evcharge.message, emit_defaults bool DEFAULT false, proto_names bool DEFAULT false) RETURNS json
	AS 'MODULE_PATHNAME', 'evc_message_to_json'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.to_json(evcharge.message, bool, bool) IS
'The message as ProtoJSON without its type; on request with the fields that have their default, and with the names of the proto file';

CREATE FUNCTION evcharge.from_json(type text, value json, ignore_unknown bool DEFAULT false) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_from_json'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.from_json(text, json, bool) IS
'The message of a ProtoJSON object; an error that names the field if it is not one';

CREATE FUNCTION evcharge.message_to_json(evcharge.message) RETURNS json
	AS 'MODULE_PATHNAME', 'evc_message_to_json'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_to_json(evcharge.message) IS
'Cast to json: ProtoJSON without the type';

CREATE FUNCTION evcharge.message_to_jsonb(evcharge.message) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'evc_message_to_jsonb'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_to_jsonb(evcharge.message) IS
'Cast to jsonb: ProtoJSON without the type';

-- Explicit, because the type and the unknown fields are lost.  to_jsonb() and
-- row_to_json() use the cast to json by themselves.
CREATE CAST (evcharge.message AS json)
	WITH FUNCTION evcharge.message_to_json(evcharge.message);
COMMENT ON CAST (evcharge.message AS json) IS 'ProtoJSON without the type';

CREATE CAST (evcharge.message AS jsonb)
	WITH FUNCTION evcharge.message_to_jsonb(evcharge.message);
COMMENT ON CAST (evcharge.message AS jsonb) IS 'ProtoJSON without the type';

-- ---------------------------------------------------------------------------
-- Looking into a message, as into jsonb
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.message_get(evcharge.message, text) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'evc_message_get'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_get(evcharge.message, text) IS
'A field of the message, or NULL for a submessage that is absent';

CREATE OPERATOR evcharge.-> (
	LEFTARG = evcharge.message,
	RIGHTARG = text,
	FUNCTION = evcharge.message_get
);
COMMENT ON OPERATOR evcharge.-> (evcharge.message, text) IS
'A field of the message, or NULL for a submessage that is absent';

CREATE FUNCTION evcharge.message_get_text(evcharge.message, text) RETURNS text
	AS 'MODULE_PATHNAME', 'evc_message_get_text'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_get_text(evcharge.message, text) IS
'A field of the message as text';

CREATE OPERATOR evcharge.->> (
	LEFTARG = evcharge.message,
	RIGHTARG = text,
	FUNCTION = evcharge.message_get_text
);
COMMENT ON OPERATOR evcharge.->> (evcharge.message, text) IS
'A field of the message as text';

CREATE FUNCTION evcharge.message_get_path(evcharge.message, text[]) RETURNS jsonb
	AS 'MODULE_PATHNAME', 'evc_message_get_path'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_get_path(evcharge.message, text[]) IS
'What a path of field names and map keys leads to';

CREATE OPERATOR evcharge.#> (
	LEFTARG = evcharge.message,
	RIGHTARG = text[],
	FUNCTION = evcharge.message_get_path
);
COMMENT ON OPERATOR evcharge.#> (evcharge.message, text[]) IS
'What a path of field names and map keys leads to';

CREATE FUNCTION evcharge.message_get_path_text(evcharge.message, text[]) RETURNS text
	AS 'MODULE_PATHNAME', 'evc_message_get_path_text'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_get_path_text(evcharge.message, text[]) IS
'What a path of field names and map keys leads to, as text';

CREATE OPERATOR evcharge.#>> (
	LEFTARG = evcharge.message,
	RIGHTARG = text[],
	FUNCTION = evcharge.message_get_path_text
);
COMMENT ON OPERATOR evcharge.#>> (evcharge.message, text[]) IS
'What a path of field names and map keys leads to, as text';

-- ---------------------------------------------------------------------------
-- Merging
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.message_merge(evcharge.message, evcharge.message) RETURNS evcharge.message
	AS 'MODULE_PATHNAME', 'evc_message_merge'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_merge(evcharge.message, evcharge.message) IS
'Two messages of one type merged: the right ones scalars and map entries win, submessages are merged';

CREATE OPERATOR evcharge.|| (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_merge
);
COMMENT ON OPERATOR evcharge.|| (evcharge.message, evcharge.message) IS
'Two messages of one type merged';

-- ---------------------------------------------------------------------------
-- Comparing: by type, then by canonical bytes
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.message_eq(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_eq'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_eq(evcharge.message, evcharge.message) IS
'Equal, by type and canonical bytes';

CREATE FUNCTION evcharge.message_ne(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_ne'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_ne(evcharge.message, evcharge.message) IS
'Not equal, by type and canonical bytes';

CREATE FUNCTION evcharge.message_lt(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_lt'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_lt(evcharge.message, evcharge.message) IS
'Less than, by type and canonical bytes';

CREATE FUNCTION evcharge.message_le(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_le'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_le(evcharge.message, evcharge.message) IS
'Less than or equal, by type and canonical bytes';

CREATE FUNCTION evcharge.message_gt(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_gt'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_gt(evcharge.message, evcharge.message) IS
'Greater than, by type and canonical bytes';

CREATE FUNCTION evcharge.message_ge(evcharge.message, evcharge.message) RETURNS bool
	AS 'MODULE_PATHNAME', 'evc_message_ge'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_ge(evcharge.message, evcharge.message) IS
'Greater than or equal, by type and canonical bytes';

CREATE OPERATOR evcharge.= (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_eq,
	COMMUTATOR = OPERATOR(evcharge.=),
	NEGATOR = OPERATOR(evcharge.<>),
	RESTRICT = pg_catalog.eqsel,
	JOIN = pg_catalog.eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR evcharge.= (evcharge.message, evcharge.message) IS
'Equal, by type and canonical bytes';

CREATE OPERATOR evcharge.<> (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_ne,
	COMMUTATOR = OPERATOR(evcharge.<>),
	NEGATOR = OPERATOR(evcharge.=),
	RESTRICT = pg_catalog.neqsel,
	JOIN = pg_catalog.neqjoinsel
);
COMMENT ON OPERATOR evcharge.<> (evcharge.message, evcharge.message) IS
'Not equal, by type and canonical bytes';

CREATE OPERATOR evcharge.< (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_lt,
	COMMUTATOR = OPERATOR(evcharge.>),
	NEGATOR = OPERATOR(evcharge.>=),
	RESTRICT = pg_catalog.scalarltsel,
	JOIN = pg_catalog.scalarltjoinsel
);
COMMENT ON OPERATOR evcharge.< (evcharge.message, evcharge.message) IS
'Less than, by type and canonical bytes';

CREATE OPERATOR evcharge.<= (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_le,
	COMMUTATOR = OPERATOR(evcharge.>=),
	NEGATOR = OPERATOR(evcharge.>),
	RESTRICT = pg_catalog.scalarlesel,
	JOIN = pg_catalog.scalarlejoinsel
);
COMMENT ON OPERATOR evcharge.<= (evcharge.message, evcharge.message) IS
'Less than or equal, by type and canonical bytes';

CREATE OPERATOR evcharge.> (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_gt,
	COMMUTATOR = OPERATOR(evcharge.<),
	NEGATOR = OPERATOR(evcharge.<=),
	RESTRICT = pg_catalog.scalargtsel,
	JOIN = pg_catalog.scalargtjoinsel
);
COMMENT ON OPERATOR evcharge.> (evcharge.message, evcharge.message) IS
'Greater than, by type and canonical bytes';

CREATE OPERATOR evcharge.>= (
	LEFTARG = evcharge.message,
	RIGHTARG = evcharge.message,
	FUNCTION = evcharge.message_ge,
	COMMUTATOR = OPERATOR(evcharge.<=),
	NEGATOR = OPERATOR(evcharge.<),
	RESTRICT = pg_catalog.scalargesel,
	JOIN = pg_catalog.scalargejoinsel
);
COMMENT ON OPERATOR evcharge.>= (evcharge.message, evcharge.message) IS
'Greater than or equal, by type and canonical bytes';

CREATE FUNCTION evcharge.message_cmp(evcharge.message, evcharge.message) RETURNS int4
	AS 'MODULE_PATHNAME', 'evc_message_cmp'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_cmp(evcharge.message, evcharge.message) IS
'Order of two messages, by type and canonical bytes';

CREATE FUNCTION evcharge.message_hash(evcharge.message) RETURNS int4
	AS 'MODULE_PATHNAME', 'evc_message_hash'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_hash(evcharge.message) IS
'Hash of a message';

CREATE FUNCTION evcharge.message_hash_extended(evcharge.message, int8) RETURNS int8
	AS 'MODULE_PATHNAME', 'evc_message_hash_extended'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION evcharge.message_hash_extended(evcharge.message, int8) IS
'Hash of a message with a seed';

CREATE OPERATOR CLASS evcharge.message_ops
	DEFAULT FOR TYPE evcharge.message USING btree AS
	OPERATOR 1 evcharge.<,
	OPERATOR 2 evcharge.<=,
	OPERATOR 3 evcharge.=,
	OPERATOR 4 evcharge.>=,
	OPERATOR 5 evcharge.>,
	FUNCTION 1 evcharge.message_cmp(evcharge.message, evcharge.message);
COMMENT ON OPERATOR CLASS evcharge.message_ops USING btree IS
'Orders messages by type and canonical bytes';

CREATE OPERATOR CLASS evcharge.message_ops
	DEFAULT FOR TYPE evcharge.message USING hash AS
	OPERATOR 1 evcharge.=,
	FUNCTION 1 evcharge.message_hash(evcharge.message),
	FUNCTION 2 evcharge.message_hash_extended(evcharge.message, int8);
COMMENT ON OPERATOR CLASS evcharge.message_ops USING hash IS
'Hashes messages by type and canonical bytes';

-- ---------------------------------------------------------------------------
-- The maps of a ChargePointState as rows
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.connectors(evcharge.message)
	RETURNS TABLE (connector_id int4, status text, current_transaction int4)
	AS 'MODULE_PATHNAME', 'evc_message_connectors'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 2;
COMMENT ON FUNCTION evcharge.connectors(evcharge.message) IS
'The connectors of a ChargePointState, by id';

CREATE FUNCTION evcharge.transactions(evcharge.message)
	RETURNS TABLE (transaction_id int4, id_tag text, connector_id int4,
		start_time text, end_time text, start_meter int4, end_meter int4,
		progress evcharge.message)
	AS 'MODULE_PATHNAME', 'evc_message_transactions'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 50;
COMMENT ON FUNCTION evcharge.transactions(evcharge.message) IS
'The transactions of a ChargePointState, by id';

CREATE FUNCTION evcharge.auth_list(evcharge.message)
	RETURNS TABLE (id_tag text, public_key text, transaction_id int4,
		expiry_date text, parent_id_tag text, status text)
	AS 'MODULE_PATHNAME', 'evc_message_auth_list'
	LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE ROWS 20;
COMMENT ON FUNCTION evcharge.auth_list(evcharge.message) IS
'The authorization list of a ChargePointState, by id tag';
-- ---------------------------------------------------------------------------
-- Requests from the consumer side
--
-- Wire bytes in, wire bytes out. A request that cannot be granted is refused
-- in Response.error, with a sentence, and changes nothing; malformed bytes
-- are an error. Each function exists a second time with the charge_point_id
-- in front.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.authorize(request bytea)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_authorize';
COMMENT ON FUNCTION evcharge.authorize(request bytea) IS
'AuthorizeRequestData -> AuthorizeResponseData: puts the consumer on the authorization list of the charge point under a random id tag; asking again changes nothing';

CREATE FUNCTION evcharge.authorize(charge_point_id text, request bytea)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_authorize';
COMMENT ON FUNCTION evcharge.authorize(charge_point_id text, request bytea) IS
'AuthorizeRequestData -> AuthorizeResponseData: puts the consumer on the authorization list of the charge point under a random id tag; asking again changes nothing; charge_point_id, for a router, must be the one in the message';

CREATE FUNCTION evcharge.check_availability(request bytea)
RETURNS bytea LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_check_availability';
COMMENT ON FUNCTION evcharge.check_availability(request bytea) IS
'CheckAvailabilityRequestData -> CheckAvailabilityResponseData: says whether a transaction could start on the connector now; reads only';

CREATE FUNCTION evcharge.check_availability(
	charge_point_id text,
	request bytea)
RETURNS bytea LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_check_availability';
COMMENT ON FUNCTION evcharge.check_availability(charge_point_id text, request bytea) IS
'CheckAvailabilityRequestData -> CheckAvailabilityResponseData: says whether a transaction could start on the connector now; reads only; charge_point_id, for a router, must be the one in the message';

CREATE FUNCTION evcharge.start_transaction(
	request bytea,
	started_at timestamptz DEFAULT pg_catalog.now(),
	start_meter int4 DEFAULT NULL)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_start_transaction';
COMMENT ON FUNCTION evcharge.start_transaction(request bytea, started_at timestamptz, start_meter int4) IS
'StartTransactionRequestData -> StartTransactionResponseData: opens a transaction for an authorized consumer on an available connector (start_meter in Wh); asking again changes nothing';

CREATE FUNCTION evcharge.start_transaction(
	charge_point_id text,
	request bytea,
	started_at timestamptz DEFAULT pg_catalog.now(),
	start_meter int4 DEFAULT NULL)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_start_transaction';
COMMENT ON FUNCTION evcharge.start_transaction(charge_point_id text, request bytea, started_at timestamptz, start_meter int4) IS
'StartTransactionRequestData -> StartTransactionResponseData: opens a transaction for an authorized consumer on an available connector (start_meter in Wh); asking again changes nothing; charge_point_id, for a router, must be the one in the message';

CREATE FUNCTION evcharge.stop_transaction(
	request bytea,
	ended_at timestamptz DEFAULT pg_catalog.now(),
	end_meter int4 DEFAULT NULL,
	reason text DEFAULT 'Remote')
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_stop_transaction';
COMMENT ON FUNCTION evcharge.stop_transaction(request bytea, ended_at timestamptz, end_meter int4, reason text) IS
'StopTransactionRequestData -> StopTransactionResponseData: ends the transaction of the consumer on the connector (end_meter in Wh, reason as OCPP 1.6 section 7.36); asking again gives the same answer';

CREATE FUNCTION evcharge.stop_transaction(
	charge_point_id text,
	request bytea,
	ended_at timestamptz DEFAULT pg_catalog.now(),
	end_meter int4 DEFAULT NULL,
	reason text DEFAULT 'Remote')
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_stop_transaction';
COMMENT ON FUNCTION evcharge.stop_transaction(charge_point_id text, request bytea, ended_at timestamptz, end_meter int4, reason text) IS
'StopTransactionRequestData -> StopTransactionResponseData: ends the transaction of the consumer on the connector (end_meter in Wh, reason as OCPP 1.6 section 7.36); asking again gives the same answer; charge_point_id, for a router, must be the one in the message';

CREATE FUNCTION evcharge.online_since()
RETURNS timestamptz LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_online_since';
COMMENT ON FUNCTION evcharge.online_since() IS
'Since when a charge point must have been seen to count as online: now less the setting evcharge.offline_after';

-- ---------------------------------------------------------------------------
-- Reports from the charge point side
--
-- What a charge point reports is recorded, never refused; what is odd about
-- it becomes an event of kind anomaly. Only malformed bytes are an error.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.boot_notification(
	charge_point_id text,
	message bytea)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_boot_notification';
COMMENT ON FUNCTION evcharge.boot_notification(charge_point_id text, message bytea) IS
'BootNotificationRequestData -> LogData: registers or refreshes the charge point; answers with the time and Accepted, Pending or Rejected (OCPP 1.6 section 4.2)';

CREATE FUNCTION evcharge.set_registration(charge_point_id text, status text)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_set_registration';
COMMENT ON FUNCTION evcharge.set_registration(charge_point_id text, status text) IS
'Decides whether a charge point may take part: Accepted, Pending or Rejected';

CREATE FUNCTION evcharge.report_connector(
	charge_point_id text,
	message bytea,
	at timestamptz DEFAULT pg_catalog.now())
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_report_connector';
COMMENT ON FUNCTION evcharge.report_connector(charge_point_id text, message bytea, at timestamptz) IS
'Records a ConnectorInfo: the status of a connector at a time (OCPP 1.6 section 4.9 StatusNotification); id 0 is the charge point itself';

CREATE FUNCTION evcharge.report_transaction(
	charge_point_id text,
	message bytea)
RETURNS int4 LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_report_transaction';
COMMENT ON FUNCTION evcharge.report_transaction(charge_point_id text, message bytea) IS
'Records a TransactionInfo: a start, or an end if it has an end_time (OCPP 1.6 sections 4.8 and 4.10); returns the transaction id, a new one if the report had none';

CREATE FUNCTION evcharge.report_progress(
	charge_point_id text,
	transaction_id int4,
	message bytea,
	at timestamptz DEFAULT pg_catalog.now())
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_report_progress';
COMMENT ON FUNCTION evcharge.report_progress(charge_point_id text, transaction_id int4, message bytea, at timestamptz) IS
'Records an EVChargingStatusData: progress of a transaction at a time (OCPP 1.6 section 4.7 MeterValues)';

CREATE FUNCTION evcharge.report_log(charge_point_id text, message bytea)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_report_log';
COMMENT ON FUNCTION evcharge.report_log(charge_point_id text, message bytea) IS
'Records a LogData in gateway_log';

CREATE FUNCTION evcharge.heartbeat(charge_point_id text)
RETURNS timestamptz LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_heartbeat';
COMMENT ON FUNCTION evcharge.heartbeat(charge_point_id text) IS
'Records that the charge point lives; returns the time to answer with (OCPP 1.6 section 4.6)';

-- ---------------------------------------------------------------------------
-- Whole states and authorization lists
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.charge_point_state(
	charge_point_id text,
	closed_transactions int4 DEFAULT 100)
RETURNS evcharge.message LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_charge_point_state';
COMMENT ON FUNCTION evcharge.charge_point_state(charge_point_id text, closed_transactions int4) IS
'The ChargePointState as it stands: connectors, the live authorization list, open transactions and the newest closed ones; NULL for an unknown charge point';

CREATE FUNCTION evcharge.load_state(message bytea)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_load_state';
COMMENT ON FUNCTION evcharge.load_state(message bytea) IS
'Makes a charge point what a ChargePointState says: connectors and authorizations that it lacks go, transactions are added or amended, never deleted';

CREATE FUNCTION evcharge.load_state(charge_point_id text, message bytea)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_load_state';
COMMENT ON FUNCTION evcharge.load_state(charge_point_id text, message bytea) IS
'Makes a charge point what a ChargePointState says: connectors and authorizations that it lacks go, transactions are added or amended, never deleted';

CREATE FUNCTION evcharge.set_authorization(
	charge_point_id text,
	message bytea)
RETURNS void LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_set_authorization';
COMMENT ON FUNCTION evcharge.set_authorization(charge_point_id text, message bytea) IS
'Sets an entry of the authorization list from a ConsumerAuthData, as an operator wants it; without idTagInfo the entry is removed';

CREATE FUNCTION evcharge.auth_list_changes(
	charge_point_id text,
	since_version int4,
	OUT update_type text,
	OUT list_version int4,
	OUT auth_data evcharge.message)
RETURNS SETOF record LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_auth_list_changes';
COMMENT ON FUNCTION evcharge.auth_list_changes(charge_point_id text, since_version int4) IS
'What OCPP SendLocalList must carry to a charge point that has the list of a version: LocalAuthorizationData, Full or Differential; removed entries have no idTagInfo';

-- ---------------------------------------------------------------------------
-- One door for everything
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.handle(request evcharge.message)
RETURNS evcharge.message LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_handle';
COMMENT ON FUNCTION evcharge.handle(request evcharge.message) IS
'Carries out any request message, or records any report, and returns its answer; NULL if there is none';

CREATE FUNCTION evcharge.handle(
	charge_point_id text,
	request evcharge.message)
RETURNS evcharge.message LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_handle';
COMMENT ON FUNCTION evcharge.handle(charge_point_id text, request evcharge.message) IS
'Carries out any request message, or records any report, and returns its answer; NULL if there is none';

CREATE FUNCTION evcharge.handle_event(event bytea)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_handle_event';
COMMENT ON FUNCTION evcharge.handle_event(event bytea) IS
'Opens an events.Event envelope, handles the message inside, returns the answer in an envelope; NULL if there is none';

CREATE FUNCTION evcharge.handle_event(charge_point_id text, event bytea)
RETURNS bytea LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_handle_event';
COMMENT ON FUNCTION evcharge.handle_event(charge_point_id text, event bytea) IS
'Opens an events.Event envelope, handles the message inside, returns the answer in an envelope; NULL if there is none';

CREATE FUNCTION evcharge.apply_batch(
	charge_point_id text[],
	type text[],
	message bytea[],
	at timestamptz[] DEFAULT NULL,
	transaction_id int4[] DEFAULT NULL,
	OUT "position" int4,
	OUT sqlstate text,
	OUT reason text)
RETURNS SETOF record LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_apply_batch';
COMMENT ON FUNCTION evcharge.apply_batch(text[], text[], bytea[], timestamptz[], int4[]) IS
'Records many reports, in their order; a bad one does not lose the others and comes back with its position, SQLSTATE and reason';

-- ---------------------------------------------------------------------------
-- Events
--
-- The event table is the truth; a notification is a hint.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.events_since(
	cursor text DEFAULT NULL,
	max_rows int4 DEFAULT 1000,
	OUT charge_point_id text,
	OUT event_id int8,
	OUT kind text,
	OUT connector_id int4,
	OUT transaction_id int4,
	OUT old_value text,
	OUT new_value text,
	OUT reason text,
	OUT detail text,
	OUT occurred_at timestamptz,
	OUT recorded_at timestamptz,
	OUT next_cursor text)
RETURNS SETOF record LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_events_since';
COMMENT ON FUNCTION evcharge.events_since(text, int4) IS
'Events of all charge points that committed after the cursor, each exactly once to a reader that passes back the next_cursor of the last row; NULL reads from the beginning';

CREATE FUNCTION evcharge.event_cursor()
RETURNS text LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL RESTRICTED
AS 'MODULE_PATHNAME', 'evc_event_cursor';
COMMENT ON FUNCTION evcharge.event_cursor() IS
'The cursor behind everything that is committed now, for a reader that wants only what comes';

CREATE FUNCTION evcharge.state_change(event record)
RETURNS bytea LANGUAGE c STABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'evc_state_change';
COMMENT ON FUNCTION evcharge.state_change(event record) IS
'A row with a charge_point_id as NotifyChargePointStateChangeData in an events.Event envelope, for gateways that forward changes to their peers';

CREATE FUNCTION evcharge.notify_mode()
RETURNS text LANGUAGE c STABLE CALLED ON NULL INPUT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'evc_notify_mode';
COMMENT ON FUNCTION evcharge.notify_mode() IS
'How changes are announced: the setting evcharge.notify in force';

-- ---------------------------------------------------------------------------
-- The tables.  install() runs this body once; they belong to whoever ran it.
--
-- A table is keyed by charge_point_id first, so that it can be distributed by
-- it.  There is no foreign key, sequence or trigger between them: ids come from
-- the counters in charge_point, whose row is also the lock of a call.
--
-- The server reads a CHECK constraint anew for each statement that writes the
-- table, so the few that stand here say what no code could make up for.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.install_tables() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $install$

CREATE TABLE evcharge.charge_point (
	charge_point_id				text NOT NULL,
	registration				evcharge.registration_status NOT NULL,
	status						evcharge.connector_status,
	status_since				timestamptz,
	status_reported_at			timestamptz,
	charge_box_serial_number	text,
	charge_point_model			text,
	charge_point_serial_number	text,
	charge_point_vendor			text,
	firmware_version			text,
	iccid						text,
	imsi						text,
	meter_serial_number			text,
	meter_type					text,
	auth_list_version			int4 NOT NULL DEFAULT 0,
	auth_list_kept_from			int4 NOT NULL DEFAULT 0,
	last_transaction_id			int4 NOT NULL DEFAULT 0,
	transaction_ids_wrapped		bool NOT NULL DEFAULT false,
	last_event_id				int8 NOT NULL DEFAULT 0,
	registered_at				timestamptz NOT NULL,
	booted_at					timestamptz,
	last_seen_at				timestamptz,
	CONSTRAINT charge_point_pkey PRIMARY KEY (charge_point_id)
		WITH (fillfactor = 90),
	CONSTRAINT charge_point_id_length CHECK (
		octet_length(charge_point_id) BETWEEN 1 AND 255)
) WITH (fillfactor = 50);

COMMENT ON TABLE evcharge.charge_point IS
'One row per charge point; its counters give out transaction and event ids, and its row is the lock of every call';
COMMENT ON COLUMN evcharge.charge_point.charge_point_id IS 'Identity of the charge point, 1 to 255 bytes; never changes';
COMMENT ON COLUMN evcharge.charge_point.registration IS 'Accepted, Pending or Rejected (OCPP 1.6 section 4.2); see set_registration()';
COMMENT ON COLUMN evcharge.charge_point.status IS 'Status of the charge point as a whole (OCPP connector 0); NULL before it was reported';
COMMENT ON COLUMN evcharge.charge_point.status_since IS 'When that status was entered';
COMMENT ON COLUMN evcharge.charge_point.status_reported_at IS 'Time of the newest report of connector 0; an older report goes to history only';
COMMENT ON COLUMN evcharge.charge_point.charge_box_serial_number IS 'BootNotification chargeBoxSerialNumber';
COMMENT ON COLUMN evcharge.charge_point.charge_point_model IS 'BootNotification chargePointModel';
COMMENT ON COLUMN evcharge.charge_point.charge_point_serial_number IS 'BootNotification chargePointSerialNumber';
COMMENT ON COLUMN evcharge.charge_point.charge_point_vendor IS 'BootNotification chargePointVendor';
COMMENT ON COLUMN evcharge.charge_point.firmware_version IS 'BootNotification firmwareVersion';
COMMENT ON COLUMN evcharge.charge_point.iccid IS 'BootNotification iccid of the SIM card';
COMMENT ON COLUMN evcharge.charge_point.imsi IS 'BootNotification imsi of the SIM card';
COMMENT ON COLUMN evcharge.charge_point.meter_serial_number IS 'BootNotification meterSerialNumber';
COMMENT ON COLUMN evcharge.charge_point.meter_type IS 'BootNotification meterType';
COMMENT ON COLUMN evcharge.charge_point.auth_list_version IS 'Version of the local authorization list; grows by one per change (OCPP 1.6 section 5.15)';
COMMENT ON COLUMN evcharge.charge_point.auth_list_kept_from IS 'Oldest list version from which auth_list_changes() can still give a differential update';
COMMENT ON COLUMN evcharge.charge_point.last_transaction_id IS 'Newest transaction id given out or reported';
COMMENT ON COLUMN evcharge.charge_point.transaction_ids_wrapped IS 'Whether transactions may have ids above last_transaction_id, so that a free one must be looked for';
COMMENT ON COLUMN evcharge.charge_point.last_event_id IS 'Newest event id; events count from 1 without gaps';
COMMENT ON COLUMN evcharge.charge_point.registered_at IS 'When this charge point was first heard of';
COMMENT ON COLUMN evcharge.charge_point.booted_at IS 'When its last BootNotification arrived; NULL if none did';
COMMENT ON COLUMN evcharge.charge_point.last_seen_at IS 'When its last report of any kind arrived';

CREATE TABLE evcharge.connector (
	charge_point_id		text NOT NULL,
	connector_id		int4 NOT NULL,
	status				evcharge.connector_status,
	status_since		timestamptz,
	reported_at			timestamptz,
	status_before_fault	evcharge.connector_status,
	transaction_id		int4,
	CONSTRAINT connector_pkey PRIMARY KEY (charge_point_id, connector_id)
		WITH (fillfactor = 90)
) WITH (fillfactor = 50);

COMMENT ON TABLE evcharge.connector IS 'One row per connector of a charge point; connector 0, the charge point itself, is in charge_point';
COMMENT ON COLUMN evcharge.connector.charge_point_id IS 'Charge point that has the connector';
COMMENT ON COLUMN evcharge.connector.connector_id IS 'Number of the connector, from 1 (OCPP connectorId)';
COMMENT ON COLUMN evcharge.connector.status IS 'Newest reported status; NULL before the first';
COMMENT ON COLUMN evcharge.connector.status_since IS 'When that status was entered';
COMMENT ON COLUMN evcharge.connector.reported_at IS 'Time of the newest report; an older one goes to history only';
COMMENT ON COLUMN evcharge.connector.status_before_fault IS 'While Faulted: the status before the fault';
COMMENT ON COLUMN evcharge.connector.transaction_id IS 'The open transaction on this connector, or NULL';

CREATE TABLE evcharge.transaction (
	charge_point_id		text NOT NULL,
	transaction_id		int4 NOT NULL,
	connector_id		int4 NOT NULL,
	id_tag				text,
	consumer_key		text,
	started_at			timestamptz,
	start_meter			int4,
	confirmed_at		timestamptz,
	ended_at			timestamptz,
	end_meter			int4,
	stop_reason			text,
	forced				bool NOT NULL DEFAULT false,
	current_offered		float4,
	current_unit		text,
	voltage_offered		float4,
	voltage_unit		text,
	progress_at			timestamptz,
	CONSTRAINT transaction_pkey PRIMARY KEY (charge_point_id, transaction_id),
	CONSTRAINT transaction_end_has_reason CHECK (
		(ended_at IS NULL) = (stop_reason IS NULL)),
	CONSTRAINT transaction_forced_is_closed CHECK (
		NOT forced OR ended_at IS NOT NULL)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX transaction_one_open_per_connector
	ON evcharge.transaction (charge_point_id, connector_id)
	WHERE ended_at IS NULL;
CREATE INDEX transaction_connector_started
	ON evcharge.transaction (charge_point_id, connector_id, started_at);

COMMENT ON TABLE evcharge.transaction IS 'One row per charging transaction, open while ended_at is NULL';
COMMENT ON INDEX evcharge.transaction_one_open_per_connector IS 'At most one open transaction per connector';
COMMENT ON INDEX evcharge.transaction_connector_started IS 'Finds the transaction of a report without id, and the newest of a connector';
COMMENT ON COLUMN evcharge.transaction.charge_point_id IS 'Charge point of the transaction';
COMMENT ON COLUMN evcharge.transaction.transaction_id IS 'Number of the transaction within its charge point, from 1 (OCPP transactionId)';
COMMENT ON COLUMN evcharge.transaction.connector_id IS 'Connector that charges; 0 or below if the charge point did not say';
COMMENT ON COLUMN evcharge.transaction.id_tag IS 'Id tag that started it, up to 20 characters in OCPP; personal data';
COMMENT ON COLUMN evcharge.transaction.consumer_key IS 'Public key of the consumer that owns it; personal data';
COMMENT ON COLUMN evcharge.transaction.started_at IS 'When it started: as requested, then as the charge point confirmed';
COMMENT ON COLUMN evcharge.transaction.start_meter IS 'Meter at the start, Wh (OCPP meterStart); NULL if unknown';
COMMENT ON COLUMN evcharge.transaction.confirmed_at IS 'When the charge point first reported this transaction; NULL if it never did';
COMMENT ON COLUMN evcharge.transaction.ended_at IS 'When it ended; NULL while it is open';
COMMENT ON COLUMN evcharge.transaction.end_meter IS 'Meter at the end, Wh (OCPP meterStop); NULL if unknown';
COMMENT ON COLUMN evcharge.transaction.stop_reason IS 'Why it ended: OCPP 1.6 section 7.36 Reason';
COMMENT ON COLUMN evcharge.transaction.forced IS 'Ended by the system rather than by a consumer or the charge point';
COMMENT ON COLUMN evcharge.transaction.current_offered IS 'Last progress: current offered, in current_unit (A); NULL before the first';
COMMENT ON COLUMN evcharge.transaction.current_unit IS 'Unit of current_offered as the charge point spells it';
COMMENT ON COLUMN evcharge.transaction.voltage_offered IS 'Last progress: voltage offered, in voltage_unit (V)';
COMMENT ON COLUMN evcharge.transaction.voltage_unit IS 'Unit of voltage_offered as the charge point spells it';
COMMENT ON COLUMN evcharge.transaction.progress_at IS 'Time of the last progress; NULL if it came without a time';

CREATE TABLE evcharge.auth (
	charge_point_id	text NOT NULL,
	id_tag			text NOT NULL,
	consumer_key	text,
	transaction_id	int4,
	status			evcharge.authorization_status,
	expires_at		timestamptz,
	parent_id_tag	text,
	list_version	int4 NOT NULL,
	removed_at		timestamptz,
	CONSTRAINT auth_pkey PRIMARY KEY (charge_point_id, id_tag)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX auth_id_tag_ignoring_case
	ON evcharge.auth (charge_point_id, lower(id_tag COLLATE "C"));
CREATE INDEX auth_consumer
	ON evcharge.auth (charge_point_id, consumer_key);

COMMENT ON TABLE evcharge.auth IS 'The local authorization list of each charge point, with the entries that left it as long as a differential update needs them';
COMMENT ON INDEX evcharge.auth_id_tag_ignoring_case IS 'Id tags compare without case (OCPP CiString)';
COMMENT ON INDEX evcharge.auth_consumer IS 'Finds the entries of a consumer';
COMMENT ON COLUMN evcharge.auth.charge_point_id IS 'Charge point whose list has the entry';
COMMENT ON COLUMN evcharge.auth.id_tag IS 'Id tag, as it was first spelled; personal data';
COMMENT ON COLUMN evcharge.auth.consumer_key IS 'Public key of the consumer that holds the tag; personal data';
COMMENT ON COLUMN evcharge.auth.transaction_id IS 'The open transaction that uses the tag, or NULL';
COMMENT ON COLUMN evcharge.auth.status IS 'OCPP AuthorizationStatus; NULL if the entry came without one, which authorizes nothing';
COMMENT ON COLUMN evcharge.auth.expires_at IS 'From when on the tag no longer authorizes; NULL for never';
COMMENT ON COLUMN evcharge.auth.parent_id_tag IS 'Parent id tag: tags with the same parent may stop each other''s transactions';
COMMENT ON COLUMN evcharge.auth.list_version IS 'List version that last changed this entry';
COMMENT ON COLUMN evcharge.auth.removed_at IS 'When the entry left the list; NULL while it is live';

CREATE TABLE evcharge.event (
	charge_point_id		text NOT NULL,
	event_id			int8 NOT NULL,
	kind				text NOT NULL,
	connector_id		int4,
	transaction_id		int4,
	old_value			text,
	new_value			text,
	reason				text,
	detail				text,
	occurred_at			timestamptz NOT NULL,
	recorded_at			timestamptz NOT NULL,
	cluster				int8 NOT NULL,
	written_by			xid8 NOT NULL,
	CONSTRAINT event_pkey PRIMARY KEY (charge_point_id, event_id),
	CONSTRAINT event_anomaly_has_reason CHECK (
		(kind = 'anomaly') = (reason IS NOT NULL))
);

CREATE INDEX event_feed
	ON evcharge.event (cluster, written_by);
CREATE INDEX event_status_time
	ON evcharge.event (charge_point_id, occurred_at)
	WHERE kind IN ('connector_status', 'charge_point_status');

COMMENT ON TABLE evcharge.event IS 'One row per change and per anomaly, append-only: the history behind the views, and what a listener catches up from';
COMMENT ON INDEX evcharge.event_feed IS 'Serves events_since()';
COMMENT ON INDEX evcharge.event_status_time IS 'Knows a late status report from its repetition';
COMMENT ON COLUMN evcharge.event.charge_point_id IS 'Charge point that the event is about';
COMMENT ON COLUMN evcharge.event.event_id IS 'Number of the event within its charge point: from 1, without gaps';
COMMENT ON COLUMN evcharge.event.kind IS 'What happened; README.md lists the kinds and their channels';
COMMENT ON COLUMN evcharge.event.connector_id IS 'Connector, where one is concerned';
COMMENT ON COLUMN evcharge.event.transaction_id IS 'Transaction, where one is concerned';
COMMENT ON COLUMN evcharge.event.old_value IS 'Value before the change';
COMMENT ON COLUMN evcharge.event.new_value IS 'Value after the change, or the text that was reported';
COMMENT ON COLUMN evcharge.event.reason IS 'For an anomaly: what is odd, as one word to filter by';
COMMENT ON COLUMN evcharge.event.detail IS 'What is odd, as a sentence; no personal data';
COMMENT ON COLUMN evcharge.event.occurred_at IS 'When it happened, by the clock of who reported it';
COMMENT ON COLUMN evcharge.event.recorded_at IS 'When the database recorded it';
COMMENT ON COLUMN evcharge.event.cluster IS 'System identifier of the cluster that wrote the event, within which written_by has a meaning';
COMMENT ON COLUMN evcharge.event.written_by IS 'Transaction id that wrote the event, for events_since()';

CREATE TABLE evcharge.meter_sample (
	charge_point_id	text NOT NULL,
	transaction_id	int4 NOT NULL,
	sampled_at		timestamptz NOT NULL,
	current_offered	float4 NOT NULL,
	current_unit	text NOT NULL,
	voltage_offered	float4 NOT NULL,
	voltage_unit	text NOT NULL,
	CONSTRAINT meter_sample_pkey PRIMARY KEY (charge_point_id, transaction_id, sampled_at)
);

COMMENT ON TABLE evcharge.meter_sample IS 'Progress of transactions over time, as reported (OCPP MeterValues)';
COMMENT ON COLUMN evcharge.meter_sample.charge_point_id IS 'Charge point of the transaction';
COMMENT ON COLUMN evcharge.meter_sample.transaction_id IS 'Transaction that was sampled; 0 if the report named none';
COMMENT ON COLUMN evcharge.meter_sample.sampled_at IS 'Time of the sample';
COMMENT ON COLUMN evcharge.meter_sample.current_offered IS 'Current offered to the vehicle, in current_unit';
COMMENT ON COLUMN evcharge.meter_sample.current_unit IS 'Unit of the current, A';
COMMENT ON COLUMN evcharge.meter_sample.voltage_offered IS 'Voltage offered to the vehicle, in voltage_unit';
COMMENT ON COLUMN evcharge.meter_sample.voltage_unit IS 'Unit of the voltage, V';

CREATE TABLE evcharge.gateway_log (
	charge_point_id	text NOT NULL,
	event_id		int8 NOT NULL,
	logged_at		timestamptz NOT NULL,
	is_error		bool NOT NULL,
	message			text NOT NULL,
	recorded_at		timestamptz NOT NULL,
	CONSTRAINT gateway_log_pkey PRIMARY KEY (charge_point_id, event_id)
);

COMMENT ON TABLE evcharge.gateway_log IS 'LogData that charge points reported';
COMMENT ON COLUMN evcharge.gateway_log.charge_point_id IS 'Charge point that reported it';
COMMENT ON COLUMN evcharge.gateway_log.event_id IS 'Event that announced it';
COMMENT ON COLUMN evcharge.gateway_log.logged_at IS 'LogData current_time; when it was recorded, if that cannot be read';
COMMENT ON COLUMN evcharge.gateway_log.is_error IS 'Response.error';
COMMENT ON COLUMN evcharge.gateway_log.message IS 'Response.message';
COMMENT ON COLUMN evcharge.gateway_log.recorded_at IS 'When the database recorded it';

-- The version is DDL because it describes DDL: every kind of dump carries it.
CREATE FUNCTION evcharge.tables_version() RETURNS int4
	LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT 1';
COMMENT ON FUNCTION evcharge.tables_version() IS
'Version of the evcharge tables in this database; the library checks it, install() brings it up to date';
REVOKE ALL ON FUNCTION evcharge.tables_version() FROM PUBLIC;

$install$;
COMMENT ON FUNCTION evcharge.install_tables() IS
'Make the tables of evcharge; called by install()';

-- ---------------------------------------------------------------------------
-- The views.  install() runs this body every time; CREATE OR REPLACE keeps the
-- grants that users gave on them, and takes new columns only at the end.
--
-- Dashboards draw them: the columns are text, timestamptz, numeric and int, a
-- flag is 0 or 1.  Days and hours are those of UTC whatever the session's
-- TimeZone.  A view reads the tables with the rights of their owner, but calls
-- functions with those of its reader.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.install_views() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $install$
DECLARE
	period	text;
	step	text;
BEGIN

-- Transactions -------------------------------------------------------------

CREATE OR REPLACE VIEW evcharge.active_transaction AS
SELECT t.charge_point_id,
	t.transaction_id,
	t.connector_id,
	t.started_at,
	CASE WHEN now() < t.started_at THEN 0
		ELSE extract(epoch FROM now() - t.started_at)::int8
	END AS duration_seconds,
	t.start_meter,
	t.confirmed_at,
	o.amperes AS current_offered,
	o.volts AS voltage_offered,
	o.amperes * o.volts * 0.001 AS power_kw,
	t.progress_at
FROM evcharge.transaction t
	CROSS JOIN LATERAL (
		SELECT CASE WHEN lower(t.current_unit) IN ('a', '')
				THEN t.current_offered::numeric END AS amperes,
			CASE WHEN lower(t.voltage_unit) IN ('v', '')
				THEN t.voltage_offered::numeric END AS volts) o
WHERE t.ended_at IS NULL;

COMMENT ON VIEW evcharge.active_transaction IS 'One row per open transaction';
COMMENT ON COLUMN evcharge.active_transaction.charge_point_id IS 'Charge point of the transaction';
COMMENT ON COLUMN evcharge.active_transaction.transaction_id IS 'Number of the transaction within its charge point';
COMMENT ON COLUMN evcharge.active_transaction.connector_id IS 'Connector that charges; 0 or below if the charge point did not say';
COMMENT ON COLUMN evcharge.active_transaction.started_at IS 'When it started; NULL if that is unknown';
COMMENT ON COLUMN evcharge.active_transaction.duration_seconds IS 'How long it has lasted, in seconds; NULL if its start is unknown';
COMMENT ON COLUMN evcharge.active_transaction.start_meter IS 'Meter at the start, in Wh; NULL if unknown';
COMMENT ON COLUMN evcharge.active_transaction.confirmed_at IS 'When the charge point first reported it; NULL if it has not yet';
COMMENT ON COLUMN evcharge.active_transaction.current_offered IS 'Current offered to the vehicle, in A, as last reported; NULL before the first report, and if it came in another unit';
COMMENT ON COLUMN evcharge.active_transaction.voltage_offered IS 'Voltage offered to the vehicle, in V, as last reported; NULL before the first report, and if it came in another unit';
COMMENT ON COLUMN evcharge.active_transaction.power_kw IS 'Power offered to the vehicle, in kW: current times voltage; what it draws is not reported';
COMMENT ON COLUMN evcharge.active_transaction.progress_at IS 'Time of that report; NULL if it came without one';

CREATE OR REPLACE VIEW evcharge.progress_history AS
SELECT m.charge_point_id,
	m.transaction_id,
	t.connector_id,
	m.sampled_at,
	o.amperes AS current_offered,
	o.volts AS voltage_offered,
	o.amperes * o.volts * 0.001 AS power_kw
FROM evcharge.meter_sample m
	LEFT JOIN evcharge.transaction t
		ON t.charge_point_id = m.charge_point_id
		AND t.transaction_id = m.transaction_id
	CROSS JOIN LATERAL (
		SELECT CASE WHEN lower(m.current_unit) IN ('a', '')
				THEN m.current_offered::numeric END AS amperes,
			CASE WHEN lower(m.voltage_unit) IN ('v', '')
				THEN m.voltage_offered::numeric END AS volts) o;

COMMENT ON VIEW evcharge.progress_history IS 'One row per progress that was reported';
COMMENT ON COLUMN evcharge.progress_history.charge_point_id IS 'Charge point that reported it';
COMMENT ON COLUMN evcharge.progress_history.transaction_id IS 'Transaction; 0 if the report named none';
COMMENT ON COLUMN evcharge.progress_history.connector_id IS 'Connector of the transaction; NULL if that is not known';
COMMENT ON COLUMN evcharge.progress_history.sampled_at IS 'Time of the progress';
COMMENT ON COLUMN evcharge.progress_history.current_offered IS 'Current offered to the vehicle, in A; NULL if it came in another unit';
COMMENT ON COLUMN evcharge.progress_history.voltage_offered IS 'Voltage offered to the vehicle, in V; NULL if it came in another unit';
COMMENT ON COLUMN evcharge.progress_history.power_kw IS 'Power offered to the vehicle, in kW: current times voltage';

CREATE OR REPLACE VIEW evcharge.transaction_history AS
SELECT t.charge_point_id,
	t.transaction_id,
	t.connector_id,
	t.started_at,
	t.ended_at,
	CASE WHEN t.ended_at < t.started_at THEN 0
		ELSE extract(epoch FROM t.ended_at - t.started_at)::int8
	END AS duration_seconds,
	t.start_meter,
	t.end_meter,
	CASE WHEN t.end_meter < t.start_meter THEN 0
		ELSE t.end_meter::int8 - t.start_meter
	END * 0.001 AS energy_kwh,
	t.confirmed_at,
	t.stop_reason,
	t.forced::int4 AS forced
FROM evcharge.transaction t
WHERE t.ended_at IS NOT NULL;

COMMENT ON VIEW evcharge.transaction_history IS 'One row per closed transaction';
COMMENT ON COLUMN evcharge.transaction_history.charge_point_id IS 'Charge point of the transaction';
COMMENT ON COLUMN evcharge.transaction_history.transaction_id IS 'Number of the transaction within its charge point';
COMMENT ON COLUMN evcharge.transaction_history.connector_id IS 'Connector that charged; 0 or below if the charge point did not say';
COMMENT ON COLUMN evcharge.transaction_history.started_at IS 'When it started; NULL if that is unknown';
COMMENT ON COLUMN evcharge.transaction_history.ended_at IS 'When it ended';
COMMENT ON COLUMN evcharge.transaction_history.duration_seconds IS 'How long it lasted, in seconds; 0 if it ended before it started, NULL if its start is unknown';
COMMENT ON COLUMN evcharge.transaction_history.start_meter IS 'Meter at the start, in Wh; NULL if unknown';
COMMENT ON COLUMN evcharge.transaction_history.end_meter IS 'Meter at the end, in Wh; NULL if unknown';
COMMENT ON COLUMN evcharge.transaction_history.energy_kwh IS 'Energy charged, in kWh; 0 if the meter went backwards, NULL if a meter is unknown';
COMMENT ON COLUMN evcharge.transaction_history.confirmed_at IS 'When the charge point first reported it; NULL if it never did';
COMMENT ON COLUMN evcharge.transaction_history.stop_reason IS 'Why it ended: OCPP 1.6 section 7.36 Reason';
COMMENT ON COLUMN evcharge.transaction_history.forced IS '1 if the system ended it, 0 if a consumer or the charge point did';

-- Connectors and charge points ---------------------------------------------

-- A connector is available if check_availability() says so.
CREATE OR REPLACE VIEW evcharge.connector_overview AS
SELECT c.charge_point_id,
	c.connector_id,
	c.status::text AS status,
	c.status_since,
	CASE
		WHEN coalesce(p.last_seen_at, '-infinity')
				< (SELECT evcharge.online_since())
			THEN 'offline'
		WHEN c.status = 'Faulted' OR p.status = 'Faulted'
			THEN 'faulted'
		WHEN c.status = 'Unavailable' OR p.status = 'Unavailable'
			OR p.registration <> 'Accepted'
			THEN 'unavailable'
		WHEN c.transaction_id IS NOT NULL
			THEN 'occupied'
		WHEN c.status IN ('Available', 'Preparing')
			THEN 'available'
		WHEN c.status IS NULL
			THEN 'unknown'
		ELSE 'occupied'
	END AS availability,
	c.transaction_id,
	t.started_at,
	t.current_offered,
	t.voltage_offered,
	t.power_kw,
	p.last_seen_at
FROM evcharge.connector c
	LEFT JOIN evcharge.charge_point p
		ON p.charge_point_id = c.charge_point_id
	LEFT JOIN evcharge.active_transaction t
		ON t.charge_point_id = c.charge_point_id
		AND t.transaction_id = c.transaction_id;

COMMENT ON VIEW evcharge.connector_overview IS 'One row per connector: what it does now';
COMMENT ON COLUMN evcharge.connector_overview.charge_point_id IS 'Charge point that has the connector';
COMMENT ON COLUMN evcharge.connector_overview.connector_id IS 'Number of the connector, from 1';
COMMENT ON COLUMN evcharge.connector_overview.status IS 'Newest reported status, as OCPP 1.6 spells it; NULL before the first';
COMMENT ON COLUMN evcharge.connector_overview.status_since IS 'When that status was entered';
COMMENT ON COLUMN evcharge.connector_overview.availability IS 'What a driver finds: available, occupied (or reserved), unavailable, faulted, offline (nothing recent is known) or unknown (no status yet)';
COMMENT ON COLUMN evcharge.connector_overview.transaction_id IS 'The open transaction on it, or NULL';
COMMENT ON COLUMN evcharge.connector_overview.started_at IS 'When that transaction started';
COMMENT ON COLUMN evcharge.connector_overview.current_offered IS 'Current offered to the vehicle, in A, as last reported; NULL if it came in another unit';
COMMENT ON COLUMN evcharge.connector_overview.voltage_offered IS 'Voltage offered to the vehicle, in V, as last reported; NULL if it came in another unit';
COMMENT ON COLUMN evcharge.connector_overview.power_kw IS 'Power offered to the vehicle, in kW: current times voltage; what it draws is not reported';
COMMENT ON COLUMN evcharge.connector_overview.last_seen_at IS 'When the charge point last reported anything';

CREATE OR REPLACE VIEW evcharge.charge_point_overview AS
SELECT p.charge_point_id,
	p.registration::text AS registration,
	p.status::text AS status,
	p.status_since,
	CASE WHEN coalesce(p.last_seen_at, '-infinity')
			< (SELECT evcharge.online_since())
		THEN 'offline' ELSE 'online'
	END AS connection,
	p.charge_point_vendor AS vendor,
	p.charge_point_model AS model,
	p.charge_point_serial_number AS serial_number,
	p.firmware_version,
	coalesce(c.connectors, 0) AS connectors,
	coalesce(c.available, 0) AS connectors_available,
	coalesce(c.occupied, 0) AS connectors_occupied,
	coalesce(c.unavailable, 0) AS connectors_unavailable,
	coalesce(c.faulted, 0) AS connectors_faulted,
	coalesce(c.offline, 0) AS connectors_offline,
	coalesce(c.unknown, 0) AS connectors_unknown,
	coalesce(t.open_transactions, 0) AS open_transactions,
	coalesce(a.auth_entries, 0) AS auth_entries,
	p.auth_list_version,
	p.last_transaction_id,
	p.last_event_id,
	p.registered_at,
	p.booted_at,
	p.last_seen_at
FROM evcharge.charge_point p
	LEFT JOIN (
		SELECT charge_point_id,
			count(*) AS connectors,
			count(*) FILTER (WHERE availability = 'available') AS available,
			count(*) FILTER (WHERE availability = 'occupied') AS occupied,
			count(*) FILTER (WHERE availability = 'unavailable') AS unavailable,
			count(*) FILTER (WHERE availability = 'faulted') AS faulted,
			count(*) FILTER (WHERE availability = 'offline') AS offline,
			count(*) FILTER (WHERE availability = 'unknown') AS unknown
		FROM evcharge.connector_overview
		GROUP BY charge_point_id) c
		ON c.charge_point_id = p.charge_point_id
	LEFT JOIN (
		SELECT charge_point_id, count(*) AS open_transactions
		FROM evcharge.transaction
		WHERE ended_at IS NULL
		GROUP BY charge_point_id) t
		ON t.charge_point_id = p.charge_point_id
	LEFT JOIN (
		SELECT charge_point_id, count(*) AS auth_entries
		FROM evcharge.auth
		WHERE removed_at IS NULL
		GROUP BY charge_point_id) a
		ON a.charge_point_id = p.charge_point_id;

COMMENT ON VIEW evcharge.charge_point_overview IS 'One row per charge point: what it is and how it stands';
COMMENT ON COLUMN evcharge.charge_point_overview.charge_point_id IS 'Identity of the charge point';
COMMENT ON COLUMN evcharge.charge_point_overview.registration IS 'Accepted, Pending or Rejected';
COMMENT ON COLUMN evcharge.charge_point_overview.status IS 'Status of the charge point as a whole, as OCPP 1.6 spells it; NULL before it was reported';
COMMENT ON COLUMN evcharge.charge_point_overview.status_since IS 'When that status was entered';
COMMENT ON COLUMN evcharge.charge_point_overview.connection IS 'online if it was seen within evcharge.offline_after, else offline';
COMMENT ON COLUMN evcharge.charge_point_overview.vendor IS 'Vendor, from its BootNotification';
COMMENT ON COLUMN evcharge.charge_point_overview.model IS 'Model, from its BootNotification';
COMMENT ON COLUMN evcharge.charge_point_overview.serial_number IS 'Serial number, from its BootNotification';
COMMENT ON COLUMN evcharge.charge_point_overview.firmware_version IS 'Firmware version, from its BootNotification';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors IS 'Number of its connectors';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_available IS 'Number of connectors where a driver could start; see connector_overview.availability';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_occupied IS 'Number of connectors in use or reserved; see connector_overview.availability';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_unavailable IS 'Number of connectors out of service; see connector_overview.availability';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_faulted IS 'Number of connectors with a fault; see connector_overview.availability';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_offline IS 'Number of connectors of which nothing recent is known';
COMMENT ON COLUMN evcharge.charge_point_overview.connectors_unknown IS 'Number of connectors that have not reported a status yet';
COMMENT ON COLUMN evcharge.charge_point_overview.open_transactions IS 'Number of open transactions';
COMMENT ON COLUMN evcharge.charge_point_overview.auth_entries IS 'Number of entries on its authorization list';
COMMENT ON COLUMN evcharge.charge_point_overview.auth_list_version IS 'Version of its authorization list';
COMMENT ON COLUMN evcharge.charge_point_overview.last_transaction_id IS 'Newest transaction id given out or reported';
COMMENT ON COLUMN evcharge.charge_point_overview.last_event_id IS 'Newest event id: the number of events that it ever had';
COMMENT ON COLUMN evcharge.charge_point_overview.registered_at IS 'When it was first heard of';
COMMENT ON COLUMN evcharge.charge_point_overview.booted_at IS 'When its last BootNotification arrived; NULL if none did';
COMMENT ON COLUMN evcharge.charge_point_overview.last_seen_at IS 'When it last reported anything';

CREATE OR REPLACE VIEW evcharge.auth_overview AS
SELECT a.charge_point_id,
	a.id_tag,
	a.parent_id_tag,
	a.consumer_key,
	CASE WHEN a.status = 'Accepted' AND a.expires_at <= now()
		THEN 'Expired' ELSE a.status::text
	END AS status,
	a.expires_at,
	a.transaction_id,
	t.connector_id,
	t.started_at,
	a.list_version
FROM evcharge.auth a
	LEFT JOIN evcharge.active_transaction t
		ON t.charge_point_id = a.charge_point_id
		AND t.transaction_id = a.transaction_id
WHERE a.removed_at IS NULL;

COMMENT ON VIEW evcharge.auth_overview IS 'One row per entry of the authorization lists as they stand; personal data, for operators only';
COMMENT ON COLUMN evcharge.auth_overview.charge_point_id IS 'Charge point whose list has the entry';
COMMENT ON COLUMN evcharge.auth_overview.id_tag IS 'Id tag; personal data';
COMMENT ON COLUMN evcharge.auth_overview.parent_id_tag IS 'Parent id tag, if it has one; personal data';
COMMENT ON COLUMN evcharge.auth_overview.consumer_key IS 'Public key of the consumer that holds the tag; personal data';
COMMENT ON COLUMN evcharge.auth_overview.status IS 'OCPP AuthorizationStatus in force: Expired once expires_at has passed; NULL if the entry came without one, which authorizes nothing';
COMMENT ON COLUMN evcharge.auth_overview.expires_at IS 'From when on it no longer authorizes; NULL for never';
COMMENT ON COLUMN evcharge.auth_overview.transaction_id IS 'The open transaction that uses the tag, or NULL';
COMMENT ON COLUMN evcharge.auth_overview.connector_id IS 'Connector of that transaction';
COMMENT ON COLUMN evcharge.auth_overview.started_at IS 'When that transaction started';
COMMENT ON COLUMN evcharge.auth_overview.list_version IS 'List version that last changed the entry';

-- Energy -------------------------------------------------------------------

-- A session's energy up to an instant is its share in whole Wh, rounded down;
-- what a period gets is the difference between its two ends.  So the periods
-- add up to the session, and hours to days.  A session has no usable span if
-- its start is unknown or not before its end, or a clock was off by a year: it
-- goes whole into the period of its end.
--
-- The planner takes a series for 1000 rows, but an array for 10, which is near
-- enough to keep it from compiling a plan that runs for half a second.
FOR period, step IN VALUES ('hour', '1 hour'), ('day', '24 hours') LOOP
	EXECUTE format($view$
CREATE OR REPLACE VIEW evcharge.%3$s AS
SELECT p.%1$s,
	s.charge_point_id,
	s.connector_id,
	sum(e.upto_end - e.upto_start)::int8 AS energy_wh,
	sum(e.upto_end - e.upto_start) * 0.001 AS energy_kwh,
	count(*) AS transactions
FROM (
	SELECT charge_point_id, connector_id, ended_at,
		CASE WHEN started_at < ended_at
				AND ended_at <= started_at + interval '366 days'
			THEN started_at ELSE ended_at
		END AS started_at,
		greatest(end_meter::int8 - start_meter, 0) AS wh
	FROM evcharge.transaction
	WHERE ended_at IS NOT NULL) s
	CROSS JOIN LATERAL unnest(ARRAY(SELECT generate_series(
		date_trunc(%1$L, s.started_at, 'UTC'),
		greatest(s.started_at, s.ended_at - interval '1 microsecond'),
		interval %2$L))) AS p (%1$s)
	CROSS JOIN LATERAL (
		SELECT CASE WHEN p.%1$s <= s.started_at THEN 0
				ELSE div(s.wh * extract(epoch FROM p.%1$s - s.started_at),
					extract(epoch FROM s.ended_at - s.started_at))::int8
			END AS upto_start,
			CASE WHEN s.ended_at <= p.%1$s + interval %2$L THEN s.wh
				ELSE div(s.wh * extract(epoch FROM
						p.%1$s + interval %2$L - s.started_at),
					extract(epoch FROM s.ended_at - s.started_at))::int8
			END AS upto_end) e
GROUP BY p.%1$s, s.charge_point_id, s.connector_id
	$view$, period, step,
	CASE period WHEN 'hour' THEN 'energy_hourly' ELSE 'energy_daily' END);
END LOOP;

COMMENT ON VIEW evcharge.energy_hourly IS 'Energy of the closed transactions per hour and connector, each spread over its hours in proportion to time, in whole Wh that add up to it exactly';
COMMENT ON COLUMN evcharge.energy_hourly.hour IS 'Start of the hour';
COMMENT ON COLUMN evcharge.energy_hourly.charge_point_id IS 'Charge point';
COMMENT ON COLUMN evcharge.energy_hourly.connector_id IS 'Connector; 0 or below if the charge point did not say';
COMMENT ON COLUMN evcharge.energy_hourly.energy_wh IS 'Energy, in Wh; 0 for a transaction whose meters are unknown or went backwards';
COMMENT ON COLUMN evcharge.energy_hourly.energy_kwh IS 'Energy, in kWh';
COMMENT ON COLUMN evcharge.energy_hourly.transactions IS 'Number of closed transactions that ran in that hour';
COMMENT ON VIEW evcharge.energy_daily IS 'Energy of the closed transactions per day (UTC) and connector: the sum of energy_hourly';
COMMENT ON COLUMN evcharge.energy_daily.day IS 'Start of the day, in UTC';
COMMENT ON COLUMN evcharge.energy_daily.charge_point_id IS 'Charge point';
COMMENT ON COLUMN evcharge.energy_daily.connector_id IS 'Connector; 0 or below if the charge point did not say';
COMMENT ON COLUMN evcharge.energy_daily.energy_wh IS 'Energy, in Wh; 0 for a transaction whose meters are unknown or went backwards';
COMMENT ON COLUMN evcharge.energy_daily.energy_kwh IS 'Energy, in kWh';
COMMENT ON COLUMN evcharge.energy_daily.transactions IS 'Number of closed transactions that ran on that day';

-- Use of the connectors over time ------------------------------------------

-- A late report falls into its place by its own time.  A connector that was
-- removed has no status until it is reported again.
CREATE OR REPLACE VIEW evcharge.connector_timeline AS
SELECT s.charge_point_id,
	s.connector_id,
	s.status,
	s.started_at,
	s.ended_at,
	CASE WHEN s.started_at < coalesce(s.ended_at, now())
		THEN extract(epoch FROM coalesce(s.ended_at, now()) - s.started_at)::int8
		ELSE 0
	END AS duration_seconds,
	s.event_id
FROM (
	SELECT r.charge_point_id, r.connector_id, r.status, r.event_id,
		r.occurred_at AS started_at,
		lead(r.occurred_at) OVER (PARTITION BY r.charge_point_id, r.connector_id
			ORDER BY r.occurred_at, r.event_id) AS ended_at
	FROM (
		SELECT e.charge_point_id, e.connector_id, e.event_id, e.occurred_at,
			CASE e.kind WHEN 'connector_status' THEN e.new_value END AS status,
			lag(CASE e.kind WHEN 'connector_status' THEN e.new_value END)
				OVER (PARTITION BY e.charge_point_id, e.connector_id
					ORDER BY e.occurred_at, e.event_id) AS previous
		FROM evcharge.event e
		WHERE e.kind IN ('connector_status', 'connector_removed')) r
	WHERE r.status IS DISTINCT FROM r.previous) s
WHERE s.status IS NOT NULL;

COMMENT ON VIEW evcharge.connector_timeline IS 'One row per stretch of time that a connector spent in one status, by the times of its reports';
COMMENT ON COLUMN evcharge.connector_timeline.charge_point_id IS 'Charge point that has the connector';
COMMENT ON COLUMN evcharge.connector_timeline.connector_id IS 'Number of the connector';
COMMENT ON COLUMN evcharge.connector_timeline.status IS 'Status, as OCPP 1.6 spells it';
COMMENT ON COLUMN evcharge.connector_timeline.started_at IS 'When it was entered';
COMMENT ON COLUMN evcharge.connector_timeline.ended_at IS 'When it was left; NULL while it lasts';
COMMENT ON COLUMN evcharge.connector_timeline.duration_seconds IS 'How long it lasted, or has lasted until now, in seconds';
COMMENT ON COLUMN evcharge.connector_timeline.event_id IS 'Event that reported it first';

-- Of each session a day counts what no earlier session of that day covers, so
-- that time is counted once.  A session's span is that of the energy views.
CREATE OR REPLACE VIEW evcharge.connector_utilization AS
SELECT u.day,
	u.charge_point_id,
	u.connector_id,
	u.sessions,
	round(u.seconds)::int8 AS occupied_seconds,
	round(u.seconds / 3600, 3) AS occupied_hours,
	round(u.seconds / 864, 2) AS utilization_percent,
	coalesce(e.energy_kwh, 0.000) AS energy_kwh
FROM (
	SELECT v.day, v.charge_point_id, v.connector_id,
		count(*) AS sessions,
		sum(CASE WHEN greatest(v.started_at, v.covered_to) < v.ended_at
			THEN extract(epoch FROM
				v.ended_at - greatest(v.started_at, v.covered_to))
			ELSE 0 END) AS seconds
	FROM (
		SELECT w.day, w.charge_point_id, w.connector_id,
			w.started_at, w.ended_at,
			max(w.ended_at) OVER (
				PARTITION BY w.day, w.charge_point_id, w.connector_id
				ORDER BY w.started_at, w.ended_at
				ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS covered_to
		FROM (
			SELECT d.day, s.charge_point_id, s.connector_id,
				greatest(s.started_at, d.day) AS started_at,
				least(s.ended_at, d.day + interval '24 hours') AS ended_at
			FROM (
				SELECT t.charge_point_id, t.connector_id,
					CASE WHEN t.started_at < coalesce(t.ended_at, now())
							AND coalesce(t.ended_at, now())
								<= t.started_at + interval '366 days'
						THEN t.started_at ELSE coalesce(t.ended_at, now())
					END AS started_at,
					coalesce(t.ended_at, now()) AS ended_at
				FROM evcharge.transaction t
				WHERE t.connector_id > 0) s
				CROSS JOIN LATERAL unnest(ARRAY(SELECT generate_series(
					date_trunc('day', s.started_at, 'UTC'),
					greatest(s.started_at,
						s.ended_at - interval '1 microsecond'),
					interval '24 hours'))) AS d (day)) w) v
	GROUP BY v.day, v.charge_point_id, v.connector_id) u
	LEFT JOIN evcharge.energy_daily e
		ON e.day = u.day
		AND e.charge_point_id = u.charge_point_id
		AND e.connector_id = u.connector_id;

COMMENT ON VIEW evcharge.connector_utilization IS 'One row per day (UTC) and connector that had a transaction, open ones counted until now';
COMMENT ON COLUMN evcharge.connector_utilization.day IS 'Start of the day, in UTC';
COMMENT ON COLUMN evcharge.connector_utilization.charge_point_id IS 'Charge point that has the connector';
COMMENT ON COLUMN evcharge.connector_utilization.connector_id IS 'Number of the connector';
COMMENT ON COLUMN evcharge.connector_utilization.sessions IS 'Number of transactions that ran on that day';
COMMENT ON COLUMN evcharge.connector_utilization.occupied_seconds IS 'Time with a transaction, in seconds; overlapping transactions count once';
COMMENT ON COLUMN evcharge.connector_utilization.occupied_hours IS 'The same, in hours';
COMMENT ON COLUMN evcharge.connector_utilization.utilization_percent IS 'The same, in percent of 24 hours';
COMMENT ON COLUMN evcharge.connector_utilization.energy_kwh IS 'Energy of the closed transactions on that day, in kWh; see energy_daily';

-- What is odd, and how all of it stands ------------------------------------

CREATE OR REPLACE VIEW evcharge.anomaly AS
SELECT e.charge_point_id,
	e.event_id,
	e.connector_id,
	e.transaction_id,
	e.reason,
	e.detail,
	e.new_value AS reported,
	e.occurred_at,
	e.recorded_at
FROM evcharge.event e
WHERE e.kind = 'anomaly';

COMMENT ON VIEW evcharge.anomaly IS 'One row per odd thing that was reported and recorded all the same';
COMMENT ON COLUMN evcharge.anomaly.charge_point_id IS 'Charge point that reported it';
COMMENT ON COLUMN evcharge.anomaly.event_id IS 'Number of the event within its charge point';
COMMENT ON COLUMN evcharge.anomaly.connector_id IS 'Connector, where one is concerned';
COMMENT ON COLUMN evcharge.anomaly.transaction_id IS 'Transaction, where one is concerned';
COMMENT ON COLUMN evcharge.anomaly.reason IS 'What is odd, as one word to filter by; README.md lists them';
COMMENT ON COLUMN evcharge.anomaly.detail IS 'What is odd, as a sentence';
COMMENT ON COLUMN evcharge.anomaly.reported IS 'The text that was reported, where that is what is odd';
COMMENT ON COLUMN evcharge.anomaly.occurred_at IS 'When it happened, by the clock of who reported it';
COMMENT ON COLUMN evcharge.anomaly.recorded_at IS 'When the database recorded it';

-- No index has the time of an event, and none is wanted on the hot path.  The
-- events of one charge point are recorded in the order of their ids, though, so
-- its last day is found from its end: this reads the events of a day and one
-- more per charge point, however long the history is.
CREATE OR REPLACE VIEW evcharge.gateway_health AS
SELECT now() AS observed_at,
	p.charge_points,
	p.charge_points_online,
	p.charge_points - p.charge_points_online AS charge_points_offline,
	p.charge_points_pending,
	p.connectors,
	p.connectors_available,
	p.connectors_occupied,
	p.connectors_unavailable,
	p.connectors_faulted,
	p.connectors_offline,
	p.connectors_unknown,
	t.open_transactions,
	t.unconfirmed_transactions,
	e.events_24h,
	e.anomalies_24h,
	e.newest_event_at,
	evcharge.notify_mode() AS notify_mode,
	round(pg_notification_queue_usage()::numeric * 100, 2)
		AS notification_queue_percent,
	(SELECT extversion FROM pg_extension WHERE extname = 'evcharge')
		AS extension_version,
	evcharge.tables_version() AS tables_version
FROM (
	SELECT count(*) AS charge_points,
		count(*) FILTER (WHERE connection = 'online') AS charge_points_online,
		count(*) FILTER (WHERE registration = 'Pending') AS charge_points_pending,
		coalesce(sum(connectors), 0)::int8 AS connectors,
		coalesce(sum(connectors_available), 0)::int8 AS connectors_available,
		coalesce(sum(connectors_occupied), 0)::int8 AS connectors_occupied,
		coalesce(sum(connectors_unavailable), 0)::int8 AS connectors_unavailable,
		coalesce(sum(connectors_faulted), 0)::int8 AS connectors_faulted,
		coalesce(sum(connectors_offline), 0)::int8 AS connectors_offline,
		coalesce(sum(connectors_unknown), 0)::int8 AS connectors_unknown
	FROM evcharge.charge_point_overview) p
	CROSS JOIN (
		SELECT count(*) AS open_transactions,
			count(*) FILTER (WHERE confirmed_at IS NULL)
				AS unconfirmed_transactions
		FROM evcharge.active_transaction) t
	CROSS JOIN (
		SELECT coalesce(sum(recent.events), 0)::int8 AS events_24h,
			coalesce(sum(recent.anomalies), 0)::int8 AS anomalies_24h,
			max(coalesce(recent.newest_at, before.recorded_at))
				AS newest_event_at
		FROM evcharge.charge_point c
			LEFT JOIN LATERAL (
				SELECT event_id, recorded_at
				FROM evcharge.event
				WHERE charge_point_id = c.charge_point_id
					AND recorded_at < now() - interval '24 hours'
				ORDER BY event_id DESC
				LIMIT 1) before ON true
			CROSS JOIN LATERAL (
				SELECT count(*) AS events,
					count(*) FILTER (WHERE kind = 'anomaly') AS anomalies,
					max(recorded_at) AS newest_at
				FROM evcharge.event
				WHERE charge_point_id = c.charge_point_id
					AND event_id > coalesce(before.event_id, 0)) recent) e;

COMMENT ON VIEW evcharge.gateway_health IS 'One row: how the gateway and its charge points stand';
COMMENT ON COLUMN evcharge.gateway_health.observed_at IS 'Now';
COMMENT ON COLUMN evcharge.gateway_health.charge_points IS 'Number of charge points';
COMMENT ON COLUMN evcharge.gateway_health.charge_points_online IS 'Number of charge points seen within evcharge.offline_after';
COMMENT ON COLUMN evcharge.gateway_health.charge_points_offline IS 'Number of the others';
COMMENT ON COLUMN evcharge.gateway_health.charge_points_pending IS 'Number of charge points that wait for set_registration()';
COMMENT ON COLUMN evcharge.gateway_health.connectors IS 'Number of connectors';
COMMENT ON COLUMN evcharge.gateway_health.connectors_available IS 'Number of connectors where a driver could start; see connector_overview.availability';
COMMENT ON COLUMN evcharge.gateway_health.connectors_occupied IS 'Number of connectors in use or reserved; see connector_overview.availability';
COMMENT ON COLUMN evcharge.gateway_health.connectors_unavailable IS 'Number of connectors out of service; see connector_overview.availability';
COMMENT ON COLUMN evcharge.gateway_health.connectors_faulted IS 'Number of connectors with a fault; see connector_overview.availability';
COMMENT ON COLUMN evcharge.gateway_health.connectors_offline IS 'Number of connectors of which nothing recent is known';
COMMENT ON COLUMN evcharge.gateway_health.connectors_unknown IS 'Number of connectors that have not reported a status yet';
COMMENT ON COLUMN evcharge.gateway_health.open_transactions IS 'Number of open transactions';
COMMENT ON COLUMN evcharge.gateway_health.unconfirmed_transactions IS 'Number of open transactions that their charge point never reported';
COMMENT ON COLUMN evcharge.gateway_health.events_24h IS 'Number of events recorded in the last 24 hours';
COMMENT ON COLUMN evcharge.gateway_health.anomalies_24h IS 'Number of anomalies among them';
COMMENT ON COLUMN evcharge.gateway_health.newest_event_at IS 'When the newest event was recorded; NULL if there is none';
COMMENT ON COLUMN evcharge.gateway_health.notify_mode IS 'How changes are announced: evcharge.notify as it is in force';
COMMENT ON COLUMN evcharge.gateway_health.notification_queue_percent IS 'How full the server''s notification queue is, in percent; it grows while a listener sits in a transaction';
COMMENT ON COLUMN evcharge.gateway_health.extension_version IS 'Version of the extension in this database';
COMMENT ON COLUMN evcharge.gateway_health.tables_version IS 'Version of its tables';

-- Rules across rows: what the functions keep true and no constraint can.
-- Everything is grouped or joined as a whole, never row by row, so that it
-- stays fast with millions of rows.
CREATE OR REPLACE VIEW evcharge.integrity AS
SELECT 'charge point exists' AS rule,
	r.charge_point_id,
	NULL::int4 AS connector_id,
	NULL::int4 AS transaction_id,
	format('Table %s has rows (%s) of this charge point, which does not exist.',
		r.in_table, r.how_many) AS detail
FROM (
	SELECT 'connector' AS in_table, charge_point_id, count(*) AS how_many
	FROM evcharge.connector GROUP BY charge_point_id
	UNION ALL
	SELECT 'transaction', charge_point_id, count(*)
	FROM evcharge.transaction GROUP BY charge_point_id
	UNION ALL
	SELECT 'auth', charge_point_id, count(*)
	FROM evcharge.auth GROUP BY charge_point_id
	UNION ALL
	SELECT 'event', charge_point_id, count(*)
	FROM evcharge.event GROUP BY charge_point_id
	UNION ALL
	SELECT 'meter_sample', charge_point_id, count(*)
	FROM evcharge.meter_sample GROUP BY charge_point_id
	UNION ALL
	SELECT 'gateway_log', charge_point_id, count(*)
	FROM evcharge.gateway_log GROUP BY charge_point_id) r
WHERE NOT EXISTS (
	SELECT FROM evcharge.charge_point p
	WHERE p.charge_point_id = r.charge_point_id)
UNION ALL
SELECT 'connector has its transaction',
	c.charge_point_id, c.connector_id, c.transaction_id,
	'The connector names a transaction that is not an open one of its own.'
FROM evcharge.connector c
WHERE c.transaction_id IS NOT NULL
	AND NOT EXISTS (
		SELECT FROM evcharge.transaction t
		WHERE t.charge_point_id = c.charge_point_id
			AND t.transaction_id = c.transaction_id
			AND t.connector_id = c.connector_id
			AND t.ended_at IS NULL)
UNION ALL
SELECT 'transaction has its connector',
	t.charge_point_id, t.connector_id, t.transaction_id,
	'The transaction is open, but its connector does not name it.'
FROM evcharge.transaction t
WHERE t.ended_at IS NULL
	AND t.connector_id > 0
	AND NOT EXISTS (
		SELECT FROM evcharge.connector c
		WHERE c.charge_point_id = t.charge_point_id
			AND c.connector_id = t.connector_id
			AND c.transaction_id = t.transaction_id)
UNION ALL
SELECT 'auth entry has its transaction',
	a.charge_point_id, NULL, a.transaction_id,
	format('The auth entry of list version %s names a transaction that is not open.',
		a.list_version)
FROM evcharge.auth a
WHERE a.transaction_id IS NOT NULL
	AND NOT EXISTS (
		SELECT FROM evcharge.transaction t
		WHERE t.charge_point_id = a.charge_point_id
			AND t.transaction_id = a.transaction_id
			AND t.ended_at IS NULL)
UNION ALL
SELECT 'auth list version',
	a.charge_point_id, NULL, NULL,
	format('%s auth entries, up to list version %s, are newer than the list, version %s.',
		count(*), max(a.list_version), p.auth_list_version)
FROM evcharge.auth a
	JOIN evcharge.charge_point p ON p.charge_point_id = a.charge_point_id
WHERE a.list_version > p.auth_list_version
GROUP BY a.charge_point_id, p.auth_list_version
UNION ALL
SELECT 'times are finite',
	t.charge_point_id, t.connector_id, t.transaction_id,
	format('The transaction lasts from %s to %s.', t.started_at, t.ended_at)
FROM evcharge.transaction t
WHERE NOT isfinite(t.started_at) OR NOT isfinite(t.ended_at)
UNION ALL
SELECT 'status before a fault',
	c.charge_point_id, c.connector_id, NULL,
	format('The connector is not Faulted, but %s, and has a status before the fault, %s.',
		coalesce(c.status::text, 'without a status'), c.status_before_fault)
FROM evcharge.connector c
WHERE c.status_before_fault IS NOT NULL
	AND c.status IS DISTINCT FROM 'Faulted'
UNION ALL
-- Old events may be purged, so a gap counts only above the oldest.
SELECT 'event ids have no gap',
	e.charge_point_id, NULL, NULL,
	format('There are %s events from id %s to %s; the newest should be %s.',
		e.events, e.oldest, e.newest, p.last_event_id)
FROM (
	SELECT charge_point_id, count(*) AS events,
		min(event_id) AS oldest, max(event_id) AS newest
	FROM evcharge.event
	GROUP BY charge_point_id) e
	JOIN evcharge.charge_point p ON p.charge_point_id = e.charge_point_id
WHERE e.newest <> p.last_event_id
	OR e.newest - e.oldest + 1 <> e.events
UNION ALL
SELECT 'log entry has its event',
	l.charge_point_id, NULL, NULL,
	format('Log entry %s has no event of kind log.', l.event_id)
FROM evcharge.gateway_log l
	LEFT JOIN (
		SELECT charge_point_id, min(event_id) AS oldest
		FROM evcharge.event
		GROUP BY charge_point_id) e
		ON e.charge_point_id = l.charge_point_id
WHERE l.event_id >= e.oldest
	AND NOT EXISTS (
		SELECT FROM evcharge.event v
		WHERE v.charge_point_id = l.charge_point_id
			AND v.event_id = l.event_id
			AND v.kind = 'log');

COMMENT ON VIEW evcharge.integrity IS 'One row per violated rule, none when all is well; see check_integrity()';
COMMENT ON COLUMN evcharge.integrity.rule IS 'The rule, in words';
COMMENT ON COLUMN evcharge.integrity.charge_point_id IS 'Charge point where it is violated';
COMMENT ON COLUMN evcharge.integrity.connector_id IS 'Connector, where one is concerned';
COMMENT ON COLUMN evcharge.integrity.transaction_id IS 'Transaction, where one is concerned';
COMMENT ON COLUMN evcharge.integrity.detail IS 'What is wrong, as a sentence; no personal data';

END
$install$;
COMMENT ON FUNCTION evcharge.install_views() IS
'Make or renew the views of evcharge; called by install()';
-- ---------------------------------------------------------------------------
-- install(): makes the tables and views, and later brings them up to date.
--
-- They are ordinary objects of the role that runs it first, not members of the
-- extension: a dump carries them with all that users add to them, and DROP
-- EXTENSION does not silently take the data along.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.install() RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
SET client_min_messages = warning
AS $install$
DECLARE
	newest		CONSTANT int4 := 1;
	version		int4;
	owner		name;
	stranger	name;
BEGIN
	-- One call at a time; the others then find the work done.
	PERFORM pg_advisory_xact_lock('pg_namespace'::regclass::oid::int4,
		'evcharge'::regnamespace::oid::int4);

	IF to_regprocedure('evcharge.tables_version()') IS NULL THEN
		-- Nothing of ours is here yet, so nothing of others may be.
		SELECT c.relname INTO stranger
		FROM pg_class c
		WHERE c.relnamespace = 'evcharge'::regnamespace
			AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
		ORDER BY c.relname
		LIMIT 1;
		IF FOUND THEN
			RAISE EXCEPTION USING ERRCODE = 'duplicate_table',
				MESSAGE = format('schema evcharge already has a relation "%s"', stranger),
				DETAIL = 'The tables of evcharge are not installed, so install() did not make it.',
				HINT = 'Drop it or move it to another schema, then call install() again.';
		END IF;
		PERFORM evcharge.install_tables();
	ELSE
		-- What is new must have the owner of what is there; and nobody runs
		-- the code of another role by calling this.
		SELECT pg_get_userbyid(p.proowner) INTO owner
		FROM pg_proc p
		WHERE p.oid = to_regprocedure('evcharge.tables_version()');
		IF owner <> current_user THEN
			RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
				MESSAGE = format('the tables of evcharge belong to role "%s"', owner),
				DETAIL = format('The current role is "%s".', current_user),
				HINT = format('Run SET ROLE %I, then call install() again.', owner);
		END IF;
	END IF;

	-- install_tables() makes the tables of the newest version.  Older ones take
	-- one step from each version to the next, which raises tables_version().
	version := evcharge.tables_version();
	IF version > newest THEN
		RAISE EXCEPTION USING ERRCODE = 'OC006',
			MESSAGE = format('the tables of evcharge are of version %s, the extension knows version %s',
				version, newest),
			HINT = 'Install the version of evcharge that made these tables, or a newer one.';
	END IF;

	PERFORM evcharge.install_views();
END
$install$;
COMMENT ON FUNCTION evcharge.install() IS
'Make the tables and views of evcharge, owned by the caller, or bring those that are there up to date';

CREATE FUNCTION evcharge.check_integrity()
RETURNS TABLE (
	rule text,
	charge_point_id text,
	connector_id int4,
	transaction_id int4,
	detail text)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	IF to_regclass('evcharge.integrity') IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'OC006',
			MESSAGE = 'the tables of evcharge are not installed in this database',
			DETAIL = 'There is no view evcharge.integrity.',
			HINT = 'Run SELECT evcharge.install() as the role that is to own them.';
	END IF;
	RETURN QUERY SELECT * FROM evcharge.integrity;
END
$$;
COMMENT ON FUNCTION evcharge.check_integrity() IS
'Return a row for each violated rule of the tables, none when all is well';
-- ---------------------------------------------------------------------------
-- Access.  PUBLIC gets nothing, and nobody needs rights to change a table: the
-- functions run their SQL with the rights of the owner of the tables.
--
-- There is a recipe for four kinds of user:
--
--	ingest		a gateway: sends what charge points and consumers send
--	reader		a dashboard or listener: sees everything but personal data
--	operator	a reader who also sees and decides who may charge
--	monitor		an alarm: sees whether all is well
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.access_rules()
RETURNS TABLE (kinds text[], relations name[], functions name[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp
AS $$
VALUES
	('{ingest}'::text[], '{}'::name[],
		'{boot_notification, heartbeat, report_connector, report_transaction,
		report_progress, report_log, authorize, check_availability,
		start_transaction, handle, handle_event, apply_batch}'::name[]),
	('{ingest, operator}', '{}',
		'{stop_transaction, charge_point_state, auth_list_changes}'),
	('{ingest, reader, operator}', '{}',
		'{events_since, event_cursor, state_change}'),
	('{reader, operator}',
		'{charge_point_overview, connector_overview, active_transaction,
		transaction_history, energy_hourly, energy_daily, connector_timeline,
		connector_utilization, progress_history}', '{}'),
	('{reader, operator, monitor}',
		'{gateway_health, anomaly}', '{online_since, notify_mode}'),
	('{operator}',
		'{auth_overview, charge_point, connector, transaction, auth, event,
		meter_sample, gateway_log}',
		'{set_registration, set_authorization, load_state}'),
	('{operator, monitor}', '{integrity}', '{check_integrity}'),
	('{ingest, reader, operator, monitor}', '{}', '{try_decode, validate}')
$$;
COMMENT ON FUNCTION evcharge.access_rules() IS
'Return what each kind of user may read and call; every kind may also call the functions that are IMMUTABLE, which tell nothing of the data';

CREATE FUNCTION evcharge.grant_access(role_name name, kind text) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command		text;
BEGIN
	IF NOT EXISTS (SELECT FROM evcharge.access_rules() r
			WHERE kind = ANY (r.kinds)) THEN
		RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
			MESSAGE = format('there is no kind of user "%s"', kind),
			HINT = 'The kinds are ingest, reader, operator and monitor.';
	ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
		-- GRANT would take "public", even in quotes, for everybody.
		RAISE EXCEPTION USING ERRCODE = 'undefined_object',
			MESSAGE = format('role "%s" does not exist', role_name);
	ELSIF to_regclass('evcharge.integrity') IS NULL THEN
		RAISE EXCEPTION USING ERRCODE = 'OC006',
			MESSAGE = 'the tables of evcharge are not installed in this database',
			DETAIL = 'There is no view evcharge.integrity.',
			HINT = 'Run SELECT evcharge.install() as the role that is to own them.';
	ELSIF NOT has_schema_privilege('evcharge', 'USAGE WITH GRANT OPTION')
			OR NOT has_table_privilege('evcharge.integrity', 'SELECT WITH GRANT OPTION')
			OR NOT has_function_privilege('evcharge.notify_mode()', 'EXECUTE WITH GRANT OPTION') THEN
		-- GRANT would warn, grant nothing, and succeed.
		RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege',
			MESSAGE = format('role "%s" cannot grant rights in schema evcharge', current_user),
			DETAIL = 'It needs them with the grant option.',
			HINT = 'Call grant_access() as a superuser.';
	END IF;

	FOR command IN
		SELECT 'USAGE ON SCHEMA evcharge'
		UNION ALL
		SELECT format('USAGE ON TYPE %s', t.oid::regtype)
		FROM pg_type t
		WHERE t.typnamespace = 'evcharge'::regnamespace
			AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A'
		UNION ALL
		SELECT format('SELECT ON evcharge.%I', relation)
		FROM evcharge.access_rules() r, unnest(r.relations) relation
		WHERE kind = ANY (r.kinds)
		UNION ALL
		SELECT format('EXECUTE ON ROUTINE %s', p.oid::regprocedure)
		FROM pg_proc p
		WHERE p.pronamespace = 'evcharge'::regnamespace
			AND (p.provolatile = 'i'
				OR EXISTS (SELECT FROM evcharge.access_rules() r
					WHERE kind = ANY (r.kinds)
						AND p.proname = ANY (r.functions)))
	LOOP
		EXECUTE format('GRANT %s TO %I', command, role_name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION evcharge.grant_access(name, text) IS
'Grant a role what a kind of user needs: ingest, reader, operator or monitor; it may be several. Call it again after an update of the extension';

CREATE FUNCTION evcharge.revoke_access(role_name name) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	command		text;
BEGIN
	IF EXISTS (SELECT FROM pg_class c
			WHERE c.relnamespace = 'evcharge'::regnamespace
				AND pg_get_userbyid(c.relowner) = role_name) THEN
		RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
			MESSAGE = format('role "%s" owns relations in schema evcharge', role_name),
			DETAIL = 'The functions of evcharge run their SQL with the rights of the owner of its tables.';
	END IF;

	FOR command IN
		SELECT 'ALL TABLES IN SCHEMA evcharge'
		UNION ALL
		SELECT 'ALL ROUTINES IN SCHEMA evcharge'
		UNION ALL
		SELECT format('TYPE %s', t.oid::regtype)
		FROM pg_type t
		WHERE t.typnamespace = 'evcharge'::regnamespace
			AND t.typtype IN ('b', 'e') AND t.typcategory <> 'A'
		UNION ALL
		SELECT 'SCHEMA evcharge'
	LOOP
		EXECUTE format('REVOKE ALL ON %s FROM %I', command, role_name);
	END LOOP;
END
$$;
COMMENT ON FUNCTION evcharge.revoke_access(name) IS
'Revoke from a role all rights in schema evcharge, whoever gave them by whatever kind of access';

REVOKE ALL ON ALL ROUTINES IN SCHEMA evcharge FROM PUBLIC;
REVOKE ALL ON TYPE evcharge.message, evcharge.connector_status,
	evcharge.registration_status, evcharge.authorization_status FROM PUBLIC;
