/* SPDX-License-Identifier: Apache-2.0 */
/* The local APIC register by register (Intel SDM volume 3, chapter 11). */
#include <stdio.h>

#include "base/check.h"
#include "edge/cli/inspect_text.h"

static void vectors_print(const char *name, const json_t *list)
{
	printf("    %-14s", name);
	for (size_t i = 0; i < json_array_size(list); i++)
		printf(" %" JSON_INTEGER_FORMAT, json_integer_value(json_array_get(list, i)));
	printf("%s\n", json_array_size(list) == 0 ? " none" : "");
}

static const char *delivery(unsigned v)
{
	static const char *const modes[] = { "fixed", "lowest priority", "SMI", "reserved", "NMI",
					     "INIT", "startup", "ExtINT" };

	return modes[v >> 8 & 7];
}

static void lvt_print(const char *name, unsigned v)
{
	printf("    %-14s 0x%08x  vector %u, %s%s%s\n", name, v, v & 0xFF, delivery(v),
	       (v >> 16 & 1) != 0 ? ", masked" : "", (v >> 12 & 1) != 0 ? ", pending" : "");
}

static void timer_print(unsigned v)
{
	static const char *const modes[] = { "one-shot", "periodic", "TSC deadline", "reserved" };

	printf("    %-14s 0x%08x  vector %u, %s%s\n", "LVT timer", v, v & 0xFF, modes[v >> 17 & 3],
	       (v >> 16 & 1) != 0 ? ", masked" : "");
}

/* Divide configuration: bits 0, 1 and 3 (11.5.4). */
static unsigned divisor(unsigned v)
{
	unsigned code = (v & 3) | (v >> 1 & 4);

	return code == 7 ? 1 : 2u << code;
}

static unsigned word(const json_t *l, const char *key)
{
	return (unsigned)number_of(l, key);
}

static void identity_print(const json_t *l)
{
	unsigned svr = word(l, "svr");

	printf("    %-14s 0x%08x  APIC %u\n", "ID", word(l, "id"), word(l, "id") >> 24);
	printf("    %-14s 0x%08x  version 0x%x, %u LVT entries\n", "version", word(l, "version"),
	       word(l, "version") & 0xFF, (word(l, "version") >> 16 & 0xFF) + 1);
	printf("    %-14s 0x%08x  %s, spurious vector %u\n", "SVR", svr,
	       (svr >> 8 & 1) != 0 ? "enabled" : "disabled", svr & 0xFF);
	printf("    %-14s TPR 0x%x, APR 0x%x, PPR 0x%x\n", "priorities", word(l, "tpr"),
	       word(l, "apr"), word(l, "ppr"));
	printf("    %-14s LDR 0x%08x, DFR 0x%08x\n", "logical", word(l, "ldr"), word(l, "dfr"));
	printf("    %-14s 0x%08x\n", "ESR", word(l, "esr"));
	printf("    %-14s 0x%08x%08x  vector %u, %s, to 0x%02x\n", "ICR", word(l, "icr_high"),
	       word(l, "icr_low"), word(l, "icr_low") & 0xFF, delivery(word(l, "icr_low")),
	       word(l, "icr_high") >> 24);
}

void lapic_print(const json_t *l)
{
	static const struct { const char *name, *key; } lvts[] = {
		{ "LVT CMCI", "lvt_cmci" }, { "LVT thermal", "lvt_thermal" },
		{ "LVT perf", "lvt_perf" }, { "LVT LINT0", "lvt_lint0" },
		{ "LVT LINT1", "lvt_lint1" }, { "LVT error", "lvt_error" },
	};

	printf("  local APIC\n");
	identity_print(l);
	vectors_print("ISR", json_object_get(l, "isr"));
	vectors_print("TMR", json_object_get(l, "tmr"));
	vectors_print("IRR", json_object_get(l, "irr"));
	timer_print(word(l, "lvt_timer"));
	for (size_t i = 0; i < countof(lvts); i++)
		lvt_print(lvts[i].name, word(l, lvts[i].key));
	printf("    %-14s initial %u, current %u, divided by %u\n", "timer",
	       word(l, "timer_initial"), word(l, "timer_current"), divisor(word(l, "timer_divide")));
}
