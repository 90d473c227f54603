/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses without a mapping for memory that comes later.
 *
 * KVM takes a slot on addresses where nothing is mapped yet. To map something there then costs a
 * mapping; to replace what was there as a place-holder would cost KVM a walk over the slot, which
 * grows with it (18 times as much for 8 GiB as for 128 MiB).
 *
 * Nothing but the length holds such addresses, so they are taken far from where the kernel looks for
 * room (down from the stack, Documentation/arch/x86/x86_64/mm.rst), in places of one size each, and
 * the first page of a place is mapped to say that it is taken. Should somebody else's mapping lie in
 * it after all, mapping the memory fails, and nothing of theirs is touched. */
#include <errno.h>
#include <sys/random.h>

#include "machine/ram/ram_parts.h"

#define AREA_BASE UINT64_C(0x100000000000)
#define AREA_LEN  UINT64_C(0x40000000000) /* one area for each size */
enum { PLACE_LEAST = 25, PLACE_MOST = 40, TRIES = 16 };
#define LEAD MIB(2) /* keeps huge pages aligned behind the page that says taken */

static unsigned place_bits(uint64_t len)
{
	unsigned bits = PLACE_LEAST;

	while (bits <= PLACE_MOST && (UINT64_C(1) << bits) < len + LEAD)
		bits++;
	return bits;
}

static void *claim_at(uint64_t at)
{
	void *page = mmap((void *)(uintptr_t)at, HOST_PAGE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	/* An older kernel takes the address for a hint (mmap(2)). */
	if (page != MAP_FAILED && (uintptr_t)page != at) {
		(void)munmap(page, HOST_PAGE);
		return MAP_FAILED;
	}
	return page;
}

void *ram_claim(uint64_t len, map_t *ret_claim)
{
	unsigned bits = place_bits(len);
	uint64_t area = AREA_BASE + (bits - PLACE_LEAST) * AREA_LEN, n;

	if (bits > PLACE_MOST)
		return NULL;
	for (int i = 0; i < TRIES; i++) {
		void *page;

		if (getrandom(&n, sizeof n, 0) != sizeof n)
			return NULL;
		page = claim_at(area + (n % (AREA_LEN >> bits) << bits));
		if (page == MAP_FAILED)
			continue;
		*ret_claim = (map_t){ page, HOST_PAGE };
		return (uint8_t *)page + LEAD;
	}
	return NULL;
}
