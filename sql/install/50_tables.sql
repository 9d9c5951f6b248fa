-- ---------------------------------------------------------------------------
-- The tables.  install() runs this body once; they belong to whoever ran it.
--
-- A table is keyed by charge_point_id first, so that it can be distributed by
-- it.  There is no foreign key, sequence or trigger between them: ids come from
-- the counters in charge_point, whose row is also the lock of a call.
--
-- What identifies something compares by its bytes, which costs less than the
-- rules of a language, and no index depends on the C library's version of them.
--
-- The server reads a CHECK constraint anew for each statement that writes the
-- table, so the few that stand here say what no code could make up for.
-- ---------------------------------------------------------------------------

CREATE FUNCTION evcharge.install_tables() RETURNS void
LANGUAGE sql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $install$

CREATE TABLE evcharge.charge_point (
	charge_point_id				text COLLATE "C" NOT NULL,
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
	charge_point_id		text COLLATE "C" NOT NULL,
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
	charge_point_id		text COLLATE "C" NOT NULL,
	transaction_id		int4 NOT NULL,
	connector_id		int4 NOT NULL,
	id_tag				text COLLATE "C",
	consumer_key		text COLLATE "C",
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
	charge_point_id	text COLLATE "C" NOT NULL,
	id_tag			text COLLATE "C" NOT NULL,
	consumer_key	text COLLATE "C",
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
CREATE INDEX auth_expiry
	ON evcharge.auth (expires_at)
	WHERE status = 'Accepted' AND expires_at IS NOT NULL;

COMMENT ON TABLE evcharge.auth IS 'The local authorization list of each charge point, with the entries that left it as long as a differential update or a transaction needs them';
COMMENT ON INDEX evcharge.auth_id_tag_ignoring_case IS 'Id tags compare without case (OCPP CiString)';
COMMENT ON INDEX evcharge.auth_consumer IS 'Finds the entries of a consumer';
COMMENT ON INDEX evcharge.auth_expiry IS 'Finds the entries that expire, for expire(); most never do and are not in it';
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
	charge_point_id		text COLLATE "C" NOT NULL,
	event_id			int8 NOT NULL,
	kind				text NOT NULL,
	connector_id		int4,
	transaction_id		int4,
	old_value			text,
	new_value			text,
	reason				text COLLATE "C",
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
CREATE INDEX event_anomaly
	ON evcharge.event (charge_point_id, reason, (coalesce(transaction_id, 0)), occurred_at)
	WHERE kind = 'anomaly';

COMMENT ON TABLE evcharge.event IS 'One row per change and per anomaly, append-only: the history behind the views, and what a listener catches up from';
COMMENT ON INDEX evcharge.event_feed IS 'Serves events_since()';
COMMENT ON INDEX evcharge.event_status_time IS 'Knows a late status report from its repetition';
COMMENT ON INDEX evcharge.event_anomaly IS 'Knows an odd report from its repetition';
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
	charge_point_id	text COLLATE "C" NOT NULL,
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
	charge_point_id	text COLLATE "C" NOT NULL,
	event_id		int8 NOT NULL,
	logged_at		timestamptz NOT NULL,
	is_error		bool NOT NULL,
	message			text NOT NULL,
	recorded_at		timestamptz NOT NULL,
	CONSTRAINT gateway_log_pkey PRIMARY KEY (charge_point_id, event_id)
);

CREATE INDEX gateway_log_time
	ON evcharge.gateway_log (charge_point_id, logged_at);

COMMENT ON TABLE evcharge.gateway_log IS 'LogData that charge points reported';
COMMENT ON INDEX evcharge.gateway_log_time IS 'Knows a log entry from its repetition';
COMMENT ON COLUMN evcharge.gateway_log.charge_point_id IS 'Charge point that reported it';
COMMENT ON COLUMN evcharge.gateway_log.event_id IS 'Event that announced it';
COMMENT ON COLUMN evcharge.gateway_log.logged_at IS 'LogData current_time; when it was recorded, if that cannot be read';
COMMENT ON COLUMN evcharge.gateway_log.is_error IS 'Response.error';
COMMENT ON COLUMN evcharge.gateway_log.message IS 'Response.message';
COMMENT ON COLUMN evcharge.gateway_log.recorded_at IS 'When the database recorded it';

CREATE TABLE evcharge.announcer (
	cluster			int8 NOT NULL,
	database		int8 NOT NULL,
	place			text NOT NULL,
	announced_at	timestamptz NOT NULL,
	CONSTRAINT announcer_pkey PRIMARY KEY (cluster, database)
) WITH (fillfactor = 50);

COMMENT ON TABLE evcharge.announcer IS 'How far the announcer of this database has come; rows of other clusters and databases are copies, and mean nothing here';
COMMENT ON COLUMN evcharge.announcer.cluster IS 'System identifier of the cluster that the announcer runs in';
COMMENT ON COLUMN evcharge.announcer.database IS 'Oid of the database that it announces for';
COMMENT ON COLUMN evcharge.announcer.place IS 'Cursor of events_since() up to which all is announced';
COMMENT ON COLUMN evcharge.announcer.announced_at IS 'When it announced last';

$install$;
COMMENT ON FUNCTION evcharge.install_tables() IS
'Make the tables of evcharge; called by install()';

-- One step from each version to the next; a step that was released is frozen.
-- A fresh table and one that took the steps are equal, but for the collation of
-- what identifies something in tables of version 1: it cannot be changed under
-- the views of users.
CREATE FUNCTION evcharge.upgrade_tables(version int4) RETURNS void
LANGUAGE plpgsql VOLATILE PARALLEL UNSAFE
SET search_path = pg_catalog, pg_temp
AS $install$
BEGIN
	IF version < 2 THEN
		CREATE INDEX event_anomaly
			ON evcharge.event (charge_point_id, reason, (coalesce(transaction_id, 0)), occurred_at)
			WHERE kind = 'anomaly';
		COMMENT ON INDEX evcharge.event_anomaly IS 'Knows an odd report from its repetition';
		CREATE INDEX auth_expiry
			ON evcharge.auth (expires_at)
			WHERE status = 'Accepted' AND expires_at IS NOT NULL;
		COMMENT ON INDEX evcharge.auth_expiry IS 'Finds the entries that expire, for expire(); most never do and are not in it';
		CREATE INDEX gateway_log_time
			ON evcharge.gateway_log (charge_point_id, logged_at);
		COMMENT ON INDEX evcharge.gateway_log_time IS 'Knows a log entry from its repetition';
		COMMENT ON TABLE evcharge.auth IS 'The local authorization list of each charge point, with the entries that left it as long as a differential update or a transaction needs them';

		CREATE TABLE evcharge.announcer (
			cluster			int8 NOT NULL,
			database		int8 NOT NULL,
			place			text NOT NULL,
			announced_at	timestamptz NOT NULL,
			CONSTRAINT announcer_pkey PRIMARY KEY (cluster, database)
		) WITH (fillfactor = 50);

		COMMENT ON TABLE evcharge.announcer IS 'How far the announcer of this database has come; rows of other clusters and databases are copies, and mean nothing here';
		COMMENT ON COLUMN evcharge.announcer.cluster IS 'System identifier of the cluster that the announcer runs in';
		COMMENT ON COLUMN evcharge.announcer.database IS 'Oid of the database that it announces for';
		COMMENT ON COLUMN evcharge.announcer.place IS 'Cursor of events_since() up to which all is announced';
		COMMENT ON COLUMN evcharge.announcer.announced_at IS 'When it announced last';
	END IF;
END
$install$;
COMMENT ON FUNCTION evcharge.upgrade_tables(int4) IS
'Bring tables of an older version up to date; called by install()';

