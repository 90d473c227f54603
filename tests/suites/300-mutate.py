#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Truncations, flipped bits and random changes of snapshot files, with the readers built by clang
with the address and undefined-behaviour sanitizers. Where there is a KVM, the random changes are
made to snapshots taken on this host, and every file that is accepted is restored and run."""
import os
import subprocess
import sys
import tempfile

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'golden'))
import golden  # noqa: E402
from tap import Tap  # noqa: E402

MUTANTS = 100000


def start(*command):
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def passed_on(t, name, process):
    """The results of a program that prints TAP itself, as ours; what it counted is printed too."""
    said, plan = process.communicate()[0], 0
    for line in said.splitlines():
        word, _, rest = line.partition(' - ')
        if word.startswith(('ok ', 'not ok ')):
            t.case(f'{name}: {rest}', word.startswith('ok'))
            plan += 1
        elif line.startswith('# '):
            print(line)
    if process.returncode not in (0, 1) or f'\n1..{plan}\n' not in said:
        t.case(f'{name} went to its end', False, said[-4000:])


def inputs(build, folder):
    """Real files first, then made-up machines that have what those do not."""
    real = golden.unpack_all(folder)
    made = [os.path.join(folder, f'sample{kind}.spore') for kind in range(3)]
    for kind, path in enumerate(made):
        subprocess.run([f'{build}/tests/reject/make_sample', str(kind), '42', path], check=True)
    return real, made


def fresh(build, folder):
    """Snapshots of this host's KVM, or none."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return []
    made = subprocess.run([os.path.join(ROOT, 'tests/golden/make.sh'), build, folder],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    files = [os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith('.spore')]
    if made.returncode or not files:
        raise SystemExit(f'no snapshots could be made here:\n{made.stdout}')
    return files


def run_accepted(t, program, folder, files):
    name = 'every accepted mutant is restored and run'
    if files:
        passed_on(t, 'run', start(program, folder, *files))
    else:
        t.skip(name, 'there is no KVM that may be used')


def main():
    build = os.environ['BUILD']
    asan = build + '-asan'
    subprocess.run(['make', '-s', '-C', ROOT, 'asan', 'SETUP=true'], check=True, stdout=sys.stderr)
    mutate = f'{asan}/tests/mutate/mutate'
    with Tap() as t, tempfile.TemporaryDirectory(prefix='spore-mutate-') as folder:
        real, made = inputs(build, folder)
        here = fresh(build, os.path.join(folder, 'here'))
        kept = os.path.join(folder, 'accepted')
        os.mkdir(kept)
        mutants = start(mutate, 'random', '--count', str(MUTANTS), '--out', kept,
                        *(here or real))
        # Two millions of lengths each: one small machine, one large, one with much memory.
        passed_on(t, 'cut', start(mutate, 'cut', *real[:3]))
        passed_on(t, 'flip', start(mutate, 'flip', *real, *made))
        passed_on(t, 'flip_file', start(f'{build}/tests/mutate/flip_file', real[0]))
        passed_on(t, 'random', mutants)
        run_accepted(t, f'{asan}/tests/mutate/run_mutants', kept, here)


main()
