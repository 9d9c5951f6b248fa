/*
 * schema.c
 *		The 19 messages of the format, by name, by number, by descriptor.
 */
#include <stdbool.h>
#include <string.h>

#include "schema.h"

#define DESCRIPTOR(name) &gateway__##name##__descriptor

/* Indexed by EvcType: the numbers of schema.h are the truth, not the order. */
const ProtobufCMessageDescriptor *const
			evc_schema_descriptors[EVC_LAST_TYPE + 1] = {
	[EVC_BOOT_NOTIFICATION_REQUEST] = DESCRIPTOR(boot_notification_request_data),
	[EVC_LOG] = DESCRIPTOR(log_data),
	[EVC_AUTHORIZE_REQUEST] = DESCRIPTOR(authorize_request_data),
	[EVC_AUTHORIZE_RESPONSE] = DESCRIPTOR(authorize_response_data),
	[EVC_CHECK_AVAILABILITY_REQUEST] = DESCRIPTOR(check_availability_request_data),
	[EVC_CHECK_AVAILABILITY_RESPONSE] = DESCRIPTOR(check_availability_response_data),
	[EVC_START_TRANSACTION_REQUEST] = DESCRIPTOR(start_transaction_request_data),
	[EVC_START_TRANSACTION_RESPONSE] = DESCRIPTOR(start_transaction_response_data),
	[EVC_NOTIFY_CHARGE_POINT_STATE_CHANGE] = DESCRIPTOR(notify_charge_point_state_change_data),
	[EVC_RESPONSE] = DESCRIPTOR(response),
	[EVC_EV_CHARGING_STATUS] = DESCRIPTOR(evcharging_status_data),
	[EVC_STOP_TRANSACTION_REQUEST] = DESCRIPTOR(stop_transaction_request_data),
	[EVC_STOP_TRANSACTION_RESPONSE] = DESCRIPTOR(stop_transaction_response_data),
	[EVC_CHARGE_POINT_STATE] = DESCRIPTOR(charge_point_state),
	[EVC_CONNECTOR_INFO] = DESCRIPTOR(connector_info),
	[EVC_TRANSACTION_INFO] = DESCRIPTOR(transaction_info),
	[EVC_CONSUMER_AUTH] = DESCRIPTOR(consumer_auth_data),
	[EVC_LOCAL_AUTHORIZATION] = DESCRIPTOR(local_authorization_data),
	[EVC_ID_TAG_INFO] = DESCRIPTOR(id_tag_info),
};

/*
 * evc_schema_lookup
 *		Return the number of the message type of that name, 0 if there is none.
 *
 * Takes what google.protobuf.Any calls a type URL, and what a person would
 * type: type.googleapis.com/gateway.LogData, gateway.LogData, LogData.
 */
int
evc_schema_lookup(const char *name, size_t len)
{
	static const char package[] = "gateway.";
	const size_t package_len = sizeof(package) - 1;

	for (size_t i = len; i > 0; i--)
	{
		if (name[i - 1] == '/')
		{
			name += i;
			len -= i;
			break;
		}
	}
	if (len > package_len && memcmp(name, package, package_len) == 0)
	{
		name += package_len;
		len -= package_len;
	}

	for (int type = 1; type <= EVC_LAST_TYPE; type++)
	{
		const char *known = evc_schema_descriptors[type]->short_name;

		if (strlen(known) == len && memcmp(known, name, len) == 0)
			return type;
	}
	return 0;
}

/*
 * evc_schema_type
 *		Return the number of a descriptor, 0 if it is that of a map entry.
 */
int
evc_schema_type(const ProtobufCMessageDescriptor *desc)
{
	for (int type = 1; type <= EVC_LAST_TYPE; type++)
	{
		if (evc_schema_descriptors[type] == desc)
			return type;
	}
	return 0;
}
