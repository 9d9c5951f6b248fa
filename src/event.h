/*
 * event.h
 *		What can happen: the kinds of event and the one struct that carries them.
 *
 * An event is written to a table by store.c and announced by notify.c, which
 * know nothing of each other.
 */
#ifndef EVC_EVENT_H
#define EVC_EVENT_H

#include "datatype/timestamp.h"

/* What an event is about; each subject has its own channel. */
typedef enum EvcSubject
{
	EVC_ABOUT_CHARGE_POINT,
	EVC_ABOUT_CONNECTOR,
	EVC_ABOUT_TRANSACTION,
	EVC_ABOUT_AUTH
} EvcSubject;

typedef enum EvcEventKind
{
	EVC_ANOMALY,
	EVC_AUTH_ADDED,
	EVC_AUTH_CHANGED,
	EVC_AUTH_REMOVED,
	EVC_BOOTED,
	EVC_CHARGE_POINT_STATUS,
	EVC_CONNECTOR_ADDED,
	EVC_CONNECTOR_REMOVED,
	EVC_CONNECTOR_STATUS,
	EVC_LOGGED,
	EVC_REGISTERED,
	EVC_REGISTRATION_CHANGED,
	EVC_STATE_LOADED,
	EVC_TRANSACTION_AMENDED,
	EVC_TRANSACTION_CONFIRMED,
	EVC_TRANSACTION_ENDED,
	EVC_TRANSACTION_PROGRESS,
	EVC_TRANSACTION_REOPENED,
	EVC_TRANSACTION_STARTED
} EvcEventKind;

/* Strings may be NULL; an id of EVC_NO_ID means that none is concerned. */
typedef struct EvcEvent
{
	int64		event_id;
	EvcEventKind kind;
	int32		connector_id;
	int32		transaction_id;
	const char *old_value;
	const char *new_value;
	const char *reason;			/* of an anomaly */
	const char *detail;
	TimestampTz occurred_at;
	TimestampTz recorded_at;
} EvcEvent;

#define EVC_NO_ID	PG_INT32_MIN

extern const char *evc_event_kind_name(EvcEventKind kind);
extern bool evc_event_kind_parse(const char *name, EvcEventKind *kind);
extern EvcSubject evc_event_subject(const EvcEvent *event);

#endif							/* EVC_EVENT_H */
