/*
 * errors.h
 *		The SQLSTATEs of evcharge: class OC, and nothing else defines one; and
 *		the word for a function that does not return.
 *
 * A code is part of the contract with callers.  Codes are added, never
 * renumbered; README.md lists them with what a caller can do about each.
 */
#ifndef EVC_ERRORS_H
#define EVC_ERRORS_H

/* The bytes or the JSON text are not the message they claim to be. */
#define ERRCODE_EVC_MALFORMED_MESSAGE	MAKE_SQLSTATE('O', 'C', '0', '0', '1')

/* The message is well-formed but of another type than this place takes. */
#define ERRCODE_EVC_WRONG_MESSAGE_TYPE	MAKE_SQLSTATE('O', 'C', '0', '0', '2')

/* The format has no message of that name. */
#define ERRCODE_EVC_NO_SUCH_MESSAGE_TYPE	MAKE_SQLSTATE('O', 'C', '0', '0', '3')

/* The message exceeds evcharge.max_message_size. */
#define ERRCODE_EVC_MESSAGE_TOO_LARGE	MAKE_SQLSTATE('O', 'C', '0', '0', '4')

/* A field of a request or of a whole state has a value it cannot have. */
#define ERRCODE_EVC_INVALID_VALUE	MAKE_SQLSTATE('O', 'C', '0', '0', '5')

/* The tables are missing, or of another version than the library. */
#define ERRCODE_EVC_TABLES_VERSION	MAKE_SQLSTATE('O', 'C', '0', '0', '6')

/* PostgreSQL has it from 18 on */
#ifndef pg_noreturn
#define pg_noreturn pg_attribute_noreturn()
#endif

#endif							/* EVC_ERRORS_H */
