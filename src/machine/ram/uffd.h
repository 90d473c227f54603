/* SPDX-License-Identifier: Apache-2.0 */
/* Faults on guest memory that this process serves itself (userfaultfd(2), ioctl_userfaultfd(2)).
 *
 * A guest's faults are taken in the kernel, by KVM, and so are those of reads and writes straight into
 * guest memory: the descriptor must be of the kind that sees them. To make one takes CAP_SYS_PTRACE,
 * vm.unprivileged_userfaultfd, or a descriptor of /dev/userfaultfd, which can be handed on; it then
 * belongs to the memory of the process that made it and to no other.
 *
 * Only memfds and anonymous memory can be watched, other files cannot. */
#pragma once

#include "base/diag.h"
#include "base/own.h"

/* `device` is an open /dev/userfaultfd, or -1 to try without. One descriptor serves any number of
 * branches, one after the other. */
must_check err_t uffd_open(int device, struct diag *d, fd_t *ret_uffd);

/* From now on who touches an absent page of [at, at + n) waits until it is woken. */
must_check err_t uffd_watch(int uffd, void *at, size_t n, struct diag *d);
/* Everybody is woken and nobody waits any more. */
void uffd_unwatch(int uffd, void *at, size_t n);

/* The next who waits; false when nobody does. Does not block. */
must_check bool uffd_next(int uffd, uintptr_t *ret_address);
void uffd_wake(int uffd, void *at, size_t n);

/* Whole pages, each of which is there with all its bytes or not at all, whoever looks: into the memfd
 * through a shared mapping, or as pages of its own into a private one; or the page of zeroes. Wakes
 * who waits for it there. A page that is there already stays. */
must_check err_t uffd_put(int uffd, uint8_t *at, const uint8_t *bytes, size_t n, struct diag *d);
must_check err_t uffd_put_zero(int uffd, void *at, struct diag *d);

/* To take parts of a mapping out of KVM's page tables while the guest runs; they come back as they are
 * touched, and nothing else changes. All of the mapping is prepared, then parts are thinned, then all
 * is unwatched. False: it is not of a kind that can be watched. */
must_check bool uffd_thin_prepare(int uffd, void *all, size_t n);
void uffd_thin(int uffd, void *at, size_t n);
