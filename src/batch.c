/*
 * batch.c
 *		Many reports in one call.
 *
 * Statuses and progress, of which there are many, are applied as a set: read,
 * decided and written together, in one subtransaction.  All other reports are
 * applied alone, each in a subtransaction of its own, and so are those of a set
 * that met an error.  So a bad one takes back only itself; it comes back as a
 * row with its position and the reason.
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
#include "guc.h"
#include "report.h"
#include "set.h"

/* An array argument, one element a report. */
typedef struct Column
{
	Datum	   *values;
	bool	   *nulls;
	int			count;
} Column;

/* The reports of a batch. */
typedef struct Batch
{
	Column		ids;
	Column		types;
	Column		messages;
	Column		times;
	Column		transactions;
} Batch;

/* How a report of a window is applied in this round. */
typedef enum Way
{
	IN_SET,
	ALONE,
	LATER
} Way;

/* A charge point of a window. */
typedef struct Point
{
	EvcSetPoint in_set;
	int			position;		/* of its first report */
	Way			last;			/* of its reports in this round */
	bool		left;			/* it has reports for the next round */
} Point;

/* A report of a window. */
typedef struct Report
{
	int			position;		/* in the batch, from 0 */
	Point	   *point;			/* NULL if the report is bad */
	EvcType		type;
	EvcReportContext context;
	Way			way;
} Report;

/*
 * A part of a batch that is in hand: so many reports, and so many bytes of
 * messages, that memory is bounded.
 */
typedef struct Window
{
	const Batch *batch;
	ErrorData **errors;			/* by position: what took a report back */
	Report	   *reports;		/* those that are not applied yet */
	int			count;
	EvcSet		set;			/* their charge points */
	bool		locked;			/* which an earlier round has locked */
	int			in_set;			/* reports that can be a set in this round */
	bool		is_set;			/* there is one: they are enough */
	MemoryContext report_context;	/* of the report that is being applied */
} Window;

#define WINDOW_REPORTS	2000
#define WINDOW_BYTES	(4 * 1024 * 1024)

/* So few are better applied alone. */
#define SMALL_SET	4

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
 * context_of
 *		Return what a report says besides its message.
 */
static EvcReportContext
context_of(const Batch *batch, int i)
{
	EvcReportContext context = {.at = GetCurrentTransactionStartTimestamp()};

	if (batch->times.count > 0 && !batch->times.nulls[i])
		context.at = DatumGetTimestampTz(batch->times.values[i]);
	if (batch->transactions.count > 0 && !batch->transactions.nulls[i])
		context.transaction_id = DatumGetInt32(batch->transactions.values[i]);
	return context;
}

/*
 * apply
 *		Apply one report of a batch.
 */
static void
apply(const Batch *batch, int i)
{
	EvcReportContext context = context_of(batch, i);
	EvcType		type;
	bytea	   *message;

	if (batch->ids.nulls[i] || batch->types.nulls[i] ||
		batch->messages.nulls[i])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("charge_point_id, type and message must not be null"),
				 errdetail("What a report is about cannot be unknown.")));
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
 * good_type
 *		Return the type of a report, or 0 unless its arguments and its bytes are
 *		good.
 *
 * What is wrong with a bad one is said when it is applied alone.
 */
static EvcType
good_type(const Batch *batch, int i, const EvcReportContext *context)
{
	text	   *name;
	bytea	   *message;
	int			type;
	bool		canonical;
	EvcError	error;

	if (batch->ids.nulls[i] || batch->types.nulls[i] ||
		batch->messages.nulls[i] || TIMESTAMP_NOT_FINITE(context->at))
		return 0;
	name = DatumGetTextPP(batch->types.values[i]);
	message = DatumGetByteaPP(batch->messages.values[i]);
	type = evc_schema_lookup(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	if (type == 0 || !evc_report_is_one(type) ||
		VARSIZE_ANY_EXHDR(message) > (Size) evc_max_message_size ||
		!evc_wire_check(evc_schema_descriptor(type), VARDATA_ANY(message),
						VARSIZE_ANY_EXHDR(message), &canonical, &error))
		return 0;
	return type;
}

/* Compare the ids of two reports by their bytes; those without come last. */
static int
compare_ids(const Batch *batch, int a, int b)
{
	text	   *left;
	text	   *right;
	Size		left_size;
	Size		right_size;
	int			order;

	if (batch->ids.nulls[a] || batch->ids.nulls[b])
		return batch->ids.nulls[a] - batch->ids.nulls[b];
	left = DatumGetTextPP(batch->ids.values[a]);
	right = DatumGetTextPP(batch->ids.values[b]);
	left_size = VARSIZE_ANY_EXHDR(left);
	right_size = VARSIZE_ANY_EXHDR(right);
	order = memcmp(VARDATA_ANY(left), VARDATA_ANY(right),
				   Min(left_size, right_size));
	return order != 0 ? order :
		(left_size > right_size) - (left_size < right_size);
}

/* Order reports by charge point, and by position. */
static int
compare_reports(const void *a, const void *b, void *batch)
{
	int			left = *(const int *) a;
	int			right = *(const int *) b;
	int			order = compare_ids(batch, left, right);

	return order != 0 ? order : left - right;
}

/*
 * order_of
 *		Return the positions of the reports, in the order in which they are
 *		applied.
 *
 * Reports of different charge points do not see each other.  So they are taken
 * charge point by charge point, in the one order that is free of deadlocks.
 */
static int *
order_of(const Batch *batch)
{
	int		   *order = palloc(sizeof(int) * batch->ids.count);

	for (int i = 0; i < batch->ids.count; i++)
		order[i] = i;
	qsort_arg(order, batch->ids.count, sizeof(int), compare_reports,
			  unconstify(Batch *, batch));
	return order;
}

/*
 * open_window
 *		Take the next reports of a batch in hand, at most "room" of those that
 *		have the given positions.
 */
static Window
open_window(const Batch *batch, ErrorData **errors, const int *positions,
			int room)
{
	Window		window = {.batch = batch, .errors = errors};
	Point	   *point = NULL;
	Size		bytes = 0;

	room = Min(room, WINDOW_REPORTS);
	window.reports = palloc0(sizeof(Report) * room);
	window.set.points = palloc(sizeof(EvcSetPoint *) * room);
	while (window.count < room && bytes < WINDOW_BYTES)
	{
		int			i = positions[window.count];
		Report	   *report = &window.reports[window.count];

		report->position = i;
		report->context = context_of(batch, i);
		report->type = good_type(batch, i, &report->context);
		if (report->type != 0)
		{
			if (point == NULL ||
				compare_ids(batch, i, point->position) != 0)
			{
				point = palloc0(sizeof(Point));
				point->in_set.id = batch->ids.values[i];
				point->position = i;
				window.set.points[window.set.count++] = &point->in_set;
			}
			report->point = point;
			report->context.point = &point->in_set;
		}
		if (!batch->messages.nulls[i])
			bytes += VARSIZE_ANY(DatumGetPointer(batch->messages.values[i]));
		window.count++;
	}
	window.report_context = AllocSetContextCreate(CurrentMemoryContext,
												  "evcharge report",
												  ALLOCSET_DEFAULT_SIZES);
	return window;
}

/*
 * ends_batch
 *		Tell whether an error says nothing about the report that met it: the
 *		server shuts down, the query is cancelled, memory is out, the transaction
 *		must be retried.
 */
static bool
ends_batch(const ErrorData *error)
{
	int			category = ERRCODE_TO_CATEGORY(error->sqlerrcode);

	return category == ERRCODE_OPERATOR_INTERVENTION ||
		category == ERRCODE_INSUFFICIENT_RESOURCES ||
		category == ERRCODE_TRANSACTION_ROLLBACK ||
		error->sqlerrcode == ERRCODE_EVC_TABLES_VERSION;
}

/*
 * attempt
 *		Do something in a subtransaction; return NULL, or the error that took it
 *		back.
 *
 * It is done in one memory context, the error is in that of the caller.
 */
static ErrorData *
attempt(void (*action) (Window *, Report *), Window *window, Report *report,
		MemoryContext action_context)
{
	MemoryContext context = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(action_context);
	PG_TRY();
	{
		action(window, report);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(context);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(context);
		CurrentResourceOwner = owner;
		if (ends_batch(error))
			ReThrowError(error);
	}
	PG_END_TRY();
	return error;
}

/* Apply a report alone. */
static void
apply_alone(Window *window, Report *report)
{
	apply(window->batch, report->position);
}

/*
 * choose_way
 *		Say how a report is applied in this round.
 *
 * The reports of a charge point are applied in their order: first those that
 * are in the set, then, alone, those that follow and cannot be, then, in a
 * later round, the rest.  What is bad changes nothing, so its place is no
 * matter.
 */
static Way
choose_way(Report *report)
{
	Point	   *point = report->point;
	Way			way;

	if (point == NULL)
		return ALONE;
	if (!evc_report_fits_set(report->type, &report->context))
		way = ALONE;
	else if (point->in_set.known)
		way = point->last == IN_SET ? IN_SET : LATER;
	else
		way = point->last == IN_SET ? ALONE : LATER;
	point->last = Max(point->last, way);
	return point->last;
}

/*
 * choose_ways
 *		Say how the reports in hand are applied in this round.
 *
 * Before the charge points are locked it is not known which of them are known,
 * and all are taken for it.
 */
static void
choose_ways(Window *window)
{
	window->in_set = 0;
	for (int i = 0; i < window->set.count; i++)
		((Point *) window->set.points[i])->last = IN_SET;
	for (int i = 0; i < window->count; i++)
	{
		Report	   *report = &window->reports[i];

		report->way = choose_way(report);
		window->in_set += report->way == IN_SET;
	}
}

/*
 * lock_and_choose
 *		Lock the charge points in hand, and say how their reports are applied.
 *
 * If there is to be a set, the lock gives its reports what they will use; if
 * there is none, one lock is enough for all rounds.
 */
static void
lock_and_choose(Window *window, bool want_set)
{
	for (int i = 0; i < window->set.count; i++)
	{
		Point	   *point = (Point *) window->set.points[i];

		point->left = false;
		point->in_set = (EvcSetPoint) {.id = point->in_set.id, .known = true};
	}
	choose_ways(window);
	window->is_set = want_set && window->in_set >= SMALL_SET;
	if (window->locked && !window->is_set)
		return;

	for (int i = 0; i < window->count; i++)
		if (window->is_set && window->reports[i].way == IN_SET)
			window->reports[i].point->in_set.reports++;
	for (int i = 0; i < window->set.count; i++)
		window->set.points[i]->known = false;
	evc_store_lock_set(&window->set, GetCurrentTimestamp());
	choose_ways(window);
}

/* Name to the set what one of its reports is decided by. */
static void
name_in_set(Window *window, const Report *report)
{
	bytea	   *message =
		DatumGetByteaPP(window->batch->messages.values[report->position]);
	MemoryContext old = MemoryContextSwitchTo(window->report_context);

	evc_report_name(report->type, VARDATA_ANY(message),
					VARSIZE_ANY_EXHDR(message), &report->context);
	MemoryContextSwitchTo(old);
	MemoryContextReset(window->report_context);
}

/* Apply one report of the set. */
static void
apply_in_set(Window *window, const Report *report)
{
	const Batch *batch = window->batch;
	bytea	   *message =
		DatumGetByteaPP(batch->messages.values[report->position]);
	MemoryContext old = MemoryContextSwitchTo(window->report_context);

	evc_report(report->type,
			   DatumGetTextPP(batch->ids.values[report->position]),
			   VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
			   &report->context);
	MemoryContextSwitchTo(old);
	MemoryContextReset(window->report_context);
	CHECK_FOR_INTERRUPTS();
}

/*
 * apply_set
 *		Lock the charge points in hand, and apply the reports that can be a set.
 *
 * A set of few reports would cost more than each of them alone.
 */
static void
apply_set(Window *window, Report *unused)
{
	Report	   *end = window->reports + window->count;

	(void) unused;
	lock_and_choose(window, true);
	if (!window->is_set)
		return;

	for (Report *report = window->reports; report < end; report++)
		if (report->way == IN_SET)
			name_in_set(window, report);
	evc_store_read_set(&window->set);
	for (Report *report = window->reports; report < end; report++)
		if (report->way == IN_SET)
			apply_in_set(window, report);
	evc_store_write_set(&window->set);
}

/*
 * apply_round
 *		Apply a set of the reports in hand, and what is to be applied alone
 *		after it.
 *
 * If the set fails, the locks go with its subtransaction and are taken again,
 * as what is then applied alone needs them in their order, too.
 */
static void
apply_round(Window *window)
{
	EvcStore	store;
	bool		done;
	int			left = 0;

	evc_store_begin(&store, (Datum) 0, false);
	done = attempt(apply_set, window, NULL, CurrentMemoryContext) == NULL;
	evc_store_end(&store);
	if (!done)
	{
		evc_store_begin(&store, (Datum) 0, false);
		window->locked = false;
		lock_and_choose(window, false);
		evc_store_end(&store);
	}
	window->locked = true;

	window->set.count = 0;
	for (int i = 0; i < window->count; i++)
	{
		Report	   *report = &window->reports[i];

		if (report->way == LATER)
		{
			Point	   *point = report->point;

			if (!point->left)
				window->set.points[window->set.count++] = &point->in_set;
			point->left = true;
			window->reports[left++] = *report;
		}
		else if (report->way == ALONE || !window->is_set)
		{
			window->errors[report->position] =
				attempt(apply_alone, window, report, window->report_context);
			MemoryContextReset(window->report_context);
			CHECK_FOR_INTERRUPTS();
		}
	}
	window->count = left;
}

/* Return a bad report. */
static void
put_error(ReturnSetInfo *rsinfo, int position, const ErrorData *error)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	const char *reason = error->detail == NULL ? error->message :
		psprintf("%s: %s", error->message, error->detail);

	values[0] = Int32GetDatum(position);
	values[1] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	values[2] = CStringGetTextDatum(reason);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
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
	MemoryContext context = CurrentMemoryContext;
	MemoryContext window_context;
	ErrorData **errors;
	int		   *order;

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

	errors = palloc_extended(sizeof(ErrorData *) * batch.ids.count,
							 MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	order = order_of(&batch);
	window_context = AllocSetContextCreate(CurrentMemoryContext,
										   "evcharge batch",
										   ALLOCSET_DEFAULT_SIZES);
	for (int done = 0; done < batch.ids.count;)
	{
		Window		window;

		MemoryContextSwitchTo(window_context);
		window = open_window(&batch, errors, order + done,
							 batch.ids.count - done);
		MemoryContextSwitchTo(context);
		done += window.count;
		while (window.count > 0)
			apply_round(&window);
		MemoryContextReset(window_context);
	}
	for (int i = 0; i < batch.ids.count; i++)
		if (errors[i] != NULL)
			put_error(rsinfo, i + 1, errors[i]);
	return (Datum) 0;
}
