# SPDX-License-Identifier: Apache-2.0
"""TAP for suites written in Python: `with Tap() as t: t.case('name', ok, 'explanation')`."""
import sys


class Tap:
    def __init__(self):
        self.n = self.bad = 0

    def __enter__(self):
        return self

    def case(self, name, ok, why=''):
        self.n += 1
        self.bad += not ok
        print(f'{"ok" if ok else "not ok"} {self.n} - {name}')
        if not ok:
            for line in str(why).rstrip('\n').split('\n'):
                print(f'# {line}')
        sys.stdout.flush()
        return ok

    def skip(self, name, reason):
        self.n += 1
        print(f'ok {self.n} - {name} # SKIP {reason}')

    def __exit__(self, kind, *_):
        if kind is None:  # after an exception there is no plan, and the runner sees it
            print(f'1..{self.n}')
            sys.exit(1 if self.bad else 0)
