/*
 * json.c
 *		ProtoJSON: wire bytes to JSON text and back, by descriptor.
 *
 * JSON is written straight from canonical bytes, and read straight into wire
 * bytes; no tree stands between them.  Text is UTF-8 here; the server converts
 * what goes in and what comes out.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

/* What evc_json_read() carries through the text. */
typedef struct Parse
{
	const uint8_t *base;
	const uint8_t *at;
	const uint8_t *end;			/* there stands a NUL */
	EvcBuffer  *out;
	const EvcJsonOptions *options;
	EvcError   *error;
} Parse;

static void write_object(EvcBuffer *out,
						 const ProtobufCMessageDescriptor *desc,
						 EvcCursor cursor, const EvcJsonOptions *options,
						 bool first);
static bool read_object(Parse *parse, const ProtobufCMessageDescriptor *desc,
						const EvcFrame *up, int nesting);
static bool skip_value(Parse *parse, const EvcFrame *up, int nesting);

/* ---------------------------------------------------------------------------
 * Buffers and names
 * ---------------------------------------------------------------------------
 */

/*
 * evc_buffer_init
 *		Begin an empty buffer with room for that many bytes.
 */
void
evc_buffer_init(EvcBuffer *buffer, const EvcMemory *memory, size_t capacity)
{
	if (capacity == 0)
		capacity = 1;
	buffer->memory = memory;
	buffer->data = memory->alloc(capacity);
	buffer->size = 0;
	buffer->capacity = capacity;
}

/*
 * evc_buffer_grow
 *		Make room for that many bytes more, and for half of it all again.
 */
void
evc_buffer_grow(EvcBuffer *buffer, size_t size)
{
	size_t		capacity = buffer->size + size;
	uint8_t    *data;

	capacity += capacity / 2 + 64;
	data = buffer->memory->alloc(capacity);
	memcpy(data, buffer->data, buffer->size);
	buffer->memory->release(buffer->data);
	buffer->data = data;
	buffer->capacity = capacity;
}

/*
 * evc_json_name
 *		Write the JSON name of a field; return its length.
 *
 * An underscore goes away and makes the next letter upper case; the first
 * letter stays as it is.  Names of the format are at most 26 long.
 */
size_t
evc_json_name(char *to, const ProtobufCFieldDescriptor *field)
{
	char	   *at = to;
	bool		upper = false;

	for (const char *from = field->name; *from != '\0'; from++)
	{
		if (*from == '_')
			upper = true;
		else
		{
			*at++ = (char) (upper && *from >= 'a' && *from <= 'z' ?
							*from - 'a' + 'A' : *from);
			upper = false;
		}
	}
	return (size_t) (at - to);
}

/*
 * evc_json_field
 *		Return the field of that JSON or proto name, NULL if there is none.
 */
const ProtobufCFieldDescriptor *
evc_json_field(const ProtobufCMessageDescriptor *desc,
			   const char *name, size_t size)
{
	for (unsigned i = 0; i < desc->n_fields; i++)
	{
		const ProtobufCFieldDescriptor *field = &desc->fields[i];
		const char *proto = field->name;
		const char *at = name;
		const char *end = name + size;
		bool		upper = false;

		/* the JSON name, without writing it out */
		for (; *proto != '\0'; proto++)
		{
			char		c = *proto;

			if (c == '_')
			{
				upper = true;
				continue;
			}
			if (upper && c >= 'a' && c <= 'z')
				c = (char) (c - 'a' + 'A');
			upper = false;
			if (at == end || *at != c)
				break;
			at++;
		}
		if (*proto == '\0' && at == end)
			return field;

		if (strlen(field->name) == size &&
			memcmp(field->name, name, size) == 0)
			return field;
	}
	return NULL;
}

/* ---------------------------------------------------------------------------
 * Writing
 * ---------------------------------------------------------------------------
 */

/* Write a C string as it is. */
static void
write_plain(EvcBuffer *out, const char *string)
{
	evc_buffer_append(out, string, strlen(string));
}

/* Does JSON escape this byte in a string? */
static inline bool
is_escaped(uint8_t byte)
{
	return byte < 0x20 || byte == '"' || byte == '\\';
}

/*
 * Return where the first byte that JSON escapes stands, or the end.
 *
 * Eight bytes at a time: a byte is zero, or below 0x20, if subtracting one, or
 * 0x20, borrows into its highest bit, which was not set.
 */
static const uint8_t *
find_escaped(const uint8_t *at, const uint8_t *end)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);

	while (end - at >= 8)
	{
		uint64_t	word;
		uint64_t	quote;
		uint64_t	backslash;

		memcpy(&word, at, sizeof(word));
		quote = word ^ (ones * '"');
		backslash = word ^ (ones * '\\');
		if ((((word - ones * 0x20) & ~word) |
			 ((quote - ones) & ~quote) |
			 ((backslash - ones) & ~backslash)) & (ones * 0x80))
			break;
		at += 8;
	}
	while (at < end && !is_escaped(*at))
		at++;
	return at;
}

/* Write a string, escaping only what JSON wants escaped. */
static void
write_string(EvcBuffer *out, const uint8_t *string, size_t size)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *end = size > 0 ? string + size : string;

	evc_buffer_byte(out, '"');
	while (string < end)
	{
		const uint8_t *run = string;
		uint8_t    *to;

		string = find_escaped(string, end);
		evc_buffer_append(out, run, (size_t) (string - run));
		if (string == end)
			break;

		to = evc_buffer_reserve(out, 6);
		to[0] = '\\';
		out->size += 2;
		switch (*string)
		{
			case '"':
			case '\\':
				to[1] = *string;
				break;
			case '\b':
				to[1] = 'b';
				break;
			case '\f':
				to[1] = 'f';
				break;
			case '\n':
				to[1] = 'n';
				break;
			case '\r':
				to[1] = 'r';
				break;
			case '\t':
				to[1] = 't';
				break;
			default:
				to[1] = 'u';
				to[2] = '0';
				to[3] = '0';
				to[4] = (uint8_t) hex[*string >> 4];
				to[5] = (uint8_t) hex[*string & 15];
				out->size += 4;
		}
		string++;
	}
	evc_buffer_byte(out, '"');
}

/* Write an int32 in decimal. */
static void
write_int32(EvcBuffer *out, int32_t value)
{
	uint8_t		digits[11];
	uint8_t    *at = digits + sizeof(digits);
	uint32_t	rest = value < 0 ? -(uint32_t) value : (uint32_t) value;

	do
	{
		*--at = (uint8_t) ('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--at = '-';
	evc_buffer_append(out, at, (size_t) (digits + sizeof(digits) - at));
}

/*
 * evc_json_float
 *		Write a float as ProtoJSON spells it, but without quotes.
 *
 * Zero with a sign is -0.0: a reader that takes -0 for an integer would lose
 * the sign.  Returns the length.
 */
int
evc_json_float(char *to, float value,
			   int (*print_float) (float value, char *text))
{
	if (isnan(value))
		return sprintf(to, "NaN");
	if (isinf(value))
		return sprintf(to, value < 0 ? "-Infinity" : "Infinity");
	if (value == 0)
		return sprintf(to, signbit(value) ? "-0.0" : "0");
	return print_float(value, to);
}

/* Write a float; what is no number in JSON is a string. */
static void
write_float(EvcBuffer *out, float value, const EvcJsonOptions *options)
{
	char		number[EVC_FLOAT_TEXT];
	int			size = evc_json_float(number, value, options->print_float);
	bool		quoted = isnan(value) || isinf(value);

	if (quoted)
		evc_buffer_byte(out, '"');
	evc_buffer_append(out, number, (size_t) size);
	if (quoted)
		evc_buffer_byte(out, '"');
}

/* Write the name of a field, and a colon. */
static void
write_name(EvcBuffer *out, const ProtobufCFieldDescriptor *field,
		   const EvcJsonOptions *options)
{
	size_t		size = strlen(field->name);
	uint8_t    *to = evc_buffer_reserve(out, size + 3);

	*to++ = '"';
	if (options->proto_names)
		memcpy(to, field->name, size);
	else
		size = evc_json_name((char *) to, field);
	to[size] = '"';
	to[size + 1] = ':';
	out->size += size + 3;
}

/* Write the value of a field that is no map. */
static void
write_value(EvcBuffer *out, const ProtobufCFieldDescriptor *known,
			const EvcField *field, const EvcJsonOptions *options)
{
	EvcCursor	inner;

	switch (known->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			write_int32(out, evc_wire_int32(field->value));
			break;
		case PROTOBUF_C_TYPE_BOOL:
			write_plain(out, field->value != 0 ? "true" : "false");
			break;
		case PROTOBUF_C_TYPE_FLOAT:
			write_float(out, evc_wire_float(field->value), options);
			break;
		case PROTOBUF_C_TYPE_STRING:
			write_string(out, field->data, field->size);
			break;
		default:
			inner.at = field->data;
			inner.end = field->data + field->size;
			evc_buffer_byte(out, '{');
			write_object(out, evc_wire_message_of(known), inner, options,
						 true);
			evc_buffer_byte(out, '}');
	}
}

/* Write an entry of a map as a member of an object; all names are strings. */
static void
write_entry(EvcBuffer *out, const ProtobufCMessageDescriptor *desc,
			const EvcField *entry, const EvcJsonOptions *options)
{
	EvcCursor	cursor = {entry->data, entry->data + entry->size};
	EvcField	key = {0};
	EvcField	value = {0};
	EvcField	field;

	while (evc_wire_next(&cursor, &field))
	{
		const ProtobufCFieldDescriptor *known = evc_wire_known(desc, &field);

		if (known == &desc->fields[0])
			key = field;
		else if (known == &desc->fields[1])
			value = field;
	}

	if (desc->fields[0].type == PROTOBUF_C_TYPE_STRING)
		write_string(out, key.data, key.size);
	else
	{
		evc_buffer_byte(out, '"');
		write_int32(out, evc_wire_int32(key.value));
		evc_buffer_byte(out, '"');
	}
	evc_buffer_byte(out, ':');
	write_value(out, &desc->fields[1], &value, options);
}

/*
 * Write the members of an object.  Fields stand in the order of their numbers,
 * on the wire and in the descriptor, so both are walked at once.
 */
static void
write_object(EvcBuffer *out, const ProtobufCMessageDescriptor *desc,
			 EvcCursor cursor, const EvcJsonOptions *options, bool first)
{
	EvcField	field = {0};
	bool		more = evc_wire_next(&cursor, &field);

	for (unsigned i = 0; i < desc->n_fields; i++)
	{
		const ProtobufCFieldDescriptor *known = &desc->fields[i];
		bool		is_map = evc_schema_is_map(known);
		bool		present = more && evc_wire_known(desc, &field) == known;

		if (!present)
		{
			/* a submessage that is absent has no default, it is not there */
			if (!options->emit_defaults ||
				(known->type == PROTOBUF_C_TYPE_MESSAGE && !is_map))
				continue;
		}

		if (!first)
			evc_buffer_byte(out, ',');
		first = false;
		write_name(out, known, options);

		if (is_map)
		{
			evc_buffer_byte(out, '{');
			for (bool first_entry = true;
				 more && evc_wire_known(desc, &field) == known;
				 first_entry = false)
			{
				if (!first_entry)
					evc_buffer_byte(out, ',');
				write_entry(out, evc_wire_message_of(known), &field, options);
				more = evc_wire_next(&cursor, &field);
			}
			evc_buffer_byte(out, '}');
		}
		else if (present)
		{
			write_value(out, known, &field, options);
			more = evc_wire_next(&cursor, &field);
		}
		else
		{
			EvcField	none = {0};

			write_value(out, known, &none, options);
		}
	}
}

/*
 * evc_json_write
 *		Append the JSON text of canonical bytes.
 *
 * With a type URL this is the JSON of a google.protobuf.Any.
 */
void
evc_json_write(EvcBuffer *out, const ProtobufCMessageDescriptor *desc,
			   const void *wire, size_t size, const char *type_url,
			   const EvcJsonOptions *options)
{
	EvcCursor	cursor = {wire, (const uint8_t *) wire + size};

	evc_buffer_byte(out, '{');
	if (type_url != NULL)
	{
		write_plain(out, "\"@type\":\"");
		write_plain(out, type_url);
		evc_buffer_byte(out, '"');
	}
	write_object(out, desc, cursor, options, type_url == NULL);
	evc_buffer_byte(out, '}');
}

/* ---------------------------------------------------------------------------
 * Reading: the parts of JSON
 * ---------------------------------------------------------------------------
 */

/* Note the fault that ends the reading. */
static bool
fail(Parse *parse, const EvcFrame *up, const char *name, const uint8_t *at,
	 const char *detail)
{
	EvcError   *error = parse->error;

	error->too_large = false;
	error->offset = (size_t) (at - parse->base);
	snprintf(error->detail, sizeof(error->detail), "%s",
			 at >= parse->end ? "the text ends too early" : detail);
	evc_error_path(error, up, name);
	return false;
}

/* Skip white space and return what follows it. */
static uint8_t
skip_space(Parse *parse)
{
	while (*parse->at == ' ' || *parse->at == '\t' ||
		   *parse->at == '\n' || *parse->at == '\r')
		parse->at++;
	return *parse->at;
}

/* Take this character, after white space. */
static bool
take(Parse *parse, uint8_t c)
{
	if (skip_space(parse) != c)
		return false;
	parse->at++;
	return true;
}

/* Take this word, after white space. */
static bool
take_word(Parse *parse, const char *word)
{
	size_t		size = strlen(word);

	skip_space(parse);
	if ((size_t) (parse->end - parse->at) < size ||
		memcmp(parse->at, word, size) != 0)
		return false;
	parse->at += size;
	return true;
}

/* Read four hexadecimal digits; -1 if they are none. */
static int
read_hex4(const uint8_t *at, const uint8_t *end)
{
	int			value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		uint8_t		c = at[i];

		value <<= 4;
		if (c >= '0' && c <= '9')
			value |= c - '0';
		else if (c >= 'a' && c <= 'f')
			value |= c - 'a' + 10;
		else if (c >= 'A' && c <= 'F')
			value |= c - 'A' + 10;
		else
			return -1;
	}
	return value;
}

/*
 * Read the \uXXXX at this place, and the second one of a pair, and write the
 * character as UTF-8.
 */
static bool
read_unicode(Parse *parse, EvcBuffer *out, const EvcFrame *up,
			 const char *name)
{
	const uint8_t *start = parse->at;
	int			unit = read_hex4(start + 2, parse->end);
	uint32_t	c = (uint32_t) unit;
	uint8_t    *to;

	if (unit < 0)
		return fail(parse, up, name, start,
					"four hexadecimal digits are expected after \\u");
	parse->at += 6;
	if (c == 0)
		return fail(parse, up, name, start,
					EVC_FAULT_NUL);
	if (c >= 0xd800 && c < 0xe000)
	{
		int			low = -1;

		if (c < 0xdc00 && parse->end - parse->at >= 6 &&
			parse->at[0] == '\\' && parse->at[1] == 'u')
			low = read_hex4(parse->at + 2, parse->end);
		if (low < 0xdc00 || low > 0xdfff)
			return fail(parse, up, name, start,
						"a surrogate stands alone");
		parse->at += 6;
		c = 0x10000 + ((c - 0xd800) << 10) + ((uint32_t) low - 0xdc00);
	}

	to = evc_buffer_reserve(out, 4);
	if (c < 0x80)
	{
		to[0] = (uint8_t) c;
		out->size += 1;
	}
	else if (c < 0x800)
	{
		to[0] = (uint8_t) (0xc0 | c >> 6);
		to[1] = (uint8_t) (0x80 | (c & 0x3f));
		out->size += 2;
	}
	else if (c < 0x10000)
	{
		to[0] = (uint8_t) (0xe0 | c >> 12);
		to[1] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
		to[2] = (uint8_t) (0x80 | (c & 0x3f));
		out->size += 3;
	}
	else
	{
		to[0] = (uint8_t) (0xf0 | c >> 18);
		to[1] = (uint8_t) (0x80 | (c >> 12 & 0x3f));
		to[2] = (uint8_t) (0x80 | (c >> 6 & 0x3f));
		to[3] = (uint8_t) (0x80 | (c & 0x3f));
		out->size += 4;
	}
	return true;
}

/* Read a string and append what it means. */
static bool
read_string(Parse *parse, EvcBuffer *out, const EvcFrame *up,
			const char *name)
{
	if (!take(parse, '"'))
		return fail(parse, up, name, parse->at, "a string is expected");
	for (;;)
	{
		const uint8_t *run = parse->at;
		uint8_t		c;

		parse->at = find_escaped(run, parse->end);
		evc_buffer_append(out, run, (size_t) (parse->at - run));

		if (*parse->at == '"')
		{
			parse->at++;
			return true;
		}
		if (*parse->at < 0x20)
			return fail(parse, up, name, parse->at,
						"a control character in a string must be escaped");

		c = parse->at[1];
		switch (c)
		{
			case '"':
			case '\\':
			case '/':
				break;
			case 'b':
				c = '\b';
				break;
			case 'f':
				c = '\f';
				break;
			case 'n':
				c = '\n';
				break;
			case 'r':
				c = '\r';
				break;
			case 't':
				c = '\t';
				break;
			case 'u':
				if (!read_unicode(parse, out, up, name))
					return false;
				continue;
			default:
				return fail(parse, up, name,
							parse->at + (parse->at + 1 >= parse->end),
							"there is no such escape");
		}
		evc_buffer_byte(out, c);
		parse->at += 2;
	}
}

/* Return what follows the number of JSON at this place, NULL if it is none. */
static const uint8_t *
number_end(const uint8_t *at)
{
	if (*at == '-')
		at++;
	if (*at == '0')
		at++;
	else if (*at >= '1' && *at <= '9')
	{
		while (*at >= '0' && *at <= '9')
			at++;
	}
	else
		return NULL;
	if (*at == '.')
	{
		at++;
		if (*at < '0' || *at > '9')
			return NULL;
		while (*at >= '0' && *at <= '9')
			at++;
	}
	if (*at == 'e' || *at == 'E')
	{
		at++;
		if (*at == '+' || *at == '-')
			at++;
		if (*at < '0' || *at > '9')
			return NULL;
		while (*at >= '0' && *at <= '9')
			at++;
	}
	return at;
}

/*
 * Turn a number of JSON into an int32, or say why it is none.
 *
 * Digit by digit: 1e2 and 5.0 are whole numbers, and no number is too long to
 * be judged exactly.
 */
static const char *
number_to_int32(const uint8_t *at, const uint8_t *end, int32_t *value)
{
	const char *out_of_range = "the number is out of range for int32";
	bool		negative = *at == '-';
	const uint8_t *digits = negative ? at + 1 : at;
	const uint8_t *mantissa_end = digits;
	int64_t		exponent = 0;
	int64_t		point = -1;		/* digits before the point */
	int64_t		n = 0;
	uint64_t	result = 0;

	for (; mantissa_end < end && *mantissa_end != 'e' && *mantissa_end != 'E';
		 mantissa_end++)
	{
		if (*mantissa_end == '.')
			point = mantissa_end - digits;
	}
	if (point < 0)
		point = mantissa_end - digits;
	if (mantissa_end < end)
	{
		const uint8_t *e = mantissa_end + 1;
		bool		down = *e == '-';

		if (*e == '-' || *e == '+')
			e++;
		for (; e < end; e++)
		{
			if (exponent < INT64_C(1000000000000))
				exponent = exponent * 10 + (*e - '0');
		}
		if (down)
			exponent = -exponent;
	}
	point += exponent;

	for (at = digits; at < mantissa_end; at++)
	{
		if (*at == '.')
			continue;
		if (n < point)
		{
			result = result * 10 + (uint64_t) (*at - '0');
			if (result > UINT64_C(2147483648))
				return out_of_range;
		}
		else if (*at != '0')
			return "a whole number is expected";
		n++;
	}
	for (; n < point && result != 0; n++)
	{
		result *= 10;
		if (result > UINT64_C(2147483648))
			return out_of_range;
	}
	if (result == UINT64_C(2147483648) && !negative)
		return out_of_range;
	*value = (int32_t) (uint32_t) (negative ? -result : result);
	return NULL;
}

/*
 * evc_json_int32
 *		Read the name of a member as the int32 key of a map.
 */
bool
evc_json_int32(const char *text, size_t size, int32_t *value)
{
	const uint8_t *at = (const uint8_t *) text;
	const uint8_t *end = at + size;
	const uint8_t *digit = at;

	if (size == 0 || size > 11)
		return false;
	if (*digit == '-')
		digit++;
	if (digit == end || (*digit == '0' && end - digit > 1))
		return false;
	for (const uint8_t *d = digit; d < end; d++)
	{
		if (*d < '0' || *d > '9')
			return false;
	}
	return number_to_int32(at, end, value) == NULL;
}

/* ---------------------------------------------------------------------------
 * Reading: fields
 * ---------------------------------------------------------------------------
 */

/* Append a varint. */
static void
emit_varint(EvcBuffer *out, uint64_t value)
{
	uint8_t    *to = evc_buffer_reserve(out, 10);

	out->size += (size_t) (evc_wire_put_varint(to, value) - to);
}

/* Append the tag of a field. */
static void
emit_tag(EvcBuffer *out, const ProtobufCFieldDescriptor *field)
{
	emit_varint(out, EVC_TAG(field->id, evc_wire_type_of(field)));
}

/* Leave room for the length of what follows; return where. */
static size_t
begin_length(EvcBuffer *out)
{
	evc_buffer_byte(out, 0);
	return out->size;
}

/* Write the length of what followed, which moves if one byte is too few. */
static void
end_length(EvcBuffer *out, size_t begin)
{
	size_t		length = out->size - begin;
	size_t		extra = evc_wire_varint_size(length) - 1;

	if (extra > 0)
	{
		evc_buffer_reserve(out, extra);
		memmove(out->data + begin + extra, out->data + begin, length);
		out->size += extra;
	}
	evc_wire_put_varint(out->data + begin - 1, length);
}

/*
 * Find the text of a number, which may stand in a string.
 *
 * A string is decoded behind what was written; the caller cuts it off again.
 */
static bool
read_number(Parse *parse, const EvcFrame *up, const char *name,
			const uint8_t **number, const uint8_t **end)
{
	const uint8_t *start;

	if (skip_space(parse) == '"')
	{
		size_t		mark = parse->out->size;

		start = parse->at;
		if (!read_string(parse, parse->out, up, name))
			return false;
		evc_buffer_byte(parse->out, 0);
		*number = parse->out->data + mark;
		*end = parse->out->data + parse->out->size - 1;
		return true;
	}
	start = parse->at;
	*number = start;
	*end = number_end(start);
	if (*end == NULL)
		return fail(parse, up, name, start, "a number is expected");
	parse->at = *end;
	return true;
}

/* Read an int32, from a number or a string that holds one. */
static bool
read_int32(Parse *parse, const EvcFrame *up, const char *name, int32_t *value)
{
	size_t		mark = parse->out->size;
	const uint8_t *start;
	const uint8_t *number;
	const uint8_t *end;
	const char *fault;

	skip_space(parse);
	start = parse->at;
	if (!read_number(parse, up, name, &number, &end))
		return false;
	if (number_end(number) != end)
		return fail(parse, up, name, start, "a number is expected");
	fault = number_to_int32(number, end, value);
	parse->out->size = mark;
	if (fault != NULL)
		return fail(parse, up, name, start, fault);
	return true;
}

/* Read a float, from a number or a string that holds one or names one. */
static bool
read_float(Parse *parse, const EvcFrame *up, const char *name, float *value)
{
	static const struct
	{
		const char *text;
		uint32_t	bits;
	}			words[] = {
		{"NaN", 0x7fc00000},
		{"Infinity", 0x7f800000},
		{"-Infinity", 0xff800000}
	};
	size_t		mark = parse->out->size;
	const uint8_t *start;
	const uint8_t *number;
	const uint8_t *end;

	skip_space(parse);
	start = parse->at;
	if (!read_number(parse, up, name, &number, &end))
		return false;
	parse->out->size = mark;

	if (*start == '"')
	{
		for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		{
			if ((size_t) (end - number) == strlen(words[i].text) &&
				memcmp(number, words[i].text, (size_t) (end - number)) == 0)
			{
				*value = evc_wire_float(words[i].bits);
				return true;
			}
		}
	}
	if (number_end(number) != end)
		return fail(parse, up, name, start, "a number is expected");
	*value = strtof((const char *) number, NULL);
	if (isinf(*value))
		return fail(parse, up, name, start,
					"the number is out of range for float");
	return true;
}

/* Read the value of a field that is neither a map nor null, with its tag. */
static bool
read_value(Parse *parse, const ProtobufCFieldDescriptor *field,
		   const EvcFrame *up, int nesting)
{
	EvcBuffer  *out = parse->out;
	size_t		mark = out->size;
	size_t		begin;

	switch (field->type)
	{
		case PROTOBUF_C_TYPE_INT32:
			{
				int32_t		value;

				if (!read_int32(parse, up, field->name, &value))
					return false;
				if (value != 0)
				{
					emit_tag(out, field);
					emit_varint(out, (uint64_t) (int64_t) value);
				}
				return true;
			}
		case PROTOBUF_C_TYPE_BOOL:
			if (take_word(parse, "true"))
			{
				emit_tag(out, field);
				emit_varint(out, 1);
				return true;
			}
			if (take_word(parse, "false"))
				return true;
			return fail(parse, up, field->name, parse->at,
						"true or false is expected");
		case PROTOBUF_C_TYPE_FLOAT:
			{
				float		value;

				if (!read_float(parse, up, field->name, &value))
					return false;
				if (evc_wire_float_bits(value) != 0)
				{
					emit_tag(out, field);
					evc_wire_put_fixed32(evc_buffer_reserve(out, 4),
										 evc_wire_float_bits(value));
					out->size += 4;
				}
				return true;
			}
		case PROTOBUF_C_TYPE_STRING:
			emit_tag(out, field);
			begin = begin_length(out);
			if (!read_string(parse, out, up, field->name))
				return false;
			if (out->size == begin)
				out->size = mark;
			else
				end_length(out, begin);
			return true;
		case PROTOBUF_C_TYPE_MESSAGE:
			{
				EvcFrame	frame = {0};

				frame.up = up;
				frame.field = field;
				emit_tag(out, field);
				begin = begin_length(out);
				if (!read_object(parse, evc_wire_message_of(field), &frame,
								 nesting + 1))
					return false;
				end_length(out, begin);
				return true;
			}
		default:
			return fail(parse, up, field->name, parse->at,
						"the type of the field is not supported");
	}
}

/* Read one entry of a map, from its key to its value. */
static bool
read_entry(Parse *parse, const ProtobufCFieldDescriptor *map,
		   const EvcFrame *up, int nesting, EvcEntry *entry)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	const ProtobufCFieldDescriptor *key = &desc->fields[0];
	EvcBuffer  *out = parse->out;
	EvcFrame	frame = {0};
	size_t		begin;
	size_t		key_begin;
	const uint8_t *start;

	frame.up = up;
	frame.field = map;

	skip_space(parse);
	start = parse->at;
	entry->offset = (uint32_t) (start - parse->base);
	emit_tag(out, map);
	begin = begin_length(out);
	if (key->type == PROTOBUF_C_TYPE_STRING)
	{
		emit_tag(out, key);
		key_begin = begin_length(out);
		if (!read_string(parse, out, &frame, key->name))
			return false;
		end_length(out, key_begin);

		/* an error shows the key as it is spelled in the text */
		frame.key = start + 1;
		frame.key_size = (size_t) (parse->at - 1 - frame.key);
	}
	else
	{
		key_begin = out->size;
		if (!read_string(parse, out, &frame, key->name))
			return false;
		if (!evc_json_int32((char *) out->data + key_begin,
							out->size - key_begin, &frame.number))
			return fail(parse, &frame, key->name, start,
						"an int32 in a string is expected");
		out->size = key_begin;
		emit_tag(out, key);
		emit_varint(out, (uint64_t) (int64_t) frame.number);
		entry->key = (uint32_t) frame.number;
	}
	frame.has_key = true;

	if (!take(parse, ':'))
		return fail(parse, &frame, NULL, parse->at, "\":\" is expected");
	if (!read_value(parse, &desc->fields[1], &frame, nesting))
		return false;
	end_length(out, begin);

	if (key->type == PROTOBUF_C_TYPE_STRING)
	{
		/* the key now stands behind the length of the entry */
		EvcCursor	cursor = {out->data + begin - 1, out->data + out->size};
		uint64_t	length;

		cursor.at = evc_wire_varint(cursor.at, cursor.end, &length);
		entry->key = (uint32_t) (cursor.at - out->data);
	}
	return true;
}

/* Read an object as a map.  No key may occur twice. */
static bool
read_map(Parse *parse, const ProtobufCFieldDescriptor *map,
		 const EvcFrame *up, int nesting)
{
	const ProtobufCMessageDescriptor *desc = evc_wire_message_of(map);
	bool		is_string = desc->fields[0].type == PROTOBUF_C_TYPE_STRING;
	const uint8_t *start;
	EvcBuffer	seen;
	EvcEntry   *entries;
	size_t		n;
	bool		good = true;

	if (!take(parse, '{'))
		return fail(parse, up, map->name, parse->at, "an object is expected");
	start = parse->at - 1;
	if (nesting >= EVC_MAX_NESTING)
		return fail(parse, up, map->name, start,
					"it is nested deeper than 100 levels");
	if (take(parse, '}'))
		return true;

	evc_buffer_init(&seen, parse->out->memory, 16 * sizeof(EvcEntry));
	do
	{
		EvcEntry	entry;

		good = read_entry(parse, map, up, nesting + 1, &entry);
		if (good)
			evc_buffer_append(&seen, &entry, sizeof(entry));
	} while (good && take(parse, ','));

	if (good && !take(parse, '}'))
		good = fail(parse, up, map->name, parse->at,
					"\",\" or \"}\" is expected");
	if (good)
	{
		entries = (EvcEntry *) seen.data;
		n = seen.size / sizeof(EvcEntry);
		evc_entries_sort(parse->out->data, parse->out->data + parse->out->size,
						 is_string, entries, n);
		for (size_t i = 1; i < n && good; i++)
		{
			if (evc_entries_compare(parse->out->data,
									parse->out->data + parse->out->size,
									is_string,
									&entries[i - 1], &entries[i]) == 0)
				good = fail(parse, up, map->name,
							parse->base + entries[i].offset,
							"the key occurs twice");
		}
	}
	parse->out->memory->release(seen.data);
	return good;
}

/* Read the object of a message. */
static bool
read_object(Parse *parse, const ProtobufCMessageDescriptor *desc,
			const EvcFrame *up, int nesting)
{
	EvcBuffer  *out = parse->out;
	uint64_t	seen = 0;
	bool		seen_type = false;

	if (!take(parse, '{'))
		return fail(parse, up, NULL, parse->at, "an object is expected");
	if (nesting > EVC_MAX_NESTING)
		return fail(parse, up, NULL, parse->at - 1,
					"it is nested deeper than 100 levels");
	if (take(parse, '}'))
		return true;

	do
	{
		const ProtobufCFieldDescriptor *field;
		size_t		mark = out->size;
		const uint8_t *start;
		char		quoted[160];
		bool		is_type;

		/* the name is decoded behind what was written, and cut off again */
		skip_space(parse);
		start = parse->at;
		if (!read_string(parse, out, up, NULL))
			return false;
		field = evc_json_field(desc, (char *) out->data + mark,
							   out->size - mark);
		is_type = parse->options->any && up == NULL &&
			out->size - mark == 5 &&
			memcmp(out->data + mark, "@type", 5) == 0;
		if (field == NULL)
			evc_error_quote(quoted, sizeof(quoted), out->data + mark,
							out->size - mark);
		out->size = mark;

		if (!take(parse, ':'))
			return fail(parse, up, field != NULL ? field->name : NULL,
						parse->at, "\":\" is expected");

		if (is_type)
		{
			if (seen_type)
				return fail(parse, up, "@type", start, "it occurs twice");
			seen_type = true;
			if (!read_string(parse, out, up, "@type"))
				return false;
			out->size = mark;
		}
		else if (field == NULL)
		{
			if (!parse->options->ignore_unknown)
			{
				char		detail[sizeof(parse->error->detail)];

				snprintf(detail, sizeof(detail), "%s has no field %.150s",
						 desc->short_name, quoted);
				return fail(parse, up, NULL, start, detail);
			}
			if (!skip_value(parse, up, nesting))
				return false;
		}
		else
		{
			uint64_t	bit = UINT64_C(1) << (field - desc->fields);

			if (seen & bit)
				return fail(parse, up, field->name, start, "it occurs twice");
			seen |= bit;
			if (take_word(parse, "null"))
				continue;		/* as if it were not there */
			if (evc_schema_is_map(field) ?
				!read_map(parse, field, up, nesting) :
				!read_value(parse, field, up, nesting))
				return false;
		}
	} while (take(parse, ','));

	if (!take(parse, '}'))
		return fail(parse, up, NULL, parse->at, "\",\" or \"}\" is expected");
	return true;
}

/* Read any value and forget it. */
static bool
skip_value(Parse *parse, const EvcFrame *up, int nesting)
{
	size_t		mark = parse->out->size;
	const uint8_t *end;
	uint8_t		close;

	switch (skip_space(parse))
	{
		case '"':
			if (!read_string(parse, parse->out, up, NULL))
				return false;
			parse->out->size = mark;
			return true;
		case '{':
		case '[':
			if (nesting >= EVC_MAX_NESTING)
				return fail(parse, up, NULL, parse->at,
							"it is nested deeper than 100 levels");
			close = *parse->at++ == '{' ? '}' : ']';
			if (take(parse, close))
				return true;
			do
			{
				if (close == '}')
				{
					if (!read_string(parse, parse->out, up, NULL))
						return false;
					parse->out->size = mark;
					if (!take(parse, ':'))
						return fail(parse, up, NULL, parse->at,
									"\":\" is expected");
				}
				if (!skip_value(parse, up, nesting + 1))
					return false;
			} while (take(parse, ','));
			if (!take(parse, close))
				return fail(parse, up, NULL, parse->at,
							close == '}' ? "\",\" or \"}\" is expected" :
							"\",\" or \"]\" is expected");
			return true;
		default:
			if (take_word(parse, "true") || take_word(parse, "false") ||
				take_word(parse, "null"))
				return true;
			end = number_end(parse->at);
			if (end == NULL)
				return fail(parse, up, NULL, parse->at, "a value is expected");
			parse->at = end;
			return true;
	}
}

/* See that the text is UTF-8, so that nothing after it has to. */
static bool
check_text(Parse *parse)
{
	size_t		size = (size_t) (parse->end - parse->base);
	const uint8_t *fault = evc_wire_utf8_fault(parse->base, size);

	if (fault != NULL)
		return fail(parse, NULL, NULL, fault,
					*fault == 0 ? "the text contains a NUL" :
					"the text is not valid UTF-8");
	return true;
}

/*
 * evc_json_read
 *		Append the wire bytes of a JSON text.
 *
 * They are good, but canonical only if the text has its members in the order
 * of the field numbers and of the keys.  A NUL must follow the text.
 */
bool
evc_json_read(EvcBuffer *out, const ProtobufCMessageDescriptor *desc,
			  const char *text, size_t size, const EvcJsonOptions *options,
			  EvcError *error)
{
	const uint8_t *base = (const uint8_t *) text;
	Parse		parse = {base, base, base + size, out, options, error};

	if (!check_text(&parse) || !read_object(&parse, desc, NULL, 0))
		return false;
	skip_space(&parse);
	if (parse.at != parse.end)
		return fail(&parse, NULL, NULL, parse.at,
					"something follows the message");
	return true;
}

/*
 * evc_json_any_type
 *		Append the "@type" of a JSON text, wherever it stands in the object.
 *
 * Reads no further than to it.  A NUL must follow the text.
 */
bool
evc_json_any_type(const char *text, size_t size, EvcBuffer *type_url,
				  EvcError *error)
{
	const uint8_t *base = (const uint8_t *) text;
	EvcJsonOptions options = {0};
	Parse		parse = {base, base, base + size, type_url, &options, error};

	if (!check_text(&parse))
		return false;
	if (!take(&parse, '{'))
		return fail(&parse, NULL, NULL, parse.at, "an object is expected");
	if (skip_space(&parse) != '}')
	{
		do
		{
			bool		found;

			type_url->size = 0;
			if (!read_string(&parse, type_url, NULL, NULL))
				return false;
			found = type_url->size == 5 &&
				memcmp(type_url->data, "@type", 5) == 0;
			type_url->size = 0;
			if (!take(&parse, ':'))
				return fail(&parse, NULL, NULL, parse.at, "\":\" is expected");
			if (found)
				return read_string(&parse, type_url, NULL, "@type");
			if (!skip_value(&parse, NULL, 0))
				return false;
		} while (take(&parse, ','));
		if (skip_space(&parse) != '}')
			return fail(&parse, NULL, NULL, parse.at,
						"\",\" or \"}\" is expected");
	}
	return fail(&parse, NULL, NULL, parse.base, "there is no \"@type\"");
}
