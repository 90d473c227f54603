/* SPDX-License-Identifier: Apache-2.0 */
/* A machine's configuration as a JSON document: Firecracker's "full VM configuration", the same for
 * --config files, GET /vm/config and the PUT requests that build a machine piece by piece.
 *
 * The document is the draft. Each section is judged when it is put in, by the same reader that the
 * whole document goes through, so nothing else has to know the keys. Sections for what spore does
 * not have may be null or empty; anything else in them is refused. */
#pragma once

#include <spore.h>

#include "edge/lib/json_read.h"

enum config_section {
	CONFIG_BOOT_SOURCE,
	CONFIG_MACHINE,
	CONFIG_DRIVE,
	CONFIG_ENTROPY,
};

/* Every section, with Firecracker's defaults. NULL: out of memory. */
json_t *config_doc_new(void);
/* Puts a section in, or replaces it (a drive: the one with the same drive_id). The document is
 * unchanged on failure. */
must_check err_t config_doc_put(json_t *doc, enum config_section s, const json_t *body,
				struct diag *d);
/* Puts those keys of `body` over the machine-config that is there. */
must_check err_t config_doc_patch_machine(json_t *doc, const json_t *body, struct diag *d);

/* One block with its strings; free() it. ERR_JSON, or ERR_CONFIG when there is no boot source. */
must_check err_t config_doc_read(const json_t *doc, struct diag *d, struct spore_config **ret);
/* The document of a configuration that came from elsewhere. */
must_check err_t config_doc_of(const struct spore_config *c, struct diag *d, json_t **ret_doc);
/* A private copy in one block; free() it. */
must_check err_t config_copy(const struct spore_config *c, struct diag *d,
			     struct spore_config **ret);
