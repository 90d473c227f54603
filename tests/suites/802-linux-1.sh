#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a stock Debian guest with one vCPU keeps through freeze and restore.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 1 props 1
