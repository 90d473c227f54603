#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The declarations of system calls: a wrong one ends the build and is named with its place; what the
filters allow stays within its bounds; and the check that all of it is used can fail."""
import json
import os
import shlex
import subprocess
import sys
import tempfile

ROOT, BUILD = os.environ['ROOT'], os.environ['BUILD']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

ALL = '/* syscalls(vcpu, device, control): write */\n'

# what stands in a source, what must be said of it
UNREADABLE = [
    ('/* syscalls: write */', 'not of the form'),
    ('/* syscalls(vcpu) write */', 'not of the form'),
    ('/* syscalls(worker): write */', 'worker: no kind of thread'),
    ('/* syscalls(vcpu): */', 'declares nothing'),
    ('/* syscalls(vcpu): write=ioctl */', 'write=ioctl: not CALL'),
    ('/* syscalls(vcpu): Write */', 'Write: not CALL'),
    ('/* syscalls(vcpu): write? */', 'needs its reason'),
    ('/* syscalls(vcpu): write read? (a reason) */', 'comments of their own'),
]
UNKNOWN = [
    ('/* syscalls(vcpu): wriite */', 'SYS_wriite'),
    ('/* syscalls(vcpu): ioctl=KVM_RAN */', 'KVM_RAN'),
]
REFUSED = [
    ('/* syscalls(vcpu): ioctl */', 'allowed by value only'),
    ('/* syscalls(vcpu): futex */', 'allowed by value only'),
    ('/* syscalls(device): fcntl */', 'allowed by value only'),
    ('/* syscalls(vcpu): tgkill */', 'allowed by value only'),
    ('/* syscalls(vcpu): read=KVM_RUN */', 'no argument of this call'),
    ('/* syscalls(vcpu): futex=FUTEX_WAIT_PRIVATE */', 'bits that are not compared'),
    ('/* syscalls(vcpu): ' + ' '.join(
        'read close dup dup2 pipe select poll lseek mmap mprotect munmap brk access alarm getppid '
        'getuid getgid times sync pause'.split()) + ' */', 'one call more'),
]


def gather(place, text):
    path = os.path.join(place, 'x.c')
    with open(path, 'w') as f:
        f.write(ALL + text + '\n')
    p = subprocess.run([f'{ROOT}/tools/syscalls.py', 'x86_64', f'{place}/syscalls.inc', place, path],
                       capture_output=True, text=True)
    return p.returncode, p.stderr


def compile_generator(place):
    """As the build does, but with the declarations that lie in `place`."""
    with open(os.path.join(BUILD, 'compile_commands.json')) as f:
        command = next(c for c in json.load(f) if c['file'].endswith('tools/filtergen.c'))
    words = [w for w in shlex.split(command['command'])]
    cut = words.index('-o')
    flags = [w for w in words[1:cut] if not w.startswith(('-M', '-Isrc/filtergen')) and
             not w.endswith('.d') and not w.endswith('.o') and w != '-Isrc']
    p = subprocess.run(['cc', f'-I{place}', *flags, '-o', f'{place}/filtergen',
                        f'{ROOT}/tools/filtergen.c', '-lseccomp'],
                       capture_output=True, text=True, cwd=BUILD, env=dict(os.environ, LC_ALL='C'))
    return p.returncode, p.stderr


def declarations(t, place):
    for text, want in UNREADABLE:
        status, said = gather(place, text)
        t.case(f'unreadable: {text}', status == 1 and said.startswith('x.c:2: ') and want in said,
               said)
    path = os.path.join(place, 'one.c')
    with open(path, 'w') as f:
        f.write('/* syscalls(vcpu, control): write */\n')
    p = subprocess.run([f'{ROOT}/tools/syscalls.py', 'x86_64', f'{place}/o', place, path],
                       capture_output=True, text=True)
    t.case('a kind of thread without a call', p.returncode == 1 and 'device' in p.stderr, p.stderr)
    for text, want in UNKNOWN:
        gathered, _ = gather(place, text)
        status, said = compile_generator(place)
        t.case(f'unknown: {text}', gathered == 0 and status != 0 and 'x.c:2:' in said and
               want in said, said)
    for text, want in REFUSED:
        gathered, _ = gather(place, text)
        status, said = compile_generator(place)
        t.case(f'compiles: {text[:60]}', gathered == 0 and status == 0, said)
        p = subprocess.run([f'{place}/filtergen'], capture_output=True, text=True)
        t.case(f'refused: {text[:60]}', p.returncode == 1 and p.stderr.startswith('x.c:2: ') and
               want in p.stderr, p.stderr)


FOREIGN = '/* syscalls(vcpu): read */\n'


def architectures(t, place):
    path = os.path.join(place, 'x_aarch64.c')
    with open(path, 'w') as f:
        f.write(FOREIGN)
    gather(place, '')
    p = subprocess.run([f'{ROOT}/tools/syscalls.py', 'x86_64', f'{place}/o', place, path,
                        f'{place}/x.c'], capture_output=True, text=True)
    with open(f'{place}/o') as f:
        t.case('another architecture declares nothing here',
               p.returncode == 0 and 'read' not in f.read(), p.stderr)


# Allowed though no machine makes them in a test: jail_filter_test.c makes each.
RARE = '''
vcpu clock_gettime
vcpu futex=FUTEX_WAIT
device futex=FUTEX_WAIT
control clock_gettime
control futex=FUTEX_WAIT
control ioctl=KVM_GET_XSAVE
control ioctl=KVM_GET_XSAVE2
control ioctl=UFFDIO_ZEROPAGE
control brk
control munmap
'''


def filters(t):
    p = subprocess.run([f'{BUILD}/src/filtergen', '--list'], capture_output=True, text=True)
    rows = [line.split() for line in p.stdout.splitlines()]
    for kind, most in (('vcpu', 20), ('device', 40), ('control', 25)):
        n = len({r[1] for r in rows if r[0] == kind})
        t.case(f'{kind} threads make at most {most} calls', 0 < n <= most, n)
    never = {'open', 'openat', 'openat2', 'socket', 'connect', 'clone', 'clone3', 'fork', 'vfork',
             'execve', 'execveat', 'ptrace', 'mount', 'unshare', 'setns', 'bpf', 'kill'}
    t.case('no filter has a way out', not never & {r[1] for r in rows}, p.stdout)
    rare = sorted(f'{r[0]} {r[1]}' + ('' if r[2] == '-' else f'={r[4]}') for r in rows
                  if r[6] == '1')
    t.case('what is declared as rare is what was tried', rare == sorted(RARE.split('\n')[1:-1]),
           '\n'.join(rare))


def used(t, place):
    """The check itself, with a process that takes no filter, and one that takes one."""
    lines = ['control getppid - 0 ANY 0xa17a17a17a17a17 0',
             'control ioctl 1 0xffffffff KVM_RUN 0xae80 0',
             'control sync - 0 ANY 0xa17a17a17a17a17 1']
    with open(f'{place}/list', 'w') as f:
        f.write('\n'.join(lines) + '\n')
    p = subprocess.run([f'{ROOT}/tools/syscalls-used.py', f'{place}/list', 'true'],
                       capture_output=True, text=True)
    t.case('a rule that nobody uses is named', p.returncode == 1 and
           p.stdout.startswith('unused control getppid\nunused control ioctl=KVM_RUN\n') and
           'sync' not in p.stdout, p.stdout)


with Tap() as t, tempfile.TemporaryDirectory() as place:
    declarations(t, place)
    architectures(t, place)
    filters(t)
    used(t, place)
