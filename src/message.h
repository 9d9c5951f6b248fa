/*
 * message.h
 *		evcharge.message, and the way between wire bytes and structs.
 *
 * Entry points see only this header: bytes come in through
 * evc_message_unpack(), which validates before it reads, and go out through
 * evc_message_pack().  Strings in the structs are in the server's encoding, on
 * the wire they are UTF-8; the conversion happens in these two places.
 */
#ifndef EVC_MESSAGE_H
#define EVC_MESSAGE_H

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "fmgr.h"

#include "schema.h"
#include "wire.h"

/*
 * A value on disk: a version of this layout, the number of the message type
 * (EvcType), the canonical wire bytes.
 */
typedef struct EvcMessage
{
	int32		vl_len_;		/* varlena header: do not touch directly */
	uint8		version;
	uint8		type;
	uint8		wire[FLEXIBLE_ARRAY_MEMBER];
} EvcMessage;

#define EVC_MESSAGE_VERSION		1
#define EVC_MESSAGE_HEADER		offsetof(EvcMessage, wire)
#define EVC_MESSAGE_WIRE_SIZE(m) (VARSIZE(m) - EVC_MESSAGE_HEADER)

#define DatumGetEvcMessageP(d)	((EvcMessage *) PG_DETOAST_DATUM(d))
#define PG_GETARG_EVCMESSAGE_P(n) DatumGetEvcMessageP(PG_GETARG_DATUM(n))

/* An argument that holds wire bytes, of no more than may be; raises OC004. */
extern bytea *evc_message_bytes(Datum argument);

/*
 * Wire bytes of the given type -> the generated struct, in the current memory
 * context.  Raises OC001 for malformed bytes, OC004 for too many.  A string is
 * never NULL; a submessage is NULL if absent; a map entry always has a value,
 * and no two entries of a map have the same key.  Unknown fields are left out.
 */
extern void *evc_message_unpack(EvcType type, const void *bytes, size_t len);

/* The same for a value of the type, whose bytes are known to be good. */
extern void *evc_message_struct(const EvcMessage *message);

/*
 * A generated struct -> canonical wire bytes, or a value of the type, in the
 * current memory context.  Map entries may stand in any order.
 */
extern bytea *evc_message_pack(const ProtobufCMessage *message);
extern EvcMessage *evc_message_value(const ProtobufCMessage *message);

/* Wire bytes -> a value of the type.  Raises OC001 and OC004. */
extern EvcMessage *evc_message_decode_wire(EvcType type, const void *bytes,
										   size_t size);

/* The same for bytes that are known to be good but need not be canonical. */
extern EvcMessage *evc_message_canonical(EvcType type, const void *bytes,
										 size_t size);

/* The same for bytes that are canonical. */
extern EvcMessage *evc_message_make(EvcType type, const void *bytes,
									size_t size);

/*
 * A value where it stands, also with a header of one byte.  "value" is what
 * PG_FREE_IF_COPY would compare.
 */
typedef struct EvcView
{
	struct varlena *value;
	EvcType		type;
	const ProtobufCMessageDescriptor *desc;
	const uint8 *wire;
	size_t		size;
} EvcView;

/* Raises the error of a value that this library cannot read. */
extern void evc_message_unreadable(const struct varlena *value);

/*
 * evc_message_look
 *		Look at a value, or at the beginning of one, that is in memory.
 *
 * Inline, as it is a good part of what reading one field costs.
 */
static inline EvcView
evc_message_look(struct varlena *value)
{
	const uint8 *data = (const uint8 *) VARDATA_ANY(value);
	size_t		size = VARSIZE_ANY_EXHDR(value);
	size_t		header = EVC_MESSAGE_HEADER - VARHDRSZ;
	EvcView		view;

	if (unlikely(size < header || data[0] != EVC_MESSAGE_VERSION ||
				 evc_schema_descriptor(data[1]) == NULL))
		evc_message_unreadable(value);
	view.value = value;
	view.type = (EvcType) data[1];
	view.desc = evc_schema_descriptor(data[1]);
	view.wire = data + header;
	view.size = size - header;
	return view;
}

/*
 * evc_message_view
 *		Look at a value where it is.
 *
 * A short value on a page has a header of one byte, and is not copied to give
 * it one of four.
 */
static inline EvcView
evc_message_view(Datum datum)
{
	return evc_message_look(PG_DETOAST_DATUM_PACKED(datum));
}

/* The same for the first bytes of a value; the last field may be cut off. */
extern EvcView evc_message_prefix(Datum datum, int32 size);

/* The type of a value that is detoasted. */
extern EvcType evc_message_type_of(const EvcMessage *message);

/* Raises OC002 if a column of that typmod does not take the type. */
extern void evc_message_check_typmod(EvcType type, int32 typmod);

/* A string of the wire as text of the server, and text as such a string. */
extern text *evc_message_text(const void *string, size_t size);
extern const char *evc_message_utf8(text *string, size_t *size);

/* Memory of the current context, for wire.h and json.h. */
extern const EvcMemory evc_message_memory;

/* Raises OC003 for a name the format does not have. */
extern EvcType evc_message_type_by_name(const char *name);

/* The short name, as message_type() gives it: ConnectorInfo. */
extern const char *evc_message_type_name(EvcType type);

#endif							/* EVC_MESSAGE_H */
