/*
 * guc.h
 *		The settings of evcharge.
 */
#ifndef EVC_GUC_H
#define EVC_GUC_H

typedef enum EvcNotifyMode
{
	EVC_NOTIFY_OFF,				/* events are written, nobody is told */
	EVC_NOTIFY_COMMIT,			/* NOTIFY in the transaction */
	EVC_NOTIFY_ANNOUNCER		/* NOTIFY by a worker, behind the transaction */
} EvcNotifyMode;

extern int	evc_auth_list_history;
extern bool evc_auto_register;
extern int	evc_confirm_within;
extern bool evc_keep_authorization;
extern int	evc_max_message_size;
extern int	evc_max_transaction_duration;
extern int	evc_notify;
extern int	evc_offline_after;

extern void evc_guc_init(void);

#endif							/* EVC_GUC_H */
