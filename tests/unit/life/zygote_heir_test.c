/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says that it froze, against what it was spawned from. */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life/heir.h"
#include "unit/life/made_zygote.h"

/* The same again, as from another process. */
static struct zygote *unpacked(struct zygote *z)
{
	struct zygote_files files;
	struct diag d = DIAG_INIT;
	struct zygote *back = NULL;
	fd_t fd[ZYGOTE_FILES_MAX];

	must(zygote_pack(z, &d, &files), &d);
	for (uint32_t i = 0; i < files.n; i++)
		fd[i] = (fd_t){ fcntl(files.fd[i], F_DUPFD_CLOEXEC, 0) };
	must(zygote_unpack(fd, files.n, &d, &back), &d);
	return back;
}

static void judged(struct zygote *heir, const struct zygote *of, enum err_code code,
		   const char *words)
{
	struct diag d = DIAG_INIT;
	err_t e = heir_take(heir, of, NULL, &d);

	if (e.code != code || strstr(d.text, words) == NULL)
		fail_msg("%s: \"%s\"", err_name(e.code), d.text);
}

/* What the disk in a slot is by now: over the same file, or over another one. */
static void give_disk(struct zygote *z, uint32_t slot, const char *path, enum disk_mode mode)
{
	bytes_t capacity = disk_base_capacity(z->disks[slot]);
	struct diag d = DIAG_INIT;

	disk_base_free(z->disks[slot]);
	z->disks[slot] = NULL;
	if (strcmp(path, "other.img") == 0)
		place_make_disk(path, capacity.v, 1, 0);
	must(disk_base_open(path, mode, capacity, &d, &z->disks[slot]), &d);
}

static void disks(void **state)
{
	struct zygote *of = zygote_new(), *heir;

	(void)state;
	/* In slot 3 it was written in place; as it is frozen, nobody writes it any more. */
	heir = unpacked(of);
	judged(heir, of, ERR_DEVICE, "the disk in slot 3");
	zygote_free(heir);
	heir = unpacked(of);
	give_disk(heir, 0, "other.img", DISK_RO);
	judged(heir, of, ERR_DEVICE, "the disk in slot 0, as it was frozen: lies over another file");
	give_disk(heir, 0, "other.img", DISK_COW);
	judged(heir, of, ERR_DEVICE, "slot 0, as it was frozen: is another disk than it was given");
	zygote_free(heir);
	zygote_free(of);
}

static void shapes(void **state)
{
	struct zygote *of = zygote_of_kind(2), *more = zygote_of_kind(3), *heir = unpacked(of);

	(void)state;
	judged(heir, of, ERR_NONE, "");
	judged(more, of, ERR_TOPOLOGY, "what was frozen is another machine than what was spawned");
	judged(of, more, ERR_TOPOLOGY, "another machine");
	zygote_free(heir);
	zygote_free(more);
	zygote_free(of);
}

/* ---- what froze it ---- */

static pid_t maker_of(struct zygote *z)
{
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			(void)pause();
	}
	z->maker = (fd_t){ (int)syscall(SYS_pidfd_open, pid, 0) };
	assert_true(fd_is_open(z->maker));
	return pid;
}

static void has_ended(const struct zygote *z, pid_t pid)
{
	int status;

	assert_false(fd_is_open(z->maker));
	assert_int_equal(waitpid(pid, &status, WNOHANG), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* It could write the layers. */
static void it_ends_before_others_get_the_files(void **state)
{
	const struct identity_disk other = { .index = 0, .path = "other.img", .mode = DISK_RO };
	const struct identity id = { .disks = &other, .n_disks = 1 };
	struct zygote *z = zygote_new(), *own = NULL;
	struct zygote_files files;
	struct diag d = DIAG_INIT;
	pid_t pid = maker_of(z);

	(void)state;
	must(zygote_lend(z, &d, &files), &d);
	has_ended(z, pid);
	pid = maker_of(z);
	place_make_disk("other.img", disk_base_capacity(z->disks[0]).v, 1, 0);
	must(zygote_for(z, &id, &d, &own), &d);
	has_ended(z, pid);
	zygote_free(own);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(disks, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(shapes, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(it_ends_before_others_get_the_files, place_setup,
						place_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
