/* SPDX-License-Identifier: Apache-2.0 */
/* A machine of so much RAM and no more than a loader needs: its geometry, and RAM that is fresh. */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "machine/ram/gmem.h"
#include "unit/plan/shapes.h"
#include "unit/wire/kernel_images.h"

struct boot_ram {
	const struct geometry *geometry;
	struct gmem gmem;
	size_t len;
};

static inline struct boot_ram boot_ram_new(uint64_t bytes)
{
	struct shape shape = shape_of(1, bytes, 1);
	struct boot_ram r = { .geometry = geometry_of(&shape), .len = bytes };

	r.gmem.base = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	assert_ptr_not_equal(r.gmem.base, MAP_FAILED);
	r.gmem.n_regions = geometry_ram_regions(r.geometry);
	for (uint32_t i = 0; i < r.gmem.n_regions; i++)
		r.gmem.regions[i] = geometry_ram_region(r.geometry, i);
	return r;
}

/* A file with these bytes; close it. */
static inline int file_of(struct blob b)
{
	int fd = memfd_create("boot", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, b.bytes, b.len), (ssize_t)b.len);
	return fd;
}

static inline void boot_ram_free(struct boot_ram *r)
{
	(void)munmap(r->gmem.base, r->len);
	geometry_free(r->geometry);
}

/* Below the hole a guest address is an offset in RAM. */
static inline const uint8_t *boot_ram_at(const struct boot_ram *r, uint64_t at)
{
	return r->gmem.base + at;
}

static inline uint64_t boot_ram_get(const struct boot_ram *r, uint64_t at, unsigned width)
{
	uint64_t v = 0;

	memcpy(&v, boot_ram_at(r, at), width);
	return v;
}

/* Is that page of fresh memory still without memory behind it? To be asked before it is read. */
static inline bool boot_ram_untouched(const struct boot_ram *r, uint64_t at)
{
	unsigned char resident = 1;

	assert_int_equal(mincore(r->gmem.base + at, 4096, &resident), 0);
	return (resident & 1) == 0;
}

/* The vmlinux of kernel_images.h lies in memory as its program headers ask. */
static inline void assert_vmlinux_placed(const struct boot_ram *r, struct blob vmlinux)
{
	assert_memory_equal(boot_ram_at(r, VMLINUX_TEXT_GPA), vmlinux.bytes + VMLINUX_TEXT_AT,
			    VMLINUX_TEXT);
	assert_memory_equal(boot_ram_at(r, VMLINUX_DATA_GPA), vmlinux.bytes + VMLINUX_DATA_AT,
			    VMLINUX_DATA);
	for (size_t i = VMLINUX_DATA; i < VMLINUX_DATA_MEM; i++)
		assert_int_equal(*boot_ram_at(r, VMLINUX_DATA_GPA + i), 0);
}
