/*
 * guc.c
 *		Defines the settings, sorted by name.
 *
 * All of them decide what a call may do or must cost, so a caller who merely
 * may call cannot change them: a superuser sets them, or whoever was granted
 * SET on the parameter.
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "guc.h"

int			evc_auth_list_history;
bool		evc_auto_register;
int			evc_confirm_within;
bool		evc_keep_authorization;
int			evc_max_message_size;
int			evc_max_transaction_duration;
int			evc_notify;
int			evc_offline_after;

static const struct config_enum_entry notify_modes[] = {
	{"off", EVC_NOTIFY_OFF, false},
	{"commit", EVC_NOTIFY_COMMIT, false},
	{"announcer", EVC_NOTIFY_ANNOUNCER, false},
	{NULL, 0, false}
};

/*
 * evc_guc_init
 *		Define every setting and reserve the prefix.
 */
void
evc_guc_init(void)
{
	DefineCustomIntVariable("evcharge.auth_list_history",
							"Versions of an authorization list for which a differential update stays possible.",
							"Entries that left a list are forgotten after that many later changes of it.",
							&evc_auth_list_history,
							100, 0, INT_MAX,
							PGC_SUSET, 0,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("evcharge.auto_register",
							 "Accepts charge points that were not known before.",
							 "When off they are recorded as Pending until set_registration() decides.",
							 &evc_auto_register,
							 true,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("evcharge.confirm_within",
							"How long after its start expire() ends a transaction that its charge point has not confirmed.",
							"0 means never.",
							&evc_confirm_within,
							3600, 0, INT_MAX / 1000,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomBoolVariable("evcharge.keep_authorization",
							 "Keeps the id tag of a transaction on the list after the transaction ended.",
							 NULL,
							 &evc_keep_authorization,
							 false,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("evcharge.max_message_size",
							"Largest protobuf message that is read.",
							"A larger one is refused with SQLSTATE OC004 before anything is allocated for it.",
							&evc_max_message_size,
							1024 * 1024, 64, 256 * 1024 * 1024,
							PGC_SUSET, GUC_UNIT_BYTE,
							NULL, NULL, NULL);

	DefineCustomIntVariable("evcharge.max_transaction_duration",
							"How long after its start expire() ends a transaction that is still open.",
							"0 means never.",
							&evc_max_transaction_duration,
							7 * 24 * 3600, 0, INT_MAX / 1000,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	DefineCustomEnumVariable("evcharge.notify",
							 "How changes are announced.",
							 "\"announcer\" leaves NOTIFY to a background worker, if there is one, \"commit\" sends it in the transaction of the change, \"off\" only writes the event.",
							 &evc_notify,
							 EVC_NOTIFY_ANNOUNCER,
							 notify_modes,
							 PGC_SUSET, 0,
							 NULL, NULL, NULL);

	DefineCustomIntVariable("evcharge.offline_after",
							"How long after its last report a charge point counts as offline.",
							"0 means never.",
							&evc_offline_after,
							900, 0, INT_MAX / 1000,
							PGC_SUSET, GUC_UNIT_S,
							NULL, NULL, NULL);

	MarkGUCPrefixReserved("evcharge");
}
