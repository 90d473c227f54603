#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How much of the readers of hostile bytes the unit tests reach: at least nine lines of ten."""
import json
import os
import subprocess
import sys

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

LEAST = {'src/wire/': 90.0}


def measure(build):
    p = subprocess.run(['make', '-s', '-C', ROOT, 'coverage-build', 'SETUP=true'],
                       stdout=sys.stderr)
    if p.returncode:
        return None
    p = subprocess.run([os.path.join(ROOT, 'tools', 'coverage.sh'), build, '--json-summary'],
                       stdout=subprocess.PIPE, text=True)
    return json.loads(p.stdout)['files'] if p.returncode == 0 else None


with Tap() as t:
    files = measure(os.environ['BUILD'] + '-coverage')
    if t.case('coverage was measured', files is not None):
        for folder, least in LEAST.items():
            inside = [f for f in files if f['filename'].startswith(folder)]
            total = sum(f['line_total'] for f in inside)
            covered = sum(f['line_covered'] for f in inside)
            percent = 100.0 * covered / total if total else 0.0
            table = '\n'.join(f'{f["filename"]}: {f["line_covered"]} of {f["line_total"]}'
                              for f in inside)
            t.case(f'{folder}: {percent:.1f} % of {total} lines are covered, at least {least:.0f} %',
                   percent >= least, table)
