/*
 * json.h
 *		ProtoJSON: wire bytes to JSON text and back, by descriptor.
 *
 * Free of PostgreSQL, as wire.h is.
 */
#ifndef EVC_JSON_H
#define EVC_JSON_H

#include "wire.h"

/* Room for the text of a float, and its closing NUL. */
#define EVC_FLOAT_TEXT		32

/* Bytes that grow at their end. */
typedef struct EvcBuffer
{
	const EvcMemory *memory;
	uint8_t    *data;
	size_t		size;
	size_t		capacity;
} EvcBuffer;

typedef struct EvcJsonOptions
{
	/* how to write */
	bool		emit_defaults;	/* fields that have their default, too */
	bool		proto_names;	/* idTag and start_time, not startTime */
	/* the shortest text that reads back as this finite float; its length */
	int			(*print_float) (float value, char *text);

	/* how to read */
	bool		ignore_unknown; /* members that the message does not have */
	bool		any;			/* there may be an "@type" */
} EvcJsonOptions;

extern void evc_buffer_init(EvcBuffer *buffer, const EvcMemory *memory,
							size_t capacity);
extern void evc_buffer_grow(EvcBuffer *buffer, size_t size);

extern void evc_json_write(EvcBuffer *out,
						   const ProtobufCMessageDescriptor *desc,
						   const void *wire, size_t size,
						   const char *type_url,
						   const EvcJsonOptions *options);
extern bool evc_json_read(EvcBuffer *out,
						  const ProtobufCMessageDescriptor *desc,
						  const char *text, size_t size,
						  const EvcJsonOptions *options, EvcError *error);
extern bool evc_json_any_type(const char *text, size_t size,
							  EvcBuffer *type_url, EvcError *error);

extern const ProtobufCFieldDescriptor *
			evc_json_field(const ProtobufCMessageDescriptor *desc,
						   const char *name, size_t size);
extern size_t evc_json_name(char *to, const ProtobufCFieldDescriptor *field);
extern int	evc_json_float(char *to, float value,
						   int (*print_float) (float value, char *text));
extern bool evc_json_int32(const char *text, size_t size, int32_t *value);

/* Make room for that many bytes at the end, and return where they begin. */
static inline uint8_t *
evc_buffer_reserve(EvcBuffer *buffer, size_t size)
{
	if (buffer->capacity - buffer->size < size)
		evc_buffer_grow(buffer, size);
	return buffer->data + buffer->size;
}

static inline void
evc_buffer_append(EvcBuffer *buffer, const void *bytes, size_t size)
{
	if (size > 0)
		memcpy(evc_buffer_reserve(buffer, size), bytes, size);
	buffer->size += size;
}

static inline void
evc_buffer_byte(EvcBuffer *buffer, int byte)
{
	*evc_buffer_reserve(buffer, 1) = (uint8_t) byte;
	buffer->size++;
}

#endif							/* EVC_JSON_H */
