/* SPDX-License-Identifier: Apache-2.0 */
/* A snapshot read from end to end, and then held against this host. */
#include "edge/lib/error.h"
#include "life/snapshot.h"

static err_t verify(const struct snapshot *s, const char *path, spore_progress *progress,
		    void *ctx, struct diag *d)
{
	err_t e;

	TRY(snapshot_verify(s, progress, ctx, d));
	e = snapshot_check_host(s, d);
	if (failed(e))
		diag_prefix(d, path);
	return e;
}

int spore_verify(const char *path, spore_progress *progress, void *ctx, struct spore_error *err)
{
	struct diag d = DIAG_INIT;
	struct snapshot *s = NULL;
	err_t e = snapshot_open(path, &d, &s);

	if (!failed(e))
		e = verify(s, path, progress, ctx, &d);
	snapshot_free(s);
	return error_give(e, &d, err);
}
