/*
 * request.c
 *		Requests of consumers: authorize, check availability, start, stop.
 *
 * A request that cannot be granted is refused with a sentence, and changes
 * nothing.  Malformed bytes and impossible values are errors.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "auth.h"
#include "check.h"
#include "errors.h"
#include "guc.h"
#include "request.h"
#include "transaction.h"

/* What a start or a stop says besides its message. */
typedef struct Reading
{
	TimestampTz at;
	int64		meter;			/* Wh, or EVC_NO_METER */
	const char *reason;			/* of a stop */
} Reading;

/*
 * response
 *		Make the Response of an answer: a refusal if there is a sentence.
 */
static Gateway__Response *
response(const char *refusal)
{
	Gateway__Response *resp = palloc(sizeof(*resp));

	gateway__response__init(resp);
	if (refusal != NULL)
	{
		resp->error = true;
		resp->message = unconstify(char *, refusal);
	}
	return resp;
}

/*
 * begin
 *		Begin a call about the charge point that a message names.
 *
 * A router that cannot look into bytes gives the id as well; the two must
 * agree, or the request has gone to the wrong place.
 */
static void
begin(EvcCall *call, text *id, const char *named, bool read_only)
{
	if (id == NULL)
		id = cstring_to_text(named);
	else if (strcmp(text_to_cstring(id), named) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_INVALID_VALUE),
				 errmsg("invalid value for charge_point_client_id: \"%s\"",
						named),
				 errdetail("The call is for charge point \"%s\".",
						   text_to_cstring(id))));
	evc_call_begin(call, id, read_only);
}

/*
 * refuse_unknown
 *		Say that nobody knows the charge point.
 */
static const char *
refuse_unknown(EvcCall *call)
{
	return psprintf("charge point \"%s\" is unknown", call->id);
}

/*
 * refuse_registration
 *		Say why the charge point may not take part, or NULL.
 */
static const char *
refuse_registration(EvcCall *call)
{
	if (strcmp(call->row.registration, "Accepted") == 0)
		return NULL;
	return psprintf("charge point \"%s\" is %s, not Accepted",
					call->id, call->row.registration);
}

/*
 * refuse_charge_point
 *		Say why nothing can start on the charge point now, or NULL.
 */
static const char *
refuse_charge_point(EvcCall *call)
{
	const EvcChargePoint *row = &call->row;
	const char *refusal = refuse_registration(call);

	if (refusal != NULL)
		return refusal;
	if (evc_offline_after > 0)
	{
		if (row->last_seen_at == EVC_NO_TIME)
			return psprintf("charge point \"%s\" has not been seen yet",
							call->id);
		if (call->now - row->last_seen_at > evc_offline_after * USECS_PER_SEC)
			return psprintf("charge point \"%s\" is offline: last seen at %s",
							call->id, evc_time_format(row->last_seen_at));
	}
	if (row->status != NULL && (strcmp(row->status, "Unavailable") == 0 ||
								strcmp(row->status, "Faulted") == 0))
		return psprintf("charge point \"%s\" is %s", call->id, row->status);
	return NULL;
}

/*
 * refuse_connector
 *		Say why nothing can start on the connector now, or NULL.
 */
static const char *
refuse_connector(EvcCall *call, const EvcConnector *connector)
{
	if (connector->transaction_id != 0)
		return psprintf("connector %d of charge point \"%s\" is busy with transaction %d",
						connector->connector_id, call->id,
						connector->transaction_id);
	if (connector->status == NULL)
		return psprintf("connector %d of charge point \"%s\" has not reported a status yet",
						connector->connector_id, call->id);
	if (strcmp(connector->status, "Available") != 0 &&
		strcmp(connector->status, "Preparing") != 0)
		return psprintf("connector %d of charge point \"%s\" is %s",
						connector->connector_id, call->id, connector->status);
	return NULL;
}

/*
 * refuse_no_connector
 *		Say that the charge point has no such connector.
 */
static const char *
refuse_no_connector(EvcCall *call, int32 connector_id)
{
	return psprintf("charge point \"%s\" has no connector %d",
					call->id, connector_id);
}

/*
 * authorize_consumer
 *		Put the consumer on the list of the charge point, or say why not.
 */
static const char *
authorize_consumer(EvcCall *call, const char *consumer_key)
{
	List	   *entries;
	ListCell   *lc;
	EvcAuth		fresh = {.expires_at = EVC_NO_TIME, .removed_at = EVC_NO_TIME};
	const char *refusal = refuse_registration(call);

	if (refusal != NULL)
		return refusal;
	if (*consumer_key == '\0')
		return "consumer_public_key is empty";

	entries = evc_store_list_auth_of(&call->store, consumer_key);
	foreach(lc, entries)
	{
		EvcAuth    *auth = lfirst(lc);

		if (auth->status != NULL && strcmp(auth->status, "Blocked") == 0)
			return psprintf("the consumer is blocked on charge point \"%s\"",
							call->id);
	}
	foreach(lc, entries)
		if (evc_auth_is_accepted(lfirst(lc), call->now))
			return NULL;

	if (entries != NIL)
	{
		/* an entry that no longer authorizes is renewed */
		EvcAuth    *auth = linitial(entries);
		const char *old_status = auth->status;

		auth->status = "Accepted";
		auth->expires_at = EVC_NO_TIME;
		evc_auth_change(call, auth, old_status);
		return NULL;
	}

	fresh.id_tag = evc_auth_new_tag();
	fresh.consumer_key = consumer_key;
	fresh.status = "Accepted";
	evc_auth_add(call, &fresh);
	return NULL;
}

/*
 * authorize
 *		Carry out an AuthorizeRequestData.
 */
static bytea *
authorize(text *id, const void *bytes, size_t len)
{
	Gateway__AuthorizeRequestData *request =
		evc_message_unpack(EVC_AUTHORIZE_REQUEST, bytes, len);
	Gateway__AuthorizeResponseData answer = GATEWAY__AUTHORIZE_RESPONSE_DATA__INIT;
	const char *refusal;
	EvcCall		call;

	evc_check_length("consumer_public_key", request->consumer_public_key,
					 0, EVC_MAX_CONSUMER_KEY);
	begin(&call, id, request->charge_point_client_id, false);
	if (evc_call_lock(&call, (EvcReserve) {.events = 1, .counter = EVC_LIST_VERSIONS}))
		refusal = authorize_consumer(&call, request->consumer_public_key);
	else
		refusal = refuse_unknown(&call);

	answer.consumer_public_key = request->consumer_public_key;
	answer.resp = response(refusal);
	return evc_call_answer(&call, &answer.base);
}

/*
 * check_availability
 *		Carry out a CheckAvailabilityRequestData.  Reads only.
 */
static bytea *
check_availability(text *id, const void *bytes, size_t len)
{
	Gateway__CheckAvailabilityRequestData *request =
		evc_message_unpack(EVC_CHECK_AVAILABILITY_REQUEST, bytes, len);
	Gateway__CheckAvailabilityResponseData answer = GATEWAY__CHECK_AVAILABILITY_RESPONSE_DATA__INIT;
	const char *refusal;
	EvcConnector connector;
	EvcCall		call;

	begin(&call, id, request->charge_point_client_id, true);
	if (!evc_store_read_charge_point(&call.store, &call.row))
		refusal = refuse_unknown(&call);
	else
		refusal = refuse_charge_point(&call);
	if (refusal == NULL)
	{
		if (evc_store_read_connector(&call.store, request->connector_id,
									 &connector))
			refusal = refuse_connector(&call, &connector);
		else
			refusal = refuse_no_connector(&call, request->connector_id);
	}

	answer.resp = response(refusal);
	return evc_call_answer(&call, &answer.base);
}

/*
 * choose_entry
 *		Choose, of the entries of a consumer, the one under which it starts, the
 *		newest that is free, or say why there is none.
 */
static const char *
choose_entry(EvcCall *call, const char *consumer_key, EvcAuth **chosen)
{
	EvcAuth    *in_use = NULL;
	ListCell   *lc;

	*chosen = NULL;
	foreach(lc, evc_store_list_auth_of(&call->store, consumer_key))
	{
		EvcAuth    *auth = lfirst(lc);

		if (auth->status != NULL && strcmp(auth->status, "Blocked") == 0)
			return psprintf("the consumer is blocked on charge point \"%s\"",
							call->id);
		if (!evc_auth_is_accepted(auth, call->now))
			continue;
		if (auth->transaction_id != 0)
			in_use = auth;
		else if (*chosen == NULL ||
				 auth->list_version > (*chosen)->list_version)
			*chosen = auth;
	}
	if (*chosen != NULL)
		return NULL;
	if (in_use != NULL)
		return psprintf("the consumer already charges on charge point \"%s\", in transaction %d",
						call->id, in_use->transaction_id);
	return psprintf("the consumer is not authorized on charge point \"%s\"",
					call->id);
}

/*
 * owns
 *		Tell whether a transaction, if it is one, belongs to the consumer.
 */
static bool
owns(const char *consumer_key, const EvcTransaction *transaction)
{
	return transaction->consumer_key != NULL &&
		strcmp(transaction->consumer_key, consumer_key) == 0;
}

/*
 * start
 *		Open a transaction for a consumer, or say why not.
 *
 * Usually nothing speaks against it, and it is done before that is looked for.
 * A consumer that asks again for the transaction it has is told yes again.
 */
static const char *
start(EvcCall *call, const Gateway__StartTransactionRequestData *request,
	  const Reading *reading)
{
	const char *consumer_key = request->consumer_public_key;
	EvcTransaction transaction = EVC_NO_TRANSACTION;
	EvcTransaction running;
	EvcConnector connector;
	EvcAuth    *auth;
	const char *refusal = refuse_charge_point(call);

	transaction.connector_id = request->connector_id;
	transaction.consumer_key = consumer_key;
	transaction.started_at = reading->at;
	transaction.start_meter = reading->meter;
	if (refusal == NULL && evc_transaction_start(call, &transaction))
		return NULL;

	if (!evc_store_read_connector(&call->store, request->connector_id,
								  &connector))
		return refusal != NULL ? refusal :
			refuse_no_connector(call, request->connector_id);
	if (connector.transaction_id != 0 &&
		evc_store_read_transaction(&call->store, connector.transaction_id,
								   &running) &&
		owns(consumer_key, &running))
		return NULL;
	if (refusal != NULL ||
		(refusal = refuse_connector(call, &connector)) != NULL ||
		(refusal = choose_entry(call, consumer_key, &auth)) != NULL)
		return refusal;

	evc_transaction_take_id(call, &transaction);
	transaction.id_tag = auth->id_tag;
	evc_transaction_open(call, &transaction, auth);
	return NULL;
}

/*
 * start_transaction
 *		Carry out a StartTransactionRequestData.
 */
static bytea *
start_transaction(text *id, const void *bytes, size_t len,
				  const Reading *reading)
{
	Gateway__StartTransactionRequestData *request =
		evc_message_unpack(EVC_START_TRANSACTION_REQUEST, bytes, len);
	Gateway__StartTransactionResponseData answer = GATEWAY__START_TRANSACTION_RESPONSE_DATA__INIT;
	const char *refusal;
	EvcCall		call;

	begin(&call, id, request->charge_point_client_id, false);
	if (evc_call_lock(&call, (EvcReserve) {.events = 1, .counter = EVC_TRANSACTION_IDS}))
		refusal = start(&call, request, reading);
	else
		refusal = refuse_unknown(&call);

	answer.consumer_public_key = request->consumer_public_key;
	answer.resp = response(refusal);
	return evc_call_answer(&call, &answer.base);
}

/*
 * may_stop
 *		Tell whether the consumer may stop a transaction: it owns it, or holds a
 *		tag with the same parent as the tag of it (OCPP 1.6 parentIdTag).
 */
static bool
may_stop(EvcCall *call, const char *consumer_key,
		 const EvcTransaction *transaction)
{
	EvcAuth		its;
	ListCell   *lc;

	if (owns(consumer_key, transaction))
		return true;
	if (transaction->id_tag == NULL ||
		!evc_store_read_auth(&call->store, transaction->id_tag, &its) ||
		its.parent_id_tag == NULL)
		return false;
	foreach(lc, evc_store_list_auth_of(&call->store, consumer_key))
	{
		EvcAuth    *auth = lfirst(lc);

		if (evc_auth_is_accepted(auth, call->now) &&
			auth->parent_id_tag != NULL &&
			evc_auth_compare_tags(auth->parent_id_tag,
								  its.parent_id_tag) == 0)
			return true;
	}
	return false;
}

/*
 * stop
 *		End the transaction of a consumer on a connector, or say why not.
 *
 * A consumer that asks again is told the same again, until another transaction
 * starts on the connector.
 */
static const char *
stop(EvcCall *call, const Gateway__StopTransactionRequestData *request,
	 const Reading *reading, EvcTransaction *transaction)
{
	const char *consumer_key = request->consumer_public_key;
	EvcConnector connector;

	*transaction = EVC_NO_TRANSACTION;
	transaction->connector_id = request->connector_id;
	transaction->consumer_key = consumer_key;
	transaction->ended_at = reading->at;
	transaction->end_meter = reading->meter;
	transaction->stop_reason = reading->reason;
	/* 0 is no connector, but where transactions of an unknown one are kept */
	if (request->connector_id > 0 && evc_transaction_stop(call, transaction))
		return NULL;

	if (!evc_store_read_connector(&call->store, request->connector_id,
								  &connector))
		return refuse_no_connector(call, request->connector_id);
	if (connector.transaction_id == 0)
	{
		if (evc_store_last_transaction_on(&call->store, request->connector_id,
										  transaction) &&
			may_stop(call, consumer_key, transaction))
			return NULL;
		return psprintf("connector %d of charge point \"%s\" has no transaction of this consumer",
						connector.connector_id, call->id);
	}
	if (!evc_store_read_transaction(&call->store, connector.transaction_id,
									transaction) ||
		!may_stop(call, consumer_key, transaction))
		return psprintf("transaction %d on connector %d of charge point \"%s\" belongs to another consumer",
						connector.transaction_id, connector.connector_id,
						call->id);
	evc_transaction_end(call, transaction, reading->at, reading->meter,
						reading->reason, false);
	return NULL;
}

/*
 * stop_transaction
 *		Carry out a StopTransactionRequestData.
 */
static bytea *
stop_transaction(text *id, const void *bytes, size_t len,
				 const Reading *reading)
{
	Gateway__StopTransactionRequestData *request =
		evc_message_unpack(EVC_STOP_TRANSACTION_REQUEST, bytes, len);
	Gateway__StopTransactionResponseData answer = GATEWAY__STOP_TRANSACTION_RESPONSE_DATA__INIT;
	EvcReserve	reserve = {.events = 1};
	EvcTransaction transaction;
	const char *refusal;
	EvcCall		call;

	evc_check_reason(reading->reason);
	if (!evc_keep_authorization)
	{
		reserve.events++;
		reserve.counter = EVC_LIST_VERSIONS;
	}

	begin(&call, id, request->charge_point_client_id, false);
	if (evc_call_lock(&call, reserve))
		refusal = stop(&call, request, reading, &transaction);
	else
		refusal = refuse_unknown(&call);

	answer.consumer_public_key = request->consumer_public_key;
	answer.resp = response(refusal);
	if (refusal == NULL)
		answer.transaction_info = evc_transaction_info(&transaction);
	return evc_call_answer(&call, &answer.base);
}

/*
 * evc_request_answer_type
 *		Return the type of the answer to a type of request, 0 if it is none.
 */
EvcType
evc_request_answer_type(EvcType type)
{
	switch (type)
	{
		case EVC_AUTHORIZE_REQUEST:
			return EVC_AUTHORIZE_RESPONSE;
		case EVC_CHECK_AVAILABILITY_REQUEST:
			return EVC_CHECK_AVAILABILITY_RESPONSE;
		case EVC_START_TRANSACTION_REQUEST:
			return EVC_START_TRANSACTION_RESPONSE;
		case EVC_STOP_TRANSACTION_REQUEST:
			return EVC_STOP_TRANSACTION_RESPONSE;
		default:
			return 0;
	}
}

/*
 * evc_request
 *		Carry out a request as its function does without further arguments.
 */
bytea *
evc_request(EvcType type, text *id, const void *bytes, size_t len)
{
	Reading		now = {
		.at = GetCurrentTransactionStartTimestamp(),
		.meter = EVC_NO_METER,
		.reason = "Remote",
	};

	switch (type)
	{
		case EVC_AUTHORIZE_REQUEST:
			return authorize(id, bytes, len);
		case EVC_CHECK_AVAILABILITY_REQUEST:
			return check_availability(id, bytes, len);
		case EVC_START_TRANSACTION_REQUEST:
			return start_transaction(id, bytes, len, &now);
		case EVC_STOP_TRANSACTION_REQUEST:
			return stop_transaction(id, bytes, len, &now);
		default:
			elog(ERROR, "message type %d is no request", type);
	}
}

/*
 * Each SQL function exists with and without a leading charge_point_id.  The
 * macros give the id, or NULL, and move the other arguments behind it.
 */
#define HAS_ID(nargs)	(PG_NARGS() > (nargs))
#define ID(nargs)		(HAS_ID(nargs) ? evc_arg_id(fcinfo, 0) : NULL)
#define ARG(n, nargs)	((n) + (HAS_ID(nargs) ? 1 : 0))

static int64
meter_argument(FunctionCallInfo fcinfo, int arg)
{
	return PG_ARGISNULL(arg) ? EVC_NO_METER : PG_GETARG_INT32(arg);
}

/*
 * authorize([charge_point_id text,] request bytea) -> bytea
 */
PG_FUNCTION_INFO_V1(evc_authorize);
Datum
evc_authorize(PG_FUNCTION_ARGS)
{
	bytea	   *request = evc_arg_bytes(fcinfo, ARG(0, 1), "request");

	PG_RETURN_BYTEA_P(authorize(ID(1), VARDATA_ANY(request),
								VARSIZE_ANY_EXHDR(request)));
}

/*
 * check_availability([charge_point_id text,] request bytea) -> bytea
 */
PG_FUNCTION_INFO_V1(evc_check_availability);
Datum
evc_check_availability(PG_FUNCTION_ARGS)
{
	bytea	   *request = evc_arg_bytes(fcinfo, ARG(0, 1), "request");

	PG_RETURN_BYTEA_P(check_availability(ID(1), VARDATA_ANY(request),
										 VARSIZE_ANY_EXHDR(request)));
}

/*
 * start_transaction([charge_point_id text,] request bytea,
 *					 started_at timestamptz, start_meter int) -> bytea
 */
PG_FUNCTION_INFO_V1(evc_start_transaction);
Datum
evc_start_transaction(PG_FUNCTION_ARGS)
{
	bytea	   *request = evc_arg_bytes(fcinfo, ARG(0, 3), "request");
	Reading		reading = {
		.at = evc_arg_time(fcinfo, ARG(1, 3)),
		.meter = meter_argument(fcinfo, ARG(2, 3)),
	};

	PG_RETURN_BYTEA_P(start_transaction(ID(3), VARDATA_ANY(request),
										VARSIZE_ANY_EXHDR(request),
										&reading));
}

/*
 * stop_transaction([charge_point_id text,] request bytea,
 *					ended_at timestamptz, end_meter int, reason text) -> bytea
 */
PG_FUNCTION_INFO_V1(evc_stop_transaction);
Datum
evc_stop_transaction(PG_FUNCTION_ARGS)
{
	bytea	   *request = evc_arg_bytes(fcinfo, ARG(0, 4), "request");
	Reading		reading = {
		.at = evc_arg_time(fcinfo, ARG(1, 4)),
		.meter = meter_argument(fcinfo, ARG(2, 4)),
		.reason = PG_ARGISNULL(ARG(3, 4)) ? "Remote" :
		text_to_cstring(PG_GETARG_TEXT_PP(ARG(3, 4))),
	};

	PG_RETURN_BYTEA_P(stop_transaction(ID(4), VARDATA_ANY(request),
									   VARSIZE_ANY_EXHDR(request), &reading));
}

/*
 * online_since() -> timestamptz
 *		Return since when a charge point must have been seen to be online.
 */
PG_FUNCTION_INFO_V1(evc_online_since);
Datum
evc_online_since(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	if (evc_offline_after == 0)
		PG_RETURN_TIMESTAMPTZ(DT_NOBEGIN);
	PG_RETURN_TIMESTAMPTZ(GetCurrentTransactionStartTimestamp() -
						  evc_offline_after * USECS_PER_SEC);
}
