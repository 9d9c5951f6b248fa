/*
 * auth.h
 *		The authorization list of a charge point and its version.
 */
#ifndef EVC_AUTH_H
#define EVC_AUTH_H

#include "call.h"

#define EVC_MAX_TAG_LENGTH		20	/* OCPP CiString20Type */
#define EVC_MAX_STORED_TAG		255
#define EVC_MAX_CONSUMER_KEY	1024

extern int	evc_auth_compare_tags(const char *a, const char *b);
extern int32 evc_auth_next_version(const EvcCall *call);
extern void evc_auth_add(EvcCall *call, EvcAuth *auth);
extern void evc_auth_change(EvcCall *call, EvcAuth *auth,
							const char *old_status);
extern void evc_auth_remove(EvcCall *call, EvcAuth *auth);
extern void evc_auth_removed(EvcCall *call, const char *status);
extern void evc_auth_forget(EvcCall *call);

extern bool evc_auth_is_accepted(const EvcAuth *auth, TimestampTz now);
extern const char *evc_auth_new_tag(void);
extern bool evc_auth_parse_status(const char *text, const char **status);
extern Gateway__LocalAuthorizationData *evc_auth_data(const EvcAuth *auth);

#endif							/* EVC_AUTH_H */
