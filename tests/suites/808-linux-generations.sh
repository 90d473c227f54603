#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Eight generations of a stock Debian guest, each a child of the one before.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 1 zygote generations
