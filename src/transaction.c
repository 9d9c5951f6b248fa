/*
 * transaction.c
 *		Opens, amends and ends transactions, and keeps the connector and the auth
 *		entry of each tied to it exactly as long as it is open.
 */
#include "postgres.h"

#include <math.h>

#include "auth.h"
#include "guc.h"
#include "transaction.h"

/* ids above this one are about to wrap */
#define ID_NEAR_LIMIT	(PG_INT32_MAX - 1000000)

/*
 * evc_transaction_take_id
 *		Take the next id for a transaction.
 *
 * Usually that is one above the last, which no row has.  After the end of int32
 * ids begin anew, and from then on a free one is looked for: above the last if
 * there is one, else from 1 on.
 */
void
evc_transaction_take_id(EvcCall *call, EvcTransaction *transaction)
{
	EvcChargePoint *row = &call->row;
	int32		id = 0;

	if (row->last_transaction_id < PG_INT32_MAX)
		id = row->last_transaction_id + 1;
	if (id == 0 && !row->transaction_ids_wrapped)
	{
		row->transaction_ids_wrapped = true;
		call->changed = true;
	}

	if (row->transaction_ids_wrapped)
	{
		if (id != 0)
			id = evc_store_free_transaction_id(&call->store, id);
		if (id == 0)
			id = evc_store_free_transaction_id(&call->store, 1);
		if (id == 0)
			ereport(ERROR,
					(errcode(ERRCODE_SEQUENCE_GENERATOR_LIMIT_EXCEEDED),
					 errmsg("charge point \"%s\" has no free transaction id",
							call->id),
					 errdetail("It has a transaction under each of them."),
					 errhint("Delete old transactions.")));
	}
	transaction->transaction_id = id;
	row->last_transaction_id = id;
}

/*
 * follow_id
 *		Make the counter follow an id that a charge point gives, so that the
 *		next id is new to it.
 */
static void
follow_id(EvcCall *call, const EvcTransaction *transaction)
{
	int32		id = transaction->transaction_id;

	if (id <= call->row.last_transaction_id)
		return;
	if (id > ID_NEAR_LIMIT && call->row.last_transaction_id <= ID_NEAR_LIMIT)
		evc_call_anomaly(call, "transaction_id_near_limit",
						 transaction->connector_id, id, NULL,
						 transaction->started_at,
						 "Transaction ids end at %d; after that the lowest free ones are used.",
						 PG_INT32_MAX);
	call->row.last_transaction_id = id;
}

/*
 * start_event
 *		Return the event of the start of a transaction.
 */
static EvcEvent
start_event(const EvcCall *call, const EvcTransaction *transaction)
{
	return evc_call_next_event(call, EVC_TRANSACTION_STARTED,
							   transaction->connector_id,
							   transaction->transaction_id, NULL, NULL,
							   transaction->started_at);
}

/*
 * evc_transaction_insert
 *		Insert a transaction; if it is open, its connector and the auth entry
 *		of a tag, if one is given, are tied to it.
 */
void
evc_transaction_insert(EvcCall *call, const EvcTransaction *transaction,
					   const char *id_tag)
{
	EvcEvent	started = start_event(call, transaction);

	evc_store_open_transaction(&call->store, transaction, id_tag, &started);
	evc_call_wrote_event(call, &started);
}

/*
 * evc_transaction_open
 *		Insert a transaction that has the newest id of its charge point.
 */
void
evc_transaction_open(EvcCall *call, const EvcTransaction *transaction,
					 const EvcAuth *auth)
{
	follow_id(call, transaction);
	evc_transaction_insert(call, transaction,
						   auth != NULL ? auth->id_tag : NULL);
}

/*
 * evc_transaction_start
 *		Open a transaction for a consumer in the usual case, which one statement
 *		recognizes: the connector is free, and the consumer has one live entry of
 *		the list, which accepts it.  Else write nothing, and return false.
 */
bool
evc_transaction_start(EvcCall *call, EvcTransaction *transaction)
{
	EvcChargePoint *row = &call->row;
	EvcEvent	started;

	if (row->transaction_ids_wrapped ||
		row->last_transaction_id == PG_INT32_MAX)
		return false;

	transaction->transaction_id = row->last_transaction_id + 1;
	started = start_event(call, transaction);
	if (!evc_store_start_transaction(&call->store, transaction, &started))
		return false;
	row->last_transaction_id = transaction->transaction_id;
	evc_call_wrote_event(call, &started);
	return true;
}

/*
 * end_event
 *		Return the event of the end of a transaction.
 */
static EvcEvent
end_event(const EvcCall *call, const EvcTransaction *transaction)
{
	return evc_call_next_event(call, EVC_TRANSACTION_ENDED,
							   transaction->connector_id,
							   transaction->transaction_id, NULL,
							   transaction->stop_reason,
							   transaction->ended_at);
}

/*
 * removal_at_end
 *		Return what becomes of an auth entry whose transaction ends now.
 *
 * The entry leaves the list with its transaction, unless it is to be kept.
 */
static EvcRemoval
removal_at_end(const EvcCall *call)
{
	return (EvcRemoval) {
		.at = evc_keep_authorization ? EVC_NO_TIME : call->now,
		.list_version = evc_auth_next_version(call),
	};
}

/*
 * ended
 *		Record that a transaction was ended.
 */
static void
ended(EvcCall *call, const EvcEvent *event, const EvcRemoval *removal)
{
	evc_call_wrote_event(call, event);
	if (removal->done)
		evc_auth_removed(call, removal->status);
	else if (removal->done_before)
		evc_auth_forget(call);
}

/*
 * evc_transaction_close
 *		Write the end of a transaction, and free its connector and its auth entry.
 */
void
evc_transaction_close(EvcCall *call, EvcTransaction *transaction)
{
	EvcEvent	event = end_event(call, transaction);
	EvcRemoval	removal = removal_at_end(call);

	evc_store_close_transaction(&call->store, transaction, &event, &removal);
	ended(call, &event, &removal);
}

/*
 * evc_transaction_stop
 *		End the open transaction of a consumer on a connector, and read the rest
 *		of it; false if there is none.
 */
bool
evc_transaction_stop(EvcCall *call, EvcTransaction *transaction)
{
	EvcEvent	event = end_event(call, transaction);
	EvcRemoval	removal = removal_at_end(call);

	if (!evc_store_stop_transaction(&call->store, transaction, &event,
									&removal))
		return false;
	event.transaction_id = transaction->transaction_id;
	ended(call, &event, &removal);
	evc_transaction_check_reading(call, transaction);
	return true;
}

/*
 * evc_transaction_tie
 *		Write an open transaction that was none on its connector, and tie that
 *		to it.
 */
void
evc_transaction_tie(EvcCall *call, const EvcTransaction *transaction)
{
	EvcConnector connector;

	evc_store_update_transaction(&call->store, transaction);
	if (!evc_store_read_connector(&call->store, transaction->connector_id,
								  &connector))
		return;
	connector.transaction_id = transaction->transaction_id;
	evc_store_update_connector(&call->store, &connector);
}

/*
 * evc_transaction_reopen
 *		Open a transaction again that was ended by force; false if its connector
 *		has another one by now.
 *
 * Its entry of the list is tied to it again, if that is still there, on the
 * list or not, and free.
 */
bool
evc_transaction_reopen(EvcCall *call, EvcTransaction *transaction)
{
	EvcTransaction other;
	EvcAuth		auth;

	if (evc_store_find_open_transaction(&call->store,
										transaction->connector_id, &other))
		return false;

	transaction->ended_at = EVC_NO_TIME;
	transaction->end_meter = EVC_NO_METER;
	transaction->stop_reason = NULL;
	transaction->forced = false;
	evc_transaction_tie(call, transaction);
	if (transaction->id_tag != NULL &&
		evc_store_read_auth(&call->store, transaction->id_tag, &auth) &&
		auth.transaction_id == 0)
	{
		auth.transaction_id = transaction->transaction_id;
		evc_store_update_auth(&call->store, &auth);
	}
	evc_call_event(call, EVC_TRANSACTION_REOPENED, transaction->connector_id,
				   transaction->transaction_id, NULL, NULL,
				   transaction->started_at);
	return true;
}

/*
 * evc_transaction_check_reading
 *		Flag a closed session whose times or meters cannot be, or that gave
 *		nothing.
 */
void
evc_transaction_check_reading(EvcCall *call, const EvcTransaction *t)
{
	if (t->ended_at == EVC_NO_TIME)
		return;

	if (t->started_at != EVC_NO_TIME && t->ended_at < t->started_at)
		evc_call_anomaly(call, "time_backwards",
						 t->connector_id, t->transaction_id,
						 evc_time_format(t->ended_at), t->ended_at,
						 "Transaction %d ended before it started, at %s.",
						 t->transaction_id, evc_time_format(t->started_at));

	if (t->start_meter == EVC_NO_METER || t->end_meter == EVC_NO_METER)
		return;
	if (t->end_meter < t->start_meter)
		evc_call_anomaly(call, "meter_backwards",
						 t->connector_id, t->transaction_id,
						 psprintf(INT64_FORMAT, t->end_meter), t->ended_at,
						 "The meter ran backwards in transaction %d, from " INT64_FORMAT " Wh to " INT64_FORMAT " Wh.",
						 t->transaction_id, t->start_meter, t->end_meter);
	else if (t->end_meter == t->start_meter)
		evc_call_anomaly(call, "no_energy",
						 t->connector_id, t->transaction_id,
						 psprintf(INT64_FORMAT, t->end_meter), t->ended_at,
						 "Transaction %d gave no energy.", t->transaction_id);
}

/*
 * evc_transaction_end
 *		End an open transaction and free what is tied to it.
 */
void
evc_transaction_end(EvcCall *call, EvcTransaction *transaction,
					TimestampTz ended_at, int64 end_meter,
					const char *reason, bool forced)
{
	transaction->ended_at = ended_at;
	transaction->end_meter = end_meter;
	transaction->stop_reason = reason;
	transaction->forced = forced;
	evc_transaction_close(call, transaction);
	evc_transaction_check_reading(call, transaction);
}

/*
 * same_float
 *		Compare what is stored: all NaN are one value.
 */
static bool
same_float(float4 a, float4 b)
{
	return a == b || (isnan(a) && isnan(b));
}

/*
 * evc_transaction_set_progress
 *		Make reported values the last progress; false if they were already.
 */
bool
evc_transaction_set_progress(EvcTransaction *transaction,
							 const Gateway__EVChargingStatusData *data,
							 TimestampTz at)
{
	EvcProgress *last = &transaction->progress;

	if (last->current_unit != NULL && last->at == at &&
		same_float(last->current_offered, data->current_offered) &&
		same_float(last->voltage_offered, data->voltage_offered) &&
		strcmp(last->current_unit, data->current_unit) == 0 &&
		strcmp(last->voltage_unit, data->voltage_unit) == 0)
		return false;

	last->current_offered = data->current_offered;
	last->current_unit = data->current_unit;
	last->voltage_offered = data->voltage_offered;
	last->voltage_unit = data->voltage_unit;
	last->at = at;
	return true;
}

/*
 * evc_transaction_info
 *		Return a transaction as the wire knows it.
 */
Gateway__TransactionInfo *
evc_transaction_info(const EvcTransaction *t)
{
	Gateway__TransactionInfo *info = palloc(sizeof(*info));

	gateway__transaction_info__init(info);
	info->id = t->transaction_id;
	info->connector_id = t->connector_id;
	if (t->id_tag != NULL)
		info->id_tag = unconstify(char *, t->id_tag);
	info->start_time = unconstify(char *, evc_time_format(t->started_at));
	info->end_time = unconstify(char *, evc_time_format(t->ended_at));
	if (t->start_meter != EVC_NO_METER)
		info->start_meter = (int32) t->start_meter;
	if (t->end_meter != EVC_NO_METER)
		info->end_meter = (int32) t->end_meter;
	if (t->progress.current_unit != NULL)
	{
		info->progress = palloc(sizeof(*info->progress));
		gateway__evcharging_status_data__init(info->progress);
		info->progress->current_offered = t->progress.current_offered;
		info->progress->current_unit =
			unconstify(char *, t->progress.current_unit);
		info->progress->voltage_offered = t->progress.voltage_offered;
		info->progress->voltage_unit =
			unconstify(char *, t->progress.voltage_unit);
	}
	return info;
}
