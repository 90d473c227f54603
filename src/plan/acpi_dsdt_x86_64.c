/* SPDX-License-Identifier: Apache-2.0 */
/* The DSDT of an x86-64 machine: what Linux finds no other way. virtio-mmio devices (LNRO0005),
 * the serial port, the generation id with the event device that announces a new one, and the
 * power-off state. */
#include "plan/acpi_table.h"
#include "plan/aml.h"
#include "plan/map_x86_64.h"

enum { NOTIFY_GENERATION = 0x80 };

static void named_string(struct out *o, const char *name, const char *text)
{
	aml_name(o, name);
	aml_string(o, text);
}

static void named_integer(struct out *o, const char *name, uint64_t v)
{
	aml_name(o, name);
	aml_integer(o, v);
}

static void named_eisa_id(struct out *o, const char *name, const char *id)
{
	aml_name(o, name);
	aml_eisa_id(o, id);
}

/* ACPI 6.5, 7.4.2: the values that go into SLP_TYP of the sleep control register. */
static void put_s5(struct out *o)
{
	struct aml_box box;

	static_assert(SLEEP_VALUE_S5 == (5u << 2 | 1u << 5), "SLP_TYP 5 with SLP_EN");
	aml_name(o, "_S5_");
	box = aml_package(o, 4);
	aml_integer(o, 5);
	aml_integer(o, 5);
	aml_integer(o, 0);
	aml_integer(o, 0);
	aml_close(o, box);
}

static void put_serial(struct out *o)
{
	struct aml_box dev = aml_device(o, "COM1"), crs;

	named_eisa_id(o, "_HID", "PNP0501");
	named_integer(o, "_UID", 0);
	aml_name(o, "_CRS");
	crs = aml_resources(o);
	aml_io(o, PORT_SERIAL, 8);
	aml_interrupt(o, (gsi_t){ GSI_SERIAL });
	aml_resources_close(o, crs);
	aml_close(o, dev);
}

/* Virtual Machine Generation ID (Microsoft, 2012): ADDR is where the 16 bytes are. Drivers bind by
 * the compatible ids, neither of which is a valid hardware id (ACPI 6.5, 6.1.5: four letters or
 * digits, four hex digits): Linux by "VMGENCTR" in every version that has the driver, Windows by
 * the older one. */
static void put_generation_id(struct out *o)
{
	struct aml_box dev = aml_device(o, "VGEN"), list;

	named_string(o, "_HID", "SPOR0001");
	aml_name(o, "_CID");
	list = aml_package(o, 2);
	aml_string(o, "VMGENCTR");
	aml_string(o, "VM_Gen_Counter");
	aml_close(o, list);
	named_string(o, "_DDN", "VM_Gen_Counter");
	aml_name(o, "ADDR");
	list = aml_package(o, 2);
	aml_integer(o, MAP_VMGENID & UINT32_MAX);
	aml_integer(o, MAP_VMGENID >> 32);
	aml_close(o, list);
	aml_close(o, dev);
}

/* ACPI 6.5, 5.6.9: the generic event device. */
static void put_event_device(struct out *o)
{
	struct aml_box dev = aml_device(o, "GED_"), crs, evt, match;

	named_string(o, "_HID", "ACPI0013");
	aml_name(o, "_CRS");
	crs = aml_resources(o);
	aml_interrupt(o, (gsi_t){ GSI_VMGENID });
	aml_resources_close(o, crs);
	evt = aml_method(o, "_EVT", 1);
	match = aml_if_arg_equals(o, 0, GSI_VMGENID);
	aml_notify(o, "\\_SB_.VGEN", NOTIFY_GENERATION);
	aml_close(o, match);
	aml_close(o, evt);
	aml_close(o, dev);
}

static char digit(uint32_t v)
{
	return (char)('0' + v % 10);
}
static_assert(SHAPE_DEVICES_MAX <= 100, "two digits name a slot");

static void put_virtio(struct out *o, const struct topo_slot *slot)
{
	uint32_t n = slot->slot.v;
	const char name[] = { 'V', '0', digit(n / 10), digit(n), '\0' };
	struct aml_box dev = aml_device(o, name), crs;

	named_string(o, "_HID", "LNRO0005");
	named_integer(o, "_UID", n);
	named_integer(o, "_CCA", 1);
	aml_name(o, "_CRS");
	crs = aml_resources(o);
	aml_memory32(o, slot->mmio, slot->mmio_len);
	aml_interrupt(o, slot->gsi);
	aml_resources_close(o, crs);
	aml_close(o, dev);
}

void acpi_put_dsdt(struct out *o, const struct topology *t)
{
	struct acpi_table table = acpi_table_open(o, "DSDT", 2);
	struct aml_box sb;

	put_s5(o);
	sb = aml_scope(o, "\\_SB_");
	put_serial(o);
	put_generation_id(o);
	put_event_device(o);
	for (uint32_t i = 0; i < topology_slots(t); i++)
		put_virtio(o, topology_slot(t, i));
	aml_close(o, sb);
	acpi_table_close(o, table);
}
