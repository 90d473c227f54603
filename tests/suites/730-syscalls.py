#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers do all that workers do (tests/native/worker_calls_test.c), make every system call that the
filters allow, and no other."""
import os
import subprocess
import sys
import tempfile

ROOT, BUILD = os.environ['ROOT'], os.environ['BUILD']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402


def listed(place):
    """The rules, in a file."""
    path = os.path.join(place, 'list')
    with open(path, 'w') as f:
        subprocess.run([f'{BUILD}/src/filtergen', '--list'], stdout=f, check=True)
    return path


def watch(rules):
    p = subprocess.run([f'{ROOT}/tools/syscalls-used.py', rules,
                        f'{BUILD}/tests/native-worker_calls_test'], capture_output=True, text=True)
    return p.returncode, p.stdout + p.stderr


with Tap() as t:
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        t.skip('workers', '/dev/kvm cannot be opened here')
    else:
        with tempfile.TemporaryDirectory() as place:
            rules = listed(place)
            status, said = watch(rules)
            print(said, end='')
            t.case('every call that is allowed is made, and no other', status == 0, said)
            t.case('with two processors and with one', '[  PASSED  ] 2 test(s).' in said, said)
            with open(rules) as f:
                lines = [line for line in f if not line.startswith('device fdatasync ')]
            with open(rules, 'w') as f:
                f.writelines(lines)
            status, said = watch(rules)
            t.case('a call that is not listed is named', status == 1 and
                   'denied device fdatasync(' in said, said)
