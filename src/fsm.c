/*
 * fsm.c
 *		The connector transitions of OCPP 1.6 section 4.9 as a pure table.
 *
 * No I/O and no state: the same arguments always give the same answer, so a
 * test walks all 81 pairs.
 */
#include "postgres.h"

#include "fsm.h"

static const struct
{
	const char *name;			/* as OCPP and the SQL enum spell it */
	const char *wire_name;		/* as it is written on the wire */
	const char *wire_alias;		/* as some gateways write it */
}			statuses[EVC_STATUS_COUNT] = {
	[EVC_AVAILABLE] = {"Available", "AVAILABLE", NULL},
	[EVC_PREPARING] = {"Preparing", "PREPARING", NULL},
	[EVC_CHARGING] = {"Charging", "CHARGING", NULL},
	[EVC_SUSPENDED_EV] = {"SuspendedEV", "SUSPENDEDEV", "SUSPENDED_EV"},
	[EVC_SUSPENDED_EVSE] = {"SuspendedEVSE", "SUSPENDEDEVSE", "SUSPENDED_EVSE"},
	[EVC_FINISHING] = {"Finishing", "FINISHING", NULL},
	[EVC_RESERVED] = {"Reserved", "RESERVED", NULL},
	[EVC_UNAVAILABLE] = {"Unavailable", "UNAVAILABLE", NULL},
	[EVC_FAULTED] = {"Faulted", "FAULTED", NULL},
};

/* Rows are the status before, columns the status after; 53 of 81 are allowed. */
static const bool allowed[EVC_STATUS_COUNT][EVC_STATUS_COUNT] = {
	/*	Av Pr Ch SE SS Fi Re Un Fa */
	[EVC_AVAILABLE] = {0, 1, 1, 1, 1, 0, 1, 1, 1},
	[EVC_PREPARING] = {1, 0, 1, 1, 1, 1, 0, 0, 1},
	[EVC_CHARGING] = {1, 0, 0, 1, 1, 1, 0, 1, 1},
	[EVC_SUSPENDED_EV] = {1, 0, 1, 0, 1, 1, 0, 1, 1},
	[EVC_SUSPENDED_EVSE] = {1, 0, 1, 1, 0, 1, 0, 1, 1},
	[EVC_FINISHING] = {1, 1, 0, 0, 0, 0, 0, 1, 1},
	[EVC_RESERVED] = {1, 1, 0, 0, 0, 0, 0, 1, 1},
	[EVC_UNAVAILABLE] = {1, 1, 1, 1, 1, 0, 0, 0, 1},
	[EVC_FAULTED] = {1, 1, 1, 1, 1, 1, 1, 1, 0},
};

/*
 * evc_fsm_judge
 *		Say what it means that a connector in status "from" reports "to".
 *
 * Nothing is refused: the caller records the report whatever it means.  The
 * first status of a connector is always allowed.
 */
EvcTransition
evc_fsm_judge(EvcStatus from, EvcStatus to)
{
	if (from == to)
		return EVC_REPEATED;
	if (from == EVC_STATUS_NONE || allowed[from][to])
		return EVC_ALLOWED;
	return EVC_ODD;
}

/*
 * evc_fsm_whole_status
 *		Tell whether connector 0, the charge point itself, can have the status.
 *
 * OCPP 1.6 section 4.9 leaves it three of the nine.
 */
bool
evc_fsm_whole_status(EvcStatus status)
{
	return status == EVC_AVAILABLE ||
		status == EVC_UNAVAILABLE ||
		status == EVC_FAULTED;
}

/*
 * evc_fsm_parse
 *		Read a status from the wire, in any case and in either spelling.
 *
 * Returns EVC_STATUS_NONE for anything else.
 */
EvcStatus
evc_fsm_parse(const char *text)
{
	for (int i = 0; i < EVC_STATUS_COUNT; i++)
		if (pg_strcasecmp(text, statuses[i].wire_name) == 0 ||
			(statuses[i].wire_alias != NULL &&
			 pg_strcasecmp(text, statuses[i].wire_alias) == 0))
			return (EvcStatus) i;
	return EVC_STATUS_NONE;
}

/*
 * evc_fsm_parse_name
 *		Read a status as the SQL enum spells it; NULL is EVC_STATUS_NONE.
 */
EvcStatus
evc_fsm_parse_name(const char *name)
{
	if (name != NULL)
		for (int i = 0; i < EVC_STATUS_COUNT; i++)
			if (strcmp(name, statuses[i].name) == 0)
				return (EvcStatus) i;
	return EVC_STATUS_NONE;
}

/*
 * evc_fsm_name
 *		Return a status as OCPP spells it, NULL for EVC_STATUS_NONE.
 */
const char *
evc_fsm_name(EvcStatus status)
{
	return status == EVC_STATUS_NONE ? NULL : statuses[status].name;
}

/*
 * evc_fsm_wire_name
 *		Return a status as it is written on the wire, "" for EVC_STATUS_NONE.
 */
const char *
evc_fsm_wire_name(EvcStatus status)
{
	return status == EVC_STATUS_NONE ? "" : statuses[status].wire_name;
}
