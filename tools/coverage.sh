#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# coverage.sh BUILD [gcovr option...]: runs the unit tests of a build folder that was configured
# for coverage and reports what they reached of src/.
set -eu
cd "$(dirname "$0")/.."
build=$1
shift
find "$build" -name '*.gcda' -delete
# A test that fails is the unit suite's to report; what it reached counts here.
tools/run-cmocka.py -j 2 --build "$build" unit >"$build/coverage.log" || cat "$build/coverage.log" >&2
exec gcovr "$build" --root . --object-directory "$build" --filter 'src/' "$@"
