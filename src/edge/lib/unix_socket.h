/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "base/diag.h"
#include "base/own.h"

/* `type` is SOCK_STREAM or SOCK_SEQPACKET. ERR_NOT_FOUND when nobody listens there. */
must_check err_t socket_connect(const char *path, int type, struct diag *d, fd_t *ret_fd);
