#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
echo 1..1
if out=$("$ROOT/tools/check-layers.py" "$ROOT"); then
	echo "ok 1 - every include points the right way"
else
	echo "not ok 1 - every include points the right way"
	echo "$out"
	exit 1
fi
