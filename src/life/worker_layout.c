/* SPDX-License-Identifier: Apache-2.0 */
/* The memfd has what KVM answered, by its length; the length that the blank file would have, then its
 * front. */
#include "life/worker_layout.h"

#include <errno.h>
#include <inttypes.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/blank.h"

static err_t write_all(int memfd, const void *bytes, size_t n, struct diag *d)
{
	if (write(memfd, bytes, n) != (ssize_t)n)
		return diag_sys(d, FAIL_SYS(errno), "writing a layout for workers");
	return OK;
}

static err_t write_number(int memfd, uint64_t number, struct diag *d)
{
	uint8_t bytes[8];
	struct out o = out_of(bytes, sizeof bytes);

	out_u64(&o, number);
	return write_all(memfd, bytes, sizeof bytes, d);
}

static err_t write_answers(int memfd, int kvm, struct diag *d)
{
	owned_heap void *answers = calloc(1, arch_answers_len());

	if (answers == NULL)
		return FAIL(ERR_NOMEM);
	TRY(arch_answers_get(kvm, d, answers));
	TRY(write_number(memfd, arch_answers_len(), d));
	return write_all(memfd, answers, arch_answers_len(), d);
}

static err_t write_front(int memfd, const struct capture_front *f, struct diag *d)
{
	TRY(write_number(memfd, f->total.v, d));
	return write_all(memfd, f->bytes, f->len, d);
}

err_t worker_layout_write(const struct image *like, int kvm, struct diag *d, fd_t *ret_memfd)
{
	owned_fd memfd = { memfd_create("spore-layout", MFD_CLOEXEC) };
	struct capture_front front = { 0 };
	err_t e;

	if (!fd_is_open(memfd))
		return diag_sys(d, FAIL_SYS(errno), "making a layout for workers");
	TRY(write_answers(memfd.raw, kvm, d));
	TRY(blank_of(like, d, &front));
	e = write_front(memfd.raw, &front, d);
	free(front.bytes);
	TRY(e);
	*ret_memfd = fd_take(&memfd);
	return OK;
}

static err_t parse(struct cur c, struct diag *d, const struct image **ret)
{
	uint64_t len, total;
	struct cur answers;

	TRY(cur_u64(&c, &len));
	TRY(cur_take(&c, (size_t)len, &answers));
	TRY(arch_answers_know(answers, d));
	TRY(cur_u64(&c, &total));
	return image_parse(c, FOFF(total), d, ret);
}

/* Mapped, not copied: every worker inherits what the heap is like afterwards. */
err_t worker_layout_read(int memfd, struct diag *d, const struct image **ret_layout)
{
	off_t len = lseek(memfd, 0, SEEK_END);
	owned_map map = MAP_NONE;
	void *at;

	if (len < 8 || len > (off_t)GIB(1))
		return diag_fail(d, FAIL(ERR_SIZE), "a layout of %" PRIi64 " bytes", (int64_t)len);
	at = mmap(NULL, (size_t)len, PROT_READ, MAP_PRIVATE, memfd, 0);
	if (at == MAP_FAILED)
		return diag_sys(d, FAIL_SYS(errno), "reading a layout");
	map = (map_t){ at, (size_t)len };
	return parse(cur_of(map.base, map.len), d, ret_layout);
}
