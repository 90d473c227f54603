/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>

#include "edge/lib/child.h"
#include "edge/lib/jail.h"
#include "edge/lib/json_read.h"
#include "edge/lib/zygote.h"
#include "life/parcel.h"

#define WORDS_OF(number) #number
#define DIGITS_OF(number) WORDS_OF(number)

const char *kept_build(void)
{
	return SPORE_VERSION " (" DIGITS_OF(WORKER_VERSION) ")";
}

static err_t append(struct kept_files *io, const int *fds, uint32_t n, struct diag *d)
{
	if (io->n + n > KEEPER_FILES_MAX)
		return diag_fail(d, FAIL(ERR_SIZE), "more than %d files cannot be kept", KEEPER_FILES_MAX);
	memcpy(io->fd + io->n, fds, n * sizeof fds[0]);
	io->n += n;
	return OK;
}

static void drop_all(fd_t *fds, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		fd_drop(&fds[i]);
}

/* ---- zygotes ---- */

static err_t zygote_files(struct zygote *z, struct kept_files *io, struct diag *d)
{
	struct zygote_files files;

	TRY(zygote_pack(z, d, &files));
	return append(io, files.fd, files.n, d);
}

err_t kept_zygote_pack(const spore_zygote *z, struct diag *d, struct kept_files *io_files)
{
	return zygote_files(z->zygote, io_files, d);
}

err_t kept_zygote_adopt(fd_t *fds, uint32_t n, struct diag *d, spore_zygote **ret_zygote)
{
	struct zygote *z;
	err_t e;

	TRY(zygote_unpack(fds, n, d, &z));
	e = zygote_handle(z, d, ret_zygote);
	if (failed(e))
		zygote_free(z);
	return e;
}

/* ---- machines ---- */

static json_t *disks_json(const struct child_words *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->files.n; i++)
		(void)json_array_append_new(list, json_pack(
			"{s:I, s:I, s:s}", "index", (json_int_t)w->files.disk[i].index, "mode",
			(json_int_t)w->files.disk[i].mode, "path", w->files.disk[i].path));
	return list;
}

err_t kept_machine_pack(const spore_machine *m, const spore_zygote *with, struct diag *d,
			struct kept_files *io_files, json_t **ret_doc)
{
	int fds[WORKER_FILES];
	struct child_words w;
	struct zygote *z;
	bool own;

	TRY(child_pack(m, d, &w, fds, &z));
	own = with == NULL || with->zygote != z;
	TRY(append(io_files, fds, WORKER_FILES, d));
	if (own)
		TRY(zygote_files(z, io_files, d));
	*ret_doc = json_pack("{s:s, s:I, s:b, s:o}", "name", w.name, "began", (json_int_t)w.began,
			     "own", own, "disks", disks_json(&w));
	return *ret_doc != NULL ? OK : diag_fail(d, FAIL(ERR_NOMEM), "%s: out of memory", w.name);
}

struct words_read {
	struct child_words words;
	struct spore_identity_disk disks[SPORE_DISKS_MAX];
	bool own;
};

static err_t disk_read(const json_t *doc, struct spore_identity_disk *ret, struct diag *d)
{
	uint64_t index = 0, mode = 0;
	const struct json_field fields[] = {
		JSON_FIELD("index", UINT, JSON_REQUIRED, &index, .most = SPORE_DISKS_MAX - 1),
		JSON_FIELD("mode", UINT, JSON_REQUIRED, &mode, .most = UINT32_MAX),
		JSON_FIELD("path", STRING, JSON_REQUIRED, &ret->path),
	};

	TRY(json_object_read(doc, fields, countof(fields), d));
	ret->index = (uint32_t)index;
	ret->mode = (uint32_t)mode;
	return OK;
}

static err_t words_read(const json_t *doc, struct words_read *ret, struct diag *d)
{
	const json_t *disks = NULL;
	const char *name = NULL;
	const struct json_field fields[] = {
		JSON_FIELD("name", STRING, JSON_REQUIRED, &name),
		JSON_FIELD("began", UINT, JSON_REQUIRED, &ret->words.began, .most = INT64_MAX),
		JSON_FIELD("own", BOOL, JSON_REQUIRED, &ret->own),
		JSON_FIELD("disks", ARRAY, JSON_REQUIRED, &disks),
	};

	TRY(json_object_read(doc, fields, countof(fields), d));
	if (strlen(name) >= sizeof ret->words.name || json_array_size(disks) > SPORE_DISKS_MAX)
		return diag_fail(d, FAIL(ERR_JSON), "a machine that was kept is none");
	memcpy(ret->words.name, name, strlen(name) + 1);
	ret->words.files.disk = ret->disks;
	for (; ret->words.files.n < json_array_size(disks); ret->words.files.n++)
		TRY(disk_read(json_array_get(disks, ret->words.files.n),
			      &ret->disks[ret->words.files.n], d));
	return OK;
}

/* What it was spawned from: with its own files, or kept by itself. */
static err_t origin(const struct words_read *r, fd_t *fds, uint32_t n, const spore_zygote *with,
		    struct diag *d, struct zygote **ret)
{
	if (r->own)
		return zygote_unpack(fds, n, d, ret);
	drop_all(fds, n);
	if (n != 0 || with == NULL)
		return diag_fail(d, FAIL(ERR_STATE), "%s: what it was spawned from was not kept",
				 r->words.name);
	*ret = zygote_again(with->zygote);
	return OK;
}

static err_t adopt(const json_t *doc, fd_t *fds, uint32_t n, const spore_zygote *with,
		   spore_pool *pool, struct diag *d, spore_machine **ret)
{
	struct words_read r = { .own = false };
	struct zygote *z;
	err_t e;

	if (n < WORKER_FILES)
		return diag_fail(d, FAIL(ERR_STATE), "a machine was kept with %u files, expected %d", n,
				 WORKER_FILES);
	TRY(words_read(doc, &r, d));
	TRY(origin(&r, fds + WORKER_FILES, n - WORKER_FILES, with, d, &z));
	e = child_adopt(&r.words, fds, z, pool != NULL ? pool->pool : NULL, d, ret);
	zygote_free(z);
	return e;
}

err_t kept_machine_adopt(const json_t *doc, fd_t *fds, uint32_t n, const spore_zygote *with,
			 spore_pool *pool, struct diag *d, spore_machine **ret_machine)
{
	err_t e = adopt(doc, fds, n, with, pool, d, ret_machine);

	drop_all(fds, n);
	return e;
}

fd_t kept_machine_process(const fd_t *fds, uint32_t n)
{
	if (n <= WORKER_FILE_PROCESS)
		return FD_NONE;
	return (fd_t){ fcntl(fds[WORKER_FILE_PROCESS].raw, F_DUPFD_CLOEXEC, 0) };
}

void kept_process_end(fd_t process)
{
	if (fd_is_open(process))
		(void)syscall(SYS_pidfd_send_signal, process.raw, SIGKILL, NULL, 0);
	fd_drop(&process);
}

void kept_machine_hurry(spore_machine *m)
{
	child_hurry(m);
}

void kept_machine_leave(spore_machine *m)
{
	child_leave_running(m);
}

err_t kept_keeper_start(const struct spore_jail *jail, int listening, struct diag *d)
{
	char path[PATH_MAX];
	const char *program = jail_program(jail, path);
	owned_fd fd = { open(program, O_PATH | O_CLOEXEC) };

	if (!fd_is_open(fd))
		return diag_sys(d, FAIL_SYS(errno), "%s: the worker program cannot be run", program);
	return keeper_start(fd.raw, listening, d);
}
