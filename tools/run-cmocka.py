#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""run-cmocka.py [-j N] [--build DIR] [--by COMMAND] FOLDER...: runs the cmocka programs made of
tests/FOLDER/**/*_test.c, or of a source that is named itself, in the build folder, each by the
command if there is one, and prints their results as one TAP stream.

Programs are looked up by the names of their sources, so one that was not built is a failure and
one whose source is gone is not run. A program that dies is a failure of its own."""
import argparse
import concurrent.futures
import os
import re
import shlex
import signal
import subprocess
import sys

LIMIT = 300  # seconds for one program

PLAN = re.compile(r'^1\.\.(\d+)$')
# cmocka says "not ok 3 # SKIP name" of a test that called skip()
SKIP = re.compile(r'^not ok \d+ # SKIP (.*)$')
RESULT = re.compile(r'^(ok|not ok) \d+ - (.*)$')


def sources(tests, folder):
    if folder.endswith('_test.c'):
        yield folder
    for at, _, names in os.walk(os.path.join(tests, folder)):
        for n in names:
            if n.endswith('_test.c'):
                yield os.path.relpath(os.path.join(at, n), tests)


def execute(argv):
    """(exit status or None when it did not end, what it printed)"""
    env = dict(os.environ, CMOCKA_MESSAGE_OUTPUT='TAP', UBSAN_OPTIONS='print_stacktrace=1')
    try:
        p = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors='replace', timeout=LIMIT)
        return p.returncode, p.stdout
    except subprocess.TimeoutExpired as e:
        return None, (e.stdout or b'').decode(errors='replace')
    except OSError as e:
        return 127, f'cannot be run: {e}'


class Result:
    def __init__(self, ok, name, skip=None, said=None):
        self.ok, self.name, self.skip, self.said = ok, name, skip, said or []


def results_of(output):
    """(plan or None, results, lines that belong to none)"""
    plan, results, said = None, [], []
    for line in output.splitlines():
        if m := PLAN.match(line):
            plan = int(m.group(1))
        elif m := SKIP.match(line):
            # the reason is what the test printed before it skipped
            said = [t for t in said if not t.startswith('# ')]
            results.append(Result(True, m.group(1), said[-1] if said else 'not possible here'))
            said = []
        elif m := RESULT.match(line):
            results.append(Result(m.group(1) == 'ok', m.group(2), said=said))
            said = []
        elif line.startswith('# ') and results and not results[-1].ok:
            results[-1].said.append(line)  # cmocka explains a failure after it
        else:
            said.append(line)
    return plan, results, said


def run(build, by, source):
    program = os.path.join(build, 'tests', source[:-2].replace('/', '-'))
    status, output = execute([*by, program])
    plan, results, said = results_of(output)
    why = None
    if status is None:
        why = f'did not end within {LIMIT} s'
    elif status < 0:
        why = f'was killed by {signal.Signals(-status).name}'
    elif plan is None or plan != len(results) or plan == 0:
        why = f'planned {plan} tests and ran {len(results)} (exit status {status})'
    elif status != 0 and all(r.ok for r in results):
        why = f'ended with status {status} though no test failed'
    if why:
        results.append(Result(False, why, said=said))
    return results


def main():
    args = argparse.ArgumentParser(description=__doc__)
    args.add_argument('-j', type=int, default=1, help='programs at a time')
    args.add_argument('--build', default=os.environ.get('BUILD', 'build'))
    args.add_argument('--by', default='', help='a command that runs each')
    args.add_argument('folders', nargs='+')
    a = args.parse_args()
    tests = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'tests')
    found = sorted(s for f in a.folders for s in sources(tests, f))
    n = 0
    failed = False
    with concurrent.futures.ThreadPoolExecutor(a.j) as pool:
        for source, results in zip(found, pool.map(lambda s: run(a.build, shlex.split(a.by), s), found)):
            for r in results:
                n += 1
                failed = failed or not r.ok
                end = f' # SKIP {r.skip}' if r.skip else ''
                print(f'{"ok" if r.ok else "not ok"} {n} - {source[:-7]}: {r.name}{end}')
                for line in r.said:
                    print(line if line.startswith('# ') else f'# {line}')
            sys.stdout.flush()
    print(f'1..{n}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
