/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk.c: a file system under write load.  Threads overwrite the slots of their files past the
 * page cache and sync after every few, so that there is a write or a flush in flight at all times.
 * At the end every slot must hold the last version whose write returned.
 * argv[1] is the folder, by default /mnt.
 */
#include "prop.h"
#include "slots.h"

#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

enum { WRITES_PER_SYNC = 8, WRITES_BEFORE = 2 * SLOT_COUNT, WRITES_AFTER = 2 * SLOT_COUNT };

static struct writer {
	pthread_t thread;
	unsigned file;
	int fd;
	uint64_t writes;
} writers[SLOT_FILES];
static bool stop;

static void *write_always(void *arg)
{
	struct writer *w = arg;
	while (!__atomic_load_n(&stop, __ATOMIC_SEQ_CST)) {
		unsigned slot = w->writes % SLOT_COUNT;
		slot_write(w->fd, w->file, slot, w->writes / SLOT_COUNT + 1);
		if (slot % WRITES_PER_SYNC == 0)
			PROP_NEED(fdatasync(w->fd) == 0);
		__atomic_add_fetch(&w->writes, 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

static void wait_writes(const struct writer *w, uint64_t goal)
{
	while (__atomic_load_n(&w->writes, __ATOMIC_SEQ_CST) < goal)
		prop_pause_ms(2);
}

static void check(const struct writer *w)
{
	for (unsigned slot = 0; slot < SLOT_COUNT; slot++) {
		uint64_t version = slot_read(w->fd, w->file, slot);
		uint64_t last = w->writes / SLOT_COUNT + (slot < w->writes % SLOT_COUNT);
		if (version != last)
			prop_fail("file %u slot %u holds version %lu instead of %lu", w->file,
				  slot, version, last);
	}
}

int disk_main(int argc, char **argv)
{
	const char *folder = argc > 1 ? argv[1] : "/mnt";
	uint64_t after[SLOT_FILES], total = 0;
	for (unsigned i = 0; i < SLOT_FILES; i++) {
		struct writer *w = &writers[i];
		w->file = i;
		w->fd = slots_open(folder, i, O_RDWR | O_CREAT | O_TRUNC);
		PROP_NEED(pthread_create(&w->thread, NULL, write_always, w) == 0);
	}
	for (unsigned i = 0; i < SLOT_FILES; i++)
		wait_writes(&writers[i], WRITES_BEFORE);
	prop_say("set");

	bool spoil = prop_told_to_spoil();
	for (unsigned i = 0; i < SLOT_FILES; i++)
		after[i] = __atomic_load_n(&writers[i].writes, __ATOMIC_SEQ_CST) + WRITES_AFTER;
	for (unsigned i = 0; i < SLOT_FILES; i++)
		wait_writes(&writers[i], after[i]);
	__atomic_store_n(&stop, true, __ATOMIC_SEQ_CST);
	for (unsigned i = 0; i < SLOT_FILES; i++)
		PROP_NEED(pthread_join(writers[i].thread, NULL) == 0);
	if (spoil)
		slot_write(writers[1].fd, 1, 7, 1);
	sync();
	for (unsigned i = 0; i < SLOT_FILES; i++) {
		check(&writers[i]);
		total += writers[i].writes;
	}
	prop_ok("%d files, %lu writes", SLOT_FILES, total);
}
