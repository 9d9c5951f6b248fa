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
		meter_sample, gateway_log, announcer}',
		'{set_registration, set_authorization, load_state, expire}'),
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
