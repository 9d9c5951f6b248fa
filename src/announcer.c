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
 * in any in which a transaction with events finds none at work; one that finds
 * nothing to do in its database goes away.  Only an announcer that is at work
 * is relied on.  Until it is, transactions send NOTIFY themselves.
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
#include "storage/lwlock.h"
#include "storage/proc.h"
#include "storage/shmem.h"
#include "tcop/tcopprot.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "announcer.h"
#include "feed.h"
#include "guc.h"
#include "notify.h"

#define MAX_ANNOUNCERS	64		/* databases */
#define MAX_EVENTS		5000	/* that one transaction announces */
#define BUSY_EVENTS		4		/* more of them: there will be others soon */
#define BUSY_PAUSE		5		/* ms in which they gather */
#define PREPARED_PAUSE	100		/* ms after which prepared ones are looked for */
#define RETRY_PAUSE		1000	/* ms before an announcer is started again */
#define LEAVE_PAUSE		10		/* ms between looks whether it has gone */

typedef enum State
{
	UNKNOWN,					/* nobody looked yet, or long ago */
	WANTED,						/* the launcher is to start it */
	STARTING,
	AT_WORK,
	FAILED,						/* it was at work, and is started again */
	REFUSED						/* it looked and went away */
} State;

/* The announcer of a database. */
typedef struct Announcer
{
	Oid			database;		/* InvalidOid: the slot is free */
	State		state;
	Latch	   *latch;			/* while it is at work */
	pid_t		pid;			/* of the process, or 0 */
	TimestampTz since;			/* when the state was entered */
	bool		prepared;		/* a transaction with events was prepared */
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
static bool left_events = false;
static bool missed_announcer = false;

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
 */
static void
enter(Announcer *announcer, State state, const char *obstacle)
{
	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer->state = state;
	announcer->since = GetCurrentTimestamp();
	announcer->obstacle = obstacle;
	if (state != AT_WORK)
		announcer->latch = NULL;
	if (shared->launcher != NULL)
		SetLatch(shared->launcher);
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
 * Once found, it is read without the lock: a state that is a moment old does
 * no harm.  The slot is given away only when the database is dropped.
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
 * at_work
 *		Tell whether the announcer of this database can be relied on.
 *
 * One that failed can: it goes on where it was.
 */
static bool
at_work(void)
{
	look_up();
	return mine != NULL && (mine->state == AT_WORK || mine->state == FAILED);
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
	if (at_work())
		return left_events = true;
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
	if (at_work())
		return NULL;
	if (mine != NULL && mine->state == REFUSED && mine->obstacle != NULL)
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
	{
		mine->state = WANTED;
		if (shared->launcher != NULL)
			SetLatch(shared->launcher);
	}
	LWLockRelease(shared->lock);
}

/*
 * at_end_of_transaction
 *		Wake the announcer when a transaction that left it events has committed.
 *
 * By now its events can be seen.  Those of a prepared transaction cannot, and
 * nobody will come by here when they can, so the announcer looks for itself.
 */
static void
at_end_of_transaction(XactEvent event, void *arg)
{
	Latch	   *latch;

	(void) arg;
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE)
	{
		if (left_events && mine != NULL)
		{
			if (event == XACT_EVENT_PREPARE)
				mine->prepared = true;
			latch = mine->latch;
			if (latch != NULL)
				SetLatch(latch);
		}
		if (missed_announcer)
			call_launcher();
	}
	if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_PREPARE ||
		event == XACT_EVENT_ABORT)
		left_events = missed_announcer = false;
}

/* ---------------------------------------------------------------------------
 * The announcer of a database
 * ---------------------------------------------------------------------------
 */

static Announcer *self = NULL;

/*
 * leave
 *		End the announcer because there is nothing for it to do, or nothing ever
 *		if no obstacle is given.
 */
static void pg_attribute_noreturn()
leave(const char *obstacle)
{
	enter(self, REFUSED, obstacle);
	self->pid = 0;
	if (obstacle == NULL)
		self->database = InvalidOid;
	proc_exit(0);
}

/*
 * at_exit
 *		Say that the announcer has gone.
 *
 * One that did not leave on its own account was stopped by an error, or by the
 * administrator, and is started again.
 */
static void
at_exit(int code, Datum arg)
{
	(void) code;
	(void) arg;
	self->pid = 0;
	if (self->state == AT_WORK)
		enter(self, FAILED, NULL);
	else if (self->state == STARTING)
		enter(self, REFUSED, "the announcer could not start");
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
 * announce
 *		Announce what is new, up to a limit, in one transaction; return how many
 *		events that were.
 *
 * The place is written with it.  Where there is none yet, it begins here.
 */
static int
announce(bool *prepared)
{
	EvcStore	store;
	char	   *place;
	char	   *next;
	List	   *events = NIL;
	ListCell   *lc;

	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	if (!OidIsValid(get_extension_oid("evcharge", true)))
		leave(NULL);
	if (!evc_store_can_announce())
		leave("install() has not run");
	pgstat_report_activity(STATE_RUNNING, "announcing events");
	evc_store_begin(&store, (Datum) 0, true);

	place = evc_store_read_place(&store);
	if (evc_notify != EVC_NOTIFY_ANNOUNCER)
	{
		/* others announce; should it be asked again, it begins there */
		if (place != NULL)
			evc_store_write_place(&store, NULL, 0);
	}
	else if (place == NULL)
		evc_store_write_place(&store, evc_feed_now(&store),
							  GetCurrentTimestamp());
	else
		events = evc_feed_read_here(&store, place, MAX_EVENTS, &next);
	foreach(lc, events)
	{
		const EvcFeedEvent *row = lfirst(lc);
		EvcEvent	event;

		if (read_event(row, &event))
			evc_notify_send(row->charge_point_id, &event);
	}
	if (events != NIL)
		evc_store_write_place(&store, next, GetCurrentTimestamp());
	if (*prepared)
		*prepared = evc_store_has_prepared(&store);

	evc_store_end(&store);
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	return list_length(events);
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
 * evc_announcer_main
 *		Announce the events of one database, until there is no need to.
 */
void
evc_announcer_main(Datum argument)
{
	bool		prepared = true;	/* there may be some from before */

	self = &shared->announcers[DatumGetInt32(argument)];
	before_shmem_exit(at_exit, (Datum) 0);
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	self->pid = MyProcPid;
	BackgroundWorkerInitializeConnectionByOid(self->database, InvalidOid, 0);
	SetConfigOption("application_name", "evcharge announcer", PGC_USERSET,
					PGC_S_OVERRIDE);
	/* what it writes is only its place; after a crash it says some things twice */
	SetConfigOption("synchronous_commit", "off", PGC_USERSET, PGC_S_OVERRIDE);

	(void) announce(&prepared);
	if (evc_notify != EVC_NOTIFY_ANNOUNCER)
		leave("evcharge.notify of the database is not announcer");
	if (self->state != STARTING)
		proc_exit(0);			/* it was sent away meanwhile */
	self->latch = MyLatch;
	enter(self, AT_WORK, NULL);

	for (;;)
	{
		int			count;

		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			/* begin anew with what was set, for the database also */
			enter(self, WANTED, NULL);
			proc_exit(0);
		}
		if (self->prepared)
		{
			self->prepared = false;
			prepared = true;
		}
		count = announce(&prepared);
		if (count >= MAX_EVENTS)
			continue;
		if (count >= BUSY_EVENTS)
			rest(BUSY_PAUSE);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH |
						 (prepared ? WL_TIMEOUT : 0), PREPARED_PAUSE,
						 PG_WAIT_EXTENSION);
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
			announcer->state = WANTED;
		LWLockRelease(shared->lock);
	}
	table_endscan(scan);
	table_close(databases, AccessShareLock);
	CommitTransactionCommand();
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

	enter(announcer, STARTING, NULL);
	if (!RegisterDynamicBackgroundWorker(&worker, NULL))
		enter(announcer, REFUSED, "max_worker_processes leaves no room for the announcer");
}

/*
 * next_to_start
 *		Return the slot of an announcer that is to be started now, or -1; and how
 *		long nothing is to be done, or -1 for as long as nobody calls.
 *
 * One starts at a time: at a start of the server most of them find nothing to
 * do and go away.
 */
static int
next_to_start(long *wait)
{
	TimestampTz now = GetCurrentTimestamp();
	int			slot = -1;

	*wait = -1;
	LWLockAcquire(shared->lock, LW_SHARED);
	for (int i = 0; i < MAX_ANNOUNCERS; i++)
	{
		const Announcer *announcer = &shared->announcers[i];

		if (!OidIsValid(announcer->database))
			continue;
		if (announcer->state == STARTING)
		{
			slot = -1;
			*wait = RETRY_PAUSE;
			break;
		}
		if (announcer->state == FAILED)
		{
			if (TimestampDifferenceExceeds(announcer->since, now, RETRY_PAUSE))
				slot = i;
			else
				*wait = RETRY_PAUSE;
		}
		else if (announcer->state == WANTED)
			slot = i;
	}
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
 * send_away
 *		Have the announcer of a database go, and wait until it has.
 *
 * If the database stays, the next transaction with events calls it back.
 */
static void
send_away(Oid database)
{
	Announcer  *announcer;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer = find(database, false);
	if (announcer != NULL)
	{
		announcer->state = REFUSED;
		announcer->since = GetCurrentTimestamp();
		announcer->obstacle = "another statement wanted the database for itself";
		if (announcer->pid != 0)
			kill(announcer->pid, SIGTERM);
	}
	LWLockRelease(shared->lock);
	while (announcer != NULL && announcer->pid != 0)
		rest(LEAVE_PAUSE);
}

/*
 * forget
 *		Give back the slot of a database that is no more.
 */
static void
forget(Oid database)
{
	Announcer  *announcer;

	LWLockAcquire(shared->lock, LW_EXCLUSIVE);
	announcer = find(database, false);
	if (announcer != NULL && announcer->pid == 0)
		announcer->database = InvalidOid;
	LWLockRelease(shared->lock);
}

/*
 * utility
 *		Let no announcer stand in the way of a statement about its database.
 */
static void
utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
		ProcessUtilityContext context, ParamListInfo params,
		QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	const char *name = database_of(pstmt->utilityStmt);
	Oid			database = name == NULL ? InvalidOid :
		get_database_oid(name, true);

	if (OidIsValid(database))
		send_away(database);
	if (next_utility != NULL)
		next_utility(pstmt, query, read_only_tree, context, params, env, dest,
					 qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params,
								env, dest, qc);
	if (OidIsValid(database) && IsA(pstmt->utilityStmt, DropdbStmt))
		forget(database);
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

	if (!process_shared_preload_libraries_in_progress)
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
