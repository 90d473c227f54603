/* SPDX-License-Identifier: Apache-2.0 */
/* Children of one call against each other: each thing that one of them would have is a claim; claims to
 * the same thing lie together when they are sorted. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "edge/lib/identity.h"

enum claim_kind { CLAIM_NAME, CLAIM_DISK, CLAIM_MAC, CLAIM_TAP, CLAIM_CID, CLAIM_VSOCK, CLAIM_SEED };

struct claim {
	enum claim_kind kind;
	bool shared;         /* others may have it that share it too */
	size_t child;
	const char *text;    /* for people; borrowed */
	const void *key;     /* NULL: number */
	size_t key_len;
	uint64_t number[2];
};

struct claims {
	struct claim *at; /* owned */
	size_t n, room;
};

static err_t claim(struct claims *c, struct claim what)
{
	if (c->n == c->room) {
		size_t room = c->room == 0 ? 64 : c->room * 2;
		struct claim *more = reallocarray(c->at, room, sizeof *more);

		if (more == NULL)
			return FAIL(ERR_NOMEM);
		c->at = more;
		c->room = room;
	}
	c->at[c->n++] = what;
	return OK;
}

static err_t claim_text(struct claims *c, enum claim_kind kind, size_t child, const char *text)
{
	if (text == NULL)
		return OK;
	return claim(c, (struct claim){ .kind = kind, .child = child, .text = text, .key = text,
					.key_len = strlen(text) });
}

static err_t claim_disk(struct claims *c, size_t child, const struct spore_identity_disk *k)
{
	struct claim what = { .kind = CLAIM_DISK, .child = child, .text = k->path,
			      .shared = k->mode != SPORE_DISK_RW };
	struct stat st;

	if (stat(k->path, &st) != 0)
		return OK;
	what.number[0] = S_ISBLK(st.st_mode) ? UINT64_MAX : st.st_dev;
	what.number[1] = S_ISBLK(st.st_mode) ? st.st_rdev : st.st_ino;
	return claim(c, what);
}

static err_t claim_net(struct claims *c, size_t child, const struct spore_identity_net *net)
{
	static const uint8_t none[sizeof net->mac];

	TRY(claim_text(c, CLAIM_TAP, child, net->tap));
	if (memcmp(net->mac, none, sizeof none) == 0)
		return OK;
	return claim(c, (struct claim){ .kind = CLAIM_MAC, .child = child, .text = "", .key = net->mac,
					.key_len = sizeof net->mac });
}

static err_t claims_of(struct claims *c, size_t child, const struct spore_identity *s)
{
	TRY(claim_text(c, CLAIM_NAME, child, s->name));
	for (size_t i = 0; i < s->n_disks; i++)
		TRY(claim_disk(c, child, &s->disks[i]));
	for (size_t i = 0; i < s->n_nets; i++)
		TRY(claim_net(c, child, &s->nets[i]));
	TRY(claim_text(c, CLAIM_VSOCK, child, s->vsock_path));
	if (s->vsock_cid != 0)
		TRY(claim(c, (struct claim){ .kind = CLAIM_CID, .child = child, .text = "",
					     .number = { s->vsock_cid } }));
	if (s->seed_len != 0 && s->seed != NULL)
		TRY(claim(c, (struct claim){ .kind = CLAIM_SEED, .child = child, .text = "",
					     .key = s->seed, .key_len = s->seed_len }));
	return OK;
}

static int thing_order(const struct claim *a, const struct claim *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->key_len != b->key_len)
		return a->key_len < b->key_len ? -1 : 1;
	if (a->key != NULL && b->key != NULL)
		return memcmp(a->key, b->key, a->key_len);
	return memcmp(a->number, b->number, sizeof a->number);
}

/* Of claims to one thing, those that do not share it come first. */
static int claim_order(const void *one, const void *other)
{
	const struct claim *a = one, *b = other;
	int order = thing_order(a, b);

	if (order != 0)
		return order;
	if (a->shared != b->shared)
		return a->shared ? 1 : -1;
	return a->child < b->child ? -1 : a->child > b->child;
}

static const char *words(enum claim_kind k)
{
	switch (k) {
	case CLAIM_NAME: return "the same name";
	case CLAIM_DISK: return "one disk, which one of them writes in place";
	case CLAIM_MAC: return "the same MAC";
	case CLAIM_TAP: return "the same tap";
	case CLAIM_CID: return "the same vsock CID";
	case CLAIM_VSOCK: return "the same vsock socket";
	case CLAIM_SEED: return "the same seed";
	}
	unreachable_by_type();
}

static err_t collision(const struct claim *a, const struct claim *b, struct diag *d)
{
	size_t low = a->child < b->child ? a->child : b->child;
	size_t high = a->child < b->child ? b->child : a->child;

	if (low == high)
		return diag_fail(d, FAIL(ERR_USAGE), "child %zu would have %s twice%s%s", low,
				 words(a->kind), a->text[0] != '\0' ? ": " : "", a->text);
	return diag_fail(d, FAIL(ERR_USAGE), "children %zu and %zu would have %s%s%s", low, high,
			 words(a->kind), a->text[0] != '\0' ? ": " : "", a->text);
}

err_t identities_compare(const struct spore_identity *all, size_t n, struct diag *d)
{
	struct claims c = { NULL, 0, 0 };
	err_t e = OK;

	for (size_t i = 0; i < n && !failed(e); i++)
		e = claims_of(&c, i, &all[i]);
	if (!failed(e) && c.n != 0)
		qsort(c.at, c.n, sizeof c.at[0], claim_order);
	for (size_t i = 1; i < c.n && !failed(e); i++)
		if (thing_order(&c.at[i - 1], &c.at[i]) == 0 && !c.at[i - 1].shared)
			e = collision(&c.at[i - 1], &c.at[i], d);
	free(c.at);
	return e;
}
