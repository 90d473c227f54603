/* SPDX-License-Identifier: Apache-2.0 */
/* The document of spore_inspect for people. The document comes from the library, so keys that are
 * missing are shown as empty rather than judged again. */
#pragma once

#include <jansson.h>

void inspect_print(const json_t *doc);

/* inspect_lapic.c */
void lapic_print(const json_t *lapic);
/* inspect_device.c */
void device_print(const json_t *slot, const json_t *device);

static inline const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

static inline json_int_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}
