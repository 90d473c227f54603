/* SPDX-License-Identifier: Apache-2.0 */
/* Boots a kernel, waits until it has said a word, freezes it into a zygote, keeps that as a file, and
 * brings it back from there.
 *
 *     boot_and_freeze build/guest/tguest.elf "ready" /tmp/ready.spore
 *
 *     cc boot_and_freeze.c $(pkg-config --cflags --libs spore) */
#include <poll.h>
#include <spore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int status, const struct spore_error *err)
{
	if (status == SPORE_OK)
		return;
	fprintf(stderr, "%s (%s)\n", err->text, spore_status_name(status));
	exit(1);
}

/* Reads its console until the word comes. */
static void wait_for(spore_machine *m, const char *word)
{
	static char said[4096];
	struct pollfd p = { spore_machine_output_fd(m), POLLIN, 0 };
	struct spore_error err;
	uint64_t from = 0;
	size_t n = 0;

	for (;;) {
		must(spore_machine_output(m, 0, said, sizeof said - 1, &from, &n, &err), &err);
		said[n] = '\0';
		if (strstr(said, word) != NULL)
			return;
		poll(&p, 1, -1);
	}
}

static void show(const char *what, const struct spore_timings *t)
{
	printf("%s: %.3f ms\n", what, (double)t->total_ns / 1e6);
	for (uint32_t i = 0; i < t->n; i++)
		printf("  %-20s %8.1f us\n", t->phases[i].name, (double)t->phases[i].ns / 1e3);
}

int main(int argc, char **argv)
{
	struct spore_config config = SPORE_CONFIG_INIT;
	struct spore_freeze_options freeze = SPORE_FREEZE_OPTIONS_INIT;
	struct spore_spawn_options spawn = SPORE_SPAWN_OPTIONS_INIT;
	struct spore_timings times;
	struct spore_error err;
	spore_zygote *zygote;
	spore_machine *m;
	char *info;

	if (argc != 4) {
		fprintf(stderr, "usage: boot_and_freeze KERNEL WORD FILE\n");
		return 2;
	}
	config.kernel = argv[1];
	must(spore_machine_new(NULL, &m, &err), &err);
	must(spore_machine_boot(m, &config, &err), &err);
	wait_for(m, argv[2]);
	must(spore_machine_timings(m, &times, &err), &err);
	show("boot", &times);

	/* The machine becomes the zygote: its handle has ended. */
	freeze.flags = SPORE_FREEZE_PAUSE;
	must(spore_machine_freeze(m, &freeze, &zygote, &err), &err);
	spore_machine_free(m);
	must(spore_zygote_save(zygote, argv[3], NULL, &err), &err);
	spore_zygote_free(zygote);

	must(spore_zygote_open(argv[3], NULL, &zygote, &err), &err);
	must(spore_zygote_info(zygote, &info, &err), &err);
	printf("%s\n", info);
	spore_free(info);

	/* In this process and therefore not jailed. */
	spawn.flags = SPORE_SPAWN_RESUME;
	must(spore_spawn_unjailed(zygote, &spawn, &m, &err), &err);
	must(spore_machine_timings(m, &times, &err), &err);
	show("spawn", &times);
	spore_machine_free(m);
	spore_zygote_free(zygote);
	return 0;
}
