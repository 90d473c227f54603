#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages of tools/packages.txt that are missing, and says so. Quiet and quick
# when all are there. Without root or sudo it prints the one command to type and ends with 7.
set -eu
list=$(dirname "$0")/packages.txt
wanted=$(sed 's/#.*//' "$list")
command -v dpkg-query >/dev/null || {
	echo "setup: not a Debian system; spore needs what these packages hold: $wanted" >&2
	exit 0
}

# shellcheck disable=SC2086 # a list of words
present=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $wanted 2>/dev/null || :)
missing=
for p in $wanted; do
	case "
$present
" in
	*"
installed $p
"*) ;;
	*) missing="$missing $p" ;;
	esac
done
[ -n "$missing" ] || exit 0

install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" = 0 ]; then
	as_root="env"
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
	as_root=sudo
else
	echo "setup: packages are missing. Type this, then try again:" >&2
	echo "su -c 'apt-get update && $install'" >&2
	exit 7
fi
echo "setup: installing$missing"
run() { $as_root env DEBIAN_FRONTEND=noninteractive "$@"; }
# Package lists may be there and fresh enough; fetching them is the slow part.
# shellcheck disable=SC2086
run $install -q >/dev/null 2>&1 || { run apt-get update -q && run $install -q; } || {
	echo "setup: could not install:$missing" >&2
	exit 7
}
