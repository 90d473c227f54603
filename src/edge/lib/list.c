/* SPDX-License-Identifier: Apache-2.0 */
/* The machines in the runtime directory. Each is asked; one that is too busy to answer, or is kept for
 * the next supervisor, is known by what its monitor wrote down when it started. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/heap.h"
#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "edge/lib/machine.h"
#include "edge/lib/remote.h"
#include "edge/lib/run_dir.h"

enum { ANSWER_MS = 1000, INFO_MAX = 65536 };

static err_t info_read(const char *name, struct diag *d, json_t **ret_status)
{
	__attribute__((cleanup(run_place_drop))) struct run_place place = RUN_PLACE_NONE;
	owned_heap char *text = malloc(INFO_MAX);
	owned_fd fd = FD_NONE;
	ssize_t n;

	TRY(run_find(name, d, &place));
	fd.raw = openat(place.folder.raw, "info.json", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	n = fd.raw >= 0 && text != NULL ? read(fd.raw, text, INFO_MAX) : -1;
	if (n <= 0)
		return diag_fail(d, FAIL(ERR_REMOTE), "%s: does not answer", name);
	return json_text_read(text, (size_t)n, d, ret_status);
}

static int32_t state_of(const json_t *status)
{
	const char *word = json_string_value(json_object_get(status, "state"));

	for (int s = SPORE_NOT_STARTED; word != NULL && s <= SPORE_ENDED; s++)
		if (strcmp(word, machine_state_word((enum spore_state)s)) == 0)
			return s;
	return SPORE_ROW_BUSY;
}

static uint64_t memory_of(const json_t *machine)
{
	json_int_t kib = json_integer_value(json_object_get(machine, "mem_size_kib"));
	json_int_t mib = json_integer_value(json_object_get(machine, "mem_size_mib"));

	return kib > 0 ? (uint64_t)kib << 10 : (uint64_t)mib << 20;
}

static err_t row_fill(const char *name, const json_t *status, int32_t state, struct diag *d,
		      struct spore_machine_row *ret)
{
	__attribute__((cleanup(run_place_drop))) struct run_place place = RUN_PLACE_NONE;
	const json_t *machine = json_object_get(status, "machine-config");
	const char *kernel = json_string_value(json_object_get(
		json_object_get(status, "boot-source"), "kernel_image_path"));
	struct spore_machine_row row = {
		.name = strdup(name), .kernel = strdup(kernel != NULL ? kernel : ""),
		.pid = json_integer_value(json_object_get(status, "pid")),
		.started = json_integer_value(json_object_get(status, "started")),
		.state = state,
		.cpus = (uint32_t)json_integer_value(json_object_get(machine, "vcpu_count")),
		.memory = memory_of(machine),
	};

	ignore(run_find(name, NULL, &place));
	if (asprintf(&row.socket, "%s/api.sock", place.path) < 0)
		row.socket = NULL;
	*ret = row;
	if (row.name == NULL || row.kernel == NULL || row.socket == NULL)
		return diag_fail(d, FAIL(ERR_NOMEM), "list of machines: out of memory");
	return OK;
}

/* Nobody listens, and the name is held all the same. */
static bool is_kept(const char *name, err_t e)
{
	__attribute__((cleanup(run_place_drop))) struct run_place place = RUN_PLACE_NONE;

	return e.code == ERR_NOT_FOUND && !failed(run_find(name, NULL, &place)) &&
	       !run_place_is_dead(&place);
}

/* A machine that ended meanwhile is left out. */
static err_t row_add(const char *name, struct diag *d, struct spore_machine_row *rows, size_t *io_n)
{
	owned_json status = NULL;
	err_t e = remote_status(name, ANSWER_MS, d, &status);
	bool answers = !failed(e);
	int32_t state = answers ? state_of(status) : is_kept(name, e) ? SPORE_ROW_KEPT : SPORE_ROW_BUSY;

	if (e.code == ERR_HOST_PACKAGE)
		return e;
	*d = DIAG_INIT;
	if (!answers && ((e.code == ERR_NOT_FOUND && state != SPORE_ROW_KEPT) ||
			 failed(info_read(name, NULL, &status))))
		return OK;
	e = row_fill(name, status, state, d, &rows[*io_n]);
	(*io_n)++;
	return e;
}

static err_t list(struct diag *d, char **names, size_t n_names, struct spore_machine_row **ret_rows,
		  size_t *ret_n)
{
	struct spore_machine_row *rows = calloc(n_names + 1, sizeof *rows);
	size_t n = 0;
	err_t e = rows != NULL ? OK : diag_fail(d, FAIL(ERR_NOMEM), "list of machines: out of memory");

	for (size_t i = 0; i < n_names && !failed(e); i++)
		e = row_add(names[i], d, rows, &n);
	if (failed(e)) {
		spore_machines_free(rows, n);
		return e;
	}
	*ret_rows = rows;
	*ret_n = n;
	return OK;
}

int spore_machines_list(struct spore_machine_row **ret_rows, size_t *ret_n, struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	char **names = NULL;
	size_t n = 0;
	err_t e = run_list(&d, &names, &n);

	if (!failed(e))
		e = list(&d, names, n, ret_rows, ret_n);
	for (size_t i = 0; i < n; i++)
		free(names[i]);
	free(names);
	return error_give(e, &d, err);
}

void spore_machines_free(struct spore_machine_row *rows, size_t n)
{
	for (size_t i = 0; rows != NULL && i < n; i++) {
		free(rows[i].name);
		free(rows[i].socket);
		free(rows[i].kernel);
	}
	free(rows);
}
