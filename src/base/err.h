/* SPDX-License-Identifier: Apache-2.0 */
/* One error type for the whole tree.
 *
 * err_t is a struct, so it cannot be mistaken for a count, a truth value or a descriptor, and an
 * unread one does not compile. The code says what kind of thing went wrong and is pinned: it is
 * the number in spore.h and in the documentation of the file format. The sentence for people goes
 * into a struct diag where the cause is known (base/diag.h). */
#pragma once

#include "base/check.h"

/* What a person or a program can do about an error; decides the exit status. */
enum err_class {
	ERR_CLASS_NONE,    /* no error */
	ERR_CLASS_MONITOR, /* something failed here: exit status 1 */
	ERR_CLASS_USAGE,   /* the request itself was wrong: 2 */
	ERR_CLASS_INPUT,   /* a file, a snapshot or a disk was refused: 6 */
	ERR_CLASS_HOST,    /* the host lacks something: 7 */
};

/* X(name, pinned number, class, text). Only append; never renumber. */
#define ERR_CODES(X) \
	X(NONE,          0, NONE,    "success")                                        \
	X(SYS,           1, MONITOR, "a system call failed")                           \
	X(NOMEM,         2, MONITOR, "out of memory")                                  \
	X(KVM,           3, MONITOR, "a KVM call failed")                              \
	X(GUEST_MEMORY,  4, MONITOR, "a guest address lies outside the guest's RAM")   \
	X(RAM_LOST,      5, MONITOR, "the file behind the guest's RAM was cut short")  \
	X(INTERNAL,      6, MONITOR, "the monitor found itself inconsistent")          \
	X(REMOTE,        7, MONITOR, "the machine's monitor refused or did not answer") \
	X(USAGE,        10, USAGE,   "wrong usage")                                    \
	X(STATE,        11, USAGE,   "not possible in the machine's present state")    \
	X(CONFIG,       12, USAGE,   "the configuration is not valid")                 \
	X(NOT_FOUND,    13, USAGE,   "no such machine")                                \
	X(EXISTS,       14, USAGE,   "already exists")                                 \
	X(TRUNCATED,    20, INPUT,   "ends too early")                                 \
	X(MAGIC,        21, INPUT,   "is not a file of this kind")                     \
	X(VERSION,      22, INPUT,   "has a version that is not supported")            \
	X(ARCH,         23, INPUT,   "is for another architecture")                    \
	X(CHECKSUM,     24, INPUT,   "does not match its checksum")                    \
	X(RANGE,        25, INPUT,   "is out of range")                                \
	X(RESERVED,     26, INPUT,   "has a reserved field that is not zero")          \
	X(LAYOUT,       27, INPUT,   "differs from the canonical layout")              \
	X(DUPLICATE,    28, INPUT,   "appears twice")                                  \
	X(MISSING,      29, INPUT,   "is missing")                                     \
	X(ORDER,        30, INPUT,   "is out of order")                                \
	X(SIZE,         31, INPUT,   "has the wrong size")                             \
	X(TRAILING,     32, INPUT,   "has bytes left over")                            \
	X(TOPOLOGY,     33, INPUT,   "describes a machine that cannot exist")          \
	X(DEVICE,       34, INPUT,   "device state contradicts itself")                \
	X(KERNEL,       35, INPUT,   "is not a kernel that can be booted")             \
	X(DECOMPRESS,   36, INPUT,   "cannot be decompressed")                         \
	X(DISK,         37, INPUT,   "cannot be used as a disk")                       \
	X(CHANGED,      38, INPUT,   "has changed since the snapshot")                 \
	X(LOCKED,       39, INPUT,   "is in use by another machine")                   \
	X(JSON,         40, INPUT,   "is not the JSON that was expected")              \
	X(FILE,         41, INPUT,   "cannot be read")                                 \
	X(NO_KVM,       60, HOST,    "KVM is not available")                           \
	X(KVM_ACCESS,   61, HOST,    "no permission to use KVM")                       \
	X(KVM_SOFTWARE, 62, HOST,    "this host's KVM cannot run such a guest")        \
	X(KVM_CAP,      63, HOST,    "this host's KVM lacks a capability")             \
	X(CPU_FEATURE,  64, HOST,    "this host's processor lacks a feature")          \
	X(HOST_MEMORY,  65, HOST,    "the host cannot provide that much memory")       \
	X(HOST_PACKAGE, 66, HOST,    "a package is missing on this host")           \
	X(JAIL,         67, HOST,    "this host cannot confine a machine")

enum err_code {
#define X(name, number, class, text) ERR_##name = (number),
	ERR_CODES(X)
#undef X
};

typedef struct {
	enum err_code code;
	int sys; /* errno where a system call was the cause, else 0 */
} err_t;
static_assert(sizeof(err_t) == 8, "err_t travels in one register");

#define OK          ((err_t){ ERR_NONE, 0 })
#define FAIL(c)     ((err_t){ (c), 0 })
#define FAIL_SYS(e) ((err_t){ ERR_SYS, (e) })

#define TRY(expr) \
	do { \
		err_t try_ = (expr); \
		if (try_.code != ERR_NONE) \
			return try_; \
	} while (0)

static inline bool failed(err_t e)
{
	return e.code != ERR_NONE;
}

/* Where an error has nowhere to go: a clean-up after another error, a best effort. Says so in the
 * source, which a cast to void could not. */
static inline void ignore(err_t e)
{
	(void)e;
}

const char *err_name(enum err_code c);      /* "CHECKSUM" */
const char *err_text(enum err_code c);      /* "does not match its checksum" */
enum err_class err_class_of(enum err_code c);
