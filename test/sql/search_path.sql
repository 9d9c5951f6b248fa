-- The search_path of the caller misleads nothing: SQL runs with the rights of
-- the owner of the tables, so whatever it found there would have those rights.
CREATE SCHEMA trap;
CREATE FUNCTION trap.spring(text, text) RETURNS bool LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.spring(int, int) RETURNS bool LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION trap.lower(text) RETURNS text LANGUAGE plpgsql AS
	$$ BEGIN RAISE 'trapped'; END $$;
CREATE OPERATOR trap.= (FUNCTION = trap.spring, LEFTARG = text, RIGHTARG = text);
CREATE OPERATOR trap.= (FUNCTION = trap.spring, LEFTARG = int, RIGHTARG = int);
CREATE OPERATOR trap.+ (FUNCTION = trap.spring, LEFTARG = int, RIGHTARG = int);
CREATE TABLE trap.charge_point (charge_point_id text);
CREATE TYPE trap.text AS (trapped int);
SELECT test.charge_point('PATH');
SELECT test.authorize('PATH', 'alice');
SELECT test.wire('StartTransactionRequestData', '{"chargePointClientId":"PATH","connectorId":1,"consumerPublicKey":"alice"}') AS start,
	test.wire('StopTransactionRequestData', '{"chargePointClientId":"PATH","connectorId":1,"consumerPublicKey":"alice"}') AS stop,
	test.wire('ConnectorInfo', '{"id":3,"status":"AVAILABLE"}') AS connector \gset

-- not even a trigger that leans on it
CREATE FUNCTION test.lean() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.charge_point_id = 'PATH' AND lower('X') <> 'x' THEN
		RAISE 'trapped';
	END IF;
	RETURN NEW;
END $$;
CREATE TRIGGER lean BEFORE INSERT ON evcharge.event FOR EACH ROW EXECUTE FUNCTION test.lean();

\c -
SET search_path = trap, pg_catalog;
SELECT evcharge.heartbeat('PATH') IS NOT NULL AS ok;
SELECT evcharge.report_connector('PATH', :'connector');
SELECT evcharge.start_transaction(:'start');
SELECT evcharge.stop_transaction(:'stop') IS NOT NULL AS ok;
SELECT evcharge.load_state(evcharge.encode(evcharge.charge_point_state('PATH')));
SELECT count(*) FROM evcharge.events_since(max_rows := 5);
SELECT count(*) FROM evcharge.auth_list_changes('PATH', 0);
SELECT count(*) FROM evcharge.check_integrity();
RESET search_path;
DROP TRIGGER lean ON evcharge.event;
DROP SCHEMA trap CASCADE;
