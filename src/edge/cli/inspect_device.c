/* SPDX-License-Identifier: Apache-2.0 */
/* Virtio devices in words (virtio 1.2: 2.1 for the status, 4.2 for the transport). */
#include <stdio.h>

#include "base/check.h"
#include "edge/cli/inspect_text.h"

static const char *status_words(json_int_t s)
{
	if ((s & 128) != 0)
		return "given up by its driver";
	if ((s & 64) != 0)
		return "needs a reset";
	if ((s & 4) != 0)
		return "in use";
	if ((s & 8) != 0)
		return "features agreed";
	if ((s & 2) != 0)
		return "has a driver";
	return s != 0 ? "noticed" : "reset";
}

static void queue_print(size_t i, const json_t *q)
{
	if (!json_is_true(json_object_get(q, "ready"))) {
		printf("    queue %zu: not ready (at most %" JSON_INTEGER_FORMAT " entries)\n", i,
		       number_of(q, "max_size"));
		return;
	}
	printf("    queue %zu: %" JSON_INTEGER_FORMAT " entries, descriptors %s, available %s, used %s, "
	       "next %" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT "\n", i, number_of(q, "size"),
	       text_of(q, "desc"), text_of(q, "driver"), text_of(q, "device"),
	       number_of(q, "next_avail"), number_of(q, "next_used"));
}

static void file_print(const char *what, const json_t *f)
{
	if (text_of(f, "path")[0] == '\0')
		return;
	printf("    %s: %s, %" JSON_INTEGER_FORMAT " bytes, %s\n", what, text_of(f, "path"),
	       number_of(f, "size"), json_is_true(json_object_get(f, "stored"))
	       ? "stored with the snapshot" : "in its place");
}

static void blk_print(const json_t *d)
{
	static const char *const modes[] = { "?", "read-only", "read and write", "copy on write" };
	json_int_t mode = number_of(d, "mode");

	printf("    disk: %" JSON_INTEGER_FORMAT " bytes, %s\n", number_of(d, "capacity"),
	       modes[mode > 0 && mode < (json_int_t)countof(modes) ? mode : 0]);
	file_print("file", json_object_get(d, "disk"));
	file_print("layer", json_object_get(d, "layer"));
}

void device_print(const json_t *slot, const json_t *device)
{
	const json_t *queues = json_object_get(device, "queues");

	printf("  slot %" JSON_INTEGER_FORMAT ": %s at %s, GSI %" JSON_INTEGER_FORMAT ", %s (status %"
	       JSON_INTEGER_FORMAT "), features %s, interrupts %" JSON_INTEGER_FORMAT "\n",
	       number_of(slot, "slot"), text_of(device, "kind"), text_of(slot, "mmio"),
	       number_of(slot, "gsi"), status_words(number_of(device, "status")),
	       number_of(device, "status"), text_of(device, "acked_features"),
	       number_of(device, "interrupt_status"));
	if (json_object_get(device, "disk") != NULL)
		blk_print(device);
	for (size_t i = 0; i < json_array_size(queues); i++)
		queue_print(i, json_array_get(queues, i));
}
