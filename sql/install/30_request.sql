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

