/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker says that it froze, against what it was spawned from. */
#include <fcntl.h>

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

static void give_base(struct zygote *z, uint32_t slot, bytes_t capacity, enum disk_mode mode)
{
	struct diag d = DIAG_INIT;

	disk_base_free(z->disks[slot]);
	z->disks[slot] = NULL;
	place_make_disk("other.img", capacity.v, 1, 0);
	must(disk_base_open("other.img", mode, capacity, &d, &z->disks[slot]), &d);
}

static void judged(const struct zygote *heir, const struct zygote *of, enum err_code code,
		   const char *words)
{
	struct diag d = DIAG_INIT;
	err_t e = zygote_check_heir(heir, of, &d);

	if (e.code != code || strstr(d.text, words) == NULL)
		fail_msg("%s: \"%s\"", err_name(e.code), d.text);
}

static void disks(void **state)
{
	struct zygote *of = zygote_new(), *heir = unpacked(of);
	bytes_t first = disk_base_capacity(of->disks[0]), second = disk_base_capacity(of->disks[1]),
		last = disk_base_capacity(of->disks[3]);

	(void)state;
	/* It was written in place; as it is frozen, nobody writes it any more. */
	judged(heir, of, ERR_DEVICE, "the disk in slot 3 was frozen as another than it was spawned");
	give_base(heir, 3, last, DISK_COW);
	judged(heir, of, ERR_NONE, "");
	give_base(heir, 0, first, DISK_COW);
	judged(heir, of, ERR_DEVICE, "slot 0");
	give_base(heir, 0, first, DISK_RO);
	judged(heir, of, ERR_NONE, "");
	give_base(heir, 1, second, DISK_RO);
	judged(heir, of, ERR_DEVICE, "slot 1");
	give_base(heir, 1, BYTES(second.v + DISK_SECTOR), DISK_COW);
	judged(heir, of, ERR_DEVICE, "slot 1");
	give_base(heir, 1, second, DISK_COW);
	judged(heir, of, ERR_NONE, "");
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(disks, place_setup, place_teardown),
		cmocka_unit_test_setup_teardown(shapes, place_setup, place_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
