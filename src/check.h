/*
 * check.h
 *		Strict checks of what a consumer requests and of whole states.
 *
 * Each raises OC005 and names the field.
 */
#ifndef EVC_CHECK_H
#define EVC_CHECK_H

#include "errors.h"
#include "fsm.h"
#include "rfc3339.h"

pg_noreturn extern void evc_check_failed(const char *field, const char *value,
										 const char *detail);
extern void evc_check_length(const char *field, const char *value,
							 int min, int max);
extern TimestampTz evc_check_time(const char *field, const char *value);
extern EvcStatus evc_check_status(const char *field, const char *value);
extern void evc_check_reason(const char *reason);

#endif							/* EVC_CHECK_H */
