#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""syscalls.py ARCH OUT ROOT SOURCE...: gathers the system calls that the sources declare.

A thread in a jail may make the calls that are declared beside the code that makes them, in comments
of this form, and no others:

    /* syscalls(vcpu, device): write tgkill=SELF futex=FUTEX_WAIT */
    /* syscalls(device): clock_gettime? (only where the vDSO has no clock) */

A word is a call, a call and the value of the argument that decides what it does (tools/filtergen.c
says which argument that is), or either with `?`: a call that only some hosts or a failure need, and
then the reason follows in parentheses, the last thing in its comment. Files of another architecture
are left out. Writes one row per word, in C, with the place it came from, so that what is wrong with
a word is reported at that place; a comment that cannot be read ends the build here."""
import os
import re
import sys

KINDS = ('vcpu', 'device', 'control')
ARCHS = ('x86_64', 'aarch64')
COMMENT = re.compile(r'/\*(.*?)\*/', re.S)
DECLARES = re.compile(r'\s*syscalls\b')
FORM = re.compile(r'\s*syscalls\(([a-z, ]+)\):\s*([^()]*?)\s*(\([^()]+\))?\s*$')
WORD = re.compile(r'^([a-z0-9_]+)(?:=([A-Z][A-Z0-9_]*))?(\?)?$')


class Fault(Exception):
    pass


def declaration(text):
    """(kinds, words) of one comment's text."""
    m = FORM.match(re.sub(r'\n\s*\*?', ' ', text))
    if not m:
        raise Fault('not of the form syscalls(KIND, ...): WORD ... [(reason)]')
    kinds = [k.strip() for k in m.group(1).split(',')]
    for k in kinds:
        if k not in KINDS:
            raise Fault(f'{k}: no kind of thread, expected ' + ', '.join(KINDS))
    words = [WORD.match(w) or w for w in m.group(2).split()]
    for w in words:
        if isinstance(w, str):
            raise Fault(f'{w}: not CALL or CALL=VALUE')
    rare = [bool(w.group(3)) for w in words]
    if not words:
        raise Fault('declares nothing')
    if any(rare) and not all(rare):
        raise Fault('words with and without ? need comments of their own')
    if any(rare) and not m.group(3):
        raise Fault('a word with ? needs its reason in parentheses')
    return kinds, [(w.group(1), w.group(2), bool(w.group(3))) for w in words]


def rows_of(name, text):
    for m in COMMENT.finditer(text):
        if not DECLARES.match(m.group(1)):
            continue
        line = text.count('\n', 0, m.start()) + 1
        try:
            kinds, words = declaration(m.group(1))
        except Fault as e:
            raise Fault(f'{name}:{line}: {e}') from e
        for kind in kinds:
            for call, value, rare in words:
                yield kind, call, value, rare, line


def is_foreign(path, arch):
    return any(re.search(rf'_{a}\.[ch]$', path) for a in ARCHS if a != arch)


def main():
    arch, out, root, *sources = sys.argv[1:]
    lines = ['/* Made by tools/syscalls.py. */']
    seen = set()
    for path in sorted(sources):
        if is_foreign(path, arch):
            continue
        name = os.path.relpath(path, root)
        with open(path, encoding='utf-8') as f:
            text = f.read()
        for kind, call, value, rare, line in rows_of(name, text):
            seen.add(kind)
            lines.append(f'#line {line} "{name}"')
            lines.append(f'ROW({kind.upper()}, {call}, {value or "ANY"}, {int(rare)})')
    for kind in KINDS:
        if kind not in seen:
            raise Fault(f'no call is declared for a {kind} thread')
    with open(out, 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines) + '\n')


if __name__ == '__main__':
    try:
        main()
    except Fault as fault:
        print(fault, file=sys.stderr)
        sys.exit(1)
