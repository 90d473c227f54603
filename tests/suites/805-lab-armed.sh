#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Children that are ready for a minute, on a KVM that virtualises the TSC.
exec "$ROOT/tools/lab" env CMOCKA_MESSAGE_OUTPUT=TAP "$BUILD/tests/native-armed_time_test"
