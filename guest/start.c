/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the first line of C to the prompt. Every step here is paid for at each
 * boot; what can wait is done by the command that needs it.
 *
 * The kernel command line is words: `poll` (no serial interrupt), `virtio=…`
 * (virtio.h), and `run=…`, a line of commands in which a comma is a space.
 */
#include "acpi.h"
#include "apic.h"
#include "bootinfo.h"
#include "commands.h"
#include "cpu.h"
#include "serial.h"
#include "smp.h"
#include "text.h"
#include "virtio.h"

_Noreturn void guest_main(int kind, uint64_t info);

struct options {
	bool poll;
	char *run;
};

static void commas_to_spaces(char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == ',')
			*s = ' ';
	}
}

static struct options options_parse(char *line)
{
	struct options o = { 0 };
	struct args words = { line };
	char *word;

	while ((word = args_word(&words)) != NULL) {
		if (text_equal(word, "poll"))
			o.poll = true;
		if (text_after(word, "virtio=") != NULL) {
			commas_to_spaces(word);
			virtio_place(word + 7);
		}
		if (text_after(word, "run=") != NULL) {
			commas_to_spaces(word);
			o.run = word + 4;
		}
	}
	return o;
}

/* Composes no more than it must: this is a good part of the time to boot. */
static void ready_print(void)
{
	static const char ready[] = "tguest: ready";
	static struct reply numbers;

	reply_clear(&numbers);
	reply_dec(&numbers, "cpus", cpu_count());
	reply_dec(&numbers, "ram", boot_info.ram_bytes);
	serial_write(ready, sizeof ready - 1);
	serial_line(&numbers);
}

static void line_read(char *line)
{
	size_t n = 0;
	char c;

	while ((c = serial_take()) != '\n' && c != '\r') {
		if (n < LINE_MAX - 1)
			line[n++] = c;
	}
	line[n] = '\0';
}

_Noreturn void guest_main(int kind, uint64_t info)
{
	static char line[LINE_MAX];
	struct options options;

	pic_mask();
	serial_start();
	boot_info_read(kind, info);
	options = options_parse(boot_info.line);
	lapic_start();
	cpu_boot()->apic_id = lapic_read(LAPIC_ID) >> 24;
	cpu_start(cpu_boot());
	acpi_find_cpus(boot_info.rsdp);
	serial_listen(options.poll);
	ready_print();
	if (options.run != NULL)
		commands_run(options.run);
	for (;;) {
		line_read(line);
		commands_run(line);
	}
}
