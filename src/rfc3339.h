/*
 * rfc3339.h
 *		Times as the wire carries them.
 */
#ifndef EVC_RFC3339_H
#define EVC_RFC3339_H

#include "datatype/timestamp.h"

/* No time: empty on the wire, NULL in a table. */
#define EVC_NO_TIME		DT_NOBEGIN

extern bool evc_time_parse(const char *text, TimestampTz *time);
extern const char *evc_time_format(TimestampTz time);

#endif							/* EVC_RFC3339_H */
