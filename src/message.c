/*
 * message.c
 *		evcharge.message: its forms, and the generated structs.
 *
 * A value is google.protobuf.Any as a type of PostgreSQL: its text is the
 * ProtoJSON of Any, its binary form the wire bytes of Any.  What is stored is
 * the canonical wire bytes, so that equal messages are equal bytes and nothing
 * that reads a value has to check it again.
 *
 * evcharge.max_message_size is looked at only where bytes come in.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "common/shortest_dec.h"
#include "access/detoast.h"
#include "fmgr.h"
#include "funcapi.h"
#include "libpq/pqformat.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "errors.h"
#include "guc.h"
#include "json.h"
#include "message.h"
#include "wire.h"

/* What a type URL begins with when this extension writes it. */
#define TYPE_URL_PREFIX "type.googleapis.com/gateway."

/*
 * Memory for the struct of one message, in the current context: blocks that
 * are filled from the beginning.
 *
 * A map entry of 5 bytes makes structs of 136.  A message of nothing else is
 * an attack and no state of a charge point, which takes 2 to 3 times its size:
 * so there is a budget, which alone bounds what hostile bytes can cost.
 */
typedef struct Arena
{
	char	   *at;
	size_t		left;
	bool		convert;		/* the server does not store UTF-8 */
	EvcType		type;
	size_t		size;			/* of the message */
	size_t		budget;			/* what is left of it */
} Arena;

#define ARENA_BLOCK		((size_t) 4096)

/* A struct may take so many times its message, or one of that size if less. */
#define ARENA_FACTOR	5
#define ARENA_FLOOR		((size_t) 256 * 1024)

/* An entry of a map on its way out. */
typedef struct PackEntry
{
	const ProtobufCMessage *entry;
	const char *key;			/* NULL if it is a number */
	size_t		size;
	int32		number;
} PackEntry;

static void *memory_alloc(size_t size);
static void pack_message(EvcWriter *out, const ProtobufCMessage *message);

const EvcMemory evc_message_memory = {memory_alloc, pfree};

PG_FUNCTION_INFO_V1(evc_message_in);
PG_FUNCTION_INFO_V1(evc_message_out);
PG_FUNCTION_INFO_V1(evc_message_recv);
PG_FUNCTION_INFO_V1(evc_message_send);
PG_FUNCTION_INFO_V1(evc_message_decode);
PG_FUNCTION_INFO_V1(evc_message_try_decode);
PG_FUNCTION_INFO_V1(evc_message_validate);
PG_FUNCTION_INFO_V1(evc_message_encode);
PG_FUNCTION_INFO_V1(evc_message_type);
PG_FUNCTION_INFO_V1(evc_message_typmod_in);
PG_FUNCTION_INFO_V1(evc_message_typmod_out);
PG_FUNCTION_INFO_V1(evc_message_coerce);
PG_FUNCTION_INFO_V1(evc_message_to_json);
PG_FUNCTION_INFO_V1(evc_message_from_json);

/* Allocate; more than 1 GB is the business of whoever makes a value of it. */
static void *
memory_alloc(size_t size)
{
	return palloc_extended(size, MCXT_ALLOC_HUGE);
}

/* ---------------------------------------------------------------------------
 * Types and errors
 * ---------------------------------------------------------------------------
 */

/* Raise that the format has no message of that name. */
static void
no_such_type(const char *name)
{
	StringInfoData types;

	initStringInfo(&types);
	for (int type = 1; type <= EVC_LAST_TYPE; type++)
		appendStringInfo(&types, "%s%s", type > 1 ? ", " : "",
						 evc_message_type_name((EvcType) type));
	ereport(ERROR,
			(errcode(ERRCODE_EVC_NO_SUCH_MESSAGE_TYPE),
			 errmsg("there is no message type \"%s\"", name),
			 errdetail("The format has no message of that name."),
			 errhint("The message types are: %s.", types.data)));
}

/*
 * evc_message_type_by_name
 *		Return the number of the message type of that name.
 */
EvcType
evc_message_type_by_name(const char *name)
{
	int			type = evc_schema_lookup(name, strlen(name));

	if (type == 0)
		no_such_type(name);
	return (EvcType) type;
}

/* The same for a name that is a text of SQL. */
static EvcType
type_by_text(text *name)
{
	int			type = evc_schema_lookup(VARDATA_ANY(name),
										 VARSIZE_ANY_EXHDR(name));

	if (type == 0)
		no_such_type(text_to_cstring(name));
	return (EvcType) type;
}

/*
 * evc_message_type_name
 *		Return the short name of a message type.
 */
const char *
evc_message_type_name(EvcType type)
{
	const ProtobufCMessageDescriptor *desc = evc_schema_descriptor(type);

	if (desc == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("message has an unknown type number %d", (int) type),
				 errdetail("The value is damaged, or a newer version of evcharge wrote it.")));
	return desc->short_name;
}

/* Say what is wrong, and where: the errdetail of every OC001 and OC004. */
static char *
error_detail(const EvcError *error)
{
	if (error->too_large)
		return psprintf("It has %zu bytes, "
						"and evcharge.max_message_size is %d.",
						error->offset, evc_max_message_size);
	if (error->field[0] == '\0')
		return psprintf("At byte %zu: %s.", error->offset, error->detail);
	return psprintf("At byte %zu, field \"%s\": %s.",
					error->offset, error->field, error->detail);
}

/* Raise that these bytes, or this text, are not such a message. */
static void
raise_error(EvcType type, const EvcError *error)
{
	if (error->too_large)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_MESSAGE_TOO_LARGE),
				 errmsg("gateway.%s message is too large",
						evc_message_type_name(type)),
				 errdetail_internal("%s", error_detail(error)),
				 errhint("The setting evcharge.max_message_size can be raised.")));
	ereport(ERROR,
			(errcode(ERRCODE_EVC_MALFORMED_MESSAGE),
			 errmsg("malformed gateway.%s message",
					evc_message_type_name(type)),
			 errdetail_internal("%s", error_detail(error))));
}

/* ---------------------------------------------------------------------------
 * Bytes to a value
 * ---------------------------------------------------------------------------
 */

/* Is that too much?  Looked at before anything is allocated. */
static bool
size_is_good(size_t size, EvcError *error)
{
	if (size <= (size_t) evc_max_message_size)
		return true;
	error->too_large = true;
	error->offset = size;
	error->field[0] = '\0';
	error->detail[0] = '\0';
	return false;
}

/*
 * evc_message_bytes
 *		Return an argument that holds the bytes of a message.
 *
 * One that is too large is refused before it is fetched or decompressed.
 */
bytea *
evc_message_bytes(Datum argument)
{
	size_t		size = toast_raw_datum_size(argument) - VARHDRSZ;

	if (size > (size_t) evc_max_message_size)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_MESSAGE_TOO_LARGE),
				 errmsg("message is too large"),
				 errdetail("It has %zu bytes, and evcharge.max_message_size is %d.",
						   size, evc_max_message_size),
				 errhint("The setting evcharge.max_message_size can be raised.")));
	return DatumGetByteaPP(argument);
}

/*
 * evc_message_make
 *		Return a value with these canonical bytes.
 */
EvcMessage *
evc_message_make(EvcType type, const void *bytes, size_t size)
{
	EvcMessage *message;

	if (size > MaxAllocSize - EVC_MESSAGE_HEADER)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message does not fit into a value"),
				 errdetail("It has %zu bytes.", size)));
	message = palloc(EVC_MESSAGE_HEADER + size);
	SET_VARSIZE(message, EVC_MESSAGE_HEADER + size);
	message->version = EVC_MESSAGE_VERSION;
	message->type = (uint8) type;
	if (size > 0)
		memcpy(message->wire, bytes, size);
	return message;
}

/*
 * Return the value of wire bytes, NULL if they are malformed or too many.
 *
 * The limit also holds for the canonical form: it can be longer than what came
 * in, and a dump of the value must be restorable under the same setting.
 */
static EvcMessage *
read_wire(EvcType type, const void *bytes, size_t size, EvcError *error)
{
	const ProtobufCMessageDescriptor *desc = evc_schema_descriptor(type);
	EvcMessage *message = NULL;
	EvcWriter	out;
	bool		canonical;

	if (!size_is_good(size, error) ||
		!evc_wire_check(desc, bytes, size, &canonical, error))
		return NULL;
	if (canonical)
		return evc_message_make(type, bytes, size);

	evc_writer_init(&out, &evc_message_memory, size);
	evc_wire_canonical(desc, bytes, size, &out);
	if (size_is_good(evc_writer_size(&out), error))
		message = evc_message_make(type, out.block + out.start,
								   evc_writer_size(&out));
	pfree(out.block);
	return message;
}

/*
 * evc_message_decode_wire
 *		Return the value of wire bytes.  Raises OC001 and OC004.
 */
EvcMessage *
evc_message_decode_wire(EvcType type, const void *bytes, size_t size)
{
	EvcError	error;
	EvcMessage *message = read_wire(type, bytes, size, &error);

	if (message == NULL)
		raise_error(type, &error);
	return message;
}

/*
 * evc_message_canonical
 *		Return the value of checked bytes that need not be canonical.
 */
EvcMessage *
evc_message_canonical(EvcType type, const void *bytes, size_t size)
{
	EvcMessage *message;
	EvcWriter	out;

	evc_writer_init(&out, &evc_message_memory, size);
	evc_wire_canonical(evc_schema_descriptor(type), bytes, size, &out);
	message = evc_message_make(type, out.block + out.start,
							   evc_writer_size(&out));
	pfree(out.block);
	return message;
}

/* ---------------------------------------------------------------------------
 * Bytes to a struct
 * ---------------------------------------------------------------------------
 */

/* Allocate, and raise OC004 rather than go over the budget. */
static void *
arena_spend(Arena *arena, size_t size)
{
	if (size > arena->budget)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_MESSAGE_TOO_LARGE),
				 errmsg("gateway.%s message has too many parts",
						evc_message_type_name(arena->type)),
				 errdetail("Its %zu bytes would take more than %d times as much memory.",
						   arena->size, ARENA_FACTOR),
				 errhint("Such a message can be stored and queried, but not taken as a state.")));
	arena->budget -= size;
	return palloc_extended(size, MCXT_ALLOC_HUGE);
}

/* Take room for a struct or an array; a large one does not end the block. */
static void *
arena_alloc(Arena *arena, size_t size)
{
	void	   *result;

	size = MAXALIGN(size);
	if (size > arena->left)
	{
		if (size > ARENA_BLOCK / 4)
			return arena_spend(arena, size);
		arena->at = arena_spend(arena, ARENA_BLOCK);
		arena->left = ARENA_BLOCK;
	}
	result = arena->at;
	arena->at += size;
	arena->left -= size;
	return result;
}

/* Copy a string of the wire, in the encoding of the server. */
static char *
arena_string(Arena *arena, const EvcField *field)
{
	const char *string = (const char *) field->data;
	size_t		size = field->size;
	char	   *copy = NULL;
	char	   *converted = NULL;
	char	   *result;

	if (arena->convert)
	{
		copy = pnstrdup(string, size);
		converted = pg_any_to_server(copy, (int) size, PG_UTF8);
		string = converted;
		size = strlen(converted);
	}
	result = arena_alloc(arena, size + 1);
	memcpy(result, string, size);
	result[size] = '\0';
	if (converted != copy)
		pfree(converted);
	if (copy != NULL)
		pfree(copy);
	return result;
}

/*
 * Make the struct of canonical bytes.
 *
 * Canonical means that no field occurs twice, that the entries of a map stand
 * together, and that each of them has key and value.
 */
static ProtobufCMessage *
fill_struct(Arena *arena, const ProtobufCMessageDescriptor *desc,
			const uint8_t *bytes, size_t size)
{
	EvcCursor	cursor = {bytes, bytes + size};
	EvcField	field;
	ProtobufCMessage *message = arena_alloc(arena, desc->sizeof_message);

	desc->message_init(message);
	while (evc_wire_next(&cursor, &field))
	{
		const ProtobufCFieldDescriptor *known = evc_wire_known(desc, &field);
		char	   *member;

		if (known == NULL)
			continue;
		member = (char *) message + known->offset;

		switch (known->type)
		{
			case PROTOBUF_C_TYPE_INT32:
				*(int32_t *) member = evc_wire_int32(field.value);
				break;
			case PROTOBUF_C_TYPE_BOOL:
				*(protobuf_c_boolean *) member = field.value != 0;
				break;
			case PROTOBUF_C_TYPE_FLOAT:
				*(float *) member = evc_wire_float(field.value);
				break;
			case PROTOBUF_C_TYPE_STRING:
				*(char **) member = arena_string(arena, &field);
				break;
			case PROTOBUF_C_TYPE_MESSAGE:
				if (evc_schema_is_map(known))
				{
					ProtobufCMessage **entries =
						*(ProtobufCMessage ***) member;
					size_t	   *n = (size_t *) ((char *) message +
												known->quantifier_offset);

					if (entries == NULL)
					{
						EvcCursor	ahead = cursor;
						EvcField	other;
						size_t		count = 1;

						while (evc_wire_next(&ahead, &other) &&
							   other.number == field.number)
							count++;
						entries = arena_alloc(arena, count * sizeof(*entries));
						*(ProtobufCMessage ***) member = entries;
					}
					entries[(*n)++] = fill_struct(arena,
												  evc_wire_message_of(known),
												  field.data, field.size);
				}
				else
					*(ProtobufCMessage **) member =
						fill_struct(arena, evc_wire_message_of(known),
									field.data, field.size);
				break;
			default:
				elog(ERROR, "field \"%s\" has an unsupported type",
					 known->name);
		}
	}
	return message;
}

/* Make the struct of canonical bytes, of a message of "size" bytes. */
static void *
make_struct(EvcType type, const uint8_t *canonical, size_t canonical_size,
			size_t size)
{
	Arena		arena = {0};

	arena.convert = GetDatabaseEncoding() != PG_UTF8;
	arena.type = type;
	arena.size = size;
	arena.budget = ARENA_FACTOR * Max(size, ARENA_FLOOR);
	return fill_struct(&arena, evc_schema_descriptor(type), canonical,
					   canonical_size);
}

/*
 * evc_message_unpack
 *		Return the struct of wire bytes.  Raises OC001 and OC004.
 */
void *
evc_message_unpack(EvcType type, const void *bytes, size_t len)
{
	const ProtobufCMessageDescriptor *desc = evc_schema_descriptor(type);
	EvcError	error;
	bool		canonical;
	EvcWriter	out;
	void	   *result;

	if (!size_is_good(len, &error) ||
		!evc_wire_check(desc, bytes, len, &canonical, &error))
		raise_error(type, &error);
	if (canonical)
		return make_struct(type, bytes, len, len);

	evc_writer_init(&out, &evc_message_memory, len);
	evc_wire_canonical(desc, bytes, len, &out);
	result = make_struct(type, out.block + out.start, evc_writer_size(&out),
						 len);
	pfree(out.block);
	return result;
}

/*
 * evc_message_struct
 *		Return the struct of a value.
 */
void *
evc_message_struct(const EvcMessage *message)
{
	size_t		size = EVC_MESSAGE_WIRE_SIZE(message);

	return make_struct(evc_message_type_of(message), message->wire, size,
					   size);
}

/* ---------------------------------------------------------------------------
 * A struct to bytes
 * ---------------------------------------------------------------------------
 */

/* Return a string of a struct as UTF-8. */
static const char *
to_utf8(const char *string, size_t *size)
{
	if (string == NULL)
		string = "";
	*size = strlen(string);
	if (*size > 0 && GetDatabaseEncoding() != PG_UTF8)
	{
		string = pg_server_to_any(string, (int) *size, PG_UTF8);
		*size = strlen(string);
	}
	return string;
}

/* Order entries by key: numbers by value, strings by their bytes as UTF-8. */
static int
compare_pack_entries(const void *a, const void *b)
{
	const PackEntry *left = a;
	const PackEntry *right = b;
	int			order;

	if (left->key == NULL)
		return (left->number > right->number) - (left->number < right->number);
	order = memcmp(left->key, right->key, Min(left->size, right->size));
	if (order == 0)
		order = (left->size > right->size) - (left->size < right->size);
	return order;
}

/* Write an int32 as varint. */
static void
pack_int32(EvcWriter *out, int32 value)
{
	evc_writer_varint(out, (uint64_t) (int64_t) value);
}

/* Write a map, sorted by key, each entry with key and value. */
static void
pack_map(EvcWriter *out, const ProtobufCFieldDescriptor *map,
		 ProtobufCMessage *const *members, size_t n)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	const ProtobufCFieldDescriptor *key = &desc->fields[0];
	const ProtobufCFieldDescriptor *value = &desc->fields[1];
	PackEntry  *entries = palloc_extended(n * sizeof(PackEntry),
										  MCXT_ALLOC_HUGE);

	for (size_t i = 0; i < n; i++)
	{
		const char *member = (const char *) members[i] + key->offset;

		entries[i].entry = members[i];
		if (key->type == PROTOBUF_C_TYPE_STRING)
			entries[i].key = to_utf8(*(char *const *) member,
									 &entries[i].size);
		else
		{
			entries[i].key = NULL;
			entries[i].number = *(const int32_t *) member;
		}
	}
	qsort(entries, n, sizeof(PackEntry), compare_pack_entries);

	for (size_t i = n; i-- > 0;)
	{
		const PackEntry *entry = &entries[i];
		const ProtobufCMessage *submessage =
			*(ProtobufCMessage *const *) ((const char *) entry->entry +
										  value->offset);
		size_t		entry_mark = evc_writer_size(out);
		size_t		mark = entry_mark;

		if (i > 0 && compare_pack_entries(&entries[i - 1], entry) == 0)
			elog(ERROR, "map \"%s\" has two entries with one key", map->name);

		if (submessage != NULL)
			pack_message(out, submessage);
		evc_writer_prefix(out, value->id, mark);
		if (entry->key != NULL)
		{
			mark = evc_writer_size(out);
			evc_writer_bytes(out, entry->key, entry->size);
			evc_writer_prefix(out, key->id, mark);
		}
		else
		{
			pack_int32(out, entry->number);
			evc_writer_varint(out, EVC_TAG(key->id, EVC_WIRE_VARINT));
		}
		evc_writer_prefix(out, map->id, entry_mark);
	}
	pfree(entries);
}

/* Write a struct, from its last field to its first. */
static void
pack_message(EvcWriter *out, const ProtobufCMessage *message)
{
	const ProtobufCMessageDescriptor *desc = message->descriptor;

	for (unsigned i = desc->n_fields; i-- > 0;)
	{
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		const char *member = (const char *) message + field->offset;
		size_t		mark = evc_writer_size(out);

		switch (field->type)
		{
			case PROTOBUF_C_TYPE_INT32:
				if (*(const int32_t *) member == 0)
					continue;
				pack_int32(out, *(const int32_t *) member);
				break;
			case PROTOBUF_C_TYPE_BOOL:
				if (!*(const protobuf_c_boolean *) member)
					continue;
				evc_writer_varint(out, 1);
				break;
			case PROTOBUF_C_TYPE_FLOAT:
				{
					uint32_t	bits;

					/* by its bits: -0 is not the default */
					bits = evc_wire_float_bits(*(const float *) member);
					if (bits == 0)
						continue;
					evc_wire_put_fixed32(evc_writer_reserve(out, 4), bits);
					break;
				}
			case PROTOBUF_C_TYPE_STRING:
				{
					size_t		size;
					const char *text = to_utf8(*(char *const *) member, &size);

					if (size == 0)
						continue;
					evc_writer_bytes(out, text, size);
					evc_writer_prefix(out, field->id, mark);
					continue;
				}
			case PROTOBUF_C_TYPE_MESSAGE:
				if (evc_schema_is_map(field))
				{
					size_t		n;

					n = *(const size_t *) ((const char *) message +
										   field->quantifier_offset);
					if (n > 0)
						pack_map(out, field,
								 *(ProtobufCMessage **const *) member, n);
				}
				else if (*(ProtobufCMessage *const *) member != NULL)
				{
					pack_message(out, *(ProtobufCMessage *const *) member);
					evc_writer_prefix(out, field->id, mark);
				}
				continue;
			default:
				elog(ERROR, "field \"%s\" has an unsupported type",
					 field->name);
		}
		evc_writer_varint(out, EVC_TAG(field->id, evc_wire_type_of(field)));
	}
}

/*
 * evc_message_pack
 *		Return the canonical wire bytes of a struct.
 */
bytea *
evc_message_pack(const ProtobufCMessage *message)
{
	EvcWriter	out;
	size_t		size;
	bytea	   *result;

	evc_writer_init(&out, &evc_message_memory, 256);
	pack_message(&out, message);
	size = evc_writer_size(&out);
	if (size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("message does not fit into a value"),
				 errdetail("It has %zu bytes.", size)));
	result = palloc(VARHDRSZ + size);
	SET_VARSIZE(result, VARHDRSZ + size);
	memcpy(VARDATA(result), out.block + out.start, size);
	pfree(out.block);
	return result;
}

/*
 * evc_message_value
 *		Return a struct as a value of the type.
 */
EvcMessage *
evc_message_value(const ProtobufCMessage *message)
{
	EvcWriter	out;
	EvcMessage *result;

	evc_writer_init(&out, &evc_message_memory, 256);
	pack_message(&out, message);
	result = evc_message_make((EvcType) evc_schema_type(message->descriptor),
							  out.block + out.start, evc_writer_size(&out));
	pfree(out.block);
	return result;
}

/* ---------------------------------------------------------------------------
 * Reading a value
 * ---------------------------------------------------------------------------
 */

/*
 * evc_message_unreadable
 *		Raise why this library cannot read a value.
 */
void
evc_message_unreadable(const struct varlena *value)
{
	const uint8 *data = (const uint8 *) VARDATA_ANY(value);

	if (VARSIZE_ANY_EXHDR(value) < EVC_MESSAGE_HEADER - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("message is damaged"),
				 errdetail("It has no header.")));
	if (data[0] != EVC_MESSAGE_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("message has an unknown layout version %d", data[0]),
				 errdetail("The value is damaged, or a newer version of evcharge wrote it.")));
	evc_message_type_name((EvcType) data[1]);	/* raises the error */
}

/*
 * evc_message_prefix
 *		Look at the first bytes of a value, without fetching more of it.
 */
EvcView
evc_message_prefix(Datum datum, int32 size)
{
	return evc_message_look(PG_DETOAST_DATUM_SLICE(datum, 0, size));
}

/*
 * evc_message_type_of
 *		Return the type of a value.
 */
EvcType
evc_message_type_of(const EvcMessage *message)
{
	return evc_message_look((struct varlena *) message).type;
}

/* Return the type of a value without fetching more of it than its header. */
static EvcType
type_of_datum(Datum datum)
{
	return evc_message_prefix(datum, EVC_MESSAGE_HEADER - VARHDRSZ).type;
}

/* ---------------------------------------------------------------------------
 * The functions of SQL: bytes and values
 * ---------------------------------------------------------------------------
 */

/*
 * evc_message_decode
 *		decode(type text, wire bytea): the message in these bytes.
 */
Datum
evc_message_decode(PG_FUNCTION_ARGS)
{
	EvcType		type = type_by_text(PG_GETARG_TEXT_PP(0));
	bytea	   *bytes = evc_message_bytes(PG_GETARG_DATUM(1));

	PG_RETURN_POINTER(evc_message_decode_wire(type, VARDATA_ANY(bytes),
											  VARSIZE_ANY_EXHDR(bytes)));
}

/*
 * evc_message_try_decode
 *		try_decode(type text, wire bytea): the same, or NULL if it is none.
 */
Datum
evc_message_try_decode(PG_FUNCTION_ARGS)
{
	EvcType		type = type_by_text(PG_GETARG_TEXT_PP(0));
	bytea	   *bytes = PG_GETARG_BYTEA_PP(1);
	EvcError	error;
	EvcMessage *message = read_wire(type, VARDATA_ANY(bytes),
									VARSIZE_ANY_EXHDR(bytes), &error);

	if (message == NULL)
		PG_RETURN_NULL();
	PG_RETURN_POINTER(message);
}

/*
 * evc_message_validate
 *		validate(type text, wire bytea): whether decode() takes the bytes, and
 *		if not, where and why.
 */
Datum
evc_message_validate(PG_FUNCTION_ARGS)
{
	EvcType		type = type_by_text(PG_GETARG_TEXT_PP(0));
	bytea	   *bytes = PG_GETARG_BYTEA_PP(1);
	EvcError	error;
	EvcMessage *message;
	TupleDesc	tupdesc;
	Datum		values[5] = {0};
	bool		nulls[5] = {false, true, true, true, true};

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	tupdesc = BlessTupleDesc(tupdesc);

	message = read_wire(type, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes),
						&error);
	values[0] = BoolGetDatum(message != NULL);
	if (message == NULL)
	{
		if (!error.too_large)
		{
			values[1] = Int32GetDatum((int32) error.offset);
			nulls[1] = false;
		}
		if (error.field[0] != '\0')
		{
			values[2] = CStringGetTextDatum(error.field);
			nulls[2] = false;
		}
		values[3] = CStringGetTextDatum(error.too_large ? "OC004" : "OC001");
		nulls[3] = false;
		values[4] = CStringGetTextDatum(error_detail(&error));
		nulls[4] = false;
	}
	return HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls));
}

/*
 * evc_message_encode
 *		encode(message): its canonical wire bytes.
 */
Datum
evc_message_encode(PG_FUNCTION_ARGS)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	bytea	   *result = palloc(VARHDRSZ + view.size);

	SET_VARSIZE(result, VARHDRSZ + view.size);
	memcpy(VARDATA(result), view.wire, view.size);
	PG_RETURN_BYTEA_P(result);
}

/*
 * evc_message_type
 *		message_type(message): the short name of its type.
 */
Datum
evc_message_type(PG_FUNCTION_ARGS)
{
	EvcType		type = type_of_datum(PG_GETARG_DATUM(0));

	PG_RETURN_TEXT_P(cstring_to_text(evc_message_type_name(type)));
}

/*
 * evc_message_recv
 *		Read the wire bytes of google.protobuf.Any.
 */
Datum
evc_message_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int32		typmod = PG_GETARG_INT32(2);
	const uint8 *bytes = (const uint8 *) buf->data + buf->cursor;
	size_t		size = (size_t) (buf->len - buf->cursor);
	EvcAny		any;
	EvcError	error;
	int			type;
	EvcMessage *message;

	if (!evc_wire_any(bytes, size, &any, &error))
		ereport(ERROR,
				(errcode(ERRCODE_EVC_MALFORMED_MESSAGE),
				 errmsg("malformed google.protobuf.Any message"),
				 errdetail_internal("%s", error_detail(&error))));
	type = evc_schema_lookup((const char *) any.type_url, any.type_url_size);
	if (type == 0)
		no_such_type(pg_any_to_server(pnstrdup((const char *) any.type_url,
											   any.type_url_size),
									  (int) any.type_url_size, PG_UTF8));
	evc_message_check_typmod((EvcType) type, typmod);

	message = read_wire((EvcType) type, any.value, any.value_size, &error);
	if (message == NULL)
		raise_error((EvcType) type, &error);
	buf->cursor = buf->len;
	PG_RETURN_POINTER(message);
}

/*
 * evc_message_send
 *		Write the wire bytes of google.protobuf.Any.
 */
Datum
evc_message_send(PG_FUNCTION_ARGS)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	const char *name = view.desc->short_name;
	size_t		url_size = sizeof(TYPE_URL_PREFIX) - 1 + strlen(name);
	uint8		prefix[16];
	uint8	   *at = prefix;
	StringInfoData buf;

	pq_begintypsend(&buf);
	at = evc_wire_put_varint(at, EVC_TAG(1, EVC_WIRE_BYTES));
	at = evc_wire_put_varint(at, url_size);
	pq_sendbytes(&buf, (char *) prefix, (int) (at - prefix));
	pq_sendbytes(&buf, TYPE_URL_PREFIX, sizeof(TYPE_URL_PREFIX) - 1);
	pq_sendbytes(&buf, name, (int) strlen(name));
	if (view.size > 0)
	{
		at = evc_wire_put_varint(prefix, EVC_TAG(2, EVC_WIRE_BYTES));
		at = evc_wire_put_varint(at, view.size);
		pq_sendbytes(&buf, (char *) prefix, (int) (at - prefix));
		pq_sendbytes(&buf, (const char *) view.wire, (int) view.size);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

/* ---------------------------------------------------------------------------
 * The type modifier: message(ConnectorInfo)
 * ---------------------------------------------------------------------------
 */

/*
 * evc_message_check_typmod
 *		Raise OC002 if a column of that typmod does not take the type.
 */
void
evc_message_check_typmod(EvcType type, int32 typmod)
{
	if (typmod >= 0 && typmod != (int32) type)
		ereport(ERROR,
				(errcode(ERRCODE_EVC_WRONG_MESSAGE_TYPE),
				 errmsg("message is of type %s, not of type %s",
						evc_message_type_name(type),
						evc_message_type_name((EvcType) typmod)),
				 errdetail("The column or cast is declared as message(%s).",
						   evc_message_type_name((EvcType) typmod))));
}

/*
 * evc_message_typmod_in
 *		Read the type name of message(ConnectorInfo).
 *
 * Ignores case, because SQL gives a name in lower case that has no quotes.
 */
Datum
evc_message_typmod_in(PG_FUNCTION_ARGS)
{
	ArrayType  *modifiers = PG_GETARG_ARRAYTYPE_P(0);
	Datum	   *elements;
	int			n;
	const char *name;
	const char *short_name;

	deconstruct_array(modifiers, CSTRINGOID, -2, false, TYPALIGN_CHAR,
					  &elements, NULL, &n);
	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("type modifier of message must be one message type"),
				 errdetail("There are %d modifiers.", n),
				 errhint("Write evcharge.message(ConnectorInfo), for example.")));
	name = DatumGetCString(elements[0]);
	short_name = pg_strncasecmp(name, "gateway.", 8) == 0 ? name + 8 : name;
	for (int type = 1; type <= EVC_LAST_TYPE; type++)
	{
		if (pg_strcasecmp(evc_message_type_name((EvcType) type),
						  short_name) == 0)
			PG_RETURN_INT32(type);
	}
	no_such_type(name);
	PG_RETURN_INT32(-1);		/* not reached */
}

/*
 * evc_message_typmod_out
 *		Write the type name of message(ConnectorInfo).
 */
Datum
evc_message_typmod_out(PG_FUNCTION_ARGS)
{
	int32		typmod = PG_GETARG_INT32(0);

	if (typmod < 0)
		PG_RETURN_CSTRING(pstrdup(""));
	PG_RETURN_CSTRING(psprintf("(%s)",
							   evc_message_type_name((EvcType) typmod)));
}

/*
 * evc_message_coerce
 *		Cast message to message(type): the value itself, if it is of the type.
 */
Datum
evc_message_coerce(PG_FUNCTION_ARGS)
{
	int32		typmod = PG_GETARG_INT32(1);

	if (typmod >= 0)
		evc_message_check_typmod(type_of_datum(PG_GETARG_DATUM(0)), typmod);
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* ---------------------------------------------------------------------------
 * The functions of SQL: text
 * ---------------------------------------------------------------------------
 */

/*
 * Convert JSON text from UTF-8 to the encoding of the server.
 *
 * A character that the encoding lacks becomes an escape: all that is not ASCII
 * in JSON stands in strings, where an escape means the same.
 */
static void
json_to_server(EvcBuffer *json)
{
	int			encoding = GetDatabaseEncoding();
	const uint8_t *at = json->data;
	const uint8_t *end = json->data + json->size;
	EvcBuffer	converted;
	Oid			proc;

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return;
	while (at < end && *at < 0x80)
		at++;
	if (at == end)
		return;

	proc = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("default conversion function for encoding \"%s\" to \"%s\" does not exist",
						pg_encoding_to_char(PG_UTF8),
						pg_encoding_to_char(encoding))));

	evc_buffer_init(&converted, &evc_message_memory, json->size + 64);
	for (at = json->data; at < end;)
	{
		/* a piece at a time: the conversion wants four times the room */
		size_t		piece = Min((size_t) (end - at), 4096);
		size_t		room = piece * MAX_CONVERSION_GROWTH + 1;
		uint8_t    *to;
		int			done;

		to = evc_buffer_reserve(&converted, room);
		done = pg_do_encoding_conversion_buf(proc, PG_UTF8, encoding,
											 unconstify(unsigned char *, at),
											 (int) piece, to, (int) room,
											 true);
		converted.size += strlen((char *) to);
		at += done;

		/* it stops at a character that is cut, and comes again, or lacking */
		if (done < (int) piece && done + pg_utf_mblen(at) <= (int) piece)
		{
			uint32_t	c = evc_wire_utf8_char(&at);
			char	   *escape = (char *) evc_buffer_reserve(&converted, 13);

			if (c < 0x10000)
				converted.size += sprintf(escape, "\\u%04x", c);
			else
				converted.size += sprintf(escape, "\\u%04x\\u%04x",
										  0xd7c0 + (c >> 10),
										  0xdc00 + (c & 0x3ff));
		}
	}
	pfree(json->data);
	*json = converted;
}

/* Return the JSON text of a value, in the encoding of the server. */
static EvcBuffer
value_to_json(const EvcView *view, bool any, bool emit_defaults,
			  bool proto_names)
{
	EvcJsonOptions options = {0};
	char		type_url[128];
	EvcBuffer	json;

	options.emit_defaults = emit_defaults;
	options.proto_names = proto_names;
	options.print_float = float_to_shortest_decimal_buf;
	snprintf(type_url, sizeof(type_url), TYPE_URL_PREFIX "%s",
			 view->desc->short_name);

	evc_buffer_init(&json, &evc_message_memory, view->size * 3 + 128);
	evc_json_write(&json, view->desc, view->wire, view->size,
				   any ? type_url : NULL, &options);
	json_to_server(&json);
	if (json.size > MaxAllocSize - VARHDRSZ - 1)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("JSON text of the message is too long"),
				 errdetail("It has %zu bytes.", json.size)));
	return json;
}

/* Return the value of a JSON text in UTF-8; a NUL follows it. */
static EvcMessage *
value_of_json(EvcType type, const char *json, size_t size, bool any,
			  bool ignore_unknown)
{
	EvcJsonOptions options = {0};
	EvcBuffer	wire;
	EvcError	error;
	EvcMessage *message;

	options.any = any;
	options.ignore_unknown = ignore_unknown;
	evc_buffer_init(&wire, &evc_message_memory, size / 2 + 64);
	if (!evc_json_read(&wire, evc_schema_descriptor(type), json, size,
					   &options, &error))
		raise_error(type, &error);
	message = read_wire(type, wire.data, wire.size, &error);
	if (message == NULL)
		raise_error(type, &error);
	pfree(wire.data);
	return message;
}

/*
 * Return text of the server as UTF-8.  SQL_ASCII promises no encoding; whoever
 * reads the text finds out whether it is UTF-8.
 */
static const char *
input_to_utf8(const char *input, size_t *size)
{
	*size = strlen(input);
	if (GetDatabaseEncoding() != PG_SQL_ASCII)
		input = to_utf8(input, size);
	return input;
}

/*
 * evc_message_in
 *		Read the JSON of google.protobuf.Any.
 */
Datum
evc_message_in(PG_FUNCTION_ARGS)
{
	const char *json = PG_GETARG_CSTRING(0);
	int32		typmod = PG_GETARG_INT32(2);
	size_t		size;
	EvcBuffer	type_url;
	EvcError	error;
	int			type;

	json = input_to_utf8(json, &size);
	evc_buffer_init(&type_url, &evc_message_memory, 128);
	if (!evc_json_any_type(json, size, &type_url, &error))
		ereport(ERROR,
				(errcode(ERRCODE_EVC_MALFORMED_MESSAGE),
				 errmsg("malformed text of a message"),
				 errdetail_internal("%s", error_detail(&error)),
				 errhint("The text of a message is the JSON of google.protobuf.Any: {\"@type\":\"ConnectorInfo\",\"id\":1}.")));
	evc_buffer_byte(&type_url, 0);
	type = evc_schema_lookup((char *) type_url.data, type_url.size - 1);
	if (type == 0)
		no_such_type(pg_any_to_server((char *) type_url.data,
									  (int) type_url.size - 1, PG_UTF8));
	evc_message_check_typmod((EvcType) type, typmod);
	PG_RETURN_POINTER(value_of_json((EvcType) type, json, size, true, false));
}

/*
 * evc_message_out
 *		Write the JSON of google.protobuf.Any.
 */
Datum
evc_message_out(PG_FUNCTION_ARGS)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	EvcBuffer	json = value_to_json(&view, true, false, false);

	evc_buffer_byte(&json, 0);
	PG_RETURN_CSTRING((char *) json.data);
}

/*
 * evc_message_to_json
 *		to_json(message, emit_defaults, proto_names), and the cast to json,
 *		which passes no more than the message.
 */
Datum
evc_message_to_json(PG_FUNCTION_ARGS)
{
	EvcView		view = evc_message_view(PG_GETARG_DATUM(0));
	bool		emit_defaults = PG_NARGS() > 1 && PG_GETARG_BOOL(1);
	bool		proto_names = PG_NARGS() > 2 && PG_GETARG_BOOL(2);
	EvcBuffer	json = value_to_json(&view, false, emit_defaults, proto_names);

	PG_RETURN_TEXT_P(cstring_to_text_with_len((char *) json.data,
											  (int) json.size));
}

/*
 * evc_message_from_json
 *		from_json(type, json, ignore_unknown): the message of a JSON text.
 */
Datum
evc_message_from_json(PG_FUNCTION_ARGS)
{
	EvcType		type = type_by_text(PG_GETARG_TEXT_PP(0));
	const char *json = text_to_cstring(PG_GETARG_TEXT_PP(1));
	size_t		size;

	json = input_to_utf8(json, &size);
	PG_RETURN_POINTER(value_of_json(type, json, size, false,
									PG_GETARG_BOOL(2)));
}

/*
 * evc_message_text
 *		Return a string of the wire as text of the server.
 */
text *
evc_message_text(const void *string, size_t size)
{
	text	   *result;

	if (size > 0 && GetDatabaseEncoding() != PG_UTF8)
	{
		char	   *copy = pnstrdup(string, size);

		copy = pg_any_to_server(copy, (int) size, PG_UTF8);
		return cstring_to_text(copy);
	}
	result = palloc(VARHDRSZ + size);
	SET_VARSIZE(result, VARHDRSZ + size);
	if (size > 0)
		memcpy(VARDATA(result), string, size);
	return result;
}

/*
 * evc_message_utf8
 *		Return text of the server as a string of the wire.
 */
const char *
evc_message_utf8(text *string, size_t *size)
{
	if (GetDatabaseEncoding() == PG_UTF8 ||
		GetDatabaseEncoding() == PG_SQL_ASCII)
	{
		*size = VARSIZE_ANY_EXHDR(string);
		return VARDATA_ANY(string);
	}
	return to_utf8(text_to_cstring(string), size);
}
