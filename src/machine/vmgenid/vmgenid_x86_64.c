/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/vmgenid/vmgenid.h"

#include <errno.h>
#include <sys/random.h>

#include "plan/map_x86_64.h"

/* syscalls(control): getrandom */
err_t vmgenid_renew(const struct gmem *m)
{
	uint8_t id[16];
	ssize_t n;

	/* Up to 256 bytes come whole once the kernel's pool is ready; before that the call waits
	 * and may be interrupted (getrandom(2)). */
	do
		n = getrandom(id, sizeof id, 0);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof id)
		return FAIL_SYS(n < 0 ? errno : EIO);
	return gmem_copy_out(m, GPA(MAP_VMGENID), id, sizeof id);
}
