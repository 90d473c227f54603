/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/cli/inspect_text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/check.h"

static void size_text(json_int_t bytes, char *ret, size_t cap)
{
	if (bytes % (1 << 20) == 0)
		(void)snprintf(ret, cap, "%" JSON_INTEGER_FORMAT " MiB", bytes >> 20);
	else
		(void)snprintf(ret, cap, "%" JSON_INTEGER_FORMAT " KiB", bytes >> 10);
}

static void head_print(const json_t *doc)
{
	const json_t *h = json_object_get(doc, "header"), *map = json_object_get(doc, "ram-map");
	json_int_t present = number_of(map, "present") * number_of(map, "block_size");
	time_t when = (time_t)number_of(h, "created_sec");
	char ram[32], held[32], date[40] = "?";
	struct tm utc;

	size_text(number_of(h, "ram"), ram, sizeof ram);
	size_text(present, held, sizeof held);
	if (gmtime_r(&when, &utc) != NULL)
		(void)strftime(date, sizeof date, "%Y-%m-%d %H:%M:%S UTC", &utc);
	printf("snapshot    version %" JSON_INTEGER_FORMAT ", %s, %" JSON_INTEGER_FORMAT " bytes\n",
	       number_of(h, "version"), number_of(h, "arch") == 1 ? "x86-64" : "aarch64",
	       number_of(h, "total"));
	printf("written     %s\n", date);
	printf("machine     %s, generation %" JSON_INTEGER_FORMAT "\n", text_of(h, "machine_id"),
	       number_of(h, "generation"));
	printf("vCPUs       %" JSON_INTEGER_FORMAT "\n", number_of(h, "vcpus"));
	printf("RAM         %s, %s with data\n", ram, held);
}

static void config_print(const json_t *doc)
{
	static const char *const boots[] = { "auto", "pvh", "linux64", "bzimage" };
	const json_t *c = json_object_get(doc, "config"), *i = json_object_get(doc, "inventory");
	json_int_t boot = number_of(c, "boot_method");

	printf("name        %s\n", text_of(c, "name"));
	printf("kernel      %s (%s)\n", text_of(c, "kernel"),
	       boot >= 0 && boot < (json_int_t)countof(boots) ? boots[boot] : "?");
	if (text_of(c, "initrd")[0] != '\0')
		printf("initrd      %s\n", text_of(c, "initrd"));
	printf("cmdline     %s\n", text_of(c, "cmdline"));
	printf("host        %s%s%s, TSC %" JSON_INTEGER_FORMAT " kHz, XSAVE %" JSON_INTEGER_FORMAT
	       " bytes, %zu KVM capabilities\n", text_of(i, "cpu_vendor"),
	       text_of(i, "cpu_model")[0] == '\0' ? "" : " ", text_of(i, "cpu_model"),
	       number_of(i, "tsc_khz"), number_of(i, "xsave_size"),
	       json_array_size(json_object_get(i, "caps")));
}

static void sections_print(const json_t *doc)
{
	const json_t *table = json_object_get(doc, "table");

	printf("\n%-12s %5s %14s %14s  %s\n", "SECTION", "INDEX", "OFFSET", "SIZE", "CRC-64");
	for (size_t i = 0; i < json_array_size(table); i++) {
		const json_t *r = json_array_get(table, i);

		printf("%-12s %5" JSON_INTEGER_FORMAT " %14" JSON_INTEGER_FORMAT
		       " %14" JSON_INTEGER_FORMAT "  %s\n", text_of(r, "kind"),
		       number_of(r, "index"), number_of(r, "offset"), number_of(r, "size"),
		       text_of(r, "crc"));
	}
}

/* All members of an object that are numbers or strings, a few to a line. */
static void members_print(const char *title, const json_t *object)
{
	const char *key;
	json_t *v;
	size_t column = 0;

	json_object_foreach((json_t *)object, key, v) {
		char text[96];
		int n;

		if (json_is_integer(v))
			n = snprintf(text, sizeof text, "%s %" JSON_INTEGER_FORMAT, key,
				     json_integer_value(v));
		else if (json_is_string(v) && json_string_length(v) < 64)
			n = snprintf(text, sizeof text, "%s %s", key, json_string_value(v));
		else
			continue;
		if (column == 0 || column + (size_t)n + 2 > 96) {
			printf("%s  %-10s", column == 0 ? "" : "\n", column == 0 ? title : "");
			column = 12;
		}
		printf("  %s", text);
		column += (size_t)n + 2;
	}
	if (column != 0)
		printf("\n");
}

static const char *mp_state(json_int_t s)
{
	static const char *const words[] = { "runnable", "uninitialized", "init received", "halted",
					     "SIPI received" };

	return s >= 0 && s < (json_int_t)countof(words) ? words[s] : "?";
}

static void vcpu_print(const json_t *v)
{
	static const char *const segments[] = { "cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt",
						"gdt", "idt" };
	const json_t *sregs = json_object_get(v, "sregs");

	printf("\nvCPU %" JSON_INTEGER_FORMAT "  %s, guest TSC %s\n", number_of(v, "id"),
	       mp_state(number_of(v, "mp_state")), text_of(v, "guest_tsc"));
	members_print("registers", json_object_get(v, "regs"));
	members_print("control", sregs);
	for (size_t i = 0; i < countof(segments); i++)
		members_print(segments[i], json_object_get(sregs, segments[i]));
	members_print("debug", json_object_get(v, "debugregs"));
	members_print("events", json_object_get(v, "events"));
	lapic_print(json_object_get(v, "lapic"));
	printf("  state       %zu MSRs, %zu CPUID entries, XSAVE area of %zu bytes (all with --json)\n",
	       json_array_size(json_object_get(v, "msrs")),
	       json_array_size(json_object_get(v, "cpuid")),
	       json_string_length(json_object_get(v, "xsave")) / 2);
}

static void list_print(const char *title, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		char name[24];

		(void)snprintf(name, sizeof name, "%s %zu", title, i);
		members_print(name, json_array_get(list, i));
	}
}

static void irqchip_print(const json_t *doc)
{
	const json_t *chip = json_object_get(doc, "irqchip");
	const json_t *io = json_object_get(chip, "ioapic");
	const json_t *pins = json_object_get(io, "redirection");

	printf("\ninterrupt chips\n");
	list_print("PIC", json_object_get(chip, "pic"));
	members_print("IOAPIC", io);
	for (size_t i = 0; i < json_array_size(pins); i++)
		printf("%s  pin %2zu %-18s%s", i % 3 == 0 ? "  " : "", i,
		       json_string_value(json_array_get(pins, i)),
		       i % 3 == 2 || i + 1 == json_array_size(pins) ? "\n" : "");
	list_print("PIT", json_object_get(chip, "pit"));
	members_print("clock", json_object_get(doc, "clock"));
}

void inspect_print(const json_t *doc)
{
	const json_t *vcpus = json_object_get(doc, "vcpu"), *devices = json_object_get(doc, "device");
	const json_t *slots = json_object_get(json_object_get(doc, "topology"), "slots");

	head_print(doc);
	config_print(doc);
	sections_print(doc);
	printf("\ndevices\n");
	for (size_t i = 0; i < json_array_size(devices); i++)
		device_print(json_array_get(slots, i), json_array_get(devices, i));
	members_print("serial", json_object_get(doc, "serial"));
	irqchip_print(doc);
	for (size_t i = 0; i < json_array_size(vcpus); i++)
		vcpu_print(json_array_get(vcpus, i));
}
