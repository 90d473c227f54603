#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Three children of a stock Debian guest with four vCPUs.
exec "$ROOT/tests/linux/suite/outside.py" --memory 3072 --cpus 1 zygote family 4
