#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Every way to boot a stock Debian kernel, and every way in which a machine ends.
exec "$ROOT/tests/linux/suite/outside.py" boot
