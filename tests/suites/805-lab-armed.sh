#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Children that are ready for a minute, on a KVM that virtualises the TSC.
exec "$ROOT/tools/run-cmocka.py" --by "$ROOT/tools/lab" --build "$BUILD" native/armed_time_test.c
