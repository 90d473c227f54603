/* SPDX-License-Identifier: Apache-2.0 */
/* What a host report asks of the architecture: host_<arch>.c answers. */
#pragma once

#include "base/check.h"

/* Makes a throwaway vCPU, shifts its clock and looks whether its guest would notice. */
must_check bool host_tsc_offset_works(int kvm);
