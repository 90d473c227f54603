#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Workers do all that workers do (tests/native/worker_calls_test.c), make every system call that the
filters allow, and no other."""
import importlib.util
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


# What a thread does after its filter, as strace tells it, and what must be said of it.
LIVES = [
    ('a call that is allowed', ['futex(0x1, 0x2) = 0'], None),
    ('a call that is not', ['kill(0x1, 0x9) = 0'], 'denied vcpu kill(0x1, 0x9) = 0'),
    ('one in which the filter ended it',
     ['kill(0x1, 0x9 <unfinished ...>', '+++ killed by SIGSYS (core dumped) +++'],
     'denied vcpu kill(0x1, 0x9 <unfinished ...>'),
    ('one that went on', ['kill(0x1, 0x9 <unfinished ...>', '<... kill resumed>) = 0'],
     'denied vcpu kill(0x1, 0x9 <unfinished ...>'),
    ('one that was another\'s, as it was killed',
     ['kill(0x1, 0x9 <unfinished ...>', '+++ killed by SIGKILL +++'], None),
    ('the next thread of its number', ['+++ killed by SIGKILL +++', 'kill(0x1, 0x9) = 0'], None),
]


def judge_lives(t):
    spec = importlib.util.spec_from_file_location('used', f'{ROOT}/tools/syscalls-used.py')
    used = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(used)
    for name, lines, said in LIVES:
        trace = used.Trace([used.Rule('vcpu', 'futex', None, 0, '-', 0, False)])
        for line in ['prctl(PR_SET_NAME, "vcpu0") = 0',
                     'seccomp(SECCOMP_SET_MODE_FILTER, 0, 0x1) = 0', *lines]:
            trace.take(f'77 {line}')
        t.case(f'is judged: {name}', trace.denied == ({said} if said else set()), trace.denied)


with Tap() as t:
    judge_lives(t)
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
