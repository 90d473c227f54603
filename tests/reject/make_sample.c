/* SPDX-License-Identifier: Apache-2.0 */
/* make_sample KIND SEED FILE: writes one of the made-up machines of support/sample.h. */
#include <stdio.h>
#include <stdlib.h>

#include "support/sample.h"

int main(int argc, char **argv)
{
	struct diag d = DIAG_INIT;
	struct sample *s;
	err_t e;

	if (argc != 4) {
		fputs("usage: make_sample KIND SEED FILE\n", stderr);
		return 2;
	}
	s = sample_new((unsigned)strtoul(argv[1], NULL, 10), strtoull(argv[2], NULL, 10));
	if (s == NULL) {
		fprintf(stderr, "make_sample: no machine of kind %s\n", argv[1]);
		return 2;
	}
	e = sample_write(s, argv[3], &d);
	sample_free(s);
	if (failed(e))
		fprintf(stderr, "make_sample: %s\n", d.text);
	return failed(e) ? 1 : 0;
}
