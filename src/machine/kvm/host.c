/* SPDX-License-Identifier: Apache-2.0 */
#include "machine/kvm/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "machine/kvm/host_arch.h"
#include "machine/kvm/kvm.h"

static struct host_row *row_add(struct host_report *r, const char *name, enum host_level level)
{
	static struct host_row spare; /* a report that is full loses its last rows, not memory */
	struct host_row *row = r->n < HOST_ROWS_MAX ? &r->rows[r->n++] : &spare;

	*row = (struct host_row){ .level = level };
	(void)snprintf(row->name, sizeof row->name, "%s", name);
	return row;
}

static void set(char *to, size_t cap, const char *fmt, ...) printf_like(3, 4);

static void set(char *to, size_t cap, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(to, cap, fmt, args);
	va_end(args);
}

#define VALUE(row, ...) set((row)->value, sizeof (row)->value, __VA_ARGS__)
#define ADVICE(row, ...) set((row)->advice, sizeof (row)->advice, __VA_ARGS__)

void host_row_add(struct host_report *io_report, const char *name, enum host_level level,
		  const char *advice, const char *value_fmt, ...)
{
	struct host_row *row = row_add(io_report, name, level);
	va_list args;

	va_start(args, value_fmt);
	(void)vsnprintf(row->value, sizeof row->value, value_fmt, args);
	va_end(args);
	ADVICE(row, "%s", advice);
}

/* The first word of a small file, or "". */
static void read_word(const char *path, char *to, size_t cap)
{
	FILE *f = fopen(path, "re");

	to[0] = '\0';
	if (f == NULL)
		return;
	if (fgets(to, (int)cap, f) == NULL)
		to[0] = '\0';
	to[strcspn(to, " \n")] = '\0';
	(void)fclose(f);
}

static bool exists(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0;
}

/* A module of the kvm family that is neither Intel's nor AMD's. */
static bool software_module(char *to, size_t cap)
{
	DIR *dir = opendir("/sys/module");
	struct dirent *e;
	bool found = false;

	while (dir != NULL && !found && (e = readdir(dir)) != NULL) {
		found = strncmp(e->d_name, "kvm_", 4) == 0 && strcmp(e->d_name, "kvm_intel") != 0 &&
			strcmp(e->d_name, "kvm_amd") != 0;
		if (found)
			set(to, cap, "%s", e->d_name);
	}
	if (dir != NULL)
		(void)closedir(dir);
	return found;
}

enum host_kvm host_kvm_kind(void)
{
	char module[64];

	if (!exists("/dev/kvm"))
		return HOST_KVM_NONE;
	if (exists("/sys/module/kvm_intel") || exists("/sys/module/kvm_amd") ||
	    !software_module(module, sizeof module))
		return HOST_KVM_HARDWARE;
	return HOST_KVM_SOFTWARE;
}

static void probe_kind(struct host_report *r)
{
	char module[64] = "";
	struct host_row *row;

	r->kvm = host_kvm_kind();
	row = row_add(r, "kvm-kind", HOST_OK);
	switch (r->kvm) {
	case HOST_KVM_NONE:
		row->level = HOST_FAIL;
		VALUE(row, "none");
		ADVICE(row, "No machine can run here: see the row kvm.");
		return;
	case HOST_KVM_HARDWARE:
		VALUE(row, "hardware (%s)", exists("/sys/module/kvm_intel") ? "vmx"
					  : exists("/sys/module/kvm_amd") ? "svm" : "built in");
		return;
	case HOST_KVM_SOFTWARE:
		(void)software_module(module, sizeof module);
		row->level = HOST_WARN;
		VALUE(row, "software (%s)", module);
		ADVICE(row, "Small guests run; a stock Linux kernel does not: its kernel mode is "
			    "interpreted, without SSE and XSAVE. Use a host with VT-x or AMD-V.");
		return;
	}
	unreachable_by_type();
}

static void probe_device(struct host_report *r, err_t opening)
{
	struct host_row *row = row_add(r, "kvm", HOST_OK);

	if (opening.code != ERR_NO_KVM) {
		VALUE(row, "/dev/kvm");
		return;
	}
	row->level = HOST_FAIL;
	VALUE(row, "/dev/kvm %s", exists("/dev/kvm") ? "is not KVM's device" : "is missing");
	ADVICE(row, "Switch virtualisation on in the firmware (or nested virtualisation in the "
		    "hypervisor above), then `modprobe kvm_intel` or `modprobe kvm_amd`.");
}

/* Whoever may not open it is told who may, and the one command that mends it. */
static void probe_access(struct host_report *r, err_t opening)
{
	struct host_row *row = row_add(r, "kvm-access", HOST_OK);
	struct stat st;
	struct group *g;

	if (stat("/dev/kvm", &st) != 0) {
		row->level = HOST_FAIL;
		VALUE(row, "not there");
		return;
	}
	if (opening.code != ERR_KVM_ACCESS) {
		VALUE(row, "can be opened");
		return;
	}
	row->level = HOST_FAIL;
	g = getgrgid(st.st_gid);
	VALUE(row, "group %s, mode %03o", g == NULL ? "?" : g->gr_name, (unsigned)st.st_mode & 0777);
	if (g != NULL && st.st_gid != 0 && (st.st_mode & 060) == 060)
		ADVICE(row, "`sudo usermod -aG %s $USER`, then log in again.", g->gr_name);
	else
		ADVICE(row, "`sudo chgrp kvm /dev/kvm && sudo chmod 660 /dev/kvm && "
		       "sudo usermod -aG kvm $USER`, then log in again.");
}

static void probe_caps(struct host_report *r, int kvm)
{
	size_t n;
	const struct kvm_cap_name *caps = kvm_needed_caps(&n);

	for (size_t i = 0; i < n; i++) {
		const char *word = caps[i].name + strlen("KVM_CAP_");
		char name[40] = "cap-";
		int value = kvm_cap(kvm, caps[i].cap);
		struct host_row *row;

		for (size_t k = 0; word[k] != '\0' && k + 5 < sizeof name; k++) {
			name[4 + k] = word[k] == '_' ? '-' : (char)(word[k] | 0x20);
			name[5 + k] = '\0';
		}
		row = row_add(r, name, value > 0 ? HOST_OK : HOST_FAIL);
		VALUE(row, "%d", value);
		if (value <= 0)
			ADVICE(row, "A newer kernel is needed: Linux 5.16 has all that spore uses.");
	}
}

static void probe_tsc(struct host_report *r, int kvm)
{
	struct host_row *row = row_add(r, "tsc-offset", HOST_OK);

	if (host_tsc_offset_works(kvm)) {
		VALUE(row, "honoured");
		return;
	}
	row->level = HOST_WARN;
	VALUE(row, "ignored");
	ADVICE(row, "This KVM does not virtualise the TSC: a restored guest that reads it sees the "
		    "time it was frozen, and other hosts' counts.");
}

static void probe_nx(struct host_report *r)
{
	struct host_row *row = row_add(r, "nx-huge-pages", HOST_OK);
	char value[16];

	read_word("/sys/module/kvm/parameters/nx_huge_pages", value, sizeof value);
	VALUE(row, "%s", value[0] == '\0' ? "not there" : value);
	if (value[0] != '\0' && strcmp(value, "never") != 0) {
		row->level = HOST_WARN;
		ADVICE(row, "Making a VM also makes a recovery thread, which can cost milliseconds; "
			    "where guests are trusted or the processor is not affected: "
			    "kvm.nx_huge_pages=never.");
	}
}

static void probe_cgroup(struct host_report *r)
{
	struct host_row *row = row_add(r, "cgroup-favordynmods", HOST_OK);
	char line[512];
	FILE *f = fopen("/proc/mounts", "re");
	bool v2 = false, favor = false;

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		if (strstr(line, " cgroup2 ") == NULL)
			continue;
		v2 = true;
		favor = favor || strstr(line, "favordynmods") != NULL;
	}
	if (f != NULL)
		(void)fclose(f);
	VALUE(row, "%s", favor ? "on" : v2 ? "off" : "no cgroup2");
	if (v2 && !favor) {
		row->level = HOST_WARN;
		ADVICE(row, "Moving a new VM's kernel thread between cgroups waits for RCU, which can "
			    "cost tens of milliseconds: "
			    "`mount -o remount,favordynmods /sys/fs/cgroup` (Linux 6.0 or newer).");
	}
}

static void probe_memory(struct host_report *r)
{
	struct host_row *row = row_add(r, "memory", HOST_OK);
	struct sysinfo s;
	char mode[8];

	if (sysinfo(&s) != 0)
		return;
	read_word("/proc/sys/vm/overcommit_memory", mode, sizeof mode);
	VALUE(row, "%" PRIu64 " MiB free of %" PRIu64 ", overcommit mode %s",
	      (uint64_t)s.freeram * s.mem_unit >> 20, (uint64_t)s.totalram * s.mem_unit >> 20, mode);
	if (strcmp(mode, "2") == 0) {
		row->level = HOST_WARN;
		ADVICE(row, "vm.overcommit_memory=2 counts all of a guest's RAM at once, used or not.");
	}
}

void host_probe(struct host_report *ret_report)
{
	struct diag why = DIAG_INIT;
	owned_fd kvm = FD_NONE;
	err_t opening;

	*ret_report = (struct host_report){ 0 };
	opening = kvm_open(&why, &kvm);
	probe_device(ret_report, opening);
	probe_access(ret_report, opening);
	probe_kind(ret_report);
	if (opening.code == ERR_NO_KVM)
		ret_report->kvm = HOST_KVM_NONE;
	if (!failed(opening)) {
		VALUE(row_add(ret_report, "kvm-api", HOST_OK), "12");
		probe_caps(ret_report, kvm.raw);
		probe_tsc(ret_report, kvm.raw);
	}
	probe_nx(ret_report);
	probe_cgroup(ret_report);
	probe_memory(ret_report);
}
