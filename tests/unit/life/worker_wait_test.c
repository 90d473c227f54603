/* SPDX-License-Identifier: Apache-2.0 */
/* How long a worker's answer is waited for: by what there is to copy, whatever a guest says. */
#include <fcntl.h>
#include <sys/socket.h>

#include "life/worker_parts.h"
#include "unit/life/made_zygote.h"

#define TIB(n) ((uint64_t)(n) << 40)
enum { MINUTE = 60000, MOST = 10 * MINUTE, KIB_PER_MS = 16 };

static void give_large(struct zygote *z, uint32_t slot, enum disk_mode mode)
{
	const bytes_t size = BYTES(TIB(1));
	struct diag d = DIAG_INIT;
	char name[32];

	disk_base_free(z->disks[slot]);
	z->disks[slot] = NULL;
	(void)snprintf(name, sizeof name, "large%u.img", slot);
	place_make_disk(name, size.v, 1, 0);
	must(disk_base_open(name, mode, size, &d, &z->disks[slot]), &d);
}

/* A worker's own layer, as long as the disk, of which so much was written. */
static struct zygote_layers own_layer(uint64_t written)
{
	struct zygote_layers own = { .n = 1 };
	struct diag d = DIAG_INIT;

	must(layer_file_new(".", BYTES(TIB(1)), &d, &own.fd[0]), &d);
	assert_int_equal(fallocate(own.fd[0].raw, 0, 0, (off_t)written), 0);
	return own;
}

static void by_what_there_is(void **state)
{
	struct zygote *z = zygote_new();
	struct zygote_layers none = { .n = 0 }, own = own_layer(MIB(8));
	int ram = (int)(geometry_ram(image_geometry(z->image)).v / KIB(KIB_PER_MS));

	(void)state;
	give_large(z, 0, DISK_RO);
	give_large(z, 1, DISK_COW);
	give_large(z, 3, DISK_RW);
	assert_int_equal(worker_copy_ms(z, &none, false), MINUTE + ram);
	/* One of its disks has a layer, in which something is. */
	assert_in_range(worker_copy_ms(z, &none, true), MINUTE + ram + LAYER_BYTES / KIB(KIB_PER_MS),
			MINUTE + ram + 1000);
	assert_int_equal(worker_copy_ms(z, &own, true) - worker_copy_ms(z, &none, true),
			 MIB(8) / KIB(KIB_PER_MS));
	assert_int_equal(worker_copy_ms(z, &own, false), MINUTE + ram);
	zygote_layers_drop(&own);
	zygote_free(z);
}

static void not_for_ever(void **state)
{
	(void)state;
	assert_int_equal(worker_bytes_ms(BYTES(0)), MINUTE);
	assert_int_equal(worker_bytes_ms(BYTES(GIB(1))), MINUTE + 65536);
	assert_int_equal(worker_bytes_ms(BYTES(TIB(1))), MOST);
	assert_int_equal(worker_bytes_ms(BYTES(UINT64_MAX)), MOST);
}

/* ---- waiting ---- */

static void ends(void **state)
{
	struct diag d = DIAG_INIT;
	struct worker *w = NULL;
	struct link_in in;
	struct worker_say s;
	int pair[2];

	(void)state;
	must(worker_new(&d, &w), &d);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	w->socket = (fd_t){ pair[0] };
	assert_int_equal(write(pair[1], "x", 1), 1);
	w->wait_ms = MOST;
	must(worker_wait(w, &d), &d); /* there is something to hear */
	assert_int_equal(recv(pair[0], &s, sizeof s, 0), 1);
	w->wait_ms = 1;
	must(worker_wait(w, &d), &d);
	assert_int_equal(worker_hear(w, &d, &in, &s).code, ERR_REMOTE); /* at once */
	assert_string_equal(d.text, "its worker does not answer");
	worker_hurry(w);
	d = DIAG_INIT;
	w->wait_ms = MOST;
	assert_int_equal(worker_wait(w, &d).code, ERR_STATE);
	(void)close(pair[1]);
	worker_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_what_there_is), cmocka_unit_test(not_for_ever),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
