#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The program as it is installed, its system calls made to fail by strace while it freezes a
machine: each failure is told and leaves machine and old file as they were; killed at each, the old
file or the new one is whole. (tests/native/fault_test.c does the same to every call of the library.)"""
import os
import subprocess
import sys

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import TGUEST, Place, kvm_missing, wait_for  # noqa: E402
from tap import Tap  # noqa: E402

FILE = 'old.spore'
# call, error, which of its calls
FAILURES = (('pwrite64', 'ENOSPC', 1), ('pwrite64', 'EIO', 4), ('ftruncate', 'ENOSPC', 1),
            ('fsync', 'EIO', 1), ('linkat', 'EDQUOT', 1), ('linkat', 'EDQUOT', 2),
            ('renameat', 'ENOSPC', 1), ('fsync', 'EIO', 2))
KILLS = (('pwrite64', 1), ('pwrite64', 4), ('ftruncate', 1), ('fsync', 1), ('linkat', 1),
         ('linkat', 2), ('renameat', 1), ('fsync', 2))


def traced(place, pid, call, what):
    """strace at work on a process: returned once it has attached."""
    p = subprocess.Popen(['strace', '-f', '-p', str(pid), '-o', place.at('trace'), '-e',
                          f'trace={call}', '-e', f'inject={call}:{what}'], cwd=place.path,
                         stderr=subprocess.PIPE, text=True)
    said = p.stderr.readline()
    if 'attached' not in said:
        p.wait()
        raise PermissionError(said.strip())
    return p


def end_trace(place, p):
    if p.poll() is None:
        p.terminate()
    p.communicate()
    with open(place.at('trace')) as f:
        return f.read()


def pid_of(place, name):
    with open(place.at('run', name, 'pid')) as f:
        return int(f.read())


def others(place):
    return [n for n in os.listdir(place.at('snap')) if n != FILE]


def is_whole(place):
    p = place.spore('verify', f'snap/{FILE}')
    if p.returncode == 0:
        p = place.spore('restore', f'snap/{FILE}', '--detach', '--name', 'again')
        place.spore('stop', 'again')
    return p


def check_failures(t, place):
    assert place.spore('run', '--kernel', TGUEST, '--memory', '32M', '--detach', '--name',
                       'm').returncode == 0
    assert place.spore('snapshot', 'm', '-o', f'snap/{FILE}').returncode == 0
    for call, error, when in FAILURES:
        name = f'{call} number {when} fails with {error}'
        trace = traced(place, pid_of(place, 'm'), call, f'error={error}:when={when}')
        p = place.spore('snapshot', 'm', '-o', f'snap/{FILE}')
        log = end_trace(place, trace)
        t.case(f'{name}: it is made to', 'INJECTED' in log, log)
        t.case(f'{name}: one line says so, with the name of the file',
               p.returncode == 1 and p.stderr.count('\n') == 1 and FILE in p.stderr, p)
        rows = {r['name']: r['state'] for r in place.machines()}
        t.case(f'{name}: the machine goes on', rows.get('m') == 'running', rows)
        t.case(f'{name}: nothing else is left', others(place) == [], others(place))
        p = is_whole(place)
        t.case(f'{name}: the file is whole', p.returncode == 0, p)
    p = place.spore('snapshot', 'm', '-o', f'snap/{FILE}', '--stop')
    t.case('and then a snapshot is made', p.returncode == 0, p)


def check_kills(t, place):
    for call, when in KILLS:
        name = f'killed at {call} number {when}'
        assert place.spore('restore', f'snap/{FILE}', '--detach', '--name', 'k').returncode == 0
        pid = pid_of(place, 'k')
        trace = traced(place, pid, call, f'signal=SIGKILL:when={when}')
        p = place.spore('snapshot', 'k', '-o', f'snap/{FILE}')
        trace.communicate()
        t.case(f'{name}: the snapshot is told to have failed', p.returncode == 1, p)
        wait_for(lambda: 'k' not in {r['name'] for r in place.machines()}, 'the dead to be cleared')
        # a name can only be replaced from another name
        left = [n for n in others(place) if not (n.startswith(f'.{FILE}.') and n.endswith('.tmp'))]
        t.case(f'{name}: nothing but a temporary name is left', left == [], left)
        t.case(f'{name}: and none before it is to have a name, or after',
               (call, when) in (('linkat', 2), ('renameat', 1)) or others(place) == [], others(place))
        for n in others(place):
            os.unlink(place.at('snap', n))
        p = is_whole(place)
        t.case(f'{name}: the file is whole', p.returncode == 0, p)


def main():
    missing = kvm_missing()
    if missing:
        print(f'1..0 # SKIP {missing}')
        return
    with Tap() as t, Place() as place:
        os.mkdir(place.at('snap'))
        try:
            check_failures(t, place)
            check_kills(t, place)
        except PermissionError as e:
            t.skip('failures by strace', f'strace cannot attach here: {e}')


main()
