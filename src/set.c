/*
 * set.c
 *		The rows of a set of reports, in memory.
 *
 * A set is small, and most charge points have one or two reports in it, so the
 * rows of each are kept in lists.
 *
 * Strings that come from a report are copied.  The statuses of connectors and
 * charge points are constants, or were read with the set.
 */
#include "postgres.h"

#include "rfc3339.h"
#include "set.h"

static void *
keep(EvcSetPoint *point, List **list, size_t size)
{
	MemoryContext old = MemoryContextSwitchTo(point->context);
	void	   *row = palloc0(size);

	*list = lappend(*list, row);
	MemoryContextSwitchTo(old);
	return row;
}

static const char *
keep_text(EvcSetPoint *point, const char *text)
{
	return text == NULL ? NULL : MemoryContextStrdup(point->context, text);
}

static void
keep_progress(EvcSetPoint *point, EvcProgress *to, const EvcProgress *from)
{
	*to = *from;
	to->current_unit = keep_text(point, from->current_unit);
	to->voltage_unit = keep_text(point, from->voltage_unit);
}

static EvcSetConnector *
find_connector(EvcSetPoint *point, int32 connector_id)
{
	ListCell   *lc;

	foreach(lc, point->connectors)
	{
		EvcSetConnector *connector = lfirst(lc);

		if (connector->row.connector_id == connector_id)
			return connector;
	}
	return NULL;
}

static EvcSetTransaction *
find_transaction(EvcSetPoint *point, int32 transaction_id)
{
	ListCell   *lc;

	foreach(lc, point->transactions)
	{
		EvcSetTransaction *transaction = lfirst(lc);

		if (transaction->row.transaction_id == transaction_id)
			return transaction;
	}
	return NULL;
}

/*
 * evc_set_name_connector
 *		Say that a report is decided by a connector.
 */
void
evc_set_name_connector(EvcSetPoint *point, int32 connector_id)
{
	EvcSetConnector *connector;

	if (find_connector(point, connector_id) != NULL)
		return;
	connector = keep(point, &point->connectors, sizeof(*connector));
	connector->row.connector_id = connector_id;
}

/*
 * evc_set_name_transaction
 *		Say that a report is decided by a transaction.
 */
void
evc_set_name_transaction(EvcSetPoint *point, int32 transaction_id)
{
	EvcSetTransaction *transaction;

	if (find_transaction(point, transaction_id) != NULL)
		return;
	transaction = keep(point, &point->transactions, sizeof(*transaction));
	transaction->row.transaction_id = transaction_id;
}

/*
 * evc_set_lock
 *		Do to the row in memory what the lock of a single report does to the one
 *		in the table, but for the sign of life, which the set gave.
 */
void
evc_set_lock(EvcSetPoint *point, EvcReserve reserve, EvcChargePoint *row)
{
	Assert(point->known);
	Assert(reserve.counter == EVC_NO_COUNTER);
	point->row.last_event_id += reserve.events;
	*row = point->row;
}

bool
evc_set_read_connector(EvcSetPoint *point, int32 connector_id,
					   EvcConnector *row)
{
	EvcSetConnector *connector = find_connector(point, connector_id);

	if (!connector->known)
		return false;
	*row = connector->row;
	return true;
}

/* Insert a connector, or update it. */
void
evc_set_write_connector(EvcSetPoint *point, const EvcConnector *row)
{
	EvcSetConnector *connector = find_connector(point, row->connector_id);

	connector->row = *row;
	connector->known = true;
	connector->changed = true;
}

bool
evc_set_read_transaction(EvcSetPoint *point, int32 transaction_id,
						 EvcTransaction *row)
{
	EvcSetTransaction *transaction = find_transaction(point, transaction_id);

	if (!transaction->known)
		return false;
	*row = transaction->row;
	return true;
}

/* Write the progress of a transaction, all that a set changes of it. */
void
evc_set_write_transaction(EvcSetPoint *point, const EvcTransaction *row)
{
	EvcSetTransaction *transaction = find_transaction(point,
													  row->transaction_id);

	keep_progress(point, &transaction->row.progress, &row->progress);
	transaction->changed = true;
}

/*
 * is_later
 *		Tell whether a sample is later than all others of its transaction.
 *
 * It is if it is later than the last progress of an open transaction, and need
 * not be searched for.  It may be there all the same if samples came before
 * their transaction, or a state was loaded with less progress than was known.
 * Then writing it fails, and the reports of the set are applied one by one.
 */
static bool
is_later(EvcSetPoint *point, int32 transaction_id, TimestampTz at)
{
	EvcSetTransaction *transaction = find_transaction(point, transaction_id);

	return transaction->known &&
		transaction->row.ended_at == EVC_NO_TIME &&
		transaction->row.progress.at != EVC_NO_TIME &&
		at > transaction->row.progress.at;
}

/* A sample that was reported before is overwritten, so that it counts once. */
void
evc_set_write_sample(EvcSetPoint *point, int32 transaction_id,
					 const EvcProgress *progress)
{
	EvcSetSample *sample = NULL;
	ListCell   *lc;

	foreach(lc, point->samples)
	{
		EvcSetSample *other = lfirst(lc);

		if (other->transaction_id == transaction_id &&
			other->progress.at == progress->at)
			sample = other;
	}
	if (sample == NULL)
	{
		sample = keep(point, &point->samples, sizeof(*sample));
		sample->transaction_id = transaction_id;
		sample->is_new = is_later(point, transaction_id, progress->at);
	}
	keep_progress(point, &sample->progress, progress);
}

void
evc_set_write_event(EvcSetPoint *point, const EvcEvent *event)
{
	EvcEvent   *copy = keep(point, &point->events, sizeof(*copy));

	*copy = *event;
	copy->old_value = keep_text(point, event->old_value);
	copy->new_value = keep_text(point, event->new_value);
	copy->reason = keep_text(point, event->reason);
	copy->detail = keep_text(point, event->detail);
}

/* Compare strings that may be NULL. */
static bool
same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

/*
 * evc_set_has_status_event
 *		Tell whether the events to be written have this status of a connector, or
 *		of the charge point as connector 0, at this time.
 */
bool
evc_set_has_status_event(const EvcSetPoint *point, int32 connector_id,
						 TimestampTz at, const char *status)
{
	ListCell   *lc;

	foreach(lc, point->events)
	{
		const EvcEvent *event = lfirst(lc);

		if (event->occurred_at == at &&
			(connector_id == 0 ? event->kind == EVC_CHARGE_POINT_STATUS :
			 event->kind == EVC_CONNECTOR_STATUS &&
			 event->connector_id == connector_id) &&
			same_text(event->new_value, status))
			return true;
	}
	return false;
}

/*
 * evc_set_has_anomaly
 *		Tell whether the events to be written have this anomaly: the same words,
 *		at any time or at the same.
 */
bool
evc_set_has_anomaly(const EvcSetPoint *point, const EvcEvent *event,
					bool any_time)
{
	ListCell   *lc;

	foreach(lc, point->events)
	{
		const EvcEvent *other = lfirst(lc);

		if (other->kind == EVC_ANOMALY &&
			other->connector_id == event->connector_id &&
			other->transaction_id == event->transaction_id &&
			(any_time || other->occurred_at == event->occurred_at) &&
			same_text(other->reason, event->reason) &&
			same_text(other->new_value, event->new_value) &&
			same_text(other->detail, event->detail))
			return true;
	}
	return false;
}
