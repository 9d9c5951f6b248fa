/*
 * store.h
 *		The tables: row structs, and every way to read and change them.
 *
 * A row struct is what a call has in hand of a row: it is read, changed in
 * memory, and written back.  That is safe because each call holds the lock of
 * its charge point (see store.c).  Strings are NULL, times EVC_NO_TIME
 * and meters EVC_NO_METER where the column is NULL.
 */
#ifndef EVC_STORE_H
#define EVC_STORE_H

#include "event.h"
#include "nodes/pg_list.h"

#define EVC_NO_METER	PG_INT64_MIN

/* the fields of BootNotificationRequestData, in their order */
#define EVC_BOOT_FIELDS 9

/* what calls decide by; the rest of the row is written and never read */
typedef struct EvcChargePoint
{
	const char *registration;
	const char *status;
	TimestampTz status_since;
	TimestampTz status_reported_at;
	int32		auth_list_version;
	int32		auth_list_kept_from;
	int32		last_transaction_id;
	bool		transaction_ids_wrapped;
	int64		last_event_id;
	TimestampTz last_seen_at;
} EvcChargePoint;

typedef struct EvcConnector
{
	int32		connector_id;
	const char *status;
	TimestampTz status_since;
	TimestampTz reported_at;
	const char *status_before_fault;
	int32		transaction_id; /* 0 for none */
} EvcConnector;

/* The last progress of a transaction; units are NULL before the first. */
typedef struct EvcProgress
{
	float4		current_offered;
	const char *current_unit;
	float4		voltage_offered;
	const char *voltage_unit;
	TimestampTz at;
} EvcProgress;

typedef struct EvcTransaction
{
	int32		transaction_id;
	int32		connector_id;
	const char *id_tag;
	const char *consumer_key;
	TimestampTz started_at;
	int64		start_meter;
	TimestampTz confirmed_at;
	TimestampTz ended_at;
	int64		end_meter;
	const char *stop_reason;
	bool		forced;
	EvcProgress progress;
} EvcTransaction;

typedef struct EvcAuth
{
	const char *id_tag;
	const char *consumer_key;
	int32		transaction_id; /* 0 for none */
	const char *status;
	TimestampTz expires_at;
	const char *parent_id_tag;
	int32		list_version;
	TimestampTz removed_at;
} EvcAuth;

/*
 * An auth entry leaves the list with the transaction that used it: when
 * (EVC_NO_TIME if it is to stay) and with which version of the list; then,
 * whether it did or had left before, and the status that it had.
 */
typedef struct EvcRemoval
{
	TimestampTz at;
	int32		list_version;
	bool		done;
	bool		done_before;
	const char *status;
} EvcRemoval;

/*
 * What a call expects to use of the counters.  The lock takes it in advance,
 * so that the usual call updates the row of the charge point once.
 */
typedef enum EvcCounter
{
	EVC_NO_COUNTER,
	EVC_TRANSACTION_IDS,
	EVC_LIST_VERSIONS
} EvcCounter;

typedef struct EvcReserve
{
	int			events;
	EvcCounter	counter;		/* of which one more is taken */
} EvcReserve;

/*
 * A stretch of SQL about one charge point.  Between begin and end it runs with
 * the rights of the owner of the tables; read_only makes all of it see the
 * snapshot of the calling query.
 */
struct EvcSet;
struct EvcSetPoint;

typedef struct EvcStore
{
	Datum		id;				/* charge_point_id, a text */
	struct EvcSetPoint *point;	/* the charge point in a set of reports, whose
								 * rows are in memory; usually NULL */
	bool		read_only;
	Oid			save_user;
	int			save_context;
	int			path;
} EvcStore;

extern void evc_store_init(void);
extern void evc_store_begin(EvcStore *store, Datum id, bool read_only);
extern void evc_store_end(EvcStore *store);
extern void evc_store_join(EvcStore *store, struct EvcSetPoint *point);

extern bool evc_store_lock(EvcStore *store, TimestampTz seen, EvcReserve reserve,
						   EvcChargePoint *row);
extern bool evc_store_register(EvcStore *store, const char *registration,
							   TimestampTz now);
extern bool evc_store_read_charge_point(EvcStore *store, EvcChargePoint *row);
extern bool evc_store_update_charge_point(EvcStore *store,
										  const EvcChargePoint *row,
										  int64 locked_event_id);

extern void evc_store_update_boot(EvcStore *store,
								  const char *const *fields,
								  TimestampTz booted_at);

extern bool evc_store_read_connector(EvcStore *store, int32 connector_id,
									 EvcConnector *row);
extern List *evc_store_list_connectors(EvcStore *store);
extern void evc_store_insert_connector(EvcStore *store, const EvcConnector *row);
extern void evc_store_update_connector(EvcStore *store, const EvcConnector *row);
extern void evc_store_delete_connector(EvcStore *store, int32 connector_id);

extern bool evc_store_read_transaction(EvcStore *store, int32 transaction_id,
									   EvcTransaction *row);
extern bool evc_store_find_open_transaction(EvcStore *store, int32 connector_id,
										  EvcTransaction *row);
extern bool evc_store_transaction_started(EvcStore *store, int32 connector_id,
										  TimestampTz started_at,
										  EvcTransaction *row);
extern bool evc_store_transaction_ended(EvcStore *store, int32 connector_id,
										TimestampTz ended_at,
										EvcTransaction *row);
extern bool evc_store_last_transaction_on(EvcStore *store, int32 connector_id,
										  EvcTransaction *row);
extern List *evc_store_list_open_transactions(EvcStore *store);
extern List *evc_store_list_closed_transactions(EvcStore *store, int32 limit);
extern int32 evc_store_free_transaction_id(EvcStore *store, int32 from);
extern void evc_store_update_transaction(EvcStore *store, const EvcTransaction *row);

extern List *evc_store_list_auth(EvcStore *store);
extern List *evc_store_list_auth_since(EvcStore *store, int32 list_version);
extern List *evc_store_list_auth_of(EvcStore *store, const char *consumer_key);
extern bool evc_store_read_auth(EvcStore *store, const char *id_tag, EvcAuth *row);
extern void evc_store_insert_auth(EvcStore *store, const EvcAuth *row);
extern void evc_store_update_auth(EvcStore *store, const EvcAuth *row);
extern void evc_store_delete_auth(EvcStore *store, const char *id_tag);
extern void evc_store_forget_removed_auth(EvcStore *store, int32 up_to_version);
extern void evc_store_renumber_auth(EvcStore *store, int32 list_version);

extern void evc_store_open_transaction(EvcStore *store,
									   const EvcTransaction *row,
									   const char *id_tag,
									   const EvcEvent *started);
extern bool evc_store_start_transaction(EvcStore *store,
										const EvcTransaction *row,
										const EvcEvent *started);
extern void evc_store_close_transaction(EvcStore *store, EvcTransaction *row,
										const EvcEvent *ended,
										EvcRemoval *removal);
extern bool evc_store_stop_transaction(EvcStore *store, EvcTransaction *row,
									   const EvcEvent *ended,
									   EvcRemoval *removal);

extern void evc_store_insert_event(EvcStore *store, const EvcEvent *event);
extern bool evc_store_has_status_event(EvcStore *store, int32 connector_id,
									   TimestampTz at, const char *status);
extern bool evc_store_has_anomaly(EvcStore *store, const EvcEvent *event,
								  bool any_time);
extern void evc_store_insert_sample(EvcStore *store, int32 transaction_id,
									const EvcProgress *sample);
extern void evc_store_insert_log(EvcStore *store, int64 event_id, TimestampTz logged,
								 bool is_error, const char *message,
								 TimestampTz now);
extern bool evc_store_has_log(EvcStore *store, TimestampTz logged,
							  bool is_error, const char *message);
extern List *evc_store_list_expiring(EvcStore *store, TimestampTz started,
									 TimestampTz unconfirmed, TimestampTz now,
									 int32 limit, MemoryContext context);
extern List *evc_store_list_expired_auth(EvcStore *store, TimestampTz now);

extern void evc_store_lock_set(struct EvcSet *set, TimestampTz seen);
extern void evc_store_read_set(const struct EvcSet *set);
extern void evc_store_write_set(const struct EvcSet *set);

/* An event of the feed: the columns of the row, and who wrote it. */
#define EVC_FEED_COLUMNS 11

typedef struct EvcFeedEvent
{
	const char *charge_point_id;
	int64		event_id;
	uint64		written_by;
	Datum		values[EVC_FEED_COLUMNS];
	bool		isnull[EVC_FEED_COLUMNS];
} EvcFeedEvent;

/*
 * Transactions from (included) to (excluded) but for those that are running,
 * and late ones, which are older; of what they wrote, what is behind a place.
 */
typedef struct EvcFeedRange
{
	int64		cluster;
	uint64		from;
	uint64		to;
	const uint64 *running;
	int			running_count;
	const uint64 *late;			/* ascending */
	int			late_count;
	uint64		after;
	const char *after_charge_point_id;
	int64		after_event_id;
	bool		few;			/* there is hardly more than the limit */
} EvcFeedRange;

extern char *evc_store_read_place(EvcStore *store);
extern void evc_store_write_place(EvcStore *store, const char *place,
								  TimestampTz now);
extern bool evc_store_has_prepared(EvcStore *store);
extern bool evc_store_can_announce(void);

extern List *evc_store_list_clusters(EvcStore *store);
extern uint64 evc_store_last_writer(EvcStore *store, int64 cluster);
extern List *evc_store_read_feed(EvcStore *store, const EvcFeedRange *range,
								 int limit);

#endif							/* EVC_STORE_H */
