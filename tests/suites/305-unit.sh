#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The unit tests of every layer.
exec "$ROOT/tools/run-cmocka.py" -j 2 unit
