/*
 * message_op.c
 *		Operators of evcharge.message: looking in, comparing, merging.
 *
 * A path is followed in the wire bytes where they are, without unpacking: they
 * are canonical, so a field occurs once, the search ends at the first higher
 * number, and the entries of a map ascend.
 */
#include "postgres.h"

#include <math.h>

#include "access/detoast.h"
#include "access/heaptoast.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/shortest_dec.h"
#include "executor/execExpr.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "nodes/nodeFuncs.h"
#include "nodes/subscripting.h"
#include "parser/parse_coerce.h"
#include "parser/parse_expr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "errors.h"
#include "json.h"
#include "message.h"

/* The longest text of an int32, with its NUL. */
#define INT32_TEXT		sizeof("-2147483648")

/* Where a path leads. */
typedef enum PlaceKind
{
	PLACE_MESSAGE,
	PLACE_MAP,
	PLACE_SCALAR
} PlaceKind;

typedef struct Place
{
	PlaceKind	kind;
	const ProtobufCMessageDescriptor *desc; /* of a message */
	const ProtobufCFieldDescriptor *field;	/* of a map or a scalar */
	EvcCursor	cursor;			/* a message's bytes; a map's entries */
	EvcField	value;			/* the last read; of a scalar, zeros are its
								 * default */
} Place;

/*
 * A step of a path.  Next to its name stands the field that it was in the last
 * message: most queries ask millions of rows of one type for one field.
 */
typedef struct Step
{
	text	   *name;			/* NULL leads nowhere */
	const ProtobufCMessageDescriptor *desc; /* NULL before the first */
	const ProtobufCFieldDescriptor *field;
	bool		is_early;		/* only scalars stand before it */
} Step;

typedef struct Path
{
	struct varlena *argument;	/* what it was made of; the names are there */
	bool		is_constant;	/* ... and will be in the next call */
	int			n;
	Step		steps[FLEXIBLE_ARRAY_MEMBER];
} Path;

PG_FUNCTION_INFO_V1(evc_message_get);
PG_FUNCTION_INFO_V1(evc_message_get_text);
PG_FUNCTION_INFO_V1(evc_message_get_path);
PG_FUNCTION_INFO_V1(evc_message_get_path_text);
PG_FUNCTION_INFO_V1(evc_message_to_jsonb);
PG_FUNCTION_INFO_V1(evc_message_subscript);
PG_FUNCTION_INFO_V1(evc_message_merge);
PG_FUNCTION_INFO_V1(evc_message_eq);
PG_FUNCTION_INFO_V1(evc_message_ne);
PG_FUNCTION_INFO_V1(evc_message_lt);
PG_FUNCTION_INFO_V1(evc_message_le);
PG_FUNCTION_INFO_V1(evc_message_gt);
PG_FUNCTION_INFO_V1(evc_message_ge);
PG_FUNCTION_INFO_V1(evc_message_cmp);
PG_FUNCTION_INFO_V1(evc_message_hash);
PG_FUNCTION_INFO_V1(evc_message_hash_extended);

/* ---------------------------------------------------------------------------
 * Following a path
 * ---------------------------------------------------------------------------
 */

/* Begin at the message itself. */
static inline void
begin(Place *place, const EvcView *view)
{
	place->kind = PLACE_MESSAGE;
	place->desc = view->desc;
	place->cursor.at = view->wire;
	place->cursor.end = view->wire + view->size;
}

/* Go from a message to a field of it; false if it is absent. */
static pg_attribute_always_inline bool
step_into_message(Place *place, const ProtobufCFieldDescriptor *wanted)
{
	EvcField   *field = &place->value;
	bool		found;

	if (wanted == NULL)
		return false;
	found = evc_wire_find(&place->cursor, wanted->id, field) &&
		field->wire_type == evc_wire_type_of(wanted);

	place->field = wanted;
	if (wanted->type != PROTOBUF_C_TYPE_MESSAGE)
	{
		place->kind = PLACE_SCALAR;
		if (!found)
			memset(field, 0, sizeof(*field));
		return true;
	}
	if (evc_schema_is_map(wanted))
	{
		place->kind = PLACE_MAP;
		place->cursor.at = found ? field->start : place->cursor.end;
		return true;
	}
	if (!found)
		return false;
	place->desc = evc_wire_message_of(wanted);
	place->cursor.at = field->data;
	place->cursor.end = field->data + field->size;
	return true;
}

/* Read the next entry of a map: its key and its value. */
static bool
next_entry(EvcCursor *cursor, const ProtobufCFieldDescriptor *map,
		   EvcField *key, EvcField *value)
{
	EvcField	entry;
	EvcCursor	inner;

	if (!evc_wire_next(cursor, &entry) || entry.number != map->id ||
		entry.wire_type != EVC_WIRE_BYTES)
		return false;
	inner.at = entry.data;
	inner.end = entry.data + entry.size;
	return evc_wire_next(&inner, key) && evc_wire_next(&inner, value);
}

/* Go from a map to the message at that key. */
static bool
step_into_map(Place *place, text *name)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(place->field);
	bool		is_string = desc->fields[0].type == PROTOBUF_C_TYPE_STRING;
	const char *wanted = NULL;
	size_t		size = 0;
	int32_t		number = 0;
	EvcField	key;
	EvcField	value;

	if (is_string)
		wanted = evc_message_utf8(name, &size);
	else if (!evc_json_int32(VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name),
							 &number) ||
			 (number == 0 && VARSIZE_ANY_EXHDR(name) > 1))
		return false;			/* -0 is not how the key is written */

	while (next_entry(&place->cursor, place->field, &key, &value))
	{
		int			order;

		if (!is_string)
			order = (evc_wire_int32(key.value) > number) -
				(evc_wire_int32(key.value) < number);
		else
		{
			order = memcmp(key.data, wanted, Min(key.size, size));
			if (order == 0)
				order = (key.size > size) - (key.size < size);
		}
		if (order > 0)
			return false;
		if (order == 0)
		{
			place->kind = PLACE_MESSAGE;
			place->desc = evc_wire_message_of(&desc->fields[1]);
			place->cursor.at = value.data;
			place->cursor.end = value.data + value.size;
			return true;
		}
	}
	return false;
}

/* Does a field stand near the beginning of its message? */
static bool
is_early(const ProtobufCMessageDescriptor *desc,
		 const ProtobufCFieldDescriptor *field)
{
	if (field == NULL)
		return false;
	for (const ProtobufCFieldDescriptor *f = desc->fields; f <= field; f++)
	{
		if (f->type == PROTOBUF_C_TYPE_MESSAGE)
			return false;
	}
	return true;
}

/* Go one step; false if nothing is there. */
static pg_attribute_always_inline bool
take_step(Place *place, Step *step)
{
	if (step->name == NULL)
		return false;
	switch (place->kind)
	{
		case PLACE_MESSAGE:
			if (step->desc != place->desc)
			{
				step->desc = place->desc;
				step->field = evc_json_field(step->desc,
											 VARDATA_ANY(step->name),
											 VARSIZE_ANY_EXHDR(step->name));
				step->is_early = is_early(step->desc, step->field);
			}
			return step_into_message(place, step->field);
		case PLACE_MAP:
			return step_into_map(place, step->name);
		case PLACE_SCALAR:
			break;
	}
	return false;
}

/* Make the path of a text, or of a text[], in the current memory context. */
static Path *
make_path(struct varlena *argument, bool is_array)
{
	Datum		name = PointerGetDatum(argument);
	Datum	   *names = &name;
	bool	   *nulls = NULL;
	int			n = 1;
	Path	   *path;

	if (is_array)
		deconstruct_array((ArrayType *) argument, TEXTOID, -1, false,
						  TYPALIGN_INT, &names, &nulls, &n);
	path = palloc0(offsetof(Path, steps) + n * sizeof(Step));
	path->argument = argument;
	path->n = n;
	for (int i = 0; i < n; i++)
	{
		if (nulls == NULL || !nulls[i])
			path->steps[i].name = DatumGetTextPP(names[i]);
	}
	if (is_array)
	{
		pfree(names);
		pfree(nulls);
	}
	return path;
}

/* Is the second argument of the call a constant of the query? */
static bool
is_constant(FmgrInfo *flinfo)
{
	Node	   *call = flinfo->fn_expr;
	List	   *arguments = NIL;

	if (call != NULL && IsA(call, OpExpr))
		arguments = ((OpExpr *) call)->args;
	else if (call != NULL && IsA(call, FuncExpr))
		arguments = ((FuncExpr *) call)->args;
	return list_length(arguments) == 2 && IsA(lsecond(arguments), Const);
}

/*
 * Return the path of the second argument, and keep it for the next call.
 *
 * One that is no constant is compared with what it was: PL/pgSQL keeps an
 * expression and changes its parameters.
 */
static Path *
new_path(FunctionCallInfo fcinfo, bool is_array)
{
	FmgrInfo   *flinfo = fcinfo->flinfo;
	struct varlena *argument = PG_DETOAST_DATUM_PACKED(PG_GETARG_DATUM(1));
	Path	   *path = flinfo->fn_extra;
	MemoryContext old;
	struct varlena *copy;

	if (path != NULL &&
		VARSIZE_ANY(path->argument) == VARSIZE_ANY(argument) &&
		memcmp(path->argument, argument, VARSIZE_ANY(argument)) == 0)
		return path;

	if (path != NULL)
	{
		flinfo->fn_extra = NULL;
		pfree(path->argument);
		pfree(path);
	}
	old = MemoryContextSwitchTo(flinfo->fn_mcxt);
	if (is_array)
		copy = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(1));
	else
	{
		copy = palloc(VARSIZE_ANY(argument));
		memcpy(copy, argument, VARSIZE_ANY(argument));
	}
	path = make_path(copy, is_array);
	path->is_constant = is_constant(flinfo);
	flinfo->fn_extra = path;
	MemoryContextSwitchTo(old);
	return path;
}

/*
 * Take the only step in the first chunk of a value in the TOAST table; false
 * if what is wanted is not there, or not whole.
 *
 * It is likely to be there: the id of a ChargePointState stands in front of
 * its maps.
 */
static bool
step_into_prefix(Place *place, Datum message, const Step *step)
{
	EvcView		view = evc_message_prefix(message, TOAST_MAX_CHUNK_SIZE);

	begin(place, &view);
	return view.desc == step->desc &&
		step_into_message(place, step->field) &&
		place->value.start != NULL;
}

/*
 * Follow the path of the call from its message; false if nothing is there.
 *
 * This and the steps into messages are inlined: for one field of a small
 * message, calls would be as much work as the reading.
 */
static pg_attribute_always_inline bool
follow(FunctionCallInfo fcinfo, bool is_array, Place *place)
{
	Datum		message = PG_GETARG_DATUM(0);
	Path	   *path = fcinfo->flinfo->fn_extra;
	EvcView		view;

	if (path == NULL || !path->is_constant)
		path = new_path(fcinfo, is_array);

	if (VARATT_IS_EXTERNAL_ONDISK(DatumGetPointer(message)) &&
		path->n == 1 && path->steps[0].is_early &&
		step_into_prefix(place, message, &path->steps[0]))
		return true;

	view = evc_message_view(message);
	begin(place, &view);
	for (int i = 0; i < path->n; i++)
	{
		if (!take_step(place, &path->steps[i]))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------------------
 * What stands there, as jsonb
 * ---------------------------------------------------------------------------
 */

/* A string of the wire. */
static JsonbValue
string_value(const uint8_t *string, size_t size)
{
	text	   *converted;
	JsonbValue	value;

	value.type = jbvString;
	if (size == 0)
	{
		value.val.string.val = pstrdup("");
		value.val.string.len = 0;
	}
	else if (GetDatabaseEncoding() == PG_UTF8)
	{
		value.val.string.val = (char *) unconstify(uint8_t *, string);
		value.val.string.len = (int) size;
	}
	else
	{
		converted = evc_message_text(string, size);
		value.val.string.val = VARDATA(converted);
		value.val.string.len = VARSIZE(converted) - VARHDRSZ;
	}
	return value;
}

/* A field that is neither message nor map. */
static JsonbValue
scalar_value(const ProtobufCFieldDescriptor *known, const EvcField *field)
{
	JsonbValue	value;
	char		decimal[EVC_FLOAT_TEXT];
	float		number;
	Datum		datum;

	switch (known->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			value.type = jbvNumeric;
			value.val.numeric = int64_to_numeric(evc_wire_int32(field->value));
			return value;
		case PROTOBUF_C_TYPE_BOOL:
			value.type = jbvBool;
			value.val.boolean = field->value != 0;
			return value;
		case PROTOBUF_C_TYPE_FLOAT:
			number = evc_wire_float(field->value);
			evc_json_float(decimal, number, float_to_shortest_decimal_buf);
			if (isnan(number) || isinf(number))
			{
				value.type = jbvString;
				value.val.string.val = pstrdup(decimal);
				value.val.string.len = (int) strlen(decimal);
			}
			else if (number == 0)
			{
				value.type = jbvNumeric;
				value.val.numeric = int64_to_numeric(0);
			}
			else
			{
				value.type = jbvNumeric;
				datum = DirectFunctionCall3(numeric_in,
											CStringGetDatum(decimal),
											ObjectIdGetDatum(InvalidOid),
											Int32GetDatum(-1));
				value.val.numeric = DatumGetNumeric(datum);
			}
			return value;
		default:
			return string_value(field->data, field->size);
	}
}

static JsonbValue *push_map(JsonbParseState **state,
							const ProtobufCFieldDescriptor *map,
							EvcCursor *cursor);

/* Write the fields of a message that are there. */
static JsonbValue *
push_message(JsonbParseState **state, const ProtobufCMessageDescriptor *desc,
			 EvcCursor cursor)
{
	EvcField	field;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (evc_wire_next(&cursor, &field))
	{
		const ProtobufCFieldDescriptor *known = evc_wire_known(desc, &field);
		JsonbValue	value;

		if (known == NULL)
			break;				/* the unknown fields are last */

		value.type = jbvString;
		value.val.string.val = palloc(strlen(known->name));
		value.val.string.len = (int) evc_json_name(value.val.string.val,
												   known);
		pushJsonbValue(state, WJB_KEY, &value);

		if (evc_schema_is_map(known))
		{
			cursor.at = field.start;
			push_map(state, known, &cursor);
			if (cursor.at == field.start)
				break;			/* damaged */
		}
		else if (known->type == PROTOBUF_C_TYPE_MESSAGE)
		{
			EvcCursor	inner = {field.data, field.data + field.size};

			push_message(state, evc_wire_message_of(known), inner);
		}
		else
		{
			value = scalar_value(known, &field);
			pushJsonbValue(state, WJB_VALUE, &value);
		}
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* Write the entries of a map, and leave the cursor behind them. */
static JsonbValue *
push_map(JsonbParseState **state, const ProtobufCFieldDescriptor *map,
		 EvcCursor *cursor)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	EvcCursor	ahead = *cursor;
	EvcField	key;
	EvcField	field;

	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	while (next_entry(&ahead, map, &key, &field))
	{
		EvcCursor	inner = {field.data, field.data + field.size};
		JsonbValue	name;

		*cursor = ahead;
		if (desc->fields[0].type == PROTOBUF_C_TYPE_STRING)
			name = string_value(key.data, key.size);
		else
		{
			name.type = jbvString;
			name.val.string.val = psprintf("%d", evc_wire_int32(key.value));
			name.val.string.len = (int) strlen(name.val.string.val);
		}
		pushJsonbValue(state, WJB_KEY, &name);
		push_message(state, evc_wire_message_of(&desc->fields[1]), inner);
	}
	return pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

/* What a path leads to, as a value of jsonb. */
static Jsonb *
place_to_jsonb(const Place *place)
{
	JsonbParseState *state = NULL;
	EvcCursor	cursor = place->cursor;
	JsonbValue	scalar;

	switch (place->kind)
	{
		case PLACE_MESSAGE:
			return JsonbValueToJsonb(push_message(&state, place->desc,
												  cursor));
		case PLACE_MAP:
			return JsonbValueToJsonb(push_map(&state, place->field, &cursor));
		case PLACE_SCALAR:
			break;
	}
	scalar = scalar_value(place->field, &place->value);
	return JsonbValueToJsonb(&scalar);
}

/* A value of jsonb as text: a string without quotes, the rest as it prints. */
static text *
jsonb_to_text(Jsonb *jsonb)
{
	if (JB_ROOT_IS_SCALAR(jsonb))
	{
		JsonbValue	value;

		JsonbExtractScalar(&jsonb->root, &value);
		if (value.type == jbvString)
			return cstring_to_text_with_len(value.val.string.val,
											value.val.string.len);
	}
	return cstring_to_text(JsonbToCString(NULL, &jsonb->root,
										  VARSIZE(jsonb)));
}

/* An int32 as text.  Most are 0 or the number of a connector: one digit. */
static inline text *
int32_to_text(int32 number)
{
	text	   *result = palloc(VARHDRSZ + INT32_TEXT);
	char	   *end = VARDATA(result);

	if (number >= 0 && number <= 9)
		*end++ = (char) ('0' + number);
	else
		end += pg_ltoa(number, end);
	SET_VARSIZE(result, end - (char *) result);
	return result;
}

/* What a path leads to, as text; the usual scalars do without a jsonb. */
static inline text *
place_to_text(const Place *place)
{
	if (place->kind == PLACE_SCALAR)
	{
		switch (place->field->type)
		{
			case PROTOBUF_C_TYPE_STRING:
				return evc_message_text(place->value.data, place->value.size);
			case PROTOBUF_C_TYPE_INT32:
				return int32_to_text(evc_wire_int32(place->value.value));
			case PROTOBUF_C_TYPE_BOOL:
				return cstring_to_text(place->value.value != 0 ?
									   "true" : "false");
			default:
				break;
		}
	}
	return jsonb_to_text(place_to_jsonb(place));
}

/*
 * evc_message_get
 *		message -> text: a field or the value of a map, as jsonb.
 */
Datum
evc_message_get(PG_FUNCTION_ARGS)
{
	Place		place;

	if (!follow(fcinfo, false, &place))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(place_to_jsonb(&place));
}

/*
 * evc_message_get_text
 *		message ->> text: the same as text.
 */
Datum
evc_message_get_text(PG_FUNCTION_ARGS)
{
	Place		place;

	if (!follow(fcinfo, false, &place))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(place_to_text(&place));
}

/*
 * evc_message_get_path
 *		message #> text[]: what a path leads to, as jsonb.
 */
Datum
evc_message_get_path(PG_FUNCTION_ARGS)
{
	Place		place;

	if (!follow(fcinfo, true, &place))
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(place_to_jsonb(&place));
}

/*
 * evc_message_get_path_text
 *		message #>> text[]: the same as text.
 */
Datum
evc_message_get_path_text(PG_FUNCTION_ARGS)
{
	Place		place;

	if (!follow(fcinfo, true, &place))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(place_to_text(&place));
}

/*
 * evc_message_to_jsonb
 *		The cast to jsonb.
 */
Datum
evc_message_to_jsonb(PG_FUNCTION_ARGS)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	Place		place;

	begin(&place, &view);
	PG_RETURN_JSONB_P(place_to_jsonb(&place));
}

/* ---------------------------------------------------------------------------
 * Subscripts
 * ---------------------------------------------------------------------------
 */

/*
 * Make m['connectors']['1'] an expression that gives jsonb.
 *
 * A subscript is a name or a key: text, or a number as the key of a map.
 */
static void
subscript_transform(SubscriptingRef *sbsref, List *indirection,
					ParseState *pstate, bool is_slice, bool is_assignment)
{
	List	   *subscripts = NIL;
	ListCell   *cell;

	if (is_assignment)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a message cannot be changed by a subscript"),
				 errdetail("A subscript of a message reads only."),
				 errhint("Merge another message into it with the operator ||.")));

	foreach(cell, indirection)
	{
		A_Indices  *indices = lfirst_node(A_Indices, cell);
		Node	   *subscript;
		Oid			type;
		char		category;
		bool		preferred;

		if (is_slice || indices->is_slice)
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("a message does not support slices"),
					 errdetail("A subscript of a message is one name or one key."),
					 parser_errposition(pstate,
										exprLocation(indices->uidx != NULL ?
													 indices->uidx :
													 indices->lidx))));

		subscript = transformExpr(pstate, indices->uidx, pstate->p_expr_kind);
		type = exprType(subscript);
		get_type_category_preferred(type, &category, &preferred);
		if (type == UNKNOWNOID || category == TYPCATEGORY_STRING ||
			type == INT2OID || type == INT4OID || type == INT8OID)
			subscript = coerce_to_target_type(pstate, subscript, type,
											  TEXTOID, -1,
											  COERCION_ASSIGNMENT,
											  COERCE_IMPLICIT_CAST, -1);
		else
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("subscript of a message has type %s",
							format_type_be(type)),
					 errdetail("A subscript of a message is one name or one key: text, or an integer."),
					 parser_errposition(pstate, exprLocation(indices->uidx))));
		subscripts = lappend(subscripts, subscript);
	}

	sbsref->refupperindexpr = subscripts;
	sbsref->reflowerindexpr = NIL;
	sbsref->refrestype = JSONBOID;
	sbsref->reftypmod = -1;
}

/* A subscript that is NULL leads nowhere. */
static bool
subscript_check(ExprState *state, ExprEvalStep *op, ExprContext *context)
{
	SubscriptingRefState *ref = op->d.sbsref_subscript.state;

	(void) state;
	(void) context;
	for (int i = 0; i < ref->numupper; i++)
	{
		if (ref->upperindexnull[i])
		{
			*op->resnull = true;
			return false;
		}
	}
	return true;
}

/* Follow the subscripts; the message is not NULL. */
static void
subscript_fetch(ExprState *state, ExprEvalStep *op, ExprContext *context)
{
	SubscriptingRefState *ref = op->d.sbsref.state;
	EvcView		view = evc_message_view(*op->resvalue);
	Place		place;

	(void) state;
	(void) context;
	begin(&place, &view);
	for (int i = 0; i < ref->numupper; i++)
	{
		Step		step = {.name = DatumGetTextPP(ref->upperindex[i])};

		if (!take_step(&place, &step))
		{
			*op->resnull = true;
			return;
		}
	}
	*op->resvalue = JsonbPGetDatum(place_to_jsonb(&place));
	*op->resnull = false;
}

/* Tell the executor how to read. */
static void
subscript_setup(const SubscriptingRef *sbsref, SubscriptingRefState *ref,
				SubscriptExecSteps *methods)
{
	(void) sbsref;
	(void) ref;
	methods->sbs_check_subscripts = subscript_check;
	methods->sbs_fetch = subscript_fetch;
}

/*
 * evc_message_subscript
 *		The subscripting handler of the type: m['connectors']['1']['status'].
 */
Datum
evc_message_subscript(PG_FUNCTION_ARGS)
{
	static const SubscriptRoutines routines = {
		.transform = subscript_transform,
		.exec_setup = subscript_setup,
		.fetch_strict = true,	/* no message, no field */
		.fetch_leakproof = false	/* a damaged value raises an error */
	};

	(void) fcinfo;
	PG_RETURN_POINTER(&routines);
}

/* ---------------------------------------------------------------------------
 * Merging and comparing
 * ---------------------------------------------------------------------------
 */

/*
 * evc_message_merge
 *		message || message: protobuf's merge of two messages of one type.
 *
 * Which is what their bytes, one after the other, mean.
 */
Datum
evc_message_merge(PG_FUNCTION_ARGS)
{
	EvcView		a = evc_message_view(PG_GETARG_DATUM(0));
	EvcView		b = evc_message_view(PG_GETARG_DATUM(1));
	uint8	   *both;
	EvcMessage *result;

	if (a.type != b.type)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_WRONG_MESSAGE_TYPE),
				 errmsg("cannot merge messages of types %s and %s",
						a.desc->short_name, b.desc->short_name),
				 errdetail("Only messages of one type can be merged.")));

	both = palloc_extended(a.size + b.size, MCXT_ALLOC_HUGE);
	memcpy(both, a.wire, a.size);
	memcpy(both + a.size, b.wire, b.size);
	result = evc_message_canonical(a.type, both, a.size + b.size);
	pfree(both);
	PG_RETURN_POINTER(result);
}

/* Order by type number, then by canonical bytes, then by length. */
static int
compare_messages(FunctionCallInfo fcinfo)
{
	EvcView		a = evc_message_view(PG_GETARG_DATUM(0));
	EvcView		b = evc_message_view(PG_GETARG_DATUM(1));
	int			order = (a.type > b.type) - (a.type < b.type);

	if (order == 0)
		order = memcmp(a.wire, b.wire, Min(a.size, b.size));
	if (order == 0)
		order = (a.size > b.size) - (a.size < b.size);

	/* an index calls this without an end */
	PG_FREE_IF_COPY(a.value, 0);
	PG_FREE_IF_COPY(b.value, 1);
	return order;
}

/* Values of different sizes are told apart without fetching them. */
static bool
is_equal(FunctionCallInfo fcinfo)
{
	Datum		a = PG_GETARG_DATUM(0);
	Datum		b = PG_GETARG_DATUM(1);

	if (toast_raw_datum_size(a) != toast_raw_datum_size(b))
		return false;
	return compare_messages(fcinfo) == 0;
}

/*
 * evc_message_eq
 *		message = message.
 */
Datum
evc_message_eq(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(is_equal(fcinfo));
}

/*
 * evc_message_ne
 *		message <> message.
 */
Datum
evc_message_ne(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(!is_equal(fcinfo));
}

/*
 * evc_message_lt
 *		message < message.
 */
Datum
evc_message_lt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_messages(fcinfo) < 0);
}

/*
 * evc_message_le
 *		message <= message.
 */
Datum
evc_message_le(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_messages(fcinfo) <= 0);
}

/*
 * evc_message_gt
 *		message > message.
 */
Datum
evc_message_gt(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_messages(fcinfo) > 0);
}

/*
 * evc_message_ge
 *		message >= message.
 */
Datum
evc_message_ge(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(compare_messages(fcinfo) >= 0);
}

/*
 * evc_message_cmp
 *		The order of two messages, for btree indexes and sorting.
 */
Datum
evc_message_cmp(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(compare_messages(fcinfo));
}

/* Hash type and bytes. */
static uint64
hash_message(FunctionCallInfo fcinfo, uint64 seed)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	uint64		result;

	/* the byte of the type stands in front of the wire bytes */
	result = hash_bytes_extended(view.wire - 1, (int) view.size + 1, seed);
	PG_FREE_IF_COPY(view.value, 0);
	return result;
}

/*
 * evc_message_hash
 *		The hash of a message, for hash indexes and joins.
 *
 * The low half of the extended hash with seed 0, as the operator class has it.
 */
Datum
evc_message_hash(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT32((uint32) hash_message(fcinfo, 0));
}

/*
 * evc_message_hash_extended
 *		The hash of a message with a seed.
 */
Datum
evc_message_hash_extended(PG_FUNCTION_ARGS)
{
	PG_RETURN_UINT64(hash_message(fcinfo, (uint64) PG_GETARG_INT64(1)));
}
