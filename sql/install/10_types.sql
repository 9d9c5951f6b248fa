-- ---------------------------------------------------------------------------
-- Types that the tables use
-- ---------------------------------------------------------------------------

CREATE TYPE evcharge.connector_status AS ENUM (
	'Available', 'Preparing', 'Charging', 'SuspendedEV', 'SuspendedEVSE',
	'Finishing', 'Reserved', 'Unavailable', 'Faulted');
COMMENT ON TYPE evcharge.connector_status IS
'Status of a connector, spelled as OCPP 1.6 section 7.7 ChargePointStatus spells it';

CREATE TYPE evcharge.registration_status AS ENUM (
	'Accepted', 'Pending', 'Rejected');
COMMENT ON TYPE evcharge.registration_status IS
'Whether a charge point may take part: OCPP 1.6 section 7.38 RegistrationStatus';

CREATE TYPE evcharge.authorization_status AS ENUM (
	'Accepted', 'Blocked', 'Expired', 'Invalid', 'ConcurrentTx');
COMMENT ON TYPE evcharge.authorization_status IS
'Status of an id tag: OCPP 1.6 section 7.2 AuthorizationStatus';

