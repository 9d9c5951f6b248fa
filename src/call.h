/*
 * call.h
 *		What every call that touches the tables goes through.
 *
 *		evc_call_begin	arguments are checked, SQL is open
 *		evc_call_lock	the charge point is ours until the transaction ends
 *		...				rows are read, decided upon, written; events recorded
 *		evc_call_end	the counters are settled, SQL is closed
 *
 * Here store.c, which writes events, and notify.c, which announces them, meet.
 */
#ifndef EVC_CALL_H
#define EVC_CALL_H

#include "fmgr.h"
#include "message.h"
#include "rfc3339.h"
#include "store.h"

typedef struct EvcCall
{
	EvcStore	store;
	const char *id;				/* charge_point_id */
	TimestampTz now;			/* when the call began, once for all rows */
	EvcChargePoint row;			/* of the charge point, from the lock on */
	bool		changed;		/* row differs from the table in more than the
								 * counters */
	EvcChargePoint locked;		/* row as the lock wrote it */
	MemoryContext caller;		/* where results go */
} EvcCall;

/*
 * Arguments.  NULL is an error: a strict function would return NULL instead,
 * and a report be lost in silence.
 */
extern void evc_arg_required(FunctionCallInfo fcinfo, int arg,
							 const char *name);
extern text *evc_arg_id(FunctionCallInfo fcinfo, int arg);
extern bytea *evc_arg_bytes(FunctionCallInfo fcinfo, int arg, const char *name);
extern TimestampTz evc_arg_time(FunctionCallInfo fcinfo, int arg);

extern void evc_call_begin(EvcCall *call, text *id, bool read_only);
extern void evc_call_begin_report(EvcCall *call, text *id,
								  struct EvcSetPoint *point);
extern bool evc_call_lock(EvcCall *call, EvcReserve reserve);
extern void evc_call_lock_report(EvcCall *call, int events, bool boot);
extern bool evc_call_lock_or_register(EvcCall *call, EvcReserve reserve,
									  const char *registration);

extern EvcEvent evc_call_next_event(const EvcCall *call, EvcEventKind kind,
									int32 connector_id, int32 transaction_id,
									const char *old_value,
									const char *new_value,
									TimestampTz occurred_at);
extern void evc_call_wrote_event(EvcCall *call, const EvcEvent *event);
extern int64 evc_call_event(EvcCall *call, EvcEventKind kind,
							int32 connector_id, int32 transaction_id,
							const char *old_value, const char *new_value,
							TimestampTz occurred_at);
extern void evc_call_anomaly(EvcCall *call, const char *reason,
							 int32 connector_id, int32 transaction_id,
							 const char *reported, TimestampTz occurred_at,
							 const char *detail,...) pg_attribute_printf(7, 8);
extern void evc_call_anomaly_once(EvcCall *call, const char *reason,
								  const EvcTransaction *transaction,
								  const char *reported,
								  TimestampTz occurred_at,
								  const char *detail,...) pg_attribute_printf(6, 7);

extern void evc_call_end(EvcCall *call);
extern bytea *evc_call_answer(EvcCall *call, const ProtobufCMessage *answer);

#endif							/* EVC_CALL_H */
