#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Three children of a stock Debian guest with 2 vCPUs.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 2 zygote family 2
