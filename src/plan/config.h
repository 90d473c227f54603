/* SPDX-License-Identifier: Apache-2.0 */
/* request -> config: what somebody asked for becomes a value that can be built.
 *
 * A request is loose: numbers as typed, strings borrowed. A config is a private immutable copy in
 * which every number has been judged. Files are not looked at here. */
#pragma once

#include "wire/device_state.h"
#include "wire/shape.h"

enum boot_method {
	BOOT_AUTO,    /* bzImage: unpacked here and entered directly; ELF: by PVH, else 64-bit */
	BOOT_PVH,     /* ELF by its PVH note only */
	BOOT_LINUX64, /* ELF by the 64-bit boot protocol only */
	BOOT_BZIMAGE, /* the kernel's own loader unpacks it (and may randomise its address) */
};

struct disk_request {
	const char *path;
	enum disk_mode mode;
};

struct request {
	const char *name;    /* NULL: the monitor chooses one */
	const char *kernel;
	const char *initrd;  /* NULL: none */
	const char *cmdline; /* NULL: the default of the architecture */
	enum boot_method boot;
	uint32_t cpus;
	bytes_t ram;
	size_t n_disks;
	const struct disk_request *disks;
};

enum {
	CONFIG_NAME_MAX = 64,
	CONFIG_CMDLINE_MAX = 2047,
	CONFIG_DISKS_MAX = SHAPE_DEVICES_MAX - 1, /* one slot is the entropy device */
};

struct config;

/* Rules: 1..64 vCPUs; RAM a non-zero multiple of 64 KiB, at least 16 MiB, within the
 * architecture's map; at most 18 disks; a name of 1..64 letters, digits, '-', '_', '.' that does
 * not begin with '.' or '-'; a command line of at most 2047 bytes; a kernel; no path that is empty
 * or longer than 4095 bytes; modes and methods that exist. ERR_CONFIG with the sentence in *d. */
must_check err_t config_validate(const struct request *in, struct diag *d,
				 const struct config **ret_cfg);
void config_free(const struct config *c);

/* The shape it asks for: blk devices in the order given, then the entropy device. */
struct shape config_shape(const struct config *c);
/* A view of what was kept; strings live as long as the config. The command line is never NULL: the
 * architecture's default stands in for one that was not given. */
const struct request *config_request(const struct config *c);
