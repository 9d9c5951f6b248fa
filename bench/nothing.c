/*
 * nothing.c
 *		The floors of bench/message: what a function costs that does nothing.
 */
#include "postgres.h"

#include "fmgr.h"

PG_MODULE_MAGIC;

/*
 * nothing(any, text) -> text
 *		The empty function, called as ->> is: it gives back the name.
 */
PG_FUNCTION_INFO_V1(nothing);
Datum
nothing(PG_FUNCTION_ARGS)
{
	PG_RETURN_DATUM(PG_GETARG_DATUM(1));
}

/*
 * touch(any) -> bool
 *		Reads a value, as any function on it must.
 */
PG_FUNCTION_INFO_V1(touch);
Datum
touch(PG_FUNCTION_ARGS)
{
	struct varlena *value = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(0));

	PG_RETURN_BOOL(VARSIZE_ANY_EXHDR(value) > 0);
}

/*
 * copy(bytea, int) -> bool
 *		Copies a value so many times: the floor of decode().
 */
PG_FUNCTION_INFO_V1(copy);
Datum
copy(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	int			times = PG_GETARG_INT32(1);
	size_t		size = VARSIZE_ANY_EXHDR(value);
	char	   *to = palloc(size);

	while (times-- > 0)
	{
		memcpy(to, VARDATA_ANY(value), size);
		__asm__ volatile ("": :"r" (to):"memory");	/* not to be left out */
	}
	PG_RETURN_BOOL(true);
}
