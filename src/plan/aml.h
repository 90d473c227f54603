/* SPDX-License-Identifier: Apache-2.0 */
/* A bounded emitter of ACPI Machine Language (ACPI 6.5, chapter 20), as much of it as the monitor
 * says. Terms are written in order into a struct out, which keeps count of what did not fit; a
 * term with a body is opened, filled and closed with its aml_box. Encodings are the shortest ones,
 * which are those the ASL compiler chooses.
 *
 * Names come from the monitor's own source and are well formed: segments of four characters
 * ("_SB_"), joined by '.', optionally from the root ("\\_SB_.VGEN"). */
#pragma once

#include "base/bytes.h"
#include "base/units.h"

/* An open term: where its body begins. Closed innermost first. */
struct aml_box {
	size_t body;
};

must_check struct aml_box aml_scope(struct out *o, const char *path);
must_check struct aml_box aml_device(struct out *o, const char *name);
must_check struct aml_box aml_method(struct out *o, const char *name, uint8_t args);
/* A package of n elements, which follow as terms. */
must_check struct aml_box aml_package(struct out *o, uint8_t n);
/* The terms up to aml_close run when argument `arg` equals `value`. */
must_check struct aml_box aml_if_arg_equals(struct out *o, uint8_t arg, uint64_t value);
void aml_close(struct out *o, struct aml_box box);

/* Name(name, ...): the object follows as one term. */
void aml_name(struct out *o, const char *name);
void aml_integer(struct out *o, uint64_t v);
void aml_string(struct out *o, const char *text);
/* "PNP0501" as the compressed number that _HID takes. */
void aml_eisa_id(struct out *o, const char id[7]);
void aml_notify(struct out *o, const char *path, uint64_t value);

/* A resource template (ACPI 6.5, 6.4); the descriptors in between. */
must_check struct aml_box aml_resources(struct out *o);
void aml_resources_close(struct out *o, struct aml_box box);
/* Memory32Fixed, read-write. Both numbers fit in 32 bits. */
void aml_memory32(struct out *o, gpa_t at, bytes_t len);
/* IO, 16-bit decode. */
void aml_io(struct out *o, uint16_t port, uint8_t len);
/* Interrupt: consumer, edge, active high, exclusive. */
void aml_interrupt(struct out *o, gsi_t gsi);
