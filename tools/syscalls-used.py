#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""syscalls-used.py LIST COMMAND...: is every system call that the filters allow also made?

Runs COMMAND under strace and follows everything it starts. Whatever a thread does after it took its
filter counts for the kind of thread that it is, which is told by its name: vcpuN, KIND-N for the
thread of a device, anything else is a control thread. LIST is the output of `filtergen --list`.

Prints the rules that nobody used, `unused KIND CALL=VALUE`, and the calls that were made although
they are not allowed (the last thing that a process did), `denied KIND CALL(...)`. Rules that are
declared as rare are not expected to be used. Then a summary line per kind. Ends with 1 when there
was either, or COMMAND failed."""
import collections
import os
import re
import subprocess
import sys
import tempfile

CALL = re.compile(r'^(\d+) +(\w+)\((.*)$')
ENDED = re.compile(r'^(\d+) +\+\+\+ (?:(killed by SIGKILL)|)')
RESUMED = re.compile(r'^(\d+) +<\.\.\. ')
NAMED = re.compile(r'^PR_SET_NAME, "([^"]*)"')
FILTER = re.compile(r'^(?:SECCOMP_SET_MODE_FILTER|PR_SET_SECCOMP, SECCOMP_MODE_FILTER)\b')
KINDS = ('vcpu', 'device', 'control')

Rule = collections.namedtuple('Rule', 'kind call arg mask word value rare')


def rules_of(path):
    with open(path, encoding='utf-8') as f:
        for line in f:
            kind, call, arg, mask, word, value, rare = line.split()
            yield Rule(kind, call, None if arg == '-' else int(arg), int(mask, 0), word,
                       int(value, 0), rare == '1')


def kind_of(name):
    if re.fullmatch(r'vcpu\d+', name):
        return 'vcpu'
    return 'device' if re.fullmatch(r'[a-z]+-\d+', name) else 'control'


def number(text):
    m = re.match(r'0x[0-9a-f]+|\d+', text.strip())
    return int(m.group(0), 0) if m else None


def matches(rule, call, args):
    if rule.call != call:
        return False
    if rule.arg is None:
        return True
    value = number(args[rule.arg]) if rule.arg < len(args) else None
    # the process itself: a filter that compares it wrongly lets nothing through
    return value is not None and (rule.word == 'SELF' or value & rule.mask == rule.value)


class Trace:
    def __init__(self, rules):
        self.rules = rules
        self.names = {}
        self.filtered = set()
        self.used = set()
        self.denied = set()
        self.entered = {}

    def take(self, line):
        m = ENDED.match(line)
        if m:  # its number may soon be another's
            self.names.pop(m.group(1), None)
            self.filtered.discard(m.group(1))
            self.leave(m.group(1), m.group(2) is None)
        m = RESUMED.match(line)
        if m:
            self.leave(m.group(1), True)
        m = CALL.match(line)
        if not m:
            return
        tid, call, rest = m.groups()
        if tid in self.filtered:
            self.judge(tid, kind_of(self.names.get(tid, '')), call, rest)
        elif call == 'prctl' and NAMED.match(rest):
            self.names[tid] = NAMED.match(rest).group(1)
        elif call in ('prctl', 'seccomp') and FILTER.match(rest) and '= -1' not in rest:
            self.filtered.add(tid)

    def leave(self, tid, was_made):
        """Of a thread that is killed as it enters a call, strace shows the call that it read last, of
        any thread: often the kill itself. One that a filter stops is killed by SIGSYS."""
        said = self.entered.pop(tid, None)
        if said and was_made:
            self.denied.add(said)

    def judge(self, tid, kind, call, rest):
        args = re.split(r', |\)| <', rest)
        hits = {r for r in self.rules if r.kind == kind and matches(r, call, args)}
        self.used |= hits
        if hits:
            return
        self.entered[tid] = f'denied {kind} {call}({rest}'
        if not rest.endswith('<unfinished ...>'):
            self.leave(tid, True)


def trace(command, rules):
    t = Trace(rules)
    with tempfile.TemporaryDirectory() as place:
        out = os.path.join(place, 'trace')
        status = subprocess.run(['strace', '-f', '-q', '-e', 'raw=!prctl,seccomp',
                                 '-e', 'signal=SIGKILL,SIGSYS', '-o', out, *command]).returncode
        with open(out, encoding='utf-8', errors='replace') as f:
            for line in f:
                t.take(line.rstrip('\n'))
    for tid in list(t.entered):
        t.leave(tid, True)
    return t, status


def main():
    rules = list(rules_of(sys.argv[1]))
    t, status = trace(sys.argv[2:], rules)
    bad = status != 0
    for r in rules:
        if r not in t.used and not r.rare:
            bad = True
            print(f'unused {r.kind} {r.call}' + (f'={r.word}' if r.arg is not None else ''))
    for line in sorted(t.denied):
        bad = True
        print(line)
    for kind in KINDS:
        mine = [r for r in rules if r.kind == kind]
        calls = {r.call for r in mine}
        rare = {r.call for r in mine} - {r.call for r in mine if not r.rare}
        print(f'{kind}: {len(calls)} calls, {len(mine)} rules, {len(calls - rare)} calls and '
              f'{sum(not r.rare for r in mine)} rules expected, '
              f'{len({r for r in t.used if r.kind == kind})} rules used')
    if status != 0:
        print(f'the command ended with {status}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
