/*
 * feed.c
 *		events_since(): the events of all charge points, each exactly once to a
 *		reader that gives back the cursor it got.
 *
 * Events are read in the order of the transactions that wrote them.  "Larger
 * than the last" would skip a transaction that began early and commits late, so
 * a cursor is a snapshot: what it sees has been read, and all else has not.
 * When there is more than a call may return, the cursor also holds a newer
 * snapshot, up to the last transaction of which something was returned, and the
 * place in it.
 *
 * Transaction ids mean nothing in another cluster.  After a restore the events
 * of the old one are still told by its system identifier, and they are read
 * before those of this cluster.  A cursor has a place in each cluster of which
 * anything was read, for a database may also come back to where it was.
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "errors.h"
#include "feed.h"

/* In version 1 a cursor had a place in one cluster, and read those before it. */
#define CURSOR_VERSION	'2'
#define END_OF_XIDS		PG_UINT64_MAX

/* Transactions that are seen: those below "end" but for the ones in "running". */
typedef struct Seen
{
	uint64		end;
	uint64	   *running;		/* ascending */
	int			count;
} Seen;

/* What was read of a cluster. */
typedef struct Place
{
	int64		cluster;
	Seen		read;
} Place;

typedef struct Cursor
{
	bool		old;			/* of version 1 */
	List	   *others;			/* places in other clusters than this one: */
	int64		cluster;
	Seen		read;			/* all of this was read */
	bool		reading;		/* and of that, all up to a place: */
	Seen		now;
	uint64		after;
	int64		after_event_id;
	const char *after_charge_point_id;
} Cursor;

static const Seen nothing = {0, NULL, 0};

/*
 * widen
 *		Return a transaction id with its epoch.
 */
static uint64
widen(TransactionId xid, FullTransactionId next)
{
	uint64		epoch = EpochFromFullTransactionId(next);

	if (xid > XidFromFullTransactionId(next))
		epoch--;
	return (epoch << 32) | xid;
}

static int
compare_xids(const void *a, const void *b)
{
	uint64		x = *(const uint64 *) a;
	uint64		y = *(const uint64 *) b;

	return (x > y) - (x < y);
}

/*
 * seen_now
 *		Return what the snapshot of the calling query sees.
 *
 * But not the transaction that asks: it may write more, or be rolled back.
 *
 * On a standby running transactions stand among the subtransactions; if there
 * are too many to be listed, only what is older than all of them counts.
 */
static Seen
seen_now(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	FullTransactionId next = ReadNextFullTransactionId();
	TransactionId own = GetTopTransactionIdIfAny();
	const TransactionId *running = snapshot->xip;
	int			count = (int) snapshot->xcnt;
	Seen		seen;

	seen.end = widen(snapshot->xmax, next);
	if (snapshot->takenDuringRecovery)
	{
		running = snapshot->subxip;
		count = snapshot->subxcnt;
		if (snapshot->suboverflowed)
		{
			seen.end = widen(snapshot->xmin, next);
			count = 0;
		}
	}

	seen.running = palloc(sizeof(uint64) * (count + 1));
	seen.count = 0;
	for (int i = 0; i <= count; i++)
	{
		TransactionId xid = i < count ? running[i] : own;

		if (TransactionIdIsValid(xid) && widen(xid, next) < seen.end)
			seen.running[seen.count++] = widen(xid, next);
	}
	qsort(seen.running, seen.count, sizeof(uint64), compare_xids);
	return seen;
}

/*
 * cut
 *		Have a snapshot see nothing from a transaction on.
 *
 * What is newer than the last event that was given does not count as seen: what
 * a transaction without an event did need not be on disk, or on a standby, and
 * after a crash or a promotion its id is given to another.
 */
static void
cut(Seen *seen, uint64 end)
{
	seen->end = Min(seen->end, end);
	while (seen->count > 0 && seen->running[seen->count - 1] >= seen->end)
		seen->count--;
}

/*
 * is_running
 *		Tell whether a snapshot saw a transaction run.
 */
static bool
is_running(const Seen *seen, uint64 xid)
{
	return seen->count > 0 &&
		bsearch(&xid, seen->running, seen->count, sizeof(uint64),
				compare_xids) != NULL;
}

/*
 * covers
 *		Tell whether all that one snapshot sees is seen by another.
 *
 * Not so on a standby that lags behind where the cursor was taken.
 */
static bool
covers(const Seen *seen, const Seen *past)
{
	if (seen->end < past->end)
		return false;
	for (int i = 0; i < seen->count && seen->running[i] < past->end; i++)
		if (!is_running(past, seen->running[i]))
			return false;
	return true;
}

/*
 * write_seen
 *		Write a snapshot as "end/running,running".
 */
static void
write_seen(StringInfo out, const Seen *seen)
{
	appendStringInfo(out, UINT64_FORMAT "/", seen->end);
	for (int i = 0; i < seen->count; i++)
		appendStringInfo(out, "%s" UINT64_FORMAT, i == 0 ? "" : ",",
						 seen->running[i]);
}

/*
 * write_cursor
 *		Write a cursor; the id of the charge point comes last because it may
 *		hold anything.
 */
static char *
write_cursor(const Cursor *cursor)
{
	StringInfoData out;
	ListCell   *lc;

	initStringInfo(&out);
	appendStringInfo(&out, "%c/", CURSOR_VERSION);
	foreach(lc, cursor->others)
	{
		const Place *place = lfirst(lc);

		appendStringInfo(&out, INT64_FORMAT "/", place->cluster);
		write_seen(&out, &place->read);
		appendStringInfoChar(&out, ';');
	}
	appendStringInfo(&out, INT64_FORMAT "/", cursor->cluster);
	write_seen(&out, &cursor->read);
	if (cursor->reading)
	{
		appendStringInfoChar(&out, '/');
		write_seen(&out, &cursor->now);
		appendStringInfo(&out, "/" UINT64_FORMAT "/" INT64_FORMAT "/%s",
						 cursor->after, cursor->after_event_id,
						 cursor->after_charge_point_id);
	}
	return out.data;
}

/*
 * bad_cursor
 *		Raise the error of a text that is no cursor.
 */
pg_noreturn static void
bad_cursor(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_EVC_INVALID_VALUE),
			 errmsg("invalid cursor: \"%s\"", text),
			 errdetail("A cursor is a text that events_since() or event_cursor() returned."),
			 errhint("Give NULL to read from the beginning.")));
}

/*
 * read_number
 *		Read an unsigned number of a cursor.
 */
static bool
read_number(const char **p, uint64 *value)
{
	char	   *end;

	if (**p < '0' || **p > '9')
		return false;
	errno = 0;
	*value = strtou64(*p, &end, 10);
	*p = end;
	return errno == 0;
}

/*
 * read_slash
 *		Read the separator of a cursor.
 */
static bool
read_slash(const char **p)
{
	return *(*p)++ == '/';
}

/*
 * read_seen
 *		Read a snapshot of a cursor.
 */
static bool
read_seen(const char **p, Seen *seen)
{
	size_t		most = strlen(*p) / 2 + 1;

	if (!read_number(p, &seen->end) || !read_slash(p))
		return false;
	seen->running = palloc(sizeof(uint64) * most);
	seen->count = 0;
	while (**p >= '0' && **p <= '9')
	{
		if (!read_number(p, &seen->running[seen->count++]))
			return false;
		if (**p != ',')
			break;
		(*p)++;
	}
	qsort(seen->running, seen->count, sizeof(uint64), compare_xids);
	return true;
}

/*
 * read_place
 *		Read what a cursor says was read of a cluster.
 */
static bool
read_place(const char **p, int64 *cluster, Seen *seen)
{
	bool		negative = **p == '-';
	uint64		number;

	if (negative)
		(*p)++;
	if (!read_number(p, &number) || !read_slash(p) || !read_seen(p, seen))
		return false;
	*cluster = (int64) (negative ? -number : number);
	return true;
}

/*
 * read_cursor
 *		Read a cursor, or raise an error.
 */
static Cursor
read_cursor(const char *text)
{
	Cursor		cursor = {0};
	const char *p = text;
	uint64		number;

	cursor.old = *p == '1';
	if ((!cursor.old && *p != CURSOR_VERSION) || *++p != '/')
		bad_cursor(text);
	p++;
	if (!read_place(&p, &cursor.cluster, &cursor.read))
		bad_cursor(text);
	while (*p == ';' && !cursor.old)
	{
		Place	   *place = palloc(sizeof(Place));

		place->cluster = cursor.cluster;
		place->read = cursor.read;
		cursor.others = lappend(cursor.others, place);
		p++;
		if (!read_place(&p, &cursor.cluster, &cursor.read))
			bad_cursor(text);
	}

	cursor.reading = *p != '\0';
	if (!cursor.reading)
		return cursor;
	if (!read_slash(&p) || !read_seen(&p, &cursor.now) ||
		!read_slash(&p) || !read_number(&p, &cursor.after) ||
		!read_slash(&p) || !read_number(&p, &number) || !read_slash(&p))
		bad_cursor(text);
	cursor.after_event_id = (int64) number;
	cursor.after_charge_point_id = p;
	return cursor;
}

/*
 * A reading: where it is, how many events it may still give, and to whom: to
 * "rows" or, if that is NULL, to "events".
 */
typedef struct Feed
{
	EvcStore   *store;
	Cursor		cursor;
	int64		left;
	ReturnSetInfo *rows;
	List	   *events;
} Feed;

/*
 * put_row
 *		Return an event as a row, with the cursor behind it.
 */
static void
put_row(Feed *feed, const EvcFeedEvent *event)
{
	Datum		values[EVC_FEED_COLUMNS + 1];
	bool		nulls[EVC_FEED_COLUMNS + 1];

	memcpy(values, event->values, sizeof(event->values));
	memcpy(nulls, event->isnull, sizeof(event->isnull));
	values[EVC_FEED_COLUMNS] =
		CStringGetTextDatum(write_cursor(&feed->cursor));
	nulls[EVC_FEED_COLUMNS] = false;
	tuplestore_putvalues(feed->rows->setResult, feed->rows->setDesc, values,
						 nulls);
}

/*
 * end_reading
 *		Have everything read that is seen.
 */
static void
end_reading(Cursor *cursor)
{
	cursor->read = cursor->now;
	cursor->reading = false;
}

/*
 * put_events
 *		Give events, and move the cursor behind each.
 *
 * If there are fewer than may be, nothing is left of the snapshot that is being
 * read, and the cursor behind the last one need not remember a place in it.
 */
static void
put_events(Feed *feed, List *events)
{
	Cursor	   *cursor = &feed->cursor;
	bool		all = list_length(events) < feed->left;
	ListCell   *lc;

	foreach(lc, events)
	{
		EvcFeedEvent *event = lfirst(lc);

		if (all && event == llast(events))
			end_reading(cursor);
		else
		{
			cursor->after = event->written_by;
			cursor->after_event_id = event->event_id;
			cursor->after_charge_point_id = event->charge_point_id;
		}
		if (feed->rows != NULL)
			put_row(feed, event);
		else
			feed->events = lappend(feed->events, event);
	}
	if (all && events == NIL)
		end_reading(cursor);
	feed->left -= list_length(events);
}

/*
 * read_events
 *		Read what "now" of the cursor sees and "read" does not, as far as may be.
 *
 * That was written by transactions that began after "read" was taken, and by
 * late ones, that were running then.
 */
static List *
read_events(Feed *feed)
{
	const Cursor *cursor = &feed->cursor;
	EvcFeedRange range = {
		.cluster = cursor->cluster,
		.from = Max(cursor->read.end, cursor->after),
		.to = cursor->now.end,
		.running = cursor->now.running,
		.running_count = cursor->now.count,
		.after = cursor->after,
		.after_charge_point_id = cursor->after_charge_point_id,
		.after_event_id = cursor->after_event_id,
		.few = feed->rows == NULL,
	};
	uint64	   *late = palloc(sizeof(uint64) * (cursor->read.count + 1));

	for (int i = 0; i < cursor->read.count; i++)
	{
		uint64		xid = cursor->read.running[i];

		if (xid >= cursor->after && xid < cursor->now.end &&
			!is_running(&cursor->now, xid))
			late[range.late_count++] = xid;
	}
	if (range.from >= range.to && range.late_count == 0)
		return NIL;
	range.late = late;
	return evc_store_read_feed(feed->store, &range, (int) feed->left);
}

/*
 * read_cluster
 *		Return the events of one cluster from the place of the cursor on.
 *
 * "now" is what can be seen of it.  A cursor that has seen more waits until
 * this server has, too, or what comes meanwhile would be passed over.
 */
static void
read_cluster(Feed *feed, Seen now)
{
	Cursor	   *cursor = &feed->cursor;
	List	   *events;
	uint64		end = 0;

	if (!covers(&now, &cursor->read) ||
		(cursor->reading && !covers(&now, &cursor->now)))
		return;

	if (cursor->reading)
		put_events(feed, read_events(feed));
	if (feed->left == 0)
		return;

	cursor->reading = true;
	cursor->now = now;
	cursor->after = 0;
	cursor->after_event_id = 0;
	cursor->after_charge_point_id = "";
	events = read_events(feed);

	/* what comes behind these is left to another snapshot */
	if (events != NIL)
		end = ((EvcFeedEvent *) llast(events))->written_by + 1;
	cut(&cursor->now, Max(end, cursor->read.end));
	put_events(feed, events);
}

/*
 * put_place
 *		Remember what was read of another cluster.
 */
static void
put_place(Cursor *cursor, int64 cluster, Seen read)
{
	Place	   *place = palloc(sizeof(Place));

	place->cluster = cluster;
	place->read = read;
	cursor->others = lappend(cursor->others, place);
}

/*
 * all_of
 *		Return what is seen of a cluster that is not this one: all there is.
 */
static Seen
all_of(EvcStore *store, int64 cluster)
{
	return (Seen) {.end = evc_store_last_writer(store, cluster) + 1};
}

/*
 * renew
 *		Make a cursor of version 1 one of this version.
 *
 * Of the clusters, those before the cursor's have been read.  If nothing is
 * left of that one, nobody knows: better twice than not at all.
 */
static void
renew(EvcStore *store, Cursor *cursor, List *clusters)
{
	List	   *before = NIL;
	bool		found = false;
	ListCell   *lc;

	foreach(lc, clusters)
	{
		int64		cluster = *(int64 *) lfirst(lc);

		if (cluster != cursor->cluster)
		{
			before = lappend(before, lfirst(lc));
			continue;
		}
		if (cursor->read.end == END_OF_XIDS)
			cursor->read = all_of(store, cluster);
		if (cursor->now.end == END_OF_XIDS)
			cursor->now = all_of(store, cluster);
		found = true;
		break;
	}
	if (!found && cursor->cluster != (int64) GetSystemIdentifier())
		return;
	foreach(lc, before)
	{
		int64		cluster = *(int64 *) lfirst(lc);

		put_place(cursor, cluster, all_of(store, cluster));
	}
}

/*
 * turn_to
 *		Move a cursor to what it has read of a cluster.
 */
static void
turn_to(Cursor *cursor, int64 cluster)
{
	ListCell   *lc;

	if (cursor->cluster == cluster)
		return;
	if (cursor->cluster != 0)
		put_place(cursor, cursor->cluster, cursor->read);
	cursor->cluster = cluster;
	cursor->read = nothing;
	cursor->now = nothing;
	cursor->reading = false;
	foreach(lc, cursor->others)
	{
		Place	   *place = lfirst(lc);

		if (place->cluster != cluster)
			continue;
		cursor->read = place->read;
		cursor->others = list_delete_cell(cursor->others, lc);
		break;
	}
}

/*
 * read_other
 *		Return the events of a cluster that is not this one.
 *
 * Nothing of it is running, so all that is there can be seen, be it older than
 * where the reader is.
 */
static void
read_other(Feed *feed, int64 cluster)
{
	Seen		now = all_of(feed->store, cluster);

	turn_to(&feed->cursor, cluster);
	now.end = Max(now.end, feed->cursor.read.end);
	if (feed->cursor.reading)
		now.end = Max(now.end, feed->cursor.now.end);
	read_cluster(feed, now);
}

/*
 * read_here
 *		Return the events of this cluster.
 */
static void
read_here(Feed *feed)
{
	turn_to(&feed->cursor, (int64) GetSystemIdentifier());
	read_cluster(feed, seen_now());
}

/*
 * evc_feed_read_here
 *		Return up to "limit" events that this cluster wrote after a cursor, and
 *		the cursor behind them.
 */
List *
evc_feed_read_here(EvcStore *store, const char *cursor, int limit,
				   char **next)
{
	Feed		feed = {.store = store, .left = limit};

	feed.cursor = read_cursor(cursor);
	read_here(&feed);
	*next = write_cursor(&feed.cursor);
	return feed.events;
}

/*
 * evc_feed_now
 *		Return the cursor behind everything that is committed now.
 */
char *
evc_feed_now(EvcStore *store)
{
	Cursor		cursor = {.cluster = (int64) GetSystemIdentifier()};
	ListCell   *lc;

	cursor.read = seen_now();
	cut(&cursor.read, evc_store_last_writer(store, cursor.cluster) + 1);
	foreach(lc, evc_store_list_clusters(store))
	{
		int64		cluster = *(int64 *) lfirst(lc);

		if (cluster != cursor.cluster)
			put_place(&cursor, cluster, all_of(store, cluster));
	}
	return write_cursor(&cursor);
}

/*
 * events_since(cursor text, max_rows int)
 *		Return events in an order in which each comes once.
 */
PG_FUNCTION_INFO_V1(evc_events_since);
Datum
evc_events_since(PG_FUNCTION_ARGS)
{
	int64		here = (int64) GetSystemIdentifier();
	EvcStore	store;
	Feed		feed = {
		.store = &store,
		.rows = (ReturnSetInfo *) fcinfo->resultinfo,
	};
	List	   *clusters;
	ListCell   *lc;

	if (!PG_ARGISNULL(0))
		feed.cursor = read_cursor(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	feed.left = PG_ARGISNULL(1) ? PG_INT32_MAX : PG_GETARG_INT32(1);
	if (feed.left < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_rows must be at least 1"),
				 errdetail("It is " INT64_FORMAT ".", feed.left)));

	InitMaterializedSRF(fcinfo, 0);
	evc_store_begin(&store, (Datum) 0, true);
	clusters = evc_store_list_clusters(&store);
	if (feed.cursor.old)
		renew(&store, &feed.cursor, clusters);

	/* what the reader is in the middle of, then the other clusters, then this */
	if (feed.cursor.reading && feed.cursor.cluster == here)
		read_here(&feed);
	else if (feed.cursor.reading)
		read_other(&feed, feed.cursor.cluster);
	if (feed.cursor.reading)
		feed.left = 0;			/* the rest of it is not here yet */
	foreach(lc, clusters)
	{
		int64		cluster = *(int64 *) lfirst(lc);

		if (cluster != here && feed.left > 0)
			read_other(&feed, cluster);
	}
	if (feed.left > 0)
		read_here(&feed);
	evc_store_end(&store);
	return (Datum) 0;
}

/*
 * event_cursor() -> text
 *		Return the cursor behind everything that is committed now.
 */
PG_FUNCTION_INFO_V1(evc_event_cursor);
Datum
evc_event_cursor(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext old;
	EvcStore	store;
	char	   *cursor;
	text	   *written;

	(void) fcinfo;
	evc_store_begin(&store, (Datum) 0, true);
	cursor = evc_feed_now(&store);
	old = MemoryContextSwitchTo(caller);
	written = cstring_to_text(cursor);
	MemoryContextSwitchTo(old);
	evc_store_end(&store);
	PG_RETURN_TEXT_P(written);
}
