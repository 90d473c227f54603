/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory. Trusts the regions; trusts no address, no length, and no byte it reads.
 *
 * The guest runs beside every access, so each is an atomic one (relaxed, in words where alignment
 * allows): the value may be any mixture of old and new, but reading it is defined, and the compiler
 * may not read it twice. */
#include "machine/ram/gmem.h"

#include <stdatomic.h>
#include <string.h>

#include "machine/ram/gmem_guard.h"

/* The piece of [at, at+n) that lies in one region: its place and length, NULL and 0 for a hole. */
static size_t piece(const struct gmem *m, uint64_t at, size_t n, uint8_t **ret_host)
{
	for (uint32_t i = 0; i < m->n_regions; i++) {
		const struct ram_region *r = &m->regions[i];
		uint64_t off = at - r->at.v;

		if (at >= r->at.v && off < r->len.v) {
			uint64_t left = r->len.v - off;

			*ret_host = m->base + r->offset.v + off;
			return left < n ? (size_t)left : n;
		}
	}
	*ret_host = NULL;
	return 0;
}

bool gmem_holds(const struct gmem *m, gpa_t at, bytes_t n)
{
	uint8_t *host;
	gpa_t end;

	if (!gpa_end(at, n, &end))
		return false;
	while (at.v != end.v) {
		size_t got = piece(m, at.v, end.v - at.v, &host);

		if (got == 0)
			return false;
		at.v += got;
	}
	return true;
}

/* The guest's side of a copy is `guest`; the words are little-endian on every host this runs on,
 * and only moved, never looked at. */
static void words_in(uint8_t *ret, const uint8_t *guest, size_t n)
{
	for (; n != 0 && ((uintptr_t)guest & 7) != 0; n--)
		*ret++ = __atomic_load_n(guest++, __ATOMIC_RELAXED);
	for (; n >= 8; n -= 8, guest += 8, ret += 8) {
		uint64_t w = __atomic_load_n((const uint64_t *)(const void *)guest, __ATOMIC_RELAXED);

		memcpy(ret, &w, sizeof w);
	}
	for (; n != 0; n--)
		*ret++ = __atomic_load_n(guest++, __ATOMIC_RELAXED);
}

/* `bytes` NULL: zeroes. */
static void words_out(uint8_t *guest, const uint8_t *bytes, size_t n)
{
	size_t step = bytes != NULL;
	static const uint8_t zero[8];

	if (bytes == NULL)
		bytes = zero;
	for (; n != 0 && ((uintptr_t)guest & 7) != 0; n--, bytes += step)
		__atomic_store_n(guest++, *bytes, __ATOMIC_RELAXED);
	for (; n >= 8; n -= 8, guest += 8, bytes += 8 * step) {
		uint64_t w;

		memcpy(&w, bytes, sizeof w);
		__atomic_store_n((uint64_t *)(void *)guest, w, __ATOMIC_RELAXED);
	}
	for (; n != 0; n--, bytes += step)
		__atomic_store_n(guest++, *bytes, __ATOMIC_RELAXED);
}

static err_t piece_in(uint8_t *ret, const uint8_t *guest, size_t n)
{
	struct guard g;

	if (guard_enter(&g, guest, n))
		return FAIL(ERR_RAM_LOST);
	words_in(ret, guest, n);
	guard_leave();
	return OK;
}

static err_t piece_out(uint8_t *guest, const uint8_t *bytes, size_t n)
{
	struct guard g;

	if (guard_enter(&g, guest, n))
		return FAIL(ERR_RAM_LOST);
	words_out(guest, bytes, n);
	guard_leave();
	return OK;
}

err_t gmem_copy_in(const struct gmem *m, gpa_t at, void *ret, size_t n)
{
	uint8_t *to = ret, *host;

	if (!gmem_holds(m, at, BYTES(n)))
		return FAIL(ERR_GUEST_MEMORY);
	while (n != 0) {
		size_t got = piece(m, at.v, n, &host);

		TRY(piece_in(to, host, got));
		to += got;
		at.v += got;
		n -= got;
	}
	return OK;
}

static err_t copy_out(const struct gmem *m, gpa_t at, const uint8_t *bytes, size_t n)
{
	uint8_t *host;

	if (!gmem_holds(m, at, BYTES(n)))
		return FAIL(ERR_GUEST_MEMORY);
	while (n != 0) {
		size_t got = piece(m, at.v, n, &host);

		TRY(piece_out(host, bytes, got));
		if (bytes != NULL)
			bytes += got;
		at.v += got;
		n -= got;
	}
	return OK;
}

err_t gmem_copy_out(const struct gmem *m, gpa_t at, const void *bytes, size_t n)
{
	if (n == 0)
		return gmem_holds(m, at, BYTES(0)) ? OK : FAIL(ERR_GUEST_MEMORY);
	return copy_out(m, at, bytes, n);
}

err_t gmem_zero(const struct gmem *m, gpa_t at, size_t n)
{
	return copy_out(m, at, NULL, n);
}

/* A ring index: two bytes, aligned, so never in two regions. */
static err_t index_at(const struct gmem *m, gpa_t at, uint16_t **ret_host)
{
	uint8_t *host;

	if (at.v % 2 != 0 || piece(m, at.v, 2, &host) != 2)
		return FAIL(ERR_GUEST_MEMORY);
	*ret_host = (uint16_t *)(void *)host;
	return OK;
}

err_t gmem_load_acquire_u16(const struct gmem *m, gpa_t at, uint16_t *ret)
{
	struct guard g;
	uint16_t *host;

	TRY(index_at(m, at, &host));
	if (guard_enter(&g, host, sizeof *host))
		return FAIL(ERR_RAM_LOST);
	*ret = __atomic_load_n(host, __ATOMIC_ACQUIRE);
	guard_leave();
	return OK;
}

err_t gmem_store_release_u16(const struct gmem *m, gpa_t at, uint16_t v)
{
	struct guard g;
	uint16_t *host;

	TRY(index_at(m, at, &host));
	if (guard_enter(&g, host, sizeof *host))
		return FAIL(ERR_RAM_LOST);
	__atomic_store_n(host, v, __ATOMIC_RELEASE);
	guard_leave();
	return OK;
}

err_t gmem_iovecs(const struct gmem *m, gpa_t at, size_t n, struct iovec *iov, size_t cap,
		  size_t *io_n)
{
	size_t used = *io_n;
	uint8_t *host;

	if (!gmem_holds(m, at, BYTES(n)))
		return FAIL(ERR_GUEST_MEMORY);
	while (n != 0) {
		size_t got = piece(m, at.v, n, &host);

		if (used == cap)
			return FAIL(ERR_RANGE);
		iov[used++] = (struct iovec){ host, got };
		at.v += got;
		n -= got;
	}
	*io_n = used;
	return OK;
}
