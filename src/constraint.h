/*
 * constraint.h
 *		The CHECK constraints of the tables, made ready once for all statements.
 */
#ifndef EVC_CONSTRAINT_H
#define EVC_CONSTRAINT_H

extern void evc_constraint_init(void);
extern void evc_constraint_give(const char *text);

#endif							/* EVC_CONSTRAINT_H */
