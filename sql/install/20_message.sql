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
