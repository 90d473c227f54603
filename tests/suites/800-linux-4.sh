#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a stock Debian guest with 4 vCPUs keeps through freeze and restore.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 2 props 4
