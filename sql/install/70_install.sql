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
	newest		CONSTANT int4 := 2;
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
		version := 0;
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
		version := evcharge.tables_version();
		IF version > newest THEN
			RAISE EXCEPTION USING ERRCODE = 'OC006',
				MESSAGE = format('the tables of evcharge are of version %s, the extension knows version %s',
					version, newest),
				HINT = 'Install the version of evcharge that made these tables, or a newer one.';
		END IF;
		PERFORM evcharge.upgrade_tables(version);
	END IF;

	-- The version is DDL because it describes DDL: every kind of dump carries it.
	IF version < newest THEN
		EXECUTE format('CREATE OR REPLACE FUNCTION evcharge.tables_version() RETURNS int4'
			' LANGUAGE sql IMMUTABLE PARALLEL SAFE AS %L', 'SELECT ' || newest);
		COMMENT ON FUNCTION evcharge.tables_version() IS
'Version of the evcharge tables in this database; the library checks it, install() brings it up to date';
		REVOKE ALL ON FUNCTION evcharge.tables_version() FROM PUBLIC;
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
SET jit = off		-- so many branches take longer to compile than to run
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
