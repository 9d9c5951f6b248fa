/*
 * fsm.h
 *		Connector statuses and the transitions OCPP 1.6 allows between them.
 */
#ifndef EVC_FSM_H
#define EVC_FSM_H

#include <stdbool.h>
#include <stddef.h>

/* In the order of OCPP 1.6 section 4.9, which is the order of the SQL enum. */
typedef enum EvcStatus
{
	EVC_STATUS_NONE = -1,		/* not reported yet */
	EVC_AVAILABLE,
	EVC_PREPARING,
	EVC_CHARGING,
	EVC_SUSPENDED_EV,
	EVC_SUSPENDED_EVSE,
	EVC_FINISHING,
	EVC_RESERVED,
	EVC_UNAVAILABLE,
	EVC_FAULTED
} EvcStatus;

#define EVC_STATUS_COUNT 9

/* What a report of a status means for a connector. */
typedef enum EvcTransition
{
	EVC_REPEATED,		/* it was in that status already */
	EVC_ALLOWED,			/* a transition of section 4.9 */
	EVC_ODD				/* one outside it: recorded and flagged */
} EvcTransition;

extern EvcTransition evc_fsm_judge(EvcStatus from, EvcStatus to);
extern bool evc_fsm_whole_status(EvcStatus status);
extern EvcStatus evc_fsm_parse(const char *text);
extern EvcStatus evc_fsm_parse_name(const char *name);
extern const char *evc_fsm_name(EvcStatus status);
extern const char *evc_fsm_wire_name(EvcStatus status);

#endif							/* EVC_FSM_H */
