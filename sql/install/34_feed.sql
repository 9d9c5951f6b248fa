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
'How changes are announced now: announcer, commit or off, and behind a colon why, if that is not what evcharge.notify says';

