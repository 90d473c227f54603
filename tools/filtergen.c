/* SPDX-License-Identifier: Apache-2.0 */
/* filtergen: the declared system calls (tools/syscalls.py) as seccomp filters in C, on standard
 * output. Runs while spore is built, so that nothing of libseccomp is needed where spore runs.
 *
 *     filtergen           the arrays that src/machine/jail/filter.c takes
 *     filtergen --list    a line per rule, for the check that each is used:
 *                         KIND CALL ARGUMENT MASK VALUE RARE, ARGUMENT - where all values will do
 *
 * A word that is wrong is reported at the place where it was declared, and ends the build. */
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "machine/jail/filter_code.h"

/* Linux 6.7, newer than the headers here (machine/ram/page_map.c). */
#ifndef PAGEMAP_SCAN
#define PAGEMAP_SCAN UINT64_C(0xC0606610)
#endif

/* The values ANY and SELF in a declaration: neither is a request, an operation or a pid. */
#define ANY UINT64_C(0x0A17A17A17A17A17)
#define SELF UINT64_C(0x5E1F5E1F)

enum kind { VCPU, DEVICE, CONTROL, KINDS };

static const struct kind_row {
	const char *word;
	unsigned most; /* distinct calls: a filter that grows past this is a decision, not an edit */
} kinds[KINDS] = { { "vcpu", 20 }, { "device", 40 }, { "control", 25 } };

struct rule {
	enum kind kind;
	int nr;
	const char *call;
	uint64_t value;
	const char *word;
	bool rare;
	const char *file;
	int line;
};

#define ROW(kind, call, value, rare) \
	{ kind, SYS_##call, #call, value, #value, rare, __FILE__, __LINE__ },
static const struct rule rules[] = {
#include "syscalls.inc"
};
#undef ROW

/* Calls that do many things, and the argument that says which: never allowed as a whole. */
static const struct choice {
	int nr;
	unsigned arg;
	uint64_t mask; /* of the bits that the kernel looks at */
} choices[] = {
	{ SYS_ioctl, 1, UINT32_MAX },
	{ SYS_fcntl, 1, UINT32_MAX },
	{ SYS_prctl, 0, UINT32_MAX },
	{ SYS_futex, 1, UINT32_MAX & ~(uint64_t)(FUTEX_PRIVATE_FLAG | FUTEX_CLOCK_REALTIME) },
	{ SYS_madvise, 2, UINT32_MAX },
	{ SYS_tgkill, 0, UINT32_MAX },
	{ SYS_kill, 0, UINT32_MAX },
	{ SYS_rt_sigaction, 0, UINT32_MAX },
	{ SYS_newfstatat, 3, UINT32_MAX }, /* AT_EMPTY_PATH: of a descriptor */
};

/* Memory never becomes code. */
static const int no_code[] = { SYS_mmap, SYS_mprotect };

static _Noreturn void refuse(const struct rule *r, const char *why)
{
	fprintf(stderr, "%s:%d: %s=%s: %s\n", r->file, r->line, r->call, r->word, why);
	exit(1);
}

static const struct choice *choice_of(const struct rule *r)
{
	for (size_t i = 0; i < countof(choices); i++) {
		if (choices[i].nr == r->nr) {
			if (r->value == ANY)
				refuse(r, "is allowed by value only: say which");
			if ((r->value & ~choices[i].mask) != 0)
				refuse(r, "the value has bits that are not compared");
			return &choices[i];
		}
	}
	if (r->value != ANY)
		refuse(r, "no argument of this call is compared");
	return NULL;
}

static bool is_no_code(int nr)
{
	return nr == no_code[0] || nr == no_code[1];
}

/* Declared before, for the same kind. */
static bool is_repeated(size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (rules[k].kind == rules[i].kind && rules[k].nr == rules[i].nr &&
		    rules[k].value == rules[i].value)
			return true;
	return false;
}

static void rule_add(scmp_filter_ctx c, const struct rule *r)
{
	const struct choice *by = choice_of(r);
	struct scmp_arg_cmp cmp = { 0 };
	int status;

	if (by != NULL)
		cmp = (struct scmp_arg_cmp){ by->arg, SCMP_CMP_MASKED_EQ, by->mask, r->value };
	else if (is_no_code(r->nr))
		cmp = (struct scmp_arg_cmp){ 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 };
	status = cmp.op != 0 ? seccomp_rule_add_exact_array(c, SCMP_ACT_ALLOW, r->nr, 1, &cmp)
			     : seccomp_rule_add_exact_array(c, SCMP_ACT_ALLOW, r->nr, 0, NULL);
	if (status != 0)
		refuse(r, strerror(-status));
}

static void calls_count(enum kind kind)
{
	unsigned n = 0;

	for (size_t i = 0; i < countof(rules); i++) {
		bool before = false;

		for (size_t k = 0; k < i; k++)
			before = before || (rules[k].kind == kind && rules[k].nr == rules[i].nr);
		if (rules[i].kind == kind && !before && ++n > kinds[kind].most)
			refuse(&rules[i], "one call more than such a thread may have");
	}
}

static scmp_filter_ctx filter_make(enum kind kind)
{
	scmp_filter_ctx c = seccomp_init(SCMP_ACT_KILL_PROCESS);

	calls_count(kind);
	if (c == NULL || seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) != 0) {
		fprintf(stderr, "filtergen: libseccomp gives no filter\n");
		exit(1);
	}
	for (size_t i = 0; i < countof(rules); i++)
		if (rules[i].kind == kind && !is_repeated(i))
			rule_add(c, &rules[i]);
	/* What a vCPU does all the time is looked at first. */
	(void)seccomp_syscall_priority(c, SYS_ioctl, 255);
	return c;
}

static size_t filter_export(scmp_filter_ctx c, struct sock_filter ret[FILTER_MAX])
{
	FILE *f = tmpfile();
	size_t n;

	if (f == NULL || seccomp_export_bpf(c, fileno(f)) != 0 || fseek(f, 0, SEEK_END) != 0 ||
	    ftell(f) > (long)(FILTER_MAX * sizeof ret[0])) {
		fprintf(stderr, "filtergen: a filter cannot be written, or is too long\n");
		exit(1);
	}
	rewind(f);
	n = fread(ret, sizeof ret[0], FILTER_MAX, f);
	(void)fclose(f);
	return n;
}

static bool compares_self(const struct sock_filter *i)
{
	return BPF_CLASS(i->code) == BPF_JMP && BPF_OP(i->code) == BPF_JEQ && i->k == SELF;
}

static void filter_print(enum kind kind)
{
	struct sock_filter code[FILTER_MAX];
	scmp_filter_ctx c = filter_make(kind);
	size_t n = filter_export(c, code), n_self = 0;
	unsigned wanted = 0;

	seccomp_release(c);
	for (size_t i = 0; i < countof(rules); i++)
		wanted += rules[i].kind == kind && rules[i].value == SELF && !is_repeated(i);
	printf("static const struct sock_filter %s[] = {\n", kinds[kind].word);
	for (size_t i = 0; i < n; i++) {
		n_self += compares_self(&code[i]);
		printf("\t{ %#x, %u, %u, %#x },\n", code[i].code, code[i].jt, code[i].jf, code[i].k);
	}
	printf("};\n");
	if (n_self != wanted || n_self > FILTER_SELF_MAX) {
		fprintf(stderr, "filtergen: %zu comparisons with the own pid, expected %u\n", n_self,
			wanted);
		exit(1);
	}
	printf("#define %s_SELF { ", kinds[kind].word);
	for (size_t i = 0; i < n; i++)
		if (compares_self(&code[i]))
			printf("%zu, ", i);
	printf("}\n#define %s_N_SELF %zu\n", kinds[kind].word, n_self);
}

static void list(void)
{
	for (size_t i = 0; i < countof(rules); i++) {
		const struct rule *r = &rules[i];
		const struct choice *by = choice_of(r);

		if (is_repeated(i))
			continue;
		printf("%s %s ", kinds[r->kind].word, r->call);
		if (by != NULL)
			printf("%u %#llx ", by->arg, (unsigned long long)by->mask);
		else
			printf("- 0 ");
		printf("%s %#llx %d\n", r->word, (unsigned long long)r->value, r->rare);
	}
}

int main(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	printf("/* Made by tools/filtergen.c. */\n#include \"machine/jail/filter_code.h\"\n\n");
	for (enum kind k = 0; k < KINDS; k++)
		filter_print(k);
	printf("const struct filter_code filter_codes[] = {\n");
	for (enum kind k = 0; k < KINDS; k++)
		printf("\t{ %s, countof(%s), %s_N_SELF, %s_SELF },\n", kinds[k].word, kinds[k].word,
		       kinds[k].word, kinds[k].word);
	printf("};\n");
	return 0;
}
