/*
 * store.c
 *		All SQL on the tables: constant texts, kept plans, row structs.
 *
 * Lock order.  A call first updates the row of its charge point, and thereby
 * waits for every other call on that charge point; whatever else it reads or
 * writes belongs to the same charge point and needs no lock of its own.  A
 * batch takes the rows of its charge points in the order of the bytes of their
 * ids, and so does a search for what dangles.  So no two calls can wait for
 * each other; only batches with charge points that nobody knows yet can, whose
 * rows are made as they come, and one of them is told to retry.
 *
 * The texts run with the rights of the owner of the tables, and under a
 * search_path that nobody can put anything into (see path.c).
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "optimizer/cost.h"
#include "optimizer/planner.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/xid8.h"

#include "constraint.h"
#include "errors.h"
#include "path.h"
#include "rfc3339.h"
#include "set.h"
#include "store.h"

/*
 * The tables this library works with; see tables_version() in SQL.  Version 2
 * has indexes that 1 has not, so both serve, and the library can be replaced
 * before install() runs.
 */
#define OLDEST_TABLES	1
#define NEWEST_TABLES	2

/* Late transactions are read apart if one is so many ids older than the others. */
#define LATE_SPAN		100

#define STATUS	"::text::evcharge.connector_status"

#define CHARGE_POINT_COLUMNS \
	"registration, status, status_since, status_reported_at, " \
	"auth_list_version, auth_list_kept_from, last_transaction_id, " \
	"transaction_ids_wrapped, last_event_id, last_seen_at"

/* One UPDATE is the lock, the counters and the sign of life. */
#define LOCK_CHARGE_POINT(set, condition) \
	"UPDATE evcharge.charge_point SET last_event_id = last_event_id + $2" set \
	" WHERE charge_point_id = $1" condition " RETURNING " CHARGE_POINT_COLUMNS

#define CONNECTOR_COLUMNS \
	"connector_id, status, status_since, reported_at, " \
	"status_before_fault, transaction_id"

#define TRANSACTION_COLUMNS \
	"transaction_id, connector_id, id_tag, consumer_key, started_at, " \
	"start_meter, confirmed_at, ended_at, end_meter, stop_reason, forced, " \
	"current_offered, current_unit, voltage_offered, voltage_unit, progress_at"

#define AUTH_COLUMNS \
	"id_tag, consumer_key, transaction_id, status, expires_at, " \
	"parent_id_tag, list_version, removed_at"

/*
 * The end of a transaction on connector $13, and what it frees, if there is one
 * to end: "which" goes by $14.  All that follows hangs on the row that ended, so
 * if there is none, nothing is written.  What only the caller wants of that row
 * is one value, so that each node hands on one column of it.
 *
 * A sub-select stands in FROM where it can: of a statement that has one in a
 * condition, the server goes through every condition at each use of its plan, in
 * search of tables to lock.
 */
#define END_TRANSACTION(which) \
	"WITH t AS (UPDATE evcharge.transaction SET ended_at = $2, " \
	"end_meter = $3, stop_reason = $4, forced = $5 " \
	"WHERE charge_point_id = $1 AND " which " " \
	"RETURNING transaction_id, id_tag, ROW(started_at, start_meter, " \
	"current_offered, current_unit, voltage_offered, voltage_unit, " \
	"progress_at) AS reading), " \
	"c AS (UPDATE evcharge.connector SET transaction_id = NULL " \
	"FROM (SELECT (SELECT transaction_id FROM t)) t (id) " \
	"WHERE charge_point_id = $1 AND connector_id = $13 " \
	"AND transaction_id = t.id), " \
	"a AS (UPDATE evcharge.auth SET transaction_id = NULL, " \
	"removed_at = COALESCE(removed_at, $6), " \
	"list_version = CASE WHEN removed_at IS NULL " \
	"THEN COALESCE($7, list_version) ELSE list_version END " \
	"WHERE charge_point_id = $1 " \
	"AND (lower(id_tag COLLATE \"C\"), transaction_id) = " \
	"(SELECT lower(id_tag COLLATE \"C\"), transaction_id FROM t) " \
	"RETURNING status, removed_at), " \
	"e AS (INSERT INTO evcharge.event (charge_point_id, event_id, kind, " \
	"connector_id, transaction_id, new_value, occurred_at, recorded_at, " \
	"cluster, written_by) SELECT $1, $8, 'transaction_ended', $13, " \
	"transaction_id, $4, $9, $10, $11, $12 FROM t) " \
	"SELECT t.*, a.removed_at, a.status FROM t LEFT JOIN a ON true"

#define EVENTS_OF_FEED(which) \
	"SELECT charge_point_id, event_id, kind, connector_id, " \
	"transaction_id, old_value, new_value, reason, detail, occurred_at, " \
	"recorded_at, written_by FROM evcharge.event " \
	"WHERE cluster = $1 AND " which " " \
	"AND (written_by > $6 OR written_by = $6 AND (" \
	"charge_point_id COLLATE \"C\" > $7 " \
	"OR charge_point_id = $7 AND event_id > $8)) "
#define NEW_OF_FEED \
	EVENTS_OF_FEED("written_by >= $10 AND written_by < $5 " \
				   "AND (written_by >= $4 OR written_by = ANY ($3)) " \
				   "AND NOT written_by = ANY ($2)")
#define ORDER_OF_FEED \
	"ORDER BY written_by, charge_point_id COLLATE \"C\", event_id LIMIT $9"

#define EVENT_COLUMNS \
	"charge_point_id, event_id, kind, connector_id, transaction_id, " \
	"old_value, new_value, reason, detail, occurred_at, recorded_at, " \
	"cluster, written_by"

#define OVERWRITE_SAMPLE \
	"ON CONFLICT (charge_point_id, transaction_id, sampled_at) " \
	"DO UPDATE SET current_offered = excluded.current_offered, " \
	"current_unit = excluded.current_unit, " \
	"voltage_offered = excluded.voltage_offered, " \
	"voltage_unit = excluded.voltage_unit"

#define INSERT_GIVEN_SAMPLES \
	"INSERT INTO evcharge.meter_sample (charge_point_id, transaction_id, " \
	"sampled_at, current_offered, current_unit, voltage_offered, " \
	"voltage_unit) SELECT charge_point_id, transaction_id, at, " \
	"current_offered, current_unit, voltage_offered, voltage_unit " \
	"FROM given "

#define FROM_TRANSACTION \
	"SELECT " TRANSACTION_COLUMNS " FROM evcharge.transaction "
#define FROM_AUTH \
	"SELECT " AUTH_COLUMNS " FROM evcharge.auth "

typedef enum StoreQuery
{
	LOCK_FOR_REQUEST,
	LOCK_FOR_REPORT,
	LOCK_FOR_TRANSACTION,
	LOCK_FOR_LIST,
	REGISTER,
	READ_CHARGE_POINT,
	UPDATE_CHARGE_POINT,
	UPDATE_BOOT,
	LOCK_SET,
	READ_SET_CONNECTORS,
	READ_SET_TRANSACTIONS,
	UPDATE_SET_CHARGE_POINTS,
	INSERT_SET_CONNECTORS,
	UPDATE_SET_CONNECTORS,
	INSERT_SET_SAMPLES,
	WRITE_SET_SAMPLES,
	UPDATE_SET_TRANSACTIONS,
	INSERT_SET_EVENTS,
	READ_CONNECTOR,
	LIST_CONNECTORS,
	INSERT_CONNECTOR,
	UPDATE_CONNECTOR,
	DELETE_CONNECTOR,
	READ_TRANSACTION,
	FIND_OPEN_TRANSACTION,
	TRANSACTION_STARTED,
	TRANSACTION_STARTED_ANYWHERE,
	TRANSACTION_ENDED,
	LAST_TRANSACTION_ON,
	LIST_OPEN_TRANSACTIONS,
	LIST_CLOSED_TRANSACTIONS,
	FREE_TRANSACTION_ID,
	OPEN_TRANSACTION,
	CLOSE_TRANSACTION,
	START_TRANSACTION,
	STOP_TRANSACTION,
	UPDATE_TRANSACTION,
	LIST_AUTH,
	LIST_AUTH_SINCE,
	LIST_AUTH_OF,
	READ_AUTH,
	INSERT_AUTH,
	UPDATE_AUTH,
	DELETE_AUTH,
	FORGET_REMOVED_AUTH,
	RENUMBER_AUTH,
	INSERT_EVENT,
	HAS_STATUS_EVENT,
	HAS_ANOMALY,
	INSERT_SAMPLE,
	INSERT_LOG,
	HAS_LOG,
	LIST_EXPIRING,
	LIST_EXPIRED_AUTH,
	READ_PLACE,
	UPDATE_PLACE,
	INSERT_PLACE,
	FORGET_PLACE,
	HAS_PREPARED,
	LIST_CLUSTERS,
	LAST_WRITER,
	READ_FEED,
	READ_FEW_OF_FEED,
	READ_FEED_OF,
	QUERY_COUNT
} StoreQuery;

/*
 * The statements.  Parameter types are letters: t text, i int4, l int8,
 * z timestamptz, f float4, b bool, x xid8, X xid8[], p tid.
 */
static const struct
{
	const char *types;
	const char *sql;
}			queries[QUERY_COUNT] = {

	[LOCK_FOR_REQUEST] = {"ti", LOCK_CHARGE_POINT("", "")},
	[LOCK_FOR_REPORT] = {"tiz",
		LOCK_CHARGE_POINT(", last_seen_at = GREATEST(last_seen_at, $3)", "")},
	[LOCK_FOR_TRANSACTION] = {"ti",
		LOCK_CHARGE_POINT(", last_transaction_id = last_transaction_id + 1",
						  " AND last_transaction_id < 2147483647")},
	[LOCK_FOR_LIST] = {"ti",
		LOCK_CHARGE_POINT(", auth_list_version = auth_list_version + 1",
						  " AND auth_list_version < 2147483647")},

	[REGISTER] = {"ttz",
		"INSERT INTO evcharge.charge_point "
		"(charge_point_id, registration, registered_at) "
		"VALUES ($1, $2::text::evcharge.registration_status, $3) "
		"ON CONFLICT (charge_point_id) DO NOTHING"},
	[READ_CHARGE_POINT] = {"t",
		"SELECT " CHARGE_POINT_COLUMNS " FROM evcharge.charge_point "
		"WHERE charge_point_id = $1"},
	[UPDATE_CHARGE_POINT] = {"tttzziiibll",
		"UPDATE evcharge.charge_point SET "
		"registration = $2::text::evcharge.registration_status, "
		"status = $3" STATUS ", status_since = $4, status_reported_at = $5, "
		"auth_list_version = $6, auth_list_kept_from = $7, "
		"last_transaction_id = $8, transaction_ids_wrapped = $9, "
		"last_event_id = $10 "
		"WHERE charge_point_id = $1 AND last_event_id = $11"},
	[UPDATE_BOOT] = {"ttttttttttz",
		"UPDATE evcharge.charge_point SET "
		"charge_box_serial_number = $2, charge_point_model = $3, "
		"charge_point_serial_number = $4, charge_point_vendor = $5, "
		"firmware_version = $6, iccid = $7, imsi = $8, "
		"meter_serial_number = $9, meter_type = $10, booted_at = $11 "
		"WHERE charge_point_id = $1"},

	/* for many charge points: "given" is what given_to_set says of the query */
	[LOCK_SET] = {"",
		"UPDATE evcharge.charge_point p SET "
		"last_seen_at = GREATEST(p.last_seen_at, g.seen), "
		"last_event_id = p.last_event_id + g.events "
		"FROM given g WHERE p.charge_point_id = g.charge_point_id "
		"RETURNING g.n, p.ctid, p.status, p.status_since, "
		"p.status_reported_at, p.last_event_id"},
	[READ_SET_CONNECTORS] = {"",
		"SELECT g.n, c.connector_id, c.status, c.status_since, "
		"c.reported_at, c.status_before_fault, c.transaction_id "
		"FROM given g JOIN evcharge.connector c "
		"ON c.charge_point_id = g.charge_point_id "
		"AND c.connector_id = g.id"},
	[READ_SET_TRANSACTIONS] = {"",
		"SELECT g.n, t.ctid, t.connector_id, t.ended_at, t.current_offered, "
		"t.current_unit, t.voltage_offered, t.voltage_unit, t.progress_at "
		"FROM given g JOIN evcharge.transaction t "
		"ON t.charge_point_id = g.charge_point_id "
		"AND t.transaction_id = g.id"},
	[UPDATE_SET_CHARGE_POINTS] = {"",
		"UPDATE evcharge.charge_point p SET "
		"status = g.status" STATUS ", status_since = g.status_since, "
		"status_reported_at = g.status_reported_at, "
		"last_event_id = g.last_event_id "
		"FROM given g WHERE p.ctid = g.place "
		"AND p.charge_point_id = g.charge_point_id "
		"AND p.last_event_id = g.locked_event_id"},
	[INSERT_SET_CONNECTORS] = {"",
		"INSERT INTO evcharge.connector (charge_point_id, " CONNECTOR_COLUMNS
		") SELECT charge_point_id, connector_id, status" STATUS ", "
		"status_since, reported_at, status_before_fault" STATUS ", "
		"transaction_id FROM given"},
	[UPDATE_SET_CONNECTORS] = {"",
		"UPDATE evcharge.connector c SET "
		"status = g.status" STATUS ", status_since = g.status_since, "
		"reported_at = g.reported_at, "
		"status_before_fault = g.status_before_fault" STATUS " "
		"FROM given g WHERE c.charge_point_id = g.charge_point_id "
		"AND c.connector_id = g.connector_id"},
	[INSERT_SET_SAMPLES] = {"", INSERT_GIVEN_SAMPLES},
	[WRITE_SET_SAMPLES] = {"", INSERT_GIVEN_SAMPLES OVERWRITE_SAMPLE},
	[UPDATE_SET_TRANSACTIONS] = {"",
		"UPDATE evcharge.transaction t SET "
		"current_offered = g.current_offered, current_unit = g.current_unit, "
		"voltage_offered = g.voltage_offered, voltage_unit = g.voltage_unit, "
		"progress_at = g.at "
		"FROM given g WHERE t.ctid = g.place "
		"AND t.charge_point_id = g.charge_point_id "
		"AND t.transaction_id = g.transaction_id"},

	[INSERT_SET_EVENTS] = {"lx",
		"INSERT INTO evcharge.event (" EVENT_COLUMNS ") "
		"SELECT charge_point_id, event_id, kind, connector_id, "
		"transaction_id, old_value, new_value, reason, detail, occurred_at, "
		"recorded_at, $1, $2 FROM given"},
	[READ_CONNECTOR] = {"ti",
		"SELECT " CONNECTOR_COLUMNS " FROM evcharge.connector "
		"WHERE charge_point_id = $1 AND connector_id = $2"},
	[LIST_CONNECTORS] = {"t",
		"SELECT " CONNECTOR_COLUMNS " FROM evcharge.connector "
		"WHERE charge_point_id = $1 ORDER BY connector_id"},
	[INSERT_CONNECTOR] = {"titzzti",
		"INSERT INTO evcharge.connector (charge_point_id, connector_id, "
		"status, status_since, reported_at, status_before_fault, "
		"transaction_id) "
		"VALUES ($1, $2, $3" STATUS ", $4, $5, $6" STATUS ", $7)"},
	[UPDATE_CONNECTOR] = {"titzzti",
		"UPDATE evcharge.connector SET "
		"status = $3" STATUS ", status_since = $4, reported_at = $5, "
		"status_before_fault = $6" STATUS ", transaction_id = $7 "
		"WHERE charge_point_id = $1 AND connector_id = $2"},
	[DELETE_CONNECTOR] = {"ti",
		"DELETE FROM evcharge.connector "
		"WHERE charge_point_id = $1 AND connector_id = $2"},
	[READ_TRANSACTION] = {"ti",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND transaction_id = $2"},
	[FIND_OPEN_TRANSACTION] = {"ti",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND connector_id = $2 "
		"AND ended_at IS NULL"},
	[TRANSACTION_STARTED] = {"tiz",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND connector_id = $2 "
		"AND started_at = $3 ORDER BY transaction_id DESC LIMIT 1"},
	[TRANSACTION_STARTED_ANYWHERE] = {"tz",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 "
		"AND started_at = $2 ORDER BY transaction_id DESC LIMIT 1"},
	[TRANSACTION_ENDED] = {"tiz",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND ($2 = 0 OR connector_id = $2) "
		"AND ended_at = $3 "
		"ORDER BY started_at DESC, transaction_id DESC LIMIT 1"},
	[LAST_TRANSACTION_ON] = {"ti",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND connector_id = $2 "
		"AND started_at IS NOT NULL "
		"ORDER BY started_at DESC, transaction_id DESC LIMIT 1"},
	[LIST_OPEN_TRANSACTIONS] = {"t",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND ended_at IS NULL "
		"ORDER BY transaction_id"},
	[LIST_CLOSED_TRANSACTIONS] = {"ti",
		FROM_TRANSACTION
		"WHERE charge_point_id = $1 AND ended_at IS NOT NULL "
		"ORDER BY ended_at DESC, transaction_id DESC LIMIT $2"},
	[FREE_TRANSACTION_ID] = {"ti",
		"SELECT CASE WHEN NOT EXISTS (SELECT FROM evcharge.transaction "
		"WHERE charge_point_id = $1 AND transaction_id = $2) THEN $2 "
		"ELSE (SELECT t.transaction_id + 1 FROM evcharge.transaction t "
		"WHERE t.charge_point_id = $1 AND t.transaction_id >= $2 "
		"AND t.transaction_id < 2147483647 "
		"AND NOT EXISTS (SELECT FROM evcharge.transaction n "
		"WHERE n.charge_point_id = $1 "
		"AND n.transaction_id = t.transaction_id + 1) "
		"ORDER BY t.transaction_id LIMIT 1) END"},
	[OPEN_TRANSACTION] = {"tiittzizzitbftftztlzzlx",
		"WITH t AS (INSERT INTO evcharge.transaction (charge_point_id, "
		TRANSACTION_COLUMNS ") VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, "
		"$10, $11, $12, $13, $14, $15, $16, $17)), "
		"c AS (UPDATE evcharge.connector SET transaction_id = $2 "
		"WHERE charge_point_id = $1 AND connector_id = $3 "
		"AND $9 IS NULL), "
		"a AS (UPDATE evcharge.auth SET transaction_id = $2 "
		"WHERE charge_point_id = $1 AND id_tag = $18 "
		"AND $9 IS NULL) "
		"INSERT INTO evcharge.event (charge_point_id, event_id, kind, "
		"connector_id, transaction_id, occurred_at, recorded_at, cluster, "
		"written_by) VALUES "
		"($1, $19, 'transaction_started', $3, $2, $20, $21, $22, $23)"},
	[CLOSE_TRANSACTION] = {"tzitbzilzzlxii",
	END_TRANSACTION("transaction_id = $14")},

	/*
	 * What consumers ask for, in the usual case: a start on a free connector
	 * by a consumer whose only live entry accepts it; a stop of its own
	 * transaction.  Any other case changes nothing.  request.c has the whole
	 * of the rules.
	 */
	[START_TRANSACTION] = {"tiitzizllx",
		"WITH c AS (UPDATE evcharge.connector SET transaction_id = $2 "
		"FROM (SELECT ARRAY(SELECT status = 'Accepted' "
		"AND transaction_id IS NULL "
		"AND (expires_at IS NULL OR expires_at > $7) FROM evcharge.auth "
		"WHERE charge_point_id = $1 AND consumer_key = $4 "
		"AND removed_at IS NULL)) l (entries_accept) "
		"WHERE charge_point_id = $1 AND connector_id = $3 "
		"AND transaction_id IS NULL AND status = ANY (CASE "
		"WHEN l.entries_accept = '{t}' THEN "
		"'{Available,Preparing}'::evcharge.connector_status[] END) "
		"RETURNING $4 AS consumer_key), "
		"a AS (UPDATE evcharge.auth SET transaction_id = $2 "
		"FROM (SELECT (SELECT consumer_key FROM c)) c (key) "
		"WHERE charge_point_id = $1 AND consumer_key = c.key "
		"AND removed_at IS NULL RETURNING id_tag), "
		"t AS (INSERT INTO evcharge.transaction (charge_point_id, "
		"transaction_id, connector_id, id_tag, consumer_key, started_at, "
		"start_meter) SELECT $1, $2, $3, id_tag, $4, $5, $6 FROM a "
		"RETURNING transaction_id), "
		"e AS (INSERT INTO evcharge.event (charge_point_id, event_id, kind, "
		"connector_id, transaction_id, occurred_at, recorded_at, cluster, "
		"written_by) SELECT $1, $8, 'transaction_started', $3, $2, $5, $7, "
		"$9, $10 FROM a) "
		"SELECT t.transaction_id IS NOT NULL FROM c LEFT JOIN t ON true"},
	[STOP_TRANSACTION] = {"tzitbzilzzlxit",
	END_TRANSACTION("connector_id = $13 AND ended_at IS NULL "
					"AND consumer_key = $14")},
	[UPDATE_TRANSACTION] = {"tiittzizzitbftftz",
		"UPDATE evcharge.transaction SET connector_id = $3, id_tag = $4, "
		"consumer_key = $5, started_at = $6, start_meter = $7, "
		"confirmed_at = $8, ended_at = $9, end_meter = $10, "
		"stop_reason = $11, forced = $12, current_offered = $13, "
		"current_unit = $14, voltage_offered = $15, voltage_unit = $16, "
		"progress_at = $17 "
		"WHERE charge_point_id = $1 AND transaction_id = $2"},
	[LIST_AUTH] = {"t",
		FROM_AUTH
		"WHERE charge_point_id = $1 AND removed_at IS NULL "
		"ORDER BY id_tag COLLATE \"C\""},
	[LIST_AUTH_SINCE] = {"ti",
		FROM_AUTH
		"WHERE charge_point_id = $1 AND list_version > $2 "
		"ORDER BY list_version, id_tag COLLATE \"C\""},
	[LIST_AUTH_OF] = {"tt",
		FROM_AUTH
		"WHERE charge_point_id = $1 AND consumer_key = $2 "
		"AND removed_at IS NULL ORDER BY list_version DESC, id_tag"},
	[READ_AUTH] = {"tt",
		FROM_AUTH
		"WHERE charge_point_id = $1 "
		"AND lower(id_tag COLLATE \"C\") = lower($2 COLLATE \"C\")"},
	[INSERT_AUTH] = {"tttitztiz",
		"INSERT INTO evcharge.auth (charge_point_id, id_tag, consumer_key, "
		"transaction_id, status, expires_at, parent_id_tag, list_version, "
		"removed_at) VALUES ($1, $2, $3, $4, "
		"$5::text::evcharge.authorization_status, $6, $7, $8, $9)"},
	[UPDATE_AUTH] = {"tttitztiz",
		"UPDATE evcharge.auth SET consumer_key = $3, transaction_id = $4, "
		"status = $5::text::evcharge.authorization_status, "
		"expires_at = $6, parent_id_tag = $7, list_version = $8, "
		"removed_at = $9 "
		"WHERE charge_point_id = $1 AND id_tag = $2"},
	[DELETE_AUTH] = {"tt",
		"DELETE FROM evcharge.auth "
		"WHERE charge_point_id = $1 AND id_tag = $2"},
	[FORGET_REMOVED_AUTH] = {"ti",
		"DELETE FROM evcharge.auth "
		"WHERE charge_point_id = $1 AND removed_at IS NOT NULL "
		"AND transaction_id IS NULL AND list_version <= $2"},
	[RENUMBER_AUTH] = {"ti",
		"UPDATE evcharge.auth SET list_version = $2 "
		"WHERE charge_point_id = $1"},
	[INSERT_EVENT] = {"tltiittttzzlx",
		"INSERT INTO evcharge.event (" EVENT_COLUMNS ") "
		"VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"},
	[HAS_STATUS_EVENT] = {"tizt",
		"SELECT 1 FROM evcharge.event "
		"WHERE charge_point_id = $1 AND occurred_at = $3 "
		"AND kind = ANY ('{connector_status,charge_point_status}') "
		"AND COALESCE(connector_id, 0) = $2 AND new_value = $4 "
		"LIMIT 1"},
	[HAS_ANOMALY] = {"ttiittzz",
		"SELECT 1 FROM evcharge.event "
		"WHERE charge_point_id = $1 AND kind = 'anomaly' AND reason = $2 "
		"AND COALESCE(transaction_id, 0) = COALESCE($3, 0) "
		"AND occurred_at >= $7 AND occurred_at <= $8 "
		"AND connector_id IS NOT DISTINCT FROM $4 "
		"AND new_value IS NOT DISTINCT FROM $5 AND detail = $6 "
		"LIMIT 1"},
	[INSERT_SAMPLE] = {"tizftft",
		"INSERT INTO evcharge.meter_sample (charge_point_id, transaction_id, "
		"sampled_at, current_offered, current_unit, voltage_offered, "
		"voltage_unit) VALUES ($1, $2, $3, $4, $5, $6, $7) "
		OVERWRITE_SAMPLE},
	[INSERT_LOG] = {"tlzbtz",
		"INSERT INTO evcharge.gateway_log (charge_point_id, event_id, "
		"logged_at, is_error, message, recorded_at) "
		"VALUES ($1, $2, $3, $4, $5, $6)"},

	[HAS_LOG] = {"tzbt",
		"SELECT 1 FROM evcharge.gateway_log "
		"WHERE charge_point_id = $1 AND logged_at = $2 AND is_error = $3 "
		"AND message = $4 LIMIT 1"},

	/* charge points with anything to expire at $3 */
	[LIST_EXPIRING] = {"zzzi",
		"SELECT charge_point_id FROM ("
		"SELECT charge_point_id FROM evcharge.transaction "
		"WHERE ended_at IS NULL AND (COALESCE(confirmed_at, started_at) < $1 "
		"OR started_at < $2 AND confirmed_at IS NULL) "
		"UNION SELECT charge_point_id FROM evcharge.auth "
		"WHERE status = 'Accepted' AND expires_at <= $3 "
		"AND removed_at IS NULL) c "
		"ORDER BY charge_point_id COLLATE \"C\" LIMIT $4"},
	[LIST_EXPIRED_AUTH] = {"tz",
		FROM_AUTH
		"WHERE charge_point_id = $1 AND status = 'Accepted' "
		"AND expires_at <= $2 AND removed_at IS NULL "
		"ORDER BY id_tag COLLATE \"C\""},

	/* how far the announcer of a database has come */
	[READ_PLACE] = {"ll",
		"SELECT place FROM evcharge.announcer "
		"WHERE cluster = $1 AND database = $2"},
	[UPDATE_PLACE] = {"lltz",
		"UPDATE evcharge.announcer SET place = $3, announced_at = $4 "
		"WHERE cluster = $1 AND database = $2"},
	[INSERT_PLACE] = {"lltz",
		"INSERT INTO evcharge.announcer (cluster, database, place, "
		"announced_at) VALUES ($1, $2, $3, $4)"},
	[FORGET_PLACE] = {"ll",
		"DELETE FROM evcharge.announcer "
		"WHERE cluster = $1 AND database = $2"},
	[HAS_PREPARED] = {"",
		"SELECT 1 FROM pg_catalog.pg_prepared_xacts "
		"WHERE database = pg_catalog.current_database() LIMIT 1"},

	/* the clusters that wrote events, oldest first; one index probe for each */
	[LIST_CLUSTERS] = {"",
		"WITH RECURSIVE c AS ("
		"(SELECT cluster, recorded_at FROM evcharge.event "
		"ORDER BY cluster, written_by LIMIT 1) "
		"UNION ALL "
		"SELECT n.cluster, n.recorded_at FROM c, LATERAL ("
		"SELECT e.cluster, e.recorded_at FROM evcharge.event e "
		"WHERE e.cluster > c.cluster "
		"ORDER BY e.cluster, e.written_by LIMIT 1) n) "
		"SELECT cluster FROM c ORDER BY recorded_at, cluster"},

	[LAST_WRITER] = {"l",
		"SELECT written_by FROM evcharge.event WHERE cluster = $1 "
		"ORDER BY written_by DESC LIMIT 1"},

	/*
	 * What the transactions $4 to $5 wrote, but for those in $2, and what those
	 * in $3 wrote, behind the place $6 to $8.  The oldest of all is $10: the
	 * index is read from there, and what is between is passed over.
	 */
	[READ_FEED] = {"lXXxxxtlix", NEW_OF_FEED ORDER_OF_FEED},

	/* the same as the index has them: to sort a few here costs less there */
	[READ_FEW_OF_FEED] = {"lXXxxxtlix", NEW_OF_FEED
		"ORDER BY written_by LIMIT $9"},

	/* what those in $3 wrote; OFFSET keeps the planner from reading all events */
	[READ_FEED_OF] = {"lXXxxxtlix",
		"SELECT e.* FROM pg_catalog.unnest($3) x (xid), LATERAL ("
		EVENTS_OF_FEED("written_by = x.xid") "OFFSET 0) e "
		ORDER_OF_FEED},
};

#define MAX_PARAMETERS	23

/* Kept plans: the only state of this module, with what it takes to trust them. */
static struct
{
	SPIPlanPtr	plan;
	const char *text;			/* as the plan has it */
	uint32		uses;
	uint32		running;		/* executions that have not come to their end */
}			kept[QUERY_COUNT];
static bool tables_checked = false;
static Oid	known_owner = InvalidOid;	/* of the tables */
static uint64 relation_changes = 0;
static planner_hook_type next_planner = NULL;

/* an option of cursors that the server does not know: a statement of ours */
#define OPT_OURS	0x40000000

/* The parameters of one execution, filled from left to right. */
typedef struct Parameters
{
	int			count;
	Datum		values[MAX_PARAMETERS];
	bool		isnull[MAX_PARAMETERS];
} Parameters;

static void
add(Parameters *p, Datum value, bool isnull)
{
	Assert(p->count < MAX_PARAMETERS);
	p->values[p->count] = value;
	p->isnull[p->count] = isnull;
	p->count++;
}

static void
add_text(Parameters *p, const char *value)
{
	add(p, value ? CStringGetTextDatum(value) : (Datum) 0, value == NULL);
}

static void
add_int(Parameters *p, int32 value)
{
	add(p, Int32GetDatum(value), false);
}

/* an id that may be absent */
static void
add_id(Parameters *p, int32 value, int32 none)
{
	add(p, Int32GetDatum(value), value == none);
}

static void
add_long(Parameters *p, int64 value)
{
	add(p, Int64GetDatum(value), false);
}

static void
add_meter(Parameters *p, int64 value)
{
	add(p, Int32GetDatum((int32) value), value == EVC_NO_METER);
}

static void
add_time(Parameters *p, TimestampTz value)
{
	add(p, TimestampTzGetDatum(value), value == EVC_NO_TIME);
}

static void
add_bool(Parameters *p, bool value)
{
	add(p, BoolGetDatum(value), false);
}

static void
add_progress(Parameters *p, const EvcProgress *progress)
{
	bool		none = progress->current_unit == NULL;

	add(p, Float4GetDatum(progress->current_offered), none);
	add_text(p, progress->current_unit);
	add(p, Float4GetDatum(progress->voltage_offered), none);
	add_text(p, progress->voltage_unit);
}

/*
 * add_writer
 *		Add who writes an event: this cluster, and the transaction in it.
 */
static void
add_writer(Parameters *p)
{
	add_long(p, (int64) GetSystemIdentifier());
	add(p, FullTransactionIdGetDatum(GetTopFullTransactionId()), false);
}

/*
 * parameter_type
 *		Return the type that a letter of the query table stands for.
 */
static Oid
parameter_type(char letter)
{
	switch (letter)
	{
		case 't':
			return TEXTOID;
		case 'i':
			return INT4OID;
		case 'l':
			return INT8OID;
		case 'z':
			return TIMESTAMPTZOID;
		case 'f':
			return FLOAT4OID;
		case 'p':
			return TIDOID;
		case 'b':
			return BOOLOID;
		case 'x':
			return XID8OID;
		case 'X':
			return XID8ARRAYOID;
	}
	elog(ERROR, "unknown parameter letter %c", letter);
}

/*
 * is_due
 *		Tell whether a plan is to be made anew: after 16, 256, 4096 and 65536 uses.
 *
 * On a table that is almost empty every index costs the same, and the planner
 * may choose the one that is slow once the table has grown.
 */
static bool
is_due(uint32 uses)
{
	return uses == 1 << 4 || uses == 1 << 8 || uses == 1 << 12 ||
		uses == 1 << 16;
}

/*
 * text_of
 *		Return the text of a plan, which its executions refer to.
 */
static const char *
text_of(SPIPlanPtr plan)
{
	CachedPlanSource *source = linitial(SPI_plan_get_plan_sources(plan));

	return source->query_string;
}

/*
 * plan_of
 *		Return the kept plan of a query, made at its first use.
 *
 * Generic from the start: every query is keyed by charge_point_id, so a plan
 * for particular values could only cost more.
 */
static SPIPlanPtr
plan_of(StoreQuery query)
{
	SPIPlanPtr	plan = kept[query].plan;

	if (is_due(++kept[query].uses) && plan != NULL && kept[query].running == 0)
	{
		kept[query].plan = NULL;
		SPI_freeplan(plan);
		plan = NULL;
	}
	if (plan == NULL)
	{
		Oid			types[MAX_PARAMETERS];
		int			count = strlen(queries[query].types);

		for (int i = 0; i < count; i++)
			types[i] = parameter_type(queries[query].types[i]);
		plan = SPI_prepare_cursor(queries[query].sql, count, types,
								  CURSOR_OPT_GENERIC_PLAN | OPT_OURS);
		if (plan == NULL)
			elog(ERROR, "could not prepare query %d: %s", query,
				 SPI_result_code_string(SPI_result));
		SPI_keepplan(plan);
		kept[query].plan = plan;
		kept[query].text = text_of(plan);
		kept[query].running = 0;
	}
	return plan;
}

/*
 * plan_as_usual
 *		Plan a statement as if this library were not there.
 */
static PlannedStmt *
plan_as_usual(Query *query, const char *text, int options, ParamListInfo params)
{
	if (next_planner != NULL)
		return next_planner(query, text, options, params);
	return standard_planner(query, text, options, params);
}

/*
 * plan_statement
 *		Plan a statement of the server; ours without going through whole tables.
 *
 * A plan that is made while a table is small is kept while it grows.
 */
static PlannedStmt *
plan_statement(Query *query, const char *text, int options,
			   ParamListInfo params)
{
	bool		seqscan = enable_seqscan;
	PlannedStmt *planned;

	if ((options & OPT_OURS) == 0)
		return plan_as_usual(query, text, options, params);

	PG_TRY();
	{
		enable_seqscan = false;
		planned = plan_as_usual(query, text, options & ~OPT_OURS, params);
	}
	PG_FINALLY();
	{
		enable_seqscan = seqscan;
	}
	PG_END_TRY();
	return planned;
}

/* A row as the executor gives it, read column by column from left to right. */
typedef struct Columns
{
	int			next;
	const Datum *values;
	const bool *isnull;
} Columns;

/* What is done with a row. */
typedef void (*Receive) (void *to, Columns *c);

/*
 * Hands on each row that the executor gives, while it stands: no copy is made
 * of it, and nothing of it by reference outlasts the call.  It also counts them,
 * for the server counts only what it keeps itself.
 */
typedef struct Receiver
{
	DestReceiver base;
	Receive		receive;
	void	   *to;
	MemoryContext context;
	uint64		count;
} Receiver;

static bool
receive_row(TupleTableSlot *slot, DestReceiver *base)
{
	Receiver   *receiver = (Receiver *) base;
	Columns		c = {.values = slot->tts_values, .isnull = slot->tts_isnull};
	MemoryContext old;

	receiver->count++;
	slot_getallattrs(slot);
	old = MemoryContextSwitchTo(receiver->context);
	receiver->receive(receiver->to, &c);
	MemoryContextSwitchTo(old);
	return true;
}

/*
 * parameter_list
 *		Return parameters as the executor takes them.
 */
static ParamListInfo
parameter_list(StoreQuery query, const Parameters *p)
{
	ParamListInfo list = makeParamList(p->count);

	Assert(p->count == (int) strlen(queries[query].types));
	for (int i = 0; i < p->count; i++)
	{
		list->params[i].value = p->values[i];
		list->params[i].isnull = p->isnull[i];
		list->params[i].pflags = PARAM_FLAG_CONST;
		list->params[i].ptype = parameter_type(queries[query].types[i]);
	}
	return list;
}

/*
 * run
 *		Execute a query, hand each row that it gives to "receive", and return how
 *		many those were; or, if that is NULL, how many rows it touched.
 *
 * An execution that ends in an error stays counted as running, and the plan is
 * then kept as it is.
 */
static uint64
run(StoreQuery query, const Parameters *p, bool read_only, Receive receive,
	void *to)
{
	Receiver	receiver = {
		.base = *None_Receiver,
		.receive = receive,
		.to = to,
		.context = CurrentMemoryContext,
	};
	SPIPlanPtr	plan = plan_of(query);
	SPIExecuteOptions options = {
		.params = parameter_list(query, p),
		.read_only = read_only,
		.dest = receive == NULL ? NULL : &receiver.base,
	};
	int			result;

	receiver.base.receiveSlot = receive_row;
	kept[query].running++;
	if (!read_only)
		evc_constraint_give(kept[query].text);
	result = SPI_execute_plan_extended(plan, &options);
	MemoryContextSwitchTo(receiver.context);	/* SPI leaves its own */
	evc_constraint_give(NULL);
	kept[query].running--;
	if (result < 0)
		elog(ERROR, "could not run query %d: %s", query,
			 SPI_result_code_string(result));
	pfree(options.params);
	return receive == NULL ? SPI_processed : receiver.count;
}

static Datum
next(Columns *c, bool *isnull)
{
	*isnull = c->isnull[c->next];
	return c->values[c->next++];
}

static const char *
next_text(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* an enum, by the name of its value */
static const char *
next_enum(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? NULL :
		DatumGetCString(DirectFunctionCall1(enum_out, value));
}

static int64
next_meter(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? EVC_NO_METER : DatumGetInt32(value);
}

static int32
next_int(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

static int64
next_long(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? 0 : DatumGetInt64(value);
}

static TimestampTz
next_time(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? EVC_NO_TIME : DatumGetTimestampTz(value);
}

static bool
next_bool(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return !isnull && DatumGetBool(value);
}

static float4
next_float(Columns *c)
{
	bool		isnull;
	Datum		value = next(c, &isnull);

	return isnull ? 0 : DatumGetFloat4(value);
}

static void
fill_int(void *to, Columns *c)
{
	*(int32 *) to = next_int(c);
}

static void
fill_long(void *to, Columns *c)
{
	*(int64 *) to = next_long(c);
}

static void
fill_bool(void *to, Columns *c)
{
	*(bool *) to = next_bool(c);
}

static void
fill_text(void *to, Columns *c)
{
	*(const char **) to = next_text(c);
}

static void
fill_charge_point(void *to, Columns *c)
{
	EvcChargePoint *row = to;

	row->registration = next_enum(c);
	row->status = next_enum(c);
	row->status_since = next_time(c);
	row->status_reported_at = next_time(c);
	row->auth_list_version = next_int(c);
	row->auth_list_kept_from = next_int(c);
	row->last_transaction_id = next_int(c);
	row->transaction_ids_wrapped = next_bool(c);
	row->last_event_id = next_long(c);
	row->last_seen_at = next_time(c);
}

static void
fill_connector(void *to, Columns *c)
{
	EvcConnector *row = to;

	row->connector_id = next_int(c);
	row->status = next_enum(c);
	row->status_since = next_time(c);
	row->reported_at = next_time(c);
	row->status_before_fault = next_enum(c);
	row->transaction_id = next_int(c);
}

static void
fill_progress(EvcProgress *progress, Columns *c)
{
	progress->current_offered = next_float(c);
	progress->current_unit = next_text(c);
	progress->voltage_offered = next_float(c);
	progress->voltage_unit = next_text(c);
	progress->at = next_time(c);
}

static void
fill_transaction(void *to, Columns *c)
{
	EvcTransaction *row = to;

	row->transaction_id = next_int(c);
	row->connector_id = next_int(c);
	row->id_tag = next_text(c);
	row->consumer_key = next_text(c);
	row->started_at = next_time(c);
	row->start_meter = next_meter(c);
	row->confirmed_at = next_time(c);
	row->ended_at = next_time(c);
	row->end_meter = next_meter(c);
	row->stop_reason = next_text(c);
	row->forced = next_bool(c);
	fill_progress(&row->progress, c);
}

/* what END_TRANSACTION gives of a row besides its ids */
static void
fill_reading(void *to, Columns *c)
{
	EvcTransaction *row = to;

	row->started_at = next_time(c);
	row->start_meter = next_meter(c);
	fill_progress(&row->progress, c);
}

static void
fill_auth(void *to, Columns *c)
{
	EvcAuth    *row = to;

	row->id_tag = next_text(c);
	row->consumer_key = next_text(c);
	row->transaction_id = next_int(c);
	row->status = next_enum(c);
	row->expires_at = next_time(c);
	row->parent_id_tag = next_text(c);
	row->list_version = next_int(c);
	row->removed_at = next_time(c);
}

/* a row in one column */
static void
next_row(Columns *c, Receive fill, void *to)
{
	bool		isnull;
	Datum		value = next(c, &isnull);
	HeapTupleHeader header = DatumGetHeapTupleHeader(value);
	HeapTupleData tuple = {
		.t_len = HeapTupleHeaderGetDatumLength(header),
		.t_data = header,
	};
	TupleDesc	desc = lookup_rowtype_tupdesc(HeapTupleHeaderGetTypeId(header),
											  HeapTupleHeaderGetTypMod(header));
	Datum	   *values = palloc(desc->natts * sizeof(Datum));
	bool	   *nulls = palloc(desc->natts * sizeof(bool));
	Columns		inner = {.values = values, .isnull = nulls};

	heap_deform_tuple(&tuple, desc, values, nulls);
	fill(to, &inner);
	ReleaseTupleDesc(desc);
}

/*
 * read_row
 *		Run a query that gives at most one row; say whether it gave one.
 */
static bool
read_row(EvcStore *store, StoreQuery query, const Parameters *p, Receive fill,
		 void *to)
{
	return run(query, p, store->read_only, fill, to) > 0;
}

static void
ignore(void *to, Columns *c)
{
	(void) to;
	(void) c;
}

/*
 * has_row
 *		Tell whether a query gives a row.
 */
static bool
has_row(EvcStore *store, StoreQuery query, const Parameters *p)
{
	return run(query, p, store->read_only, ignore, NULL) > 0;
}

/* Structs that are filled with the rows of a query. */
typedef struct Rows
{
	Receive		fill;
	size_t		size;
	List	   *structs;
} Rows;

static void
add_row(void *to, Columns *c)
{
	Rows	   *rows = to;
	void	   *row = palloc0(rows->size);

	rows->fill(row, c);
	rows->structs = lappend(rows->structs, row);
}

/*
 * read_rows
 *		Run a query and return a list of row structs.
 */
static List *
read_rows(EvcStore *store, StoreQuery query, const Parameters *p, Receive fill,
		  size_t size)
{
	Rows		rows = {.fill = fill, .size = size};

	run(query, p, store->read_only, add_row, &rows);
	return rows.structs;
}

/*
 * write_rows
 *		Run a statement that gives no rows; return how many it touched.
 */
static uint64
write_rows(StoreQuery query, const Parameters *p)
{
	return run(query, p, false, NULL, NULL);
}

/*
 * forget_check
 *		Check the tables again after a function changed: install() may have run.
 */
static void
forget_check(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) arg;
	(void) cacheid;
	(void) hashvalue;
	tables_checked = false;
}

/*
 * forget_owner
 *		Look up the owner of the tables again after a table or schema changed.
 */
static void
forget_owner(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) arg;
	(void) cacheid;
	(void) hashvalue;
	known_owner = InvalidOid;
	relation_changes++;
}

/*
 * evc_store_init
 *		Watch for changes of the tables' version, and for plans to be made.
 */
void
evc_store_init(void)
{
	next_planner = planner_hook;
	planner_hook = plan_statement;
	CacheRegisterSyscacheCallback(PROCOID, forget_check, (Datum) 0);
	CacheRegisterSyscacheCallback(RELOID, forget_owner, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, forget_owner, (Datum) 0);
}

/*
 * find_owner
 *		Look up the owner of the tables.
 */
static Oid
find_owner(void)
{
	Oid			schema = get_namespace_oid("evcharge", true);
	Oid			relation = InvalidOid;
	HeapTuple	tuple = NULL;
	Oid			owner;

	if (OidIsValid(schema))
		relation = get_relname_relid("charge_point", schema);
	if (OidIsValid(relation))
		tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	if (!HeapTupleIsValid(tuple))
		ereport(ERROR,
				(errcode(ERRCODE_EVC_TABLES_VERSION),
				 errmsg("the tables of evcharge are not installed in this database"),
				 errdetail("There is no table evcharge.charge_point."),
				 errhint("Run SELECT evcharge.install() as the role that is to own them.")));

	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);
	return owner;
}

/*
 * owner_of_tables
 *		Return the owner of the tables, as whom all SQL here runs.
 *
 * It is remembered unless a table or a schema changed while it was looked up.
 */
static Oid
owner_of_tables(void)
{
	if (!OidIsValid(known_owner))
	{
		uint64		changes = relation_changes;
		Oid			owner = find_owner();

		if (changes != relation_changes)
			return owner;
		known_owner = owner;
	}
	return known_owner;
}

/*
 * check_tables
 *		Raise an error if the tables are not of the version of this library.
 */
static void
check_tables(void)
{
	List	   *name = list_make2(makeString("evcharge"),
								  makeString("tables_version"));
	Oid			function = LookupFuncName(name, 0, NULL, true);
	int32		version = 0;

	if (OidIsValid(function))
		version = DatumGetInt32(OidFunctionCall0(function));
	if (version < OLDEST_TABLES || version > NEWEST_TABLES)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_TABLES_VERSION),
				 errmsg("the tables of evcharge are of version %d, the library needs version %d",
						version, NEWEST_TABLES),
				 version < OLDEST_TABLES ?
				 errhint("Run ALTER EXTENSION evcharge UPDATE, then SELECT evcharge.install() as the owner of the tables.") :
				 errhint("Install the version of evcharge that made these tables, or a newer one.")));
	tables_checked = true;
}

/*
 * evc_store_begin
 *		Open a stretch of SQL with the rights of the owner of the tables.
 *
 * As referential integrity checks do: never with more rights, because that
 * owner can put triggers on the tables, and not with the caller's, who needs
 * none.  Nor with the caller's search_path.  An error resets both with its
 * (sub)transaction.
 */
void
evc_store_begin(EvcStore *store, Datum id, bool read_only)
{
	Oid			owner = owner_of_tables();

	store->id = id;
	store->point = NULL;
	store->read_only = read_only;
	GetUserIdAndSecContext(&store->save_user, &store->save_context);
	SetUserIdAndSecContext(owner, store->save_context |
						   SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_NOFORCE_RLS);
	store->path = evc_path_enter();
	if (!tables_checked)
		check_tables();
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/*
 * evc_store_end
 *		Close what evc_store_begin opened.
 *
 * Everything that was allocated in between is freed.
 */
void
evc_store_end(EvcStore *store)
{
	if (store->point != NULL)
		return;
	SPI_finish();
	evc_path_leave(store->path);
	SetUserIdAndSecContext(store->save_user, store->save_context);
}

/*
 * evc_store_join
 *		Begin a call about a charge point of a set, for which SQL is open.
 */
void
evc_store_join(EvcStore *store, EvcSetPoint *point)
{
	store->id = point->id;
	store->point = point;
	store->read_only = false;
}

/*
 * parameters
 *		Begin the parameters of a query about the charge point of the call.
 */
static Parameters
parameters(EvcStore *store)
{
	Parameters	p;

	p.count = 0;
	add(&p, store->id, false);
	return p;
}

/* ---------------------------------------------------------------------------
 * charge_point
 * ---------------------------------------------------------------------------
 */

/*
 * evc_store_lock
 *		Lock the charge point; false if there is no such charge point, or if the
 *		counter to reserve of has come to the end of int32.
 *
 * With the lock comes what the call reserves, events and at most one thing
 * more, or, for a report, the sign of life ("seen", else EVC_NO_TIME).
 */
bool
evc_store_lock(EvcStore *store, TimestampTz seen, EvcReserve reserve,
			   EvcChargePoint *row)
{
	static const StoreQuery locks[] = {
		[EVC_NO_COUNTER] = LOCK_FOR_REQUEST,
		[EVC_TRANSACTION_IDS] = LOCK_FOR_TRANSACTION,
		[EVC_LIST_VERSIONS] = LOCK_FOR_LIST,
	};
	Parameters	p = parameters(store);

	Assert(seen == EVC_NO_TIME || reserve.counter == EVC_NO_COUNTER);
	if (store->point != NULL)
	{
		evc_set_lock(store->point, reserve, row);
		return true;
	}
	add_int(&p, reserve.events);
	if (seen == EVC_NO_TIME)
		return read_row(store, locks[reserve.counter], &p, fill_charge_point, row);
	add_time(&p, seen);
	return read_row(store, LOCK_FOR_REPORT, &p, fill_charge_point, row);
}

/*
 * evc_store_register
 *		Make the row of a charge point; false if another call did it first.
 */
bool
evc_store_register(EvcStore *store, const char *registration, TimestampTz now)
{
	Parameters	p = parameters(store);

	add_text(&p, registration);
	add_time(&p, now);
	return write_rows(REGISTER, &p) > 0;
}

bool
evc_store_read_charge_point(EvcStore *store, EvcChargePoint *row)
{
	Parameters	p = parameters(store);

	return read_row(store, READ_CHARGE_POINT, &p, fill_charge_point, row);
}

/*
 * evc_store_update_charge_point
 *		Write the row, if its newest event is still the one that the lock left.
 *
 * It is not where a trigger on the tables called back for the same charge
 * point; then the counters must not go back, and the caller is told.
 */
bool
evc_store_update_charge_point(EvcStore *store, const EvcChargePoint *row,
							  int64 locked_event_id)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		store->point->row = *row;
		return true;
	}
	add_text(&p, row->registration);
	add_text(&p, row->status);
	add_time(&p, row->status_since);
	add_time(&p, row->status_reported_at);
	add_int(&p, row->auth_list_version);
	add_int(&p, row->auth_list_kept_from);
	add_int(&p, row->last_transaction_id);
	add_bool(&p, row->transaction_ids_wrapped);
	add_long(&p, row->last_event_id);
	add_long(&p, locked_event_id);
	return write_rows(UPDATE_CHARGE_POINT, &p) > 0;
}

/* What a charge point says of itself when it boots. */
void
evc_store_update_boot(EvcStore *store, const char *const *fields,
					  TimestampTz booted_at)
{
	Parameters	p = parameters(store);

	for (int i = 0; i < EVC_BOOT_FIELDS; i++)
		add_text(&p, fields[i]);
	add_time(&p, booted_at);
	write_rows(UPDATE_BOOT, &p);
}

/* ---------------------------------------------------------------------------
 * connector
 * ---------------------------------------------------------------------------
 */

bool
evc_store_read_connector(EvcStore *store, int32 connector_id,
						 EvcConnector *row)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
		return evc_set_read_connector(store->point, connector_id, row);
	add_int(&p, connector_id);
	return read_row(store, READ_CONNECTOR, &p, fill_connector, row);
}

List *
evc_store_list_connectors(EvcStore *store)
{
	Parameters	p = parameters(store);

	return read_rows(store, LIST_CONNECTORS, &p, fill_connector,
					 sizeof(EvcConnector));
}

static void
add_connector(Parameters *p, const EvcConnector *row)
{
	add_int(p, row->connector_id);
	add_text(p, row->status);
	add_time(p, row->status_since);
	add_time(p, row->reported_at);
	add_text(p, row->status_before_fault);
	add_id(p, row->transaction_id, 0);
}

void
evc_store_insert_connector(EvcStore *store, const EvcConnector *row)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		evc_set_write_connector(store->point, row);
		return;
	}
	add_connector(&p, row);
	write_rows(INSERT_CONNECTOR, &p);
}

void
evc_store_update_connector(EvcStore *store, const EvcConnector *row)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		evc_set_write_connector(store->point, row);
		return;
	}
	add_connector(&p, row);
	write_rows(UPDATE_CONNECTOR, &p);
}

void
evc_store_delete_connector(EvcStore *store, int32 connector_id)
{
	Parameters	p = parameters(store);

	add_int(&p, connector_id);
	write_rows(DELETE_CONNECTOR, &p);
}

/* ---------------------------------------------------------------------------
 * transaction
 * ---------------------------------------------------------------------------
 */

bool
evc_store_read_transaction(EvcStore *store, int32 transaction_id,
						   EvcTransaction *row)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
		return evc_set_read_transaction(store->point, transaction_id, row);
	add_int(&p, transaction_id);
	return read_row(store, READ_TRANSACTION, &p, fill_transaction, row);
}

/*
 * evc_store_find_open_transaction
 *		Read the open transaction of a connector; an index allows only one.
 */
bool
evc_store_find_open_transaction(EvcStore *store, int32 connector_id,
							  EvcTransaction *row)
{
	Parameters	p = parameters(store);

	add_int(&p, connector_id);
	return read_row(store, FIND_OPEN_TRANSACTION, &p, fill_transaction, row);
}

/*
 * evc_store_transaction_started
 *		Read the transaction that started on a connector, or with 0 on any, at a
 *		given time.
 */
bool
evc_store_transaction_started(EvcStore *store, int32 connector_id,
							  TimestampTz started_at, EvcTransaction *row)
{
	Parameters	p = parameters(store);

	if (connector_id != 0)
		add_int(&p, connector_id);
	add_time(&p, started_at);
	return read_row(store, connector_id != 0 ? TRANSACTION_STARTED :
					TRANSACTION_STARTED_ANYWHERE, &p, fill_transaction, row);
}

/*
 * evc_store_transaction_ended
 *		Read the transaction that ended on a connector, or with 0 on any, at a
 *		given time.
 */
bool
evc_store_transaction_ended(EvcStore *store, int32 connector_id,
							TimestampTz ended_at, EvcTransaction *row)
{
	Parameters	p = parameters(store);

	add_int(&p, connector_id);
	add_time(&p, ended_at);
	return read_row(store, TRANSACTION_ENDED, &p, fill_transaction, row);
}

/*
 * evc_store_last_transaction_on
 *		Read the newest transaction of a connector.
 */
bool
evc_store_last_transaction_on(EvcStore *store, int32 connector_id,
							  EvcTransaction *row)
{
	Parameters	p = parameters(store);

	add_int(&p, connector_id);
	return read_row(store, LAST_TRANSACTION_ON, &p, fill_transaction, row);
}

List *
evc_store_list_open_transactions(EvcStore *store)
{
	Parameters	p = parameters(store);

	return read_rows(store, LIST_OPEN_TRANSACTIONS, &p, fill_transaction,
					 sizeof(EvcTransaction));
}

List *
evc_store_list_closed_transactions(EvcStore *store, int32 limit)
{
	Parameters	p = parameters(store);

	add_int(&p, limit);
	return read_rows(store, LIST_CLOSED_TRANSACTIONS, &p, fill_transaction,
					 sizeof(EvcTransaction));
}

/*
 * evc_store_free_transaction_id
 *		Return the lowest id from "from" on that no row has, 0 if there is none.
 */
int32
evc_store_free_transaction_id(EvcStore *store, int32 from)
{
	Parameters	p = parameters(store);
	int32		result = 0;

	add_int(&p, from);
	read_row(store, FREE_TRANSACTION_ID, &p, fill_int, &result);
	return result;
}

static void
add_transaction(Parameters *p, const EvcTransaction *row)
{
	add_int(p, row->transaction_id);
	add_int(p, row->connector_id);
	add_text(p, row->id_tag);
	add_text(p, row->consumer_key);
	add_time(p, row->started_at);
	add_meter(p, row->start_meter);
	add_time(p, row->confirmed_at);
	add_time(p, row->ended_at);
	add_meter(p, row->end_meter);
	add_text(p, row->stop_reason);
	add_bool(p, row->forced);
	add_progress(p, &row->progress);
	add_time(p, row->progress.at);
}

void
evc_store_update_transaction(EvcStore *store, const EvcTransaction *row)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		evc_set_write_transaction(store->point, row);
		return;
	}
	add_transaction(&p, row);
	write_rows(UPDATE_TRANSACTION, &p);
}

/* ---------------------------------------------------------------------------
 * auth
 * ---------------------------------------------------------------------------
 */

/* The live entries of the list. */
List *
evc_store_list_auth(EvcStore *store)
{
	Parameters	p = parameters(store);

	return read_rows(store, LIST_AUTH, &p, fill_auth, sizeof(EvcAuth));
}

/* The entries, removed ones too, that changed after a version of the list. */
List *
evc_store_list_auth_since(EvcStore *store, int32 list_version)
{
	Parameters	p = parameters(store);

	add_int(&p, list_version);
	return read_rows(store, LIST_AUTH_SINCE, &p, fill_auth, sizeof(EvcAuth));
}

/* The live entries that a consumer holds, the newest first. */
List *
evc_store_list_auth_of(EvcStore *store, const char *consumer_key)
{
	Parameters	p = parameters(store);

	add_text(&p, consumer_key);
	return read_rows(store, LIST_AUTH_OF, &p, fill_auth, sizeof(EvcAuth));
}

/* The entry of a tag in any case, live or removed. */
bool
evc_store_read_auth(EvcStore *store, const char *id_tag, EvcAuth *row)
{
	Parameters	p = parameters(store);

	add_text(&p, id_tag);
	return read_row(store, READ_AUTH, &p, fill_auth, row);
}

static void
add_auth(Parameters *p, const EvcAuth *row)
{
	add_text(p, row->id_tag);
	add_text(p, row->consumer_key);
	add_id(p, row->transaction_id, 0);
	add_text(p, row->status);
	add_time(p, row->expires_at);
	add_text(p, row->parent_id_tag);
	add_int(p, row->list_version);
	add_time(p, row->removed_at);
}

void
evc_store_insert_auth(EvcStore *store, const EvcAuth *row)
{
	Parameters	p = parameters(store);

	add_auth(&p, row);
	write_rows(INSERT_AUTH, &p);
}

void
evc_store_update_auth(EvcStore *store, const EvcAuth *row)
{
	Parameters	p = parameters(store);

	add_auth(&p, row);
	write_rows(UPDATE_AUTH, &p);
}

void
evc_store_delete_auth(EvcStore *store, const char *id_tag)
{
	Parameters	p = parameters(store);

	add_text(&p, id_tag);
	write_rows(DELETE_AUTH, &p);
}

/*
 * evc_store_forget_removed_auth
 *		Forget entries that left the list at a version or before it, unless a
 *		transaction still uses them.
 */
void
evc_store_forget_removed_auth(EvcStore *store, int32 up_to_version)
{
	Parameters	p = parameters(store);

	add_int(&p, up_to_version);
	write_rows(FORGET_REMOVED_AUTH, &p);
}

/* Give all entries one list version. */
void
evc_store_renumber_auth(EvcStore *store, int32 list_version)
{
	Parameters	p = parameters(store);

	add_int(&p, list_version);
	write_rows(RENUMBER_AUTH, &p);
}

/* ---------------------------------------------------------------------------
 * a transaction with all that is tied to it, and its event: one statement
 * ---------------------------------------------------------------------------
 */

/*
 * evc_store_open_transaction
 *		Insert a transaction and the event of its start; if it is open, tie its
 *		connector to it and the auth entry of "id_tag" (as the entry spells it,
 *		or NULL).
 */
void
evc_store_open_transaction(EvcStore *store, const EvcTransaction *row,
						   const char *id_tag, const EvcEvent *started)
{
	Parameters	p = parameters(store);

	Assert(started->kind == EVC_TRANSACTION_STARTED);
	add_transaction(&p, row);
	add_text(&p, id_tag);
	add_long(&p, started->event_id);
	add_time(&p, started->occurred_at);
	add_time(&p, started->recorded_at);
	add_writer(&p);
	write_rows(OPEN_TRANSACTION, &p);
}

/*
 * was_kept_from
 *		Raise the error of a change of which not all was written.
 */
pg_noreturn static void
was_kept_from(EvcStore *store, const char *change, const EvcTransaction *row)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("could not %s transaction %d of charge point \"%s\"",
					change, row->transaction_id,
					TextDatumGetCString(store->id)),
			 errdetail("A trigger on the tables kept a row from being written, or another session took it away."),
			 errhint("Change the tables of evcharge through its functions only.")));
}

/*
 * evc_store_start_transaction
 *		Do the same for a consumer that asks for it, if its connector is free and
 *		its only live entry of the list accepts it; else write nothing, and
 *		return false.
 */
bool
evc_store_start_transaction(EvcStore *store, const EvcTransaction *row,
							const EvcEvent *started)
{
	Parameters	p = parameters(store);
	bool		inserted;

	Assert(started->occurred_at == row->started_at);
	add_int(&p, row->transaction_id);
	add_int(&p, row->connector_id);
	add_text(&p, row->consumer_key);
	add_time(&p, row->started_at);
	add_meter(&p, row->start_meter);
	add_time(&p, started->recorded_at);
	add_long(&p, started->event_id);
	add_writer(&p);
	if (!read_row(store, START_TRANSACTION, &p, fill_bool, &inserted))
		return false;
	if (!inserted)
		was_kept_from(store, "start", row);
	return true;
}

/*
 * end_parameters
 *		Begin the parameters of an end of a transaction.
 */
static Parameters
end_parameters(EvcStore *store, const EvcTransaction *row,
			   const EvcEvent *ended, const EvcRemoval *removal)
{
	Parameters	p = parameters(store);

	Assert(ended->kind == EVC_TRANSACTION_ENDED);
	add_time(&p, row->ended_at);
	add_meter(&p, row->end_meter);
	add_text(&p, row->stop_reason);
	add_bool(&p, row->forced);
	add_time(&p, removal->at);
	add(&p, Int32GetDatum(removal->list_version), removal->at == EVC_NO_TIME);
	add_long(&p, ended->event_id);
	add_time(&p, ended->occurred_at);
	add_time(&p, ended->recorded_at);
	add_writer(&p);
	add_int(&p, row->connector_id);
	return p;
}

/* What the end of a transaction gives. */
typedef struct Ended
{
	EvcTransaction *row;
	EvcRemoval *removal;
} Ended;

static void
fill_ended(void *to, Columns *c)
{
	EvcTransaction *row = ((Ended *) to)->row;
	EvcRemoval *removal = ((Ended *) to)->removal;
	TimestampTz removed_at;

	row->transaction_id = next_int(c);
	row->id_tag = next_text(c);
	next_row(c, fill_reading, row);
	removed_at = next_time(c);
	removal->done = removed_at != EVC_NO_TIME && removed_at == removal->at;
	removal->done_before = removed_at != EVC_NO_TIME && !removal->done;
	removal->status = next_enum(c);
}

/*
 * end_transaction
 *		Run an end of a transaction; false if there was none to end.
 *
 * What of the row was not known is read into it.
 */
static bool
end_transaction(EvcStore *store, StoreQuery query, const Parameters *p,
				EvcTransaction *row, EvcRemoval *removal)
{
	Ended		ended = {row, removal};

	return read_row(store, query, p, fill_ended, &ended);
}

/*
 * evc_store_close_transaction
 *		Write the end of a transaction and the event of it, and free the connector
 *		and the auth entry that are tied to it.
 *
 * All else of the row is as the table has it, and is read from there.
 */
void
evc_store_close_transaction(EvcStore *store, EvcTransaction *row,
							const EvcEvent *ended, EvcRemoval *removal)
{
	Parameters	p = end_parameters(store, row, ended, removal);

	add_int(&p, row->transaction_id);
	if (!end_transaction(store, CLOSE_TRANSACTION, &p, row, removal))
		was_kept_from(store, "end", row);
}

/*
 * evc_store_stop_transaction
 *		Do the same with the open transaction of a consumer on a connector, and
 *		read the rest of it; false, and nothing written, if there is none.
 */
bool
evc_store_stop_transaction(EvcStore *store, EvcTransaction *row,
						   const EvcEvent *ended, EvcRemoval *removal)
{
	Parameters	p = end_parameters(store, row, ended, removal);

	add_text(&p, row->consumer_key);
	return end_transaction(store, STOP_TRANSACTION, &p, row, removal);
}

/* ---------------------------------------------------------------------------
 * history
 * ---------------------------------------------------------------------------
 */

static void
add_event(Parameters *p, const EvcEvent *event)
{
	add_long(p, event->event_id);
	add_text(p, evc_event_kind_name(event->kind));
	add_id(p, event->connector_id, EVC_NO_ID);
	add_id(p, event->transaction_id, EVC_NO_ID);
	add_text(p, event->old_value);
	add_text(p, event->new_value);
	add_text(p, event->reason);
	add_text(p, event->detail);
	add_time(p, event->occurred_at);
	add_time(p, event->recorded_at);
}

void
evc_store_insert_event(EvcStore *store, const EvcEvent *event)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		evc_set_write_event(store->point, event);
		return;
	}
	add_event(&p, event);
	add_writer(&p);
	write_rows(INSERT_EVENT, &p);
}

/*
 * evc_store_has_status_event
 *		Tell whether history has this status of a connector, or of the charge
 *		point as connector 0, at this time.
 *
 * Asked only for a report that comes late, to know it from its repetition.
 */
bool
evc_store_has_status_event(EvcStore *store, int32 connector_id,
						   TimestampTz at, const char *status)
{
	Parameters	p = parameters(store);

	if (store->point != NULL &&
		evc_set_has_status_event(store->point, connector_id, at, status))
		return true;
	add_int(&p, connector_id);
	add_time(&p, at);
	add_text(&p, status);
	return has_row(store, HAS_STATUS_EVENT, &p);
}

/*
 * evc_store_has_anomaly
 *		Tell whether this anomaly is known already: the same words, at any time
 *		or at the same.
 */
bool
evc_store_has_anomaly(EvcStore *store, const EvcEvent *event, bool any_time)
{
	Parameters	p = parameters(store);

	if (store->point != NULL &&
		evc_set_has_anomaly(store->point, event, any_time))
		return true;
	add_text(&p, event->reason);
	add_id(&p, event->transaction_id, EVC_NO_ID);
	add_id(&p, event->connector_id, EVC_NO_ID);
	add_text(&p, event->new_value);
	add_text(&p, event->detail);
	add(&p, TimestampTzGetDatum(any_time ? DT_NOBEGIN : event->occurred_at),
		false);
	add(&p, TimestampTzGetDatum(any_time ? DT_NOEND : event->occurred_at),
		false);
	return has_row(store, HAS_ANOMALY, &p);
}

static void
add_sample(Parameters *p, int32 transaction_id, const EvcProgress *sample)
{
	add_int(p, transaction_id);
	add_time(p, sample->at);
	add_progress(p, sample);
}

/* A sample that was reported before is overwritten, so that it counts once. */
void
evc_store_insert_sample(EvcStore *store, int32 transaction_id,
						const EvcProgress *sample)
{
	Parameters	p = parameters(store);

	if (store->point != NULL)
	{
		evc_set_write_sample(store->point, transaction_id, sample);
		return;
	}
	add_sample(&p, transaction_id, sample);
	write_rows(INSERT_SAMPLE, &p);
}

void
evc_store_insert_log(EvcStore *store, int64 event_id, TimestampTz logged,
					 bool is_error, const char *message, TimestampTz now)
{
	Parameters	p = parameters(store);

	add_long(&p, event_id);
	add_time(&p, logged);
	add_bool(&p, is_error);
	add_text(&p, message);
	add_time(&p, now);
	write_rows(INSERT_LOG, &p);
}

/* Tell whether the log has this entry already. */
bool
evc_store_has_log(EvcStore *store, TimestampTz logged, bool is_error,
				  const char *message)
{
	Parameters	p = parameters(store);

	add_time(&p, logged);
	add_bool(&p, is_error);
	add_text(&p, message);
	return has_row(store, HAS_LOG, &p);
}

/* ---------------------------------------------------------------------------
 * sets: one statement a table for the reports of many charge points
 * ---------------------------------------------------------------------------
 */

/*
 * The rows that a query of a set is given, as the table "given": the letters
 * of the types, and the names of the columns.
 */
#define GIVEN_COLUMNS	11

static const struct
{
	const char *types;
	const char *names[GIVEN_COLUMNS];
}			given_to_set[QUERY_COUNT] = {
	[LOCK_SET] = {"tizi", {"charge_point_id", "n", "seen", "events"}},
	[READ_SET_CONNECTORS] = {"tii", {"charge_point_id", "id", "n"}},
	[READ_SET_TRANSACTIONS] = {"tii", {"charge_point_id", "id", "n"}},
	[UPDATE_SET_CHARGE_POINTS] = {"ttzzlpl", {
			"charge_point_id", "status", "status_since",
			"status_reported_at", "last_event_id", "place",
			"locked_event_id"}},
	[INSERT_SET_CONNECTORS] = {"titzzti", {
			"charge_point_id", "connector_id", "status", "status_since",
			"reported_at", "status_before_fault", "transaction_id"}},
	[UPDATE_SET_CONNECTORS] = {"titzzti", {
			"charge_point_id", "connector_id", "status", "status_since",
			"reported_at", "status_before_fault", "transaction_id"}},
	[INSERT_SET_SAMPLES] = {"tizftft", {
			"charge_point_id", "transaction_id", "at", "current_offered",
			"current_unit", "voltage_offered", "voltage_unit"}},
	[WRITE_SET_SAMPLES] = {"tizftft", {
			"charge_point_id", "transaction_id", "at", "current_offered",
			"current_unit", "voltage_offered", "voltage_unit"}},
	[UPDATE_SET_TRANSACTIONS] = {"tizftftp", {
			"charge_point_id", "transaction_id", "at", "current_offered",
			"current_unit", "voltage_offered", "voltage_unit", "place"}},
	[INSERT_SET_EVENTS] = {"tltiittttzz", {
			"charge_point_id", "event_id", "kind", "connector_id",
			"transaction_id", "old_value", "new_value", "reason", "detail",
			"occurred_at", "recorded_at"}},
};

/* The rows that are given to a query, while they are collected. */
typedef struct Given
{
	StoreQuery	query;
	TupleDesc	desc;
	Tuplestorestate *rows;
	int			count;
} Given;

static Given
begin_given(StoreQuery query)
{
	const char *types = given_to_set[query].types;
	Given		given = {.query = query};

	given.desc = CreateTemplateTupleDesc(strlen(types));
	for (int i = 0; types[i] != '\0'; i++)
		TupleDescInitEntry(given.desc, i + 1, given_to_set[query].names[i],
						   parameter_type(types[i]), -1, 0);
	given.rows = tuplestore_begin_heap(false, false, work_mem);
	return given;
}

/* Give a row, of which "row" has the columns. */
static void
give(Given *given, Parameters *row)
{
	Assert(row->count == given->desc->natts);
	tuplestore_putvalues(given->rows, given->desc, row->values, row->isnull);
	given->count++;
}

/*
 * run_given
 *		Execute a query with the rows that it is given, unless there are none,
 *		as run() does.
 *
 * That the rows are few is what the planner is told, so that it goes through
 * the keys of the tables, whose size when the plan is made says nothing of
 * their size when it is used.
 */
static uint64
run_given(Given *given, const Parameters *p, Receive receive, void *to)
{
	EphemeralNamedRelationData relation = {
		.md = {
			.name = "given",
			.tupdesc = given->desc,
			.enrtype = ENR_NAMED_TUPLESTORE,
			.enrtuples = 1,
		},
		.reldata = given->rows,
	};
	uint64		count = 0;

	if (given->count > 0)
	{
		if (SPI_register_relation(&relation) != SPI_OK_REL_REGISTER)
			elog(ERROR, "could not register the rows of query %d",
				 given->query);
		count = run(given->query, p, false, receive, to);
		SPI_unregister_relation(relation.md.name);
	}
	tuplestore_end(given->rows);
	return count;
}

/*
 * Where a row stands.  What a call has locked stays there until the call
 * writes it, so it need not be searched for again.
 */
static void
add_place(Parameters *p, const ItemPointerData *place)
{
	add(p, PointerGetDatum(place), false);
}

static ItemPointerData
next_place(Columns *c)
{
	bool		isnull;

	return *(ItemPointer) DatumGetPointer(next(c, &isnull));
}

/* Begin a row that is given about a charge point. */
static Parameters
row_of(const EvcSetPoint *point)
{
	Parameters	row;

	row.count = 0;
	add(&row, point->id, false);
	return row;
}

static void
fill_set_point(void *to, Columns *c)
{
	EvcSet	   *set = to;
	EvcSetPoint *point = set->points[next_int(c)];

	point->context = CurrentMemoryContext;
	point->known = true;
	point->place = next_place(c);
	point->row.status = next_enum(c);
	point->row.status_since = next_time(c);
	point->row.status_reported_at = next_time(c);
	point->row.last_event_id = next_long(c);
	point->locked = point->row;
	point->row.last_event_id -= point->reports;
}

/*
 * evc_store_lock_set
 *		Lock the charge points of a set, read them, and give those with reports
 *		their sign of life and an event for each report.
 *
 * They stand in the one order that is free of deadlocks, and the executor
 * takes them as they stand.
 */
void
evc_store_lock_set(EvcSet *set, TimestampTz seen)
{
	Given		given = begin_given(LOCK_SET);
	Parameters	none = {0};

	for (int i = 0; i < set->count; i++)
	{
		int			reports = set->points[i]->reports;
		Parameters	row = row_of(set->points[i]);

		add_int(&row, i);
		add_time(&row, reports > 0 ? seen : EVC_NO_TIME);
		add_int(&row, reports);
		give(&given, &row);
	}
	run_given(&given, &none, fill_set_point, set);
}

static void
fill_set_connector(void *to, Columns *c)
{
	EvcSetConnector *connector = to;

	fill_connector(&connector->row, c);
	connector->in_table = true;
	connector->known = true;
}

static void
fill_set_transaction(void *to, Columns *c)
{
	EvcSetTransaction *transaction = to;

	transaction->place = next_place(c);
	transaction->row.connector_id = next_int(c);
	transaction->row.ended_at = next_time(c);
	fill_progress(&transaction->row.progress, c);
	transaction->known = true;
}

/* Structs that a query names by their position, and how it fills them. */
typedef struct Named
{
	Receive		fill;
	List	   *structs;
} Named;

static void
fill_named(void *to, Columns *c)
{
	Named	   *named = to;
	int			n = next_int(c);

	named->fill(list_nth(named->structs, n), c);
}

/*
 * read_named
 *		Run a query for the rows that are named, and fill them.
 */
static void
read_named(Given *given, List *structs, Receive fill)
{
	Parameters	none = {0};
	Named		named = {fill, structs};

	run_given(given, &none, fill_named, &named);
}

/*
 * evc_store_read_set
 *		Read the rows that a set names.
 */
void
evc_store_read_set(const EvcSet *set)
{
	Given		connectors = begin_given(READ_SET_CONNECTORS);
	Given		transactions = begin_given(READ_SET_TRANSACTIONS);
	List	   *named_connectors = NIL;
	List	   *named_transactions = NIL;
	ListCell   *lc;

	for (int i = 0; i < set->count; i++)
	{
		EvcSetPoint *point = set->points[i];

		foreach(lc, point->connectors)
		{
			EvcSetConnector *connector = lfirst(lc);
			Parameters	row = row_of(point);

			add_int(&row, connector->row.connector_id);
			add_int(&row, list_length(named_connectors));
			give(&connectors, &row);
			named_connectors = lappend(named_connectors, connector);
		}
		foreach(lc, point->transactions)
		{
			EvcSetTransaction *transaction = lfirst(lc);
			Parameters	row = row_of(point);

			add_int(&row, transaction->row.transaction_id);
			add_int(&row, list_length(named_transactions));
			give(&transactions, &row);
			named_transactions = lappend(named_transactions, transaction);
		}
	}
	read_named(&connectors, named_connectors, fill_set_connector);
	read_named(&transactions, named_transactions, fill_set_transaction);
}

/*
 * is_settled
 *		Tell whether the row of a charge point is as the lock left it.
 */
static bool
is_settled(const EvcSetPoint *point)
{
	return point->row.last_event_id == point->locked.last_event_id &&
		point->row.status == point->locked.status &&
		point->row.status_since == point->locked.status_since &&
		point->row.status_reported_at == point->locked.status_reported_at;
}

/*
 * give_point
 *		Give what is to be written of a charge point to the queries that do it.
 */
static void
give_point(const EvcSetPoint *point, Given *charge_points,
		   Given *new_connectors, Given *connectors, Given *new_samples,
		   Given *samples, Given *transactions, Given *events)
{
	Parameters	row = row_of(point);
	ListCell   *lc;

	if (!is_settled(point))
	{
		add_text(&row, point->row.status);
		add_time(&row, point->row.status_since);
		add_time(&row, point->row.status_reported_at);
		add_long(&row, point->row.last_event_id);
		add_place(&row, &point->place);
		add_long(&row, point->locked.last_event_id);
		give(charge_points, &row);
	}

	foreach(lc, point->connectors)
	{
		const EvcSetConnector *connector = lfirst(lc);

		if (!connector->changed)
			continue;
		row = row_of(point);
		add_connector(&row, &connector->row);
		give(connector->in_table ? connectors : new_connectors, &row);
	}
	foreach(lc, point->samples)
	{
		const EvcSetSample *sample = lfirst(lc);

		row = row_of(point);
		add_sample(&row, sample->transaction_id, &sample->progress);
		give(sample->is_new ? new_samples : samples, &row);
	}
	foreach(lc, point->transactions)
	{
		const EvcSetTransaction *transaction = lfirst(lc);

		if (!transaction->changed)
			continue;
		row = row_of(point);
		add_sample(&row, transaction->row.transaction_id,
				   &transaction->row.progress);
		add_place(&row, &transaction->place);
		give(transactions, &row);
	}
	foreach(lc, point->events)
	{
		row = row_of(point);
		add_event(&row, lfirst(lc));
		give(events, &row);
	}
}

/*
 * update_given
 *		Update the rows that are given, each of which must still be as it was
 *		read.
 *
 * It is not where a trigger on the tables called back for the same charge
 * point.
 */
static void
update_given(Given *given)
{
	Parameters	none = {0};

	if (run_given(given, &none, NULL, NULL) != (uint64) given->count)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a charge point was changed within its own batch"),
				 errdetail("A trigger on the tables called evcharge for the same charge point.")));
}

/*
 * evc_store_write_set
 *		Write what the reports of a set changed.
 */
void
evc_store_write_set(const EvcSet *set)
{
	Given		charge_points = begin_given(UPDATE_SET_CHARGE_POINTS);
	Given		new_connectors = begin_given(INSERT_SET_CONNECTORS);
	Given		connectors = begin_given(UPDATE_SET_CONNECTORS);
	Given		new_samples = begin_given(INSERT_SET_SAMPLES);
	Given		samples = begin_given(WRITE_SET_SAMPLES);
	Given		transactions = begin_given(UPDATE_SET_TRANSACTIONS);
	Given		events = begin_given(INSERT_SET_EVENTS);
	Parameters	none = {0};
	Parameters	writer = {0};
	MemoryContext given = AllocSetContextCreate(CurrentMemoryContext,
												"evcharge given",
												ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(given);

	for (int i = 0; i < set->count; i++)
	{
		give_point(set->points[i], &charge_points, &new_connectors,
				   &connectors, &new_samples, &samples, &transactions,
				   &events);
		MemoryContextReset(given);
	}
	MemoryContextSwitchTo(old);

	update_given(&charge_points);
	run_given(&new_connectors, &none, NULL, NULL);
	update_given(&connectors);
	run_given(&new_samples, &none, NULL, NULL);
	run_given(&samples, &none, NULL, NULL);
	update_given(&transactions);
	add_writer(&writer);
	run_given(&events, &writer, NULL, NULL);
}

/* ---------------------------------------------------------------------------
 * what has dangled for too long
 * ---------------------------------------------------------------------------
 */

static void
add_copy(void *to, Columns *c)
{
	List	  **texts = to;
	bool		isnull;

	*texts = lappend(*texts, DatumGetTextPCopy(next(c, &isnull)));
	Assert(!isnull);
}

/*
 * evc_store_list_expiring
 *		Return the ids, in their order, of charge points with open transactions
 *		from before "started" or, unconfirmed, from before "unconfirmed", or with
 *		an entry of the list that no longer authorizes "now".
 *
 * They are texts in "context", which outlives the stretch of SQL.
 */
List *
evc_store_list_expiring(EvcStore *store, TimestampTz started,
						TimestampTz unconfirmed, TimestampTz now, int32 limit,
						MemoryContext context)
{
	Parameters	p = {0};
	List	   *ids = NIL;
	MemoryContext old = MemoryContextSwitchTo(context);

	add(&p, TimestampTzGetDatum(started), false);
	add(&p, TimestampTzGetDatum(unconfirmed), false);
	add_time(&p, now);
	add_int(&p, limit);
	run(LIST_EXPIRING, &p, store->read_only, add_copy, &ids);
	MemoryContextSwitchTo(old);
	return ids;
}

/* The live entries of the list that are Accepted and past their expiry. */
List *
evc_store_list_expired_auth(EvcStore *store, TimestampTz now)
{
	Parameters	p = parameters(store);

	add_time(&p, now);
	return read_rows(store, LIST_EXPIRED_AUTH, &p, fill_auth, sizeof(EvcAuth));
}

/* ---------------------------------------------------------------------------
 * the feed: events of all charge points, in the order of their transactions
 * ---------------------------------------------------------------------------
 */

/*
 * announcer_parameters
 *		Begin the parameters of a query about the announcer of this database.
 *
 * Its row has the cluster and the database in its key: a copy that a restore
 * or a replication makes of it elsewhere means nothing there.
 */
static Parameters
announcer_parameters(void)
{
	Parameters	p = {0};

	add_long(&p, (int64) GetSystemIdentifier());
	add_long(&p, (int64) MyDatabaseId);
	return p;
}

/* The cursor up to which events were announced, or NULL. */
char *
evc_store_read_place(EvcStore *store)
{
	Parameters	p = announcer_parameters();
	char	   *place = NULL;

	read_row(store, READ_PLACE, &p, fill_text, &place);
	return place;
}

/* Write how far the announcer has come; NULL forgets it. */
void
evc_store_write_place(EvcStore *store, const char *place, TimestampTz now)
{
	Parameters	p = announcer_parameters();

	(void) store;
	if (place == NULL)
	{
		write_rows(FORGET_PLACE, &p);
		return;
	}
	add_text(&p, place);
	add_time(&p, now);
	if (write_rows(UPDATE_PLACE, &p) == 0)
		write_rows(INSERT_PLACE, &p);
}

/* Tell whether this database has transactions that are prepared. */
bool
evc_store_has_prepared(EvcStore *store)
{
	Parameters	p = {0};

	return has_row(store, HAS_PREPARED, &p);
}

/*
 * evc_store_can_announce
 *		Tell whether the tables are there and know of an announcer.
 */
bool
evc_store_can_announce(void)
{
	Oid			schema = get_namespace_oid("evcharge", true);

	return OidIsValid(schema) &&
		OidIsValid(get_relname_relid("charge_point", schema)) &&
		OidIsValid(get_relname_relid("announcer", schema));
}

/* The system identifiers of the clusters that wrote events, oldest first. */
List *
evc_store_list_clusters(EvcStore *store)
{
	Parameters	p = {0};

	return read_rows(store, LIST_CLUSTERS, &p, fill_long, sizeof(int64));
}

/* The newest transaction of a cluster that wrote an event, or 0. */
uint64
evc_store_last_writer(EvcStore *store, int64 cluster)
{
	Parameters	p = {0};
	int64		writer = 0;

	add_long(&p, cluster);
	read_row(store, LAST_WRITER, &p, fill_long, &writer);
	return (uint64) writer;
}

static void
fill_feed(void *to, Columns *c)
{
	static const char types[] = "tltiittttzz";
	EvcFeedEvent *row = to;

	for (int i = 0; i < EVC_FEED_COLUMNS; i++)
	{
		row->values[i] = next(c, &row->isnull[i]);
		if (row->isnull[i])
			continue;
		if (types[i] == 't')
			row->values[i] = PointerGetDatum(DatumGetTextPCopy(row->values[i]));
		else if (types[i] != 'i')	/* by reference where Datums have 32 bits */
			row->values[i] = Int64GetDatum(DatumGetInt64(row->values[i]));
	}
	row->written_by = (uint64) next_long(c);
	row->charge_point_id = TextDatumGetCString(row->values[0]);
	row->event_id = DatumGetInt64(row->values[1]);
}

static void
add_xids(Parameters *p, const uint64 *xids, int count)
{
	Datum	   *values = palloc(sizeof(Datum) * (count + 1));

	for (int i = 0; i < count; i++)
		values[i] = UInt64GetDatum(xids[i]);
	add(p, PointerGetDatum(construct_array(values, count, XID8OID,
										   sizeof(uint64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE)), false);
}

/*
 * read_feed
 *		Read with one query what the transactions of a range wrote.
 */
static List *
read_feed(EvcStore *store, StoreQuery query, const EvcFeedRange *range,
		  int limit)
{
	Parameters	p = {0};
	uint64		oldest = range->from;

	if (range->late_count > 0)
		oldest = Min(oldest, range->late[0]);
	add_long(&p, range->cluster);
	add_xids(&p, range->running, range->running_count);
	add_xids(&p, range->late, range->late_count);
	add(&p, UInt64GetDatum(range->from), false);
	add(&p, UInt64GetDatum(range->to), false);
	add(&p, UInt64GetDatum(range->after), false);
	add_text(&p, range->after_charge_point_id);
	add_long(&p, range->after_event_id);
	add_int(&p, limit);
	add(&p, UInt64GetDatum(oldest), false);

	return read_rows(store, query, &p, fill_feed, sizeof(EvcFeedEvent));
}

static int
compare_feed(const ListCell *a, const ListCell *b)
{
	const EvcFeedEvent *x = lfirst(a);
	const EvcFeedEvent *y = lfirst(b);
	int			order;

	if (x->written_by != y->written_by)
		return x->written_by < y->written_by ? -1 : 1;
	order = strcmp(x->charge_point_id, y->charge_point_id);
	if (order != 0)
		return order;
	return (x->event_id > y->event_id) - (x->event_id < y->event_id);
}

/*
 * evc_store_read_feed
 *		Read the events that the transactions of a range wrote.
 *
 * Late transactions are read together with the others if they are not much
 * older, for then there are few events between that were read before.  The rows
 * stay valid until evc_store_end().
 */
List *
evc_store_read_feed(EvcStore *store, const EvcFeedRange *range, int limit)
{
	EvcFeedRange newer = *range;
	List	   *rows;

	if (range->late_count == 0 || range->late[0] + LATE_SPAN >= range->from)
	{
		if (range->few)
		{
			rows = read_feed(store, READ_FEW_OF_FEED, range, limit);
			list_sort(rows, compare_feed);
			if (list_length(rows) < limit)
				return rows;
		}
		return read_feed(store, READ_FEED, range, limit);
	}
	rows = read_feed(store, READ_FEED_OF, range, limit);
	if (list_length(rows) == limit || range->from >= range->to)
		return rows;
	newer.late_count = 0;
	return list_concat(rows, read_feed(store, READ_FEED, &newer,
									   limit - list_length(rows)));
}
