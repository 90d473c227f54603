#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# A file for each rule of docs/snapshot-format.md: refused by both readers, accepted once mended.
exec python3 "$ROOT/tests/reject/rejects.py" "$BUILD"
