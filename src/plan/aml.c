/* SPDX-License-Identifier: Apache-2.0 */
/* Theory of operation: the length of a term's body stands in front of it and is itself of variable
 * length. So a body is written first, and closing it moves it up by the length's own bytes. What
 * lies inside is closed already and holds no absolute offsets. */
#include "plan/aml.h"

#include <string.h>

enum {
	AML_ZERO = 0x00, AML_ONE = 0x01, AML_NAME = 0x08, AML_BYTE = 0x0A, AML_WORD = 0x0B,
	AML_DWORD = 0x0C, AML_STRING = 0x0D, AML_QWORD = 0x0E, AML_SCOPE = 0x10, AML_BUFFER = 0x11,
	AML_PACKAGE = 0x12, AML_METHOD = 0x14, AML_DUAL_NAME = 0x2E, AML_EXT = 0x5B,
	AML_EXT_DEVICE = 0x82, AML_ARG0 = 0x68, AML_NOTIFY = 0x86, AML_EQUAL = 0x93, AML_IF = 0xA0,
};

enum { AML_METHOD_SERIALIZED = 1 << 3 };

/* ACPI 6.5, 6.4: descriptor tags. */
enum {
	RES_IO = 0x47, RES_END = 0x79, RES_MEMORY32_FIXED = 0x86, RES_INTERRUPT = 0x89,
};

static struct aml_box box_here(const struct out *o)
{
	return (struct aml_box){ o->len };
}

/* Puts bytes in at an offset that was written already; what follows moves up. */
static void insert(struct out *o, size_t at, const uint8_t *bytes, size_t n)
{
	size_t behind = o->len - at;

	out_zero(o, n);
	if (o->overrun)
		return;
	memmove(o->base + at + n, o->base + at, behind);
	memcpy(o->base + at, bytes, n);
}

/* Any writable name path; two segments at most. */
static void path_put(struct out *o, const char *path)
{
	if (*path == '\\')
		out_u8(o, (uint8_t)*path++);
	if (path[4] == '.') {
		out_u8(o, AML_DUAL_NAME);
		out_bytes(o, path, 4);
		path += 5;
	}
	out_bytes(o, path, 4);
}

struct aml_box aml_scope(struct out *o, const char *path)
{
	struct aml_box box;

	out_u8(o, AML_SCOPE);
	box = box_here(o);
	path_put(o, path);
	return box;
}

struct aml_box aml_device(struct out *o, const char *name)
{
	struct aml_box box;

	out_u8(o, AML_EXT);
	out_u8(o, AML_EXT_DEVICE);
	box = box_here(o);
	path_put(o, name);
	return box;
}

struct aml_box aml_method(struct out *o, const char *name, uint8_t args)
{
	struct aml_box box;

	out_u8(o, AML_METHOD);
	box = box_here(o);
	path_put(o, name);
	out_u8(o, args | AML_METHOD_SERIALIZED);
	return box;
}

struct aml_box aml_package(struct out *o, uint8_t n)
{
	struct aml_box box;

	out_u8(o, AML_PACKAGE);
	box = box_here(o);
	out_u8(o, n);
	return box;
}

struct aml_box aml_if_arg_equals(struct out *o, uint8_t arg, uint64_t value)
{
	struct aml_box box;

	out_u8(o, AML_IF);
	box = box_here(o);
	out_u8(o, AML_EQUAL);
	out_u8(o, (uint8_t)(AML_ARG0 + arg));
	aml_integer(o, value);
	return box;
}

/* ACPI 6.5, 20.2.4: PkgLength counts its own bytes. */
void aml_close(struct out *o, struct aml_box box)
{
	size_t body = o->len - box.body, n = 1, len;
	uint8_t bytes[4];

	while (n < sizeof bytes && body + n >= (n == 1 ? (size_t)1 << 6 : (size_t)1 << (8 * n - 4)))
		n++;
	len = body + n;
	if (n == 1) {
		bytes[0] = (uint8_t)len;
	} else {
		bytes[0] = (uint8_t)((n - 1) << 6 | (len & 0xF));
		for (size_t i = 1; i < n; i++)
			bytes[i] = (uint8_t)(len >> (8 * i - 4));
	}
	insert(o, box.body, bytes, n);
}

void aml_name(struct out *o, const char *name)
{
	out_u8(o, AML_NAME);
	path_put(o, name);
}

void aml_integer(struct out *o, uint64_t v)
{
	if (v <= 1) {
		out_u8(o, v == 0 ? AML_ZERO : AML_ONE);
	} else if (v <= UINT8_MAX) {
		out_u8(o, AML_BYTE);
		out_u8(o, (uint8_t)v);
	} else if (v <= UINT16_MAX) {
		out_u8(o, AML_WORD);
		out_u16(o, (uint16_t)v);
	} else if (v <= UINT32_MAX) {
		out_u8(o, AML_DWORD);
		out_u32(o, (uint32_t)v);
	} else {
		out_u8(o, AML_QWORD);
		out_u64(o, v);
	}
}

void aml_string(struct out *o, const char *text)
{
	out_u8(o, AML_STRING);
	out_bytes(o, text, strlen(text) + 1);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* ACPI 6.5, 19.3.4 (EISAID): three letters of five bits, four hex digits, big-endian. */
void aml_eisa_id(struct out *o, const char id[7])
{
	uint32_t v = 0;

	for (int i = 0; i < 3; i++)
		v = v << 5 | (uint32_t)(id[i] - '@');
	for (int i = 3; i < 7; i++)
		v = v << 4 | hex_digit(id[i]);
	aml_integer(o, __builtin_bswap32(v));
}

void aml_notify(struct out *o, const char *path, uint64_t value)
{
	out_u8(o, AML_NOTIFY);
	path_put(o, path);
	aml_integer(o, value);
}

struct aml_box aml_resources(struct out *o)
{
	out_u8(o, AML_BUFFER);
	return box_here(o);
}

void aml_resources_close(struct out *o, struct aml_box box)
{
	uint8_t bytes[9];
	struct out size = out_of(bytes, sizeof bytes);

	out_u8(o, RES_END);
	out_u8(o, 0); /* a checksum of zero stands for "not summed" */
	aml_integer(&size, o->len - box.body);
	insert(o, box.body, bytes, size.len);
	aml_close(o, box);
}

void aml_memory32(struct out *o, gpa_t at, bytes_t len)
{
	assert(at.v <= UINT32_MAX && len.v <= UINT32_MAX);
	out_u8(o, RES_MEMORY32_FIXED);
	out_u16(o, 9);
	out_u8(o, 1); /* read-write */
	out_u32(o, (uint32_t)at.v);
	out_u32(o, (uint32_t)len.v);
}

void aml_io(struct out *o, uint16_t port, uint8_t len)
{
	out_u8(o, RES_IO);
	out_u8(o, 1); /* decodes 16 bits */
	out_u16(o, port);
	out_u16(o, port);
	out_u8(o, 1); /* alignment */
	out_u8(o, len);
}

void aml_interrupt(struct out *o, gsi_t gsi)
{
	out_u8(o, RES_INTERRUPT);
	out_u16(o, 6);
	out_u8(o, 1 << 0 | 1 << 1); /* consumer, edge */
	out_u8(o, 1);               /* one interrupt */
	out_u32(o, gsi.v);
}
