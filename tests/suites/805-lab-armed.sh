#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Children that are ready for a minute, on a KVM that virtualises the TSC. Seen once there, in seven runs: a
# guest that was booted for it fell silent, before anything was frozen or spawned. Why is not known; the
# report says that it was run again.
log=$("$ROOT/tools/run-cmocka.py" --by "$ROOT/tools/lab" --build "$BUILD" native/armed_time_test.c)
status=$?
printf '%s\n' "$log"
case $log in
*"GROUP SETUP"*"nothing came in"*) echo 'Bail out! a guest fell silent before anything was tested' ;;
esac
exit $status
