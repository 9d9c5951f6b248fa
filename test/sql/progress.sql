-- Progress of transactions.
SELECT test.charge_point('PRG');
SELECT test.report('PRG', '{"id":1,"connectorId":1,"startTime":"2026-01-01T08:00:00Z"}');
CREATE FUNCTION test.progress(tx int, amperes text, at timestamptz) RETURNS void LANGUAGE sql AS $$
	SELECT evcharge.report_progress('PRG', $1, test.wire('EVChargingStatusData', format(
		'{"currentOffered":%s,"currentUnit":"A","voltageOffered":230.5,"voltageUnit":"V"}', $2)), $3) $$;

-- the last progress stands in the transaction, each one in the history
SELECT test.progress(1, '16', '2026-01-01 08:10Z');
SELECT test.progress(1, '32', '2026-01-01 08:20Z');
SELECT test.progress(1, '32', '2026-01-01 08:20Z');		-- repeated
SELECT test.progress(1, '8', '2026-01-01 08:15Z');		-- late: history only
SELECT test.progress(1, '16.123457', '2026-01-01 08:25Z');		-- as exact as float4
SELECT current_offered, current_unit, voltage_offered, voltage_unit, progress_at AT TIME ZONE 'UTC' AS at
FROM evcharge.transaction WHERE charge_point_id = 'PRG';
SELECT sampled_at AT TIME ZONE 'UTC' AS at, current_offered FROM evcharge.meter_sample
WHERE charge_point_id = 'PRG' ORDER BY 1;
SELECT * FROM test.events('PRG', 6);

-- without an id it is that of the only open transaction
SELECT test.progress(0, '"NaN"', '2026-01-01 08:30Z');
SELECT test.progress(-1, '"Infinity"', '2026-01-01 08:40Z');
SELECT current_offered FROM evcharge.transaction WHERE charge_point_id = 'PRG';

-- of an unknown transaction, of none, after the end: recorded and flagged
SELECT test.progress(99, '1', '2026-01-01 08:50Z');
SELECT test.report('PRG', '{"id":1,"endTime":"2026-01-01T09:00:00Z","endMeter":100}');
SELECT test.progress(0, '2', '2026-01-01 09:10Z');
SELECT test.progress(1, '3', '2026-01-01 09:20Z');
SELECT test.progress(1, '4', '2026-01-01 08:55Z');		-- late, but not after the end
SELECT transaction_id, sampled_at AT TIME ZONE 'UTC' AS at, current_offered FROM evcharge.meter_sample
WHERE charge_point_id = 'PRG' AND sampled_at >= '2026-01-01 08:50Z' ORDER BY 2;
SELECT transaction_id, reason, new_value FROM evcharge.event
WHERE charge_point_id = 'PRG' AND kind = 'anomaly' ORDER BY event_id;

SELECT * FROM evcharge.check_integrity();
