/* SPDX-License-Identifier: Apache-2.0 */
#include "base/size.h"

#include <string.h>

/* The power of 1024 that a suffix stands for. */
static bool suffix_shift(const char *suffix, unsigned *ret_shift)
{
	static const char letters[] = "KMGT";
	const char *at;

	if (*suffix == '\0') {
		*ret_shift = 0;
		return true;
	}
	at = strchr(letters, *suffix >= 'a' && *suffix <= 'z' ? *suffix - 'a' + 'A' : *suffix);
	if (at == NULL || (suffix[1] != '\0' && strcmp(suffix + 1, "iB") != 0))
		return false;
	*ret_shift = 10 * (unsigned)(at - letters + 1);
	return true;
}

err_t size_parse(const char *text, struct diag *d, bytes_t *ret_size)
{
	const char *at = text;
	uint64_t v = 0;
	unsigned shift;
	bool fits = true;

	for (; *at >= '0' && *at <= '9'; at++)
		fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
		       !__builtin_add_overflow(v, (uint64_t)(*at - '0'), &v);
	if (at == text || !suffix_shift(at, &shift))
		return diag_fail(d, FAIL(ERR_USAGE), "the size '%.40s' is not understood, expected a "
				 "number of bytes, or one followed by K, M, G or T (for example "
				 "128M)", text);
	if (!fits || v > UINT64_MAX >> shift)
		return diag_fail(d, FAIL(ERR_USAGE), "the size '%.40s' is too large, expected less "
				 "than 2 to the power of 64 bytes", text);
	*ret_size = BYTES(v << shift);
	return OK;
}
