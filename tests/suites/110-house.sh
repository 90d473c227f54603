#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
echo 1..1
if out=$("$ROOT/tools/check-house.py" "$ROOT"); then
	echo "ok 1 - the house rules hold"
else
	echo "not ok 1 - the house rules hold"
	echo "$out"
	exit 1
fi
