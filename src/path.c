/*
 * path.c
 *		The search_path under which SQL on the tables runs.
 *
 * That SQL has the rights of the owner of the tables, and so has whatever else
 * its names lead to, in triggers and in index expressions too.  So names lead to
 * pg_catalog and nowhere else, whatever path the caller has.
 *
 * Usually that is a setting: a function that such a trigger calls may have a
 * path of its own (SET search_path), and returns to this one.  Up to
 * PostgreSQL 16 a setting for a moment is dear, though: the server resolves the
 * path anew, and 15 goes through all settings there are when the moment is over:
 * three hundredths of a call.  There, where nothing on the tables runs that could
 * have a path of its own, they get one that does not heed settings.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/snapmgr.h"

#include "path.h"

#if PG_VERSION_NUM < 170000

#define MAX_TABLES	32

/*
 * The tables, and whether functions of users can run when they are read and
 * written.  What is built in leaves no trace in pg_depend.
 */
#define READ_TABLES \
	"SELECT c.oid, EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid) " \
	"OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid) " \
	"OR EXISTS (SELECT FROM pg_policy WHERE polrelid = c.oid) " \
	"OR EXISTS (SELECT FROM pg_inherits WHERE inhparent = c.oid) " \
	"OR EXISTS (SELECT FROM pg_attribute a JOIN pg_type y " \
	"ON y.oid = a.atttypid WHERE a.attrelid = c.oid " \
	"AND y.oid >= 16384 AND y.typtype <> 'e') " \
	"OR EXISTS (SELECT FROM (" \
	"SELECT 'pg_class'::regclass, indexrelid FROM pg_index " \
	"WHERE indrelid = c.oid " \
	"UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint " \
	"WHERE conrelid = c.oid " \
	"UNION ALL SELECT 'pg_attrdef'::regclass, oid FROM pg_attrdef " \
	"WHERE adrelid = c.oid) o (classid, objid) " \
	"JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid " \
	"LEFT JOIN pg_type y ON d.refclassid = 'pg_type'::regclass " \
	"AND y.oid = d.refobjid " \
	"WHERE y.typtype <> 'e' OR d.refclassid = " \
	"ANY ('{pg_proc,pg_operator,pg_opclass}'::regclass[])) " \
	"FROM pg_class c WHERE c.relnamespace = 'evcharge'::regnamespace " \
	"AND c.relkind IN ('r', 'p')"

static enum
{
	UNKNOWN,
	LOOKING,
	ONLY_OURS,
	OF_USERS
}			functions = UNKNOWN;	/* that can run on the tables */
static Oid	tables[MAX_TABLES];
static int	table_count = 0;

/*
 * forget
 *		Look at the tables again after one changed.
 *
 * A call that waits for a table while another session gives it a trigger has
 * entered its path by then; that one call does not heed the path of the trigger.
 */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	if (!OidIsValid(relation) || functions == LOOKING)
		functions = UNKNOWN;
	for (int i = 0; i < table_count; i++)
		if (tables[i] == relation)
			functions = UNKNOWN;
}

/*
 * look_at_tables
 *		Find out whether functions of users can run on the tables: now, and not
 *		as a transaction saw them that began long ago.
 *
 * Each VACUUM and ANALYZE of a table has every session look, so the plan is kept.
 */
static void
look_at_tables(void)
{
	static SPIPlanPtr plan = NULL;
	bool		found;

	functions = LOOKING;
	SPI_connect();
	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare(READ_TABLES, 0, NULL);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare to look at the tables of evcharge");
		plan = made;
	}
	if (SPI_execute_snapshot(plan, NULL, NULL, GetLatestSnapshot(),
							 InvalidSnapshot, true, false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look at the tables of evcharge");

	table_count = Min(SPI_processed, MAX_TABLES);
	found = SPI_processed > MAX_TABLES;
	for (int i = 0; i < table_count; i++)
	{
		HeapTuple	row = SPI_tuptable->vals[i];
		bool		isnull;

		tables[i] = DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc,
												   1, &isnull));
		found |= DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 2,
											&isnull));
	}
	SPI_finish();
	/* unless one of them changed meanwhile */
	if (functions == LOOKING)
		functions = found ? OF_USERS : ONLY_OURS;
}

#endif

/*
 * set_path
 *		Set the search_path for a moment; return the level that ends it.
 */
static int
set_path(void)
{
	int			level = NewGUCNestLevel();

	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/*
 * evc_path_init
 *		Watch for changes of the tables.
 */
void
evc_path_init(void)
{
#if PG_VERSION_NUM < 170000
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
#endif
}

/*
 * evc_path_enter
 *		Let names lead to pg_catalog only; return what ends it.
 */
int
evc_path_enter(void)
{
#if PG_VERSION_NUM < 170000
	if (functions <= LOOKING && !IsInParallelMode())
	{
		int			level = set_path();

		look_at_tables();
		AtEOXact_GUC(false, level);
	}
	if (functions == ONLY_OURS)
	{
		/* the same as the setting, so that plans serve under both */
		OverrideSearchPath path = {
			.schemas = list_make1_oid(PG_CATALOG_NAMESPACE),
		};

		PushOverrideSearchPath(&path);
		list_free(path.schemas);
		return 0;
	}
#endif
	return set_path();
}

/*
 * evc_path_leave
 *		Let names lead where the caller has them lead again.
 */
void
evc_path_leave(int level)
{
	if (level > 0)
		AtEOXact_GUC(false, level);
#if PG_VERSION_NUM < 170000
	else
		PopOverrideSearchPath();
#endif
}
