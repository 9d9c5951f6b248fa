/*
 * report.h
 *		Reports of charge points, by message type.
 */
#ifndef EVC_REPORT_H
#define EVC_REPORT_H

#include "call.h"

/* What a report says besides its message. */
typedef struct EvcReportContext
{
	TimestampTz at;				/* when it happened */
	int32		transaction_id; /* of a progress; 0 if it is not said */
	struct EvcSetPoint *point;	/* of the set that it is in, or NULL */
} EvcReportContext;

extern bool evc_report_is_one(EvcType type);

/* Record a report; only a boot notification has an answer, else NULL. */
extern bytea *evc_report(EvcType type, text *id, const void *bytes,
						 size_t len, const EvcReportContext *context);

/*
 * Whether a report can be in a set; and name to the set what the report is
 * decided by, before it is recorded.
 */
extern bool evc_report_fits_set(EvcType type,
								const EvcReportContext *context);
extern void evc_report_name(EvcType type, const void *bytes, size_t len,
							const EvcReportContext *context);

#endif							/* EVC_REPORT_H */
