/*
 * announcer.c
 *		Background workers that send NOTIFY behind the transactions.
 *
 * NOTIFY in a transaction holds a lock of the whole cluster while it commits,
 * so commits go to disk one by one.  Here a transaction only writes its events;
 * when it has committed it sets the latch of the announcer of its database,
 * which reads what is new and sends the NOTIFYs for all of it in one
 * transaction of its own.  How far it has come is a row that this transaction
 * writes too: after a crash it goes on there.
 *
 * A launcher starts an announcer in each database when the server starts, and
 * in any in which a transaction with events finds none; one that finds nothing
 * to do in its database goes away.  Only an announcer that has been at work is
 * relied on, for it goes on where it was, whatever happens to it.  Until then
 * transactions send NOTIFY themselves.
 *
 * All of this needs shared memory, and so the library in
 * shared_preload_libraries.
 */
#include "postgres.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "commands/dbcommands.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/lmgr.h"
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#include "announcer.h"
#include "errors.h"
#include "feed.h"
#include "guc.h"
#include "notify.h"

#define MAX_ANNOUNCERS	64		/* databases */
#define MAX_EVENTS		5000	/* that one transaction announces */
#define MAX_REST		6		/* ms between rounds, in which events gather */
#define PREPARED_PAUSE	100		/* ms after which prepared ones are looked for */
#define RETRY_PAUSE		1000	/* ms before an announcer is started again */
#define START_LIMIT		60000	/* ms in which a process must appear */
#define LEAVE_PAUSE		10		/* ms between looks whether it has gone */

typedef enum State
{
	UNKNOWN,					/* nobody looked yet, or long ago */
	WANTED,						/* the launcher is to start it */
	STARTING,
	AT_WORK,
	FAILED,						/* it was at work, and is started again */
	AWAY,						/* a statement wants its database alone */
	REFUSED						/* it looked and went away */
} State;

/* The announcer of a database. */
typedef struct Announcer
{
	Oid			database;		/* InvalidOid: the slot is free */
	State		state;
	bool		relied;			/* transactions leave their events to it */
	Latch	   *latch;			/* while it is at work */
	pid_t		pid;			/* of the process, or 0 */
	TimestampTz since;			/* when the state was entered */
	bool		prepared;		/* a transaction with events was prepared */
	bool		dropped;		/* a statement may have dropped its extension */
	const char *obstacle;		/* why it went away */
} Announcer;

typedef struct Shared
{
	LWLock	   *lock;			/* of what follows */
	Latch	   *launcher;
	Announcer	announcers[MAX_ANNOUNCERS];
} Shared;

static Shared *shared = NULL;

/* Of this process: its database's announcer, and what it has left to that. */
static Announcer *mine = NULL;
static bool concerns_announcer = false;
static bool missed_announcer = false;
static bool drops_extension_of_it = false;

static shmem_request_hook_type next_shmem_request = NULL;
static shmem_startup_hook_type next_shmem_startup = NULL;
static ProcessUtility_hook_type next_utility = NULL;

/* ---------------------------------------------------------------------------
 * Shared memory
 * ---------------------------------------------------------------------------
 */

static void
request_shmem(void)
{
	if (next_shmem_request != NULL)
		next_shmem_request();
	RequestAddinShmemSpace(MAXALIGN(sizeof(Shared)));
	RequestNamedLWLockTranche("evcharge", 1);
}

static void
startup_shmem(void)
{
	bool		found;

	if (next_shmem_startup != NULL)
		next_shmem_startup();
	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("evcharge", sizeof(Shared), &found);
	if (!found)
	{
		memset(shared, 0, sizeof(Shared));
		shared->lock = &GetNamedLWLockTranche("evcharge")->lock;
	}
	LWLockRelease(AddinShmemInitLock);
}

/*
 * find
 *		Return the announcer of a database; a slot for it if "make".
 *
 * The caller holds the lock.  NULL if there is none, or no slot is free.
 */
static Announcer *
find(Oid database, bool make)
{
	Announcer  *empty = NULL;

	for (int i = 0; i < MAX_ANNOUNCERS; i++)
	{
		Announcer  *announcer = &shared->announcers[i];

		if (announcer->database == database)
			return announcer;
		if (empty == NULL && !OidIsValid(announcer->database))
			empty = announcer;
	}
	if (make && empty != NULL)
	{
		memset(empty, 0, sizeof(Announcer));
		empty->database = database;
		return empty;
	}
	return NULL;
}

/*
 * enter
 *		Change the state of an announcer, and tell the launcher.
 *
 * The caller holds the lock.
 */
static void
enter(Announcer *announcer, State state, const char *obstacle)
{
	announcer->state = state;
	announcer->since = GetCurrentTimestamp();
	announcer->obstacle = obstacle;
	if (state == AT_WORK)
		announcer->relied = true;
	else if (state == REFUSED)
		announcer->relied = false;
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
}

/*
 * forget
 *		Give back the slot of a database that is no more, or has nothing to
 *		announce.
 *
 * A process that still has it sees by its pid that it is not its own any more.
 */
static void
forget(Oid database)
{
	Announcer  *announcer;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer = find(database, false);
	if (announcer != NULL)
		memset(announcer, 0, sizeof(Announcer));
	LWLockRelease(shared->lock);
}

/* ---------------------------------------------------------------------------
 * Transactions that write events
 * ---------------------------------------------------------------------------
 */

/*
 * look_up
 *		Find the announcer of this database, if there is one.
 *
 * Once found, it is read without the lock: what is a moment old does no harm.
 * The slot is given away only when the database is dropped, or the extension.
 */
static void
look_up(void)
{
	if (mine != NULL && mine->database == MyDatabaseId)
		return;
	LWLockAcquire(shared->lock, LW_SHARED);
	mine = find(MyDatabaseId, false);
	LWLockRelease(shared->lock);
}

/*
 * is_relied_on
 *		Tell whether the announcer of this database can be relied on.
 *
 * One that failed or was sent away can: it goes on where it was.
 */
static bool
is_relied_on(void)
{
	look_up();
	return mine != NULL && mine->relied;
}

/*
 * evc_announcer_takes
 *		Leave an event of this transaction to the announcer; false if it cannot
 *		take it.
 */
bool
evc_announcer_takes(void)
{
	if (shared == NULL)
		return false;
	if (is_relied_on())
		return concerns_announcer = true;
	missed_announcer = true;
	return false;
}

/*
 * evc_announcer_obstacle
 *		Say why the announcer cannot be relied on now, or NULL.
 */
const char *
evc_announcer_obstacle(void)
{
	if (shared == NULL)
		return "evcharge is not in shared_preload_libraries";
	if (RecoveryInProgress())
		return "the server is a standby";
	if (is_relied_on())
		return NULL;
	if (mine != NULL && mine->obstacle != NULL)
		return mine->obstacle;
	return "the announcer has not started yet";
}

/*
 * call_launcher
 *		Have the launcher start an announcer for this database.
 *
 * Where one went away not long ago that would be in vain.
 */
static void
call_launcher(void)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	mine = find(MyDatabaseId, true);
	if (mine != NULL && (mine->state == UNKNOWN ||
						 (mine->state == REFUSED &&
						  TimestampDifferenceExceeds(mine->since,
													 GetCurrentTimestamp(),
													 RETRY_PAUSE))))
		enter(mine, WANTED, mine->obstacle);
	LWLockRelease(shared->lock);
}

/*
 * at_end_of_transaction
 *		Wake the announcer when a transaction that left it events has committed.
 *
 * By now its events can be seen.  Those of a prepared transaction cannot, and
 * nobody will come by here when they can, so the announcer looks for itself.
 * It may have gone since it took them, and is then called back for them.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	Latch	   *latch;

	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
	{
		if (concerns_announcer && mine != NULL)
		{
			if (event == XACT_EVENT_PREPARE)
				mine->prepared = true;
			if (drops_extension_of_it)
				mine->dropped = true;
			latch = mine->latch;
			if (latch != NULL)
				SetLatch(latch);
			if (!mine->relied)
				missed_announcer = true;
		}
		if (missed_announcer)
			call_launcher();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE ||
		event == XACT_EVENT_ABORT)
		concerns_announcer = missed_announcer = drops_extension_of_it = false;
}

/* ---------------------------------------------------------------------------
 * The announcer of a database
 * ---------------------------------------------------------------------------
 */

static Announcer *self = NULL;
static State state_after = FAILED;	/* being at work */
static char *known_place = NULL;	/* what its row says */
static Oid	known_table = InvalidOid;	/* which has that row */
static bool present = false;	/* the extension and its tables, when last seen */

/*
 * look_again, look_again_after
 *		Look whether they are still there, after anything changed.
 */
static void
look_again(Datum arg, Oid relation)
{
	(void) arg;
	(void) relation;
	present = false;
}

static void
look_again_after(Datum arg, int cache, uint32 hash)
{
	(void) cache;
	(void) hash;
	look_again(arg, InvalidOid);
}

/*
 * leave
 *		End the announcer because there is nothing for it to do, or nothing ever
 *		if no obstacle is given.
 */
pg_noreturn static void
leave(const char *obstacle)
{
	if (obstacle == NULL)
		forget(MyDatabaseId);
	else
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (self->pid == MyProcPid && self->state != AWAY)
			enter(self, REFUSED, obstacle);
		LWLockRelease(shared->lock);
	}
	proc_exit(0);
}

/*
 * at_exit
 *		Say that the announcer has gone.
 *
 * One that did not leave on its own account was stopped by an error, or by the
 * administrator, and is started again if it was ever at work.
 */
static void
at_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	if (self->pid == MyProcPid)
	{
		self->pid = 0;
		self->latch = NULL;
		if (self->state == AT_WORK)
			enter(self, state_after, NULL);
		else if (self->state == STARTING && self->relied)
			enter(self, FAILED, NULL);
		else if (self->state == STARTING)
			enter(self, REFUSED, "the announcer could not start");
	}
	LWLockRelease(shared->lock);
}

/*
 * take_slot
 *		Make this process the announcer of a slot; false if none is wanted there.
 */
static bool
take_slot(int slot)
{
	bool		wanted;

	self = &shared->announcers[slot];
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	wanted = self->state == STARTING && self->pid == 0;
	if (wanted)
		self->pid = MyProcPid;
	LWLockRelease(shared->lock);
	return wanted;
}

/*
 * go_to_work
 *		Have transactions rely on this announcer; false if it was sent away.
 */
static bool
go_to_work(void)
{
	bool		wanted;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	wanted = self->state == STARTING && self->pid == MyProcPid;
	if (wanted)
	{
		self->latch = MyLatch;
		enter(self, AT_WORK, NULL);
	}
	LWLockRelease(shared->lock);
	return wanted;
}

/*
 * read_event
 *		Make the event of a row of the feed, as far as an announcement needs it;
 *		false if this library does not know its kind.
 */
static bool
read_event(const EvcFeedEvent *row, EvcEvent *event)
{
	*event = (EvcEvent) {
		.event_id = row->event_id,
		.connector_id = row->isnull[3] ? EVC_NO_ID : DatumGetInt32(row->values[3]),
		.transaction_id = row->isnull[4] ? EVC_NO_ID : DatumGetInt32(row->values[4]),
		.new_value = row->isnull[6] ? NULL : TextDatumGetCString(row->values[6]),
	};
	return evc_event_kind_parse(TextDatumGetCString(row->values[2]),
								&event->kind);
}

/*
 * keep_place
 *		Write how far the announcer has come, and know it.
 */
static void
keep_place(EvcStore *store, const char *place)
{
	char	   *known = MemoryContextStrdup(TopMemoryContext, place);

	evc_store_write_place(store, known, GetCurrentTimestamp());
	if (known_place != NULL)
		pfree(known_place);
	known_place = known;
}

/*
 * announce
 *		Announce what is new, up to a limit, in one transaction; return how many
 *		events that were.
 *
 * The place is written with it.  Where there is none yet, it begins here.  It is
 * read only once: tables that were made anew have no place, and to begin there
 * would be to pass over what has woken this announcer.
 *
 * If others announce from now on, what was left to the announcer is still its
 * to tell.  Then the place is forgotten: should it be asked again, it begins
 * there.
 *
 * Who drops tables wakes it before other processes are told of that, keeps them
 * locked until then, and says so himself: the extension can go without them.
 */
static int
announce(bool *prepared)
{
	bool		wanted = evc_notify == EVC_NOTIFY_ANNOUNCER;
	EvcStore	store;
	char	   *next = NULL;
	List	   *events = NIL;
	ListCell   *lc;
	int			count;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (OidIsValid(known_table))
		LockRelationOid(known_table, AccessShareLock);
	if (!present)
	{
		present = true;
		if (!OidIsValid(get_extension_oid("evcharge", true)))
			leave(NULL);
		if (!evc_store_can_announce())
			leave("install() has not run");
		known_table = get_relname_relid("announcer",
										get_namespace_oid("evcharge", false));
	}
	pgstat_report_activity(STATE_RUNNING, "announcing events");
	evc_store_begin(&store, (Datum) 0, true);

	if (known_place == NULL)
	{
		char	   *place = evc_store_read_place(&store);

		if (place != NULL)
			known_place = MemoryContextStrdup(TopMemoryContext, place);
	}
	if (known_place == NULL && wanted)
		keep_place(&store, evc_feed_now(&store));
	else if (known_place != NULL && evc_notify != EVC_NOTIFY_OFF)
		events = evc_feed_read_here(&store, known_place, MAX_EVENTS, &next);
	count = list_length(events);
	foreach(lc, events)
	{
		const EvcFeedEvent *row = lfirst(lc);
		EvcEvent	event;

		if (read_event(row, &event))
			evc_notify_send(row->charge_point_id, &event);
	}
	if (!wanted && known_place != NULL && count < MAX_EVENTS)
		evc_store_write_place(&store, NULL, 0);
	else if (count > 0)
		keep_place(&store, next);
	if (*prepared)
		*prepared = evc_store_has_prepared(&store);

	evc_store_end(&store);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return count;
}

/*
 * rest
 *		Wait for what is still to come: without the latch, so that transactions
 *		which set it need not wake anybody.
 */
static void
rest(long ms)
{
	(void) WaitLatch(NULL, WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, ms,
					 PG_WAIT_EXTENSION);
	CHECK_FOR_INTERRUPTS();
}

/*
 * rest_behind
 *		Rest behind a round that announced some events.
 *
 * What a round costs depends little on their number; so the more there are, the
 * longer it pays to let others gather.  Half of those then wait for at most half
 * of the time between two rounds.
 */
static void
rest_behind(int count)
{
	TimestampTz next = TimestampTzPlusMilliseconds(GetCurrentStatementStartTimestamp(),
												   Min(count, MAX_REST));

	rest(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), next));
}

/*
 * set
 *		Choose a setting for this process, whatever the database has.
 */
static void
set(const char *name, const char *value)
{
	SetConfigOption(name, value, PGC_USERSET, PGC_S_OVERRIDE);
}

/*
 * evc_announcer_main
 *		Announce the events of one database, until there is no need to.
 */
void
evc_announcer_main(Datum argument)
{
	bool		prepared = true;	/* there may be some from before */
	int			count;

	if (!take_slot(DatumGetInt32(argument)))
		proc_exit(0);
	before_shmem_exit(at_exit, (Datum) 0);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	CacheRegisterRelcacheCallback(look_again, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, look_again_after, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, look_again_after, (Datum) 0);
	/* what was left to it is announced also where nobody may connect any more */
	BackgroundWorkerInitializeConnectionByOid(self->database, InvalidOid,
											  BGWORKER_BYPASS_ALLOWCONN);
	set("application_name", "evcharge announcer");
	/* what it writes is only its place; after a crash it says some things twice */
	set("synchronous_commit", "off");
	/* each look is to see what is new, and to write */
	set("default_transaction_isolation", "read committed");
	set("default_transaction_read_only", "off");

	do
	{
		CHECK_FOR_INTERRUPTS();
		count = announce(&prepared);
	} while (count >= MAX_EVENTS && evc_notify != EVC_NOTIFY_ANNOUNCER);
	if (evc_notify != EVC_NOTIFY_ANNOUNCER)
		leave("evcharge.notify of the database is not announcer");
	if (!go_to_work())
		proc_exit(0);

	for (;;)
	{
		bool		looked;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			/* begin anew with what was set, for the database also */
			state_after = WANTED;
			proc_exit(0);
		}
		if (self->prepared)
		{
			self->prepared = false;
			prepared = true;
		}
		if (self->dropped)
			self->dropped = present = false;
		looked = prepared;
		count = announce(&prepared);
		if (count >= MAX_EVENTS)
			continue;
		if (count > 0)
			rest_behind(count);
		/* what is not prepared any more may have been committed meanwhile */
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (prepared || looked ? WL_TIMEOUT : 0),
						 PREPARED_PAUSE, PG_WAIT_EXTENSION);
	}
}

/* ---------------------------------------------------------------------------
 * The launcher
 * ---------------------------------------------------------------------------
 */

/*
 * want_all
 *		Have an announcer look into each database.
 */
static void
want_all(void)
{
	Relation	databases;
	TableScanDesc scan;
	HeapTuple	tuple;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	databases = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(databases, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
	{
		Form_pg_database form = (Form_pg_database) GETSTRUCT(tuple);
		Announcer  *announcer;

		if (!form->datallowconn || form->datistemplate)
			continue;
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		announcer = find(form->oid, true);
		if (announcer != NULL && (announcer->state == UNKNOWN ||
								  announcer->state == REFUSED))
			enter(announcer, WANTED, announcer->obstacle);
		LWLockRelease(shared->lock);
	}
	table_endscan(scan);
	table_close(databases, AccessShareLock);
	CommitTransactionCommand();
}

/*
 * exists
 *		Tell whether there still is a database.
 */
static bool
exists(Oid database)
{
	bool		found;

	StartTransactionCommand();
	found = SearchSysCacheExists1(DATABASEOID, ObjectIdGetDatum(database));
	CommitTransactionCommand();
	return found;
}

/*
 * start
 *		Start the announcer of a slot.
 */
static void
start(int slot)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = BGW_NEVER_RESTART,
		.bgw_main_arg = Int32GetDatum(slot),
		.bgw_notify_pid = MyProcPid,
	};
	Announcer  *announcer = &shared->announcers[slot];

	strlcpy(worker.bgw_name, "evcharge announcer", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "evcharge announcer", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "evcharge", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "evc_announcer_main", BGW_MAXLEN);

	if (!exists(announcer->database))
		forget(announcer->database);
	else if (!RegisterDynamicBackgroundWorker(&worker, NULL))
	{
		LWLockAcquire(shared->lock, LW_EXCLUSIVE);
		if (announcer->state == STARTING)
			enter(announcer, REFUSED, "max_worker_processes leaves no room for the announcer");
		LWLockRelease(shared->lock);
	}
}

/*
 * next_to_start
 *		Return the slot of an announcer that is to be started now, or -1; and how
 *		long nothing is to be done, or -1 for as long as nobody calls.
 *
 * One starts at a time: at a start of the server most of them find nothing to
 * do and go away.  But the others do not wait for one that waits for a lock.
 */
static int
next_to_start(long *wait)
{
	TimestampTz now = GetCurrentTimestamp();
	int			slot = -1;

	*wait = -1;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < MAX_ANNOUNCERS; i++)
	{
		const Announcer *announcer = &shared->announcers[i];
		TimestampTz since = announcer->since;

		if (!OidIsValid(announcer->database))
			continue;
		if (announcer->state == STARTING)
		{
			*wait = RETRY_PAUSE;
			if (!TimestampDifferenceExceeds(since, now, RETRY_PAUSE))
			{
				slot = -1;
				break;
			}
			if (announcer->pid == 0 &&
				TimestampDifferenceExceeds(since, now, START_LIMIT))
				slot = i;
		}
		else if (announcer->state == FAILED)
		{
			if (TimestampDifferenceExceeds(since, now, RETRY_PAUSE))
				slot = i;
			else
				*wait = RETRY_PAUSE;
		}
		else if (announcer->state == WANTED)
			slot = i;
	}
	if (slot >= 0)
		enter(&shared->announcers[slot], STARTING, NULL);
	LWLockRelease(shared->lock);
	return slot;
}

static void
launcher_at_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = NULL;
	LWLockRelease(shared->lock);
}

/*
 * evc_launcher_main
 *		Start announcers.
 */
void
evc_launcher_main(Datum argument)
{
	(void) argument;
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	/* connected to no database: it sees what all of them share */
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	before_shmem_exit(launcher_at_exit, (Datum) 0);
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	shared->launcher = MyLatch;
	LWLockRelease(shared->lock);
	want_all();

	for (;;)
	{
		long		wait;
		int			slot;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			want_all();
		}
		slot = next_to_start(&wait);
		if (slot >= 0)
			start(slot);
		else
			(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
							 (wait >= 0 ? WL_TIMEOUT : 0), wait,
							 PG_WAIT_EXTENSION);
	}
}

/* ---------------------------------------------------------------------------
 * Statements that want a database for themselves
 * ---------------------------------------------------------------------------
 */

/*
 * database_of
 *		Return the name of the database that a statement wants to have for itself,
 *		or NULL.
 */
static const char *
database_of(const Node *statement)
{
	ListCell   *lc;

	switch (nodeTag(statement))
	{
		case T_DropdbStmt:
			return ((const DropdbStmt *) statement)->dbname;
		case T_RenameStmt:
			if (((const RenameStmt *) statement)->renameType == OBJECT_DATABASE)
				return ((const RenameStmt *) statement)->subname;
			return NULL;
		case T_AlterDatabaseStmt:	/* to another tablespace */
			return ((const AlterDatabaseStmt *) statement)->dbname;
		case T_CreatedbStmt:	/* as a copy of another one */
			foreach(lc, ((const CreatedbStmt *) statement)->options)
			{
				DefElem    *option = lfirst(lc);

				if (strcmp(option->defname, "template") == 0 &&
					option->arg != NULL && IsA(option->arg, String))
					return strVal(option->arg);
			}
			return "template1";
		default:
			return NULL;
	}
}

/*
 * may_have
 *		Tell whether the caller may have a database for itself at all.
 *
 * Who may not learns it from the statement; no announcer need go for that.
 */
static bool
may_have(Oid database)
{
#if PG_VERSION_NUM >= 160000
	return object_ownercheck(DatabaseRelationId, database, GetUserId());
#else
	return pg_database_ownercheck(database, GetUserId());
#endif
}

/*
 * send_away
 *		Have the announcer of a database go, and wait until it has.
 */
static void
send_away(Oid database)
{
	Announcer  *announcer;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer = find(database, false);
	if (announcer != NULL)
	{
		if (announcer->state != UNKNOWN && announcer->state != REFUSED)
			enter(announcer, AWAY, "a statement wants the database for itself");
		if (announcer->pid != 0)
			kill(announcer->pid, SIGTERM);
	}
	LWLockRelease(shared->lock);
	while (announcer != NULL && announcer->database == database &&
		   announcer->pid != 0)
		rest(LEAVE_PAUSE);
}

/*
 * call_back
 *		Have the announcer of a database come back that was sent away.
 */
static void
call_back(int code, Datum database)
{
	Announcer  *announcer;

	(void) code;
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer = find(DatumGetObjectId(database), false);
	if (announcer != NULL && announcer->state == AWAY)
		enter(announcer, WANTED, NULL);
	LWLockRelease(shared->lock);
}

/*
 * run_utility
 *		Run a statement as if this library were not there.
 */
static void
run_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
			ProcessUtilityContext context, ParamListInfo params,
			QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	if (next_utility != NULL)
		next_utility(pstmt, query, read_only_tree, context, params, env, dest,
					 qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params,
								env, dest, qc);
}

/*
 * drops_extension
 *		Tell whether a statement may take the extension or its tables away.
 */
static bool
drops_extension(const Node *statement)
{
	if (IsA(statement, DropStmt))
		return ((const DropStmt *) statement)->removeType == OBJECT_EXTENSION ||
			((const DropStmt *) statement)->removeType == OBJECT_SCHEMA;
	return IsA(statement, DropOwnedStmt);
}

/*
 * utility
 *		Let no announcer stand in the way of a statement about its database, and
 *		let it look whether it still has anything to do.
 */
static void
utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	const char *name = database_of(pstmt->utilityStmt);
	Oid			database = name == NULL ? InvalidOid :
		get_database_oid(name, true);
	bool		drops = IsA(pstmt->utilityStmt, DropdbStmt);

	if (!OidIsValid(database) || !may_have(database))
	{
		if (drops_extension(pstmt->utilityStmt) && is_relied_on())
			concerns_announcer = drops_extension_of_it = true;
		run_utility(pstmt, query, read_only_tree, context, params, env, dest,
					qc);
		return;
	}

	PG_ENSURE_ERROR_CLEANUP(call_back, ObjectIdGetDatum(database));
	{
		send_away(database);
		run_utility(pstmt, query, read_only_tree, context, params, env, dest,
					qc);
	}
	PG_END_ENSURE_ERROR_CLEANUP(call_back, ObjectIdGetDatum(database));
	if (drops)
		forget(database);
	else
		call_back(0, ObjectIdGetDatum(database));
}

/*
 * evc_announcer_init
 *		Register the launcher, if the server loads the library when it starts.
 */
void
evc_announcer_init(void)
{
	BackgroundWorker worker = {
		.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION,
		.bgw_start_time = BgWorkerStart_RecoveryFinished,
		.bgw_restart_time = RETRY_PAUSE / 1000,
	};

	/* while pg_upgrade works, nobody else may write */
	if (!process_shared_preload_libraries_in_progress || IsBinaryUpgrade)
		return;
	next_shmem_request = shmem_request_hook;
	shmem_request_hook = request_shmem;
	next_shmem_startup = shmem_startup_hook;
	shmem_startup_hook = startup_shmem;
	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = utility;
	RegisterXactCallback(at_end_of_transaction, NULL);

	strlcpy(worker.bgw_name, "evcharge launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "evcharge launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_library_name, "evcharge", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "evc_launcher_main", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}
