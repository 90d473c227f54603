#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The native tests again, built by clang with the address and undefined-behaviour sanitizers.
set -eu
[ -r /dev/kvm ] && [ -w /dev/kvm ] || { echo "1..0 # SKIP /dev/kvm cannot be opened here"; exit 0; }
make -s -C "$ROOT" asan SETUP=true
exec "$ROOT/tools/run-cmocka.py" -j 2 --build "$BUILD-asan" native
