#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The monitor and the reader written from the specification see the same in a file, member by member
and in the same order. (On what is refused they are compared by the reject files.)"""
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.environ['ROOT']
BUILD = os.environ['BUILD']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'golden'))
import golden  # noqa: E402
from tap import Tap  # noqa: E402

KINDS, SEEDS = 4, 5


def said(command, path):
    p = subprocess.run(command + ['--verify', path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True)
    try:
        return json.loads(p.stdout)
    except ValueError:
        return {'status': p.returncode, 'said': p.stdout}


def difference(a, b, where=''):
    """The first place in which two values differ, or None."""
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        pairs = [(k, a[k], b[k]) for k in a]
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = [(i, x, y) for i, (x, y) in enumerate(zip(a, b))]
    else:
        return None if a == b and type(a) is type(b) else f'{where}: {str(a)[:200]} / {str(b)[:200]}'
    for key, x, y in pairs:
        found = difference(x, y, f'{where}.{key}')
        if found:
            return found
    return None


def compare(t, path, name):
    first = said([f'{BUILD}/tests/reject/image_check', '--json'], path)
    second = said([sys.executable, f'{ROOT}/tools/sporedump.py'], path)
    why = difference(first, second)
    t.case(f'{name}: both readers see the same', why is None and 'header' in first, why or first)


with Tap() as t, tempfile.TemporaryDirectory(prefix='spore-second-') as folder:
    for path in golden.unpack_all(folder):
        compare(t, path, os.path.basename(path))
    for kind in range(KINDS):
        for seed in range(SEEDS):
            path = os.path.join(folder, 'sample.spore')
            subprocess.run([f'{BUILD}/tests/reject/make_sample', str(kind), str(seed), path],
                           check=True)
            compare(t, path, f'sample {kind} of seed {seed}')
