/* SPDX-License-Identifier: Apache-2.0 */
/* An image as a JSON document, section by section. The keys are those of docs/snapshot-format.md;
 * numbers that may not fit 63 bits are strings in hexadecimal, bytes are strings of hex digits. */
#pragma once

#include <jansson.h>

#include "plan/image.h"

json_t *inspect_vcpu(const struct vcpu_x86_64 *v);
json_t *inspect_irqchip(const struct irqchip_x86_64 *v);
json_t *inspect_lapic(const uint8_t page[X86_LAPIC_SIZE]);
json_t *inspect_device(const struct device_state *v);
json_t *inspect_serial(const struct serial_state *v);

/* Members of an object: a number, one that may be large, bytes. */
void put_number(json_t *object, const char *key, int64_t v);
void put_hex(json_t *object, const char *key, uint64_t v);
void put_bytes(json_t *object, const char *key, const uint8_t *bytes, size_t n);
json_t *hex_json(uint64_t v);
