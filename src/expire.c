/*
 * expire.c
 *		Ends what dangles: transactions that nobody confirmed or ended, and
 *		entries of authorization lists that are past their expiry.
 *
 * Nothing here runs by itself: a scheduler calls it.  What a charge point
 * reports later still tells the truth.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "auth.h"
#include "check.h"
#include "guc.h"
#include "transaction.h"

/*
 * Transactions from before these times have lasted too long.  One that was
 * confirmed is as old as that, by our clock: the charge point's may be wrong.
 */
typedef struct Limits
{
	TimestampTz unconfirmed;
	TimestampTz open;
} Limits;

/*
 * limits_at
 *		Return the limits that the settings give at a time; 0 is no limit.
 */
static Limits
limits_at(TimestampTz now)
{
	Limits		limits = {DT_NOBEGIN, DT_NOBEGIN};

	if (evc_confirm_within > 0)
		limits.unconfirmed = now - evc_confirm_within * USECS_PER_SEC;
	if (evc_max_transaction_duration > 0)
		limits.open = now - evc_max_transaction_duration * USECS_PER_SEC;
	return limits;
}

/*
 * put_row
 *		Return one thing that was ended.
 */
static void
put_row(ReturnSetInfo *rsinfo, const EvcCall *call,
		const EvcTransaction *transaction, const char *reason)
{
	Datum		values[4] = {CStringGetTextDatum(call->id)};
	bool		nulls[4] = {false, transaction == NULL, transaction == NULL, false};

	if (transaction != NULL)
	{
		values[1] = Int32GetDatum(transaction->connector_id);
		values[2] = Int32GetDatum(transaction->transaction_id);
	}
	values[3] = CStringGetTextDatum(reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/*
 * end_transaction
 *		End a transaction by force; nobody knows its end meter.
 */
static void
end_transaction(EvcCall *call, ReturnSetInfo *rsinfo,
				EvcTransaction *transaction, const char *reason,
				const char *sentence)
{
	evc_transaction_end(call, transaction, call->now, EVC_NO_METER, "Other",
						true);
	evc_call_anomaly(call, reason, transaction->connector_id,
					 transaction->transaction_id, NULL,
					 transaction->started_at, sentence,
					 transaction->transaction_id);
	put_row(rsinfo, call, transaction, reason);
}

/*
 * expire_charge_point
 *		End what dangles on one charge point; false if it is unknown.
 */
static bool
expire_charge_point(text *id, ReturnSetInfo *rsinfo)
{
	EvcCall		call;
	Limits		limits;
	ListCell   *lc;
	bool		known;

	evc_call_begin(&call, id, false);
	limits = limits_at(call.now);
	known = evc_call_lock(&call, (EvcReserve) {0});
	foreach(lc, known ? evc_store_list_open_transactions(&call.store) : NIL)
	{
		EvcTransaction *transaction = lfirst(lc);
		bool		confirmed = transaction->confirmed_at != EVC_NO_TIME;
		TimestampTz since = confirmed ? transaction->confirmed_at :
		transaction->started_at;

		if (since == EVC_NO_TIME)
			continue;
		if (!confirmed && since < limits.unconfirmed)
			end_transaction(&call, rsinfo, transaction, "not_confirmed",
							"The charge point never confirmed transaction %d.");
		else if (since < limits.open)
			end_transaction(&call, rsinfo, transaction, "open_too_long",
							"The charge point never reported the end of transaction %d.");
	}
	foreach(lc, known ? evc_store_list_expired_auth(&call.store, call.now) : NIL)
	{
		EvcAuth    *auth = lfirst(lc);
		const char *old_status = auth->status;

		auth->status = "Expired";
		evc_auth_change(&call, auth, old_status);
		put_row(rsinfo, &call, NULL, "expired");
	}
	evc_call_end(&call);
	return known;
}

/*
 * expire(charge_point_id text, max_charge_points int)
 *		End what dangles on a charge point, or on all of them; return what.
 *
 * Charge points are taken in the order of their ids, as a batch does, and stay
 * locked until the transaction ends; hence the limit on their number.
 */
PG_FUNCTION_INFO_V1(evc_expire);
Datum
evc_expire(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TimestampTz now = GetCurrentTimestamp();
	Limits		limits = limits_at(now);
	EvcStore	store;
	List	   *ids;
	ListCell   *lc;
	MemoryContext caller = CurrentMemoryContext;

	InitMaterializedSRF(fcinfo, 0);
	if (!PG_ARGISNULL(0))
	{
		text	   *id = PG_GETARG_TEXT_PP(0);

		if (!expire_charge_point(id, rsinfo))
			evc_check_failed("charge_point_id", text_to_cstring(id),
							 "There is no such charge point.");
		return (Datum) 0;
	}

	if (!PG_ARGISNULL(1) && PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_charge_points must be at least 1"),
				 errdetail("It is %d.", PG_GETARG_INT32(1))));
	evc_store_begin(&store, (Datum) 0, false);
	ids = evc_store_list_expiring(&store, limits.open, limits.unconfirmed, now,
								  PG_ARGISNULL(1) ? PG_INT32_MAX :
								  PG_GETARG_INT32(1), caller);
	evc_store_end(&store);
	foreach(lc, ids)
		expire_charge_point(lfirst(lc), rsinfo);
	return (Datum) 0;
}
