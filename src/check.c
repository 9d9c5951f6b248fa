/*
 * check.c
 *		Says no to a value, with the field that has it and what it may be.
 */
#include "postgres.h"

#include "check.h"
#include "errors.h"

/* OCPP 1.6 section 7.36 */
static const char *const reasons[] = {
	"DeAuthorized", "EmergencyStop", "EVDisconnected", "HardReset", "Local",
	"Other", "PowerLoss", "Reboot", "Remote", "SoftReset", "UnlockCommand"
};

/*
 * evc_check_failed
 *		Raise the error of a field that has a value it cannot have.
 */
void
evc_check_failed(const char *field, const char *value, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_EVC_INVALID_VALUE),
			 errmsg("invalid value for %s: \"%s\"", field, value),
			 errdetail("%s", detail)));
}

/*
 * evc_check_length
 *		Require a text of min to max bytes.
 */
void
evc_check_length(const char *field, const char *value, int min, int max)
{
	int			length = (int) strlen(value);

	if (length < min || length > max)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_INVALID_VALUE),
				 errmsg("invalid length of %s", field),
				 errdetail("It has %d bytes; %d to %d are allowed.",
						   length, min, max)));
}

/*
 * evc_check_time
 *		Require a time with an offset; empty is EVC_NO_TIME.
 */
TimestampTz
evc_check_time(const char *field, const char *value)
{
	TimestampTz time;

	if (!evc_time_parse(value, &time))
		evc_check_failed(field, value,
						 "It must be an RFC 3339 time such as 2026-01-31T18:30:00Z.");
	return time;
}

/*
 * evc_check_status
 *		Require a connector status; empty is EVC_STATUS_NONE.
 */
EvcStatus
evc_check_status(const char *field, const char *value)
{
	EvcStatus	status = evc_fsm_parse(value);

	if (status == EVC_STATUS_NONE && *value != '\0')
		evc_check_failed(field, value,
						 "Allowed are AVAILABLE, PREPARING, CHARGING, SUSPENDEDEV, SUSPENDEDEVSE, FINISHING, RESERVED, UNAVAILABLE and FAULTED.");
	return status;
}

/*
 * evc_check_reason
 *		Require an OCPP reason for the end of a transaction.
 */
void
evc_check_reason(const char *reason)
{
	for (size_t i = 0; i < lengthof(reasons); i++)
		if (strcmp(reason, reasons[i]) == 0)
			return;
	evc_check_failed("reason", reason,
					 "OCPP 1.6 allows DeAuthorized, EmergencyStop, EVDisconnected, HardReset, Local, Other, PowerLoss, Reboot, Remote, SoftReset and UnlockCommand.");
}
