#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A stock Debian guest under load, branched as often as every 100 ms, as long as an emulated host takes
# for forty; of every twentieth a child is looked at. tests/soak/run has a minute of it, and all of them.
exec "$ROOT/tests/linux/suite/outside.py" --memory 6144 --cpus 1 zygote branches 40 20
