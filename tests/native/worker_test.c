/* SPDX-License-Identifier: Apache-2.0 */
/* Machines in workers: what children in processes of their own share and do not, their consoles,
 * their generations, and how they end. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "life/pool.h"
#include "life/zygote_parts.h"
#include "support/place.h"
#include "support/tguest.h"
#include "support/worked.h"

#define VMGENID 0xF0000u /* docs/snapshot-format.md */
enum { CHILDREN = 20, DEPTH = 8, SECRET = 4711, DISK = 1 << 20, ID_ROOM = 80, LONG = 400 };

static struct zygote *zygote_of(struct request r)
{
	struct kin *k = kin_boot(&r);

	(void)kin_ask(k, "secret %d", SECRET);
	(void)kin_ask(k, "fill 5 17M 1M");
	return kin_freeze(k);
}

static void knows_its_secret(struct worked *w)
{
	const uint64_t nonce = now_ns();
	const char *answer = worked_ask(w, "nonce %llu", (unsigned long long)nonce);

	assert_true(answer_number(answer, "answer") == guest_pattern(SECRET, nonce));
}

/* ---- consoles ---- */

static void console_both_ways(void **state)
{
	struct zygote *z = zygote_of(kin_request());
	struct home *h = home_new(zygote_image(z));
	uint64_t before = now_ns();
	struct worked *w = worked_child(h, z);
	struct board *b;

	(void)state;
	assert_string_equal(worked_ask(w, "echo hello there"), "ok hello there");
	/* Typed while it cannot run, and still there when it can. */
	worked_pause(w);
	worked_resume(w);
	knows_its_secret(w);
	(void)worked_ask(w, "check 5 17M 1M");
	b = worker_board(worked_worker(w));
	assert_true(before < board_entered(b));
	assert_true(board_entered(b) < board_exited(b));
	assert_true(board_exited(b) < now_ns());
	worked_free(w);
	home_free(h);
	zygote_free(z);
}

/* What nobody reads is overwritten, the oldest first, and what is left says where it begins. */
static void console_that_nobody_reads(void **state)
{
	static uint8_t kept[BOARD_KEPT];
	struct zygote *z = zygote_of(kin_request());
	struct home *h = home_new(zygote_image(z));
	struct worked *w = worked_child(h, z);
	uint64_t total = 0, from;
	char word[LONG + 1];
	size_t n;

	(void)state;
	memset(word, 'x', LONG);
	word[LONG] = '\0';
	for (int i = 0; i < BOARD_KEPT / LONG + 10; i++)
		total += strlen(worked_ask(w, "echo %d %s", i, word)) + 1;
	n = board_read(worker_board(worked_worker(w)), 0, kept, sizeof kept, &from);
	assert_int_equal(n, BOARD_KEPT);
	assert_in_range(from + n, total, total + 2); /* a prompt or a carriage return */
	assert_non_null(memmem(kept + n - LONG - 8, LONG + 8, word, LONG));
	worked_free(w);
	home_free(h);
	zygote_free(z);
}

/* ---- many ---- */

static void twenty_at_once(void **state)
{
	struct request r = kin_request_disk(DISK_COW);
	struct worked *child[CHILDREN];
	char id[CHILDREN][ID_ROOM];
	struct zygote *z;
	struct home *h;

	(void)state;
	place_make_disk("disk.img", DISK, 9, DISK);
	z = zygote_of(r);
	h = home_new(zygote_image(z));
	for (int i = 0; i < CHILDREN; i++)
		child[i] = worked_child(h, z);
	for (int i = 0; i < CHILDREN; i++) {
		(void)worked_ask(child[i], "fill %d 18M 64K", i);
		(void)worked_ask(child[i], "blk 0 write 8 8 %d", i);
		(void)snprintf(id[i], ID_ROOM, "%s", worked_ask(child[i], "vmgenid %u", VMGENID));
	}
	for (int i = 0; i < CHILDREN; i++) {
		(void)worked_ask(child[i], "check %d 18M 64K", i);
		(void)worked_ask(child[i], "blk 0 check 8 8 %d", i);
		(void)worked_ask(child[i], "blk 0 check 64 8 9");
		knows_its_secret(child[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(id[i], id[j]);
	}
	assert_int_equal(children_now(), CHILDREN);
	for (int i = 0; i < CHILDREN; i++)
		worked_free(child[i]);
	assert_int_equal(children_now(), 0);
	home_free(h);
	zygote_free(z);
}

/* Each writes its own and finds what all before it wrote, in memory and on the disk. */
static void generations(void **state)
{
	struct zygote *z, *before;
	struct home *h;

	(void)state;
	place_make_disk("disk.img", DISK, 9, DISK);
	z = zygote_of(kin_request_disk(DISK_COW));
	h = home_new(zygote_image(z));
	for (int depth = 0; depth < DEPTH; depth++) {
		struct worked *w = worked_child(h, z);
		struct zygote_id parent;

		knows_its_secret(w);
		for (int i = 0; i < depth; i++) {
			(void)worked_ask(w, "check %d %dK 12K", i, 20480 + 64 * i);
			(void)worked_ask(w, "blk 0 check %d 8 %d", 128 * i, i);
		}
		(void)worked_ask(w, "fill %d %dK 12K", depth, 20480 + 64 * depth);
		(void)worked_ask(w, "blk 0 write %d 8 %d", 128 * depth, depth);
		before = z;
		z = worked_freeze(w, true);
		parent = zygote_parent(z);
		assert_memory_equal(parent.bytes, before->id.bytes, sizeof parent.bytes);
		assert_true(ram_base_extents(z->ram)->n <= RAM_EXTENTS_MAX);
		zygote_free(before);
	}
	assert_int_equal(children_now(), 0);
	home_free(h);
	zygote_free(z);
}

static void is_anna(struct pool *pool, struct zygote *z, uint32_t armed)
{
	const struct identity anna = { .name = "anna" };
	struct zygote *frozen = NULL;
	struct diag d = DIAG_INIT;
	struct worker *w;

	assert_false(failed(pool_arm(pool, z, armed, &d)));
	assert_true(pool_settle(pool, -1));
	if (failed(pool_worker_spawn(pool, z, &anna, false, &d, &w)) ||
	    failed(worker_freeze(w, &d, &frozen)))
		fail_msg("%s", d.text);
	assert_string_equal((const char *)image_note(zygote_image(frozen))->name, "anna");
	zygote_free(frozen);
	worker_free(w);
}

/* Spawned paused it is who it is meant to be, armed or not. */
static void paused_with_a_name(void **state)
{
	struct zygote *z = zygote_of(kin_request());
	struct home *h = home_new(zygote_image(z));
	struct pool *pool = NULL;
	struct diag d = DIAG_INIT;

	(void)state;
	if (failed(pool_workers_new(z, (struct pool_want){ 0, 0 }, worker_kit_again(home_kit(h)), &d, &pool)))
		fail_msg("%s", d.text);
	is_anna(pool, z, 1);
	assert_int_equal(pool_look(pool).from_armed, 1);
	is_anna(pool, z, 0);
	assert_int_equal(pool_look(pool).cold, 1);
	pool_close(pool);
	pool_free(pool);
	home_free(h);
	zygote_free(z);
}

/* ---- ends ---- */

struct end { const char *command; enum vm_outcome outcome; const char *words; };

static void ends(void **state)
{
	static const struct end all[] = {
		{ "off", VM_POWEROFF, "" }, { "reset acpi", VM_RESET, "" },
		{ "reset kbd", VM_RESET, "" }, { "crash", VM_CRASH, "vCPU 0: triple fault" },
	};
	struct zygote *z = zygote_of(kin_request());
	struct home *h = home_new(zygote_image(z));

	(void)state;
	for (size_t i = 0; i < countof(all); i++) {
		struct worked *w = worked_child(h, z);
		struct diag d = DIAG_INIT;

		worked_tell(w, "%s", all[i].command);
		assert_string_equal(worked_ends(w, all[i].outcome).text, all[i].words);
		/* It stays that, and nothing more is asked of it. */
		assert_true(failed(worker_pause(worked_worker(w), &d)));
		assert_int_equal(worked_ends(w, all[i].outcome).text[0], all[i].words[0]);
		worked_free(w);
	}
	home_free(h);
	zygote_free(z);
}

/* ---- what is refused ---- */

static void refused(err_t e, const struct diag *d, enum err_code code, const char *words)
{
	if (e.code != code || strstr(d->text, words) == NULL)
		fail_msg("%s (%s), expected \"%s\"", d->text, err_name(e.code), words);
}

/* The machine goes on as if nobody had asked. */
static void at_the_wrong_moment(void **state)
{
	struct zygote *z = zygote_of(kin_request()), *none = NULL;
	struct home *h = home_new(zygote_image(z));
	struct worked *w = worked_start(h, z);
	struct worker *worker = worked_worker(w);
	struct diag d = DIAG_INIT;

	(void)state;
	refused(worker_pause(worker, &d), &d, ERR_STATE, "asked to pause at the wrong moment");
	d = DIAG_INIT;
	refused(worker_resume(worker, &d), &d, ERR_STATE, "asked to resume at the wrong moment");
	worked_spawn(w, z, true);
	d = DIAG_INIT;
	refused(worker_resume(worker, &d), &d, ERR_STATE, "asked to resume at the wrong moment");
	d = DIAG_INIT;
	refused(worker_freeze(worker, &d, &none), &d, ERR_STATE, "asked to freeze at the wrong moment");
	d = DIAG_INIT;
	refused(worker_spawn(worker, z, &(struct identity){ 0 }, true, &d), &d, ERR_STATE,
		"asked to spawn at the wrong moment");
	knows_its_secret(w);
	worked_free(w);
	home_free(h);
	zygote_free(z);
}

struct misfit { struct request r; enum err_code code; const char *words; };

static void another_layout(void **state)
{
	struct zygote *z = zygote_of(kin_request());
	struct home *h = home_new(zygote_image(z));
	struct misfit all[3] = {
		{ kin_request(), ERR_TOPOLOGY, "it has 2 vCPUs, expected 1" },
		{ kin_request(), ERR_TOPOLOGY, "it has 67108864 bytes of RAM, expected 33554432" },
		{ kin_request_disk(DISK_COW), ERR_TOPOLOGY, "it has 2 devices, expected 1" },
	};

	(void)state;
	place_make_disk("disk.img", DISK, 9, DISK);
	all[0].r.cpus = 2;
	all[1].r.ram = BYTES(MIB(64));
	for (size_t i = 0; i < countof(all); i++) {
		struct zygote *other = zygote_of(all[i].r);
		struct worked *w = worked_start(h, NULL);
		struct diag d = DIAG_INIT;

		refused(worker_spawn(worked_worker(w), other, &(struct identity){ 0 }, true, &d), &d,
			all[i].code, all[i].words);
		/* It is still good for what it was made for. */
		worked_spawn(w, z, true);
		knows_its_secret(w);
		worked_free(w);
		zygote_free(other);
	}
	home_free(h);
	zygote_free(z);
}

/* From now on this process may open two files more. */
static struct rlimit room_for_two(void)
{
	int first = dup(0), second = dup(0);
	struct rlimit was, low;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	low = (struct rlimit){ (rlim_t)(first > second ? first : second) + 1, was.rlim_max };
	(void)close(first);
	(void)close(second);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	return was;
}

/* That this process can take no more files in is not the worker's fault. */
static void no_room_for_its_files(void **state)
{
	struct zygote *z = zygote_of(kin_request()), *made = NULL;
	struct home *h = home_new(zygote_image(z));
	struct worked *w = worked_child(h, z), *child;
	struct worker *it = worked_worker(w);
	struct diag d = DIAG_INIT;
	struct rlimit was;
	err_t e;
	int fds;

	(void)state;
	worked_pause(w);
	fds = entries_of("/proc/self/fd");
	was = room_for_two();
	e = worker_freeze(it, &d, &made);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	if (e.sys != EMFILE || strstr(d.text, "receiving what a worker has made") == NULL)
		fail_msg("%s", d.text);
	assert_int_equal(worker_outcome(it, &d), VM_NONE);
	assert_int_equal(entries_of("/proc/self/fd"), fds);
	if (failed(worker_freeze(it, &d, &made)))
		fail_msg("%s", d.text);
	worked_free(w);
	child = worked_child(h, made);
	knows_its_secret(child);
	worked_free(child);
	zygote_free(made);
	home_free(h);
	zygote_free(z);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(console_both_ways),
		cmocka_unit_test(console_that_nobody_reads),
		cmocka_unit_test(twenty_at_once),
		cmocka_unit_test(generations),
		cmocka_unit_test(paused_with_a_name),
		cmocka_unit_test(ends),
		cmocka_unit_test(at_the_wrong_moment),
		cmocka_unit_test(another_layout),
		cmocka_unit_test(no_room_for_its_files),
	};

	return cmocka_run_group_tests(tests, place_setup, place_teardown);
}
