/* SPDX-License-Identifier: Apache-2.0 */
/* Telling a machine what to be, section by section, before it is started. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/api/routes.h"
#include "edge/lib/config_doc.h"

static err_t put(const struct call *c, enum config_section s, struct diag *d)
{
	err_t e = config_doc_put(c->server->draft, s, c->body, d);

	if (e.code == ERR_JSON)
		diag_prefix(d, "An error occurred when deserializing the json body of a request");
	if (!failed(e))
		c->server->configured = true;
	return e;
}

err_t route_put_machine(const struct call *c, struct diag *d, json_t **ret_body)
{
	(void)ret_body;
	return put(c, CONFIG_MACHINE, d);
}

err_t route_patch_machine(const struct call *c, struct diag *d, json_t **ret_body)
{
	err_t e = config_doc_patch_machine(c->server->draft, c->body, d);

	(void)ret_body;
	if (!failed(e))
		c->server->configured = true;
	return e;
}

/* The kernel is looked at now, so that a wrong path is told to whoever gave it. */
static err_t kernel_check(const json_t *body, struct diag *d)
{
	const char *path = json_string_value(json_object_get(body, "kernel_image_path"));

	if (path != NULL && access(path, R_OK) < 0)
		return diag_fail(d, FAIL(ERR_FILE), "The kernel file cannot be opened: %s: %s",
				 path, strerrordesc_np(errno));
	return OK;
}

err_t route_put_boot(const struct call *c, struct diag *d, json_t **ret_body)
{
	(void)ret_body;
	TRY(kernel_check(c->body, d));
	return put(c, CONFIG_BOOT_SOURCE, d);
}

err_t route_put_drive(const struct call *c, struct diag *d, json_t **ret_body)
{
	const char *id = json_string_value(json_object_get(c->body, "drive_id"));

	(void)ret_body;
	if (id != NULL && strcmp(id, c->id) != 0)
		return diag_fail(d, FAIL(ERR_JSON),
				 "The id from the path does not match the id from the body!");
	return put(c, CONFIG_DRIVE, d);
}

/* The entropy device is always there. */
err_t route_put_entropy(const struct call *c, struct diag *d, json_t **ret_body)
{
	(void)ret_body;
	return put(c, CONFIG_ENTROPY, d);
}

/* The defaults, with the sections that say something over them. */
static json_t *doc_with(const json_t *sections)
{
	json_t *doc = config_doc_new();
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)sections, key, v)
		if (!json_is_null(v))
			(void)json_object_set(doc, key, v);
	return doc;
}

/* The whole document at once, in place of what was there. */
err_t route_put_config(const struct call *c, struct diag *d, json_t **ret_body)
{
	struct spore_config *judged;

	(void)ret_body;
	TRY(config_doc_read(c->body, d, &judged));
	free(judged);
	json_decref(c->server->draft);
	c->server->draft = doc_with(c->body);
	c->server->configured = true;
	return OK;
}
