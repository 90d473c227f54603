#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Machines whose threads have taken their filters do all that a machine does, make every system call
that the filters allow, and no other."""
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


def watch(rules, place):
    p = subprocess.run([f'{ROOT}/tools/syscalls-used.py', rules, f'{BUILD}/tests/native/jailed',
                        f'{BUILD}/guest/tguest.elf', place], capture_output=True, text=True)
    return p.returncode, p.stdout + p.stderr


with Tap() as t:
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        t.skip('machines in jails', '/dev/kvm cannot be opened here')
    else:
        with tempfile.TemporaryDirectory() as place:
            rules = listed(place)
            status, said = watch(rules, place)
            print(said, end='')
            t.case('every call that is allowed is made, and no other', status == 0, said)
            t.case('a child over a base did its work', 'copy on write: powered off' in said, said)
            t.case('a child with a disk of its own did its work', 'in place: powered off' in said,
                   said)
            with open(rules) as f:
                lines = [line for line in f if not line.startswith('device fdatasync ')]
            with open(rules, 'w') as f:
                f.writelines(lines)
            status, said = watch(rules, place)
            t.case('a call that is not listed is named', status == 1 and
                   'denied device fdatasync(' in said, said)
