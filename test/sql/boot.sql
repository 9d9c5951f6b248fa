-- Boot notifications, heartbeats and registration.

-- an unknown charge point is registered and accepted
SELECT test.read('LogData', evcharge.boot_notification('BOOT-1', test.wire(
	'BootNotificationRequestData', '{"chargeBoxSerialNumber":"B","chargePointModel":"M",
	"ChargePointSerialNumber":"S","ChargePointVendor":"V","firmwareVersion":"1.0","iccid":"8949",
	"imsi":"262","meterSerialNumber":"MS","meterType":"MT"}')))::jsonb -> 'resp' AS resp;
SELECT registration, charge_box_serial_number, charge_point_model, charge_point_serial_number,
	charge_point_vendor, firmware_version, iccid, imsi, meter_serial_number, meter_type,
	booted_at = last_seen_at AS seen
FROM evcharge.charge_point WHERE charge_point_id = 'BOOT-1';

-- the answer has the time, which a charge point sets its clock by
SELECT abs(extract(epoch FROM now() - (test.read('LogData',
	evcharge.boot_notification('BOOT-1', ''))::json ->> 'currentTime')::timestamptz)) < 60 AS is_now;

-- a boot says all nine fields anew
SELECT charge_point_model IS NULL AS forgotten FROM evcharge.charge_point WHERE charge_point_id = 'BOOT-1';
SELECT * FROM test.events('BOOT-1');

-- without auto_register it has to wait until somebody decides
SET evcharge.auto_register = off;
SELECT test.read('LogData', evcharge.boot_notification('BOOT-2', ''))::jsonb -> 'resp' AS resp;
SELECT test.authorize('BOOT-2', 'key');
SELECT evcharge.set_registration('BOOT-2', 'Rejected');
SELECT test.read('LogData', evcharge.boot_notification('BOOT-2', ''))::jsonb -> 'resp' AS resp;
SELECT evcharge.set_registration('BOOT-2', 'accepted');
SELECT evcharge.set_registration('BOOT-2', 'Accepted');
SELECT test.read('LogData', evcharge.boot_notification('BOOT-2', ''))::jsonb -> 'resp' AS resp;
SELECT * FROM test.events('BOOT-2');
RESET evcharge.auto_register;

-- a charge point that reports without having booted is recorded, and flagged
SELECT evcharge.heartbeat('BOOT-3') > now() - interval '1 minute' AS now;
SELECT evcharge.report_log('BOOT-4', test.wire('LogData',
	'{"currentTime":"2026-01-01T08:00:00+01:00","resp":{"error":true,"message":"door open"}}'));
SELECT * FROM test.events('BOOT-3');
SELECT * FROM test.events('BOOT-4');

-- a log entry keeps its time; one that cannot be read is flagged, not lost
SELECT evcharge.report_log('BOOT-4', test.wire('LogData', '{"currentTime":"yesterday"}'));
SELECT event_id, CASE WHEN logged_at < now() - interval '1 day' THEN logged_at AT TIME ZONE 'UTC' END AS utc,
	is_error, message FROM evcharge.gateway_log WHERE charge_point_id = 'BOOT-4' ORDER BY event_id;
SELECT * FROM test.events('BOOT-4', 3);

-- a heartbeat is a sign of life and no event
SELECT last_seen_at AS before FROM evcharge.charge_point WHERE charge_point_id = 'BOOT-3' \gset
SELECT evcharge.heartbeat('BOOT-3') > :'before' AS later;
SELECT last_seen_at > :'before' AS seen, last_event_id FROM evcharge.charge_point WHERE charge_point_id = 'BOOT-3';

-- errors: what an operator asks is checked, an id must be one
\set SHOW_CONTEXT never
SELECT evcharge.set_registration('BOOT-1', 'Maybe');
SELECT evcharge.set_registration('BOOT-nobody', 'Accepted');
SELECT evcharge.heartbeat('');
SELECT evcharge.heartbeat(repeat('x', 256));
SELECT evcharge.heartbeat(NULL);
SELECT * FROM evcharge.check_integrity();
