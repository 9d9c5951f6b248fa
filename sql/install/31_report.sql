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

