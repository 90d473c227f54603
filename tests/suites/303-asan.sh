#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The unit tests again, built by clang with the address and undefined-behaviour sanitizers.
set -eu
make -s -C "$ROOT" asan SETUP=true
exec "$ROOT/tools/run-cmocka.py" -j 2 --build "$BUILD-asan" unit
