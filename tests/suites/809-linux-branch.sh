#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stock Debian guest under load that is branched again and again. `make soak` has it for longer.
exec "$ROOT/tests/linux/suite/outside.py" --cpus 1 zygote branches 12 20
