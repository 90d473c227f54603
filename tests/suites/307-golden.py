#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Snapshots of each format version are read as they were when they were made."""
import hashlib
import os
import subprocess
import sys
import tempfile

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'golden'))
import golden  # noqa: E402
from tap import Tap  # noqa: E402

CHECK = [os.path.join(os.environ['BUILD'], 'tests/reject/image_check'), '--verify']

with Tap() as t, tempfile.TemporaryDirectory(prefix='spore-golden-') as folder:
    sums = golden.sums()
    files = golden.unpack_all(folder)
    t.case('each format version has a file', all(
        any(n.startswith(v + '/') for n in sums) for v in golden.VERSIONS))
    for path in files:
        name = os.path.basename(path).replace('-', '/', 1)
        t.case(f'{name} is the file that was kept', golden.sha256_pages(path) == sums[name])
        p = subprocess.run(CHECK + [path], stdout=subprocess.PIPE, text=True)
        t.case(f'{name} passes verification', p.stdout == 'ok\n', p.stdout)
        shown = hashlib.sha256(golden.shown(path)).hexdigest()
        t.case(f'{name} holds what it held', shown == sums[name + '.json'], shown)
