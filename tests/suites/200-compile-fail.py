#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Misuses that must not compile: tests/compile_fail/*.c.

Each file compiles as it stands, and is refused with -DMISUSE, by gcc and by clang, with the flags
of the build (but its -Werror: what is refused must be refused by name) and an error that matches
the file's `EXPECT:` line. So a file that fails for another reason is not counted as refused."""
import glob
import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

CASES = os.path.join(ROOT, 'tests', 'compile_fail')
FLAG = re.compile(r'^(-std=|-W(?!error$|p,)|-D(?!_FORTIFY_SOURCE)|-O)')


def build_flags():
    """The flags the build gives to every file, from its own records."""
    with open(os.path.join(os.environ['BUILD'], 'compile_commands.json')) as f:
        command = next(c['command'] for c in json.load(f) if c['file'].endswith('src/base/err.c'))
    return [w for w in shlex.split(command) if FLAG.match(w)]


def compile_one(cc, flags, path, *more):
    p = subprocess.run([cc, *flags, *more, '-I', os.path.join(ROOT, 'src'),
                        '-I', os.path.join(ROOT, 'include'), '-S', '-o', '/dev/null', path],
                       capture_output=True, text=True, env=dict(os.environ, LC_ALL='C'))
    return p.returncode, p.stderr


def refusal(stderr, expect):
    """Is the first error the expected one? Those behind it may follow from it."""
    errors = [line for line in stderr.split('\n') if re.search(r'\berror:', line)]
    return bool(errors) and re.search(expect, errors[0]) is not None


def check(t, cc, flags, path):
    name = os.path.basename(path)[:-2]
    with open(path) as f:
        m = re.search(r'/\* EXPECT: (.*) \*/', f.read())
    if not t.case(f'{cc}: {name}: says what is expected', m is not None):
        return
    status, said = compile_one(cc, flags, path)
    t.case(f'{cc}: {name}: compiles without the mistake', status == 0 and not said, said)
    status, said = compile_one(cc, flags, path, '-DMISUSE')
    t.case(f'{cc}: {name}: is refused with it', status != 0 and refusal(said, m.group(1)),
           f'status {status}, expected an error like: {m.group(1)}\n{said}')


with Tap() as t:
    flags = build_flags()
    t.case('the flags of the build are known', '-Werror=switch-enum' in flags, flags)
    for cc in ('gcc', 'clang'):
        if not t.case(f'{cc} is there', shutil.which(cc) is not None):
            continue
        for path in sorted(glob.glob(os.path.join(CASES, '*.c'))):
            check(t, cc, flags, path)
