/*
 * constraint.c
 *		The CHECK constraints of the tables, made ready once for all statements.
 *
 * The server reads the CHECK constraints of a table from text, and plans them,
 * in each statement that writes a row of it: an eighth of a start or a stop.
 * Here each session keeps them as its plan cache keeps expressions, for as long
 * as nothing changes on which they depend, and gives them to the statements of
 * ours.  It is the server that checks them, as ever.
 */
#include "postgres.h"

#include "access/tupdesc.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/plancache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#if PG_VERSION_NUM >= 180000
#include "rewrite/rewriteHandler.h"
#endif

#include "constraint.h"

#if PG_VERSION_NUM >= 180000
#define ri_ConstraintExprs	ri_CheckConstraintExprs
#endif

/* The constraints of a table, in the order in which its relation has them. */
typedef struct Checks
{
	struct Checks *next;
	Oid			relation;
	bool		valid;
	int			count;
	CachedExpression *expressions[FLEXIBLE_ARRAY_MEMBER];	/* NULL: not enforced */
} Checks;

static Checks *known = NULL;
static const char *receiver = NULL; /* the text of a statement about to start */
static ExecutorStart_hook_type next_start = NULL;

/*
 * forget
 *		Make the constraints of a table ready anew after it changed; those of all
 *		tables if it is InvalidOid.
 */
static void
forget(Datum arg, Oid relation)
{
	(void) arg;
	for (Checks *checks = known; checks != NULL; checks = checks->next)
		if (!OidIsValid(relation) || checks->relation == relation)
			checks->valid = false;
}

/*
 * forget_all
 *		Do so for all tables after a function or a type changed: a function that
 *		was called while an expression was planned leaves no trace in it.
 */
static void
forget_all(Datum arg, int cache, uint32 hash)
{
	(void) cache;
	(void) hash;
	forget(arg, InvalidOid);
}

/*
 * discard
 *		Free constraints that are no longer known.
 */
static void
discard(void *arg)
{
	Checks	   *checks = arg;

	for (int i = 0; i < checks->count; i++)
		if (checks->expressions[i] != NULL)
			FreeCachedExpression(checks->expressions[i]);
	pfree(checks);
}

/*
 * drop
 *		Know the constraints that a link leads to no longer.
 *
 * A statement that has begun may check by them still, where another one is run
 * within it, but none does that when the transaction is over.
 */
static void
drop(Checks **link)
{
	Checks	   *checks = *link;
	MemoryContextCallback *callback =
		MemoryContextAlloc(TopTransactionContext, sizeof(*callback));

	callback->func = discard;
	callback->arg = checks;
	*link = checks->next;
	MemoryContextRegisterResetCallback(TopTransactionContext, callback);
}

/*
 * is_valid
 *		Tell whether constraints are still those of their table.
 */
static bool
is_valid(const Checks *checks)
{
	for (int i = 0; i < checks->count; i++)
		if (checks->expressions[i] != NULL && !checks->expressions[i]->is_valid)
			return false;
	return checks->valid;
}

/*
 * make
 *		Make the constraints of a table ready, and know them.
 *
 * They count as valid from before they are read: what changes meanwhile makes
 * them invalid.  After an error they are not all there.
 */
static Checks *
make(Relation relation)
{
	TupleConstr *constr = relation->rd_att->constr;
	int			count = constr->num_check;
	Checks	   *checks =
		MemoryContextAllocZero(CacheMemoryContext,
							   offsetof(Checks, expressions) +
							   count * sizeof(CachedExpression *));

	checks->relation = RelationGetRelid(relation);
	checks->valid = true;
	checks->next = known;
	known = checks;
	for (int i = 0; i < count; i++)
	{
		Node	   *expression;

#if PG_VERSION_NUM >= 180000
		if (!constr->check[i].ccenforced)
			continue;
#endif
		expression = stringToNode(constr->check[i].ccbin);
#if PG_VERSION_NUM >= 180000
		expression = expand_generated_columns_in_expr(expression, relation, 1);
#endif
		checks->expressions[i] = GetCachedExpression(expression);
		checks->count = i + 1;
	}
	checks->count = count;
	return checks;
}

/*
 * checks_of
 *		Return the constraints of a table.
 */
static const Checks *
checks_of(Relation relation)
{
	for (Checks **link = &known; *link != NULL; link = &(*link)->next)
		if ((*link)->relation == RelationGetRelid(relation))
		{
			if (is_valid(*link) &&
				(*link)->count == relation->rd_att->constr->num_check)
				return *link;
			drop(link);
			break;
		}
	return make(relation);
}

/*
 * give_to_relation
 *		Give a table that a statement writes its constraints.
 */
static void
give_to_relation(ResultRelInfo *target, EState *estate)
{
	TupleConstr *constr = target->ri_RelationDesc->rd_att->constr;
	const Checks *checks;
	MemoryContext old;

	if (constr == NULL || constr->num_check == 0 ||
		target->ri_ConstraintExprs != NULL)
		return;
	checks = checks_of(target->ri_RelationDesc);
	old = MemoryContextSwitchTo(estate->es_query_cxt);
	target->ri_ConstraintExprs = palloc0(checks->count * sizeof(ExprState *));
	for (int i = 0; i < checks->count; i++)
		if (checks->expressions[i] != NULL)
			target->ri_ConstraintExprs[i] =
				ExecInitExpr((Expr *) checks->expressions[i]->expr, NULL);
	MemoryContextSwitchTo(old);
}

/*
 * writer
 *		Return a node of a plan as one that writes rows, or NULL.
 */
static ModifyTableState *
writer(PlanState *node)
{
	if (node == NULL || !IsA(node, ModifyTableState))
		return NULL;
	return castNode(ModifyTableState, node);
}

/*
 * runs_triggers
 *		Tell whether a node writes a table that has triggers.
 */
static bool
runs_triggers(PlanState *node)
{
	ModifyTableState *modify = writer(node);

	for (int i = 0; modify != NULL && i < modify->mt_nrels; i++)
		if (modify->resultRelInfo[i].ri_TrigDesc != NULL)
			return true;
	return false;
}

/*
 * give_to_node
 *		Give constraints to what a node writes, if it writes rows.
 */
static void
give_to_node(PlanState *node, EState *estate)
{
	ModifyTableState *modify = writer(node);

	if (modify == NULL || modify->operation == CMD_DELETE)
		return;
	for (int i = 0; i < modify->mt_nrels; i++)
		give_to_relation(modify->resultRelInfo + i, estate);
}

/*
 * start
 *		Start a statement, with constraints if it is one of ours.
 *
 * What writes is the top of a statement, or of a part in its WITH.  A trigger may
 * change constraints before the first row is checked, as far as to drop one, so
 * where there are triggers, all is left to the server.
 */
static void
start(QueryDesc *statement, int flags)
{
	bool		ours = receiver != NULL && statement->sourceText == receiver;
	List	   *parts;
	ListCell   *lc;

	receiver = NULL;
	if (next_start != NULL)
		next_start(statement, flags);
	else
		standard_ExecutorStart(statement, flags);
	if (!ours)
		return;

	parts = statement->estate->es_subplanstates;
	if (runs_triggers(statement->planstate))
		return;
	foreach(lc, parts)
		if (runs_triggers(lfirst(lc)))
			return;
	give_to_node(statement->planstate, statement->estate);
	foreach(lc, parts)
		give_to_node(lfirst(lc), statement->estate);
}

/*
 * evc_constraint_init
 *		Watch for changes of the tables, and for statements that start.
 */
void
evc_constraint_init(void)
{
	next_start = ExecutorStart_hook;
	ExecutorStart_hook = start;
	CacheRegisterRelcacheCallback(forget, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, forget_all, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, forget_all, (Datum) 0);
}

/*
 * evc_constraint_give
 *		Have a statement that is about to start get the constraints of what it
 *		writes; it is known by where its text is.  NULL takes that back.
 *
 * None but ours may: what a constraint calls is looked up once, and that must not
 * happen under the search_path of a caller.
 */
void
evc_constraint_give(const char *text)
{
	receiver = text;
}
