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
SELECT test.authorize('PATH', 'alice');

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

-- a function of a user that has a path of its own runs under that, wherever it is
-- called from, as soon as it is
CREATE TABLE test.heard (heard text);
CREATE FUNCTION test.hear() RETURNS trigger LANGUAGE plpgsql
	SET search_path = test AS $$
BEGIN
	INSERT INTO heard VALUES (NEW.kind);
	RETURN NEW;
END $$;
CREATE FUNCTION test.loud(text) RETURNS text LANGUAGE plpgsql IMMUTABLE
	SET search_path = test AS $$
BEGIN
	PERFORM FROM heard;
	RETURN upper($1);
END $$;
CREATE FUNCTION test.change() RETURNS bigint LANGUAGE sql AS $$
	SELECT count(evcharge.set_registration('PATH', r))
	FROM unnest('{Pending,Rejected,Accepted}'::text[]) r $$;
CREATE DOMAIN test.shout AS text CHECK (test.loud(VALUE) = VALUE);
\c -
SELECT test.change();
CREATE TRIGGER hear BEFORE INSERT ON evcharge.event FOR EACH ROW EXECUTE FUNCTION test.hear();
SELECT test.change();
DROP TRIGGER hear ON evcharge.event;
SELECT count(*) FROM test.heard;
\c -
SELECT test.change();
CREATE INDEX loud ON evcharge.event (test.loud(kind));
SELECT test.change();
DROP INDEX evcharge.loud;
\c -
SELECT test.change();
ALTER TABLE evcharge.event ADD CONSTRAINT loud CHECK (test.loud(kind) <> kind);
SELECT test.change();
ALTER TABLE evcharge.event DROP CONSTRAINT loud;
\c -
SELECT test.change();
ALTER TABLE evcharge.event ADD COLUMN loud text DEFAULT test.loud('x');
SELECT test.change();
ALTER TABLE evcharge.event DROP COLUMN loud;
\c -
SELECT test.change();
ALTER TABLE evcharge.event ADD COLUMN loud test.shout DEFAULT 'X';
SELECT test.change();
ALTER TABLE evcharge.event DROP COLUMN loud;
DROP SCHEMA trap CASCADE;

-- a trigger cannot keep the start or the end of a transaction from being written
CREATE FUNCTION test.keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
SELECT test.authorize('PATH', 'alice');
CREATE TRIGGER keep BEFORE INSERT ON evcharge.transaction FOR EACH ROW EXECUTE FUNCTION test.keep();
SELECT evcharge.start_transaction(:'start');
DROP TRIGGER keep ON evcharge.transaction;
SELECT evcharge.start_transaction(:'start');
CREATE TRIGGER keep BEFORE UPDATE ON evcharge.transaction FOR EACH ROW EXECUTE FUNCTION test.keep();
SELECT evcharge.stop_transaction(:'stop');
DROP TRIGGER keep ON evcharge.transaction;
SELECT evcharge.stop_transaction(:'stop') IS NOT NULL AS ok;
SELECT count(*) FROM evcharge.check_integrity();

-- also where the session has seen other tables before, or none
\set database :DBNAME
SET client_min_messages = warning;
DROP DATABASE IF EXISTS regress_evcharge_path;
CREATE DATABASE regress_evcharge_path;
\c regress_evcharge_path
CREATE TABLE heard (heard text);
CREATE FUNCTION hear() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
BEGIN
	INSERT INTO heard VALUES (NEW.charge_point_id);
	RETURN NEW;
END $$;
CREATE EXTENSION evcharge;
SELECT evcharge.heartbeat('PATH');
SELECT evcharge.install();
SELECT evcharge.heartbeat('PATH') IS NOT NULL AS ok;
CREATE TRIGGER hear BEFORE INSERT OR UPDATE ON evcharge.charge_point
	FOR EACH ROW EXECUTE FUNCTION hear();
SELECT evcharge.heartbeat('PATH') IS NOT NULL AS ok;
TABLE heard;
SET client_min_messages = warning;
DROP EXTENSION evcharge CASCADE;
DROP SCHEMA evcharge CASCADE;
RESET client_min_messages;
CREATE EXTENSION evcharge;
SELECT evcharge.install();
SELECT evcharge.heartbeat('PATH') IS NOT NULL AS ok;
CREATE TRIGGER hear BEFORE INSERT OR UPDATE ON evcharge.charge_point
	FOR EACH ROW EXECUTE FUNCTION hear();
SELECT evcharge.heartbeat('PATH') IS NOT NULL AS ok;
TABLE heard;
\c :database
DROP DATABASE regress_evcharge_path;
