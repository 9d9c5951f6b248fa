/*
 * envelope.c
 *		One door for everything: messages with their type, and the events.Event
 *		envelope in which the peers of a gateway send them.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/executor.h"
#include "utils/lsyscache.h"
#include "utils/typcache.h"
#include "utils/builtins.h"

#include "check.h"
#include "errors.h"
#include "message.h"
#include "report.h"
#include "request.h"
#include "wire.h"

/* proto/events.proto: the gateway's part of the envelope */
static const struct
{
	uint32		event_id;
	uint32		field;
	EvcType		type;
}			envelopes[] = {
	{23, 17, EVC_BOOT_NOTIFICATION_REQUEST},
	{24, 18, EVC_LOG},
	{25, 19, EVC_AUTHORIZE_REQUEST},
	{26, 20, EVC_AUTHORIZE_RESPONSE},
	{27, 21, EVC_CHECK_AVAILABILITY_REQUEST},
	{28, 22, EVC_CHECK_AVAILABILITY_RESPONSE},
	{29, 24, EVC_START_TRANSACTION_REQUEST},
	{30, 25, EVC_START_TRANSACTION_RESPONSE},
	{31, 26, EVC_EV_CHARGING_STATUS},
	{32, 29, EVC_NOTIFY_CHARGE_POINT_STATE_CHANGE},
	{33, 27, EVC_STOP_TRANSACTION_REQUEST},
	{34, 28, EVC_STOP_TRANSACTION_RESPONSE},
};

#define EVENT_ID_FIELD		1

/*
 * refuse_type
 *		Raise the error of a message that this door has no use for.
 */
pg_noreturn static void
refuse_type(EvcType type, bool routed)
{
	bool		report = evc_report_is_one(type);

	ereport(ERROR,
			(errcode(ERRCODE_EVC_WRONG_MESSAGE_TYPE),
			 report && !routed ?
			 errmsg("message type %s does not say which charge point it is from",
					evc_message_type_name(type)) :
			 errmsg("message type %s is neither a request nor a report",
					evc_message_type_name(type)),
			 errdetail("Requests are AuthorizeRequestData, CheckAvailabilityRequestData, StartTransactionRequestData and StopTransactionRequestData; reports are BootNotificationRequestData, ConnectorInfo, EVChargingStatusData, LogData and TransactionInfo."),
			 report && !routed ?
			 errhint("Give the charge_point_id as the first argument.") : 0));
}

/*
 * handle
 *		Carry out a request or record a report; return what is to be answered,
 *		NULL for nothing, and its type.
 *
 * The charge point is the one that the call is for, else the one that the
 * message names in its first field.
 */
static bytea *
handle(EvcType type, text *id, const void *bytes, size_t len,
	   EvcType *answer_type)
{
	EvcReportContext context = {.at = GetCurrentTransactionStartTimestamp()};

	*answer_type = evc_request_answer_type(type);
	if (*answer_type != 0)
		return evc_request(type, id, bytes, len);

	if (type == EVC_BOOT_NOTIFICATION_REQUEST)
	{
		*answer_type = EVC_LOG;
		if (id == NULL)
		{
			Gateway__BootNotificationRequestData *data =
				evc_message_unpack(type, bytes, len);

			if (*data->charge_box_serial_number == '\0')
				evc_check_failed("charge_box_serial_number", "",
								 "Without a charge_point_id in front it is the identity of the charge point.");
			id = cstring_to_text(data->charge_box_serial_number);
		}
	}
	if (id == NULL || !evc_report_is_one(type))
		refuse_type(type, id != NULL);
	return evc_report(type, id, bytes, len, &context);
}

/*
 * handle([charge_point_id text,] request message) -> message
 */
PG_FUNCTION_INFO_V1(evc_handle);
Datum
evc_handle(PG_FUNCTION_ARGS)
{
	bool		routed = PG_NARGS() > 1;
	text	   *id = routed ? evc_arg_id(fcinfo, 0) : NULL;
	EvcMessage *request;
	EvcType		answer_type;
	bytea	   *answer;

	evc_arg_required(fcinfo, routed ? 1 : 0, "request");
	request = PG_GETARG_EVCMESSAGE_P(routed ? 1 : 0);
	answer = handle(evc_message_type_of(request), id, request->wire,
					EVC_MESSAGE_WIRE_SIZE(request), &answer_type);
	if (answer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(evc_message_make(answer_type, VARDATA_ANY(answer),
									   VARSIZE_ANY_EXHDR(answer)));
}

/* The message inside an envelope. */
typedef struct Content
{
	int			kind;			/* index of envelopes, -1 for none */
	StringInfoData bytes;
	size_t		offset;			/* where it begins in the envelope */
} Content;

/*
 * malformed_event
 *		Raise the error of an envelope that is none.
 */
pg_noreturn static void
malformed_event(size_t offset, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_EVC_MALFORMED_MESSAGE),
			 errmsg("malformed events.Event message"),
			 errdetail("At byte %zu: %s.", offset, what)));
}

/*
 * refuse_event
 *		Raise the error of an event that is not the gateway's.
 */
pg_noreturn static void
refuse_event(const char *what, uint64 number)
{
	ereport(ERROR,
			(errcode(ERRCODE_EVC_NO_SUCH_MESSAGE_TYPE),
			 errmsg("%s " UINT64_FORMAT " of events.Event is not the gateway's",
					what, number),
			 errdetail("It belongs to another service of the network."),
			 errhint("Send only events 23 to 34 here.")));
}

/*
 * envelope_of_field
 *		Return the index of a member of the oneof, -1 if it is not the gateway's.
 */
static int
envelope_of_field(uint32 field)
{
	for (size_t i = 0; i < lengthof(envelopes); i++)
		if (envelopes[i].field == field)
			return (int) i;
	return -1;
}

/*
 * is_gateway_event
 *		Tell whether an event_id is one of the gateway's.
 */
static bool
is_gateway_event(uint64 event_id)
{
	for (size_t i = 0; i < lengthof(envelopes); i++)
		if (envelopes[i].event_id == event_id)
			return true;
	return false;
}

/*
 * add_member
 *		Take a member of the oneof: the last one counts, and one that comes in
 *		parts is the sum of its parts.
 */
static void
add_member(Content *content, const EvcField *field, size_t offset)
{
	int			kind = envelope_of_field(field->number);

	if (kind < 0)
		refuse_event("field", field->number);
	if (kind != content->kind)
	{
		resetStringInfo(&content->bytes);
		content->kind = kind;
		content->offset = offset;
	}
	appendBinaryStringInfo(&content->bytes, (const char *) field->data,
						   (int) field->size);
}

/*
 * open_envelope
 *		Read an envelope; the message inside is not looked into.
 */
static void
open_envelope(const bytea *event, Content *content)
{
	const uint8 *start = (const uint8 *) VARDATA_ANY(event);
	EvcCursor	cursor = {start, start + VARSIZE_ANY_EXHDR(event)};
	EvcField	field;
	uint64		event_id = 0;

	content->kind = -1;
	content->offset = 0;
	initStringInfo(&content->bytes);

	while (evc_wire_next(&cursor, &field))
	{
		size_t		offset = field.start - start;

		if (field.number == 0)
			malformed_event(offset, "field number 0 does not exist");
		if (field.number == EVENT_ID_FIELD &&
			field.wire_type == EVC_WIRE_VARINT)
			event_id = field.value;
		else if (field.wire_type == EVC_WIRE_BYTES)
			add_member(content, &field, field.data - start);
	}
	if (cursor.at != cursor.end)
		malformed_event(cursor.at - start,
						"the bytes end within a field, or make no sense");
	if (event_id != 0 && !is_gateway_event(event_id))
		refuse_event("event_id", event_id);
	if (content->kind < 0)
		malformed_event(cursor.at - start, "there is no message inside");
	if (event_id != envelopes[content->kind].event_id)
		malformed_event(content->offset,
						psprintf("event_id " UINT64_FORMAT " does not go with the message inside",
								 event_id));
}

/*
 * seal_envelope
 *		Put a message into an envelope.
 */
static bytea *
seal_envelope(EvcType type, const bytea *message)
{
	StringInfoData buffer;
	uint32		size = VARSIZE_ANY_EXHDR(message);
	size_t		kind = 0;
	uint32		rest;

	while (envelopes[kind].type != type)
		kind++;

	initStringInfo(&buffer);
	appendStringInfoSpaces(&buffer, VARHDRSZ);
	appendStringInfoChar(&buffer, EVC_TAG(EVENT_ID_FIELD, EVC_WIRE_VARINT));
	appendStringInfoChar(&buffer, (char) envelopes[kind].event_id);
	/* the numbers of the members take two bytes */
	rest = EVC_TAG(envelopes[kind].field, EVC_WIRE_BYTES);
	appendStringInfoChar(&buffer, (char) (rest | 0x80));
	appendStringInfoChar(&buffer, (char) (rest >> 7));
	for (rest = size; rest >= 0x80; rest >>= 7)
		appendStringInfoChar(&buffer, (char) (rest | 0x80));
	appendStringInfoChar(&buffer, (char) rest);
	appendBinaryStringInfo(&buffer, VARDATA_ANY(message), (int) size);
	SET_VARSIZE(buffer.data, buffer.len);
	return (bytea *) buffer.data;
}

/*
 * tell_place
 *		Say, in the context of an error, that offsets count inside the envelope.
 */
static void
tell_place(void *arg)
{
	const Content *content = arg;

	errcontext("%s in an events.Event, whose bytes begin at byte %zu of it",
			   evc_message_type_name(envelopes[content->kind].type),
			   content->offset);
}

/*
 * handle_event([charge_point_id text,] event bytea) -> bytea
 *		Open an envelope, handle the message, put the answer into an envelope;
 *		NULL if there is no answer.
 */
PG_FUNCTION_INFO_V1(evc_handle_event);
Datum
evc_handle_event(PG_FUNCTION_ARGS)
{
	bool		routed = PG_NARGS() > 1;
	text	   *id = routed ? evc_arg_id(fcinfo, 0) : NULL;
	bytea	   *event = evc_arg_bytes(fcinfo, routed ? 1 : 0, "event");
	ErrorContextCallback context;
	Content		content;
	EvcType		answer_type;
	bytea	   *answer;

	open_envelope(event, &content);

	context.callback = tell_place;
	context.arg = &content;
	context.previous = error_context_stack;
	error_context_stack = &context;
	answer = handle(envelopes[content.kind].type, id, content.bytes.data,
					content.bytes.len, &answer_type);
	error_context_stack = context.previous;

	if (answer == NULL)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(seal_envelope(answer_type, answer));
}

/*
 * charge_point_of_row
 *		Return the charge_point_id of any row that has one, NULL if that is null.
 */
static const char *
charge_point_of_row(HeapTupleHeader row)
{
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(row),
											  HeapTupleHeaderGetTypMod(row));
	AttrNumber	column = 0;
	bool		isnull;
	Datum		id;

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		Oid			type = getBaseType(attribute->atttypid);

		if (!attribute->attisdropped &&
			strcmp(NameStr(attribute->attname), "charge_point_id") == 0 &&
			(type == TEXTOID || type == VARCHAROID))
			column = attribute->attnum;
	}
	ReleaseTupleDesc(desc);

	if (column == 0)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_INVALID_VALUE),
				 errmsg("the row is no event"),
				 errdetail("It has no column charge_point_id of type text."),
				 errhint("Give a row of evcharge.event or of evcharge.events_since().")));
	id = GetAttributeByNum(row, column, &isnull);
	return isnull ? NULL : TextDatumGetCString(id);
}

/*
 * state_change(event record) -> bytea
 *		Return an event as the NotifyChargePointStateChangeData that a gateway
 *		sends on to its peers, in its envelope.
 */
PG_FUNCTION_INFO_V1(evc_state_change);
Datum
evc_state_change(PG_FUNCTION_ARGS)
{
	Gateway__NotifyChargePointStateChangeData change =
		GATEWAY__NOTIFY_CHARGE_POINT_STATE_CHANGE_DATA__INIT;
	const char *id = charge_point_of_row(PG_GETARG_HEAPTUPLEHEADER(0));

	if (id == NULL)
		PG_RETURN_NULL();
	change.charge_point_client_id = unconstify(char *, id);
	PG_RETURN_BYTEA_P(seal_envelope(EVC_NOTIFY_CHARGE_POINT_STATE_CHANGE,
									evc_message_pack(&change.base)));
}
