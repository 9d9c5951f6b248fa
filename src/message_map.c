/*
 * message_map.c
 *		The maps of a ChargePointState as rows.
 *
 * A row is made when it is asked for, from the wire bytes of its entry.  The
 * id is the map's key; the other columns are the fields of the value as they
 * stand, an absent one as its default.
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/builtins.h"

#include "errors.h"
#include "message.h"

/* Where a call for the next row goes on. */
typedef struct MapState
{
	const ProtobufCFieldDescriptor *map;
	EvcCursor	cursor;			/* at the next field of the message */
} MapState;

/* An entry: its key, and the fields of its value by their number. */
typedef struct MapRow
{
	EvcField	key;
	EvcField	fields[EVC_MAX_FIELDS + 1];
	bool		has[EVC_MAX_FIELDS + 1];
} MapRow;

/* The columns of one kind of map. */
typedef void (*RowMaker) (const MapRow *row, Datum *values, bool *nulls);

PG_FUNCTION_INFO_V1(evc_message_connectors);
PG_FUNCTION_INFO_V1(evc_message_transactions);
PG_FUNCTION_INFO_V1(evc_message_auth_list);

/* Read the fields of a message that is not a map entry. */
static void
read_fields(const ProtobufCMessageDescriptor *desc, EvcCursor cursor,
			MapRow *row)
{
	EvcField	field;

	memset(row->fields, 0, sizeof(row->fields));
	memset(row->has, 0, sizeof(row->has));
	while (evc_wire_next(&cursor, &field))
	{
		if (evc_wire_known(desc, &field) == NULL ||
			field.number > EVC_MAX_FIELDS)
			break;
		row->fields[field.number] = field;
		row->has[field.number] = true;
	}
}

/* Read the next entry of the map; false after the last. */
static bool
next_row(MapState *state, MapRow *row)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(state->map);
	EvcField	entry;

	while (evc_wire_next(&state->cursor, &entry))
	{
		EvcCursor	cursor = {entry.data, entry.data + entry.size};
		EvcField	value;

		if (entry.number > state->map->id)
			break;
		if (entry.number < state->map->id || entry.wire_type != EVC_WIRE_BYTES)
			continue;
		if (!evc_wire_next(&cursor, &row->key) ||
			!evc_wire_next(&cursor, &value))
			break;
		cursor.at = value.data;
		cursor.end = value.data + value.size;
		read_fields(evc_wire_message_of(&desc->fields[1]), cursor, row);
		return true;
	}
	return false;
}

/* A number as int4. */
static Datum
int_datum(const EvcField *field)
{
	return Int32GetDatum(evc_wire_int32(field->value));
}

/* A string as text. */
static Datum
text_datum(const EvcField *field)
{
	return PointerGetDatum(evc_message_text(field->data, field->size));
}

/* Return the bytes of a submessage; none if it is absent. */
static EvcCursor
cursor_into(const MapRow *row, unsigned number)
{
	static const uint8_t nothing[1] = {0};
	EvcCursor	cursor = {nothing, nothing};

	if (row->has[number])
	{
		cursor.at = row->fields[number].data;
		cursor.end = cursor.at + row->fields[number].size;
	}
	return cursor;
}

/* Return the rows of a map, one at a call. */
static Datum
expand(FunctionCallInfo fcinfo, unsigned number, int n_columns,
	   RowMaker make_row)
{
	FuncCallContext *context;
	MapState   *state;
	MapRow		row;
	Datum		values[8];
	bool		nulls[8] = {false};

	if (SRF_IS_FIRSTCALL())
	{
		MemoryContext old;
		TupleDesc	tupdesc;
		struct varlena *copy;
		EvcView		view;

		context = SRF_FIRSTCALL_INIT();
		old = MemoryContextSwitchTo(context->multi_call_memory_ctx);
		if (get_call_result_type(fcinfo, NULL,
								 &tupdesc) != TYPEFUNC_COMPOSITE ||
			tupdesc->natts != n_columns)
			elog(ERROR, "return type must be a row of %d columns", n_columns);
		context->tuple_desc = BlessTupleDesc(tupdesc);

		copy = PG_DETOAST_DATUM_COPY(PG_GETARG_DATUM(0));
		view = evc_message_view(PointerGetDatum(copy));
		if (view.type != EVC_CHARGE_POINT_STATE)
			ereport(ERROR,
					(errcode(ERRCODE_EVC_WRONG_MESSAGE_TYPE),
					 errmsg("message is of type %s, not of type %s",
							view.desc->short_name,
							evc_message_type_name(EVC_CHARGE_POINT_STATE)),
					 errdetail("Only a ChargePointState has connectors, transactions and an authorization list.")));

		state = palloc(sizeof(MapState));
		state->map = evc_wire_field(view.desc, number);
		state->cursor.at = view.wire;
		state->cursor.end = view.wire + view.size;
		context->user_fctx = state;
		MemoryContextSwitchTo(old);
	}

	context = SRF_PERCALL_SETUP();
	state = context->user_fctx;
	if (!next_row(state, &row))
		SRF_RETURN_DONE(context);

	make_row(&row, values, nulls);
	SRF_RETURN_NEXT(context,
					HeapTupleGetDatum(heap_form_tuple(context->tuple_desc,
													  values, nulls)));
}

/* The columns of connectors(). */
static void
make_connector(const MapRow *row, Datum *values, bool *nulls)
{
	(void) nulls;
	values[0] = int_datum(&row->key);
	values[1] = text_datum(&row->fields[2]);
	values[2] = int_datum(&row->fields[3]);
}

/* The columns of transactions(). */
static void
make_transaction(const MapRow *row, Datum *values, bool *nulls)
{
	const EvcField *progress = &row->fields[8];

	values[0] = int_datum(&row->key);
	values[1] = text_datum(&row->fields[2]);
	values[2] = int_datum(&row->fields[3]);
	values[3] = text_datum(&row->fields[4]);
	values[4] = text_datum(&row->fields[5]);
	values[5] = int_datum(&row->fields[6]);
	values[6] = int_datum(&row->fields[7]);
	nulls[7] = !row->has[8];
	if (row->has[8])
		values[7] = PointerGetDatum(evc_message_make(EVC_EV_CHARGING_STATUS,
													 progress->data,
													 progress->size));
}

/* The columns of auth_list(). */
static void
make_auth(const MapRow *row, Datum *values, bool *nulls)
{
	MapRow		auth;
	MapRow		info;

	(void) nulls;
	read_fields(evc_schema_descriptor(EVC_LOCAL_AUTHORIZATION),
				cursor_into(row, 3), &auth);
	read_fields(evc_schema_descriptor(EVC_ID_TAG_INFO),
				cursor_into(&auth, 2), &info);

	values[0] = text_datum(&row->key);
	values[1] = text_datum(&row->fields[1]);
	values[2] = int_datum(&row->fields[2]);
	values[3] = text_datum(&info.fields[1]);
	values[4] = text_datum(&info.fields[2]);
	values[5] = text_datum(&info.fields[3]);
}

/*
 * evc_message_connectors
 *		connectors(message): one row per connector, by id.
 */
Datum
evc_message_connectors(PG_FUNCTION_ARGS)
{
	return expand(fcinfo, 3, 3, make_connector);
}

/*
 * evc_message_transactions
 *		transactions(message): one row per transaction, by id.
 */
Datum
evc_message_transactions(PG_FUNCTION_ARGS)
{
	return expand(fcinfo, 4, 8, make_transaction);
}

/*
 * evc_message_auth_list
 *		auth_list(message): one row per entry of the list, by id tag.
 */
Datum
evc_message_auth_list(PG_FUNCTION_ARGS)
{
	return expand(fcinfo, 5, 6, make_auth);
}
