/*
 * fuzz.c
 *		A libFuzzer target over the reader of the wire, what makes it
 *		canonical, and the reader and the writer of JSON.
 *
 * scripts/fuzz builds it with src/wire.c, src/json.c and src/schema.c, which
 * are free of the server.  The first byte of an input says what the rest is:
 *
 *		0		the wire bytes of a google.protobuf.Any
 *		1-19	those of a message, by the number of its type
 *		20		the text of a message, of which the type is read
 *		21-39	the same, read as a message
 *
 * Beside the sanitizers' rules, whatever is read has to have the properties
 * that the server relies on; what breaks one ends the process.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"

#define N_TYPES (EVC_LAST_TYPE + 1)

#define REQUIRE(property) \
	do { \
		if (!(property)) \
		{ \
			fprintf(stderr, "%s:%d: %s does not hold\n", \
					__FILE__, __LINE__, #property); \
			abort(); \
		} \
	} while (0)

/* A block remembers its size in front of what is given out. */
#define BLOCK_HEADER	16

static size_t allocated;
static size_t most_allocated;

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void *
count_alloc(size_t size)
{
	uint8_t    *block = malloc(BLOCK_HEADER + size);

	memcpy(block, &size, sizeof(size));
	allocated += size;
	if (allocated > most_allocated)
		most_allocated = allocated;
	return block + BLOCK_HEADER;
}

static void
count_release(void *pointer)
{
	uint8_t    *block = (uint8_t *) pointer - BLOCK_HEADER;
	size_t		size;

	memcpy(&size, block, sizeof(size));
	allocated -= size;
	free(block);
}

static const EvcMemory memory = {count_alloc, count_release};

/* The server has a function of its own for this, which cannot be linked. */
static int
print_float(float value, char *text)
{
	int			size = 0;

	for (int digits = 6; digits <= 9; digits++)
	{
		size = snprintf(text, EVC_FLOAT_TEXT, "%.*g", digits, value);
		if (strtof(text, NULL) == value)
			break;
	}
	return size;
}

/* Forget what a reader or a writer has made. */
static void
release(EvcBuffer *buffer)
{
	count_release(buffer->data);
}

static bool
equal(const EvcBuffer *a, const EvcBuffer *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

/* An error says where it is, and can be printed. */
static void
check_error(const EvcError *error, size_t size)
{
	REQUIRE(error->offset <= size);
	REQUIRE(memchr(error->field, '\0', sizeof(error->field)) != NULL);
	REQUIRE(memchr(error->detail, '\0', sizeof(error->detail)) != NULL);
	REQUIRE(error->detail[0] != '\0');
}

/*
 * Return the canonical form of bytes that were found to be good.  It costs no
 * more than a few times their size, is found to be canonical, and stays as it
 * is if it is made canonical.
 */
static EvcBuffer
canonical_form(const ProtobufCMessageDescriptor *desc, const uint8_t *wire,
			   size_t size, bool was_canonical)
{
	EvcBuffer	result;
	EvcError	error;
	bool		canonical;

	for (int round = 0;; round++)
	{
		size_t		before = allocated;
		EvcWriter	out;

		most_allocated = allocated;
		evc_writer_init(&out, &memory, size);
		evc_wire_canonical(desc, wire, size, &out);
		REQUIRE(most_allocated - before <= 8 * size + 4096);

		evc_buffer_init(&result, &memory, evc_writer_size(&out) + 1);
		evc_buffer_append(&result, out.block + out.start,
						  evc_writer_size(&out));
		count_release(out.block);

		REQUIRE(was_canonical == (result.size == size &&
								  memcmp(result.data, wire, size) == 0));
		if (round > 0)
			count_release((void *) wire);
		if (was_canonical)
			return result;

		REQUIRE(evc_wire_check(desc, result.data, result.size, &canonical,
							   &error));
		REQUIRE(canonical);
		was_canonical = true;
		wire = result.data;
		size = result.size;
	}
}

/* A known field is found where reading one field after the other finds it. */
static void
check_find(const ProtobufCMessageDescriptor *desc, const EvcBuffer *wire)
{
	for (unsigned i = 0; i < desc->n_fields; i++)
	{
		uint32_t	number = desc->fields[i].id;
		EvcWireType type = evc_wire_type_of(&desc->fields[i]);
		EvcCursor	one = {wire->data, wire->data + wire->size};
		EvcCursor	other = one;
		EvcField	found;
		EvcField	field;
		bool		there = evc_wire_find(&one, number, &found) &&
			found.wire_type == type;
		bool		seen = false;

		while (!seen && evc_wire_next(&other, &field))
			seen = field.number == number && field.wire_type == type;
		REQUIRE(there == seen);
		REQUIRE(!there || (found.start == field.start &&
						   found.end == field.end &&
						   found.data == field.data &&
						   found.value == field.value));
	}
}

/* Return the JSON of canonical bytes, with a NUL behind it. */
static EvcBuffer
write_json(const ProtobufCMessageDescriptor *desc, const EvcBuffer *wire,
		   bool emit_defaults, bool proto_names)
{
	EvcJsonOptions options = {0};
	EvcBuffer	json;

	options.emit_defaults = emit_defaults;
	options.proto_names = proto_names;
	options.print_float = print_float;
	evc_buffer_init(&json, &memory, 16);
	evc_json_write(&json, desc, wire->data, wire->size, NULL, &options);
	evc_buffer_byte(&json, 0);
	json.size--;
	return json;
}

/* Return the canonical bytes of a JSON text that was written here. */
static EvcBuffer
read_json(const ProtobufCMessageDescriptor *desc, const EvcBuffer *json)
{
	EvcJsonOptions options = {0};
	EvcBuffer	wire;
	EvcBuffer	result;
	EvcError	error;
	bool		canonical;

	evc_buffer_init(&wire, &memory, 16);
	REQUIRE(evc_json_read(&wire, desc, (const char *) json->data, json->size,
						  &options, &error));
	REQUIRE(evc_wire_check(desc, wire.data, wire.size, &canonical, &error));
	result = canonical_form(desc, wire.data, wire.size, canonical);
	release(&wire);
	return result;
}

/*
 * Bytes that are taken have a canonical form, and a JSON text that says all of
 * it but unknown fields and which NaN it was, however it is spelled.
 */
static void
fuzz_message(const ProtobufCMessageDescriptor *desc, const uint8_t *data,
			 size_t size)
{
	EvcError	error;
	bool		canonical;
	EvcBuffer	wire;
	EvcBuffer	json;
	EvcBuffer	known;

	if (!evc_wire_check(desc, data, size, &canonical, &error))
	{
		check_error(&error, size);
		return;
	}
	wire = canonical_form(desc, data, size, canonical);
	check_find(desc, &wire);
	json = write_json(desc, &wire, false, false);
	known = read_json(desc, &json);
	for (int spelling = 0; spelling < 4; spelling++)
	{
		EvcBuffer	other = write_json(desc, &wire, spelling & 1,
									   spelling & 2);
		EvcBuffer	again = read_json(desc, &other);

		REQUIRE(equal(&again, &known));
		release(&other);
		other = write_json(desc, &again, false, false);
		REQUIRE(equal(&other, &json));
		release(&again);
		release(&other);
	}
	release(&known);
	release(&json);
	release(&wire);
}

/* A text that is taken gives bytes that are taken, and not many more. */
static void
fuzz_text(const ProtobufCMessageDescriptor *desc, const char *text,
		  size_t size)
{
	for (int ignore_unknown = 0; ignore_unknown < 2; ignore_unknown++)
	{
		EvcJsonOptions options = {0};
		size_t		before = allocated;
		EvcBuffer	wire;
		EvcError	error;
		bool		canonical;

		options.any = true;
		options.ignore_unknown = ignore_unknown;
		evc_buffer_init(&wire, &memory, 16);
		most_allocated = allocated;
		if (evc_json_read(&wire, desc, text, size, &options, &error))
		{
			REQUIRE(evc_wire_check(desc, wire.data, wire.size, &canonical,
								   &error));
			REQUIRE(most_allocated - before <= 8 * size + 4096);
			fuzz_message(desc, wire.data, wire.size);
		}
		else
			check_error(&error, size);
		release(&wire);
	}
}

/*
 * LLVMFuzzerTestOneInput
 *		Read one input.
 *
 * The input is copied to a block of its size, so that the sanitizer sees each
 * byte that is read behind it; a text has a NUL there, as in the server.
 */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const ProtobufCMessageDescriptor *desc;
	uint8_t    *copy;
	bool		is_text;
	EvcError	error;

	if (size == 0)
		return 0;
	is_text = data[0] / N_TYPES % 2 == 1;
	desc = evc_schema_descriptor(data[0] % N_TYPES);
	size--;
	copy = malloc(size + is_text);
	if (size > 0)
		memcpy(copy, data + 1, size);
	if (is_text)
		copy[size] = '\0';

	if (is_text && desc != NULL)
		fuzz_text(desc, (const char *) copy, size);
	else if (is_text)
	{
		EvcBuffer	type_url;

		evc_buffer_init(&type_url, &memory, 16);
		if (evc_json_any_type((const char *) copy, size, &type_url, &error))
			evc_schema_lookup((const char *) type_url.data, type_url.size);
		else
			check_error(&error, size);
		release(&type_url);
	}
	else if (desc != NULL)
		fuzz_message(desc, copy, size);
	else
	{
		EvcAny		any;

		if (evc_wire_any(copy, size, &any, &error))
			evc_schema_lookup((const char *) any.type_url, any.type_url_size);
		else
			check_error(&error, size);
	}
	free(copy);
	REQUIRE(allocated == 0);
	return 0;
}
