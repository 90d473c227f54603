/* SPDX-License-Identifier: Apache-2.0 */
/* The public calls on a handle: judge the option structure, hand on, say what went wrong. */
#include "edge/lib/machine.h"

#include <string.h>

#include "edge/lib/error.h"

/* Sizes that the first version of each structure had: callers built against it pass these. */
enum {
	CONFIG_LEAST = sizeof(struct spore_config),
	RESTORE_LEAST = sizeof(struct spore_restore_options),
	SNAPSHOT_LEAST = sizeof(struct spore_snapshot_options),
	MACHINE_LEAST = sizeof(struct spore_machine_options),
};

err_t machine_options_take(const struct spore_machine_options *o, struct spore_machine_options *ret,
			   struct diag *d)
{
	TRY(options_take(o, MACHINE_LEAST, sizeof *ret, ret, "spore_machine_options", d));
	return options_check(0, 0, ret->reserved, "spore_machine_options", d);
}

const char *machine_state_word(enum spore_state s)
{
	switch (s) {
	case SPORE_NOT_STARTED: return "Not started";
	case SPORE_RUNNING: return "Running";
	case SPORE_PAUSED: return "Paused";
	case SPORE_ENDED: return "Ended";
	}
	unreachable_by_type();
}

err_t machine_state_fail(enum spore_state is, const char *what, struct diag *d)
{
	if (is == SPORE_NOT_STARTED)
		return diag_fail(d, FAIL(ERR_STATE), "%s: The requested operation is not supported "
				 "before starting the microVM.", what);
	if (is == SPORE_ENDED)
		return diag_fail(d, FAIL(ERR_STATE), "%s: the machine has ended", what);
	return diag_fail(d, FAIL(ERR_STATE), "%s: not possible while the machine is %s", what,
			 is == SPORE_RUNNING ? "running" : "paused");
}

void spore_machine_free(spore_machine *m)
{
	if (m != NULL)
		m->ops->free(m);
}

int spore_machine_boot(spore_machine *m, const struct spore_config *config, struct spore_error *err)
{
	struct spore_config c = SPORE_CONFIG_INIT;
	struct diag d = DIAG_INIT;
	err_t e = options_take(config, CONFIG_LEAST, sizeof c, &c, "spore_config", &d);

	if (!failed(e))
		e = options_check(0, 0, c.reserved, "spore_config", &d);
	if (!failed(e))
		e = m->ops->boot(m, &c, &d);
	return error_give(e, &d, err);
}

int spore_machine_restore(spore_machine *m, const char *path,
			  const struct spore_restore_options *options, struct spore_error *err)
{
	struct spore_restore_options o = SPORE_RESTORE_OPTIONS_INIT;
	struct diag d = DIAG_INIT;
	err_t e = options_take(options, RESTORE_LEAST, sizeof o, &o, "spore_restore_options", &d);

	if (!failed(e))
		e = options_check(o.flags, SPORE_RESTORE_VERIFY | SPORE_RESTORE_RESUME, o.reserved,
				  "spore_restore_options", &d);
	if (!failed(e))
		e = m->ops->restore(m, path, &o, &d);
	return error_give(e, &d, err);
}

int spore_machine_pause(spore_machine *m, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->pause(m, &d), &d, err);
}

int spore_machine_resume(spore_machine *m, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->resume(m, &d), &d, err);
}

int spore_machine_snapshot(spore_machine *m, const char *path,
			   const struct spore_snapshot_options *options, struct spore_error *err)
{
	struct spore_snapshot_options o = SPORE_SNAPSHOT_OPTIONS_INIT;
	struct diag d = DIAG_INIT;
	err_t e = options_take(options, SNAPSHOT_LEAST, sizeof o, &o, "spore_snapshot_options", &d);

	if (!failed(e))
		e = options_check(o.flags, SPORE_SNAPSHOT_DISKS | SPORE_SNAPSHOT_PAUSE |
				  SPORE_SNAPSHOT_STOP, o.reserved, "spore_snapshot_options", &d);
	if (!failed(e))
		e = m->ops->snapshot(m, path, &o, &d);
	return error_give(e, &d, err);
}

int spore_machine_stop(spore_machine *m, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->stop(m, &d), &d, err);
}

int spore_machine_wait(spore_machine *m, int timeout_ms, enum spore_outcome *ret_outcome,
		       struct spore_error *ret_why, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->wait(m, timeout_ms, ret_outcome, ret_why, &d), &d, err);
}

int spore_machine_event_fd(spore_machine *m)
{
	return m->ops->event_fd(m);
}

int spore_machine_state(spore_machine *m, enum spore_state *ret_state, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->state(m, ret_state, &d), &d, err);
}

int spore_machine_outcome(spore_machine *m, enum spore_outcome *ret_outcome,
			  struct spore_error *ret_why, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->outcome(m, ret_outcome, ret_why, &d), &d, err);
}

int spore_machine_timings(spore_machine *m, struct spore_timings *ret_timings,
			  struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->timings(m, ret_timings, &d), &d, err);
}

int spore_machine_config(spore_machine *m, char **ret_json, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->config(m, ret_json, &d), &d, err);
}

int spore_machine_name(spore_machine *m, char **ret_name, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->name(m, ret_name, &d), &d, err);
}

int spore_machine_input(spore_machine *m, const void *bytes, size_t n, size_t *ret_taken,
			struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->input(m, bytes, n, ret_taken, &d), &d, err);
}

int spore_machine_output(spore_machine *m, uint64_t from, void *ret_bytes, size_t cap,
			 uint64_t *ret_from, size_t *ret_n, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->output(m, from, ret_bytes, cap, ret_from, ret_n, &d), &d, err);
}

int spore_machine_output_fd(spore_machine *m)
{
	return m->ops->output_fd(m);
}

int spore_console_attach(spore_machine *m, int *ret_fd, struct spore_error *err)
{
	struct diag d = DIAG_INIT;

	return error_give(m->ops->attach(m, ret_fd, &d), &d, err);
}
