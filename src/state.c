/*
 * state.c
 *		Whole states: a ChargePointState out of the tables, and into them.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "auth.h"
#include "check.h"
#include "errors.h"
#include "fsm.h"
#include "transaction.h"

typedef Gateway__ChargePointState State;
typedef Gateway__ChargePointState__ConnectorsEntry ConnectorsEntry;
typedef Gateway__ChargePointState__TransactionsEntry TransactionsEntry;
typedef Gateway__ChargePointState__AuthListEntry AuthListEntry;

/*
 * connector_entry
 *		Return a connector as an entry of the map of a state.
 */
static ConnectorsEntry *
connector_entry(const EvcConnector *connector)
{
	ConnectorsEntry *entry = palloc(sizeof(*entry));

	gateway__charge_point_state__connectors_entry__init(entry);
	entry->key = connector->connector_id;
	entry->value = palloc(sizeof(*entry->value));
	gateway__connector_info__init(entry->value);
	entry->value->id = connector->connector_id;
	entry->value->status =
		unconstify(char *, evc_fsm_wire_name(evc_fsm_parse_name(connector->status)));
	entry->value->current_transaction = connector->transaction_id;
	return entry;
}

/*
 * transaction_entry
 *		Return a transaction as an entry of the map of a state.
 */
static TransactionsEntry *
transaction_entry(const EvcTransaction *transaction)
{
	TransactionsEntry *entry = palloc(sizeof(*entry));

	gateway__charge_point_state__transactions_entry__init(entry);
	entry->key = transaction->transaction_id;
	entry->value = evc_transaction_info(transaction);
	return entry;
}

/*
 * auth_list_entry
 *		Return an auth entry as an entry of the map of a state.
 */
static AuthListEntry *
auth_list_entry(const EvcAuth *auth)
{
	AuthListEntry *entry = palloc(sizeof(*entry));

	gateway__charge_point_state__auth_list_entry__init(entry);
	entry->key = unconstify(char *, auth->id_tag);
	entry->value = palloc(sizeof(*entry->value));
	gateway__consumer_auth_data__init(entry->value);
	if (auth->consumer_key != NULL)
		entry->value->public_key = unconstify(char *, auth->consumer_key);
	entry->value->transaction_id = auth->transaction_id;
	entry->value->auth_data = evc_auth_data(auth);
	return entry;
}

/*
 * build_state
 *		Read a charge point as the message that gateways keep of it.
 */
static State *
build_state(EvcCall *call, int32 closed_transactions)
{
	State	   *state = palloc(sizeof(*state));
	List	   *connectors = evc_store_list_connectors(&call->store);
	List	   *transactions = evc_store_list_open_transactions(&call->store);
	List	   *entries = evc_store_list_auth(&call->store);
	ListCell   *lc;

	if (closed_transactions > 0)
		transactions =
			list_concat(transactions,
						evc_store_list_closed_transactions(&call->store,
														   closed_transactions));

	gateway__charge_point_state__init(state);
	state->id = unconstify(char *, call->id);
	state->status =
		unconstify(char *, evc_fsm_wire_name(evc_fsm_parse_name(call->row.status)));
	state->current_auth_list_version = call->row.auth_list_version;
	state->current_transaction_id = call->row.last_transaction_id;

	state->connectors =
		palloc(sizeof(ConnectorsEntry *) * (list_length(connectors) + 1));
	foreach(lc, connectors)
		state->connectors[state->n_connectors++] = connector_entry(lfirst(lc));

	state->transactions =
		palloc(sizeof(TransactionsEntry *) * (list_length(transactions) + 1));
	foreach(lc, transactions)
		state->transactions[state->n_transactions++] =
		transaction_entry(lfirst(lc));

	state->auth_list =
		palloc(sizeof(AuthListEntry *) * (list_length(entries) + 1));
	foreach(lc, entries)
		state->auth_list[state->n_auth_list++] = auth_list_entry(lfirst(lc));
	return state;
}

/*
 * charge_point_state(charge_point_id text, closed_transactions int) -> message
 *		Return the state of a charge point; NULL if it is unknown.
 */
PG_FUNCTION_INFO_V1(evc_charge_point_state);
Datum
evc_charge_point_state(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	int32		closed = PG_ARGISNULL(1) ? PG_INT32_MAX : PG_GETARG_INT32(1);
	EvcMessage *message = NULL;
	EvcCall		call;

	evc_call_begin(&call, id, true);
	if (evc_store_read_charge_point(&call.store, &call.row))
	{
		State	   *state = build_state(&call, closed);
		MemoryContext old = MemoryContextSwitchTo(call.caller);

		message = evc_message_value(&state->base);
		MemoryContextSwitchTo(old);
	}
	evc_call_end(&call);

	if (message == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(message);
}

static int
compare_auth_list(const void *a, const void *b)
{
	return evc_auth_compare_tags((*(AuthListEntry *const *) a)->key,
						 (*(AuthListEntry *const *) b)->key);
}

static int
compare_connectors(const void *a, const void *b)
{
	int32		key_a = (*(ConnectorsEntry *const *) a)->key;
	int32		key_b = (*(ConnectorsEntry *const *) b)->key;

	return (key_a > key_b) - (key_a < key_b);
}

static int
compare_transactions(const void *a, const void *b)
{
	int32		key_a = (*(TransactionsEntry *const *) a)->key;
	int32		key_b = (*(TransactionsEntry *const *) b)->key;

	return (key_a > key_b) - (key_a < key_b);
}

/* open transactions by connector; on one connector the chosen one is last */
static int
compare_open(const void *a, const void *b)
{
	const TransactionsEntry *entry_a = *(TransactionsEntry *const *) a;
	const TransactionsEntry *entry_b = *(TransactionsEntry *const *) b;
	int32		on_a = entry_a->value->connector_id;
	int32		on_b = entry_b->value->connector_id;

	if (on_a != on_b)
		return on_a > on_b ? 1 : -1;
	return compare_transactions(a, b);
}

/*
 * A state that is being loaded: its maps in the order of their keys, so that
 * a large one is searched quickly, and what is open in it.
 */
typedef struct Loading
{
	EvcCall		call;
	State	   *state;
	TransactionsEntry **open;
	size_t		n_open;
} Loading;

/*
 * sort_state
 *		Bring the maps of a state into the order that the searches rely on.
 */
static void
sort_state(Loading *loading)
{
	State	   *state = loading->state;

	if (state->n_connectors > 1)
		qsort(state->connectors, state->n_connectors,
			  sizeof(ConnectorsEntry *), compare_connectors);
	if (state->n_transactions > 1)
		qsort(state->transactions, state->n_transactions,
			  sizeof(TransactionsEntry *), compare_transactions);
	if (state->n_auth_list > 1)
		qsort(state->auth_list, state->n_auth_list,
			  sizeof(AuthListEntry *), compare_auth_list);

	loading->open = palloc(sizeof(TransactionsEntry *) *
						   (state->n_transactions + 1));
	for (size_t i = 0; i < state->n_transactions; i++)
		if (*state->transactions[i]->value->end_time == '\0')
			loading->open[loading->n_open++] = state->transactions[i];
	if (loading->n_open > 1)
		qsort(loading->open, loading->n_open, sizeof(TransactionsEntry *),
			  compare_open);
}

/*
 * find_connector
 *		Return the entry of a connector in a state, or NULL.
 */
static const ConnectorsEntry *
find_connector(const Loading *loading, int32 connector_id)
{
	ConnectorsEntry wanted = {.key = connector_id};
	ConnectorsEntry *key = &wanted;
	ConnectorsEntry **found = loading->state->n_connectors == 0 ? NULL :
		bsearch(&key, loading->state->connectors,
				loading->state->n_connectors, sizeof(ConnectorsEntry *),
				compare_connectors);

	return found ? *found : NULL;
}

/*
 * find_transaction_entry
 *		Return the entry of a transaction in a state, or NULL.
 */
static const TransactionsEntry *
find_transaction_entry(const Loading *loading, int32 transaction_id)
{
	TransactionsEntry wanted = {.key = transaction_id};
	TransactionsEntry *key = &wanted;
	TransactionsEntry **found = loading->state->n_transactions == 0 ? NULL :
		bsearch(&key, loading->state->transactions,
				loading->state->n_transactions, sizeof(TransactionsEntry *),
				compare_transactions);

	return found ? *found : NULL;
}

/*
 * find_auth
 *		Return the entry of a tag in a state, or NULL.
 */
static const AuthListEntry *
find_auth(const Loading *loading, const char *id_tag)
{
	AuthListEntry wanted = {.key = unconstify(char *, id_tag)};
	AuthListEntry *key = &wanted;
	AuthListEntry **found = loading->state->n_auth_list == 0 ? NULL :
		bsearch(&key, loading->state->auth_list,
				loading->state->n_auth_list, sizeof(AuthListEntry *),
				compare_auth_list);

	return found ? *found : NULL;
}

/*
 * find_open
 *		Return the entry of the transaction that a state has open on a connector.
 *
 * An old state may have several, which never were ended.  Then it is the one
 * that the connector names, or else the newest.
 */
static const TransactionsEntry *
find_open(const Loading *loading, int32 connector_id)
{
	const ConnectorsEntry *connector = find_connector(loading, connector_id);
	size_t		low = 0;
	size_t		high = loading->n_open;

	if (connector != NULL)
	{
		const TransactionsEntry *named =
			find_transaction_entry(loading,
								   connector->value->current_transaction);

		if (named != NULL && *named->value->end_time == '\0' &&
			named->value->connector_id == connector_id)
			return named;
	}

	/* the last one that is on this connector */
	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (loading->open[middle]->value->connector_id <= connector_id)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 ||
		loading->open[low - 1]->value->connector_id != connector_id)
		return NULL;
	return loading->open[low - 1];
}

/*
 * field_of
 *		Name a field of an entry of a map, for an error.
 */
static const char *
field_of(const char *map, int32 key, const char *field)
{
	return psprintf("%s[%d].%s", map, key, field);
}

/*
 * check_key
 *		Require that the key of an entry is a number its value does not deny.
 */
static void
check_key(const char *map, int32 key, int32 id, int min)
{
	if (key < min)
		evc_check_failed(map, psprintf("%d", key),
						 "The key of an entry is the number it has in its charge point.");
	if (id != 0 && id != key)
		evc_check_failed(field_of(map, key, "id"), psprintf("%d", id),
						 "It must be the key of its entry.");
}

/*
 * check_state
 *		Require that a state is one, before anything is touched.
 *
 * Times and statuses are checked where they are read.
 */
static void
check_state(const State *state)
{
	if (state->current_auth_list_version < 0)
		evc_check_failed("current_auth_list_version",
						 psprintf("%d", state->current_auth_list_version),
						 "A version is not negative.");
	if (state->current_transaction_id < 0)
		evc_check_failed("current_transaction_id",
						 psprintf("%d", state->current_transaction_id),
						 "A transaction id is not negative.");
	evc_check_status("status", state->status);

	for (size_t i = 0; i < state->n_connectors; i++)
	{
		const ConnectorsEntry *entry = state->connectors[i];

		check_key("connectors", entry->key, entry->value->id, 0);
		evc_check_status(field_of("connectors", entry->key, "status"),
						 entry->value->status);
	}
	for (size_t i = 0; i < state->n_transactions; i++)
	{
		const TransactionsEntry *entry = state->transactions[i];

		check_key("transactions", entry->key, entry->value->id, 1);
		if (entry->value->connector_id < 0)
			evc_check_failed(field_of("transactions", entry->key,
									  "connector_id"),
							 psprintf("%d", entry->value->connector_id),
							 "A connector is numbered from 1.");
		evc_check_time(field_of("transactions", entry->key, "start_time"),
					   entry->value->start_time);
		evc_check_time(field_of("transactions", entry->key, "end_time"),
					   entry->value->end_time);
	}
	for (size_t i = 0; i < state->n_auth_list; i++)
	{
		const AuthListEntry *entry = state->auth_list[i];
		const char *field = psprintf("auth_list[%s]", entry->key);
		const Gateway__LocalAuthorizationData *data = entry->value->auth_data;
		const char *status;

		evc_check_length("a key of auth_list", entry->key,
						 1, EVC_MAX_STORED_TAG);
		evc_check_length(psprintf("%s.public_key", field),
						 entry->value->public_key, 0, EVC_MAX_CONSUMER_KEY);
		if (i > 0 &&
			evc_auth_compare_tags(entry->key, state->auth_list[i - 1]->key) == 0)
			evc_check_failed("auth_list", entry->key,
							 "Id tags that differ in case only are the same tag (OCPP CiString).");
		if (data == NULL)
			continue;
		if (*data->idtag && evc_auth_compare_tags(data->idtag, entry->key) != 0)
			evc_check_failed(psprintf("%s.auth_data.idTag", field),
							 data->idtag, "It must be the key of its entry.");
		if (data->idtaginfo == NULL)
			continue;
		if (!evc_auth_parse_status(data->idtaginfo->status, &status))
			evc_check_failed(psprintf("%s.auth_data.idTagInfo.status", field),
							 data->idtaginfo->status,
							 "Allowed are Accepted, Blocked, Expired, Invalid and ConcurrentTx.");
		evc_check_time(psprintf("%s.auth_data.idTagInfo.expiryDate", field),
					   data->idtaginfo->expirydate);
	}
}

/*
 * same_text
 *		Compare texts, of which NULL is the empty one.
 */
static bool
same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/*
 * text_or_null
 *		Return NULL for an empty text.
 */
static const char *
text_or_null(const char *text)
{
	return *text != '\0' ? text : NULL;
}

/*
 * load_whole_status
 *		Set the status of the charge point itself.
 *
 * A gateway may keep it as that of connector 0 as well.
 */
static void
load_whole_status(EvcCall *call, const State *state)
{
	const char *status = evc_fsm_name(evc_fsm_parse(state->status));

	for (size_t i = 0; i < state->n_connectors; i++)
	{
		const char *zero;

		if (state->connectors[i]->key != 0)
			continue;
		zero = evc_fsm_name(evc_fsm_parse(state->connectors[i]->value->status));
		if (status == NULL)
			status = zero;
		else if (zero != NULL && strcmp(zero, status) != 0)
			evc_check_failed("connectors[0].status", zero,
							 "Connector 0 is the charge point itself, and its status is another.");
	}
	if (same_text(status, call->row.status))
		return;
	evc_call_event(call, EVC_CHARGE_POINT_STATUS, EVC_NO_ID, EVC_NO_ID,
				   call->row.status, status, call->now);
	call->row.status = status;
	call->row.status_since = call->now;
	call->row.status_reported_at = call->now;
	call->changed = true;
}

/*
 * load_connector
 *		Set the status of one connector, and make it if it is new.
 */
static void
load_connector(EvcCall *call, const ConnectorsEntry *entry)
{
	const char *status = evc_fsm_name(evc_fsm_parse(entry->value->status));
	EvcConnector connector;
	bool		known = evc_store_read_connector(&call->store, entry->key,
												 &connector);

	if (!known)
		connector = (EvcConnector) {
			.connector_id = entry->key,
			.status_since = EVC_NO_TIME,
			.reported_at = EVC_NO_TIME,
		};
	else if (same_text(status, connector.status))
		return;

	if (!same_text(status, connector.status))
	{
		bool		faulted = status != NULL && strcmp(status, "Faulted") == 0;

		connector.status_before_fault = faulted ? connector.status : NULL;
		connector.status_since = call->now;
		connector.reported_at = call->now;
	}
	if (known)
	{
		const char *old_status = connector.status;

		connector.status = status;
		evc_store_update_connector(&call->store, &connector);
		evc_call_event(call, EVC_CONNECTOR_STATUS, entry->key, EVC_NO_ID,
					   old_status, status, call->now);
		return;
	}
	connector.status = status;
	evc_store_insert_connector(&call->store, &connector);
	evc_call_event(call, EVC_CONNECTOR_ADDED, entry->key, EVC_NO_ID,
				   NULL, NULL, call->now);
	if (status != NULL)
		evc_call_event(call, EVC_CONNECTOR_STATUS, entry->key, EVC_NO_ID,
					   NULL, status, call->now);
}

/*
 * end_what_is_not_open
 *		End the transactions that are open here but not in the state.
 *
 * They are not deleted, and nobody knows when they ended.
 */
static void
end_what_is_not_open(Loading *loading)
{
	EvcCall    *call = &loading->call;
	ListCell   *lc;

	foreach(lc, evc_store_list_open_transactions(&call->store))
	{
		EvcTransaction *transaction = lfirst(lc);
		const TransactionsEntry *entry =
			find_transaction_entry(loading, transaction->transaction_id);

		if (entry != NULL && *entry->value->end_time != '\0')
			continue;			/* the state tells how it ended */
		if (entry != NULL &&
			find_open(loading, entry->value->connector_id) == entry)
		{
			/* it leaves its connector before another one takes that */
			if (entry->value->connector_id != transaction->connector_id)
			{
				transaction->connector_id = -transaction->transaction_id;
				evc_store_update_transaction(&call->store, transaction);
			}
			continue;
		}
		evc_transaction_end(call, transaction, call->now, EVC_NO_METER,
							"Other", true);
		evc_call_anomaly(call, "forced_end", transaction->connector_id,
						 transaction->transaction_id, NULL, call->now,
						 "Transaction %d was open, but the loaded state has it not.",
						 transaction->transaction_id);
	}
}

/*
 * free_tag
 *		Untie the entry of the tag that a transaction had, on the list or not.
 */
static void
free_tag(EvcCall *call, const EvcTransaction *transaction)
{
	EvcAuth		auth;

	if (!evc_store_read_auth(&call->store, transaction->id_tag, &auth) ||
		auth.transaction_id != transaction->transaction_id)
		return;
	auth.transaction_id = 0;
	evc_store_update_auth(&call->store, &auth);
	if (auth.removed_at != EVC_NO_TIME)
		evc_auth_forget(call);
}

/*
 * load_transaction
 *		Add or amend one transaction.
 */
static void
load_transaction(Loading *loading, const TransactionsEntry *entry)
{
	EvcCall    *call = &loading->call;
	const Gateway__TransactionInfo *info = entry->value;
	bool		open = *info->end_time == '\0';
	bool		forced = open && find_open(loading, info->connector_id) != entry;
	EvcTransaction was = EVC_NO_TRANSACTION;
	EvcTransaction t;
	bool		known = evc_store_read_transaction(&call->store, entry->key,
												   &was);
	bool		progressed;

	t = was;
	t.transaction_id = entry->key;
	t.connector_id = info->connector_id;
	t.id_tag = text_or_null(info->id_tag);
	if (t.consumer_key == NULL && t.id_tag != NULL)
	{
		const AuthListEntry *holder = find_auth(loading, t.id_tag);

		if (holder != NULL)
			t.consumer_key = text_or_null(holder->value->public_key);
	}
	evc_time_parse(info->start_time, &t.started_at);
	t.start_meter = info->start_meter;
	if (!known)
		t.confirmed_at = call->now;

	if (forced && known && was.ended_at != EVC_NO_TIME)
		return;					/* how it ended is known better here */
	if (forced)
	{
		t.ended_at = call->now;
		t.end_meter = EVC_NO_METER;
		t.stop_reason = "Other";
		t.forced = true;
	}
	else if (open)
	{
		t.ended_at = EVC_NO_TIME;
		t.end_meter = info->end_meter != 0 ? info->end_meter : EVC_NO_METER;
		t.stop_reason = NULL;
		t.forced = false;
	}
	else
	{
		evc_time_parse(info->end_time, &t.ended_at);
		t.end_meter = info->end_meter;
		if (t.stop_reason == NULL)
			t.stop_reason = "Local";
		t.forced = was.forced && was.ended_at == t.ended_at;
	}
	progressed = info->progress != NULL &&
		evc_transaction_set_progress(&t, info->progress, was.progress.at);
	if (info->progress == NULL && was.progress.current_unit != NULL)
	{
		t.progress = EVC_NO_TRANSACTION.progress;
		progressed = true;
	}

	if (known && !progressed &&
		t.connector_id == was.connector_id &&
		same_text(t.id_tag, was.id_tag) &&
		same_text(t.consumer_key, was.consumer_key) &&
		t.started_at == was.started_at &&
		(t.start_meter == was.start_meter ||
		 (t.start_meter == 0 && was.start_meter == EVC_NO_METER)) &&
		t.ended_at == was.ended_at &&
		(t.end_meter == was.end_meter ||
		 (t.end_meter == 0 && was.end_meter == EVC_NO_METER)))
		return;

	if (known && was.ended_at == EVC_NO_TIME && was.id_tag != NULL &&
		(t.id_tag == NULL || evc_auth_compare_tags(t.id_tag, was.id_tag) != 0))
		free_tag(call, &was);

	if (!known)
	{
		evc_transaction_insert(call, &t, NULL);
		if (t.ended_at != EVC_NO_TIME)
			evc_call_event(call, EVC_TRANSACTION_ENDED, t.connector_id,
						   t.transaction_id, NULL, t.stop_reason, t.ended_at);
	}
	else
		evc_store_update_transaction(&call->store, &t);
	if (known && t.ended_at != EVC_NO_TIME && was.ended_at == EVC_NO_TIME)
		evc_transaction_close(call, &t);
	else if (known)
	{
		evc_call_event(call, EVC_TRANSACTION_AMENDED, t.connector_id,
					   t.transaction_id, NULL, NULL, call->now);
	}
	if (forced)
		evc_call_anomaly(call, "transaction_overlap", t.connector_id,
						 t.transaction_id, NULL, call->now,
						 "The loaded state has more than one open transaction on connector %d.",
						 t.connector_id);
	evc_transaction_check_reading(call, &t);
}

/*
 * load_connector_of
 *		Make the connector of an open transaction, if neither the state nor the
 *		table has it.
 */
static void
load_connector_of(Loading *loading, int32 connector_id)
{
	EvcCall    *call = &loading->call;
	EvcConnector connector;

	if (connector_id <= 0 ||
		find_connector(loading, connector_id) != NULL ||
		evc_store_read_connector(&call->store, connector_id, &connector))
		return;
	connector = (EvcConnector) {
		.connector_id = connector_id,
		.status_since = EVC_NO_TIME,
		.reported_at = EVC_NO_TIME,
	};
	evc_store_insert_connector(&call->store, &connector);
	evc_call_event(call, EVC_CONNECTOR_ADDED, connector_id, EVC_NO_ID,
				   NULL, NULL, call->now);
}

/*
 * tie_connectors
 *		Tie each connector to the transaction that is open on it, or to none.
 */
static void
tie_connectors(Loading *loading)
{
	EvcCall    *call = &loading->call;
	ListCell   *lc;

	foreach(lc, evc_store_list_connectors(&call->store))
	{
		EvcConnector *connector = lfirst(lc);
		const ConnectorsEntry *entry =
			find_connector(loading, connector->connector_id);
		int32		claimed = entry ? entry->value->current_transaction : 0;
		int32		open = 0;
		EvcTransaction transaction;

		if (evc_store_find_open_transaction(&call->store,
										  connector->connector_id,
										  &transaction))
			open = transaction.transaction_id;
		if (connector->transaction_id != open)
		{
			connector->transaction_id = open;
			evc_store_update_connector(&call->store, connector);
		}
		if (claimed > 0 && claimed != open)
			evc_call_anomaly(call, "transaction_mismatch",
							 connector->connector_id, claimed, NULL, EVC_NO_TIME,
							 "The loaded state has transaction %d current on connector %d, but not open on it.",
							 claimed, connector->connector_id);
	}
}

/*
 * load_transactions
 *		Set all transactions: first what is closed, so that the connectors are
 *		free for what is open.
 */
static void
load_transactions(Loading *loading)
{
	const State *state = loading->state;

	end_what_is_not_open(loading);
	for (int open = 0; open <= 1; open++)
		for (size_t i = 0; i < state->n_transactions; i++)
		{
			const TransactionsEntry *entry = state->transactions[i];

			if ((*entry->value->end_time == '\0') != open)
				continue;
			if (open)
				load_connector_of(loading, entry->value->connector_id);
			load_transaction(loading, entry);
		}
}

/*
 * load_connectors
 *		Set all connectors; one that the state lacks goes.
 */
static void
load_connectors(Loading *loading)
{
	EvcCall    *call = &loading->call;
	const State *state = loading->state;
	ListCell   *lc;

	for (size_t i = 0; i < state->n_connectors; i++)
		if (state->connectors[i]->key != 0)
			load_connector(call, state->connectors[i]);
	foreach(lc, evc_store_list_connectors(&call->store))
	{
		EvcConnector *connector = lfirst(lc);

		if (find_connector(loading, connector->connector_id) != NULL ||
			find_open(loading, connector->connector_id) != NULL)
			continue;
		evc_store_delete_connector(&call->store, connector->connector_id);
		evc_call_event(call, EVC_CONNECTOR_REMOVED, connector->connector_id,
					   EVC_NO_ID, connector->status, NULL, call->now);
	}
}

/*
 * uses_tag
 *		Tell whether a transaction is open and was started with a tag.
 */
static bool
uses_tag(EvcCall *call, int32 transaction_id, const char *id_tag)
{
	EvcTransaction transaction;

	return evc_store_read_transaction(&call->store, transaction_id,
									  &transaction) &&
		transaction.ended_at == EVC_NO_TIME &&
		transaction.id_tag != NULL &&
		evc_auth_compare_tags(transaction.id_tag, id_tag) == 0;
}

/*
 * load_auth
 *		Set one entry of the list; say whether that changed anything.
 */
static void
load_auth(EvcCall *call, const AuthListEntry *entry)
{
	const Gateway__ConsumerAuthData *value = entry->value;
	const Gateway__IdTagInfo *info =
		value->auth_data ? value->auth_data->idtaginfo : NULL;
	EvcAuth		was;
	EvcAuth		auth = {
		.id_tag = entry->key,
		.consumer_key = text_or_null(value->public_key),
		.transaction_id = Max(value->transaction_id, 0),
		.expires_at = EVC_NO_TIME,
		.removed_at = EVC_NO_TIME,
		.list_version = call->row.auth_list_version,
	};
	bool		known = evc_store_read_auth(&call->store, entry->key, &was);
	bool		live = known && was.removed_at == EVC_NO_TIME;

	if (info != NULL)
	{
		evc_auth_parse_status(info->status, &auth.status);
		evc_time_parse(info->expirydate, &auth.expires_at);
		auth.parent_id_tag = text_or_null(info->parentidtag);
	}
	if (auth.transaction_id != 0 &&
		!uses_tag(call, auth.transaction_id, auth.id_tag))
	{
		evc_call_anomaly(call, "transaction_mismatch", EVC_NO_ID,
						 auth.transaction_id, NULL, EVC_NO_TIME,
						 "An authorization of the loaded state is in use by transaction %d, which is not an open one with that tag.",
						 auth.transaction_id);
		auth.transaction_id = 0;
	}

	if (live && same_text(was.id_tag, auth.id_tag) &&
		same_text(was.consumer_key, auth.consumer_key) &&
		same_text(was.status, auth.status) &&
		same_text(was.parent_id_tag, auth.parent_id_tag) &&
		was.expires_at == auth.expires_at &&
		was.transaction_id == auth.transaction_id)
		return;

	if (known)
		evc_store_delete_auth(&call->store, was.id_tag);
	evc_store_insert_auth(&call->store, &auth);
	evc_call_event(call, live ? EVC_AUTH_CHANGED : EVC_AUTH_ADDED, EVC_NO_ID,
				   auth.transaction_id > 0 ? auth.transaction_id : EVC_NO_ID,
				   live ? was.status : NULL, auth.status, call->now);
}

/*
 * load_auth_list
 *		Set the whole list and its version; what the state lacks goes.
 *
 * What the list was before has nothing to do with the versions of the state,
 * so any other version than the state's gets the full list from now on.  Of what
 * left the list only the tags in use are remembered (see evc_auth_forget).
 */
static void
load_auth_list(Loading *loading)
{
	EvcCall    *call = &loading->call;
	const State *state = loading->state;
	int64		events = call->row.last_event_id;
	bool		same_version =
		call->row.auth_list_version == state->current_auth_list_version;
	ListCell   *lc;

	call->row.auth_list_version = state->current_auth_list_version;
	for (size_t i = 0; i < state->n_auth_list; i++)
		load_auth(call, state->auth_list[i]);
	foreach(lc, evc_store_list_auth(&call->store))
	{
		EvcAuth    *auth = lfirst(lc);

		if (find_auth(loading, auth->id_tag) != NULL)
			continue;
		if (auth->transaction_id == 0)
			evc_store_delete_auth(&call->store, auth->id_tag);
		else
		{
			auth->list_version = call->row.auth_list_version;
			auth->removed_at = call->now;
			evc_store_update_auth(&call->store, auth);
		}
		evc_call_event(call, EVC_AUTH_REMOVED, EVC_NO_ID, EVC_NO_ID,
					   auth->status, NULL, call->now);
	}
	if (call->row.last_event_id == events && same_version)
		return;
	if (!same_version)
		evc_store_renumber_auth(&call->store, call->row.auth_list_version);
	call->row.auth_list_kept_from = call->row.auth_list_version;
	evc_auth_forget(call);
}

/*
 * load_last_transaction_id
 *		Set the counter of transaction ids, also back; then ids above it may be
 *		taken.
 */
static void
load_last_transaction_id(Loading *loading)
{
	EvcChargePoint *row = &loading->call.row;
	const State *state = loading->state;
	int32		last = state->current_transaction_id;

	if (last < row->last_transaction_id ||
		(state->n_transactions > 0 &&
		 last < state->transactions[state->n_transactions - 1]->key))
	{
		loading->call.changed |= !row->transaction_ids_wrapped;
		row->transaction_ids_wrapped = true;
	}
	row->last_transaction_id = last;
}

/*
 * load_state([charge_point_id text,] message bytea)
 *		Make a charge point what a ChargePointState says of it.
 *
 * Connectors and auth entries that the state lacks go; transactions are added
 * or amended, never deleted.  Loading the same state again changes nothing.
 */
PG_FUNCTION_INFO_V1(evc_load_state);
Datum
evc_load_state(PG_FUNCTION_ARGS)
{
	bool		routed = PG_NARGS() > 1;
	bytea	   *bytes = evc_arg_bytes(fcinfo, routed ? 1 : 0, "message");
	State	   *state = evc_message_unpack(EVC_CHARGE_POINT_STATE,
										   VARDATA_ANY(bytes),
										   VARSIZE_ANY_EXHDR(bytes));
	Loading		loading = {.state = state};
	EvcCall    *call = &loading.call;
	int64		events;

	if (routed &&
		strcmp(text_to_cstring(evc_arg_id(fcinfo, 0)), state->id) != 0)
		evc_check_failed("id", state->id,
						 "It must be the charge_point_id of the call.");
	sort_state(&loading);
	check_state(state);

	evc_call_begin(call, cstring_to_text(state->id), false);
	evc_call_lock_or_register(call, (EvcReserve) {0}, "Accepted");
	events = call->row.last_event_id;

	load_whole_status(call, state);
	load_connectors(&loading);
	load_transactions(&loading);
	tie_connectors(&loading);
	load_auth_list(&loading);
	load_last_transaction_id(&loading);

	if (call->row.last_event_id != events ||
		call->row.auth_list_version != call->locked.auth_list_version ||
		call->row.last_transaction_id != call->locked.last_transaction_id)
		evc_call_event(call, EVC_STATE_LOADED, EVC_NO_ID, EVC_NO_ID,
					   NULL, NULL, call->now);
	evc_call_end(call);
	PG_RETURN_VOID();
}
