/*
 * report.c
 *		Reports of charge points: boot, status, transactions, progress, log.
 *
 * What a charge point reports has happened, so it is recorded whatever it says
 * (OCPP 1.6 forbids a central system to refuse it).  What is odd about it
 * becomes an anomaly.  Only malformed bytes are an error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "common/shortest_dec.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "auth.h"
#include "check.h"
#include "errors.h"
#include "fsm.h"
#include "guc.h"
#include "report.h"
#include "set.h"
#include "transaction.h"

/*
 * require_known
 *		Raise an error if the charge point of an operator's call is unknown.
 */
static void
require_known(EvcCall *call, bool known)
{
	if (!known)
		evc_check_failed("charge_point_id", call->id,
						 "There is no such charge point.");
}

/*
 * boot
 *		Record a BootNotificationRequestData; the answer says what the charge
 *		point may do (OCPP 1.6 section 4.2).
 */
static bytea *
boot(text *id, const void *bytes, size_t len)
{
	Gateway__BootNotificationRequestData *data =
		evc_message_unpack(EVC_BOOT_NOTIFICATION_REQUEST, bytes, len);
	const char *fields[EVC_BOOT_FIELDS] = {
		data->charge_box_serial_number, data->charge_point_model,
		data->charge_point_serial_number, data->charge_point_vendor,
		data->firmware_version, data->iccid, data->imsi,
		data->meter_serial_number, data->meter_type,
	};
	Gateway__LogData answer = GATEWAY__LOG_DATA__INIT;
	Gateway__Response resp = GATEWAY__RESPONSE__INIT;
	EvcCall		call;

	evc_call_begin(&call, id, false);
	evc_call_lock_report(&call, 1, true);
	for (int i = 0; i < EVC_BOOT_FIELDS; i++)
		if (*fields[i] == '\0')
			fields[i] = NULL;
	evc_store_update_boot(&call.store, fields, call.now);
	evc_call_event(&call, EVC_BOOTED, EVC_NO_ID, EVC_NO_ID,
				   NULL, call.row.registration, call.now);

	answer.current_time = unconstify(char *, evc_time_format(call.now));
	answer.resp = &resp;
	resp.error = strcmp(call.row.registration, "Accepted") != 0;
	resp.message = unconstify(char *, call.row.registration);
	return evc_call_answer(&call, &answer.base);
}

/*
 * is_late
 *		Tell whether a report is older than what is known already.
 */
static bool
is_late(TimestampTz at, TimestampTz newest)
{
	return newest != EVC_NO_TIME && at < newest;
}

/*
 * record_status
 *		Record a change of status.
 */
static void
record_status(EvcCall *call, int32 connector_id, const char *old_status,
			  const char *status, TimestampTz at)
{
	evc_call_event(call,
				   connector_id == 0 ? EVC_CHARGE_POINT_STATUS :
				   EVC_CONNECTOR_STATUS,
				   connector_id == 0 ? EVC_NO_ID : connector_id, EVC_NO_ID,
				   old_status, status, at);
}

/*
 * record_late_status
 *		Record a status that is older than the newest report: it goes to
 *		history only, and only once.
 *
 * If it falls between the beginning of the newest status and a repetition of
 * that, the history needs the repetition too, or it would end with the late one.
 */
static void
record_late_status(EvcCall *call, int32 connector_id, const char *status,
				   TimestampTz at, const char *newest, TimestampTz since,
				   TimestampTz reported_at)
{
	if (evc_store_has_status_event(&call->store, connector_id, at, status))
		return;
	record_status(call, connector_id, NULL, status, at);
	if (newest != NULL && at >= since && strcmp(status, newest) != 0)
		record_status(call, connector_id, status, newest, reported_at);
}

/*
 * is_repeated
 *		Tell whether a status of the same time as the newest report was reported
 *		before.
 *
 * Without a time of its own a report has that of the transaction, as others in
 * it may have; they are no repetitions.
 */
static bool
is_repeated(EvcCall *call, int32 connector_id, EvcStatus status,
			TimestampTz at, TimestampTz newest)
{
	return at == newest && at != GetCurrentTransactionStartTimestamp() &&
		evc_store_has_status_event(&call->store, connector_id, at,
								   evc_fsm_name(status));
}

/*
 * report_whole_status
 *		Record the status of connector 0, which is the charge point itself.
 */
static void
report_whole_status(EvcCall *call, EvcStatus status, TimestampTz at)
{
	EvcChargePoint *row = &call->row;
	EvcStatus	old = evc_fsm_parse_name(row->status);
	bool		late = is_late(at, row->status_reported_at) ||
		is_repeated(call, 0, status, at, row->status_reported_at);

	if (!evc_fsm_whole_status(status) && (late || status != old))
		evc_call_anomaly(call, "status_not_allowed", EVC_NO_ID, EVC_NO_ID,
						 evc_fsm_name(status), at,
						 "A charge point as a whole is Available, Unavailable or Faulted.");
	if (late)
	{
		record_late_status(call, 0, evc_fsm_name(status), at, row->status,
						   row->status_since, row->status_reported_at);
		return;
	}

	call->changed = true;
	row->status_reported_at = at;
	if (status != old)
	{
		record_status(call, 0, row->status, evc_fsm_name(status), at);
		row->status = evc_fsm_name(status);
		row->status_since = at;
	}
}

/*
 * ensure_connector
 *		Read a connector, and make it if this is the first that is heard of it.
 */
static void
ensure_connector(EvcCall *call, int32 connector_id, EvcConnector *connector,
				 TimestampTz at)
{
	if (evc_store_read_connector(&call->store, connector_id, connector))
		return;
	*connector = (EvcConnector) {
		.connector_id = connector_id,
		.status_since = EVC_NO_TIME,
		.reported_at = EVC_NO_TIME,
	};
	evc_store_insert_connector(&call->store, connector);
	evc_call_event(call, EVC_CONNECTOR_ADDED, connector_id, EVC_NO_ID,
				   NULL, NULL, at);
}

/*
 * report_connector_status
 *		Record the status of a connector; say whether it came in time.
 */
static bool
report_connector_status(EvcCall *call, int32 connector_id, EvcStatus status,
						TimestampTz at)
{
	EvcConnector connector;
	EvcStatus	old;
	EvcTransition transition;

	ensure_connector(call, connector_id, &connector, at);
	if (is_late(at, connector.reported_at) ||
		is_repeated(call, connector_id, status, at, connector.reported_at))
	{
		record_late_status(call, connector_id, evc_fsm_name(status), at,
						   connector.status, connector.status_since,
						   connector.reported_at);
		return false;
	}

	old = evc_fsm_parse_name(connector.status);
	transition = evc_fsm_judge(old, status);
	if (transition == EVC_REPEATED && connector.reported_at == at)
		return true;

	connector.reported_at = at;
	if (transition != EVC_REPEATED)
	{
		record_status(call, connector_id, connector.status,
					  evc_fsm_name(status), at);
		if (transition == EVC_ODD)
			evc_call_anomaly(call, "transition_not_allowed", connector_id,
							 EVC_NO_ID, evc_fsm_name(status), at,
							 "OCPP 1.6 section 4.9 has no transition from %s to %s.",
							 evc_fsm_name(old), evc_fsm_name(status));
		connector.status_before_fault =
			status == EVC_FAULTED ? connector.status : NULL;
		connector.status = evc_fsm_name(status);
		connector.status_since = at;
	}
	evc_store_update_connector(&call->store, &connector);
	return true;
}

/*
 * check_current_transaction
 *		Flag a connector that has another transaction than is open on it here.
 */
static void
check_current_transaction(EvcCall *call, const Gateway__ConnectorInfo *info,
						  TimestampTz at)
{
	EvcConnector connector;

	if (info->current_transaction <= 0 ||
		(evc_store_read_connector(&call->store, info->id, &connector) &&
		 connector.transaction_id == info->current_transaction))
		return;
	evc_call_anomaly(call, "transaction_mismatch", info->id,
					 info->current_transaction, NULL, at,
					 "The connector reports transaction %d, which is not the open one here.",
					 info->current_transaction);
}

/*
 * report_connector
 *		Record a ConnectorInfo, OCPP's StatusNotification (section 4.9).
 */
static void
report_connector(text *id, const void *bytes, size_t len,
				 const EvcReportContext *context)
{
	Gateway__ConnectorInfo *info =
		evc_message_unpack(EVC_CONNECTOR_INFO, bytes, len);
	EvcStatus	status = evc_fsm_parse(info->status);
	TimestampTz at = context->at;
	EvcCall		call;

	evc_call_begin_report(&call, id, context->point);
	evc_call_lock_report(&call, 1, false);

	if (info->id < 0)
		evc_call_anomaly(&call, "connector_id_invalid", info->id, EVC_NO_ID,
						 info->status, at,
						 "A connector is numbered from 1, the charge point itself is 0.");
	else if (status == EVC_STATUS_NONE)
		evc_call_anomaly(&call, "unknown_status",
						 info->id == 0 ? EVC_NO_ID : info->id, EVC_NO_ID,
						 info->status, at,
						 "OCPP 1.6 section 7.7 has no such status.");
	else if (info->id == 0)
		report_whole_status(&call, status, at);
	else if (report_connector_status(&call, info->id, status, at))
		check_current_transaction(&call, info, at);
	evc_call_end(&call);
}

/*
 * read_time
 *		Read a time of a report; one that cannot be read is odd, and no time.
 */
static TimestampTz
read_time(EvcCall *call, const char *field, const char *value,
		  int32 connector_id, int32 transaction_id)
{
	TimestampTz time;

	if (!evc_time_parse(value, &time))
		evc_call_anomaly(call, "unreadable_time", connector_id,
						 transaction_id, value, EVC_NO_TIME,
						 "%s is not an RFC 3339 time.", field);
	return time;
}

/*
 * known_id
 *		Return an id of the wire, where zero and below mean none.
 */
static int32
known_id(int32 id)
{
	return id > 0 ? id : EVC_NO_ID;
}

/*
 * same_tag
 *		Compare id tags as OCPP does, without case.
 */
static bool
same_tag(const char *a, const char *b)
{
	return evc_auth_compare_tags(a ? a : "", b ? b : "") == 0;
}

/*
 * says_tag
 *		Tell whether a report is of the tag of a transaction, or of none.
 */
static bool
says_tag(const Gateway__TransactionInfo *info,
		 const EvcTransaction *transaction)
{
	return *info->id_tag == '\0' ||
		same_tag(transaction->id_tag, info->id_tag);
}

/*
 * is_repetition
 *		Tell whether a start without id and time says again what is open.
 */
static bool
is_repetition(const EvcTransaction *open, const Gateway__TransactionInfo *info)
{
	return says_tag(info, open) &&
		(info->start_meter == 0 || open->start_meter == info->start_meter);
}

/*
 * find_ended
 *		Find the transaction of an end that names neither it nor its connector:
 *		the only open one of the charge point that it can be.
 */
static bool
find_ended(EvcCall *call, const Gateway__TransactionInfo *info,
		   TimestampTz started_at, EvcTransaction *transaction)
{
	int			count = 0;
	ListCell   *lc;

	foreach(lc, evc_store_list_open_transactions(&call->store))
	{
		EvcTransaction *open = lfirst(lc);

		if (says_tag(info, open) &&
			(started_at == EVC_NO_TIME || open->started_at == started_at ||
			 open->confirmed_at == EVC_NO_TIME))
		{
			*transaction = *open;
			count++;
		}
	}
	return count == 1;
}

/*
 * find_transaction
 *		Find the transaction that a report is about.
 *
 * A charge point that lost the answer to its start reports without an id.
 * Then it is the one that started, or ended, on that connector at that time; or
 * the open one: for an end any, for a start one that was requested for the same
 * tag and that the charge point has not confirmed yet.  OCPP's StopTransaction
 * does not even name the connector.
 */
static bool
find_transaction(EvcCall *call, const Gateway__TransactionInfo *info,
				 TimestampTz started_at, TimestampTz ended_at,
				 EvcTransaction *transaction)
{
	int32		connector_id = Max(info->connector_id, 0);

	if (info->id > 0)
		return evc_store_read_transaction(&call->store, info->id,
										  transaction);

	if (started_at != EVC_NO_TIME)
	{
		if (evc_store_transaction_started(&call->store, connector_id,
										  started_at, transaction) &&
			(connector_id != 0 || says_tag(info, transaction)))
			return true;
	}
	else if (ended_at != EVC_NO_TIME &&
			 evc_store_transaction_ended(&call->store, connector_id,
										 ended_at, transaction) &&
			 (connector_id != 0 || says_tag(info, transaction)))
		return true;
	if (connector_id == 0 && ended_at != EVC_NO_TIME)
		return find_ended(call, info, started_at, transaction);

	if (!evc_store_find_open_transaction(&call->store, connector_id,
										 transaction))
		return false;
	if (ended_at != EVC_NO_TIME)
		return started_at == EVC_NO_TIME ||
			transaction->confirmed_at == EVC_NO_TIME;
	if (transaction->confirmed_at == EVC_NO_TIME)
		return says_tag(info, transaction);
	return started_at == EVC_NO_TIME && is_repetition(transaction, info);
}

/*
 * end_the_open_one
 *		Make room for a transaction that starts while another is open on its
 *		connector: the one that started first has ended when the other started.
 *
 * Its end meter is not known; a later report of its end still tells.
 */
static void
end_the_open_one(EvcCall *call, EvcTransaction *transaction)
{
	EvcTransaction open;
	const EvcTransaction *older = &open;
	const EvcTransaction *newer = transaction;

	if (!evc_store_find_open_transaction(&call->store,
									   transaction->connector_id, &open))
		return;

	if (open.started_at != EVC_NO_TIME &&
		transaction->started_at < open.started_at)
	{
		older = transaction;
		newer = &open;
		transaction->ended_at = open.started_at;
		transaction->stop_reason = "Other";
		transaction->forced = true;
	}
	else
	{
		TimestampTz at = Max(transaction->started_at, open.started_at);

		evc_transaction_end(call, &open, at != EVC_NO_TIME ? at : call->now,
							EVC_NO_METER, "Other", true);
	}

	evc_call_anomaly(call, "transaction_overlap", open.connector_id,
					 known_id(older->transaction_id), NULL, newer->started_at,
					 "Transaction %d was still open when transaction %d started on the same connector.",
					 older->transaction_id, newer->transaction_id);
}

/*
 * find_entry
 *		Find the entry of a reported tag; a tag that does not authorize is odd.
 */
static EvcAuth *
find_entry(EvcCall *call, EvcTransaction *transaction, EvcAuth *auth)
{
	if (transaction->id_tag == NULL)
		return NULL;
	if (!evc_store_read_auth(&call->store, transaction->id_tag, auth) ||
		!evc_auth_is_accepted(auth, call->now))
	{
		evc_call_anomaly(call, "id_tag_not_authorized",
						 known_id(transaction->connector_id),
						 known_id(transaction->transaction_id), NULL,
						 transaction->started_at,
						 "The charge point started a transaction for an id tag that is not Accepted on its list.");
		return NULL;
	}
	transaction->consumer_key = auth->consumer_key;
	return auth->transaction_id == 0 ? auth : NULL;
}

/*
 * new_transaction
 *		Record a transaction that nobody knew of.
 */
static int32
new_transaction(EvcCall *call, const Gateway__TransactionInfo *info,
				TimestampTz started_at, TimestampTz ended_at)
{
	EvcTransaction transaction = EVC_NO_TRANSACTION;
	EvcConnector connector;
	EvcAuth		auth;
	EvcAuth    *entry;
	bool		closed = ended_at != EVC_NO_TIME;

	transaction.transaction_id = Max(info->id, 0);
	transaction.connector_id = Max(info->connector_id, 0);
	transaction.id_tag = *info->id_tag ? info->id_tag : NULL;
	transaction.started_at = started_at != EVC_NO_TIME ? started_at :
		closed ? ended_at : call->now;
	if (started_at != EVC_NO_TIME || info->start_meter != 0)
		transaction.start_meter = info->start_meter;
	transaction.confirmed_at = call->now;
	if (info->progress != NULL)
		evc_transaction_set_progress(&transaction, info->progress,
									 closed ? ended_at :
									 transaction.started_at);

	if (info->id <= 0)
		evc_call_anomaly(call, "no_transaction_id",
						 known_id(info->connector_id), EVC_NO_ID, NULL,
						 transaction.started_at,
						 "The charge point reports a transaction without an id, and none that it could be is known.");
	if (transaction.connector_id > 0)
		ensure_connector(call, transaction.connector_id, &connector,
						 transaction.started_at);
	else
		evc_call_anomaly(call, "connector_id_invalid", EVC_NO_ID,
						 known_id(info->id),
						 psprintf("%d", info->connector_id),
						 transaction.started_at,
						 "The charge point does not say on which connector the transaction is.");

	if (transaction.transaction_id == 0)
		evc_transaction_take_id(call, &transaction);
	if (closed)
	{
		transaction.ended_at = ended_at;
		transaction.end_meter = info->end_meter;
		transaction.stop_reason = "Local";
	}
	else
		end_the_open_one(call, &transaction);

	entry = find_entry(call, &transaction, &auth);
	evc_transaction_open(call, &transaction, entry);
	if (transaction.ended_at != EVC_NO_TIME)
	{
		evc_call_event(call, EVC_TRANSACTION_ENDED, transaction.connector_id,
					   transaction.transaction_id, NULL,
					   transaction.stop_reason, transaction.ended_at);
		evc_transaction_check_reading(call, &transaction);
	}
	return transaction.transaction_id;
}

/*
 * learn_connector
 *		Take from a report on which connector a transaction is that came without
 *		one: OCPP's StopTransaction has none, and may come before the start.
 */
static void
learn_connector(EvcCall *call, EvcTransaction *transaction,
				int32 connector_id)
{
	EvcConnector connector;

	ensure_connector(call, connector_id, &connector, transaction->started_at);
	transaction->connector_id = connector_id;
	if (transaction->ended_at == EVC_NO_TIME)
		end_the_open_one(call, transaction);
	if (transaction->ended_at == EVC_NO_TIME)
		evc_transaction_tie(call, transaction);
}

/*
 * goes_on
 *		Open a transaction again that was ended because nobody had confirmed it;
 *		false if its connector has another one.
 */
static bool
goes_on(EvcCall *call, EvcTransaction *transaction)
{
	EvcConnector connector;

	if (transaction->connector_id <= 0)
		return false;
	ensure_connector(call, transaction->connector_id, &connector,
					 transaction->started_at);
	return evc_transaction_reopen(call, transaction);
}

/*
 * amend
 *		Take from a report what it says of a transaction that is known.
 *
 * An empty time and what belongs to it are not said: a repeated start does not
 * reopen what has ended, nor does an end forget the start.
 */
static void
amend(EvcCall *call, EvcTransaction *transaction,
	  const Gateway__TransactionInfo *info,
	  TimestampTz started_at, TimestampTz ended_at)
{
	EvcTransaction was = *transaction;
	TimestampTz at = ended_at != EVC_NO_TIME ? ended_at : started_at;
	bool		amended = false;
	bool		confirmed = was.confirmed_at == EVC_NO_TIME;

	if (started_at != EVC_NO_TIME)
	{
		amended |= transaction->started_at != started_at ||
			transaction->start_meter != info->start_meter;
		transaction->started_at = started_at;
		transaction->start_meter = info->start_meter;
	}
	else if (confirmed && ended_at == EVC_NO_TIME && info->start_meter != 0)
	{
		transaction->start_meter = info->start_meter;
		amended = true;
	}
	if (info->connector_id > 0 && transaction->connector_id <= 0)
	{
		learn_connector(call, transaction, info->connector_id);
		amended = true;
	}
	else if (info->connector_id > 0 &&
			 info->connector_id != transaction->connector_id)
		evc_call_anomaly_once(call, "transaction_mismatch", transaction,
							  psprintf("%d", info->connector_id), at,
							  "Transaction %d is on connector %d, but is reported of connector %d.",
							  transaction->transaction_id,
							  transaction->connector_id, info->connector_id);
	if (*info->id_tag != '\0')
	{
		if (transaction->id_tag == NULL)
		{
			transaction->id_tag = info->id_tag;
			amended = true;
		}
		else if (!same_tag(transaction->id_tag, info->id_tag))
			evc_call_anomaly_once(call, "id_tag_mismatch", transaction, NULL, at,
								  "Transaction %d was started for another id tag than the charge point reports.",
								  transaction->transaction_id);
	}
	if (info->progress != NULL && !is_late(at, was.progress.at))
		amended |= evc_transaction_set_progress(transaction, info->progress,
												at);
	if (confirmed)
		transaction->confirmed_at = call->now;

	if (ended_at != EVC_NO_TIME && was.ended_at == EVC_NO_TIME)
	{
		if (amended || confirmed)
			evc_store_update_transaction(&call->store, transaction);
		if (confirmed)
			evc_call_event(call, EVC_TRANSACTION_CONFIRMED,
						   transaction->connector_id,
						   transaction->transaction_id, NULL, NULL,
						   transaction->started_at);
		evc_transaction_end(call, transaction, ended_at, info->end_meter,
							"Local", false);
		return;
	}
	if (ended_at != EVC_NO_TIME)
	{
		/* it had ended by request or by force: now the charge point tells */
		amended |= transaction->ended_at != ended_at ||
			transaction->end_meter != info->end_meter || transaction->forced;
		transaction->ended_at = ended_at;
		transaction->end_meter = info->end_meter;
		if (transaction->forced)
			transaction->stop_reason = "Local";
		transaction->forced = false;
	}

	if (!amended && !confirmed)
		return;
	if (!(confirmed && was.forced && ended_at == EVC_NO_TIME &&
		  goes_on(call, transaction)))
		evc_store_update_transaction(&call->store, transaction);
	evc_call_event(call, confirmed ? EVC_TRANSACTION_CONFIRMED :
				   EVC_TRANSACTION_AMENDED, transaction->connector_id,
				   transaction->transaction_id, NULL, NULL,
				   ended_at != EVC_NO_TIME ? ended_at :
				   transaction->started_at);
	if (was.ended_at == EVC_NO_TIME && transaction->ended_at != EVC_NO_TIME)
		evc_transaction_close(call, transaction);
	if (amended)
		evc_transaction_check_reading(call, transaction);
}

/*
 * report_transaction
 *		Record a TransactionInfo, OCPP's StartTransaction and StopTransaction
 *		(sections 4.8 and 4.10) as they happened; return the transaction id.
 */
static int32
report_transaction(text *id, const void *bytes, size_t len)
{
	Gateway__TransactionInfo *info =
		evc_message_unpack(EVC_TRANSACTION_INFO, bytes, len);
	EvcTransaction transaction;
	TimestampTz started_at;
	TimestampTz ended_at;
	bool		unreadable;
	int32		transaction_id;
	EvcCall		call;

	evc_call_begin(&call, id, false);
	evc_call_lock_report(&call, 1, false);

	started_at = read_time(&call, "start_time", info->start_time,
						   known_id(info->connector_id), known_id(info->id));
	ended_at = read_time(&call, "end_time", info->end_time,
						 known_id(info->connector_id), known_id(info->id));
	/* an end whose time cannot be read has happened all the same */
	unreadable = ended_at == EVC_NO_TIME && *info->end_time != '\0';
	if (unreadable)
		ended_at = call.now;

	if (find_transaction(&call, info, started_at, ended_at, &transaction))
	{
		if (unreadable && transaction.ended_at != EVC_NO_TIME)
			ended_at = transaction.ended_at;
		amend(&call, &transaction, info, started_at, ended_at);
		transaction_id = transaction.transaction_id;
	}
	else
		transaction_id = new_transaction(&call, info, started_at, ended_at);
	evc_call_end(&call);
	return transaction_id;
}

/*
 * find_progressing
 *		Find the transaction of a progress.
 *
 * Without an id it is the open one of the charge point, if there is just one.
 */
static bool
find_progressing(EvcCall *call, int32 transaction_id,
				 EvcTransaction *transaction)
{
	List	   *open;

	if (transaction_id > 0)
		return evc_store_read_transaction(&call->store, transaction_id,
										  transaction);
	open = evc_store_list_open_transactions(&call->store);
	if (list_length(open) != 1)
		return false;
	*transaction = *(EvcTransaction *) linitial(open);
	return true;
}

/*
 * offered_text
 *		Write what a charge point offers, as in "16 A, 230.5 V".
 */
static char *
offered_text(const Gateway__EVChargingStatusData *data)
{
	char		current[FLOAT_SHORTEST_DECIMAL_LEN];
	char		voltage[FLOAT_SHORTEST_DECIMAL_LEN];

	float_to_shortest_decimal_buf(data->current_offered, current);
	float_to_shortest_decimal_buf(data->voltage_offered, voltage);
	return psprintf("%s%s%s, %s%s%s",
					current, *data->current_unit ? " " : "",
					data->current_unit,
					voltage, *data->voltage_unit ? " " : "",
					data->voltage_unit);
}

/*
 * report_progress
 *		Record an EVChargingStatusData, OCPP's MeterValues (section 4.7).
 */
static void
report_progress(text *id, const void *bytes, size_t len,
				const EvcReportContext *context)
{
	Gateway__EVChargingStatusData *data =
		evc_message_unpack(EVC_EV_CHARGING_STATUS, bytes, len);
	int32		transaction_id = context->transaction_id;
	TimestampTz at = context->at;
	EvcTransaction transaction = EVC_NO_TRANSACTION;
	EvcTransaction sample = EVC_NO_TRANSACTION;
	bool		found;
	EvcCall		call;

	evc_call_begin_report(&call, id, context->point);
	evc_call_lock_report(&call, 1, false);

	found = find_progressing(&call, transaction_id, &transaction);
	evc_transaction_set_progress(&sample, data, at);
	evc_store_insert_sample(&call.store,
							found ? transaction.transaction_id :
							Max(transaction_id, 0), &sample.progress);

	if (!found)
		evc_call_anomaly(&call, "unknown_transaction", EVC_NO_ID,
						 known_id(transaction_id),
						 psprintf("%d", transaction_id), at,
						 "The charge point reports progress of a transaction that is not known.");
	else if (transaction.ended_at != EVC_NO_TIME && at > transaction.ended_at)
		evc_call_anomaly_once(&call, "transaction_closed", &transaction, NULL, at,
							  "The charge point reports progress of transaction %d after its end.",
							  transaction.transaction_id);
	else if (!is_late(at, transaction.progress.at) &&
			 evc_transaction_set_progress(&transaction, data, at))
	{
		evc_store_update_transaction(&call.store, &transaction);
		evc_call_event(&call, EVC_TRANSACTION_PROGRESS,
					   transaction.connector_id, transaction.transaction_id,
					   NULL, offered_text(data), at);
	}
	evc_call_end(&call);
}

/*
 * report_log
 *		Record a LogData of the charge point's log; what came with the same time
 *		before is a repetition.
 */
static void
report_log(text *id, const void *bytes, size_t len)
{
	Gateway__LogData *data = evc_message_unpack(EVC_LOG, bytes, len);
	bool		is_error = data->resp != NULL && data->resp->error;
	const char *message = data->resp != NULL ? data->resp->message : "";
	TimestampTz logged_at;
	int64		event_id;
	EvcCall		call;

	evc_call_begin(&call, id, false);
	evc_call_lock_report(&call, 1, false);
	logged_at = read_time(&call, "current_time", data->current_time,
						  EVC_NO_ID, EVC_NO_ID);
	if (logged_at == EVC_NO_TIME ||
		!evc_store_has_log(&call.store, logged_at, is_error, message))
	{
		if (logged_at == EVC_NO_TIME)
			logged_at = call.now;
		event_id = evc_call_event(&call, EVC_LOGGED, EVC_NO_ID, EVC_NO_ID,
								  NULL, is_error ? "error" : NULL, logged_at);
		evc_store_insert_log(&call.store, event_id, logged_at, is_error,
							 message, call.now);
	}
	evc_call_end(&call);
}

/*
 * evc_report_is_one
 *		Tell whether messages of a type are reports.
 */
bool
evc_report_is_one(EvcType type)
{
	return type == EVC_BOOT_NOTIFICATION_REQUEST ||
		type == EVC_CONNECTOR_INFO || type == EVC_TRANSACTION_INFO ||
		type == EVC_EV_CHARGING_STATUS || type == EVC_LOG;
}

/*
 * evc_report
 *		Record a report of any type.
 */
bytea *
evc_report(EvcType type, text *id, const void *bytes, size_t len,
		   const EvcReportContext *context)
{
	switch (type)
	{
		case EVC_BOOT_NOTIFICATION_REQUEST:
			return boot(id, bytes, len);
		case EVC_CONNECTOR_INFO:
			report_connector(id, bytes, len, context);
			break;
		case EVC_TRANSACTION_INFO:
			report_transaction(id, bytes, len);
			break;
		case EVC_EV_CHARGING_STATUS:
			report_progress(id, bytes, len, context);
			break;
		case EVC_LOG:
			report_log(id, bytes, len);
			break;
		default:
			elog(ERROR, "message type %d is no report", type);
	}
	return NULL;
}

/*
 * evc_report_fits_set
 *		Tell whether a report can be in a set.
 *
 * It can if what it is decided by can be named before anything is read, and it
 * changes nothing else: the two reports of which there are many.
 */
bool
evc_report_fits_set(EvcType type, const EvcReportContext *context)
{
	return type == EVC_CONNECTOR_INFO ||
		(type == EVC_EV_CHARGING_STATUS && context->transaction_id > 0);
}

/*
 * evc_report_name
 *		Name to its set the rows that a report is decided by.
 */
void
evc_report_name(EvcType type, const void *bytes, size_t len,
				const EvcReportContext *context)
{
	Gateway__ConnectorInfo *info;

	Assert(evc_report_fits_set(type, context));
	if (type == EVC_EV_CHARGING_STATUS)
		evc_set_name_transaction(context->point, context->transaction_id);
	else
	{
		info = evc_message_unpack(EVC_CONNECTOR_INFO, bytes, len);
		if (info->id > 0)
			evc_set_name_connector(context->point, info->id);
	}
}

/*
 * boot_notification(charge_point_id text, message bytea) -> bytea
 */
PG_FUNCTION_INFO_V1(evc_boot_notification);
Datum
evc_boot_notification(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *message = evc_arg_bytes(fcinfo, 1, "message");

	PG_RETURN_BYTEA_P(boot(id, VARDATA_ANY(message),
						   VARSIZE_ANY_EXHDR(message)));
}

/*
 * report_connector(charge_point_id text, message bytea, at timestamptz)
 */
PG_FUNCTION_INFO_V1(evc_report_connector);
Datum
evc_report_connector(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *message = evc_arg_bytes(fcinfo, 1, "message");
	EvcReportContext context = {.at = evc_arg_time(fcinfo, 2)};

	report_connector(id, VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
					 &context);
	PG_RETURN_VOID();
}

/*
 * report_transaction(charge_point_id text, message bytea) -> int
 */
PG_FUNCTION_INFO_V1(evc_report_transaction);
Datum
evc_report_transaction(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *message = evc_arg_bytes(fcinfo, 1, "message");

	PG_RETURN_INT32(report_transaction(id, VARDATA_ANY(message),
									   VARSIZE_ANY_EXHDR(message)));
}

/*
 * report_progress(charge_point_id text, transaction_id int, message bytea,
 *				   at timestamptz)
 */
PG_FUNCTION_INFO_V1(evc_report_progress);
Datum
evc_report_progress(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *message = evc_arg_bytes(fcinfo, 2, "message");
	EvcReportContext context = {
		.at = evc_arg_time(fcinfo, 3),
		.transaction_id = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1),
	};

	report_progress(id, VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
					&context);
	PG_RETURN_VOID();
}

/*
 * report_log(charge_point_id text, message bytea)
 */
PG_FUNCTION_INFO_V1(evc_report_log);
Datum
evc_report_log(PG_FUNCTION_ARGS)
{
	text	   *id = evc_arg_id(fcinfo, 0);
	bytea	   *message = evc_arg_bytes(fcinfo, 1, "message");

	report_log(id, VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message));
	PG_RETURN_VOID();
}

/*
 * heartbeat(charge_point_id text) -> timestamptz
 *		Record a sign of life; return the time, as Heartbeat.conf carries it
 *		(OCPP 1.6 section 4.6).
 */
PG_FUNCTION_INFO_V1(evc_heartbeat);
Datum
evc_heartbeat(PG_FUNCTION_ARGS)
{
	EvcCall		call;

	evc_call_begin(&call, evc_arg_id(fcinfo, 0), false);
	evc_call_lock_report(&call, 0, false);
	evc_call_end(&call);
	PG_RETURN_TIMESTAMPTZ(call.now);
}

/*
 * set_registration(charge_point_id text, status text)
 *		Decide whether a charge point may take part.
 */
PG_FUNCTION_INFO_V1(evc_set_registration);
Datum
evc_set_registration(PG_FUNCTION_ARGS)
{
	static const char *const names[] = {"Accepted", "Pending", "Rejected"};
	text	   *id = evc_arg_id(fcinfo, 0);
	const char *wanted = PG_ARGISNULL(1) ? "" :
		text_to_cstring(PG_GETARG_TEXT_PP(1));
	const char *registration = NULL;
	EvcCall		call;

	for (size_t i = 0; i < lengthof(names); i++)
		if (pg_strcasecmp(wanted, names[i]) == 0)
			registration = names[i];
	if (registration == NULL)
		evc_check_failed("status", wanted,
						 "Allowed are Accepted, Pending and Rejected.");

	evc_call_begin(&call, id, false);
	require_known(&call, evc_call_lock(&call, (EvcReserve) {.events = 1}));
	if (strcmp(call.row.registration, registration) != 0)
	{
		evc_call_event(&call, EVC_REGISTRATION_CHANGED, EVC_NO_ID, EVC_NO_ID,
					   call.row.registration, registration, call.now);
		call.row.registration = registration;
		call.changed = true;
	}
	evc_call_end(&call);
	PG_RETURN_VOID();
}
