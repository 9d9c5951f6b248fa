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
	split_part(m.mode, ': ', 1) AS notify_mode,
	round(pg_notification_queue_usage()::numeric * 100, 2)
		AS notification_queue_percent,
	(SELECT extversion FROM pg_extension WHERE extname = 'evcharge')
		AS extension_version,
	evcharge.tables_version() AS tables_version,
	nullif(split_part(m.mode, ': ', 2), '') AS notify_reason
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
					AND event_id > coalesce(before.event_id, 0)) recent) e
	CROSS JOIN evcharge.notify_mode() AS m (mode);

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
COMMENT ON COLUMN evcharge.gateway_health.notify_mode IS 'How changes are announced now: announcer, commit or off; see evcharge.notify';
COMMENT ON COLUMN evcharge.gateway_health.notification_queue_percent IS 'How full the server''s notification queue is, in percent; it grows while a listener sits in a transaction';
COMMENT ON COLUMN evcharge.gateway_health.extension_version IS 'Version of the extension in this database';
COMMENT ON COLUMN evcharge.gateway_health.tables_version IS 'Version of its tables';
COMMENT ON COLUMN evcharge.gateway_health.notify_reason IS 'Why that is not what evcharge.notify says; NULL if it is';

-- Rules across rows: what the functions keep true and no constraint can.
-- Everything is grouped or joined as a whole, never row by row, so that it
-- stays fast with millions of rows.
--
-- Old events may be purged.  So what a history must have is asked only of a
-- charge point whose event 1 is still there.
CREATE OR REPLACE VIEW evcharge.integrity AS
SELECT 'charge point exists' AS rule,
	r.charge_point_id,
	NULL::int4 AS connector_id,
	NULL::int4 AS transaction_id,
	format('Table %s has rows (%s) of this charge point, which does not exist.',
		r.in_table, r.how_many) AS detail
FROM (
	SELECT 'connector' AS in_table, r.charge_point_id, count(*) AS how_many
	FROM evcharge.connector r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id
	UNION ALL
	SELECT 'transaction', r.charge_point_id, count(*)
	FROM evcharge.transaction r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id
	UNION ALL
	SELECT 'auth', r.charge_point_id, count(*)
	FROM evcharge.auth r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id
	UNION ALL
	SELECT 'event', r.charge_point_id, count(*)
	FROM evcharge.event r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id
	UNION ALL
	SELECT 'meter_sample', r.charge_point_id, count(*)
	FROM evcharge.meter_sample r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id
	UNION ALL
	SELECT 'gateway_log', r.charge_point_id, count(*)
	FROM evcharge.gateway_log r
	WHERE NOT EXISTS (
		SELECT FROM evcharge.charge_point p
		WHERE p.charge_point_id = r.charge_point_id)
	GROUP BY r.charge_point_id) r
UNION ALL
-- What a row says by itself.  Each table is read once, so a row that violates
-- several of these rules shows the first of them.
SELECT p.rule, p.charge_point_id, NULL, NULL,
	format('Registered at %L, booted at %L, seen at %L; status %L since %L, reported at %L; list version %s, kept from version %s.',
		p.registered_at, p.booted_at, p.last_seen_at, p.status, p.status_since,
		p.status_reported_at, p.auth_list_version, p.auth_list_kept_from)
FROM (
	SELECT charge_point_id, registered_at, booted_at, last_seen_at, status,
		status_since, status_reported_at, auth_list_version,
		auth_list_kept_from,
		CASE
		WHEN NOT isfinite(status_since) OR NOT isfinite(status_reported_at)
			OR NOT isfinite(registered_at) OR NOT isfinite(booted_at)
			OR NOT isfinite(last_seen_at)
		THEN 'times are finite'
		WHEN booted_at > coalesce(last_seen_at, '-infinity')
		THEN 'seen when it booted'
		WHEN status IS NOT NULL AND status_since IS NULL
			OR (status_since IS NULL) <> (status_reported_at IS NULL)
			OR status_since > status_reported_at
		THEN 'status has its times'
		WHEN auth_list_kept_from NOT BETWEEN 0 AND auth_list_version
		THEN 'auth list is kept from a version of it'
		END AS rule
	FROM evcharge.charge_point) p
WHERE p.rule IS NOT NULL
UNION ALL
SELECT c.rule, c.charge_point_id, c.connector_id, NULL,
	format('Status %L since %L, reported at %L; before the fault %L.',
		c.status, c.status_since, c.reported_at, c.status_before_fault)
FROM (
	SELECT charge_point_id, connector_id, status, status_since, reported_at,
		status_before_fault,
		CASE
		WHEN connector_id < 1
		THEN 'ids count from 1'
		WHEN NOT isfinite(status_since) OR NOT isfinite(reported_at)
		THEN 'times are finite'
		WHEN status IS NOT NULL AND status_since IS NULL
			OR (status_since IS NULL) <> (reported_at IS NULL)
			OR status_since > reported_at
		THEN 'status has its times'
		WHEN status_before_fault IS NOT NULL
			AND status IS DISTINCT FROM 'Faulted'
			OR status_before_fault = 'Faulted'
		THEN 'status before a fault'
		END AS rule
	FROM evcharge.connector) c
WHERE c.rule IS NOT NULL
UNION ALL
SELECT t.rule, t.charge_point_id, t.connector_id, t.transaction_id,
	format('From %L to %L, confirmed at %L; stop reason %L, forced %s; %s of 4 parts of a progress, at %L.',
		t.started_at, t.ended_at, t.confirmed_at, t.stop_reason, t.forced,
		num_nonnulls(t.current_offered, t.current_unit,
			t.voltage_offered, t.voltage_unit), t.progress_at)
FROM (
	SELECT charge_point_id, connector_id, transaction_id, started_at, ended_at,
		confirmed_at, stop_reason, forced, current_offered, current_unit,
		voltage_offered, voltage_unit, progress_at,
		CASE
		WHEN transaction_id < 1
		THEN 'ids count from 1'
		WHEN NOT isfinite(started_at) OR NOT isfinite(confirmed_at)
			OR NOT isfinite(ended_at) OR NOT isfinite(progress_at)
		THEN 'times are finite'
		WHEN forced AND stop_reason <> 'Other'
			OR stop_reason NOT IN ('DeAuthorized', 'EmergencyStop',
				'EVDisconnected', 'HardReset', 'Local', 'Other', 'PowerLoss',
				'Reboot', 'Remote', 'SoftReset', 'UnlockCommand')
		THEN 'stop reason'
		WHEN num_nulls(current_offered, current_unit, voltage_offered,
				voltage_unit) NOT IN (0, 4)
			OR progress_at IS NOT NULL AND current_unit IS NULL
		THEN 'progress is whole'
		END AS rule
	FROM evcharge.transaction) t
WHERE t.rule IS NOT NULL
UNION ALL
SELECT 'times are finite', a.charge_point_id, NULL, a.transaction_id,
	format('The auth entry of list version %s expires at %L and left at %L.',
		a.list_version, a.expires_at, a.removed_at)
FROM evcharge.auth a
WHERE NOT isfinite(a.expires_at) OR NOT isfinite(a.removed_at)
UNION ALL
SELECT e.rule, e.charge_point_id, e.connector_id, e.transaction_id,
	format('Event %s of kind %s, from %L to %L, happened at %L and was recorded at %L.',
		e.event_id, e.kind, e.old_value, e.new_value, e.occurred_at, e.recorded_at)
FROM (
	SELECT charge_point_id, event_id, kind, connector_id, transaction_id,
		old_value, new_value, occurred_at, recorded_at,
		CASE
		WHEN event_id < 1
		THEN 'ids count from 1'
		WHEN NOT isfinite(occurred_at) OR NOT isfinite(recorded_at)
		THEN 'times are finite'
		WHEN (event_id = 1) <> (kind = 'registered')
		THEN 'first event is the registration'
		WHEN kind IN ('transaction_started', 'transaction_confirmed',
			'transaction_progress', 'transaction_amended',
			'transaction_ended', 'transaction_reopened')
		THEN CASE
			WHEN connector_id IS NULL OR transaction_id IS NULL
			THEN 'event concerns what its kind says'
			WHEN kind IN ('transaction_ended', 'transaction_progress')
				AND new_value IS NULL
			THEN 'event has values of its kind'
			END
		WHEN kind IN ('connector_status', 'charge_point_status')
		THEN CASE
			WHEN (connector_id IS NULL) <> (kind = 'charge_point_status')
				OR transaction_id IS NOT NULL
			THEN 'event concerns what its kind says'
			WHEN old_value IS NOT DISTINCT FROM new_value
				OR old_value <> ALL (
				(SELECT enum_range(NULL::evcharge.connector_status)::text[])::text[])
				OR new_value <> ALL (
				(SELECT enum_range(NULL::evcharge.connector_status)::text[])::text[])
			THEN 'event has values of its kind'
			END
		WHEN kind IN ('auth_added', 'auth_changed', 'auth_removed')
		THEN CASE
			WHEN connector_id IS NOT NULL
			THEN 'event concerns what its kind says'
			WHEN old_value <> ALL (
				(SELECT enum_range(NULL::evcharge.authorization_status)::text[])::text[])
				OR new_value <> ALL (
				(SELECT enum_range(NULL::evcharge.authorization_status)::text[])::text[])
			THEN 'event has values of its kind'
			END
		WHEN kind IN ('connector_added', 'connector_removed')
		THEN CASE
			WHEN connector_id IS NULL OR transaction_id IS NOT NULL
			THEN 'event concerns what its kind says'
			END
		WHEN kind IN ('registered', 'booted', 'registration_changed',
			'state_loaded', 'log')
		THEN CASE
			WHEN connector_id IS NOT NULL OR transaction_id IS NOT NULL
			THEN 'event concerns what its kind says'
			WHEN kind NOT IN ('state_loaded', 'log') AND coalesce(
				old_value IS NOT DISTINCT FROM new_value
				OR new_value <> ALL (
				(SELECT enum_range(NULL::evcharge.registration_status)::text[])::text[]),
				true)
			THEN 'event has values of its kind'
			END
		WHEN kind <> 'anomaly'
		THEN 'event is of a known kind'
		WHEN detail IS NULL
		THEN 'event has values of its kind'
		END AS rule
	FROM evcharge.event) e
WHERE e.rule IS NOT NULL
UNION ALL
SELECT m.rule, m.charge_point_id, NULL, m.transaction_id,
	format('The sample is of %L.', m.sampled_at)
FROM (
	SELECT charge_point_id, transaction_id, sampled_at,
		CASE
		-- 0 where the report named none
		WHEN transaction_id < 0
		THEN 'ids count from 1'
		WHEN NOT isfinite(sampled_at)
		THEN 'times are finite'
		END AS rule
	FROM evcharge.meter_sample) m
WHERE m.rule IS NOT NULL
UNION ALL
SELECT 'times are finite', l.charge_point_id, NULL, NULL,
	format('Log entry %s was logged at %L and recorded at %L.', l.event_id,
		l.logged_at, l.recorded_at)
FROM evcharge.gateway_log l
WHERE NOT isfinite(l.logged_at) OR NOT isfinite(l.recorded_at)
UNION ALL
-- Connectors and transactions: each names the other while it is open.
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
SELECT 'last transaction id',
	t.charge_point_id, NULL, max(t.transaction_id),
	format('%s transactions, up to id %s, are newer than the last, id %s, though ids have not wrapped.',
		count(*), max(t.transaction_id), p.last_transaction_id)
FROM evcharge.transaction t
	JOIN evcharge.charge_point p ON p.charge_point_id = t.charge_point_id
WHERE t.transaction_id > p.last_transaction_id
	AND NOT p.transaction_ids_wrapped
GROUP BY t.charge_point_id, p.last_transaction_id
UNION ALL
-- Authorization lists
SELECT 'auth entry has its transaction',
	a.charge_point_id, NULL, a.transaction_id,
	format('The auth entry of list version %s names a transaction that is not an open one with its tag.',
		a.list_version)
FROM evcharge.auth a
WHERE a.transaction_id IS NOT NULL
	AND NOT EXISTS (
		SELECT FROM evcharge.transaction t
		WHERE t.charge_point_id = a.charge_point_id
			AND t.transaction_id = a.transaction_id
			AND lower(t.id_tag COLLATE "C") = lower(a.id_tag COLLATE "C")
			AND t.ended_at IS NULL)
UNION ALL
SELECT 'auth list version',
	a.charge_point_id, NULL, NULL,
	format('%s auth entries are of versions %s to %s, which a list of version %s cannot have.',
		count(*), min(a.list_version), max(a.list_version), p.auth_list_version)
FROM evcharge.auth a
	JOIN evcharge.charge_point p ON p.charge_point_id = a.charge_point_id
WHERE a.list_version NOT BETWEEN 0 AND p.auth_list_version
GROUP BY a.charge_point_id, p.auth_list_version
UNION ALL
SELECT 'auth entries that left are needed',
	a.charge_point_id, NULL, NULL,
	format('%s auth entries left the list by version %s, but it is kept from version %s on.',
		count(*), max(a.list_version), p.auth_list_kept_from)
FROM evcharge.auth a
	JOIN evcharge.charge_point p ON p.charge_point_id = a.charge_point_id
WHERE a.removed_at IS NOT NULL
	AND a.list_version <= p.auth_list_kept_from
	AND a.transaction_id IS NULL
GROUP BY a.charge_point_id, p.auth_list_kept_from
UNION ALL
-- Events
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
WHERE NOT EXISTS (
		SELECT FROM evcharge.event e
		WHERE e.charge_point_id = l.charge_point_id
			AND e.event_id = l.event_id
			AND e.kind = 'log')
	AND EXISTS (
		SELECT FROM evcharge.event e
		WHERE e.charge_point_id = l.charge_point_id
			AND e.event_id <= l.event_id)
UNION ALL
SELECT 'registration is the newest',
	p.charge_point_id, NULL, NULL,
	format('The charge point is %s, but event %s made it %s.',
		p.registration, e.event_id, e.new_value)
FROM evcharge.charge_point p
	JOIN (
		SELECT DISTINCT ON (charge_point_id) charge_point_id, event_id, new_value
		FROM evcharge.event
		WHERE kind IN ('registered', 'registration_changed')
		ORDER BY charge_point_id, event_id DESC) e
		ON e.charge_point_id = p.charge_point_id
WHERE e.new_value IS DISTINCT FROM p.registration::text
UNION ALL
SELECT 'boot is the newest',
	p.charge_point_id, NULL, NULL,
	format('The charge point booted at %L, but event %s was at %L.',
		p.booted_at, e.event_id, e.occurred_at)
FROM evcharge.charge_point p
	JOIN (
		SELECT DISTINCT ON (charge_point_id) charge_point_id, event_id, occurred_at
		FROM evcharge.event
		WHERE kind = 'booted'
		ORDER BY charge_point_id, event_id DESC) e
		ON e.charge_point_id = p.charge_point_id
WHERE e.occurred_at IS DISTINCT FROM p.booted_at
UNION ALL
SELECT 'status has its event',
	r.charge_point_id, r.connector_id, NULL,
	format('No event tells of status %s, entered at %L.', r.status, r.status_since)
FROM (
	SELECT charge_point_id, 'charge_point_status' AS kind,
		NULL::int4 AS connector_id, status::text, status_since
	FROM evcharge.charge_point
	WHERE status IS NOT NULL
	UNION ALL
	SELECT charge_point_id, 'connector_status', connector_id, status::text,
		status_since
	FROM evcharge.connector
	WHERE status IS NOT NULL) r
	JOIN evcharge.event first ON first.charge_point_id = r.charge_point_id
		AND first.event_id = 1
WHERE NOT EXISTS (
	SELECT FROM evcharge.event e
	WHERE e.charge_point_id = r.charge_point_id
		AND e.kind = r.kind
		AND e.kind IN ('connector_status', 'charge_point_status')
		AND coalesce(e.connector_id, 0) = coalesce(r.connector_id, 0)
		AND e.new_value = r.status
		AND e.occurred_at = r.status_since)
UNION ALL
SELECT 'connector has its events',
	r.charge_point_id, r.connector_id, NULL,
	format('Events that add the connector less those that remove it: %s too %s.',
		abs(r.balance), CASE WHEN r.balance > 0 THEN 'few' ELSE 'many' END)
FROM (
	SELECT charge_point_id, connector_id, sum(n) AS balance
	FROM (
		SELECT charge_point_id, connector_id, 1 AS n
		FROM evcharge.connector
		UNION ALL
		SELECT charge_point_id, connector_id,
			CASE kind WHEN 'connector_added' THEN -1 ELSE 1 END
		FROM evcharge.event
		WHERE kind IN ('connector_added', 'connector_removed')) u
	GROUP BY charge_point_id, connector_id) r
	JOIN evcharge.event first ON first.charge_point_id = r.charge_point_id
		AND first.event_id = 1
WHERE r.balance <> 0
UNION ALL
SELECT 'auth list has its events',
	r.charge_point_id, NULL, NULL,
	format('Events that add an entry to the list less those that remove one: %s too %s.',
		abs(r.balance), CASE WHEN r.balance > 0 THEN 'few' ELSE 'many' END)
FROM (
	SELECT charge_point_id, sum(n) AS balance
	FROM (
		SELECT charge_point_id, 1 AS n
		FROM evcharge.auth
		WHERE removed_at IS NULL
		UNION ALL
		SELECT charge_point_id, CASE kind WHEN 'auth_added' THEN -1 ELSE 1 END
		FROM evcharge.event
		WHERE kind IN ('auth_added', 'auth_removed')) u
	GROUP BY charge_point_id) r
	JOIN evcharge.event first ON first.charge_point_id = r.charge_point_id
		AND first.event_id = 1
WHERE r.balance <> 0
UNION ALL
SELECT 'transaction has its events',
	t.charge_point_id, t.connector_id, t.transaction_id,
	format('The transaction has no event of kind %s.', t.kind)
FROM (
	SELECT charge_point_id, connector_id, transaction_id,
		'transaction_started' AS kind
	FROM evcharge.transaction
	UNION ALL
	SELECT charge_point_id, connector_id, transaction_id, 'transaction_ended'
	FROM evcharge.transaction
	WHERE ended_at IS NOT NULL) t
	JOIN evcharge.event first ON first.charge_point_id = t.charge_point_id
		AND first.event_id = 1
WHERE NOT EXISTS (
	SELECT FROM evcharge.event e
	WHERE e.charge_point_id = t.charge_point_id
		AND e.transaction_id = t.transaction_id
		AND e.kind = t.kind
		AND e.kind IN ('transaction_started', 'transaction_ended'));

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
