/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of commands, and how a line is run: on this CPU, on another, or on
 * all at once.
 */
#include "commands.h"

#include "cpu.h"
#include "power.h"
#include "serial.h"
#include "smp.h"

const char USAGE[] = "usage:";

struct job {
	char line[LINE_MAX];
	struct reply reply;
	const char *fault;
	const char *usage; /* where the fault is USAGE */
};

static const char *cmd_help(struct args *a, struct reply *r);
static const char *cmd_on(struct args *a, struct reply *r);
static const char *cmd_all(struct args *a, struct reply *r);
static const char *cmd_echo(struct args *a, struct reply *r);
static const char *cmd_off(struct args *a, struct reply *r);
static const char *cmd_reset(struct args *a, struct reply *r);
static const char *cmd_crash(struct args *a, struct reply *r);
static const char *cmd_halt(struct args *a, struct reply *r);

/* Devices interrupt the boot CPU only, so what waits for them runs there. */
enum where { ANYWHERE, BOOT_CPU };

static const struct command {
	const char *name;
	command_fn run;
	enum where where;
	const char *usage;
	const char *help;
} commands[] = {
	{ "help", cmd_help, ANYWHERE, "[NAME]", "name the commands, or explain one" },
	{ "echo", cmd_echo, ANYWHERE, "[WORD...]", "answer with the words" },
	/* memory */
	{ "mem", cmd_mem, ANYWHERE, "", "the image's place and the loader's memory map" },
	{ "fill", cmd_fill, ANYWHERE, "SEED START LEN", "write the pattern" },
	{ "check", cmd_check, ANYWHERE, "SEED START LEN", "compare with the pattern" },
	{ "hash", cmd_hash, ANYWHERE, "START LEN", "hash memory" },
	{ "zero", cmd_zero, ANYWHERE, "START LEN", "write zeroes" },
	{ "touch", cmd_touch, ANYWHERE, "START LEN [STEP]", "increment one byte every STEP, timed" },
	{ "walk", cmd_walk, ANYWHERE, "START LEN [STEP]", "read one byte every STEP, timed" },
	{ "scatter", cmd_scatter, ANYWHERE, "[check] COUNT SEED [START LEN]",
	  "write a word into COUNT scattered pages, or compare them" },
	{ "churn", cmd_churn, BOOT_CPU, "MIB_PER_S START LEN",
	  "write without a pause, until a byte comes; then compare" },
	{ "peek", cmd_peek, ANYWHERE, "ADDRESS", "read 8 bytes" },
	{ "poke", cmd_poke, ANYWHERE, "ADDRESS VALUE", "write 8 bytes" },
	{ "vmgenid", cmd_vmgenid, ANYWHERE, "ADDRESS", "print 16 bytes" },
	{ "secret", cmd_secret, ANYWHERE, "VALUE", "set what nonce mixes in" },
	{ "nonce", cmd_nonce, ANYWHERE, "VALUE", "answer with a mix of it and the secret" },
	{ "storm", cmd_storm, ANYWHERE, "NONCE VMGENID_ADDRESS [START LEN]",
	  "mix nonce, secret and generation, dirty 16 pages, answer" },
	{ "answer", cmd_answer, BOOT_CPU, "", "each byte with the next one, until a line end" },
	/* CPUs and their registers */
	{ "cpus", cmd_cpus, BOOT_CPU, "[start|check|idle|spin]",
	  "start the CPUs; see that each counts on" },
	{ "on", cmd_on, BOOT_CPU, "CPU COMMAND...", "run a command on one CPU" },
	{ "all", cmd_all, BOOT_CPU, "COMMAND...", "run a command on every CPU at once" },
	{ "regs", cmd_regs, ANYWHERE, "[ROUNDS]", "hold known registers, until a byte comes" },
	{ "user", cmd_user, ANYWHERE, "[ROUNDS]", "the same at CPL3 with x87, SSE and AVX" },
	{ "msr", cmd_msr, ANYWHERE, "write|check SEED", "write a set of MSRs, or compare it" },
	{ "cpuid", cmd_cpuid, ANYWHERE, "LEAF [SUBLEAF]", "read CPUID" },
	{ "spin", cmd_spin, ANYWHERE, "[ROUNDS]", "compute in silence, until a byte comes" },
	{ "beat", cmd_beat, BOOT_CPU, "", "count, writing each count's low byte to COM1" },
	/* interrupts and clocks */
	{ "ticks", cmd_ticks, ANYWHERE, "[once US|periodic US|deadline CYCLES|wait N|stop]",
	  "the local APIC timer" },
	{ "sleep", cmd_sleep, ANYWHERE, "MS", "halt until the timer says so" },
	{ "pit", cmd_pit, BOOT_CPU, "[start HZ|wait N|stop]", "channel 0 through the I/O APIC" },
	{ "ipi", cmd_ipi, ANYWHERE, "", "an interrupt to this CPU and to each other one" },
	{ "irq", cmd_irq, ANYWHERE, "VECTOR [wait N]", "how often a vector came to this CPU" },
	{ "gsi", cmd_gsi, BOOT_CPU, "GSI [arm|mask]", "count one I/O APIC pin (vector 0x50 + GSI)" },
	{ "tsc", cmd_tsc, ANYWHERE, "[ROUNDS]", "see that the TSC never goes back" },
	{ "kvmclock", cmd_kvmclock, ANYWHERE, "", "read the paravirtual clock" },
	/* devices */
	{ "virtio", cmd_virtio, BOOT_CPU, "list|opt|show|raw|evil ...",
	  "any virtio-mmio slot; see README" },
	{ "blk", cmd_blk, BOOT_CPU,
	  "SLOT read|write|check|load|verify|flush|getid|discard|zeroes|capacity|reset ...",
	  "a disk; see README" },
	{ "rng", cmd_rng, BOOT_CPU, "SLOT LEN", "random bytes" },
	/* ends */
	{ "off", cmd_off, ANYWHERE, "", "ACPI power off" },
	{ "reset", cmd_reset, ANYWHERE, "[acpi|kbd|triple]", "reset" },
	{ "crash", cmd_crash, ANYWHERE, "", "triple fault" },
	{ "halt", cmd_halt, ANYWHERE, "", "stop with interrupts off" },
};

static const struct command *command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		if (text_equal(commands[i].name, name))
			return &commands[i];
	}
	return NULL;
}

void job_run(struct job *job)
{
	struct args args = { job->line };
	const char *name = args_word(&args);
	const struct command *command = name == NULL ? NULL : command_find(name);

	reply_clear(&job->reply);
	if (command == NULL) {
		job->fault = "no such command";
		return;
	}
	if (command->where == BOOT_CPU && cpu_this() != cpu_boot()) {
		job->fault = "only on CPU 0";
		return;
	}
	job->usage = command->usage;
	job->fault = command->run(&args, &job->reply);
	if (job->fault == NULL && !args_end(&args))
		job->fault = USAGE;
}

static void job_print(const struct job *job)
{
	static struct reply line;

	reply_clear(&line);
	if (job->fault == NULL) {
		reply_text(&line, "ok");
	} else {
		reply_text(&line, "err ");
		reply_text(&line, job->fault);
	}
	if (job->fault == USAGE) {
		reply_text(&line, " ");
		reply_text(&line, job->usage);
	}
	reply_append(&line, &job->reply);
	serial_line(&line);
}

/* line is copied: jobs cut theirs up. */
static void job_fill(struct job *job, const char *line)
{
	size_t i = 0;

	for (; line[i] != '\0' && i < LINE_MAX - 1; i++)
		job->line[i] = line[i];
	job->line[i] = '\0';
}

void commands_run(char *line)
{
	static struct job job;
	char *end;

	for (; line != NULL; line = end) {
		for (end = line; *end != '\0' && *end != ';'; end++)
			;
		if (*end == ';')
			*end++ = '\0';
		else
			end = NULL;
		if (args_end(&(struct args){ line }))
			continue;
		job_fill(&job, line);
		job_run(&job);
		serial_settle();
		job_print(&job);
	}
}

static const char *cmd_help(struct args *a, struct reply *r)
{
	const char *name = args_word(a);
	const struct command *command;

	if (name != NULL) {
		command = command_find(name);
		if (command == NULL)
			return "no such command";
		reply_text(r, " ");
		reply_text(r, command->name);
		reply_text(r, " ");
		reply_text(r, command->usage);
		reply_text(r, ": ");
		reply_text(r, command->help);
		return NULL;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		reply_text(r, " ");
		reply_text(r, commands[i].name);
	}
	return NULL;
}

static const char *cmd_echo(struct args *a, struct reply *r)
{
	char *word;

	while ((word = args_word(a)) != NULL) {
		reply_text(r, " ");
		reply_text(r, word);
	}
	return NULL;
}

/* One for each CPU, so `on` and `all` do not nest. */
static struct job cpu_jobs[MAX_CPUS];
static bool cpu_jobs_taken;

/* While others work, the boot CPU takes the interrupts that may end it. */
static void job_await(unsigned index)
{
	while (!smp_done(index)) {
		(void)serial_stop();
		cpu_interrupts_window();
	}
}

static void job_collect(const struct job *job, unsigned index, const char **fault, struct reply *r)
{
	reply_dec(r, "cpu", index);
	reply_append(r, &job->reply);
	if (job->fault != NULL && *fault == NULL)
		*fault = job->fault == USAGE ? "wrong arguments" : job->fault;
}

static const char *cmd_on(struct args *a, struct reply *r)
{
	const char *fault = NULL;
	uint64_t index;

	if (!args_number(a, &index) || index >= cpu_count() || args_end(a) || cpu_jobs_taken)
		return USAGE;
	if (!cpu_at((unsigned)index)->online)
		return "that CPU is not started";
	job_fill(&cpu_jobs[index], a->at);
	while (args_word(a) != NULL)
		;
	cpu_jobs_taken = true;
	if (index == cpu_this()->index) {
		job_run(&cpu_jobs[index]);
	} else {
		smp_give((unsigned)index, &cpu_jobs[index]);
		job_await((unsigned)index);
	}
	job_collect(&cpu_jobs[index], (unsigned)index, &fault, r);
	cpu_jobs_taken = false;
	return fault;
}

static const char *cmd_all(struct args *a, struct reply *r)
{
	const char *fault = NULL;

	if (args_end(a) || cpu_jobs_taken)
		return USAGE;
	cpu_jobs_taken = true;
	for (unsigned i = 0; i < cpu_count(); i++) {
		job_fill(&cpu_jobs[i], a->at);
		if (i != 0 && cpu_at(i)->online)
			smp_give(i, &cpu_jobs[i]);
	}
	while (args_word(a) != NULL)
		;
	job_run(&cpu_jobs[0]);
	for (unsigned i = 0; i < cpu_count(); i++) {
		if (!cpu_at(i)->online)
			continue;
		if (i != 0)
			job_await(i);
		job_collect(&cpu_jobs[i], i, &fault, r);
	}
	cpu_jobs_taken = false;
	return fault;
}

static const char *cmd_off(struct args *a, struct reply *r)
{
	(void)a, (void)r;
	power_off();
}

static const char *cmd_reset(struct args *a, struct reply *r)
{
	const char *how = args_word(a);

	(void)r;
	if (how == NULL || text_equal(how, "acpi"))
		power_reset();
	if (text_equal(how, "kbd"))
		power_reset_kbd();
	if (text_equal(how, "triple"))
		power_triple_fault();
	return USAGE;
}

static const char *cmd_crash(struct args *a, struct reply *r)
{
	(void)a, (void)r;
	power_triple_fault();
}

static const char *cmd_halt(struct args *a, struct reply *r)
{
	(void)a, (void)r;
	power_halt();
}
