/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker keeps for itself once nothing is asked of it. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "support/place.h"
#include "support/worked.h"

/* A spawned machine with one vCPU had 240 before anything was given back, and has 80. */
enum { MOST_KIB = 120, PATIENCE_S = 20 };

/* Of heap and stack; -1: nobody may look. */
static long own_kib(pid_t pid)
{
	char path[64], line[256];
	bool counts = false;
	long sum = 0, kib;
	FILE *f;

	(void)snprintf(path, sizeof path, "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return -1;
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned long from, to;

		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			counts = strstr(line, "[heap]") != NULL || strstr(line, "[stack]") != NULL;
		else if (counts && sscanf(line, "Private_Dirty: %ld", &kib) == 1)
			sum += kib;
	}
	(void)fclose(f);
	return sum;
}

static void comes_to_rest(pid_t pid)
{
	time_t until = time(NULL) + PATIENCE_S;
	long kib = own_kib(pid);

	while (kib > MOST_KIB && time(NULL) <= until) {
		(void)nanosleep(&(struct timespec){ 0, 5000000 }, NULL);
		kib = own_kib(pid);
	}
	if (kib > MOST_KIB)
		fail_msg("%ld KiB of heap and stack, expected at most %d", kib, MOST_KIB);
}

/* After its spawn, and again after a branch, which takes as much. */
static void gives_back(void **state)
{
	struct request r = kin_request();
	struct zygote *z = kin_freeze(kin_boot(&r)), *branched;
	struct home *h = home_new(zygote_image(z));
	struct worked *w = worked_child(h, z);
	pid_t pid = worker_pid(worked_worker(w));
	struct diag d = DIAG_INIT;
	uint64_t pause_ns;

	(void)state;
	(void)worked_ask(w, "echo here");
	if (sanitized() || own_kib(pid) < 0) {
		print_message("its memory is a sanitizer's, or not to be seen\n");
	} else {
		comes_to_rest(pid);
		assert_false(failed(worker_branch(worked_worker(w), &d, &branched, &pause_ns)));
		(void)worked_ask(w, "echo there");
		comes_to_rest(pid);
		zygote_free(branched);
	}
	worked_free(w);
	home_free(h);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(gives_back) };

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
