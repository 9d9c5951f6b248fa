/*
 * transaction.h
 *		What opens, amends and ends a transaction, whoever asks for it.
 */
#ifndef EVC_TRANSACTION_H
#define EVC_TRANSACTION_H

#include "call.h"

/* "not known yet": no row has this id */
#define EVC_NO_TRANSACTION ((EvcTransaction) { \
	.started_at = EVC_NO_TIME, .confirmed_at = EVC_NO_TIME, \
	.ended_at = EVC_NO_TIME, .start_meter = EVC_NO_METER, \
	.end_meter = EVC_NO_METER, .progress.at = EVC_NO_TIME})

extern void evc_transaction_take_id(EvcCall *call,
									EvcTransaction *transaction);
extern void evc_transaction_insert(EvcCall *call,
								   const EvcTransaction *transaction,
								   const char *id_tag);
extern void evc_transaction_open(EvcCall *call,
								 const EvcTransaction *transaction,
								 const EvcAuth *auth);
extern bool evc_transaction_start(EvcCall *call, EvcTransaction *transaction);
extern void evc_transaction_close(EvcCall *call, EvcTransaction *transaction);
extern bool evc_transaction_stop(EvcCall *call, EvcTransaction *transaction);
extern void evc_transaction_tie(EvcCall *call,
								const EvcTransaction *transaction);
extern bool evc_transaction_reopen(EvcCall *call,
								   EvcTransaction *transaction);
extern void evc_transaction_end(EvcCall *call, EvcTransaction *transaction,
								TimestampTz ended_at, int64 end_meter,
								const char *reason, bool forced);
extern void evc_transaction_check_reading(EvcCall *call,
										  const EvcTransaction *transaction);
extern bool evc_transaction_set_progress(EvcTransaction *transaction,
										 const Gateway__EVChargingStatusData *data,
										 TimestampTz at);
extern Gateway__TransactionInfo *evc_transaction_info(const EvcTransaction *transaction);

#endif							/* EVC_TRANSACTION_H */
