/* SPDX-License-Identifier: Apache-2.0 */
#include "life/parcel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "base/heap.h"
#include "life/zygote_parts.h"

enum { HEAD_MOST = 64 << 10, DEVICE_MOST = 64 << 10 }; /* of an heir's state: more than they take */

/* ---- packing ---- */

struct packing {
	struct parcel parcel;
	uint8_t *maps[SHAPE_DEVICES_MAX]; /* owned, by disk */
	struct zygote_files files;
};

static void packing_drop(struct packing *p)
{
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		free(p->maps[i]);
	parcel_clear(&p->parcel);
	free(p);
}

static err_t add_files(struct packing *p, const int *fds, uint32_t n, struct diag *d)
{
	if (p->files.n + n > ZYGOTE_FILES_MAX)
		return diag_fail(d, FAIL(ERR_SIZE), "a zygote with more than %d files cannot be "
				 "handed over", ZYGOTE_FILES_MAX);
	memcpy(p->files.fd + p->files.n, fds, n * sizeof fds[0]);
	p->files.n += n;
	return OK;
}

static err_t pack_ram(struct packing *p, const struct zygote *z, struct diag *d)
{
	p->parcel.n_files = ram_base_sources(z->ram);
	p->parcel.pieces = *ram_base_extents(z->ram);
	for (uint32_t i = 0; i < p->parcel.n_files; i++) {
		int fd = ram_base_source(z->ram, i);

		TRY(add_files(p, &fd, 1, d));
	}
	return OK;
}

static err_t pack_disks(struct packing *p, const struct zygote *z, struct diag *d)
{
	struct parcel *parcel = &p->parcel;

	parcel->disks = calloc(SHAPE_DEVICES_MAX, sizeof parcel->disks[0]);
	if (parcel->disks == NULL)
		return FAIL(ERR_NOMEM);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++) {
		uint32_t n = parcel->n_disks;
		struct disk_files files;

		if (z->disks[i] == NULL)
			continue;
		TRY(disk_base_pack(z->disks[i], &parcel->disks[n], &p->maps[n], &files));
		parcel->disks[n].slot = i;
		parcel->n_disks = n + 1;
		TRY(add_files(p, files.fd, files.n, d));
	}
	return OK;
}

err_t zygote_file_new(struct diag *d, fd_t *ret)
{
	*ret = (fd_t){ memfd_create("spore-zygote", MFD_CLOEXEC | MFD_ALLOW_SEALING) };
	if (!fd_is_open(*ret))
		return diag_sys(d, FAIL_SYS(errno), "packing a zygote");
	return OK;
}

void zygote_give_file(struct zygote *z, fd_t *memfd)
{
	fd_drop(&z->unpacked);
	z->unpacked = fd_take(memfd);
}

/* Sealed, so that who reads it need not copy it first. */
/* syscalls(control): write fcntl=F_ADD_SEALS */
static err_t write_bytes(const struct parcel *p, int memfd, struct diag *d)
{
	size_t room = parcel_room(p);
	owned_heap uint8_t *bytes = malloc(room);
	struct out o = out_of(bytes, room);

	if (bytes == NULL)
		return FAIL(ERR_NOMEM);
	parcel_encode(&o, p);
	TRY(out_done(&o));
	if (write(memfd, o.base, o.len) != (ssize_t)o.len ||
	    fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW) != 0)
		return diag_sys(d, FAIL_SYS(errno), "packing a zygote");
	return OK;
}

static err_t pack(struct packing *p, struct zygote *z, struct diag *d)
{
	p->files.n = 1; /* the bytes come first */
	memcpy(p->parcel.id, z->id.bytes, sizeof p->parcel.id);
	memcpy(p->parcel.parent, z->parent.bytes, sizeof p->parcel.parent);
	p->parcel.total = z->total;
	p->parcel.front = cur_of(z->front, z->front_len);
	TRY(pack_ram(p, z, d));
	TRY(pack_disks(p, z, d));
	if (!fd_is_open(z->unpacked))
		TRY(zygote_file_new(d, &z->unpacked));
	TRY(write_bytes(&p->parcel, z->unpacked.raw, d));
	z->packed = fd_take(&z->unpacked);
	p->files.fd[0] = z->packed.raw;
	return OK;
}

err_t zygote_pack(struct zygote *z, struct diag *d, struct zygote_files *ret)
{
	struct packing *p;
	err_t e = OK;

	pthread_mutex_lock(&z->pack_lock);
	if (!fd_is_open(z->packed)) {
		p = calloc(1, sizeof *p);
		e = p == NULL ? FAIL(ERR_NOMEM) : pack(p, z, d);
		if (!failed(e))
			z->files = p->files;
		if (p != NULL)
			packing_drop(p);
	}
	if (!failed(e))
		*ret = z->files;
	pthread_mutex_unlock(&z->pack_lock);
	return e;
}

/* ---- unpacking ---- */

/* syscalls(control): fcntl=F_GET_SEALS newfstatat=AT_EMPTY_PATH pread64 */
static err_t read_bytes(int memfd, uint64_t most, struct diag *d, uint8_t **ret, size_t *ret_len)
{
	int want = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW, seals = fcntl(memfd, F_GET_SEALS);
	owned_heap uint8_t *bytes = NULL;
	struct stat st;

	if (seals < 0 || (seals & want) != want || fstat(memfd, &st) != 0)
		return diag_fail(d, FAIL(ERR_STATE), "a zygote's state is not sealed");
	if (st.st_size <= 0 || (uint64_t)st.st_size > most)
		return diag_fail(d, FAIL(ERR_SIZE), "a zygote's state is %" PRIi64 " bytes, expected at "
				 "most %" PRIu64, (int64_t)st.st_size, most);
	bytes = malloc((size_t)st.st_size);
	if (bytes == NULL)
		return FAIL(ERR_NOMEM);
	if (pread(memfd, bytes, (size_t)st.st_size, 0) != st.st_size)
		return diag_sys(d, FAIL_SYS(errno), "reading a zygote's state");
	*ret_len = (size_t)st.st_size;
	*ret = take_ptr(bytes);
	return OK;
}

static err_t unpack_state(const struct parcel *p, struct diag *d, struct zygote **ret)
{
	size_t len = cur_left(&p->front);
	owned_heap uint8_t *front = malloc(len + 1);
	struct zygote *z;

	if (front == NULL)
		return FAIL(ERR_NOMEM);
	memcpy(front, p->front.at, len);
	TRY(zygote_of_front(&front, len, p->total, d, &z));
	memcpy(z->id.bytes, p->id, sizeof z->id.bytes);
	memcpy(z->parent.bytes, p->parent, sizeof z->parent.bytes);
	*ret = z;
	return OK;
}

/* Every disk of the state and no other, of the size that it says. */
static err_t disk_check(const struct zygote *z, const struct parcel *p, struct diag *d)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < topology_slots(geometry_topology(image_geometry(z->image))); i++) {
		struct blk_view view;

		if (!device_as_blk(image_device(z->image, (slot_id){ i }), &view))
			continue;
		if (n >= p->n_disks || p->disks[n].slot != i ||
		    p->disks[n].capacity.v != view.dev->blk.capacity.v)
			return diag_field(d, FAIL(ERR_DEVICE), "parcel", "disk.slot",
					  "are not the disks of the machine");
		n++;
	}
	if (n != p->n_disks)
		return diag_field(d, FAIL(ERR_DEVICE), "parcel", "n_disks",
				  "is %" PRIu32 ", the machine has %" PRIu32, p->n_disks, n);
	return OK;
}

static err_t unpack_files(struct zygote *z, const struct parcel *p, fd_t *fds, struct diag *d)
{
	struct ram_files files = { .n = p->n_files };

	for (uint32_t i = 0; i < p->n_files; i++)
		files.fd[i] = fd_take(fds++);
	TRY(ram_base_of_memfds(&files, &p->pieces, geometry_ram(image_geometry(z->image)), d,
			       &z->ram));
	TRY(disk_check(z, p, d));
	for (uint32_t i = 0; i < p->n_disks; i++) {
		TRY(disk_base_unpack(&p->disks[i], fds, d, &z->disks[p->disks[i].slot]));
		fds += 1 + p->disks[i].n_layers;
	}
	return OK;
}

static err_t unpack(struct parcel *p, fd_t *fds, uint32_t n, struct diag *d, struct zygote **ret)
{
	struct zygote *z;
	err_t e;

	if (n != parcel_descriptors(p))
		return diag_field(d, FAIL(ERR_SIZE), "parcel", "descriptors",
				  "are %" PRIu32 ", expected %" PRIu32, n, parcel_descriptors(p));
	TRY(unpack_state(p, d, &z));
	e = unpack_files(z, p, fds, d);
	if (failed(e)) {
		zygote_free(z);
		return e;
	}
	*ret = z;
	return OK;
}

static err_t read_and_unpack(fd_t *fds, uint32_t n, uint64_t most, struct diag *d,
			     struct zygote **ret)
{
	owned_heap uint8_t *bytes = NULL;
	struct parcel p;
	size_t len = 0;
	err_t e;

	if (n == 0)
		return diag_field(d, FAIL(ERR_MISSING), "parcel", "descriptors", "there are none");
	TRY(read_bytes(fds[0].raw, most, d, &bytes, &len));
	TRY(parcel_parse(cur_of(bytes, len), d, &p));
	e = unpack(&p, fds + 1, n - 1, d, ret);
	parcel_clear(&p);
	return e;
}

/* A machine that was spawned describes no layers of disks in its own state: they go beside it. */
static uint64_t section_most(enum sect_kind k)
{
	switch (k) {
	case SECT_DEVICE:
		return DEVICE_MOST;
	case SECT_RAM_SUMS:
	case SECT_RAM:
		return 0;
	case SECT_INVENTORY:
	case SECT_TOPOLOGY:
	case SECT_CONFIG:
	case SECT_VCPU:
	case SECT_IRQCHIP:
	case SECT_CLOCK:
	case SECT_SERIAL:
	case SECT_RAM_MAP:
		return sect_kind_max(k).v;
	}
	unreachable_by_type();
}

static uint64_t heir_most(const struct zygote *of)
{
	const struct geometry *g = image_geometry(of->image);
	uint64_t most = HEAD_MOST + of->front_len;

	for (uint32_t i = 0; i < geometry_rows(g); i++)
		most += section_most(geometry_row(g, i).kind);
	for (uint32_t i = 0; i < SHAPE_DEVICES_MAX; i++)
		if (of->disks[i] != NULL)
			most += sizeof(struct parcel_disk) + disk_base_maps_most(of->disks[i]).v;
	return most;
}

err_t zygote_unpack(fd_t *fds, uint32_t n, struct diag *d, struct zygote **ret_zygote)
{
	return zygote_unpack_heir(fds, n, NULL, d, ret_zygote);
}

err_t zygote_unpack_heir(fd_t *fds, uint32_t n, const struct zygote *of, struct diag *d,
			 struct zygote **ret_zygote)
{
	err_t e = read_and_unpack(fds, n, of != NULL ? heir_most(of) : GIB(1), d, ret_zygote);

	for (uint32_t i = 0; i < n; i++)
		fd_drop(&fds[i]);
	return e;
}
