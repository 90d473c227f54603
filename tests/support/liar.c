/* SPDX-License-Identifier: Apache-2.0 */
#include "support/liar.h"

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/test.h"

/* What it is to do is in a file that the supervisor leaves open. */
enum { WHAT_FD = 200 };

static liar_job *job_here;

void liar_tell(int to, const struct worker_say *s, const int *fds, uint32_t n)
{
	uint8_t bytes[WORKER_MSG_MAX];
	struct out o = out_of(bytes, sizeof bytes);

	worker_say_encode(&o, s);
	if (failed(link_send(to, bytes, o.len, fds, n, NULL)))
		_exit(4);
}

/* As the worker, outside of cmocka. */
static int be_the_worker(int socket, const struct image *layout, struct jail_options *jail)
{
	uint8_t what;

	(void)layout;
	(void)jail;
	if (pread(WHAT_FD, &what, 1, 0) != 1)
		return 5;
	job_here(socket, what);
	for (;;)
		(void)pause();
}

bool liar_serve(int argc, char **argv, liar_job *job, int *ret_status)
{
	if (argc < 2 || strcmp(argv[0], "spore-worker") != 0)
		return false;
	job_here = job;
	*ret_status = nursery_serve(argc, argv, be_the_worker);
	return true;
}

struct worker_kit *liar_kit(const struct zygote *z, uint8_t what, uint32_t patience_ms)
{
	static char self[PATH_MAX];
	struct worker_kit_options o = { .program = self, .cgroup = -1, .patience_ms = patience_ms };
	fd_t f = { memfd_create("what", MFD_CLOEXEC) };
	struct worker_kit *k = NULL;
	struct diag d = DIAG_INIT;

	assert_int_equal(write(f.raw, &what, 1), 1);
	assert_true(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
	assert_int_equal(dup2(f.raw, WHAT_FD), WHAT_FD); /* stays open over an exec */
	fd_drop(&f);
	if (failed(worker_kit_new(zygote_image(z), &o, &d, &k)))
		fail_msg("%s", d.text);
	return k;
}

void liar_kit_free(struct worker_kit *k)
{
	worker_kit_free(k);
	(void)close(WHAT_FD);
}

struct worker *liar_start(struct worker_kit *k)
{
	struct worker *w = NULL;
	struct diag d = DIAG_INIT;

	if (failed(worker_start(k, NULL, &d, &w)))
		fail_msg("%s", d.text);
	return w;
}
