#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# localise.sh OUT.a IN.a...: makes one archive of several, in which every hidden symbol is local.
set -eu
out=$1
shift
object=${out%.a}.o
trap 'rm -f "$object"' EXIT
ld -r -o "$object" --whole-archive "$@"
objcopy --localize-hidden "$object"
rm -f "$out"
ar rcsD "$out" "$object"
