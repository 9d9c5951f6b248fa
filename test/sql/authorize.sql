-- Authorization of consumers on a charge point.
SELECT test.charge_point('AUTH');

-- the consumer gets a random tag of at most 20 characters
SELECT test.authorize('AUTH', 'alice');
SELECT length(id_tag) BETWEEN 12 AND 20 AND id_tag ~ '^[0-9A-Z]+$' AS tag_is_ocpp, consumer_key, status,
	transaction_id, expires_at, list_version FROM evcharge.auth WHERE charge_point_id = 'AUTH';

-- asking again changes nothing
SELECT test.authorize('AUTH', 'alice');
SELECT auth_list_version, (SELECT count(*) FROM evcharge.auth WHERE charge_point_id = 'AUTH') AS entries
FROM evcharge.charge_point WHERE charge_point_id = 'AUTH';

-- another consumer gets another tag, and the list another version
SELECT test.authorize('AUTH', 'bob');
SELECT count(DISTINCT id_tag), max(list_version) FROM evcharge.auth WHERE charge_point_id = 'AUTH';

-- the event tells nothing personal
SELECT kind, old_value, new_value, detail FROM evcharge.event
WHERE charge_point_id = 'AUTH' AND kind LIKE 'auth%' ORDER BY event_id;

-- refused: an unknown charge point, one that is not accepted, no key
SELECT test.authorize('AUTH-nobody', 'alice');
SELECT evcharge.set_registration('AUTH', 'Pending');
SELECT test.authorize('AUTH', 'carol');
SELECT evcharge.set_registration('AUTH', 'Accepted');
SELECT test.authorize('AUTH', '');

-- an operator blocks a consumer, who then is refused, and unblocks him
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"bob","authData":{"idTagInfo":{"status":"Blocked"}}}'));
SELECT test.authorize('AUTH', 'bob');
SELECT test.start('AUTH', 1, 'bob', '2026-01-01 09:00Z');
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"bob","authData":{"idTagInfo":{"status":"ACCEPTED"}}}'));
SELECT test.authorize('AUTH', 'bob');

-- a tag of the operator's own, with an expiry and a parent; case does not matter
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"carol","authData":{"idTag":"Fleet-7","idTagInfo":{"status":"Accepted",
	  "expiryDate":"2020-01-01T00:00:00+01:00","parentIdTag":"FLEET"}}}'));
SELECT id_tag, status, expires_at AT TIME ZONE 'UTC' AS expires, parent_id_tag, list_version
FROM evcharge.auth WHERE charge_point_id = 'AUTH' AND consumer_key = 'carol';
SELECT test.start('AUTH', 1, 'carol', '2026-01-01 09:00Z');		-- it has expired
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"carol","authData":{"idTag":"FLEET-7","idTagInfo":{"parentIdTag":"FLEET"}}}'));
SELECT id_tag, status, expires_at, parent_id_tag, list_version
FROM evcharge.auth WHERE charge_point_id = 'AUTH' AND consumer_key = 'carol';
-- the same again is no change
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"carol","authData":{"idTag":"FLEET-7","idTagInfo":{"parentIdTag":"FLEET"}}}'));
SELECT auth_list_version FROM evcharge.charge_point WHERE charge_point_id = 'AUTH';

-- without idTagInfo the entry goes, as OCPP has it
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData', '{"authData":{"idTag":"fleet-7"}}'));
SELECT id_tag, removed_at IS NOT NULL AS removed, list_version
FROM evcharge.auth WHERE charge_point_id = 'AUTH' AND consumer_key = 'carol';

-- errors name the field
\set SHOW_CONTEXT never
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"x","authData":{"idTagInfo":{"status":"Cool"}}}'));
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"x","authData":{"idTagInfo":{"status":"Accepted","expiryDate":"tomorrow"}}}'));
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"publicKey":"x","authData":{"idTagInfo":{}}}'));
SELECT evcharge.set_authorization('AUTH', test.wire('ConsumerAuthData',
	'{"authData":{"idTag":"123456789012345678901","idTagInfo":{}}}'));
SELECT evcharge.set_authorization('AUTH', '');
SELECT evcharge.set_authorization('AUTH-nobody', test.wire('ConsumerAuthData', '{"publicKey":"x"}'));
SELECT evcharge.authorize('AUTH-1', test.wire('AuthorizeRequestData', '{"chargePointClientId":"AUTH"}'));
SELECT evcharge.authorize(test.wire('AuthorizeRequestData',
	json_build_object('chargePointClientId', 'AUTH', 'consumerPublicKey', repeat('k', 1025))::text));
SELECT * FROM evcharge.check_integrity();
