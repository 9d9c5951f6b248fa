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

CREATE FUNCTION evcharge.expire(
	charge_point_id text DEFAULT NULL,
	max_charge_points int4 DEFAULT 1000,
	OUT charge_point_id text,
	OUT connector_id int4,
	OUT transaction_id int4,
	OUT reason text)
RETURNS SETOF record LANGUAGE c VOLATILE CALLED ON NULL INPUT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'evc_expire';
COMMENT ON FUNCTION evcharge.expire(text, int4) IS
'Ends by force transactions that were not confirmed (evcharge.confirm_within) or not ended (evcharge.max_transaction_duration) in time, and marks authorizations past their expiry as Expired; on one charge point or on up to max_charge_points; returns what it ended and why. For a scheduler';
