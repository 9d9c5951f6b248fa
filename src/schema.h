/*
 * schema.h
 *		The 19 messages of the format, by name, by number, by descriptor.
 *
 * Free of PostgreSQL, as wire.c and json.c are, so that a fuzzer can link it.
 */
#ifndef EVC_SCHEMA_H
#define EVC_SCHEMA_H

#include <stdbool.h>

#include "charge_point_gateway_format.pb-c.h"

/*
 * The number of a message type is written to disk in every evcharge.message
 * value: numbers are added at the end, never changed and never reused.
 */
typedef enum EvcType
{
	EVC_BOOT_NOTIFICATION_REQUEST = 1,
	EVC_LOG = 2,
	EVC_AUTHORIZE_REQUEST = 3,
	EVC_AUTHORIZE_RESPONSE = 4,
	EVC_CHECK_AVAILABILITY_REQUEST = 5,
	EVC_CHECK_AVAILABILITY_RESPONSE = 6,
	EVC_START_TRANSACTION_REQUEST = 7,
	EVC_START_TRANSACTION_RESPONSE = 8,
	EVC_NOTIFY_CHARGE_POINT_STATE_CHANGE = 9,
	EVC_RESPONSE = 10,
	EVC_EV_CHARGING_STATUS = 11,
	EVC_STOP_TRANSACTION_REQUEST = 12,
	EVC_STOP_TRANSACTION_RESPONSE = 13,
	EVC_CHARGE_POINT_STATE = 14,
	EVC_CONNECTOR_INFO = 15,
	EVC_TRANSACTION_INFO = 16,
	EVC_CONSUMER_AUTH = 17,
	EVC_LOCAL_AUTHORIZATION = 18,
	EVC_ID_TAG_INFO = 19
} EvcType;

#define EVC_LAST_TYPE EVC_ID_TAG_INFO

/* indexed by EvcType */
extern const ProtobufCMessageDescriptor *const
			evc_schema_descriptors[EVC_LAST_TYPE + 1];

/*
 * evc_schema_descriptor
 *		Return the descriptor of a message type, NULL if there is none.
 *
 * The number may come from disk or from a typmod, so it is checked here.
 */
static inline const ProtobufCMessageDescriptor *
evc_schema_descriptor(int type)
{
	if (type < 1 || type > EVC_LAST_TYPE)
		return NULL;
	return evc_schema_descriptors[type];
}

/* 0 if there is no such name; "gateway." and a URL before the last / may lead */
extern int	evc_schema_lookup(const char *name, size_t len);

/* the number of a descriptor of the table above; 0 for a map entry's */
extern int	evc_schema_type(const ProtobufCMessageDescriptor *desc);

/*
 * evc_schema_is_map
 *		Tell whether a field is a map.
 *
 * protobuf-c does not keep the map_entry option of its descriptors; but the
 * format repeats nothing else.
 */
static inline bool
evc_schema_is_map(const ProtobufCFieldDescriptor *field)
{
	return field->label == PROTOBUF_C_LABEL_REPEATED;
}

#endif							/* EVC_SCHEMA_H */
