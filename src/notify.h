/*
 * notify.h
 *		Announcing events to listeners.
 */
#ifndef EVC_NOTIFY_H
#define EVC_NOTIFY_H

#include "event.h"

extern void evc_notify_send(const char *charge_point_id, const EvcEvent *event);
extern void evc_notify_event(const char *charge_point_id, const EvcEvent *event);

#endif							/* EVC_NOTIFY_H */
