/*
 * path.h
 *		The search_path under which SQL on the tables runs.
 */
#ifndef EVC_PATH_H
#define EVC_PATH_H

extern void evc_path_init(void);

/* What enter returns is given to leave, unless an error ends it. */
extern int	evc_path_enter(void);
extern void evc_path_leave(int level);

#endif							/* EVC_PATH_H */
