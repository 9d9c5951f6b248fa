/*
 * batch.c
 *		Many reports in one call.
 *
 * Each report is applied in a subtransaction, so that a bad one takes back only
 * itself; it comes back as a row with its position and the reason.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "call.h"
#include "errors.h"
#include "report.h"

/* An array argument, one element a report. */
typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
} Column;

/* The reports of a batch, and what to say of the bad ones. */
typedef struct Batch
{
	Column		ids;
	Column		types;
	Column		messages;
	Column		times;
	Column		transactions;
} Batch;

/*
 * read_column
 *		Read an array argument; one that is NULL has no elements.
 */
static Column
read_column(FunctionCallInfo fcinfo, int arg, Oid type, int16 size,
			bool by_value, char alignment)
{
	Column		column = {0};

	if (PG_ARGISNULL(arg))
		return column;
	if (ARR_NDIM(PG_GETARG_ARRAYTYPE_P(arg)) > 1)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of a batch have one dimension"),
				 errdetail("Each has an element for each report.")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(arg), type, size, by_value,
					  alignment, &column.values, &column.nulls,
					  &column.count);
	return column;
}

/*
 * require_length
 *		Require that an array has an element for each report.
 */
static void
require_length(const Column *column, int count, const char *name)
{
	if (column->count != count)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the arrays of a batch must be of one length"),
				 errdetail("charge_point_id has %d elements, %s has %d.",
						   count, name, column->count)));
}

/*
 * apply
 *		Apply one report of a batch.
 */
static void
apply(const Batch *batch, int i)
{
	EvcReportContext context = {.at = GetCurrentTransactionStartTimestamp()};
	EvcType		type;
	bytea	   *message;

	if (batch->ids.nulls[i] || batch->types.nulls[i] ||
		batch->messages.nulls[i])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("charge_point_id, type and message must not be null"),
				 errdetail("What a report is about cannot be unknown.")));
	if (batch->times.count > 0 && !batch->times.nulls[i])
		context.at = DatumGetTimestampTz(batch->times.values[i]);
	if (batch->transactions.count > 0 && !batch->transactions.nulls[i])
		context.transaction_id = DatumGetInt32(batch->transactions.values[i]);
	if (TIMESTAMP_NOT_FINITE(context.at))
		ereport(ERROR,
				(errcode(ERRCODE_DATETIME_VALUE_OUT_OF_RANGE),
				 errmsg("a time of charging must be finite"),
				 errdetail("Infinity is not a time at which something happens.")));

	type = evc_message_type_by_name(TextDatumGetCString(batch->types.values[i]));
	if (!evc_report_is_one(type))
		ereport(ERROR,
				(errcode(ERRCODE_EVC_WRONG_MESSAGE_TYPE),
				 errmsg("message type %s is no report",
						evc_message_type_name(type)),
				 errdetail("Reports are BootNotificationRequestData, ConnectorInfo, TransactionInfo, EVChargingStatusData and LogData.")));

	message = DatumGetByteaPP(batch->messages.values[i]);
	evc_report(type, DatumGetTextPP(batch->ids.values[i]),
			   VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message), &context);
}

/*
 * try_apply
 *		Apply one report; return NULL, or the error that took it back.
 *
 * An error that says nothing about this report (the server shuts down, the
 * query is cancelled, memory is out, the transaction must be retried) ends the
 * whole batch.
 */
static ErrorData *
try_apply(const Batch *batch, int i, MemoryContext report_context)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(report_context);
	PG_TRY();
	{
		apply(batch, i);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		int			category;

		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;

		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		if (category == ERRCODE_OPERATOR_INTERVENTION ||
			category == ERRCODE_INSUFFICIENT_RESOURCES ||
			category == ERRCODE_TRANSACTION_ROLLBACK ||
			error->sqlerrcode == ERRCODE_EVC_TABLES_VERSION)
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/*
 * apply_batch(charge_point_id text[], type text[], message bytea[],
 *			   at timestamptz[], transaction_id int[])
 *		Apply reports in their order; return the bad ones.
 */
PG_FUNCTION_INFO_V1(evc_apply_batch);
Datum
evc_apply_batch(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Batch		batch;
	MemoryContext report_context;

	evc_arg_required(fcinfo, 0, "charge_point_id");
	evc_arg_required(fcinfo, 1, "type");
	evc_arg_required(fcinfo, 2, "message");
	InitMaterializedSRF(fcinfo, 0);
	batch.ids = read_column(fcinfo, 0, TEXTOID, -1, false, TYPALIGN_INT);
	batch.types = read_column(fcinfo, 1, TEXTOID, -1, false, TYPALIGN_INT);
	batch.messages = read_column(fcinfo, 2, BYTEAOID, -1, false, TYPALIGN_INT);
	batch.times = read_column(fcinfo, 3, TIMESTAMPTZOID, sizeof(TimestampTz),
							  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	batch.transactions = read_column(fcinfo, 4, INT4OID, sizeof(int32),
									 true, TYPALIGN_INT);
	require_length(&batch.types, batch.ids.count, "type");
	require_length(&batch.messages, batch.ids.count, "message");
	if (!PG_ARGISNULL(3))
		require_length(&batch.times, batch.ids.count, "at");
	if (!PG_ARGISNULL(4))
		require_length(&batch.transactions, batch.ids.count,
					   "transaction_id");
	if (batch.ids.count == 0)
		return (Datum) 0;

	{
		EvcStore	store;

		evc_store_begin(&store, (Datum) 0, false);
		evc_store_lock_all(&store, PG_GETARG_DATUM(0));
		evc_store_end(&store);
	}

	report_context = AllocSetContextCreate(CurrentMemoryContext,
										   "evcharge report",
										   ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < batch.ids.count; i++)
	{
		ErrorData  *error = try_apply(&batch, i, report_context);

		if (error != NULL)
		{
			Datum		values[3];
			bool		nulls[3] = {false, false, false};
			const char *reason = error->detail == NULL ? error->message :
				psprintf("%s: %s", error->message, error->detail);

			values[0] = Int32GetDatum(i + 1);
			values[1] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
			values[2] = CStringGetTextDatum(reason);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
								 values, nulls);
			FreeErrorData(error);
		}
		MemoryContextReset(report_context);
		CHECK_FOR_INTERRUPTS();
	}
	MemoryContextDelete(report_context);
	return (Datum) 0;
}
