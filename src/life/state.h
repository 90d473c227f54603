/* SPDX-License-Identifier: Apache-2.0 */
/* Between a machine and the type of the state it is in. Inside life/ only; defined in vm.c, the
 * one place with these casts. */
#pragma once

#include "life/vm_internal.h"

struct vm *vm_of(const vm_running *vm);
struct vm *vm_of_paused(const vm_paused *vm);
vm_built *vm_as_built(struct vm *vm);   /* nothing has run yet */
struct vm *vm_of_shell(const vm_shell *shell);
vm_shell *vm_as_shell(struct vm *vm);   /* no memory, nothing loaded */
vm_running *vm_as_running(struct vm *vm); /* threads may run; or it has ended */
vm_paused *vm_as_paused(struct vm *vm); /* vCPUs parked, devices held */
