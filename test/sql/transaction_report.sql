-- Transactions as charge points report them.
SELECT test.charge_point('TXR');

-- a start, repeated, and its end, repeated: each counts once
SELECT test.report('TXR', '{"id":10,"connectorId":1,"startTime":"2026-01-01T09:00:00+01:00","startMeter":100}');
SELECT test.report('TXR', '{"id":10,"connectorId":1,"startTime":"2026-01-01T08:00:00Z","startMeter":100}');
SELECT transaction_id, connector_id, started_at AT TIME ZONE 'UTC' AS started, start_meter,
	confirmed_at IS NOT NULL AS confirmed, ended_at FROM evcharge.transaction WHERE charge_point_id = 'TXR';
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'TXR' ORDER BY 1;
SELECT test.report('TXR', '{"id":10,"endTime":"2026-01-01T10:00:00Z","endMeter":5100}');
SELECT test.report('TXR', '{"id":10,"endTime":"2026-01-01T10:00:00Z","endMeter":5100}');
SELECT test.report('TXR', '{"id":10,"connectorId":1,"startTime":"2026-01-01T08:00:00Z","startMeter":100}');
SELECT transaction_id, started_at AT TIME ZONE 'UTC' AS started, start_meter,
	ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'TXR';
SELECT * FROM test.events('TXR', 6);

-- the counter follows the id, so the next one is new
SELECT last_transaction_id FROM evcharge.charge_point WHERE charge_point_id = 'TXR';

-- a start while another is open ends the older one, by force and flagged ...
SELECT test.report('TXR', '{"id":20,"connectorId":1,"startTime":"2026-01-02T08:00:00Z","startMeter":5100}');
SELECT test.report('TXR', '{"id":21,"connectorId":1,"startTime":"2026-01-02T09:00:00Z","startMeter":6000}');
SELECT transaction_id, ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id >= 20 ORDER BY 1;
-- ... and the late end of the older one still tells the truth
SELECT test.report('TXR', '{"id":20,"endTime":"2026-01-02T08:50:00Z","endMeter":5900}');
SELECT transaction_id, ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id >= 20 ORDER BY 1;
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'TXR' ORDER BY 1;
-- a start that comes late is the older one itself
SELECT test.report('TXR', '{"id":19,"connectorId":1,"startTime":"2026-01-02T07:00:00Z","startMeter":5100}');
SELECT transaction_id, ended_at AT TIME ZONE 'UTC' AS ended, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id >= 19 ORDER BY 1;
SELECT test.report('TXR', '{"id":21,"endTime":"2026-01-02T10:00:00Z","endMeter":7000}');
SELECT * FROM test.events('TXR', 8);

-- a start that a consumer requested is confirmed by the charge point, which
-- was not told the id: StartTransaction.req has none
SELECT test.authorize('TXR', 'alice');
SELECT test.start('TXR', 2, 'alice', '2026-01-03 08:00Z');
SELECT id_tag AS tag FROM evcharge.auth WHERE charge_point_id = 'TXR' AND consumer_key = 'alice' \gset
SELECT test.report('TXR', json_build_object('id', 0, 'idTag', lower(:'tag'), 'connectorId', 2,
	'startTime', '2026-01-03T08:00:20Z', 'startMeter', 400)::text);
-- its answer was lost, so it comes again
SELECT test.report('TXR', json_build_object('id', -1, 'idTag', lower(:'tag'), 'connectorId', 2,
	'startTime', '2026-01-03T08:00:20Z', 'startMeter', 400)::text);
SELECT transaction_id, consumer_key, started_at AT TIME ZONE 'UTC' AS started, start_meter,
	confirmed_at IS NOT NULL AS confirmed FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND connector_id = 2;
-- the consumer stops it; then the charge point tells when and at which meter
SELECT test.stop('TXR', 2, 'alice', '2026-01-03 09:00Z')::jsonb #> '{transactionInfo,endMeter}' AS meter;
SELECT test.report('TXR', '{"id":22,"endTime":"2026-01-03T09:00:07Z","endMeter":7900}');
SELECT ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason, forced
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id = 22;
SELECT * FROM test.events('TXR', 19);

-- a start without id that nobody requested gets the next one, and an end
-- without id ends it
SELECT test.report('TXR', '{"connectorId":2,"startTime":"2026-01-04T08:00:00Z"}');
SELECT test.report('TXR', '{"connectorId":2,"endTime":"2026-01-04T09:00:00Z","endMeter":300}');
-- an end of which the start was never heard is a whole session
SELECT test.report('TXR', '{"id":30,"connectorId":3,"startTime":"2026-01-04T08:00:00Z","startMeter":5,"endTime":"2026-01-04T09:00:00Z","endMeter":1005}');
SELECT transaction_id, connector_id, started_at AT TIME ZONE 'UTC' AS started, start_meter,
	ended_at AT TIME ZONE 'UTC' AS ended, end_meter, stop_reason
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id IN (23, 30) ORDER BY 1;
SELECT * FROM test.events('TXR', 25);

-- what is odd is recorded and flagged: tags, connectors, times, meters, ids
SELECT test.report('TXR', '{"id":40,"idTag":"STRANGER","connectorId":1,"startTime":"2026-01-05T08:00:00Z","startMeter":500}');
SELECT test.report('TXR', '{"id":40,"idTag":"OTHER","connectorId":2,"endTime":"2026-01-05T07:00:00Z","endMeter":400}');
SELECT test.report('TXR', '{"id":41,"connectorId":1,"startTime":"soon","startMeter":500}');
SELECT test.report('TXR', '{"id":41,"endTime":"2026-13-05T07:00:00Z","endMeter":500}');
SELECT test.report('TXR', '{"id":42,"startTime":"2026-01-05T09:00:00Z"}');
SELECT test.report('TXR', '{"id":2147483000,"connectorId":1,"startTime":"2026-01-05T10:00:00Z"}');
SELECT connector_id, transaction_id, reason, new_value, detail FROM evcharge.event
WHERE charge_point_id = 'TXR' AND event_id > 29 AND kind = 'anomaly' ORDER BY event_id;
SELECT transaction_id, connector_id, id_tag, ended_at IS NULL AS open, end_meter
FROM evcharge.transaction WHERE charge_point_id = 'TXR' AND transaction_id >= 40 ORDER BY 1;

-- repetitions without an id: of an end, of a start without a time, of an end
-- whose time cannot be read
SELECT test.charge_point('TXR-2');
SELECT test.report('TXR-2', '{"connectorId":1,"startTime":"2026-01-01T08:00:00Z","startMeter":1}');
SELECT test.report('TXR-2', '{"connectorId":1,"endTime":"2026-01-01T09:00:00Z","endMeter":50}') FROM generate_series(1, 3);
SELECT test.report('TXR-2', '{"connectorId":2,"idTag":"A","startMeter":7}') FROM generate_series(1, 3);
SELECT test.report('TXR-2', '{"connectorId":2,"endTime":"garbage","endMeter":50}');
SELECT ended_at AS ended FROM evcharge.transaction WHERE charge_point_id = 'TXR-2' AND transaction_id = 2 \gset
SELECT test.report('TXR-2', '{"id":2,"endTime":"garbage","endMeter":50}');
SELECT transaction_id, connector_id, end_meter, ended_at = :'ended' AS same_end FROM evcharge.transaction
WHERE charge_point_id = 'TXR-2' ORDER BY 1;

-- an end that overtakes its start has no connector; the start tells
SELECT test.report('TXR-2', '{"id":9,"endTime":"2026-01-01T11:00:00Z","endMeter":900}');
SELECT test.report('TXR-2', '{"id":9,"connectorId":2,"startTime":"2026-01-01T10:00:00Z","startMeter":100}') FROM generate_series(1, 2);
SELECT test.report('TXR-2', '{"id":10,"startTime":"2026-01-01T12:00:00Z","startMeter":900}');
SELECT test.report('TXR-2', '{"id":10,"connectorId":1,"startTime":"2026-01-01T12:00:00Z","startMeter":900}');
SELECT transaction_id, connector_id, start_meter, end_meter, ended_at IS NULL AS open FROM evcharge.transaction
WHERE charge_point_id = 'TXR-2' AND transaction_id >= 9 ORDER BY 1;
SELECT connector_id, transaction_id FROM evcharge.connector WHERE charge_point_id = 'TXR-2' ORDER BY 1;
SELECT * FROM test.events('TXR-2', 6);

-- the answer to the start was lost, and a StopTransaction names no connector: it
-- is the end of the only open transaction that it can be, also when repeated
SELECT test.charge_point('TXR-3');
SELECT test.report('TXR-3', '{"connectorId":1,"idTag":"A","startTime":"2026-01-01T08:00:00Z","startMeter":1}');
SELECT test.report('TXR-3', '{"connectorId":2,"idTag":"B","startTime":"2026-01-01T08:30:00Z","startMeter":1}');
SELECT test.report('TXR-3', '{"id":-1,"idTag":"b","endTime":"2026-01-01T09:00:00Z","endMeter":50}') FROM generate_series(1, 2);
SELECT test.report('TXR-3', '{"endTime":"2026-01-01T10:00:00Z","endMeter":70}') FROM generate_series(1, 2);
SELECT transaction_id, connector_id, id_tag, end_meter FROM evcharge.transaction
WHERE charge_point_id = 'TXR-3' ORDER BY 1;

SELECT * FROM evcharge.check_integrity();
