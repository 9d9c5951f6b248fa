-- Whole states: into the tables and out of them.
\set blob '{"id":"STA","status":"AVAILABLE","connectors":{"1":{"id":1,"status":"CHARGING","currentTransaction":7},"2":{"id":2,"status":"SUSPENDEDEV"},"3":{"id":3}},"transactions":{"5":{"id":5,"idTag":"TAG-A","connectorId":1,"startTime":"2026-01-01T08:00:00Z","endTime":"2026-01-01T09:30:00.5Z","startMeter":100,"endMeter":8100,"progress":{}},"7":{"id":7,"idTag":"TAG-A","connectorId":1,"startTime":"2026-01-02T08:00:00Z","startMeter":8100,"progress":{"currentOffered":15.5,"currentUnit":"A","voltageOffered":230,"voltageUnit":"V"}}},"authList":{"TAG-A":{"publicKey":"alice","transactionId":7,"authData":{"idTag":"TAG-A","idTagInfo":{"expiryDate":"2030-01-01T00:00:00Z","parentIdTag":"P","status":"Accepted"}}},"tag-b":{"publicKey":"bob","authData":{"idTag":"tag-b","idTagInfo":{"status":"Blocked"}}}},"currentAuthListVersion":12,"currentTransactionId":7}'
SELECT test.wire('ChargePointState', :'blob') AS wire \gset

-- what was loaded is what comes out, byte by byte
SELECT evcharge.load_state(:'wire');
SELECT evcharge.encode(evcharge.charge_point_state('STA')) = :'wire' AS same;
SELECT evcharge.to_json(evcharge.charge_point_state('STA'));
SELECT * FROM test.events('STA');
-- the holder of the tag owns the transaction
SELECT transaction_id, consumer_key, stop_reason FROM evcharge.transaction WHERE charge_point_id = 'STA' ORDER BY 1;

-- loading it again changes nothing
SELECT evcharge.load_state('STA', :'wire');
SELECT count(*) AS events FROM test.events('STA');

-- other spellings are read, one is written
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-2","status":"Available","connectors":{
	"1":{"status":"Suspended_EV"}},"transactions":{"1":{"connectorId":1,"startTime":"2026-01-01 10:00:00,25+02:00"}}}'));
SELECT evcharge.to_json(evcharge.charge_point_state('STA-2'));

-- what a state lacks of connectors and authorizations goes; transactions stay,
-- and one that is open here but not there is ended by force
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","status":"UNAVAILABLE","connectors":{
	"1":{"id":1,"status":"AVAILABLE"}},"transactions":{"5":{"id":5,"idTag":"TAG-A","connectorId":1,
	"startTime":"2026-01-01T08:00:00Z","endTime":"2026-01-01T09:30:00.5Z","startMeter":100,"endMeter":9100}},
	"authList":{"tag-b":{"publicKey":"bob","authData":{"idTag":"tag-b","idTagInfo":{"status":"Accepted"}}}},
	"currentAuthListVersion":20,"currentTransactionId":9}'));
SELECT evcharge.to_json(evcharge.charge_point_state('STA'))::jsonb #- '{transactions,7,endTime}' AS state;
SELECT * FROM test.events('STA', 14);
SELECT auth_list_version, auth_list_kept_from, last_transaction_id FROM evcharge.charge_point WHERE charge_point_id = 'STA';

-- closed transactions: as many as are asked for, the newest
SELECT evcharge.to_json(evcharge.charge_point_state('STA', 0))::jsonb ? 'transactions' AS any;
SELECT count(*) FROM evcharge.transactions(evcharge.charge_point_state('STA', 1));
SELECT evcharge.charge_point_state('STA-nobody') IS NULL AS unknown;

-- an old state with two transactions open on a connector: one can be
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-3","connectors":{"1":{"currentTransaction":2},"2":{"currentTransaction":99}},
	"transactions":{"1":{"connectorId":1},"2":{"connectorId":1},"3":{"connectorId":1},"4":{"connectorId":5}},
	"authList":{"T":{"transactionId":3}}}'));
SELECT transaction_id, connector_id, ended_at IS NULL AS open, stop_reason, forced FROM evcharge.transaction
WHERE charge_point_id = 'STA-3' ORDER BY 1;
SELECT connector_id, status, transaction_id FROM evcharge.connector WHERE charge_point_id = 'STA-3' ORDER BY 1;
SELECT connector_id, transaction_id, reason FROM evcharge.event
WHERE charge_point_id = 'STA-3' AND kind = 'anomaly' ORDER BY event_id;

-- its counter was set back below them: an id that is taken is passed over
SELECT evcharge.heartbeat('STA-3') IS NOT NULL AS seen, test.status('STA-3', 2, 'Available', now());
SELECT test.authorize('STA-3', 'alice'), test.start('STA-3', 2, 'alice', now());
SELECT transaction_id FROM evcharge.connector WHERE charge_point_id = 'STA-3' AND connector_id = 2;

-- connector 0 is the charge point itself
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-4","connectors":{"0":{"status":"FAULTED"}}}'));
SELECT evcharge.to_json(evcharge.charge_point_state('STA-4'));

-- open transactions that changed places; what was ended properly stays so; an
-- authorization in use by another tag's transaction is in use by none
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-5","connectors":{"1":{},"2":{}},
	"transactions":{"1":{"connectorId":1},"2":{"connectorId":2}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-5","connectors":{"1":{},"2":{}},
	"transactions":{"1":{"connectorId":2},"2":{"connectorId":1},"3":{"connectorId":1,"startTime":"2026-01-01T08:00:00Z",
	"endTime":"2026-01-01T09:00:00Z","startMeter":5,"endMeter":500}}}'));
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'STA-5' ORDER BY 1;
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-5","connectors":{"1":{"currentTransaction":1}},
	"transactions":{"1":{"connectorId":1,"idTag":"A"},"3":{"connectorId":1}},
	"authList":{"A":{"transactionId":1},"B":{"transactionId":1}},"currentAuthListVersion":5}'));
SELECT transaction_id, connector_id, end_meter, forced FROM evcharge.transaction WHERE charge_point_id = 'STA-5' ORDER BY 1;
SELECT id_tag, transaction_id FROM evcharge.auth WHERE charge_point_id = 'STA-5' ORDER BY 1;
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA-5","connectors":{"1":{}},"currentAuthListVersion":5}'));
SELECT * FROM evcharge.check_integrity();

-- errors name the field, and nothing has changed
\set SHOW_CONTEXT never
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","status":"ON"}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","connectors":{"1":{"status":"BURNING"}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","connectors":{"1":{"id":2}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","connectors":{"-1":{}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","transactions":{"1":{"startTime":"2026-01-01T08:00:00"}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","transactions":{"1":{"endTime":"x"}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","transactions":{"1":{"endTime":"9999-12-31T23:30:00-01:00"}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","transactions":{"1":{"endTime":"0000-01-01T00:30:00+01:00"}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","transactions":{"0":{}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","authList":{"A":{},"a":{}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","authList":{"A":{"authData":{"idTag":"B"}}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","authList":{"A":{"authData":{"idTagInfo":{"status":"?"}}}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","authList":{"A":{"authData":{"idTagInfo":{"expiryDate":"?"}}}}}'));
SELECT evcharge.load_state(test.wire('ChargePointState', '{"id":"STA","currentTransactionId":-1}'));
SELECT evcharge.load_state('STA-2', test.wire('ChargePointState', '{"id":"STA"}'));
SELECT evcharge.load_state('');
SELECT status, auth_list_version FROM evcharge.charge_point WHERE charge_point_id = 'STA';
SELECT * FROM evcharge.check_integrity();
