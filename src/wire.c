/*
 * wire.c
 *		Protobuf wire bytes: reading fields, checking, the canonical form.
 *
 * Bytes from outside are walked once by evc_wire_check(), which knows at the
 * end whether they are good and whether they are canonical already.  What a
 * usual sender writes is, and costs nothing more; the rest is rewritten by
 * evc_wire_canonical(), which builds no tree: the merge of the occurrences of
 * a submessage is their concatenation, so a list of slices of the input is all
 * there is to know about a message.
 *
 * That bounds memory: a slice or a map entry is remembered in 8 bytes, and it
 * has a tag and a length of its own in the input, 2 bytes at least, so all
 * lists together never take more than 4 times its size.
 */
#include <assert.h>
#include <stdio.h>

#include "wire.h"

/*
 * What only unusual or broken messages need.  It must not be inlined: where
 * every field comes by, that would cost registers and a larger stack.
 */
#define COLD __attribute__((noinline, cold))

/* What evc_wire_check() carries through the message. */
typedef struct Check
{
	const uint8_t *base;		/* offsets count from here */
	bool		canonical;
	EvcError   *error;
} Check;

/* A part of the input. */
typedef struct Slice
{
	uint32_t	offset;
	uint32_t	size;
} Slice;

/* What evc_wire_canonical() carries through the message. */
typedef struct Work
{
	const uint8_t *base;
	const uint8_t *end;
	EvcWriter  *out;
} Work;

static bool check_message(Check *check, const ProtobufCMessageDescriptor *desc,
						  const uint8_t *at, const uint8_t *end,
						  EvcFrame *up, int nesting);
static void write_message(Work *work, const ProtobufCMessageDescriptor *desc,
						  const Slice *slices, size_t n_slices);

/* ---------------------------------------------------------------------------
 * Errors
 * ---------------------------------------------------------------------------
 */

/*
 * evc_wire_utf8_char
 *		Read one character of valid UTF-8.
 */
uint32_t
evc_wire_utf8_char(const uint8_t **at)
{
	const uint8_t *s = *at;

	if (s[0] < 0x80)
	{
		*at += 1;
		return s[0];
	}
	if (s[0] < 0xe0)
	{
		*at += 2;
		return (uint32_t) (s[0] & 0x1f) << 6 | (s[1] & 0x3f);
	}
	if (s[0] < 0xf0)
	{
		*at += 3;
		return (uint32_t) (s[0] & 0x0f) << 12 | (uint32_t) (s[1] & 0x3f) << 6 |
			(s[2] & 0x3f);
	}
	*at += 4;
	return (uint32_t) (s[0] & 0x07) << 18 | (uint32_t) (s[1] & 0x3f) << 12 |
		(uint32_t) (s[2] & 0x3f) << 6 | (s[3] & 0x3f);
}

/*
 * evc_error_quote
 *		Write valid UTF-8 as a JSON string in ASCII; return its size.
 *
 * Text from outside goes into messages this way: it cannot break a line, needs
 * no conversion to any encoding, and is clipped to what a person reads.
 */
size_t
evc_error_quote(char *to, size_t room, const void *string, size_t size)
{
	const uint8_t *at = string;
	const uint8_t *end = at + size;
	size_t		used = 0;

	if (room < 32)
		return 0;
	to[used++] = '"';
	while (at < end)
	{
		uint32_t	c;

		if (at - (const uint8_t *) string >= 48 || used + 20 > room)
		{
			used += (size_t) sprintf(to + used, "...");
			break;
		}
		c = evc_wire_utf8_char(&at);
		if (c == '"' || c == '\\')
			used += (size_t) sprintf(to + used, "\\%c", (char) c);
		else if (c >= 0x20 && c < 0x7f)
			to[used++] = (char) c;
		else if (c < 0x10000)
			used += (size_t) sprintf(to + used, "\\u%04x", (unsigned) c);
		else
			used += (size_t) sprintf(to + used, "\\u%04x\\u%04x",
									 (unsigned) (0xd7c0 + (c >> 10)),
									 (unsigned) (0xdc00 + (c & 0x3ff)));
	}
	to[used++] = '"';
	to[used] = '\0';
	return used;
}

/* Append what fits of a part of the path. */
static size_t
path_append(EvcError *error, size_t used, const char *separator,
			const char *part)
{
	int			n = snprintf(error->field + used, sizeof(error->field) - used,
							 "%s%s", used > 0 ? separator : "", part);

	used += (size_t) n;
	return used < sizeof(error->field) ? used : sizeof(error->field) - 1;
}

/* Write the path that leads to a frame; return its length. */
static size_t
path_of(EvcError *error, const EvcFrame *frame)
{
	size_t		used;
	char		key[160];

	if (frame == NULL)
		return 0;
	used = path_of(error, frame->up);

	/* the value of a map entry is what the key leads to */
	if (frame->up != NULL && evc_schema_is_map(frame->up->field))
		return used;

	used = path_append(error, used, ".", frame->field->name);
	if (evc_schema_is_map(frame->field))
	{
		key[0] = '\0';
		if (frame->has_key && frame->key != NULL)
			evc_error_quote(key, sizeof(key), frame->key, frame->key_size);
		else if (frame->has_key)
			snprintf(key, sizeof(key), "%d", (int) frame->number);
		used = path_append(error, used, "[", key);
		used = path_append(error, used, "]", "");
	}
	return used;
}

/*
 * evc_error_path
 *		Name the field of the level "up" that an error is about.
 *
 * "name" may be NULL: then the error is about that level itself.
 */
void
evc_error_path(EvcError *error, const EvcFrame *up, const char *name)
{
	size_t		used;

	error->field[0] = '\0';
	used = path_of(error, up);
	if (name == NULL)
		return;
	if (up != NULL && evc_schema_is_map(up->field) &&
		strcmp(name, "value") == 0)
		return;
	path_append(error, used, ".", name);
}

/* ---------------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------------
 */

static uint32_t
get_fixed32(const uint8_t *at)
{
	return (uint32_t) at[0] | (uint32_t) at[1] << 8 |
		(uint32_t) at[2] << 16 | (uint32_t) at[3] << 24;
}

void
evc_wire_put_fixed32(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t) value;
	at[1] = (uint8_t) (value >> 8);
	at[2] = (uint8_t) (value >> 16);
	at[3] = (uint8_t) (value >> 24);
}

/* Read a field, or the tag that begins or ends a group. */
static bool
next_token(EvcCursor *cursor, EvcField *field)
{
	const uint8_t *at = cursor->at;
	const uint8_t *end = cursor->end;
	uint64_t	tag;

	if (at >= end || (at = evc_wire_varint(at, end, &tag)) == NULL)
		return false;
	field->start = cursor->at;
	field->number = (uint32_t) (tag >> 3);
	field->wire_type = (EvcWireType) (tag & 7);
	field->value = 0;
	field->data = at;
	field->size = 0;
	switch (field->wire_type)
	{
		case EVC_WIRE_VARINT:
			at = evc_wire_varint(at, end, &field->value);
			if (at == NULL)
				return false;
			break;
		case EVC_WIRE_FIXED64:
			if (end - at < 8)
				return false;
			field->value = get_fixed32(at) |
				(uint64_t) get_fixed32(at + 4) << 32;
			at += 8;
			break;
		case EVC_WIRE_BYTES:
			{
				uint64_t	size;

				at = evc_wire_varint(at, end, &size);
				if (at == NULL || size > (uint64_t) (end - at))
					return false;
				field->data = at;
				field->size = (size_t) size;
				at += size;
				break;
			}
		case EVC_WIRE_GROUP:
		case EVC_WIRE_END_GROUP:
			break;
		case EVC_WIRE_FIXED32:
			if (end - at < 4)
				return false;
			field->value = get_fixed32(at);
			at += 4;
			break;
		default:
			return false;
	}
	field->end = cursor->at = at;
	return true;
}

/*
 * evc_wire_next_slow
 *		Read any field of a checked message; false at its end.
 *
 * A group is one field, whose data is everything up to and with its end.
 */
bool
evc_wire_next_slow(EvcCursor *cursor, EvcField *field)
{
	EvcField	inner;
	int			depth = 1;

	if (!next_token(cursor, field) || field->wire_type == EVC_WIRE_END_GROUP)
		return false;
	if (field->wire_type != EVC_WIRE_GROUP)
		return true;
	while (depth > 0)
	{
		if (!next_token(cursor, &inner))
			return false;
		if (inner.wire_type == EVC_WIRE_GROUP)
			depth++;
		else if (inner.wire_type == EVC_WIRE_END_GROUP)
			depth--;
	}
	field->end = cursor->at;
	field->size = (size_t) (field->end - field->data);
	return true;
}

/*
 * evc_wire_find_slow
 *		Read the field of that number in a canonical message; false if it is
 *		absent.
 */
bool
evc_wire_find_slow(EvcCursor *cursor, uint32_t number, EvcField *field)
{
	while (evc_wire_next(cursor, field))
	{
		if (field->number >= number)
			return field->number == number;
	}
	return false;
}

/* ---------------------------------------------------------------------------
 * Checking
 * ---------------------------------------------------------------------------
 */

/* Return the size of the character of UTF-8 at this place, 0 if it is none. */
static size_t
utf8_size(const uint8_t *at, const uint8_t *end)
{
	size_t		left = (size_t) (end - at);
	uint8_t		low = 0x80;
	uint8_t		high = 0xbf;
	size_t		size;

	if (at[0] < 0xc2 || at[0] > 0xf4)
		return 0;
	if (at[0] < 0xe0)
		size = 2;
	else if (at[0] < 0xf0)
	{
		size = 3;
		if (at[0] == 0xe0)
			low = 0xa0;			/* below, two bytes would do */
		else if (at[0] == 0xed)
			high = 0x9f;		/* above are the surrogates */
	}
	else
	{
		size = 4;
		if (at[0] == 0xf0)
			low = 0x90;			/* below, three bytes would do */
		else if (at[0] == 0xf4)
			high = 0x8f;		/* above is more than U+10FFFF */
	}
	if (left < size || at[1] < low || at[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++)
	{
		if (at[i] < 0x80 || at[i] > 0xbf)
			return 0;
	}
	return size;
}

/* Are these eight bytes ASCII without a NUL? */
static bool
plain_ascii(const uint8_t *at)
{
	uint64_t	word;

	memcpy(&word, at, sizeof(word));
	return ((word | (word - UINT64_C(0x0101010101010101))) &
			UINT64_C(0x8080808080808080)) == 0;
}

/*
 * evc_wire_utf8_fault
 *		Return where a string stops being UTF-8 that can be stored, or NULL.
 *
 * What it points to is a NUL, or the beginning of what is not a character of
 * RFC 3629.  Almost all text is ASCII, which is taken eight bytes at a time.
 */
const uint8_t *
evc_wire_utf8_fault(const uint8_t *string, size_t size)
{
	const uint8_t *at = string;
	const uint8_t *end = string + size;

	for (;;)
	{
		size_t		n = 1;

		while (end - at >= 8 && plain_ascii(at))
			at += 8;
		if (at == end ||
			(size >= 8 && end - at < 8 && plain_ascii(end - 8)))
			return NULL;

		if (*at >= 0x80)
			n = utf8_size(at, end);
		else if (*at == 0)
			n = 0;
		if (n == 0)
			return at;
		at += n;
	}
}

/* Is this how the value would be written? */
static bool
varint_is_minimal(const uint8_t *start, const uint8_t *end)
{
	return end - start == 1 ||
		(end[-1] != 0 && (end - start < 10 || end[-1] == 1));
}

/*
 * Note the fault that ends the check.  "number" is that of the field it is in,
 * 0 if there is none.
 */
COLD static bool
fail(Check *check, const EvcFrame *up, const ProtobufCMessageDescriptor *desc,
	 uint32_t number, const uint8_t *at, const char *detail)
{
	EvcError   *error = check->error;
	const ProtobufCFieldDescriptor *field;
	char		name[16];

	error->too_large = false;
	error->offset = (size_t) (at - check->base);
	snprintf(error->detail, sizeof(error->detail), "%s", detail);

	field = number > 0 ? evc_wire_field(desc, number) : NULL;
	snprintf(name, sizeof(name), "%u", (unsigned) number);
	evc_error_path(error, up,
				   field != NULL ? field->name : number > 0 ? name : NULL);
	return false;
}

/* A varint that cannot be read is either cut off or too long. */
static const char *
varint_fault(const uint8_t *at, const uint8_t *end)
{
	return end - at >= 10 ? "a varint has more than 10 bytes" :
		"the value is cut off";
}

/*
 * Read a tag.  Returns what follows it, NULL after noting the fault.
 *
 * A tag has at most 5 bytes, however it is padded: so it is in every other
 * implementation, where it is read as 32 bits.
 */
COLD static const uint8_t *
check_tag(Check *check, const ProtobufCMessageDescriptor *desc,
		  const uint8_t *at, const uint8_t *end, const EvcFrame *up,
		  uint32_t *tag)
{
	const uint8_t *next;
	uint64_t	value;
	const char *fault = NULL;

	next = evc_wire_varint(at, end, &value);
	if (next == NULL)
		fault = end - at >= 10 ? "a varint has more than 10 bytes" :
			"a field number is cut off";
	else if (next - at > 5 || value > UINT32_MAX)
		fault = "a field number is out of range";
	else if (value >> 3 == 0)
		fault = "a field has number 0";
	else if ((value & 7) > EVC_WIRE_FIXED32)
	{
		fail(check, up, desc, (uint32_t) (value >> 3), at,
			 (value & 7) == 6 ? "there is no wire type 6" :
			 "there is no wire type 7");
		return NULL;
	}
	if (fault != NULL)
	{
		fail(check, up, desc, 0, at, fault);
		return NULL;
	}
	if (!varint_is_minimal(at, next))
		check->canonical = false;
	*tag = (uint32_t) value;
	return next;
}

/* Read a length of more than one byte, or one that is wrong. */
COLD static const uint8_t *
check_long_length(Check *check, const ProtobufCMessageDescriptor *desc,
				  const uint8_t *at, const uint8_t *end, const EvcFrame *up,
				  uint32_t number, size_t *length)
{
	const uint8_t *next;
	uint64_t	value;

	next = evc_wire_varint(at, end, &value);
	if (next == NULL)
	{
		fail(check, up, desc, number, at,
			 end - at >= 10 ? "a varint has more than 10 bytes" :
			 "the length is cut off");
		return NULL;
	}
	if (next - at > 5 || value > INT32_MAX)
	{
		fail(check, up, desc, number, at, "the length is out of range");
		return NULL;
	}
	if (value > (uint64_t) (end - next))
	{
		char		detail[80];

		snprintf(detail, sizeof(detail),
				 "the length is %u, but only %lu is left",
				 (unsigned) value, (unsigned long) (end - next));
		fail(check, up, desc, number, at, detail);
		return NULL;
	}
	if (!varint_is_minimal(at, next))
		check->canonical = false;
	*length = (size_t) value;
	return next;
}

/*
 * Read a length and see that so many bytes follow; NULL after noting a fault.
 *
 * A length, too, has at most 5 bytes.
 */
static inline const uint8_t *
check_length(Check *check, const ProtobufCMessageDescriptor *desc,
			 const uint8_t *at, const uint8_t *end, const EvcFrame *up,
			 uint32_t number, size_t *length)
{
	if (at < end && *at < 0x80 && *at < end - at)
	{
		*length = *at;
		return at + 1;
	}
	return check_long_length(check, desc, at, end, up, number, length);
}

/*
 * Read a field whose meaning is not known and return what follows it, NULL
 * after noting a fault.  Groups are followed without recursion: their numbers
 * are on a stack of their own.
 */
COLD static const uint8_t *
check_unknown(Check *check, const ProtobufCMessageDescriptor *desc,
			  const uint8_t *at, const uint8_t *end, const EvcFrame *up,
			  int nesting)
{
	uint32_t	open[EVC_MAX_NESTING];
	uint32_t	tag;
	uint32_t	number = 0;		/* of the outermost field */
	const uint8_t *outermost = at;
	const uint8_t *start;
	int			depth = 0;
	uint64_t	value;
	size_t		length;
	const uint8_t *next;

	for (;;)
	{
		start = at;
		at = check_tag(check, desc, at, end, up, &tag);
		if (at == NULL)
			return NULL;
		if (start == outermost)
			number = tag >> 3;

		switch (tag & 7)
		{
			case EVC_WIRE_VARINT:
				next = evc_wire_varint(at, end, &value);
				if (next == NULL)
				{
					fail(check, up, desc, number, at, varint_fault(at, end));
					return NULL;
				}
				if (!varint_is_minimal(at, next))
					check->canonical = false;
				at = next;
				break;
			case EVC_WIRE_FIXED64:
			case EVC_WIRE_FIXED32:
				length = (tag & 7) == EVC_WIRE_FIXED64 ? 8 : 4;
				if ((size_t) (end - at) < length)
				{
					fail(check, up, desc, number, at, "the value is cut off");
					return NULL;
				}
				at += length;
				break;
			case EVC_WIRE_BYTES:
				at = check_length(check, desc, at, end, up, number, &length);
				if (at == NULL)
					return NULL;
				at += length;
				break;
			case EVC_WIRE_GROUP:
				if (nesting + depth >= EVC_MAX_NESTING)
				{
					fail(check, up, desc, number, start,
						 "it is nested deeper than 100 levels");
					return NULL;
				}
				open[depth++] = tag >> 3;
				break;
			case EVC_WIRE_END_GROUP:
				if (depth == 0 || open[depth - 1] != tag >> 3)
				{
					fail(check, up, desc, number, start,
						 depth == 0 ? "a group ends that did not begin" :
						 "a group ends with the number of another");
					return NULL;
				}
				depth--;
				break;
		}
		if (depth == 0)
			return at;
		if (at >= end)
		{
			fail(check, up, desc, number, outermost, "a group does not end");
			return NULL;
		}
	}
}

/* Does the key of the second entry come after that of the first? */
static bool
keys_ascend(const EvcFrame *first, const EvcFrame *second)
{
	size_t		size;
	int			order;

	if (first->key == NULL || second->key == NULL)
		return first->number < second->number;
	size = first->key_size < second->key_size ?
		first->key_size : second->key_size;
	order = memcmp(first->key, second->key, size);
	return order < 0 || (order == 0 && first->key_size < second->key_size);
}

/*
 * Check the bytes of one message, submessage or map entry.  "up" is the frame
 * of the field that holds it; if that is a map, its key is left there.
 */
static bool
check_message(Check *check, const ProtobufCMessageDescriptor *desc,
			  const uint8_t *at, const uint8_t *end, EvcFrame *up, int nesting)
{
	bool		entry;			/* of a map */
	uint32_t	last = 0;		/* highest field number so far */
	EvcFrame	previous = {0}; /* the last entry of a map */

	entry = up != NULL && evc_schema_is_map(up->field);
	while (at < end)
	{
		const uint8_t *start = at;
		const ProtobufCFieldDescriptor *field;
		uint32_t	tag = *at++;
		uint32_t	number;
		bool		is_default;

		/* nearly every tag has one byte, and what is known is good */
		if (tag >= 0x80)
		{
			at = check_tag(check, desc, start, end, up, &tag);
			if (at == NULL)
				return false;
		}
		number = tag >> 3;
		field = evc_wire_field(desc, number);

		if (field == NULL || evc_wire_type_of(field) != (tag & 7))
		{
			at = check_unknown(check, desc, start, end, up, nesting);
			if (at == NULL)
				return false;
			/* unknown fields come last; an entry does not keep them */
			last = UINT32_MAX;
			if (entry)
				check->canonical = false;
			continue;
		}

		if (number <= last)
		{
			/* only the entries of one map may follow each other */
			if (number < last || !evc_schema_is_map(field))
				check->canonical = false;
		}
		else
			last = number;

		switch (field->type)
		{
			case PROTOBUF_C_TYPE_INT32:
			case PROTOBUF_C_TYPE_BOOL:
				{
					uint64_t	value;
					const uint8_t *next = evc_wire_varint(at, end, &value);

					if (next == NULL)
						return fail(check, up, desc, number, at,
									varint_fault(at, end));
					if (!varint_is_minimal(at, next))
						check->canonical = false;
					if (field->type == PROTOBUF_C_TYPE_BOOL)
					{
						is_default = value == 0;
						if (value > 1)
							check->canonical = false;
					}
					else
					{
						int32_t		number32 = evc_wire_int32(value);

						is_default = number32 == 0;
						if (value != (uint64_t) (int64_t) number32)
							check->canonical = false;
						if (entry)
						{
							up->has_key = true;
							up->number = number32;
						}
					}
					at = next;
					break;
				}

			case PROTOBUF_C_TYPE_FLOAT:
				if (end - at < 4)
					return fail(check, up, desc, number, at,
								"the value is cut off");
				is_default = get_fixed32(at) == 0;
				at += 4;
				break;

			case PROTOBUF_C_TYPE_STRING:
				{
					size_t		length;
					const uint8_t *fault;

					at = check_length(check, desc, at, end, up, number,
									  &length);
					if (at == NULL)
						return false;
					fault = evc_wire_utf8_fault(at, length);
					if (fault != NULL)
						return fail(check, up, desc, number, fault,
									*fault == 0 ?
									EVC_FAULT_NUL :
									"the string is not valid UTF-8");
					is_default = length == 0;
					if (entry)
					{
						up->has_key = true;
						up->key = at;
						up->key_size = length;
					}
					at += length;
					break;
				}

			case PROTOBUF_C_TYPE_BYTES:
				{
					size_t		length;

					at = check_length(check, desc, at, end, up, number,
									  &length);
					if (at == NULL)
						return false;
					is_default = length == 0;
					at += length;
					break;
				}

			case PROTOBUF_C_TYPE_MESSAGE:
				{
					EvcFrame	frame = {0};
					size_t		length;

					at = check_length(check, desc, at, end, up, number,
									  &length);
					if (at == NULL)
						return false;
					if (nesting >= EVC_MAX_NESTING)
						return fail(check, up, desc, number, start,
									"it is nested deeper than 100 levels");
					frame.up = up;
					frame.field = field;
					if (!check_message(check, field->descriptor, at,
									   at + length, &frame, nesting + 1))
						return false;
					at += length;
					is_default = false;

					/* entries of a map ascend */
					if (evc_schema_is_map(field))
					{
						if (previous.field == field &&
							!keys_ascend(&previous, &frame))
							check->canonical = false;
						previous = frame;
					}
					break;
				}

			default:
				return fail(check, up, desc, number, start,
							"the type of the field is not supported");
		}

		/* a field leaves out its default, a map entry writes it */
		if (is_default && !entry)
			check->canonical = false;
	}

	if (entry && (!up->has_key || last < desc->n_fields))
		check->canonical = false;
	return true;
}

/*
 * evc_wire_check
 *		Tell whether bytes are a message of that type, and whether canonical.
 *
 * The one validating pass over what comes from outside.  Allocates nothing.
 * If they are not, "error" says where and why.
 */
bool
evc_wire_check(const ProtobufCMessageDescriptor *desc,
			   const void *bytes, size_t size,
			   bool *canonical, EvcError *error)
{
	Check		check = {bytes, true, error};
	const uint8_t *at = bytes;

	if (!check_message(&check, desc, at, at + size, NULL, 0))
		return false;
	*canonical = check.canonical;
	return true;
}

/*
 * evc_wire_any
 *		Check a google.protobuf.Any and tell what is in it.
 *
 * The value is not looked into: that takes the type.
 */
bool
evc_wire_any(const void *bytes, size_t size, EvcAny *any, EvcError *error)
{
	static const ProtobufCFieldDescriptor fields[2] = {
		{.name = "type_url",.id = 1,.label = PROTOBUF_C_LABEL_NONE,
		.type = PROTOBUF_C_TYPE_STRING},
		{.name = "value",.id = 2,.label = PROTOBUF_C_LABEL_NONE,
		.type = PROTOBUF_C_TYPE_BYTES}
	};
	static const ProtobufCIntRange ranges[2] = {{1, 0}, {0, 2}};
	static const ProtobufCMessageDescriptor desc = {
		.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
		.name = "google.protobuf.Any",
		.n_fields = 2,
		.fields = fields,
		.n_field_ranges = 1,
		.field_ranges = ranges
	};
	EvcCursor	cursor;
	EvcField	field;
	bool		canonical;

	if (!evc_wire_check(&desc, bytes, size, &canonical, error))
		return false;

	memset(any, 0, sizeof(*any));
	cursor.at = bytes;
	cursor.end = cursor.at + size;
	while (evc_wire_next(&cursor, &field))
	{
		const ProtobufCFieldDescriptor *known = evc_wire_known(&desc, &field);

		if (known == &fields[0])
		{
			any->type_url = field.data;
			any->type_url_size = field.size;
		}
		else if (known == &fields[1])
		{
			any->value = field.data;
			any->value_size = field.size;
		}
	}
	return true;
}

/* ---------------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------------
 */

/*
 * evc_writer_init
 *		Begin to write, with room for that many bytes.
 */
void
evc_writer_init(EvcWriter *out, const EvcMemory *memory, size_t capacity)
{
	out->memory = memory;
	out->block = memory->alloc(capacity > 0 ? capacity : 1);
	out->capacity = capacity;
	out->start = capacity;
}

/*
 * evc_writer_grow
 *		Make room for that many bytes more, and for half of it all again.
 */
void
evc_writer_grow(EvcWriter *out, size_t size)
{
	size_t		used = evc_writer_size(out);
	size_t		capacity = used + size;
	uint8_t    *block;

	capacity += capacity / 2 + 64;
	block = out->memory->alloc(capacity);
	memcpy(block + capacity - used, out->block + out->start, used);
	out->memory->release(out->block);
	out->block = block;
	out->capacity = capacity;
	out->start = capacity - used;
}

/* ---------------------------------------------------------------------------
 * The canonical form
 * ---------------------------------------------------------------------------
 */

/*
 * Copy an unknown field with varints as short as they can be; return what
 * follows it.  With "to" NULL only the size is counted.
 */
static size_t
copy_unknown(uint8_t *to, const EvcField *unknown)
{
	EvcCursor	cursor = {unknown->start, unknown->end};
	EvcField	token;
	size_t		size = 0;

	while (next_token(&cursor, &token))
	{
		uint32_t	tag = EVC_TAG(token.number, token.wire_type);

		if (to != NULL)
			evc_wire_put_varint(to + size, tag);
		size += evc_wire_varint_size(tag);

		switch (token.wire_type)
		{
			case EVC_WIRE_VARINT:
				if (to != NULL)
					evc_wire_put_varint(to + size, token.value);
				size += evc_wire_varint_size(token.value);
				break;
			case EVC_WIRE_BYTES:
				if (to != NULL)
					evc_wire_put_varint(to + size, token.size);
				size += evc_wire_varint_size(token.size);
				if (to != NULL)
					memcpy(to + size, token.data, token.size);
				size += token.size;
				break;
			case EVC_WIRE_FIXED64:
			case EVC_WIRE_FIXED32:
				if (to != NULL)
					memcpy(to + size, token.data,
						   (size_t) (token.end - token.data));
				size += (size_t) (token.end - token.data);
				break;
			case EVC_WIRE_GROUP:
			case EVC_WIRE_END_GROUP:
				break;
		}
	}
	return size;
}

/* Write the fields of the slices that a message of the type does not know. */
static void
write_unknown(Work *work, const ProtobufCMessageDescriptor *desc,
			  const Slice *slices, size_t n_slices, size_t size)
{
	uint8_t    *to = evc_writer_reserve(work->out, size);

	for (size_t i = 0; i < n_slices; i++)
	{
		EvcCursor	cursor;
		EvcField	field;

		cursor.at = work->base + slices[i].offset;
		cursor.end = cursor.at + slices[i].size;
		while (evc_wire_next(&cursor, &field))
		{
			if (evc_wire_known(desc, &field) == NULL)
				to += copy_unknown(to, &field);
		}
	}
}

/* Write an int32 as varint in front of what was written. */
static void
write_int32(EvcWriter *out, int32_t value)
{
	evc_writer_varint(out, (uint64_t) (int64_t) value);
}

/*
 * Write the message that a field holds in some slices, merged, without tag and
 * length.  "count" is how often it occurs, "last" the last occurrence.
 */
static void
write_merged(Work *work, const ProtobufCFieldDescriptor *message,
			 const Slice *slices, size_t n_slices,
			 size_t count, const EvcField *last)
{
	Slice		one;
	Slice	   *parts = &one;
	size_t		n_parts = 0;

	if (count == 1)
	{
		one.offset = (uint32_t) (last->data - work->base);
		one.size = (uint32_t) last->size;
		n_parts = 1;
	}
	else if (count > 1)
	{
		parts = work->out->memory->alloc(count * sizeof(Slice));
		for (size_t i = 0; i < n_slices; i++)
		{
			EvcCursor	cursor;
			EvcField	field;

			cursor.at = work->base + slices[i].offset;
			cursor.end = cursor.at + slices[i].size;
			while (n_parts < count && evc_wire_next(&cursor, &field))
			{
				if (field.number != message->id ||
					field.wire_type != EVC_WIRE_BYTES)
					continue;
				parts[n_parts].offset = (uint32_t) (field.data - work->base);
				parts[n_parts].size = (uint32_t) field.size;
				n_parts++;
			}
		}
	}

	write_message(work, message->descriptor, parts, n_parts);

	if (parts != &one)
		work->out->memory->release(parts);
}

/* Read the key whose tag is at this offset; an empty one at offset 0. */
static EvcField
string_key(const uint8_t *base, const uint8_t *end, uint32_t offset)
{
	EvcCursor	cursor = {base + offset, end};
	EvcField	field;

	memset(&field, 0, sizeof(field));
	if (offset > 0)
		evc_wire_next(&cursor, &field);
	return field;
}

/*
 * evc_entries_compare
 *		Compare the keys of two entries: numbers by value, strings by bytes.
 *
 * "base" is what the offsets of string keys count from.
 */
int
evc_entries_compare(const uint8_t *base, const uint8_t *end, bool is_string,
					const EvcEntry *a, const EvcEntry *b)
{
	EvcField	key_a;
	EvcField	key_b;
	size_t		size;
	int			order = 0;

	if (!is_string)
	{
		int32_t		number_a = (int32_t) a->key;
		int32_t		number_b = (int32_t) b->key;

		return (number_a > number_b) - (number_a < number_b);
	}

	key_a = string_key(base, end, a->key);
	key_b = string_key(base, end, b->key);
	size = key_a.size < key_b.size ? key_a.size : key_b.size;
	if (size > 0)
		order = memcmp(key_a.data, key_b.data, size);
	if (order == 0)
		order = (key_a.size > key_b.size) - (key_a.size < key_b.size);
	return order;
}

/* Compare two entries by key, those of one key by their offset. */
static int
compare_entries(const uint8_t *base, const uint8_t *end, bool is_string,
				const EvcEntry *a, const EvcEntry *b)
{
	int			order = evc_entries_compare(base, end, is_string, a, b);

	if (order == 0)
		order = (a->offset > b->offset) - (a->offset < b->offset);
	return order;
}

/*
 * evc_entries_sort
 *		Sort the entries of a map.
 *
 * A heap sort: it needs no memory and no input is bad for it, and the entries
 * are few or sorted already in everything but hostile messages.
 */
void
evc_entries_sort(const uint8_t *base, const uint8_t *end, bool is_string,
				 EvcEntry *entries, size_t n)
{
	size_t		sorted = 1;

	while (sorted < n &&
		   compare_entries(base, end, is_string,
						   &entries[sorted - 1], &entries[sorted]) < 0)
		sorted++;
	if (sorted >= n)
		return;

	for (size_t begin = n / 2, heap = n; heap > 1;)
	{
		EvcEntry	entry;
		size_t		root;
		size_t		child;

		if (begin > 0)
			entry = entries[--begin];	/* the heap is being built */
		else
		{
			entry = entries[--heap];
			entries[heap] = entries[0];
		}
		for (root = begin; (child = 2 * root + 1) < heap; root = child)
		{
			if (child + 1 < heap &&
				compare_entries(base, end, is_string,
								&entries[child], &entries[child + 1]) < 0)
				child++;
			if (compare_entries(base, end, is_string,
								&entry, &entries[child]) >= 0)
				break;
			entries[root] = entries[child];
		}
		entries[root] = entry;
	}
}

/* Return an entry of a map: where it is, and its last key. */
static EvcEntry
read_entry(const Work *work, const ProtobufCFieldDescriptor *map,
		   const EvcField *field)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	const ProtobufCFieldDescriptor *key = &desc->fields[0];
	EvcCursor	cursor = {field->data, field->data + field->size};
	EvcField	inner;
	EvcEntry	entry = {0, (uint32_t) (field->start - work->base)};

	while (evc_wire_next(&cursor, &inner))
	{
		if (evc_wire_known(desc, &inner) != key)
			continue;
		if (key->type == PROTOBUF_C_TYPE_STRING)
			entry.key = (uint32_t) (inner.start - work->base);
		else
			entry.key = (uint32_t) inner.value;
	}
	return entry;
}

/* Write an entry of a map, its key and its value. */
static void
write_entry(Work *work, const ProtobufCFieldDescriptor *map,
			const EvcEntry *entry)
{
	const ProtobufCMessageDescriptor *desc = map->descriptor;
	EvcWriter  *out = work->out;
	EvcCursor	cursor = {work->base + entry->offset, work->end};
	EvcField	field = {0};
	EvcField	inner;
	EvcField	last = {0};
	Slice		slice;
	size_t		count = 0;
	size_t		entry_mark = evc_writer_size(out);
	size_t		mark;

	if (!evc_wire_next(&cursor, &field))
		return;
	slice.offset = (uint32_t) (field.data - work->base);
	slice.size = (uint32_t) field.size;

	cursor.at = field.data;
	cursor.end = field.data + field.size;
	while (evc_wire_next(&cursor, &inner))
	{
		if (evc_wire_known(desc, &inner) == &desc->fields[1])
		{
			last = inner;
			count++;
		}
	}

	mark = evc_writer_size(out);
	write_merged(work, &desc->fields[1], &slice, 1, count, &last);
	evc_writer_prefix(out, desc->fields[1].id, mark);

	if (desc->fields[0].type == PROTOBUF_C_TYPE_STRING)
	{
		EvcField	key = string_key(work->base, work->end, entry->key);

		mark = evc_writer_size(out);
		evc_writer_bytes(out, key.data, key.size);
		evc_writer_prefix(out, desc->fields[0].id, mark);
	}
	else
	{
		write_int32(out, (int32_t) entry->key);
		evc_writer_varint(out, EVC_TAG(desc->fields[0].id, EVC_WIRE_VARINT));
	}
	evc_writer_prefix(out, map->id, entry_mark);
}

/*
 * Write a map: of the entries with one key the last, by key.
 *
 * The last entry replaces the value of the one before, it is not merged with
 * it; what occurs twice within an entry is.
 */
static void
write_map(Work *work, const ProtobufCFieldDescriptor *map,
		  const Slice *slices, size_t n_slices, size_t count)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	bool		is_string = desc->fields[0].type == PROTOBUF_C_TYPE_STRING;
	EvcEntry   *entries = work->out->memory->alloc(count * sizeof(EvcEntry));
	size_t		n = 0;

	assert(desc->fields[1].type == PROTOBUF_C_TYPE_MESSAGE);

	for (size_t i = 0; i < n_slices; i++)
	{
		EvcCursor	cursor;
		EvcField	field;

		cursor.at = work->base + slices[i].offset;
		cursor.end = cursor.at + slices[i].size;
		while (n < count && evc_wire_next(&cursor, &field))
		{
			if (field.number == map->id && field.wire_type == EVC_WIRE_BYTES)
				entries[n++] = read_entry(work, map, &field);
		}
	}
	evc_entries_sort(work->base, work->end, is_string, entries, n);

	for (size_t i = n; i-- > 0;)
	{
		if (i + 1 < n &&
			evc_entries_compare(work->base, work->end, is_string,
								&entries[i], &entries[i + 1]) == 0)
			continue;
		write_entry(work, map, &entries[i]);
	}
	work->out->memory->release(entries);
}

/*
 * Write the message that the slices are together.
 *
 * From its end to its beginning: then the length of what a prefix is for is
 * known when it is written, and nothing is measured or moved.
 */
static void
write_message(Work *work, const ProtobufCMessageDescriptor *desc,
			  const Slice *slices, size_t n_slices)
{
	EvcWriter  *out = work->out;
	EvcField	last[EVC_MAX_FIELDS];
	uint32_t	count[EVC_MAX_FIELDS] = {0};
	size_t		unknown = 0;

	assert(desc->n_fields <= EVC_MAX_FIELDS);

	for (size_t i = 0; i < n_slices; i++)
	{
		EvcCursor	cursor;
		EvcField	field;

		cursor.at = work->base + slices[i].offset;
		cursor.end = cursor.at + slices[i].size;
		while (evc_wire_next(&cursor, &field))
		{
			const ProtobufCFieldDescriptor *known;

			known = evc_wire_known(desc, &field);
			if (known == NULL)
				unknown += copy_unknown(NULL, &field);
			else
			{
				last[known - desc->fields] = field;
				count[known - desc->fields]++;
			}
		}
	}

	if (unknown > 0)
		write_unknown(work, desc, slices, n_slices, unknown);

	for (unsigned i = desc->n_fields; i-- > 0;)
	{
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		size_t		mark = evc_writer_size(out);

		if (count[i] == 0)
			continue;
		switch (field->type)
		{
			case PROTOBUF_C_TYPE_INT32:
				if (evc_wire_int32(last[i].value) == 0)
					continue;
				write_int32(out, evc_wire_int32(last[i].value));
				break;
			case PROTOBUF_C_TYPE_BOOL:
				if (last[i].value == 0)
					continue;
				evc_writer_varint(out, 1);
				break;
			case PROTOBUF_C_TYPE_FLOAT:
				if (last[i].value == 0)
					continue;
				evc_wire_put_fixed32(evc_writer_reserve(out, 4),
									 (uint32_t) last[i].value);
				break;
			case PROTOBUF_C_TYPE_STRING:
				if (last[i].size == 0)
					continue;
				evc_writer_bytes(out, last[i].data, last[i].size);
				evc_writer_prefix(out, field->id, mark);
				continue;
			case PROTOBUF_C_TYPE_MESSAGE:
				if (evc_schema_is_map(field))
				{
					write_map(work, field, slices, n_slices, count[i]);
					continue;
				}
				write_merged(work, field, slices, n_slices,
							 count[i], &last[i]);
				evc_writer_prefix(out, field->id, mark);
				continue;
			default:
				continue;
		}
		evc_writer_varint(out, EVC_TAG(field->id, evc_wire_type_of(field)));
	}
}

/*
 * evc_wire_canonical
 *		Write the canonical form of a checked message.
 *
 * Bytes put one after the other are the merge of their messages, so this also
 * merges.  Fewer than 4 GB, as the callers see to.
 */
void
evc_wire_canonical(const ProtobufCMessageDescriptor *desc,
				   const void *bytes, size_t size, EvcWriter *out)
{
	Work		work = {bytes, (const uint8_t *) bytes + size, out};
	Slice		whole = {0, (uint32_t) size};

	write_message(&work, desc, &whole, 1);
}
