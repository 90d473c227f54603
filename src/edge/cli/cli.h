/* SPDX-License-Identifier: Apache-2.0 */
/* The command line. It knows machines through spore.h alone. */
#pragma once

#include "edge/cli/options.h"

int cli_main(int argc, char **argv);

extern const struct command command_run, command_ps, command_pause, command_resume, command_stop;
extern const struct command command_console, command_snapshot, command_restore, command_inspect;
extern const struct command command_verify, command_monitor, command_doctor, command_version;
extern const struct command command_help_page;
extern const struct command command_serve, command_freeze, command_branch, command_spawn, command_zygotes;
extern const struct command command_tree, command_pool;
