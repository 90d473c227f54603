/* SPDX-License-Identifier: Apache-2.0 */
/* A public handle: one table of calls for machines in this process (local.c), one for machines in
 * another (remote.c). */
#pragma once

#include <spore.h>

#include "base/diag.h"

struct zygote;

struct machine_ops {
	err_t (*boot)(spore_machine *m, const struct spore_config *c, struct diag *d);
	err_t (*restore)(spore_machine *m, const char *path, const struct spore_restore_options *o,
			 struct diag *d);
	err_t (*pause)(spore_machine *m, struct diag *d);
	err_t (*resume)(spore_machine *m, struct diag *d);
	err_t (*snapshot)(spore_machine *m, const char *path,
			  const struct spore_snapshot_options *o, struct diag *d);
	err_t (*freeze)(spore_machine *m, const struct spore_freeze_options *o,
			struct zygote **ret_zygote, struct diag *d);
	err_t (*branch)(spore_machine *m, struct zygote **ret_zygote, uint64_t *ret_pause_ns,
			struct diag *d);
	err_t (*stop)(spore_machine *m, struct diag *d);
	err_t (*wait)(spore_machine *m, int timeout_ms, enum spore_outcome *ret_outcome,
		      struct spore_error *ret_why, struct diag *d);
	err_t (*state)(spore_machine *m, enum spore_state *ret_state, struct diag *d);
	err_t (*outcome)(spore_machine *m, enum spore_outcome *ret_outcome,
			 struct spore_error *ret_why, struct diag *d);
	err_t (*timings)(spore_machine *m, struct spore_timings *ret_timings, struct diag *d);
	err_t (*config)(spore_machine *m, char **ret_json, struct diag *d);
	err_t (*name)(spore_machine *m, char **ret_name, struct diag *d);
	err_t (*input)(spore_machine *m, const void *bytes, size_t n, size_t *ret_taken,
		       struct diag *d);
	err_t (*output)(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap,
			uint64_t *ret_from, size_t *ret_n, struct diag *d);
	err_t (*attach)(spore_machine *m, int *ret_fd, struct diag *d);
	int (*event_fd)(spore_machine *m);
	int (*output_fd)(spore_machine *m);
	void (*free)(spore_machine *m);
};

struct spore_machine {
	const struct machine_ops *ops;
};

/* A caller's structure (NULL: none) over the defaults in *ret. */
must_check err_t machine_options_take(const struct spore_machine_options *o,
				      struct spore_machine_options *ret, struct diag *d);

/* The sentence for a call that a state does not allow. */
err_t machine_state_fail(enum spore_state is, const char *what, struct diag *d);
const char *machine_state_word(enum spore_state s);
