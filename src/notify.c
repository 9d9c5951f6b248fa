/*
 * notify.c
 *		Rings the bell: channels, payloads, and the one place that decides how.
 *
 * A notification is a hint with keys only; the event table is the truth.
 */
#include "postgres.h"

#include "commands/async.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "announcer.h"
#include "guc.h"
#include "notify.h"

static const char *const channels[] = {
	[EVC_ABOUT_CHARGE_POINT] = "evcharge_charge_point",
	[EVC_ABOUT_CONNECTOR] = "evcharge_connector",
	[EVC_ABOUT_TRANSACTION] = "evcharge_transaction",
	[EVC_ABOUT_AUTH] = "evcharge_auth",
};

/*
 * append_number
 *		Write a member of a JSON object that has others before it.
 *
 * This is done for each event, and printf is slow.
 */
static void
append_number(StringInfo payload, const char *name, int64 value)
{
	char		digits[MAXINT8LEN + 1];

	pg_lltoa(value, digits);
	appendStringInfoString(payload, ",\"");
	appendStringInfoString(payload, name);
	appendStringInfoString(payload, "\":");
	appendStringInfoString(payload, digits);
}

/*
 * append_word
 *		The same for a text that needs no escaping.
 */
static void
append_word(StringInfo payload, const char *name, const char *value)
{
	appendStringInfoString(payload, ",\"");
	appendStringInfoString(payload, name);
	appendStringInfoString(payload, "\":\"");
	appendStringInfoString(payload, value);
	appendStringInfoChar(payload, '"');
}

/*
 * build_payload
 *		Write the keys of an event as a JSON object.
 *
 * Never personal data: any role of the cluster can listen.  An id of a charge
 * point has at most 255 bytes, which JSON escapes at most sixfold, so the
 * limit of 8000 bytes is far.
 */
static void
build_payload(StringInfo payload, const char *charge_point_id,
			  const EvcEvent *event)
{
	appendStringInfoString(payload, "{\"charge_point_id\":");
	escape_json(payload, charge_point_id);
	append_number(payload, "event_id", event->event_id);
	append_word(payload, "kind", evc_event_kind_name(event->kind));
	if (event->connector_id != EVC_NO_ID)
		append_number(payload, "connector_id", event->connector_id);
	if (event->transaction_id != EVC_NO_ID)
		append_number(payload, "transaction_id", event->transaction_id);
	if ((event->kind == EVC_CONNECTOR_STATUS ||
		 event->kind == EVC_CHARGE_POINT_STATUS) && event->new_value != NULL)
		append_word(payload, "status", event->new_value);
	appendStringInfoChar(payload, '}');
}

/*
 * evc_notify_send
 *		Send NOTIFY for one event when this transaction commits.
 */
void
evc_notify_send(const char *charge_point_id, const EvcEvent *event)
{
	StringInfoData payload;

	initStringInfo(&payload);
	build_payload(&payload, charge_point_id, event);
	Async_Notify(channels[evc_event_subject(event)], payload.data);
	pfree(payload.data);
}

/*
 * evc_notify_event
 *		Announce one event the way evcharge.notify says.
 *
 * This is where it is decided whether NOTIFY belongs to the transaction.  An
 * announcer that has not been at work cannot be relied on, so until then events
 * go the other way.  One that is at work announces all events of its database,
 * so a session that would do so itself had them heard twice.
 */
void
evc_notify_event(const char *charge_point_id, const EvcEvent *event)
{
	if (evc_notify != EVC_NOTIFY_OFF && !evc_announcer_takes())
		evc_notify_send(charge_point_id, event);
}

/*
 * notify_mode() -> text
 *		Return the way of announcing that is in force, and why if it is not the
 *		one that is set.
 */
PG_FUNCTION_INFO_V1(evc_notify_mode);
Datum
evc_notify_mode(PG_FUNCTION_ARGS)
{
	const char *obstacle = evc_announcer_obstacle();
	const char *mode = "announcer";

	(void) fcinfo;
	if (evc_notify == EVC_NOTIFY_OFF)
		mode = "off";
	else if (obstacle != NULL && evc_notify == EVC_NOTIFY_COMMIT)
		mode = "commit";
	else if (obstacle != NULL)
		mode = psprintf("commit: %s", obstacle);
	PG_RETURN_TEXT_P(cstring_to_text(mode));
}
