/* SPDX-License-Identifier: Apache-2.0 */
/* The sections of a configuration document, one reader each. Strings in the results are borrowed
 * from the document. */
#pragma once

#include "edge/lib/json_read.h"

/* By number: enum spore_boot; enum spore_disk_mode less one. NULL-terminated. */
extern const char *const boot_words[];
extern const char *const mode_words[];

struct boot_section {
	const char *kernel, *initrd, *args;
	uint32_t boot; /* enum spore_boot */
};

struct machine_section {
	uint32_t cpus;
	uint64_t memory; /* bytes */
};

struct drive_section {
	const char *id, *path, *partuuid;
	bool root;
	uint32_t mode; /* enum spore_disk_mode */
};

must_check err_t boot_section_read(const json_t *j, struct diag *d, struct boot_section *ret);
/* `whole`: the keys that Firecracker demands must be there. */
must_check err_t machine_section_read(const json_t *j, bool whole, struct diag *d,
				      struct machine_section *ret);
must_check err_t drive_section_read(const json_t *j, struct diag *d, struct drive_section *ret);
must_check err_t entropy_section_read(const json_t *j, struct diag *d);
