#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Machines spawned and stopped leave nothing, in short; `make soak` does it for long.
[ -r /dev/kvm ] && [ -w /dev/kvm ] || { echo "1..0 # SKIP /dev/kvm cannot be opened here"; exit 0; }
export SPORE_WORKER="$BUILD/spore-worker"
exec "$BUILD/tests/soak/soak-spawn-stop" "$BUILD/guest/tguest.elf" 400
