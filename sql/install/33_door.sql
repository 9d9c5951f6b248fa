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

