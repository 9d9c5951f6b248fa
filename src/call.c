/*
 * call.c
 *		Opens and closes calls, and records what happens in them.
 */
#include "postgres.h"

#include "access/xact.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "call.h"
#include "errors.h"
#include "guc.h"
#include "notify.h"

#define MAX_ID_LENGTH 255

/*
 * evc_arg_required
 *		Raise an error if an argument is NULL.
 */
void
evc_arg_required(FunctionCallInfo fcinfo, int arg, const char *name)
{
	if (PG_ARGISNULL(arg))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be null", name),
				 errdetail("What a call is about cannot be unknown, or it would be lost.")));
}

/*
 * evc_arg_id
 *		Return an argument that is a charge_point_id.
 */
text *
evc_arg_id(FunctionCallInfo fcinfo, int arg)
{
	evc_arg_required(fcinfo, arg, "charge_point_id");
	return PG_GETARG_TEXT_PP(arg);
}

/*
 * evc_arg_bytes
 *		Return an argument that holds the bytes of a message.
 */
bytea *
evc_arg_bytes(FunctionCallInfo fcinfo, int arg, const char *name)
{
	evc_arg_required(fcinfo, arg, name);
	return evc_message_bytes(PG_GETARG_DATUM(arg));
}

/*
 * evc_arg_time
 *		Return an argument that is a time; NULL is the transaction's.
 */
TimestampTz
evc_arg_time(FunctionCallInfo fcinfo, int arg)
{
	TimestampTz time = PG_ARGISNULL(arg) ? GetCurrentTransactionStartTimestamp() :
	PG_GETARG_TIMESTAMPTZ(arg);

	if (TIMESTAMP_NOT_FINITE(time))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a time of charging must be finite"),
				 errdetail("Infinity is not a time at which something happens.")));
	return time;
}

static void
prepare(EvcCall *call, text *id)
{
	memset(call, 0, sizeof(EvcCall));
	call->caller = CurrentMemoryContext;
	call->id = text_to_cstring(id);
	call->now = GetCurrentTimestamp();
}

/*
 * evc_call_begin
 *		Begin a call about one charge point.
 */
void
evc_call_begin(EvcCall *call, text *id, bool read_only)
{
	prepare(call, id);
	evc_store_begin(&call->store, PointerGetDatum(id), read_only);
}

/*
 * evc_call_begin_report
 *		Begin a call for a report, which is one of a set unless "point" is NULL.
 */
void
evc_call_begin_report(EvcCall *call, text *id, struct EvcSetPoint *point)
{
	prepare(call, id);
	if (point == NULL)
		evc_store_begin(&call->store, PointerGetDatum(id), false);
	else
		evc_store_join(&call->store, point);
}

/*
 * lock
 *		Lock the charge point, and make its row say what is used, not reserved;
 *		false if it is unknown.
 *
 * At the end of int32 there is nothing to reserve.
 */
static bool
lock(EvcCall *call, TimestampTz seen, EvcReserve reserve)
{
	EvcChargePoint *row = &call->row;

	if (!evc_store_lock(&call->store, seen, reserve, row))
	{
		if (reserve.counter == EVC_NO_COUNTER)
			return false;
		reserve.counter = EVC_NO_COUNTER;
		if (!evc_store_lock(&call->store, seen, reserve, row))
			return false;
	}
	call->locked = *row;
	row->last_event_id -= reserve.events;
	row->last_transaction_id -= reserve.counter == EVC_TRANSACTION_IDS;
	row->auth_list_version -= reserve.counter == EVC_LIST_VERSIONS;
	return true;
}

/*
 * evc_call_lock
 *		Lock the charge point for a request; false if it is unknown.
 */
bool
evc_call_lock(EvcCall *call, EvcReserve reserve)
{
	return lock(call, EVC_NO_TIME, reserve);
}

/*
 * register_and_lock
 *		Make the row of an unknown charge point, and lock it.
 *
 * Another call may do the same at the same time: one makes the row, the other
 * waits for it and finds it.  Returns whether it was this one.
 */
static bool
register_and_lock(EvcCall *call, TimestampTz seen, EvcReserve reserve,
				  const char *registration)
{
	size_t		length = strlen(call->id);
	bool		made;

	if (length < 1 || length > MAX_ID_LENGTH)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_INVALID_VALUE),
				 errmsg("invalid charge_point_id"),
				 errdetail("It has %zu bytes; 1 to %d are allowed.",
						   length, MAX_ID_LENGTH)));

	made = evc_store_register(&call->store, registration, call->now);
	if (!lock(call, seen, reserve))
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("could not register charge point \"%s\"", call->id),
				 errdetail("It was registered and removed at the same time."),
				 errhint("Retry the transaction.")));
	if (made)
		evc_call_event(call, EVC_REGISTERED, EVC_NO_ID, EVC_NO_ID,
					   NULL, registration, call->now);
	return made;
}

/*
 * evc_call_lock_report
 *		Lock the charge point for a report, which is a sign of life.
 *
 * A charge point that nobody knows is registered: what it reports is recorded,
 * never refused.  That it did not boot first is odd.
 */
void
evc_call_lock_report(EvcCall *call, int events, bool boot)
{
	EvcReserve	reserve = {.events = events};

	if (lock(call, call->now, reserve))
		return;
	if (register_and_lock(call, call->now, reserve,
						  evc_auto_register ? "Accepted" : "Pending") && !boot)
		evc_call_anomaly(call, "unknown_charge_point", EVC_NO_ID, EVC_NO_ID,
						 NULL, EVC_NO_TIME,
						 "The charge point reports without having booted.");
}

/*
 * evc_call_lock_or_register
 *		Lock the charge point, known or not, without a sign of life.
 *
 * Returns whether it was unknown.
 */
bool
evc_call_lock_or_register(EvcCall *call, EvcReserve reserve,
						  const char *registration)
{
	if (lock(call, EVC_NO_TIME, reserve))
		return false;
	return register_and_lock(call, EVC_NO_TIME, reserve, registration);
}

/*
 * number
 *		Give an event the next number, and its times.
 */
static void
number(const EvcCall *call, EvcEvent *event)
{
	event->event_id = call->row.last_event_id + 1;
	event->recorded_at = call->now;
	if (event->occurred_at == EVC_NO_TIME)
		event->occurred_at = call->now;
}

/*
 * evc_call_next_event
 *		Return the event of a change, for a statement that writes it with the
 *		change.
 */
EvcEvent
evc_call_next_event(const EvcCall *call, EvcEventKind kind,
					int32 connector_id, int32 transaction_id,
					const char *old_value, const char *new_value,
					TimestampTz occurred_at)
{
	EvcEvent	event = {
		.kind = kind,
		.connector_id = connector_id,
		.transaction_id = transaction_id,
		.old_value = old_value,
		.new_value = new_value,
		.occurred_at = occurred_at,
	};

	number(call, &event);
	return event;
}

/*
 * evc_call_wrote_event
 *		Count and announce an event that has been written.
 */
void
evc_call_wrote_event(EvcCall *call, const EvcEvent *event)
{
	call->row.last_event_id = event->event_id;
	evc_notify_event(call->id, event);
}

/*
 * write_event
 *		Write an event, which has its number, by itself.
 */
static void
write_event(EvcCall *call, const EvcEvent *event)
{
	evc_store_insert_event(&call->store, event);
	evc_call_wrote_event(call, event);
}

/*
 * evc_call_event
 *		Record a change and return the number of its event.
 */
int64
evc_call_event(EvcCall *call, EvcEventKind kind,
			   int32 connector_id, int32 transaction_id,
			   const char *old_value, const char *new_value,
			   TimestampTz occurred_at)
{
	EvcEvent	event = evc_call_next_event(call, kind, connector_id,
											transaction_id, old_value,
											new_value, occurred_at);

	write_event(call, &event);
	return event.event_id;
}

/*
 * record_anomaly
 *		Record an anomaly, unless it is known already: with "once" at whatever
 *		time, else at the same.
 */
static void pg_attribute_printf(4, 0)
record_anomaly(EvcCall *call, EvcEvent *event, bool once, const char *detail,
			   va_list args)
{
	StringInfoData sentence;

	initStringInfo(&sentence);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&sentence, detail, copy);
		va_end(copy);
		if (needed == 0)
			break;
		enlargeStringInfo(&sentence, needed);
	}
	event->kind = EVC_ANOMALY;
	event->detail = sentence.data;
	if (evc_store_has_anomaly(&call->store, event, once))
		return;
	number(call, event);
	write_event(call, event);
}

/*
 * evc_call_anomaly
 *		Record that something is odd: a word to filter by, the text that was
 *		reported (or NULL), a sentence.
 *
 * Neither may hold personal data, which readers of events must not see.
 *
 * A charge point says again what was not acknowledged, so what is recorded
 * already, of the same time, is not recorded again.  What has no time by which
 * one report could be told from another (EVC_NO_TIME) is recorded once.
 */
void
evc_call_anomaly(EvcCall *call, const char *reason,
				 int32 connector_id, int32 transaction_id,
				 const char *reported, TimestampTz occurred_at,
				 const char *detail,...)
{
	EvcEvent	event = {
		.connector_id = connector_id,
		.transaction_id = transaction_id,
		.new_value = reported,
		.reason = reason,
		.occurred_at = occurred_at,
	};
	va_list		args;

	va_start(args, detail);
	record_anomaly(call, &event, occurred_at == EVC_NO_TIME, detail, args);
	va_end(args);
}

/*
 * evc_call_anomaly_once
 *		Record that a transaction is odd, the first time that it shows.
 */
void
evc_call_anomaly_once(EvcCall *call, const char *reason,
					  const EvcTransaction *transaction, const char *reported,
					  TimestampTz occurred_at, const char *detail,...)
{
	EvcEvent	event = {
		.connector_id = transaction->connector_id,
		.transaction_id = transaction->transaction_id,
		.new_value = reported,
		.reason = reason,
		.occurred_at = occurred_at,
	};
	va_list		args;

	va_start(args, detail);
	record_anomaly(call, &event, true, detail, args);
	va_end(args);
}

/*
 * evc_call_end
 *		Settle the row of the charge point, and close SQL.
 *
 * The usual call used what it reserved, and there is nothing to write.
 */
void
evc_call_end(EvcCall *call)
{
	const EvcChargePoint *row = &call->row;
	const EvcChargePoint *locked = &call->locked;

	if (!call->store.read_only &&
		(call->changed ||
		 row->last_event_id != locked->last_event_id ||
		 row->last_transaction_id != locked->last_transaction_id ||
		 row->auth_list_version != locked->auth_list_version ||
		 row->auth_list_kept_from != locked->auth_list_kept_from) &&
		!evc_store_update_charge_point(&call->store, row,
									   locked->last_event_id))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("charge point \"%s\" was changed within its own call",
						call->id),
				 errdetail("A trigger on the tables called evcharge for the same charge point."),
				 errhint("Let such a trigger work on another charge point, or after the transaction.")));
	evc_store_end(&call->store);
}

/*
 * evc_call_answer
 *		End the call and return its answer as wire bytes.
 */
bytea *
evc_call_answer(EvcCall *call, const ProtobufCMessage *answer)
{
	MemoryContext old = MemoryContextSwitchTo(call->caller);
	bytea	   *bytes = evc_message_pack(answer);

	MemoryContextSwitchTo(old);
	evc_call_end(call);
	return bytes;
}
