/*
 * auth.c
 *		The authorization list: entries, versions, and what a charge point must
 *		be told of them.
 *
 * Every change of the list takes the next version and marks the entry with it.
 * An entry that leaves the list stays in the table as removed, as long as a
 * differential update may need to name it (evcharge.auth_list_history) or a
 * transaction uses it.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "auth.h"
#include "check.h"
#include "errors.h"
#include "guc.h"

static const char *const statuses[] = {
	"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"
};

/*
 * evc_auth_compare_tags
 *		Compare id tags without case (OCPP CiString): of ASCII only, as the
 *		index of the table does, whatever the locale.
 */
int
evc_auth_compare_tags(const char *a, const char *b)
{
	while (*a != '\0' &&
		   pg_ascii_tolower((unsigned char) *a) ==
		   pg_ascii_tolower((unsigned char) *b))
	{
		a++;
		b++;
	}
	return (int) pg_ascii_tolower((unsigned char) *a) -
		(int) pg_ascii_tolower((unsigned char) *b);
}

/*
 * evc_auth_next_version
 *		Return the version that the next change of the list makes.
 *
 * After the end of int32 it is 1 again, as if the list were new.
 */
int32
evc_auth_next_version(const EvcCall *call)
{
	int32		version = call->row.auth_list_version;

	return version == PG_INT32_MAX ? 1 : version + 1;
}

/*
 * evc_auth_forget
 *		Forget the entries that left the list, as far as no differential update
 *		is promised to name them.
 *
 * One that a transaction uses stays until that ends: if it comes back before, it
 * is still in use.
 */
void
evc_auth_forget(EvcCall *call)
{
	evc_store_forget_removed_auth(&call->store, call->row.auth_list_kept_from);
}

/*
 * take_version
 *		Make the next version of the list the newest.
 *
 * Now and then it forgets the removed entries that no differential update is
 * promised to name any more; not each time, so that it costs little.
 */
static int32
take_version(EvcCall *call)
{
	EvcChargePoint *row = &call->row;
	int32		version = evc_auth_next_version(call);

	if (version < row->auth_list_version)
	{
		row->auth_list_kept_from = version;
		evc_store_forget_removed_auth(&call->store, PG_INT32_MAX);
		evc_store_renumber_auth(&call->store, version);
	}
	else if ((int64) version - row->auth_list_kept_from >
			 (int64) evc_auth_list_history + evc_auth_list_history / 4)
	{
		row->auth_list_kept_from = version - evc_auth_list_history;
		evc_auth_forget(call);
	}
	row->auth_list_version = version;
	return version;
}

/*
 * evc_auth_add
 *		Put an entry on the list.
 *
 * A tag that was on it before is the same tag, however it was spelled.
 */
void
evc_auth_add(EvcCall *call, EvcAuth *auth)
{
	EvcAuth		removed;

	auth->list_version = take_version(call);
	auth->removed_at = EVC_NO_TIME;
	if (evc_store_read_auth(&call->store, auth->id_tag, &removed))
	{
		/* it may have left the list in the middle of its transaction */
		if (auth->transaction_id == 0)
			auth->transaction_id = removed.transaction_id;
		evc_store_delete_auth(&call->store, removed.id_tag);
	}
	evc_store_insert_auth(&call->store, auth);
	evc_call_event(call, EVC_AUTH_ADDED, EVC_NO_ID,
				   auth->transaction_id > 0 ? auth->transaction_id : EVC_NO_ID,
				   NULL, auth->status, call->now);
}

/*
 * evc_auth_change
 *		Write an entry of the list that was changed.
 */
void
evc_auth_change(EvcCall *call, EvcAuth *auth, const char *old_status)
{
	auth->list_version = take_version(call);
	evc_store_update_auth(&call->store, auth);
	evc_call_event(call, EVC_AUTH_CHANGED, EVC_NO_ID,
				   auth->transaction_id > 0 ? auth->transaction_id : EVC_NO_ID,
				   old_status, auth->status, call->now);
}

/*
 * evc_auth_remove
 *		Take an entry off the list.
 */
void
evc_auth_remove(EvcCall *call, EvcAuth *auth)
{
	auth->list_version = evc_auth_next_version(call);
	auth->removed_at = call->now;
	evc_store_update_auth(&call->store, auth);
	evc_auth_removed(call, auth->status);
}

/*
 * evc_auth_removed
 *		Count and record that an entry, written already, left the list with its
 *		next version.
 */
void
evc_auth_removed(EvcCall *call, const char *status)
{
	take_version(call);
	evc_call_event(call, EVC_AUTH_REMOVED, EVC_NO_ID, EVC_NO_ID,
				   status, NULL, call->now);
}

/*
 * evc_auth_is_accepted
 *		Tell whether an entry authorizes now.
 */
bool
evc_auth_is_accepted(const EvcAuth *auth, TimestampTz now)
{
	return auth->removed_at == EVC_NO_TIME &&
		auth->status != NULL && strcmp(auth->status, "Accepted") == 0 &&
		(auth->expires_at == EVC_NO_TIME || auth->expires_at > now);
}

/*
 * evc_auth_new_tag
 *		Return a random id tag of 20 characters, 100 bits that nobody can guess.
 *
 * No letter of its alphabet can be taken for another or for a digit.
 */
const char *
evc_auth_new_tag(void)
{
	static const char alphabet[33] = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
	unsigned char bytes[EVC_MAX_TAG_LENGTH];
	char	   *tag = palloc(EVC_MAX_TAG_LENGTH + 1);

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate a random id tag")));
	for (int i = 0; i < EVC_MAX_TAG_LENGTH; i++)
		tag[i] = alphabet[bytes[i] & 31];
	tag[EVC_MAX_TAG_LENGTH] = '\0';
	return tag;
}

/*
 * evc_auth_parse_status
 *		Read an AuthorizationStatus in any case; empty is NULL.
 */
bool
evc_auth_parse_status(const char *text, const char **status)
{
	*status = NULL;
	if (*text == '\0')
		return true;
	for (size_t i = 0; i < lengthof(statuses); i++)
		if (pg_strcasecmp(text, statuses[i]) == 0)
			*status = statuses[i];
	return *status != NULL;
}

/*
 * evc_auth_data
 *		Return an entry as SendLocalList carries it: one that was removed has no
 *		IdTagInfo.
 */
Gateway__LocalAuthorizationData *
evc_auth_data(const EvcAuth *auth)
{
	Gateway__LocalAuthorizationData *data = palloc(sizeof(*data));

	gateway__local_authorization_data__init(data);
	data->idtag = unconstify(char *, auth->id_tag);
	if (auth->removed_at == EVC_NO_TIME &&
		(auth->status != NULL || auth->expires_at != EVC_NO_TIME ||
		 auth->parent_id_tag != NULL))
	{
		data->idtaginfo = palloc(sizeof(*data->idtaginfo));
		gateway__id_tag_info__init(data->idtaginfo);
		data->idtaginfo->expirydate =
			unconstify(char *, evc_time_format(auth->expires_at));
		if (auth->parent_id_tag != NULL)
			data->idtaginfo->parentidtag =
				unconstify(char *, auth->parent_id_tag);
		if (auth->status != NULL)
			data->idtaginfo->status = unconstify(char *, auth->status);
	}
	return data;
}

/*
 * read_id_tag_info
 *		Take what an operator says of an entry; what is not said stays.
 */
static void
read_id_tag_info(EvcAuth *auth, const Gateway__IdTagInfo *info)
{
	const char *status;

	if (!evc_auth_parse_status(info->status, &status))
		evc_check_failed("auth_data.idTagInfo.status", info->status,
						 "Allowed are Accepted, Blocked, Expired, Invalid and ConcurrentTx.");
	if (status != NULL)
		auth->status = status;
	else if (auth->status == NULL)
		evc_check_failed("auth_data.idTagInfo.status", "",
						 "A new entry has a status: Accepted, Blocked, Expired, Invalid or ConcurrentTx.");
	auth->expires_at = evc_check_time("auth_data.idTagInfo.expiryDate",
									  info->expirydate);
	evc_check_length("auth_data.idTagInfo.parentIdTag", info->parentidtag,
					 0, EVC_MAX_TAG_LENGTH);
	auth->parent_id_tag = *info->parentidtag ? info->parentidtag : NULL;
}

/*
 * set_entry
 *		Set or remove one entry as an operator wants it.
 */
static void
set_entry(EvcCall *call, EvcAuth *auth, bool live,
		  const Gateway__ConsumerAuthData *data)
{
	EvcAuth		old = *auth;

	if (data->auth_data == NULL || data->auth_data->idtaginfo == NULL)
	{
		if (live)
			evc_auth_remove(call, auth);
		return;
	}
	if (*data->public_key)
		auth->consumer_key = data->public_key;
	read_id_tag_info(auth, data->auth_data->idtaginfo);
	if (!live)
		evc_auth_add(call, auth);
	else if (strcmp(old.status ? old.status : "", auth->status) != 0 ||
			 old.expires_at != auth->expires_at ||
			 strcmp(old.parent_id_tag ? old.parent_id_tag : "",
					auth->parent_id_tag ? auth->parent_id_tag : "") != 0 ||
			 strcmp(old.consumer_key ? old.consumer_key : "",
					auth->consumer_key ? auth->consumer_key : "") != 0)
		evc_auth_change(call, auth, old.status);
}

/*
 * set_authorization(charge_point_id text, message bytea)
 *		Set an entry of the list as an operator wants it.
 *
 * The entry is that of the tag, or without a tag all that the consumer holds;
 * a new one gets a random tag.  Without idTagInfo the entry is removed, as
 * SendLocalList means it (OCPP 1.6 section 5.15).
 */
PG_FUNCTION_INFO_V1(evc_set_authorization);
Datum
evc_set_authorization(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *bytes = evc_arg_bytes(fcinfo, 1, "message");
	Gateway__ConsumerAuthData *data =
		evc_message_unpack(EVC_CONSUMER_AUTH, VARDATA_ANY(bytes),
						   VARSIZE_ANY_EXHDR(bytes));
	const char *tag = data->auth_data ? data->auth_data->idtag : "";
	EvcAuth		fresh = {.expires_at = EVC_NO_TIME, .removed_at = EVC_NO_TIME};
	EvcAuth		auth = fresh;
	EvcCall		call;

	evc_check_length("auth_data.idTag", tag, 0, EVC_MAX_TAG_LENGTH);
	evc_check_length("public_key", data->public_key, 0, EVC_MAX_CONSUMER_KEY);
	if (*tag == '\0' && *data->public_key == '\0')
		evc_check_failed("public_key", "",
						 "An entry has an id tag or a consumer.");

	evc_call_begin(&call, id, false);
	if (!evc_call_lock(&call, (EvcReserve) {.events = 1, .counter = EVC_LIST_VERSIONS}))
		evc_check_failed("charge_point_id", call.id,
						 "There is no such charge point.");

	if (*tag != '\0')
	{
		bool		live = evc_store_read_auth(&call.store, tag, &auth) &&
			auth.removed_at == EVC_NO_TIME;

		if (!live)
		{
			auth = fresh;
			auth.id_tag = tag;
		}
		set_entry(&call, &auth, live, data);
	}
	else
	{
		List	   *entries = evc_store_list_auth_of(&call.store,
													 data->public_key);
		ListCell   *lc;

		foreach(lc, entries)
			set_entry(&call, lfirst(lc), true, data);
		if (entries == NIL)
		{
			auth.id_tag = evc_auth_new_tag();
			set_entry(&call, &auth, false, data);
		}
	}
	evc_call_end(&call);
	PG_RETURN_VOID();
}

/*
 * auth_list_changes(charge_point_id text, since_version int)
 *		Return what OCPP SendLocalList must carry to a charge point that has
 *		the list of a version.
 *
 * Full if that version is 0, unknown, or older than what is kept; a full list
 * without entries is one row without one, because the charge point must still
 * be told.  No row if it has the newest version, as one without a list has of a
 * list that never was.
 */
PG_FUNCTION_INFO_V1(evc_auth_list_changes);
Datum
evc_auth_list_changes(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	int32		since = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	List	   *entries;
	ListCell   *lc;
	bool		full;
	Datum		values[3];
	bool		nulls[3] = {false, false, false};
	EvcCall		call;

	InitMaterializedSRF(fcinfo, 0);
	evc_call_begin(&call, id, true);
	if (!evc_store_read_charge_point(&call.store, &call.row))
		evc_check_failed("charge_point_id", call.id,
						 "There is no such charge point.");

	full = since <= 0 || since < call.row.auth_list_kept_from ||
		since > call.row.auth_list_version;
	entries = full ? evc_store_list_auth(&call.store) :
		evc_store_list_auth_since(&call.store, since);

	values[0] = CStringGetTextDatum(full ? "Full" : "Differential");
	values[1] = Int32GetDatum(call.row.auth_list_version);
	foreach(lc, entries)
	{
		values[2] = PointerGetDatum(evc_message_value(&evc_auth_data(lfirst(lc))->base));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	if (full && entries == NIL && (call.row.auth_list_version > 0 || since > 0))
	{
		nulls[2] = true;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	evc_store_end(&call.store);
	return (Datum) 0;
}
