#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# sources.sh DIR PATTERN ARCH: the files under DIR whose names match, relative to it, one per line,
# sorted; without those of another architecture (x_aarch64.c for x86_64). ARCH "all" keeps them. A folder that does
# not exist has none.
set -eu
dir=$1 pattern=$2 arch=$3
[ -d "$dir" ] || exit 0
case $arch in
x86_64)  other='*_aarch64.[cS]' ;;
aarch64) other='*_x86_64.[cS]' ;;
all)     other='' ;;
*) echo "sources.sh: unknown architecture $arch" >&2; exit 1 ;;
esac
cd "$dir"
find . -type f -name "$pattern" ! -name "$other" | sed 's|^\./||' | LC_ALL=C sort
