#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests that need /dev/kvm, and nothing of it but what a software KVM can do.
set -eu
[ -d "$ROOT/tests/native" ] || { echo "1..0 # SKIP there are no native tests"; exit 0; }
[ -r /dev/kvm ] && [ -w /dev/kvm ] || { echo "1..0 # SKIP /dev/kvm cannot be opened here"; exit 0; }
exec "$ROOT/tools/run-cmocka.py" -j 2 native
