/*
 * evcharge.c
 *		What the server calls when it loads the library.
 */
#include "postgres.h"

#include "fmgr.h"

#include "announcer.h"
#include "constraint.h"
#include "guc.h"
#include "path.h"
#include "store.h"

PG_MODULE_MAGIC;

void		_PG_init(void);

/*
 * _PG_init
 *		Make the library ready: settings first, then what watches the tables and
 *		what announces.
 */
void
_PG_init(void)
{
	evc_guc_init();
	evc_path_init();
	evc_constraint_init();
	evc_store_init();
	evc_announcer_init();
}
