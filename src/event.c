/*
 * event.c
 *		Names the kinds of event and says what each is about.
 */
#include "postgres.h"

#include "event.h"

static const struct
{
	const char *name;
	EvcSubject	subject;
}			kinds[] = {
	[EVC_ANOMALY] = {"anomaly", EVC_ABOUT_CHARGE_POINT},
	[EVC_AUTH_ADDED] = {"auth_added", EVC_ABOUT_AUTH},
	[EVC_AUTH_CHANGED] = {"auth_changed", EVC_ABOUT_AUTH},
	[EVC_AUTH_REMOVED] = {"auth_removed", EVC_ABOUT_AUTH},
	[EVC_BOOTED] = {"booted", EVC_ABOUT_CHARGE_POINT},
	[EVC_CHARGE_POINT_STATUS] = {"charge_point_status", EVC_ABOUT_CHARGE_POINT},
	[EVC_CONNECTOR_ADDED] = {"connector_added", EVC_ABOUT_CONNECTOR},
	[EVC_CONNECTOR_REMOVED] = {"connector_removed", EVC_ABOUT_CONNECTOR},
	[EVC_CONNECTOR_STATUS] = {"connector_status", EVC_ABOUT_CONNECTOR},
	[EVC_LOGGED] = {"log", EVC_ABOUT_CHARGE_POINT},
	[EVC_REGISTERED] = {"registered", EVC_ABOUT_CHARGE_POINT},
	[EVC_REGISTRATION_CHANGED] = {"registration_changed", EVC_ABOUT_CHARGE_POINT},
	[EVC_STATE_LOADED] = {"state_loaded", EVC_ABOUT_CHARGE_POINT},
	[EVC_TRANSACTION_AMENDED] = {"transaction_amended", EVC_ABOUT_TRANSACTION},
	[EVC_TRANSACTION_CONFIRMED] = {"transaction_confirmed", EVC_ABOUT_TRANSACTION},
	[EVC_TRANSACTION_ENDED] = {"transaction_ended", EVC_ABOUT_TRANSACTION},
	[EVC_TRANSACTION_PROGRESS] = {"transaction_progress", EVC_ABOUT_TRANSACTION},
	[EVC_TRANSACTION_REOPENED] = {"transaction_reopened", EVC_ABOUT_TRANSACTION},
	[EVC_TRANSACTION_STARTED] = {"transaction_started", EVC_ABOUT_TRANSACTION},
};

/*
 * evc_event_kind_name
 *		Return a kind as the event table and the payloads spell it.
 */
const char *
evc_event_kind_name(EvcEventKind kind)
{
	return kinds[kind].name;
}

/*
 * evc_event_kind_parse
 *		Read a kind as the event table spells it; false if it is none.
 */
bool
evc_event_kind_parse(const char *name, EvcEventKind *kind)
{
	for (size_t i = 0; i < lengthof(kinds); i++)
	{
		if (strcmp(name, kinds[i].name) == 0)
		{
			*kind = (EvcEventKind) i;
			return true;
		}
	}
	return false;
}

/*
 * evc_event_subject
 *		Return what an event is about.
 *
 * An anomaly is about the narrowest thing that it concerns.
 */
EvcSubject
evc_event_subject(const EvcEvent *event)
{
	if (event->kind != EVC_ANOMALY)
		return kinds[event->kind].subject;
	if (event->transaction_id != EVC_NO_ID)
		return EVC_ABOUT_TRANSACTION;
	if (event->connector_id != EVC_NO_ID)
		return EVC_ABOUT_CONNECTOR;
	return EVC_ABOUT_CHARGE_POINT;
}
