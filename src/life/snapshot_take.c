/* SPDX-License-Identifier: Apache-2.0 */
/* vm_paused -> file. State is read and encoded, RAM is scanned, the layout is planned; then RAM is
 * written and everything else after it; the file gets its name last. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/heap.h"
#include "life/arch.h"
#include "life/capture.h"
#include "life/disk_copies.h"
#include "life/new_file.h"
#include "life/phases.h"
#include "life/snapshot_file.h"
#include "life/state.h"

/* ---- RAM ---- */

/* Blocks that lie together in memory and in the file are written together: runs make large folios,
 * and those make the restored guest's first faults cheap. Not more: folios of megabytes took twice as
 * long to write on a host whose free memory is handed back to a hypervisor. */
enum { RUN_MAX = 256 << 10 };

struct ram_write {
	const struct new_file *file;
	struct ram_scan *scan;
	const struct snapshot_options *options;
	struct diag *d;
	uint64_t ram_at;          /* in the file */
	const uint8_t *run;       /* not written yet */
	uint64_t run_at, run_len;
	uint64_t done;            /* bytes written of all */
};

static err_t flush_run(struct ram_write *w)
{
	if (w->run_len == 0)
		return OK;
	TRY(new_file_write(w->file, w->run, w->run_len, w->run_at, w->d));
	new_file_start_sync(w->file, w->run_at, w->run_len);
	w->done += w->run_len;
	w->run_len = 0;
	if (w->options->progress != NULL)
		w->options->progress(w->options->ctx, w->done, w->scan->present * RAM_BLOCK);
	return OK;
}

static err_t write_block(void *ctx, uint64_t index, const uint8_t *bytes, bool in_place)
{
	struct ram_write *w = ctx;
	uint64_t at = w->ram_at + index * RAM_BLOCK;

	if (!ram_scan_has(w->scan, index))
		return OK;
	ram_scan_sum(w->scan, bytes);
	if (w->run_len != 0 && at == w->run_at + w->run_len && bytes == w->run + w->run_len &&
	    w->run_len + RAM_BLOCK <= RUN_MAX) {
		w->run_len += RAM_BLOCK;
		return OK;
	}
	TRY(flush_run(w));
	w->run = bytes;
	w->run_at = at;
	w->run_len = RAM_BLOCK;
	return in_place ? OK : flush_run(w);
}

static err_t write_ram(const struct vm *vm, struct quiesced q, const struct new_file *file,
		       foff_t at, const struct snapshot_options *o, struct diag *d,
		       struct ram_scan *scan)
{
	struct ram_write w = { .file = file, .scan = scan, .options = o, .d = d, .ram_at = at.v };

	TRY(ram_walk(vm->ram, q, d, (struct ram_visitor){ .block = write_block, .ctx = &w }));
	return flush_run(&w);
}

/* ---- header, table and sections ---- */

static err_t write_head(const struct vm *vm, const struct new_file *file, const struct capture *c,
			bytes_t total, struct diag *d)
{
	uint8_t page_and_table[SNAP_HEAD_SIZE + SNAP_ROWS_MAX * SNAP_ROW_SIZE];
	struct out o = out_of(page_and_table, sizeof page_and_table);
	struct snap_head h = capture_head(vm, c, total);

	snap_head_encode(&o, &h);
	snap_table_encode(&o, c->rows, c->n);
	TRY(out_done(&o));
	snap_head_seal(page_and_table, o.len);
	return new_file_write(file, page_and_table, o.len, 0, d);
}

static err_t write_state(const struct vm *vm, const struct new_file *file,
			 const struct capture *c, bytes_t total, struct diag *d)
{
	for (uint32_t i = 0; i < c->n; i++) {
		if (c->bytes[i] != NULL)
			TRY(new_file_write(file, c->bytes[i], c->rows[i].size.v,
					   c->rows[i].offset.v, d));
	}
	return write_head(vm, file, c, total, d);
}

/* RAM comes first although it lies last: its checksums are made while the disk is at work. */
static err_t write_all(const struct vm *vm, struct quiesced q, const struct snapshot_options *o,
		       const struct new_file *file, struct diag *d, struct ram_scan *scan,
		       struct capture *c)
{
	bytes_t total;

	TRY(geometry_layout(vm->geo, c->rows, c->n, d, &total));
	/* Holes for the padding and for blocks without data. */
	if (ftruncate(file->fd.raw, (off_t)total.v) != 0)
		return diag_sys(d, FAIL_SYS(errno), "%s: setting its length", file->name);
	TRY(write_ram(vm, q, file, c->rows[c->n - 1].offset, o, d, scan));
	TRY(capture_sums(scan, d, c));
	return write_state(vm, file, c, total, d);
}

/* ---- the whole ---- */

static err_t gather_and_write(struct vm *vm, struct quiesced q, const struct arch_state *arch,
			      const struct snapshot_options *o, struct new_file *file,
			      const struct disk_copies *copies, struct stopwatch *w, struct diag *d)
{
	struct ram_scan scan = { 0 };
	struct capture c = { 0 };
	err_t e = ram_scan_make(vm->ram, geometry_ram_blocks(vm->geo), q, d, &scan);

	stopwatch_lap(w, "scan memory");
	if (!failed(e))
		e = capture_make(vm, q, arch, &scan, copies, d, &c);
	stopwatch_lap(w, "save devices");
	if (!failed(e))
		e = write_all(vm, q, o, file, d, &scan, &c);
	stopwatch_lap(w, "write");
	capture_drop(&c);
	ram_scan_drop(&scan);
	return e;
}

static err_t machine_lives(struct vm *vm, struct diag *d)
{
	enum vm_outcome ended = vm_paused_outcome(vm_as_paused(vm), d);

	if (ended == VM_NONE)
		return OK;
	return diag_fail(d, FAIL(ERR_STATE), "the machine has ended: %s", vm_outcome_text(ended));
}

/* Whoever wrote to the file behind RAM while it was read, or cut it, has spoilt what was written:
 * pages of the guest's own go with a cut, and blocks that had no data before look absent. */
static err_t ram_was_whole(struct vm *vm, struct diag *d)
{
	TRY(machine_lives(vm, d));
	if (!ram_is_cut(vm->ram))
		return OK;
	return diag_fail(d, FAIL(ERR_RAM_LOST),
			 "the snapshot file behind the guest's RAM was cut short");
}

/* Names last, and FILE's own the very last: a process that is killed before has left nothing. */
static err_t give_names(struct new_file *file, const char *path, struct disk_copies *copies,
			struct diag *d)
{
	struct old_copies old = disk_copies_of(path);
	err_t e;

	TRY(disk_copies_name(copies, d));
	e = new_file_replace(file, d);
	if (failed(e)) {
		disk_copies_unname(copies);
		return e;
	}
	/* Replaced, but perhaps not for good: then the old file may yet need its own copies. */
	TRY(new_file_sync_names(file, d));
	disk_copies_remove_old(file, &old);
	return OK;
}

static err_t take_to(struct vm *vm, const struct snapshot_options *o, struct new_file *file,
		     struct stopwatch *w, struct diag *d)
{
	struct quiesced q = vcpus_park(vm->vcpus);
	struct arch_state *arch = NULL;
	struct disk_copies copies;
	err_t e;

	TRY(disk_copies_open(vm, file, o->disks, o->ret_warning, d, &copies));
	/* First of all: the guest's clocks run on meanwhile, and memory and disks may be large. */
	e = arch_save(vm, q, d, &arch);
	stopwatch_lap(w, "save processors");
	if (!failed(e))
		e = gather_and_write(vm, q, arch, o, file, &copies, w, d);
	arch_state_free(arch);
	if (!failed(e))
		e = ram_was_whole(vm, d);
	if (!failed(e))
		e = snapshot_judge_written(file->fd.raw, o->path, d);
	if (!failed(e))
		e = give_names(file, o->path, &copies, d);
	stopwatch_lap(w, "sync");
	disk_copies_drop(&copies);
	return e;
}

err_t snapshot_take(vm_paused *paused, const struct snapshot_options *o, struct diag *d)
{
	struct vm *vm = vm_of_paused(paused);
	struct phase_times times;
	struct stopwatch w = stopwatch_start(&times);
	struct new_file file;
	err_t e;

	TRY(machine_lives(vm, d));
	TRY(vm_settle_time(vm, d));
	TRY(new_file_open(o->path, d, &file));
	e = take_to(vm, o, &file, &w, d);
	new_file_drop(&file);
	times.in_flight = vm->in_flight;
	if (!failed(e) && o->ret_times != NULL)
		*o->ret_times = times;
	return e;
}
