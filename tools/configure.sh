#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# configure.sh BUILD [meson option...]: makes the build folder, or configures it again when files
# came or went since (Meson sees its lists of sources only then) or the options changed.
set -eu
build=$1
shift
cd "$(dirname "$0")/.."
list=$(find src include guest tests bench examples docs/man -type f \
	\( -name '*.[chS]' -o -name '*.scd' -o -name meson.build \) 2>/dev/null | LC_ALL=C sort
	echo "$@")
if [ ! -f "$build/build.ninja" ]; then
	meson setup "$@" "$build"
elif [ "$list" != "$(cat "$build/.sources" 2>/dev/null)" ]; then
	# Writing the options makes Ninja configure again; here, so that it is said only if it fails.
	{ meson configure "$build" "$@" && ninja -C "$build" build.ninja; } \
		>"$build/configure.log" 2>&1 || {
		cat "$build/configure.log"
		exit 1
	}
fi
printf '%s\n' "$list" >"$build/.sources"
