/*
 * announcer.h
 *		The background worker that sends NOTIFY behind the transactions.
 */
#ifndef EVC_ANNOUNCER_H
#define EVC_ANNOUNCER_H

extern void evc_announcer_init(void);
extern bool evc_announcer_takes(void);
extern const char *evc_announcer_obstacle(void);

extern PGDLLEXPORT void evc_launcher_main(Datum argument);
extern PGDLLEXPORT void evc_announcer_main(Datum argument);

#endif							/* EVC_ANNOUNCER_H */
