/*
 * feed.h
 *		Events of all charge points, in an order in which each comes once.
 */
#ifndef EVC_FEED_H
#define EVC_FEED_H

#include "store.h"

extern char *evc_feed_now(EvcStore *store);
extern List *evc_feed_read_here(EvcStore *store, const char *cursor, int limit,
								char **next);

#endif							/* EVC_FEED_H */
