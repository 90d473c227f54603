/* SPDX-License-Identifier: Apache-2.0 */
/* One request, many children: names and paths may have a "%d" in them, which is the child's number. The
 * request is hostile: what is made of it is bounded by SPAWN_MOST and the size of a body. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/heap.h"
#include "edge/api/supervisor.h"
#include "edge/lib/json_read.h"

enum { NETS_HERE = 32, NUMBERS_MOST = 1000000, TEXT_MOST = 4096 };

struct sibling {
	struct spore_identity identity;
	struct spore_identity_disk disks[SPORE_DISKS_MAX];
	struct spore_identity_net nets[NETS_HERE];
};

struct making {
	struct litter *litter;
	struct sibling *sibling;
	uint64_t number;
	struct diag *d;
};

/* NULL stays NULL. */
static err_t expand(const struct making *m, const char *pattern, const char **ret)
{
	const char *hole = pattern != NULL ? strstr(pattern, "%d") : NULL;
	char text[TEXT_MOST];
	int n;

	*ret = pattern;
	if (hole == NULL)
		return OK;
	n = snprintf(text, sizeof text, "%.*s%llu%s", (int)(hole - pattern), pattern,
		     (unsigned long long)m->number, hole + 2);
	if (n < 0 || (size_t)n >= sizeof text)
		return diag_fail(m->d, FAIL(ERR_SIZE), "%.80s: too long", pattern);
	if (json_array_append_new(m->litter->texts, json_string(text)) != 0)
		return diag_fail(m->d, FAIL(ERR_NOMEM), "children: out of memory");
	*ret = json_string_value(json_array_get(m->litter->texts,
						json_array_size(m->litter->texts) - 1));
	return OK;
}

static err_t list_check(const json_t *list, size_t most, const char *what, struct diag *d)
{
	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_is_object(json_array_get(list, i)))
			return diag_fail(d, FAIL(ERR_JSON), "invalid type for `%s`, expected a list of "
					 "objects", what);
	if (json_array_size(list) > most)
		return diag_fail(d, FAIL(ERR_JSON), "`%s` has %zu entries, expected at most %zu", what,
				 json_array_size(list), most);
	return OK;
}

static err_t disks_read(const struct making *m, const json_t *list)
{
	static const char *const modes[] = { "ro", "rw", "cow", NULL };
	struct sibling *s = m->sibling;

	TRY(list_check(list, SPORE_DISKS_MAX, "disks", m->d));
	for (size_t i = 0; i < json_array_size(list); i++) {
		uint64_t index = 0;
		uint32_t mode = 2;
		const char *path = NULL;
		const struct json_field fields[] = {
			JSON_FIELD("index", UINT, JSON_REQUIRED, &index,
				   .most = SPORE_DISKS_MAX - 1),
			JSON_FIELD("path", STRING, JSON_REQUIRED, &path),
			JSON_FIELD("mode", WORD, 0, &mode, .words = modes),
		};

		TRY(json_object_read(json_array_get(list, i), fields, countof(fields), m->d));
		s->disks[i].index = (uint32_t)index;
		s->disks[i].mode = SPORE_DISK_RO + mode;
		TRY(expand(m, path, &s->disks[i].path));
	}
	s->identity.disks = s->disks;
	s->identity.n_disks = json_array_size(list);
	return OK;
}

static err_t mac_read(const char *text, uint8_t ret[6], struct diag *d)
{
	unsigned b[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 || end != 17 || text[end] != '\0')
		return diag_fail(d, FAIL(ERR_USAGE), "`mac`: '%.40s': expected six pairs of hexadecimal "
				 "digits with colons between them", text);
	for (int i = 0; i < 6; i++)
		ret[i] = (uint8_t)b[i];
	return OK;
}

static err_t nets_read(const struct making *m, const json_t *list)
{
	struct sibling *s = m->sibling;

	TRY(list_check(list, NETS_HERE, "nets", m->d));
	for (size_t i = 0; i < json_array_size(list); i++) {
		uint64_t index = 0;
		const char *mac = NULL, *tap = NULL;
		const struct json_field fields[] = {
			JSON_FIELD("index", UINT, JSON_REQUIRED, &index, .most = NETS_HERE - 1),
			JSON_FIELD("mac", STRING, JSON_NULLABLE, &mac),
			JSON_FIELD("tap", STRING, JSON_NULLABLE, &tap),
		};

		TRY(json_object_read(json_array_get(list, i), fields, countof(fields), m->d));
		s->nets[i].index = (uint32_t)index;
		if (mac != NULL)
			TRY(mac_read(mac, s->nets[i].mac, m->d));
		TRY(expand(m, tap, &s->nets[i].tap));
	}
	s->identity.nets = s->nets;
	s->identity.n_nets = json_array_size(list);
	return OK;
}

static err_t identity_read(const struct making *m, const json_t *doc)
{
	static const char *const clocks[] = { "frozen", "stepped", NULL };
	struct spore_identity *id = &m->sibling->identity;
	const char *hostname = NULL, *seed = NULL, *vsock = NULL;
	const json_t *disks = NULL, *nets = NULL;
	uint64_t cid = 0;
	const struct json_field fields[] = {
		JSON_FIELD("clock", WORD, 0, &id->clock, .words = clocks),
		JSON_FIELD("disks", ARRAY, JSON_NULLABLE, &disks),
		JSON_FIELD("nets", ARRAY, JSON_NULLABLE, &nets),
		JSON_FIELD("hostname", STRING, JSON_NULLABLE, &hostname),
		JSON_FIELD("seed", STRING, JSON_NULLABLE, &seed),
		JSON_FIELD("vsock_cid", UINT, 0, &cid, .most = UINT32_MAX),
		JSON_FIELD("vsock_path", STRING, JSON_NULLABLE, &vsock),
	};

	TRY(json_object_read(doc, fields, countof(fields), m->d));
	id->vsock_cid = (uint32_t)cid;
	TRY(disks_read(m, disks));
	TRY(nets_read(m, nets));
	TRY(expand(m, hostname, &id->hostname));
	TRY(expand(m, vsock, &id->vsock_path));
	id->seed = seed;
	id->seed_len = seed != NULL ? strlen(seed) : 0;
	return OK;
}

/* ERR_EXISTS: somebody has that name. */
static err_t name_check(const char *name, struct diag *d)
{
	__attribute__((cleanup(run_place_drop))) struct run_place place = RUN_PLACE_NONE;
	struct diag why = DIAG_INIT;
	err_t e = run_find(name, &why, &place);

	if (e.code == ERR_NOT_FOUND)
		return OK;
	if (!failed(e))
		return diag_fail(d, FAIL(ERR_EXISTS), "%s: a machine of that name is there already, "
				 "expected another name", name);
	if (d != NULL)
		*d = why;
	return e;
}

/* The next number with which the name is free; a name without one is free or not. */
static err_t name_take(struct making *m, const char *pattern)
{
	bool counts = strstr(pattern, "%d") != NULL;
	err_t e;

	do {
		m->number++;
		TRY(expand(m, pattern, &m->sibling->identity.name));
		e = name_check(m->sibling->identity.name, m->d);
		if (e.code != ERR_EXISTS || !counts)
			return e;
		(void)json_array_remove(m->litter->texts, json_array_size(m->litter->texts) - 1);
	} while (m->number < NUMBERS_MOST);
	return e;
}

static err_t siblings_read(const struct litter_order *o, struct litter *l, struct diag *d)
{
	struct making m = { .litter = l, .number = 0, .d = d };

	for (size_t i = 0; i < o->n; i++) {
		m.sibling = &l->at[i];
		m.sibling->identity = (struct spore_identity)SPORE_IDENTITY_INIT;
		l->all[i] = &m.sibling->identity;
		TRY(name_take(&m, o->pattern));
		if (o->identity != NULL)
			TRY(identity_read(&m, o->identity));
	}
	if (d != NULL)
		*d = DIAG_INIT; /* of names that were not free */
	return OK;
}

void litter_drop(struct litter *l)
{
	free(l->at);
	free(l->all);
	json_decref(l->texts);
}

err_t litter_read(const struct litter_order *o, struct diag *d, struct litter *ret)
{
	struct litter l = { .n = o->n };
	err_t e;

	if (o->n > 1 && strstr(o->pattern, "%d") == NULL)
		return diag_fail(d, FAIL(ERR_USAGE), "%.80s: %zu children would have the same name, "
				 "expected %%d in it", o->pattern, o->n);
	l.at = calloc(o->n, sizeof *l.at);
	l.all = calloc(o->n, sizeof *l.all);
	l.texts = json_array();
	e = l.at == NULL || l.all == NULL || l.texts == NULL
	    ? diag_fail(d, FAIL(ERR_NOMEM), "children: out of memory") : siblings_read(o, &l, d);
	if (failed(e))
		litter_drop(&l);
	else
		*ret = l;
	return e;
}
