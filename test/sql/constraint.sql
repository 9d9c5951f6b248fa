-- A session keeps the CHECK constraints of the tables ready.  Whatever a user
-- changes about them counts at once, in a session that has them too.
SELECT test.charge_point('CHK'), test.charge_point('CHK2');
CREATE FUNCTION test.register(registration text, cp text DEFAULT 'CHK') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM evcharge.set_registration(cp, registration);
	RETURN 'ok';
EXCEPTION WHEN check_violation OR raise_exception THEN
	RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
\c -
SELECT test.register('Rejected'), test.register('Accepted');

-- added, renamed so that they change places, dropped
ALTER TABLE evcharge.event ADD CONSTRAINT a_not_rejected CHECK (new_value <> 'Rejected') NOT VALID;
ALTER TABLE evcharge.event ADD CONSTRAINT b_not_pending CHECK (new_value <> 'Pending') NOT VALID;
SELECT test.register('Rejected'), test.register('Pending');
ALTER TABLE evcharge.event RENAME CONSTRAINT a_not_rejected TO c_not_rejected;
SELECT test.register('Rejected'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT b_not_pending;
SELECT test.register('Rejected'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT c_not_rejected;
SELECT test.register('Rejected'), test.register('Accepted');
BEGIN;
ALTER TABLE evcharge.event ADD CHECK (new_value <> 'Pending') NOT VALID;
SELECT test.register('Pending');
ROLLBACK;
SELECT test.register('Pending'), test.register('Accepted');

-- of a column that changes its type
ALTER TABLE evcharge.event ADD COLUMN extra int DEFAULT 1 CONSTRAINT extra CHECK (extra > 0);
SELECT test.register('Pending');
ALTER TABLE evcharge.event ALTER COLUMN extra SET DEFAULT -1;
SELECT test.register('Accepted');
ALTER TABLE evcharge.event ALTER COLUMN extra TYPE int8;
SELECT test.register('Accepted');
ALTER TABLE evcharge.event ALTER COLUMN extra SET DEFAULT 5000000000;
SELECT test.register('Accepted');
ALTER TABLE evcharge.event DROP COLUMN extra;
SELECT test.register('Pending'), test.register('Accepted');

-- with a function that changes: one whose text the planner puts in its place, one
-- that fails when it calls it, and one whose result it puts there
CREATE FUNCTION test.allowed(text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> 'Rejected' $$;
ALTER TABLE evcharge.event ADD CONSTRAINT allowed CHECK (test.allowed(new_value)) NOT VALID;
SELECT test.register('Rejected'), test.register('Pending');
CREATE OR REPLACE FUNCTION test.allowed(text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> 'Pending' $$;
SELECT test.register('Rejected'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT allowed;
CREATE FUNCTION test.fine() RETURNS bool LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE 'not fine'; END $$;
ALTER TABLE evcharge.event ADD CONSTRAINT fine CHECK (test.fine()) NOT VALID;
SELECT test.register('Accepted'), test.register('Pending');
CREATE OR REPLACE FUNCTION test.fine() RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true';
SELECT test.register('Accepted'), test.register('Pending');
CREATE OR REPLACE FUNCTION test.fine() RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT false';
SELECT test.register('Accepted'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT fine;

-- of a domain
CREATE DOMAIN test.short AS text;
ALTER TABLE evcharge.event ADD CONSTRAINT short CHECK (new_value::test.short IS NOT NULL) NOT VALID;
SELECT test.register('Accepted'), test.register('Pending');
ALTER DOMAIN test.short ADD CONSTRAINT short CHECK (length(VALUE) < 8);
SELECT test.register('Accepted'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT short;
SELECT test.register('Accepted');

-- changed by a trigger in the middle of a statement, and used within that: where
-- there are triggers, the server makes them ready for each statement
CREATE FUNCTION test.change_allowed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	IF NEW.charge_point_id = 'CHK' AND NEW.new_value = 'Rejected' THEN
		CREATE OR REPLACE FUNCTION test.allowed(text) RETURNS bool LANGUAGE sql IMMUTABLE AS
			$f$ SELECT $1 NOT IN ('Rejected', 'Pending') $f$;
		RAISE NOTICE '%', test.register('Pending', 'CHK2');
		RAISE NOTICE '%', test.register('Rejected', 'CHK2');
	END IF;
	RETURN NEW;
END $$;
CREATE OR REPLACE FUNCTION test.allowed(text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1 <> 'Pending' $$;
ALTER TABLE evcharge.event ADD CONSTRAINT allowed CHECK (test.allowed(new_value)) NOT VALID;
CREATE TRIGGER change_allowed BEFORE INSERT ON evcharge.event FOR EACH ROW EXECUTE FUNCTION test.change_allowed();
SELECT test.register('Rejected');
DROP TRIGGER change_allowed ON evcharge.event;
SELECT test.register('Accepted'), test.register('Rejected'), test.register('Pending');
ALTER TABLE evcharge.event DROP CONSTRAINT allowed;

SELECT count(*) FROM evcharge.check_integrity();
