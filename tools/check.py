#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the test suites and adds up their results.

A suite is an executable tests/suites/NNM-NAME.sh or .py that prints TAP on stdout: a plan `1..N`
(first or last) and N lines `ok I - name`, `not ok I - name` or `ok I - name # SKIP reason`.
Whatever else it prints belongs to its log, build/check/NAME.log; after a failure the lines up to
the next result are shown as its explanation. A suite that dies, runs out of time, or whose plan
does not match what it printed counts as one failure more. A suite that prints `Bail out! reason`
says that what it stands on broke, not what it tests: it is run once more, and the report says so.

Suites with the same first two digits run side by side, as many as there are CPUs, and must bear it;
the third digit says who starts first, which is best the slowest. Groups follow each other.

Suites see ROOT and BUILD (absolute paths) in their environment. The last line is always
`N passed, N failed`, with `, N skipped` when there are any.
"""
import argparse
import concurrent.futures
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time

RESULT = re.compile(r'^(not )?ok\b\s*(\d+)?\s*(?:- )?(.*?)(?:\s*#\s*SKIP\b:?\s*(.*))?$', re.I)
PLAN = re.compile(r'^1\.\.(\d+)(?:\s*#\s*SKIP\b:?\s*(.*))?\s*$', re.I)
BAIL_OUT = re.compile(r'^Bail out!\s*(.*)')
REPORTING = threading.Lock()
TAIL = 40  # lines of the log that are shown when a suite dies


class Suite:
    def __init__(self, path):
        self.path = path
        self.number, self.name = os.path.basename(path).rsplit('.', 1)[0].split('-', 1)
        self.passed = 0
        self.skipped = []  # (name, reason)
        self.failed = []   # (name, explanation)
        self.plan = None
        self.seen = 0
        self.explaining = False
        self.tail = []
        self.bailed = None  # why
        self.seconds = 0.0

    def take(self, line):
        """One line of the suite's stdout; true when it was a result."""
        if bail := BAIL_OUT.match(line):
            self.bailed = bail[1] or 'no reason given'
        plan = PLAN.match(line)
        if plan:
            self.plan = int(plan.group(1)) if self.plan is None else -1
            if self.plan == 0 and plan.group(2):
                self.skipped.append(('all of it', plan.group(2)))
            return False
        result = RESULT.match(line)
        if not result:
            if self.explaining:
                self.failed[-1][1].append(line)
            return False
        bad, _, name, skip = result.groups()
        self.seen += 1
        self.explaining = bool(bad)
        if bad:
            self.failed.append((name, []))
        elif skip is not None:
            self.skipped.append((name, skip or 'no reason given'))
        else:
            self.passed += 1
        return True

    def end(self, status, timed_out):
        """Judges how it ended; what it printed has been counted."""
        why = None
        if timed_out:
            why = f'ran out of time after {self.seconds:.0f} s'
        elif status < 0:
            why = f'was killed by {signal.Signals(-status).name}'
        elif self.bailed:
            why = f'bailed out twice: {self.bailed}'
        elif self.plan is None:
            why = f'printed no plan (exit status {status})'
        elif self.plan != self.seen:
            why = f'planned {self.plan} tests and ran {self.seen} (exit status {status})'
        elif status != 0 and not self.failed:
            why = f'ended with status {status} though no test failed'
        elif self.seen == 0 and not self.skipped:
            why = 'ran no tests'
        if why:
            self.failed.append((f'the suite {why}', self.tail))


def run(suite, log_dir, env, limit, show, mode='w'):
    started = time.monotonic()
    lock = threading.Lock()
    with open(os.path.join(log_dir, suite.name + '.log'), mode, errors='replace') as log:
        child = subprocess.Popen([suite.path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, env=env, cwd=env['ROOT'], text=True,
                                 errors='replace', start_new_session=True)

        def copy(stream, is_tap):
            for line in stream:
                line = line.rstrip('\n')
                with lock:
                    log.write(line + '\n')
                    log.flush()
                    suite.tail = (suite.tail + [line])[-TAIL:]
                    if is_tap and suite.take(line):
                        show(suite)

        readers = [threading.Thread(target=copy, args=a, daemon=True)
                   for a in ((child.stdout, True), (child.stderr, False))]
        for r in readers:
            r.start()
        timed_out = False
        try:
            child.wait(limit)
        except subprocess.TimeoutExpired:
            timed_out = True
        finally:
            # Its own session: whatever it left behind goes with it.
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        child.wait()
        for r in readers:
            r.join(5)
    suite.seconds = time.monotonic() - started
    suite.end(child.returncode, timed_out)


def progress(suite):
    if sys.stdout.isatty():
        print(f'\r{suite.name:<20} {suite.passed} passed', end='', flush=True)


def report(suite, first=None):
    """One line, and what failed; first: the same suite's first run, of which nothing counts."""
    start = '\r' if sys.stdout.isatty() else ''
    counts = f'{suite.passed} passed'
    if suite.failed:
        counts += f', {len(suite.failed)} FAILED'
    if first and first.bailed:
        counts += f', run again: {first.bailed}'
    if suite.skipped:
        counts += f', {len(suite.skipped)} skipped'
    print(f'{start}{suite.name:<20} {counts} ({suite.seconds:.1f} s)', flush=True)
    for name, lines in suite.failed:
        print(f'    FAILED {suite.name}: {name}')
        for line in lines:
            print(f'        {line}')


def run_reported(suite, log_dir, env, limit):
    """The run that counts: the second, if the first bailed out."""
    done = suite
    run(suite, log_dir, env, limit, progress)
    if suite.bailed:
        done = Suite(suite.path)
        run(done, log_dir, env, limit, progress, mode='a')
    with REPORTING:
        report(done, suite)
    return done


def run_group(suites, log_dir, env, limit):
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return list(pool.map(lambda s: run_reported(s, log_dir, env, limit), suites))


def chosen(folder, names):
    found = [Suite(os.path.join(folder, f)) for f in sorted(os.listdir(folder))
             if f.endswith(('.sh', '.py')) and os.access(os.path.join(folder, f), os.X_OK)]
    unknown = set(names) - {s.name for s in found}
    if unknown:
        sys.exit(f'check: no such suite: {" ".join(sorted(unknown))}; there are: '
                 + ' '.join(s.name for s in found))
    return [s for s in found if not names or s.name in names]


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    args = argparse.ArgumentParser(description='Run the test suites.')
    args.add_argument('names', nargs='*', help='suites to run (default: all)')
    args.add_argument('--suites', default=os.path.join(root, 'tests', 'suites'))
    args.add_argument('--limit', type=float, default=1500, help='seconds that one suite may take')
    a = args.parse_args()
    build = os.path.abspath(os.environ.get('BUILD', os.path.join(root, 'build')))
    env = dict(os.environ, ROOT=root, BUILD=build, PYTHONUNBUFFERED='1')
    log_dir = os.path.join(build, 'check')
    os.makedirs(log_dir, exist_ok=True)

    suites = chosen(a.suites, a.names)
    suites = [done for _, group in itertools.groupby(suites, lambda s: s.number[:2])
              for done in run_group(list(group), log_dir, env, a.limit)]

    print(f'\nlogs: {os.path.relpath(log_dir)}/')
    skipped = [(s.name, name, reason) for s in suites for name, reason in s.skipped]
    if skipped:
        print('skipped:')
        for name, test, reason in skipped:
            print(f'    {name}: {test}: {reason}')
    passed = sum(s.passed for s in suites)
    failed = sum(len(s.failed) for s in suites)
    if passed + failed == 0:
        print('no test was run')
    last = f'{passed} passed, {failed} failed'
    if skipped:
        last += f', {len(skipped)} skipped'
    print(last)
    return 1 if failed or passed == 0 else 0


if __name__ == '__main__':
    sys.exit(main())
