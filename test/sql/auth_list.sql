-- What SendLocalList must carry to a charge point.
CREATE FUNCTION test.changes(cp text, since int)
	RETURNS TABLE (update_type text, list_version int, auth_data json) LANGUAGE sql AS $$
	SELECT update_type, list_version, evcharge.to_json(auth_data)
	FROM evcharge.auth_list_changes($1, $2) $$;
CREATE FUNCTION test.set(cp text, tag text, status text) RETURNS void LANGUAGE sql AS $$
	SELECT evcharge.set_authorization($1, test.wire('ConsumerAuthData', json_build_object('publicKey', 'k-' || $2,
		'authData', CASE WHEN $3 IS NULL THEN json_build_object('idTag', $2) ELSE
		json_build_object('idTag', $2, 'idTagInfo', json_build_object('status', $3)) END)::text)) $$;
SELECT test.charge_point('LST');

-- a list that never had anything is at version 0, and there is nothing to send
SELECT * FROM test.changes('LST', 0);
-- but who comes with another one must be told that it is gone
SELECT * FROM test.changes('LST', 7);
-- each change is a version
SELECT test.set('LST', 'A', 'Accepted'), test.set('LST', 'B', 'Accepted'), test.set('LST', 'C', 'Blocked');
SELECT * FROM test.changes('LST', 0);
SELECT * FROM test.changes('LST', 1);
SELECT * FROM test.changes('LST', 3);
-- a version that this list never had gets it all
SELECT * FROM test.changes('LST', 4);
-- removed entries have no idTagInfo; one that returns has it again
SELECT test.set('LST', 'a', NULL), test.set('LST', 'B', 'Invalid');
SELECT * FROM test.changes('LST', 3);
SELECT * FROM test.changes('LST', 0);
SELECT test.set('LST', 'a', 'Accepted');
SELECT * FROM test.changes('LST', 3);
-- a full list without entries is still to be sent
SELECT test.set('LST', 'a', NULL), test.set('LST', 'b', NULL), test.set('LST', 'c', NULL);
SELECT * FROM test.changes('LST', 0);

-- entries that left are forgotten in the end; who is behind that gets all
SET evcharge.auth_list_history = 4;
SELECT test.set('LST', 'N' || n, 'Accepted') FROM generate_series(1, 6) n;
SELECT auth_list_version, auth_list_kept_from FROM evcharge.charge_point WHERE charge_point_id = 'LST';
SELECT update_type, count(*) FROM test.changes('LST', 5) GROUP BY 1;
SELECT update_type, count(*) FROM test.changes('LST', 11) GROUP BY 1;
SELECT count(*) AS removed_kept FROM evcharge.auth WHERE charge_point_id = 'LST' AND removed_at IS NOT NULL;
RESET evcharge.auth_list_history;

-- after the last version comes the first, and everybody gets it all
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"LST","connectors":{"1":{"status":"AVAILABLE","currentTransaction":1}},
	"transactions":{"1":{"connectorId":1,"idTag":"T"}},"authList":{"T":{"publicKey":"k-T","transactionId":1,"authData":{"idTagInfo":{"status":"Accepted"}}},
	"U":{"publicKey":"k-U"}},"currentAuthListVersion":2147483647}'));
SELECT test.stop('LST', 1, 'k-T', '2026-01-01 09:00Z') IS NOT NULL AS stopped;
SELECT auth_list_version, auth_list_kept_from FROM evcharge.charge_point WHERE charge_point_id = 'LST';
SELECT * FROM test.changes('LST', 2147483647);
SELECT * FROM test.changes('LST', 1);
SELECT test.authorize('LST-nobody', 'k');

-- an entry that is removed and set again during its transaction stays in use
SELECT test.charge_point('LST-2'), test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 1, 'k-A', '2026-01-01 09:00Z');
SELECT test.set('LST-2', 'A', NULL), test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 2, 'k-A', '2026-01-01 09:01Z');
SELECT test.stop('LST-2', 1, 'k-A', '2026-01-01 09:02Z') IS NOT NULL AS stopped;
SELECT count(*) AS live FROM evcharge.auth WHERE charge_point_id = 'LST-2' AND removed_at IS NULL;
-- also if the list has gone far meanwhile, or has begun anew
SET evcharge.auth_list_history = 0;
SELECT evcharge.report_connector('LST-2', test.wire('ConnectorInfo', '{"id":3,"status":"AVAILABLE"}'));
SELECT test.set('LST-2', tag, status) FROM (VALUES ('A', 'Accepted'), ('B', 'Accepted')) t (tag, status);
SELECT test.start('LST-2', 1, 'k-A', '2026-01-01 10:00Z'), test.start('LST-2', 2, 'k-B', '2026-01-01 10:00Z');
SELECT test.set('LST-2', 'A', NULL), test.set('LST-2', 'C', 'Blocked'), test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 3, 'k-A', '2026-01-01 10:01Z');
SELECT test.set('LST-2', 'B', NULL);
UPDATE evcharge.charge_point SET auth_list_version = 2147483647 WHERE charge_point_id = 'LST-2';
SELECT test.set('LST-2', 'C', NULL), test.set('LST-2', 'B', 'Accepted');
SELECT test.start('LST-2', 3, 'k-B', '2026-01-01 10:02Z');
SELECT test.set('LST-2', 'A', NULL);
SELECT test.stop('LST-2', n, k, '2026-01-01 10:03Z') IS NOT NULL AS stopped FROM (VALUES (1, 'k-A'), (2, 'k-B')) t (n, k);
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id = 'LST-2';
-- but not longer than it is in use
SELECT id_tag, transaction_id, removed_at IS NULL AS live FROM evcharge.auth WHERE charge_point_id = 'LST-2' ORDER BY 1;
-- not even a whole state without the tag makes that forgotten
SELECT test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 1, 'k-A', '2026-01-01 11:00Z');
SELECT evcharge.load_state('LST-2', evcharge.encode(evcharge.from_json('ChargePointState',
	(evcharge.to_json(evcharge.charge_point_state('LST-2'))::jsonb - 'authList')::json)));
SELECT id_tag, transaction_id, removed_at IS NULL AS live FROM evcharge.auth WHERE charge_point_id = 'LST-2' ORDER BY 1;
SELECT test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 2, 'k-A', '2026-01-01 11:01Z');
-- nor, within the history, that the transaction was ended by force and goes on
RESET evcharge.auth_list_history;
SET evcharge.confirm_within = '1s';
SELECT transaction_id, reason FROM evcharge.expire('LST-2');
RESET evcharge.confirm_within;
SELECT test.report('LST-2', '{"id":4,"connectorId":1,"idTag":"A","startTime":"2026-01-01T11:00:00Z"}');
SELECT test.set('LST-2', 'A', 'Accepted');
SELECT test.start('LST-2', 2, 'k-A', '2026-01-01 11:02Z');
SELECT * FROM evcharge.check_integrity() WHERE charge_point_id = 'LST-2';

\set SHOW_CONTEXT never
SELECT * FROM evcharge.auth_list_changes('LST-nobody', 0);
SELECT * FROM evcharge.check_integrity();
