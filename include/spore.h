/* SPDX-License-Identifier: Apache-2.0 */
/* spore: microVM monitor for Linux KVM. The public library.
 *
 *     spore_machine *m;
 *     struct spore_error err;
 *     struct spore_config cfg = SPORE_CONFIG_INIT;
 *
 *     cfg.kernel = "vmlinuz";
 *     if (spore_machine_new(NULL, &m, &err) != SPORE_OK ||
 *         spore_machine_boot(m, &cfg, &err) != SPORE_OK)
 *             fprintf(stderr, "%s\n", err.text);
 *     ...
 *     spore_machine_free(m);
 *
 * Conventions
 *   - A call that can fail returns SPORE_OK or one of the pinned numbers below. What happened, for
 *     people, is written to *err (the last parameter, which may be NULL). *err is not touched on
 *     success, and no output is touched on failure.
 *   - Structures that callers fill in begin with their size and are set up with their _INIT macro,
 *     so that later versions can add fields at the end. Unknown bytes must be zero.
 *   - The library never prints and never exits. No state of a machine is global; a process keeps
 *     what KVM said that it can do, libcurl once it is loaded, and two handlers of signals: of
 *     SIGRTMIN, for threads of the library's own, if there is none yet, and of SIGBUS in guest
 *     memory. Signal masks of the threads that call are not changed.
 *   - Strings are UTF-8 or bytes as the file system has them, and are copied where they are kept;
 *     what a spore_config holds, and what a remote machine is sent, must be UTF-8.
 *   - Thread safety is said at each call. "Any thread" means: at any moment, from any thread,
 *     beside any other call on the same object except its _free. Different objects never share
 *     anything. */
#ifndef SPORE_H
#define SPORE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define SPORE_API __attribute__((visibility("default")))
#define SPORE_CHECK __attribute__((warn_unused_result))
#else
#define SPORE_API
#define SPORE_CHECK
#endif

/* "0.1.0". Any thread. */
SPORE_API const char *spore_version(void);

/* ---- errors --------------------------------------------------------------------------------- */

/* Numbers are pinned: a number never changes its meaning and is never used again. */
enum spore_status {
	SPORE_OK = 0,
	/* Something failed here. */
	SPORE_ERR_SYS = 1,          /* a system call: err.sys says which errno */
	SPORE_ERR_NOMEM = 2,
	SPORE_ERR_KVM = 3,          /* a KVM call */
	SPORE_ERR_GUEST_MEMORY = 4, /* an address outside the guest's RAM */
	SPORE_ERR_RAM_LOST = 5,     /* the file behind the guest's RAM was cut short */
	SPORE_ERR_INTERNAL = 6,
	SPORE_ERR_REMOTE = 7,       /* the machine's monitor refused or did not answer */
	/* The request was wrong. */
	SPORE_ERR_USAGE = 10,
	SPORE_ERR_STATE = 11,       /* not possible in the machine's present state */
	SPORE_ERR_CONFIG = 12,
	SPORE_ERR_NOT_FOUND = 13,   /* no machine of that name */
	SPORE_ERR_EXISTS = 14,
	/* A file was refused. */
	SPORE_ERR_TRUNCATED = 20,
	SPORE_ERR_MAGIC = 21,
	SPORE_ERR_VERSION = 22,
	SPORE_ERR_ARCH = 23,
	SPORE_ERR_CHECKSUM = 24,
	SPORE_ERR_RANGE = 25,
	SPORE_ERR_RESERVED = 26,
	SPORE_ERR_LAYOUT = 27,
	SPORE_ERR_DUPLICATE = 28,
	SPORE_ERR_MISSING = 29,
	SPORE_ERR_ORDER = 30,
	SPORE_ERR_SIZE = 31,
	SPORE_ERR_TRAILING = 32,
	SPORE_ERR_TOPOLOGY = 33,
	SPORE_ERR_DEVICE = 34,
	SPORE_ERR_KERNEL = 35,
	SPORE_ERR_DECOMPRESS = 36,
	SPORE_ERR_DISK = 37,
	SPORE_ERR_CHANGED = 38,
	SPORE_ERR_LOCKED = 39,
	SPORE_ERR_JSON = 40,
	SPORE_ERR_FILE = 41,
	/* The host lacks something. */
	SPORE_ERR_NO_KVM = 60,
	SPORE_ERR_KVM_ACCESS = 61,
	SPORE_ERR_KVM_SOFTWARE = 62,
	SPORE_ERR_KVM_CAP = 63,
	SPORE_ERR_CPU_FEATURE = 64,
	SPORE_ERR_HOST_MEMORY = 65,
	SPORE_ERR_HOST_PACKAGE = 66,
	SPORE_ERR_JAIL = 67
};

/* What can be done about an error. */
enum spore_error_class {
	SPORE_CLASS_NONE = 0,
	SPORE_CLASS_MONITOR = 1, /* something failed here */
	SPORE_CLASS_USAGE = 2,   /* the request was wrong */
	SPORE_CLASS_INPUT = 3,   /* a file was refused */
	SPORE_CLASS_HOST = 4     /* the host lacks something */
};

/* Filled in by a call that fails. The caller owns it; nothing in it needs to be freed. */
struct spore_error {
	int32_t code;      /* enum spore_status */
	int32_t sys;       /* errno where a system call was the cause, else 0 */
	uint64_t offset;   /* where in the file, or SPORE_NO_OFFSET */
	char section[32];  /* section or structure of a file at fault, or "" */
	char field[64];    /* field at fault, or "" */
	char text[512];    /* one sentence: what, where, what was expected */
	uint64_t reserved[8];
};
#define SPORE_NO_OFFSET UINT64_MAX

/* "CHECKSUM", "does not match its checksum", what to do about it. Any thread. */
SPORE_API const char *spore_status_name(int status);
SPORE_API const char *spore_status_text(int status);
SPORE_API enum spore_error_class spore_status_class(int status);

/* Frees text that a call returned. Accepts NULL. Any thread. */
SPORE_API void spore_free(void *text);

/* ---- configuration -------------------------------------------------------------------------- */

enum spore_disk_mode {
	SPORE_DISK_RO = 1,  /* read-only, shared */
	SPORE_DISK_RW = 2,  /* read and write, held exclusively */
	SPORE_DISK_COW = 3  /* a private sparse layer over a base that is only read */
};

enum { SPORE_DISKS_MAX = 18 };

struct spore_disk {
	const char *path;
	uint32_t mode; /* enum spore_disk_mode */
	uint32_t reserved;
};

enum spore_boot {
	SPORE_BOOT_AUTO = 0,    /* bzImage: unpacked by the monitor; ELF: by PVH, else 64-bit */
	SPORE_BOOT_PVH = 1,     /* ELF by its PVH note */
	SPORE_BOOT_LINUX64 = 2, /* ELF by the 64-bit boot protocol */
	SPORE_BOOT_BZIMAGE = 3  /* the kernel's own loader, which may randomise its address */
};

/* What to boot. Only `kernel` must be set. */
struct spore_config {
	size_t size;
	const char *name;    /* NULL: the server's, else one is made up */
	const char *kernel;
	const char *initrd;  /* NULL: none */
	const char *cmdline; /* NULL: the architecture's default */
	uint32_t boot;       /* enum spore_boot */
	uint32_t cpus;       /* 1 to 64 */
	uint64_t memory;     /* bytes, a multiple of 64 KiB, at least 16 MiB */
	const struct spore_disk *disks;
	size_t n_disks;
	uint64_t reserved[8];
};
#define SPORE_CONFIG_INIT { sizeof(struct spore_config), 0, 0, 0, 0, 0, 1, 134217728, 0, 0, {0} }

/* Reads a configuration document: Firecracker's JSON, kebab-case sections. Unknown and doubled
 * keys and wrong types are refused. The result is one block; free it with spore_free. Any thread. */
SPORE_API SPORE_CHECK int spore_config_read(const char *json, size_t len,
					    struct spore_config **ret_config,
					    struct spore_error *err);

/* ---- machines ------------------------------------------------------------------------------- */

/* One machine, here or in another process. A local handle owns its machine: freeing it ends the
 * machine. A remote handle refers to one, and a call on it whose machine or monitor is gone fails with
 * SPORE_ERR_NOT_FOUND. Every call below works on both unless it says so; one
 * that makes no sense for the handle or in the machine's state returns SPORE_ERR_STATE and changes
 * nothing. */
typedef struct spore_machine spore_machine;

enum spore_state {
	SPORE_NOT_STARTED = 0,
	SPORE_RUNNING = 1,
	SPORE_PAUSED = 2,
	SPORE_ENDED = 3
};

enum spore_outcome {
	SPORE_OUTCOME_NONE = 0,     /* it has not ended */
	SPORE_OUTCOME_POWEROFF = 1, /* the guest powered off */
	SPORE_OUTCOME_RESET = 2,    /* the guest asked for a reset */
	SPORE_OUTCOME_CRASH = 3,    /* the guest crashed (triple fault) */
	SPORE_OUTCOME_STOPPED = 4,  /* stopped from outside */
	SPORE_OUTCOME_ERROR = 5     /* the monitor could not go on */
};

struct spore_machine_options {
	size_t size;
	/* Called with what the guest wrote to its console, on a thread of the library: the guest
	 * waits meanwhile. Must not call back into the machine. */
	void (*console)(void *ctx, const uint8_t *bytes, size_t n);
	void *ctx;
	/* Written with the same bytes, or -1. Borrowed until the machine is freed. A reader that
	 * does not keep up makes the guest wait, until the machine is to be paused or stopped: then
	 * what cannot be written is dropped. */
	int console_fd;
	int reserved_int;
	uint64_t reserved[8];
};
#define SPORE_MACHINE_OPTIONS_INIT { sizeof(struct spore_machine_options), 0, 0, -1, 0, {0} }

/* Called on the calling thread during long work, with bytes done of all. */
typedef void spore_progress(void *ctx, uint64_t done, uint64_t of);

/* Phases in the order they happened. */
enum { SPORE_PHASES_MAX = 16 };
struct spore_phase {
	char name[32];
	uint64_t ns;
};
struct spore_timings {
	uint64_t total_ns;
	uint32_t n;
	uint32_t in_flight; /* of a snapshot: device requests that the pause before it waited for */
	struct spore_phase phases[SPORE_PHASES_MAX];
};

/* A local handle in state SPORE_NOT_STARTED. `options` may be NULL. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_new(const struct spore_machine_options *options,
					    spore_machine **ret_machine, struct spore_error *err);

/* A remote handle: a machine's name in the runtime directory, or the path of a control socket
 * (anything with a '/' in it). SPORE_ERR_NOT_FOUND when nobody is there. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_open(const char *name_or_socket,
					     spore_machine **ret_machine, struct spore_error *err);

/* Ends a local machine, forgets a remote one. Accepts NULL. Nothing else may be using it. */
SPORE_API void spore_machine_free(spore_machine *m);

/* NOT_STARTED -> RUNNING. On failure it stays NOT_STARTED and nothing is left behind. Relative
 * paths are relative to the caller's working directory, for remote machines too. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_boot(spore_machine *m, const struct spore_config *config,
					     struct spore_error *err);

struct spore_restore_disk {
	uint32_t index; /* among the disks, from 0 */
	uint32_t reserved;
	const char *path;
};

enum {
	SPORE_RESTORE_VERIFY = 1, /* compare every block of RAM with its checksum first */
	SPORE_RESTORE_RESUME = 2  /* go on at once: RUNNING instead of PAUSED */
};

struct spore_restore_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved_int;
	const char *name; /* NULL: the name it had */
	const struct spore_restore_disk *disks;
	size_t n_disks;
	spore_progress *progress; /* of verifying; may be NULL */
	void *ctx;
	uint64_t reserved[8];
};
#define SPORE_RESTORE_OPTIONS_INIT { sizeof(struct spore_restore_options), 0, 0, 0, 0, 0, 0, 0, {0} }

/* NOT_STARTED -> PAUSED (or RUNNING). The file is judged before a byte of it is believed; on
 * failure the machine stays NOT_STARTED. `options` may be NULL. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_restore(spore_machine *m, const char *path,
						const struct spore_restore_options *options,
						struct spore_error *err);

/* RUNNING -> PAUSED and back. Doing it twice is no error. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_pause(spore_machine *m, struct spore_error *err);
SPORE_API SPORE_CHECK int spore_machine_resume(spore_machine *m, struct spore_error *err);

enum {
	SPORE_SNAPSHOT_DISKS = 1, /* store a reflink or copy of each writable disk or layer */
	SPORE_SNAPSHOT_PAUSE = 2, /* a running machine is paused for it and then goes on */
	SPORE_SNAPSHOT_STOP = 4   /* the machine ends (SPORE_OUTCOME_STOPPED) once it is written */
};

struct spore_snapshot_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved_int;
	spore_progress *progress; /* may be NULL */
	void *ctx;
	/* When not NULL: how long each phase took. Left alone on failure. */
	struct spore_timings *ret_timings;
	/* When not NULL: receives text to be freed with spore_free if there is something that the
	 * user should know (a writable disk left where it is), else NULL. */
	char **ret_warning;
	uint64_t reserved[8];
};
#define SPORE_SNAPSHOT_OPTIONS_INIT { sizeof(struct spore_snapshot_options), 0, 0, 0, 0, 0, 0, {0} }

/* Freezes a PAUSED machine (or a RUNNING one, with SPORE_SNAPSHOT_PAUSE) into one file. The file
 * appears under its name complete or not at all. On failure the machine goes on as it was.
 * `options` may be NULL. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_snapshot(spore_machine *m, const char *path,
						 const struct spore_snapshot_options *options,
						 struct spore_error *err);

/* RUNNING or PAUSED -> ENDED, SPORE_OUTCOME_STOPPED unless it had ended by itself. Twice is no
 * error, but for a remote machine, where it returns once the monitor has let go of the name. Any
 * thread. */
SPORE_API SPORE_CHECK int spore_machine_stop(spore_machine *m, struct spore_error *err);

/* Waits until the machine has ended, for at most `timeout_ms` (-1: for ever). When the time is up
 * the answer is SPORE_OK and SPORE_OUTCOME_NONE. With SPORE_OUTCOME_ERROR and SPORE_OUTCOME_CRASH,
 * *ret_why (may be NULL) says what happened; it is touched in no other case. A paused machine does
 * not end by itself. How a remote machine ended is known to its monitor only: SPORE_ERR_REMOTE once
 * it has. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_wait(spore_machine *m, int timeout_ms,
					     enum spore_outcome *ret_outcome,
					     struct spore_error *ret_why, struct spore_error *err);

/* A descriptor that is readable once the machine has ended, for poll and friends. Borrowed; -1 for
 * a remote machine. The machine's state changes to ENDED in the next call after that. Any thread. */
SPORE_API int spore_machine_event_fd(spore_machine *m);

/* Any thread. */
SPORE_API SPORE_CHECK int spore_machine_state(spore_machine *m, enum spore_state *ret_state,
					      struct spore_error *err);
SPORE_API SPORE_CHECK int spore_machine_outcome(spore_machine *m, enum spore_outcome *ret_outcome,
						struct spore_error *ret_why,
						struct spore_error *err);
SPORE_API const char *spore_outcome_text(enum spore_outcome outcome);

/* How long boot, restore or spawn took, by phases. The last two are "first entry", until the boot
 * processor entered the guest, and "first exit", until it came out by what the guest did; that one is
 * there once it has happened. Of a spawn the total counts from the call. NOT_STARTED:
 * SPORE_ERR_STATE. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_timings(spore_machine *m, struct spore_timings *ret_timings,
						struct spore_error *err);

/* What the machine is, as a JSON document of the shape that spore_config_read takes; every
 * section is there, those that do not apply are null. To be freed with spore_free. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_config(spore_machine *m, char **ret_json,
					       struct spore_error *err);

/* The machine's name; "" when it has none. To be freed with spore_free. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_name(spore_machine *m, char **ret_name,
					     struct spore_error *err);

/* Types at the console: takes as many bytes as there is room for and says how many. A paused
 * machine takes none. Local machines only: a remote console is spore_console_attach's. Any thread. */
SPORE_API SPORE_CHECK int spore_machine_input(spore_machine *m, const void *bytes, size_t n,
					      size_t *ret_taken, struct spore_error *err);

/* The last bytes that the guest wrote to its console, oldest first, at most `cap`, from position
 * `from` on (positions count all bytes ever written). *ret_from is the position of the first byte
 * given: greater than `from` when older ones are no longer kept (64 KiB are). Local machines only.
 * Any thread. */
SPORE_API SPORE_CHECK int spore_machine_output(spore_machine *m, uint64_t from, void *ret_bytes,
					       size_t cap, uint64_t *ret_from, size_t *ret_n,
					       struct spore_error *err);

/* A descriptor (eventfd) that is readable when there is output that spore_machine_output has not
 * been asked for. Borrowed; -1 for a remote machine. Any thread. */
SPORE_API int spore_machine_output_fd(spore_machine *m);

/* Attaches to a remote machine's console: a connected stream socket, which the caller owns. It
 * first gives the last 64 KiB. One client at a time: SPORE_ERR_LOCKED for a second. Remote
 * machines only. Any thread. */
SPORE_API SPORE_CHECK int spore_console_attach(spore_machine *m, int *ret_fd,
					       struct spore_error *err);

/* ---- zygotes -------------------------------------------------------------------------------- */

/* A frozen machine in memory, from which machines are spawned that go on from where it stood and share
 * every page and cluster that they do not write. Immutable and counted: every call below may be made
 * from any thread, beside any other, by whoever holds a reference. What was spawned does not need it. */
typedef struct spore_zygote spore_zygote;

enum {
	SPORE_FREEZE_PAUSE = 1 /* a running machine is paused for it */
};

struct spore_freeze_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved_int;
	uint64_t reserved[8];
};
#define SPORE_FREEZE_OPTIONS_INIT { sizeof(struct spore_freeze_options), 0, 0, {0} }

/* PAUSED (or RUNNING, with SPORE_FREEZE_PAUSE) -> ENDED: the machine becomes the zygote. Its outcome
 * is SPORE_OUTCOME_STOPPED, as after a snapshot with SPORE_SNAPSHOT_STOP, and nothing is left to do
 * with its handle but to look at it and free it. The memory of a machine that was booted is not
 * copied; of one that was restored from a file all of it is, of a spawned one what it has written. A
 * disk that it wrote in place becomes a base that is only read. On failure the machine goes on as it
 * was, unless its outcome says otherwise. A machine of another process needs a name for it; its monitor
 * ends then, and the zygote is here. `options` may be NULL. */
SPORE_API SPORE_CHECK int spore_machine_freeze(spore_machine *m,
					       const struct spore_freeze_options *options,
					       spore_zygote **ret_zygote, struct spore_error *err);

struct spore_branch_options {
	size_t size;
	uint32_t flags; /* none yet */
	uint32_t reserved_int;
	/* When not NULL: for how long the machine stood still, in nanoseconds. Left alone on failure. */
	uint64_t *ret_pause_ns;
	uint64_t reserved[8];
};
#define SPORE_BRANCH_OPTIONS_INIT { sizeof(struct spore_branch_options), 0, 0, 0, {0} }

/* RUNNING -> RUNNING: what the machine is at one instant becomes a zygote, and it goes on as a child of
 * that. It stands still for milliseconds at most, however much memory it has; memory and the layers of
 * its disks are put aside then and shared afterwards, while it runs, and until that is done a page that
 * it touches may have to be waited for. A disk that it wrote in place is from then on the base of a
 * private layer. On failure it goes on, if it can: its outcome says whether. `options` may be NULL. */
SPORE_API SPORE_CHECK int spore_machine_branch(spore_machine *m,
					       const struct spore_branch_options *options,
					       spore_zygote **ret_zygote, struct spore_error *err);

struct spore_zygote_options {
	size_t size;
	uint32_t flags; /* none yet */
	uint32_t reserved_int;
	spore_progress *progress; /* of loading; may be NULL */
	void *ctx;
	uint64_t reserved[8];
};
#define SPORE_ZYGOTE_OPTIONS_INIT { sizeof(struct spore_zygote_options), 0, 0, 0, 0, {0} }

/* A zygote of a snapshot file. All of it is read, compared with its checksums and kept in memory, so
 * what happens to the file afterwards changes nothing; its disks stay where they are and are locked
 * against writing. `options` may be NULL. */
SPORE_API SPORE_CHECK int spore_zygote_open(const char *path,
					    const struct spore_zygote_options *options,
					    spore_zygote **ret_zygote, struct spore_error *err);

/* Writes it to a snapshot file, which is that of a child that has not run: it needs KVM for a moment.
 * There are no flags: all that a child writes to is a private layer, and these are always stored.
 * `options` may be NULL. */
SPORE_API SPORE_CHECK int spore_zygote_save(spore_zygote *z, const char *path,
					    const struct spore_snapshot_options *options,
					    struct spore_error *err);

/* One more reference to the same zygote, which is also returned; and one less. Accepts NULL. */
SPORE_API spore_zygote *spore_zygote_again(spore_zygote *z);
SPORE_API void spore_zygote_free(spore_zygote *z);

/* What it is, as a JSON document: {"id", "parent" (null: it was not spawned), "name", "generation",
 * "created" (seconds since 1970), "vcpus", "memory", "devices": [{"kind", "queues"}],
 * "pieces" (mappings that a child makes), "resident" (bytes of memory), "layers": [{"inode",
 * "resident"}] (the files of memory that this is made of: one that two zygotes share has the same
 * inode in both)}; free it with spore_free. */
SPORE_API SPORE_CHECK int spore_zygote_info(spore_zygote *z, char **ret_json,
					    struct spore_error *err);

/* ---- spawning ------------------------------------------------------------------------------- */

/* What passes for the machine while it is frozen. */
enum spore_clock {
	SPORE_CLOCK_FROZEN = 0, /* nothing: its clocks go on from where they stood */
	SPORE_CLOCK_STEPPED = 1 /* as much as for the host: they jump forward */
};

/* Another file for a disk, of the same size. A disk that is read-only for the guest can only be
 * SPORE_DISK_RO, and one that is not can only be _RW or _COW. */
struct spore_identity_disk {
	uint32_t index; /* among the disks, from 0 */
	uint32_t mode;  /* enum spore_disk_mode */
	const char *path;
};

struct spore_identity_net {
	uint32_t index;   /* among the network devices, from 0 */
	uint8_t mac[6];   /* all zero: the zygote's */
	uint8_t reserved[6];
	const char *tap;  /* NULL: the zygote's */
};

/* What is different in a child. Its generation id is new in any case; whatever is left 0 is as the
 * zygote has it. What a child cannot have otherwise (processors, memory, devices) is not here. What is
 * for a device that the machine has not is refused, naming the device. */
struct spore_identity {
	size_t size;
	uint32_t clock;   /* enum spore_clock */
	uint32_t vsock_cid;
	const char *name;
	const struct spore_identity_disk *disks;
	size_t n_disks;
	const struct spore_identity_net *nets;
	size_t n_nets;
	const char *vsock_path;
	const char *hostname; /* this and the seed are for an agent in the guest: no machine has one yet */
	const void *seed;
	size_t seed_len;
	uint64_t reserved[8];
};
#define SPORE_IDENTITY_INIT { sizeof(struct spore_identity), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, {0} }

/* How a child is confined (SECURITY.md says by what); it ends with the process that spawned it. Each
 * wall can be left out by its word, and is by nothing else: a host that lacks one is refused, naming
 * it. */
struct spore_jail {
	size_t size;
	uint32_t flags;          /* none yet */
	int32_t cgroup;          /* a folder of a cgroup file system for it to be in, or -1; borrowed */
	const char *const *without; /* words: userns, pidns, mountns, netns, ipcns, utsns, landlock,
				     * seccomp; NULL-terminated; NULL: nothing is left out */
	const char *worker;      /* the worker program; NULL: $SPORE_WORKER, else the one beside this
				  * program, else the installed one */
	uint64_t reserved[8];
};
#define SPORE_JAIL_INIT { sizeof(struct spore_jail), 0, -1, 0, 0, {0} }

typedef struct spore_pool spore_pool;

enum {
	SPORE_SPAWN_RESUME = 1 /* go on at once: RUNNING instead of PAUSED */
};

struct spore_spawn_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved_int;
	const struct spore_identity *identity;       /* NULL: only what is always new */
	const struct spore_machine_options *machine; /* its console; NULL: none; for spore_spawn
						      * neither a callback nor a descriptor */
	spore_pool *pool; /* to take from, and to end in; NULL: it is built now */
	const struct spore_jail *jail; /* without a pool; NULL: all walls */
	uint64_t reserved[8];
};
#define SPORE_SPAWN_OPTIONS_INIT { sizeof(struct spore_spawn_options), 0, 0, 0, 0, 0, 0, {0} }

/* A new machine, PAUSED (or RUNNING), in a process of its own that can do almost nothing: a worker. The
 * handle is like that of a local machine, but the console is only read with spore_machine_output, and
 * to write a snapshot the machine is frozen. With a pool (of workers) it takes what is ready there.
 * `options` may be NULL. */
SPORE_API SPORE_CHECK int spore_spawn(spore_zygote *z, const struct spore_spawn_options *options,
				      spore_machine **ret_machine, struct spore_error *err);

/* A new machine, PAUSED (or RUNNING), in the caller's own process. NOT JAILED: whatever breaks out of
 * the guest has what this process has. It is for those who confine themselves: mind that a device's
 * thread is made when the guest's driver starts the device, by the vCPU's thread that did it, whose
 * affinity, scheduling and filter it has. With a pool it takes
 * what is ready there and is built when nothing is; when it ends, the pool tears it down. `options`
 * may be NULL. */
SPORE_API SPORE_CHECK int spore_spawn_unjailed(spore_zygote *z,
					       const struct spore_spawn_options *options,
					       spore_machine **ret_machine,
					       struct spore_error *err);

/* One child of many: the caller sets the first two and zeroes the rest. */
struct spore_child {
	const struct spore_identity *identity;       /* as in struct spore_spawn_options */
	const struct spore_machine_options *machine;
	spore_machine *ret_machine; /* NULL: it could not be spawned, */
	int32_t ret_status;         /* for this reason */
	int32_t reserved_int;
	struct spore_error ret_error;
	uint64_t reserved[8];
};

/* Spawns them one after the other, as spore_spawn_unjailed does; `options` has neither identity nor
 * machine. Children that would collide (one name, one MAC, a disk that one of them writes in place)
 * are refused before any is spawned: SPORE_ERR_USAGE naming both, and nothing is written to
 * `children`. Otherwise each has its answer, and the first failure among them is returned: what was
 * spawned stays, and is the caller's. */
SPORE_API SPORE_CHECK int spore_spawn_many_unjailed(spore_zygote *z,
						    const struct spore_spawn_options *options,
						    struct spore_child *children, size_t n,
						    struct spore_error *err);

/* ---- pools ---------------------------------------------------------------------------------- */

/* Machines made ahead of need, by a thread of the pool's own, which also tears down those that were
 * spawned from it and have ended. Shells serve every zygote of one durable layout (processors and what
 * they offer, memory, devices and their queues). Armed machines are spawned already, of one zygote,
 * and only have to run: they serve spawns that name no other disks. Any thread. */
enum { SPORE_POOL_MOST = 4096 };

enum {
	SPORE_POOL_UNJAILED = 1 /* of machines in this process, for spore_spawn_unjailed; else workers */
};

struct spore_pool_options {
	size_t size;
	uint32_t shells; /* how many to keep ready, at most SPORE_POOL_MOST */
	uint32_t armed;
	uint32_t flags;
	uint32_t reserved_int;
	const struct spore_jail *jail; /* of workers; NULL: all walls */
	uint64_t reserved[8];
};
#define SPORE_POOL_OPTIONS_INIT { sizeof(struct spore_pool_options), 0, 0, 0, 0, 0, {0} }

/* For zygotes like this one. Returns at once: spore_pool_settle waits until it is full. */
SPORE_API SPORE_CHECK int spore_pool_new(spore_zygote *z, const struct spore_pool_options *options,
					 spore_pool **ret_pool, struct spore_error *err);
/* How many shells to keep; and how many armed machines, and of which zygote. */
SPORE_API SPORE_CHECK int spore_pool_resize(spore_pool *p, uint32_t shells, struct spore_error *err);
SPORE_API SPORE_CHECK int spore_pool_arm(spore_pool *p, spore_zygote *z, uint32_t armed,
					 struct spore_error *err);

struct spore_pool_stats {
	uint32_t wanted_shells, wanted_armed;
	uint32_t shells, armed; /* ready */
	uint32_t building;
	uint32_t dead;          /* ended machines that are not torn down yet */
	uint64_t from_shell, from_armed, cold; /* spawned so far: in a shell, armed, built then */
	uint64_t failures;      /* to make one, so far */
	uint64_t reserved[8];
	struct spore_error failure; /* the last of them; code is SPORE_OK when there was none */
};
/* Cannot fail. */
SPORE_API void spore_pool_stats(spore_pool *p, struct spore_pool_stats *ret_stats);

/* Waits until all that is wanted is ready and all that has ended is torn down, for at most
 * `timeout_ms` (-1: for ever), and says in *ret_settled (may be NULL) whether it is so. The time being
 * up is no error; that something cannot be made is. */
SPORE_API SPORE_CHECK int spore_pool_settle(spore_pool *p, int timeout_ms, int *ret_settled,
					    struct spore_error *err);

/* What is ready is torn down. Machines that were spawned from it live on. Accepts NULL. Nothing else
 * may be using it. */
SPORE_API void spore_pool_free(spore_pool *p);

/* ---- the ends of many machines -------------------------------------------------------------- */

/* Tells which machines of a set have ended, at one descriptor. Any thread. */
typedef struct spore_events spore_events;

struct spore_event {
	spore_machine *machine;
	void *ctx;           /* as given with it */
	int32_t outcome;     /* enum spore_outcome */
	int32_t reserved_int;
	uint64_t reserved[4];
};

SPORE_API SPORE_CHECK int spore_events_new(spore_events **ret_events, struct spore_error *err);
/* A local machine that was started (SPORE_ERR_STATE for others), ended or not. It must have left the
 * set before it is freed: it does when its end is told, or is taken out. */
SPORE_API SPORE_CHECK int spore_events_add(spore_events *e, spore_machine *m, void *ctx,
					   struct spore_error *err);
/* A machine that is not in it (any more) is no error. */
SPORE_API void spore_events_remove(spore_events *e, spore_machine *m);
/* Readable when spore_events_next would not wait. Borrowed. */
SPORE_API int spore_events_fd(spore_events *e);
/* Waits for at most `timeout_ms` (-1: for ever) and gives up to `cap` machines that have ended, each
 * once. None, when the time is up, is no error. */
SPORE_API SPORE_CHECK int spore_events_next(spore_events *e, int timeout_ms,
					    struct spore_event *ret_events, size_t cap,
					    size_t *ret_n, struct spore_error *err);
/* Accepts NULL. Nothing else may be using it. */
SPORE_API void spore_events_free(spore_events *e);

/* ---- serving -------------------------------------------------------------------------------- */

/* The control socket of a machine: HTTP/1.1 on a Unix socket, Firecracker's paths and shapes; with
 * a name in the runtime directory also a socket for its console, and one over which it is handed to
 * another process as a zygote. A server belongs to one thread. */
typedef struct spore_server spore_server;

/* A descriptor of the caller's that the serving thread watches as well; `ready` is called when it
 * can be read, and answers one of these. */
enum {
	SPORE_WATCH_STOP = 0, /* do not call again */
	SPORE_WATCH_ON = 1,
	SPORE_WATCH_LATER = 2 /* there is more, but not now: call again in some milliseconds */
};
struct spore_watch {
	int fd;
	int reserved;
	int (*ready)(void *ctx, int fd);
	void *ctx;
};

enum {
	/* Claim a name in the runtime directory, so that others find the machine. */
	SPORE_SERVE_PUBLISH = 1
};

struct spore_server_options {
	size_t size;
	uint32_t flags;
	uint32_t reserved_int;
	const char *name;     /* to claim; NULL: one is made up */
	const char *api_sock; /* a control socket here too; NULL: none */
	uint64_t reserved[8];
};
#define SPORE_SERVER_OPTIONS_INIT { sizeof(struct spore_server_options), 0, 0, 0, 0, {0} }

/* Claims the name, makes the sockets and begins to listen; nobody is answered before
 * spore_server_run. SPORE_ERR_EXISTS when a living machine has that name or somebody listens on
 * that socket; what dead ones left is cleared. The machine must outlive the server. */
SPORE_API SPORE_CHECK int spore_server_open(spore_machine *m,
					    const struct spore_server_options *options,
					    spore_server **ret_server, struct spore_error *err);
/* The name that was claimed, or "". Lives as long as the server. */
SPORE_API const char *spore_server_name(const spore_server *s);
/* Serves until the machine has ended; one that was never started is served too, and can be told
 * over its socket what to be. `watches` are borrowed while it runs. */
SPORE_API SPORE_CHECK int spore_server_run(spore_server *s, const struct spore_watch *watches,
					   size_t n_watches, struct spore_error *err);
/* Makes spore_server_run return before the machine has ended. From a watch's `ready`. */
SPORE_API void spore_server_quit(spore_server *s);
/* Removes the sockets and gives the name back. Accepts NULL. */
SPORE_API void spore_server_close(spore_server *s);

/* ---- the machines of this user -------------------------------------------------------------- */

/* States of a row that are none of a machine's: its monitor does not answer; it has none, and is kept for
 * the next supervisor. */
enum { SPORE_ROW_BUSY = -1, SPORE_ROW_KEPT = -2 };

struct spore_machine_row {
	char *name;
	char *socket;    /* its control socket */
	char *kernel;    /* "" when it has none */
	int64_t pid;
	int64_t started; /* seconds since 1970 */
	int32_t state;   /* enum spore_state, or SPORE_ROW_... */
	uint32_t cpus;
	uint64_t memory; /* bytes */
};

/* Those in the runtime directory ($SPORE_RUNTIME_DIR, else /run/spore for root and
 * $XDG_RUNTIME_DIR/spore or /run/user/UID/spore for others), by name. What dead ones left is cleared. Any thread. */
SPORE_API SPORE_CHECK int spore_machines_list(struct spore_machine_row **ret_rows, size_t *ret_n,
					      struct spore_error *err);
SPORE_API void spore_machines_free(struct spore_machine_row *rows, size_t n);

/* ---- files and the host --------------------------------------------------------------------- */

/* Everything in a snapshot but its RAM, as one JSON document; free it with spore_free. Any thread. */
SPORE_API SPORE_CHECK int spore_inspect(const char *path, char **ret_json, struct spore_error *err);

/* Reads all of a snapshot, RAM too, and then asks whether this host could restore it (version,
 * architecture, processor features, KVM, disks). SPORE_OK: it could. Any thread. */
SPORE_API SPORE_CHECK int spore_verify(const char *path, spore_progress *progress, void *ctx,
				       struct spore_error *err);

/* What this host can do, as a JSON document: {"ok": bool, "kvm": "hardware" | "software" |
 * "none", "rows": [{"name", "level": "ok" | "warn" | "fail", "value", "advice"}]}; free it with
 * spore_free. A host that lacks something is an answer, not an error. Any thread. */
SPORE_API SPORE_CHECK int spore_doctor(char **ret_json, struct spore_error *err);

/* ---- a served machine that was frozen ------------------------------------------------------- */

/* Has the served machine become a zygote in another process? It has ended then. */
SPORE_API int spore_server_frozen(const spore_server *s);

/* ---- the supervisor ------------------------------------------------------------------------- */

/* Would these be refused as children of `z`, together or one by one? SPORE_ERR_USAGE names what a
 * child cannot have, or both that would collide (as for spore_spawn_many_unjailed). Nothing is
 * spawned. Any thread. */
SPORE_API SPORE_CHECK int spore_spawn_check(spore_zygote *z,
					    const struct spore_identity *const *identities, size_t n,
					    struct spore_error *err);

/* Owns zygotes, their pools and their children for others, who reach it in the runtime directory. Each
 * child has a folder there like any machine, so all that is done to machines by name is done to
 * children too, but for snapshots: a child writes no file. A supervisor belongs to one thread. */
typedef struct spore_supervisor spore_supervisor;

/* Children and zygotes outlive the supervisor, however it ends: a process of its own has them until the
 * next supervisor takes them over, which every one does. That one's children end with it, unless it has
 * this flag too. */
#define SPORE_SUPERVISOR_KEEP 1u

struct spore_supervisor_options {
	size_t size;
	uint32_t flags; /* SPORE_SUPERVISOR_KEEP */
	uint32_t reserved_int;
	const struct spore_jail *jail; /* of every child; NULL: all walls. */
	/* A child has ended; may be NULL. On the thread that runs it. */
	void (*ended)(void *ctx, const char *name, enum spore_outcome outcome,
		      const struct spore_error *why);
	void *ctx;
	/* A zygote that was kept is there, but for something of it; may be NULL. The same. */
	void (*warned)(void *ctx, const char *zygote, const struct spore_error *why);
	uint64_t reserved[8];
};
#define SPORE_SUPERVISOR_OPTIONS_INIT \
	{ sizeof(struct spore_supervisor_options), 0, 0, 0, 0, 0, 0, {0} }

/* Claims the place in the runtime directory: SPORE_ERR_EXISTS when a living supervisor has it.
 * `options` may be NULL; what it points to must outlive the supervisor. */
SPORE_API SPORE_CHECK int spore_supervisor_open(const struct spore_supervisor_options *options,
						spore_supervisor **ret_supervisor,
						struct spore_error *err);
/* Serves until spore_supervisor_quit. `watches` are borrowed while it runs. */
SPORE_API SPORE_CHECK int spore_supervisor_run(spore_supervisor *s,
					       const struct spore_watch *watches, size_t n_watches,
					       struct spore_error *err);
/* From a watch's `ready`. What was begun is answered first; a second time: no more. */
SPORE_API void spore_supervisor_quit(spore_supervisor *s);
/* Ends all children but those that are kept, and gives the place back. Accepts NULL. */
SPORE_API void spore_supervisor_close(spore_supervisor *s);

/* One request to this user's supervisor; spore-api(7) has them. `json` may be NULL, and so may
 * `progress`. *ret_json is to be freed with spore_free, and NULL when the answer is empty.
 * SPORE_ERR_NOT_FOUND when there is no supervisor. Any thread. */
SPORE_API SPORE_CHECK int spore_supervisor_ask(const char *method, const char *path,
					       const char *json, spore_progress *progress, void *ctx,
					       char **ret_json, struct spore_error *err);

#ifdef __cplusplus
}
#endif

#endif
