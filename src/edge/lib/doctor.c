/* SPDX-License-Identifier: Apache-2.0 */
/* The host's report as a document. */
#include <jansson.h>

#include "edge/lib/error.h"
#include "edge/lib/json_read.h"
#include "machine/jail/jail.h"
#include "machine/kvm/host.h"

static const char *level_word(enum host_level l)
{
	switch (l) {
	case HOST_OK: return "ok";
	case HOST_WARN: return "warn";
	case HOST_FAIL: return "fail";
	}
	unreachable_by_type();
}

static const char *kvm_word(enum host_kvm k)
{
	switch (k) {
	case HOST_KVM_NONE: return "none";
	case HOST_KVM_HARDWARE: return "hardware";
	case HOST_KVM_SOFTWARE: return "software";
	}
	unreachable_by_type();
}

int spore_doctor(char **ret_json, struct spore_error *err)
{
	struct host_report report = { .n = 0 };
	json_t *rows = json_array();
	owned_json doc = NULL;
	bool ok = true;
	char *text;

	host_probe(&report);
	jail_host_report(&report);
	for (uint32_t i = 0; i < report.n; i++) {
		const struct host_row *r = &report.rows[i];

		ok = ok && r->level != HOST_FAIL;
		(void)json_array_append_new(rows, json_pack("{s:s, s:s, s:s, s:s}", "name", r->name,
							    "level", level_word(r->level), "value",
							    r->value, "advice", r->advice));
	}
	doc = json_pack("{s:b, s:s, s:o}", "ok", ok, "kvm", kvm_word(report.kvm), "rows", rows);
	text = json_dumps(doc, JSON_INDENT(2));
	if (text == NULL)
		return error_give(FAIL(ERR_NOMEM), NULL, err);
	*ret_json = text;
	return SPORE_OK;
}
