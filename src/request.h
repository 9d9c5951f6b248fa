/*
 * request.h
 *		Requests of consumers, by message type.
 */
#ifndef EVC_REQUEST_H
#define EVC_REQUEST_H

#include "call.h"

/* 0 if messages of this type are no requests */
extern EvcType evc_request_answer_type(EvcType type);

/*
 * Carry out a request with the arguments that a router leaves at their
 * defaults; id is NULL or must be the charge point that the message names.
 */
extern bytea *evc_request(EvcType type, text *id, const void *bytes,
						  size_t len);

#endif							/* EVC_REQUEST_H */
