/* SPDX-License-Identifier: Apache-2.0 */
/* FADT and MADT of an x86-64 machine. */
#include "plan/acpi_table.h"
#include "plan/map_x86_64.h"

/* ACPI 6.5, 5.2.9: Fixed Feature Flags and IA-PC Boot Architecture Flags. */
enum {
	FADT_PWR_BUTTON = 1 << 4,  /* no fixed power button */
	FADT_SLP_BUTTON = 1 << 5,  /* no fixed sleep button */
	FADT_TMR_VAL_EXT = 1 << 8,
	FADT_RESET_REG_SUP = 1 << 10,
	FADT_HW_REDUCED = 1 << 20,
	FADT_FLAGS = FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_TMR_VAL_EXT | FADT_RESET_REG_SUP |
		     FADT_HW_REDUCED,

	/* No 8042 either: there is only its reset line, and Linux spends 1.8 s on finding out that
	 * the rest of the controller does not answer. */
	BOOT_ARCH_NO_VGA = 1 << 2,
	BOOT_ARCH_NO_CMOS_RTC = 1 << 5,
	BOOT_ARCH = BOOT_ARCH_NO_VGA | BOOT_ARCH_NO_CMOS_RTC,
};

enum { FADT_SIZE = 276, FADT_MAJOR = 6, FADT_MINOR = 5 };

/* Generic Address Structure (ACPI 6.5, 5.2.3.2): one byte of system I/O space. */
static void put_port(struct out *o, uint16_t port)
{
	out_u8(o, 1); /* system I/O */
	out_u8(o, 8); /* bits */
	out_u8(o, 0);
	out_u8(o, 1); /* byte access */
	out_u64(o, port);
}

void acpi_put_fadt(struct out *o, gpa_t dsdt)
{
	struct acpi_table t = acpi_table_open(o, "FACP", FADT_MAJOR);

	out_u32(o, 0);                 /* FIRMWARE_CTRL */
	out_u32(o, (uint32_t)dsdt.v);
	out_zero(o, 65);               /* up to IAPC_BOOT_ARCH: what hardware-reduced ACPI lacks */
	out_u16(o, BOOT_ARCH);
	out_u8(o, 0);
	out_u32(o, FADT_FLAGS);
	put_port(o, PORT_SLEEP_RESET); /* RESET_REG */
	out_u8(o, SLEEP_VALUE_RESET);
	out_u16(o, 0);                 /* ARM_BOOT_ARCH */
	out_u8(o, FADT_MINOR);
	out_u64(o, 0);                 /* X_FIRMWARE_CTRL */
	out_u64(o, dsdt.v);
	out_zero(o, 8 * 12);           /* X_PM1a_EVT_BLK to X_GPE1_BLK */
	put_port(o, PORT_SLEEP_RESET); /* SLEEP_CONTROL_REG */
	put_port(o, PORT_SLEEP_RESET); /* SLEEP_STATUS_REG */
	out_bytes(o, "SPORE\0\0", 8);  /* Hypervisor Vendor Identity */
	acpi_table_close(o, t);
	assert(o->overrun || o->len - t.start == FADT_SIZE);
}

/* ACPI 6.5, 5.2.12. GSIs are IOAPIC pins one to one: there are no interrupt source overrides,
 * because every device names its GSI and its polarity in the DSDT. */
void acpi_put_madt(struct out *o, uint32_t vcpus)
{
	struct acpi_table t = acpi_table_open(o, "APIC", 5);

	out_u32(o, (uint32_t)MAP_LAPIC);
	out_u32(o, 0); /* flags: not PC-AT compatible, the 8259s are not used */
	for (uint32_t i = 0; i < vcpus; i++) {
		out_u8(o, 0); /* processor local APIC */
		out_u8(o, 8);
		out_u8(o, (uint8_t)i); /* processor UID */
		out_u8(o, (uint8_t)i); /* APIC id */
		out_u32(o, 1); /* enabled */
	}
	out_u8(o, 1); /* I/O APIC */
	out_u8(o, 12);
	out_u8(o, 0); /* its id, as KVM's has it */
	out_u8(o, 0);
	out_u32(o, (uint32_t)MAP_IOAPIC);
	out_u32(o, 0); /* its first GSI */
	out_u8(o, 4); /* local APIC NMI */
	out_u8(o, 6);
	out_u8(o, 0xFF); /* every processor */
	out_u16(o, 0); /* polarity and trigger as the bus has them */
	out_u8(o, 1); /* LINT1 */
	acpi_table_close(o, t);
}
static_assert(SHAPE_VCPUS_MAX < 255, "xAPIC ids have eight bits, and 255 is everybody");
