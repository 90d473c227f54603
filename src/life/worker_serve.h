/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a worker process: builds a shell, is confined, then is one machine until that ends or
 * its supervisor goes. */
#pragma once

#include "base/own.h"
#include "machine/jail/jail.h"

/* A nursery_job. Never returns but with the process's exit status. `socket` is the supervisor's end's
 * other one; jail->keep is set here. */
struct image;
int worker_serve(int socket, const struct image *layout, struct jail_options *jail);
