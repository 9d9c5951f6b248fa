/*
 * set.h
 *		Many reports of many charge points that are read, decided and written
 *		together.
 *
 *		evc_set_name_*		say what rows a report is decided by
 *		(store.c reads them, all in one statement a table)
 *		...					reports are decided one by one, by the code that
 *							decides a single one; the store serves it from here
 *		(store.c writes what came of it, all in one statement a table)
 *
 * A set lives in a memory context of its own, and what is only of one report
 * need not outlive it.
 */
#ifndef EVC_SET_H
#define EVC_SET_H

#include "storage/itemptr.h"

#include "store.h"

typedef struct EvcSetConnector
{
	EvcConnector row;
	bool		in_table;
	bool		known;			/* there is such a connector */
	bool		changed;
} EvcSetConnector;

/* Of a transaction a set reads and writes what a progress is decided by. */
typedef struct EvcSetTransaction
{
	EvcTransaction row;
	ItemPointerData place;		/* where the table has it */
	bool		known;
	bool		changed;
} EvcSetTransaction;

typedef struct EvcSetSample
{
	int32		transaction_id;
	EvcProgress progress;
	bool		is_new;			/* later than all that are known */
} EvcSetSample;

/*
 * A charge point of a set.  Of its row a set reads and writes the status and
 * the newest event.
 */
typedef struct EvcSetPoint
{
	Datum		id;				/* charge_point_id, a text */
	int			reports;		/* how many it has in the set */
	MemoryContext context;		/* where the set lives */
	bool		known;			/* there is such a charge point, and it is
								 * locked */
	EvcChargePoint row;
	EvcChargePoint locked;		/* row as the lock wrote it */
	ItemPointerData place;
	List	   *connectors;		/* EvcSetConnector, those that are named */
	List	   *transactions;	/* EvcSetTransaction, those that are named */
	List	   *samples;		/* EvcSetSample, to be written */
	List	   *events;			/* EvcEvent, to be written */
} EvcSetPoint;

typedef struct EvcSet
{
	EvcSetPoint **points;
	int			count;
} EvcSet;

extern void evc_set_name_connector(EvcSetPoint *point, int32 connector_id);
extern void evc_set_name_transaction(EvcSetPoint *point, int32 transaction_id);

/* What the store does for a report of a set. */
extern void evc_set_lock(EvcSetPoint *point, EvcReserve reserve,
						 EvcChargePoint *row);
extern bool evc_set_read_connector(EvcSetPoint *point, int32 connector_id,
								   EvcConnector *row);
extern void evc_set_write_connector(EvcSetPoint *point,
									const EvcConnector *row);
extern bool evc_set_read_transaction(EvcSetPoint *point, int32 transaction_id,
									 EvcTransaction *row);
extern void evc_set_write_transaction(EvcSetPoint *point,
									  const EvcTransaction *row);
extern void evc_set_write_sample(EvcSetPoint *point, int32 transaction_id,
								 const EvcProgress *sample);
extern void evc_set_write_event(EvcSetPoint *point, const EvcEvent *event);
extern bool evc_set_has_status_event(const EvcSetPoint *point,
									 int32 connector_id, TimestampTz at,
									 const char *status);
extern bool evc_set_has_anomaly(const EvcSetPoint *point,
								const EvcEvent *event, bool any_time);

#endif							/* EVC_SET_H */
