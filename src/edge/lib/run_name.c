/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/lib/run_name.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/diag.h"
#include "edge/lib/run_dir.h"

static const char *const first[32] = {
	"amber", "ashen", "brisk", "calm", "clear", "cool", "dusky", "early",
	"faint", "fresh", "gentle", "green", "hazel", "ivory", "keen", "late",
	"light", "lone", "lush", "mild", "misty", "pale", "plain", "quiet",
	"rapid", "russet", "silver", "still", "swift", "tidy", "warm", "wild",
};

static const char *const second[32] = {
	"alder", "aspen", "birch", "bracken", "briar", "cedar", "clover", "elder",
	"fern", "fir", "gorse", "hazelnut", "heath", "holly", "hornbeam", "ivy",
	"juniper", "larch", "lichen", "linden", "maple", "moss", "nettle", "oak",
	"pine", "poplar", "reed", "rowan", "sedge", "sorrel", "thyme", "willow",
};

void run_name_make(unsigned attempt, char *ret, size_t cap)
{
	unsigned r = 0;

	if (getrandom(&r, sizeof r, GRND_NONBLOCK) != sizeof r)
		r = attempt * 2654435761u;
	if (attempt < 32)
		(void)snprintf(ret, cap, "%s-%s", first[r & 31], second[(r >> 5) & 31]);
	else
		(void)snprintf(ret, cap, "%s-%s-%u", first[r & 31], second[(r >> 5) & 31],
			       (r >> 10) % 10000);
}

static bool name_char_ok(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

err_t run_name_check(const char *name, struct diag *d)
{
	size_t n = 0;

	while (name[n] != '\0' && n <= RUN_NAME_MAX && name_char_ok(name[n]))
		n++;
	if (n == 0 || n > RUN_NAME_MAX || name[n] != '\0' || name[0] == '.' || name[0] == '-')
		return diag_fail(d, FAIL(ERR_CONFIG), "name: '%.80s': expected 1 to %d letters, "
				 "digits, '-', '_' and '.', beginning with none of '.' and '-'",
				 name, RUN_NAME_MAX);
	return OK;
}
