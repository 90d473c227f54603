#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Three children of a stock Debian guest with one vCPU.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 1 zygote family 1
