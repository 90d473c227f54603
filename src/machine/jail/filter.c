/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/jail/filter.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "machine/jail/filter_code.h"

err_t jail_filter_take(enum jail_thread kind, struct diag *d)
{
	const struct filter_code *f = &filter_codes[kind];
	/* As many as there are: this may be as deep as the thread's stack ever gets. */
	struct sock_filter *code = __builtin_alloca(f->n * sizeof f->code[0]);
	struct sock_fprog program = { .len = f->n, .filter = code };

	memcpy(code, f->code, f->n * sizeof code[0]);
	for (uint16_t i = 0; i < f->n_self; i++)
		code[f->self[i]].k = (uint32_t)getpid();
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0)
		return diag_sys(d, (err_t){ ERR_JAIL, errno }, "seccomp: the filter was not taken");
	return OK;
}
