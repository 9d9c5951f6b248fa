/*
 * wire.h
 *		Protobuf wire bytes: reading fields, checking, the canonical form.
 *
 * Free of PostgreSQL: no palloc, no ereport, only libc and the descriptors of
 * protobuf-c, so that the same source is fuzzed outside the server.
 *
 * The canonical form of a message is what other implementations call its
 * deterministic serialization: known fields by number and only if they are not
 * the default, varints as short as they can be, map entries by key and each
 * with key and value, unknown fields last in the order in which they came.
 */
#ifndef EVC_WIRE_H
#define EVC_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "schema.h"

/* Levels of submessages, map entries and groups inside a message. */
#define EVC_MAX_NESTING		100

/* protobuf allows it in a string, and PostgreSQL has no way to store it */
#define EVC_FAULT_NUL \
	"the string contains U+0000, which text in PostgreSQL cannot hold"

/* More than any message of the format has; checked where it matters. */
#define EVC_MAX_FIELDS		16

typedef enum EvcWireType
{
	EVC_WIRE_VARINT = 0,
	EVC_WIRE_FIXED64 = 1,
	EVC_WIRE_BYTES = 2,
	EVC_WIRE_GROUP = 3,
	EVC_WIRE_END_GROUP = 4,
	EVC_WIRE_FIXED32 = 5
} EvcWireType;

#define EVC_TAG(number, wire_type) (((uint32_t) (number) << 3) | (wire_type))

/*
 * Where memory comes from.  Neither function returns a failure: alloc() raises
 * an error or ends the process when there is no memory.
 */
typedef struct EvcMemory
{
	void	   *(*alloc) (size_t size);
	void		(*release) (void *block);
} EvcMemory;

/* Why bytes, or a JSON text, are not the message they claim to be. */
typedef struct EvcError
{
	bool		too_large;		/* not malformed, but over the limit */
	size_t		offset;			/* of the byte where the fault is, from 0 */
	char		field[256];		/* connectors[1].status; empty at the top */
	char		detail[192];	/* the fault, as a clause without a period */
} EvcError;

/* A path through the message being read, kept for the error it may end in. */
typedef struct EvcFrame
{
	const struct EvcFrame *up;	/* NULL at the top */
	const ProtobufCFieldDescriptor *field;	/* of the level above */
	bool		has_key;		/* in an entry of a map: its key so far */
	int32_t		number;			/* ... if it is a number */
	const uint8_t *key;			/* ... if it is a string */
	size_t		key_size;
} EvcFrame;

/* What is still to be read. */
typedef struct EvcCursor
{
	const uint8_t *at;
	const uint8_t *end;
} EvcCursor;

/* One field as it stands on the wire. */
typedef struct EvcField
{
	const uint8_t *start;		/* of its tag */
	const uint8_t *end;			/* where the next field begins */
	uint32_t	number;
	EvcWireType wire_type;
	uint64_t	value;			/* of a varint or a fixed-width number */
	const uint8_t *data;		/* of bytes */
	size_t		size;
} EvcField;

/* An entry of a map, to be sorted by its key. */
typedef struct EvcEntry
{
	uint32_t	key;			/* a number, or the offset of a string's tag */
	uint32_t	offset;			/* orders the entries that have one key */
} EvcEntry;

/* A google.protobuf.Any: which message, and its bytes. */
typedef struct EvcAny
{
	const uint8_t *type_url;	/* valid UTF-8 */
	size_t		type_url_size;
	const uint8_t *value;
	size_t		value_size;
} EvcAny;

/* Bytes that are written from the end to the beginning. */
typedef struct EvcWriter
{
	const EvcMemory *memory;
	uint8_t    *block;
	size_t		capacity;
	size_t		start;			/* they stand from here to capacity */
} EvcWriter;

extern bool evc_wire_check(const ProtobufCMessageDescriptor *desc,
						   const void *bytes, size_t size,
						   bool *canonical, EvcError *error);
extern bool evc_wire_any(const void *bytes, size_t size, EvcAny *any,
						 EvcError *error);
extern void evc_wire_canonical(const ProtobufCMessageDescriptor *desc,
							   const void *bytes, size_t size,
							   EvcWriter *out);
extern int	evc_entries_compare(const uint8_t *base, const uint8_t *end,
								bool is_string, const EvcEntry *a,
								const EvcEntry *b);
extern void evc_entries_sort(const uint8_t *base, const uint8_t *end,
							 bool is_string, EvcEntry *entries, size_t n);
extern bool evc_wire_next_slow(EvcCursor *cursor, EvcField *field);
extern bool evc_wire_find_slow(EvcCursor *cursor, uint32_t number,
							   EvcField *field);
extern const uint8_t *evc_wire_utf8_fault(const uint8_t *string, size_t size);
extern uint32_t evc_wire_utf8_char(const uint8_t **at);
extern void evc_wire_put_fixed32(uint8_t *at, uint32_t value);

extern void evc_error_path(EvcError *error, const EvcFrame *up,
						   const char *name);
extern size_t evc_error_quote(char *to, size_t room,
							  const void *string, size_t size);

extern void evc_writer_init(EvcWriter *out, const EvcMemory *memory,
							size_t capacity);
extern void evc_writer_grow(EvcWriter *out, size_t size);

/*
 * evc_wire_field
 *		Return the field of that number in a message, NULL if it is unknown.
 *
 * All messages of the format number their fields from 1 without a gap, which
 * makes this one comparison; the search is for a format that would not.
 */
static inline const ProtobufCFieldDescriptor *
evc_wire_field(const ProtobufCMessageDescriptor *desc, uint32_t number)
{
	if (number - 1 < desc->n_fields && desc->fields[number - 1].id == number)
		return &desc->fields[number - 1];
	return protobuf_c_message_descriptor_get_field(desc, number);
}

/* The type of message that a field holds. */
static inline const ProtobufCMessageDescriptor *
evc_wire_message_of(const ProtobufCFieldDescriptor *field)
{
	return field->descriptor;
}

/*
 * evc_wire_type_of
 *		Return the wire type in which a field of the format is written.
 */
static inline EvcWireType
evc_wire_type_of(const ProtobufCFieldDescriptor *field)
{
	static const uint8_t wire_types[] = {
		[PROTOBUF_C_TYPE_INT32] = EVC_WIRE_VARINT,
		[PROTOBUF_C_TYPE_BOOL] = EVC_WIRE_VARINT,
		[PROTOBUF_C_TYPE_FLOAT] = EVC_WIRE_FIXED32,
		[PROTOBUF_C_TYPE_STRING] = EVC_WIRE_BYTES,
		[PROTOBUF_C_TYPE_BYTES] = EVC_WIRE_BYTES,
		[PROTOBUF_C_TYPE_MESSAGE] = EVC_WIRE_BYTES
	};

	return (EvcWireType) wire_types[field->type];
}

/*
 * evc_wire_known
 *		Return which field of a message this is, NULL if it is unknown.
 *
 * A known number in another wire type is an unknown field, says protobuf.
 */
static inline const ProtobufCFieldDescriptor *
evc_wire_known(const ProtobufCMessageDescriptor *desc, const EvcField *field)
{
	const ProtobufCFieldDescriptor *known;

	known = evc_wire_field(desc, field->number);
	if (known != NULL && evc_wire_type_of(known) != field->wire_type)
		known = NULL;
	return known;
}

/*
 * evc_wire_varint
 *		Read a varint, return what follows it, NULL if it does not end in time.
 *
 * Bits beyond the 64th are dropped, as every implementation does.
 */
static inline const uint8_t *
evc_wire_varint(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	uint64_t	result = 0;

	for (int shift = 0; shift < 70 && at < end; shift += 7)
	{
		uint8_t		byte = *at++;

		result |= (uint64_t) (byte & 0x7f) << shift;
		if (byte < 0x80)
		{
			*value = result;
			return at;
		}
	}
	return NULL;
}

/*
 * evc_wire_usual
 *		Read the field at this place if it is a usual one.
 *
 * That is, with a number below 16 and a length or value of one or two bytes.
 */
static inline bool
evc_wire_usual(const uint8_t *at, const uint8_t *end, EvcField *field)
{
	const uint8_t *data;
	uint32_t	value;

	if (end - at < 2 || at[0] >= 0x80)
		return false;
	value = at[1];
	data = at + 2;
	if (value >= 0x80)
	{
		if (end - at < 3 || at[2] >= 0x80)
			return false;
		value = (value & 0x7f) | (uint32_t) *data++ << 7;
	}
	field->start = at;
	field->number = at[0] >> 3;
	field->wire_type = (EvcWireType) (at[0] & 7);
	field->value = value;
	field->data = data;
	field->size = field->wire_type == EVC_WIRE_BYTES ? value : 0;
	if (field->wire_type != EVC_WIRE_VARINT &&
		(field->wire_type != EVC_WIRE_BYTES || value > end - data))
		return false;
	field->end = data + field->size;
	return true;
}

/*
 * evc_wire_next
 *		Read one field of a checked message; false at its end.
 *
 * Stops at the first byte that makes no sense, so that a value damaged on disk
 * cannot lead out of its bytes.
 */
static inline bool
evc_wire_next(EvcCursor *cursor, EvcField *field)
{
	if (!evc_wire_usual(cursor->at, cursor->end, field))
		return evc_wire_next_slow(cursor, field);
	cursor->at = field->end;
	return true;
}

/*
 * evc_wire_find
 *		Read the field of that number in a canonical message; false if it is
 *		absent.
 *
 * There the numbers ascend, up to the unknown fields.  What a usual field is
 * that stands before it does not leave the registers.
 */
static inline bool
evc_wire_find(EvcCursor *cursor, uint32_t number, EvcField *field)
{
	const uint8_t *at = cursor->at;
	const uint8_t *end = cursor->end;
	EvcField	usual;

	while (evc_wire_usual(at, end, &usual))
	{
		at = usual.end;
		if (usual.number >= number)
		{
			*field = usual;
			cursor->at = at;
			return usual.number == number;
		}
	}
	cursor->at = at;
	return evc_wire_find_slow(cursor, number, field);
}

/* The same bits as another type. */
static inline float
evc_wire_float(uint64_t bits)
{
	uint32_t	low = (uint32_t) bits;
	float		value;

	memcpy(&value, &low, sizeof(value));
	return value;
}

static inline uint32_t
evc_wire_float_bits(float value)
{
	uint32_t	bits;

	memcpy(&bits, &value, sizeof(bits));
	return bits;
}

/* An int32 is the low half of its varint; a negative one fills ten bytes. */
static inline int32_t
evc_wire_int32(uint64_t value)
{
	return (int32_t) (uint32_t) value;
}

/*
 * evc_writer_reserve
 *		Make room in front of what was written and return where it begins.
 */
static inline uint8_t *
evc_writer_reserve(EvcWriter *out, size_t size)
{
	if (out->start < size)
		evc_writer_grow(out, size);
	out->start -= size;
	return out->block + out->start;
}

static inline size_t
evc_wire_varint_size(uint64_t value)
{
	size_t		size = 1;

	while (value >= 0x80)
	{
		value >>= 7;
		size++;
	}
	return size;
}

static inline uint8_t *
evc_wire_put_varint(uint8_t *at, uint64_t value)
{
	while (value >= 0x80)
	{
		*at++ = (uint8_t) (value | 0x80);
		value >>= 7;
	}
	*at++ = (uint8_t) value;
	return at;
}

static inline void
evc_writer_varint(EvcWriter *out, uint64_t value)
{
	size_t		size = evc_wire_varint_size(value);

	evc_wire_put_varint(evc_writer_reserve(out, size), value);
}

static inline void
evc_writer_bytes(EvcWriter *out, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(evc_writer_reserve(out, size), bytes, size);
}

static inline size_t
evc_writer_size(const EvcWriter *out)
{
	return out->capacity - out->start;
}

/* Put tag and length in front of all that was written since "mark". */
static inline void
evc_writer_prefix(EvcWriter *out, uint32_t number, size_t mark)
{
	evc_writer_varint(out, evc_writer_size(out) - mark);
	evc_writer_varint(out, EVC_TAG(number, EVC_WIRE_BYTES));
}

#endif							/* EVC_WIRE_H */
