#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-house.py [ROOT [PLACE]]: rules that grep can hold and a compiler cannot.

Each rule is one row of LINE_RULES or one function below. tools/house-allow.txt lists what is
excused, as `RULE PATH COUNT REASON`; COUNT must be exact, so the list can only shrink: an excuse
that is no longer needed is a fault too. Prints `FILE:LINE: RULE: what is wrong`.

PLACE is the folder that no file may name, since it exists here only: by default the first folder
of ROOT's path, unless every system has one of that name."""
import os
import re
import subprocess
import sys

CODE = ('.c', '.h', '.S')
SCRIPT = ('.py', '.sh', '.bash')
WITNESSES = ('quiesced', 'virtio_parked', 'blk_view', 'rng_view')  # structs that prove something


EVERYWHERE = {f'/{name}/' for name in ('bin', 'boot', 'dev', 'etc', 'lib', 'opt', 'proc', 'root',
                                       'run', 'srv', 'sys', 'tmp', 'usr', 'var')}


def is_code(p):
    return p.endswith(CODE)


def in_src(p):
    return p.startswith('src/') and is_code(p)


def in_library(p):
    return in_src(p) and not p.startswith(('src/edge/cli/', 'src/edge/api/', 'src/edge/worker/'))


def casts_to_state(p):
    return is_code(p) and not re.match(r'src/life/vm\w*\.[ch]$', p)


def own_text(p):
    return is_code(p) or p.endswith(SCRIPT + ('.md', '.txt', '.scd', '.build', '.ld', '.json')) \
        or os.path.basename(p) in ('Makefile', 'run')


# name, files it is for, pattern, what is wrong. C is looked at without comments and strings.
LINE_RULES = [
    ('unfinished', own_text, r'\b(TODO|FIXME|XXX|HACK)\b', 'finish it, or write it down elsewhere'),
    ('bare-failure', in_src, r'\breturn\s*\(?\s*-\s*1\s*\)?\s*;', 'say what failed with an err_t'),
    ('state-cast', casts_to_state,
     r'\(\s*(const\s+)?vm_(built|running|paused)\s*\*+\s*\)\s*[\w(&*]',
     'only src/life/vm*.c turns one state of a machine into another'),
    ('unbounded-string', in_src,
     r'\b(strcpy|strcat|strncpy|strncat|stpcpy|sprintf|vsprintf|gets|strtok|alloca|mktemp|tmpnam)'
     r'\s*\(', 'use a call that knows the size and keeps the terminator'),
    ('unchecked-number', in_src, r'\b(atoi|atol|atoll|atof)\s*\(',
     'overflow and rubbish go unseen; use strtoull with its checks'),
    ('shell', in_src, r'\b(system|popen)\s*\(', 'no shell: start the program itself'),
    ('assert-effect', is_code, r'\bassert\s*\(.*(\+\+|--|[^=!<>]=[^=])',
     'an assert is compiled away; what it does must not matter'),
    ('unchecked-product', in_src, r'\b(malloc|realloc)\s*\([^;]*[\w)]\s\*\s[\w(]',
     'a product may wrap: use calloc or reallocarray'),
    ('library-speaks', in_library,
     r'\b(printf|vprintf|puts|putchar|perror|err|errx|warn|warnx|exit|abort)\s*\('
     r'|\bf(printf|puts|putc|write)\s*\([^;]*\bstd(out|err)\b',
     'the library does not print, exit or abort'),
    ('silenced', in_src, r'#\s*pragma\s+(GCC|clang)\s+diagnostic', 'mend it instead'),
    ('includes-code', is_code, r'^\s*#\s*include\s*[<"][^>"]*\.c[>"]', 'link it instead'),
    ('tracker', own_text, r'\b[Ii]ssue #?\d+\b', 'say the reason, not the number of a ticket'),
    ('trailing-space', own_text, r'[ \t\r]+$', 'white space at the end of a line'),
]

COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])\'', re.S)
RAW = ('unfinished', 'tracker', 'trailing-space')  # rules that look into comments too


def code_lines(text):
    def blank(m):
        if m.group(0)[0] in '"\'':
            return m.group(0)[0] + ' ' * (len(m.group(0)) - 2) + m.group(0)[0] \
                if '\n' not in m.group(0) else m.group(0)
        return re.sub(r'[^\n]', ' ', m.group(0))
    out = COMMENT.sub(blank, text).split('\n')
    raw = text.split('\n')
    # a header's name is not a string
    return [r if r.lstrip().startswith('#include') else o for r, o in zip(raw, out)]


class House:
    def __init__(self, root, place=None):
        self.root = os.path.abspath(root)
        self.place = place or '/' + self.root.split('/')[1] + '/'
        if self.place in EVERYWHERE:
            self.place = None
        self.faults = []  # (rule, path, line, text)
        self.files = self.list_files()
        self.text = {}
        for p in self.files:
            if own_text(p):
                with open(os.path.join(self.root, p), encoding='utf-8') as f:
                    self.text[p] = f.read()

    def list_files(self):
        """What is in the repository, or would be."""
        try:
            out = subprocess.run(['git', '-C', self.root, 'ls-files', '-z', '--cached', '--others',
                                  '--exclude-standard'], capture_output=True, check=True, text=True)
            names = out.stdout.split('\0')
        except (OSError, subprocess.CalledProcessError):
            names = [os.path.relpath(os.path.join(at, n), self.root)
                     for at, _, found in os.walk(self.root) for n in found]
        return sorted(n for n in set(names) if n and os.path.isfile(os.path.join(self.root, n)))

    def fault(self, rule, path, line, text):
        self.faults.append((rule, path, line, text))

    def check(self):
        for path, text in self.text.items():
            self.check_lines(path, text)
            self.check_frame(path, text)
            self.check_places(path, text)
            self.check_references(path, text)
        self.check_packages()
        self.check_witnesses()
        self.excuse()
        return self.faults

    def check_lines(self, path, text):
        raw = text.split('\n')
        code = code_lines(text) if is_code(path) else raw
        for rule, wanted, pattern, wrong in LINE_RULES:
            if not wanted(path) or rule == 'unfinished' and path == 'tools/check-house.py':
                continue
            for n, line in enumerate(raw if rule in RAW else code, 1):
                if re.search(pattern, line):
                    self.fault(rule, path, n, wrong)

    def check_frame(self, path, text):
        """How a file begins and ends."""
        if text and not text.endswith('\n'):
            self.fault('last-line', path, text.count('\n') + 1, 'the file ends without a newline')
        if text.endswith('\n\n'):
            self.fault('last-line', path, text.count('\n'), 'an empty line at the end')
        if not path.endswith(('.md', '.txt', '.json')) \
                and not any('SPDX-License-Identifier: Apache-2.0' in line
                            for line in text.split('\n')[:3]):
            self.fault('licence', path, 1, 'no SPDX line at the top')
        if path.endswith('.h') and not re.search(r'^#(pragma once|ifndef \w+_H_?)$', text, re.M):
            self.fault('header-guard', path, 1, 'no #pragma once, and no #ifndef NAME_H')
        if text.startswith('#!') and not os.access(os.path.join(self.root, path), os.X_OK):
            self.fault('executable', path, 1, 'a script that cannot be executed')

    def check_places(self, path, text):
        """No file names the place where it was written."""
        for n, line in enumerate(text.split('\n') if self.place else [], 1):
            if re.search(r'(?<![\w.])' + re.escape(self.place), line):
                self.fault('workplace', path, n, 'names a place outside the repository')

    def check_references(self, path, text):
        """A page that is mentioned as ours exists (other people's have other names)."""
        names = {os.path.basename(p) for p in self.files}
        for n, line in enumerate(text.split('\n'), 1):
            for m in re.finditer(r'(?<![\w/.$}*-])((?:[\w-]+/)*(?:[A-Z]+|[a-z0-9-]+)\.md)\b', line):
                if os.path.basename(m.group(1)) not in names:
                    self.fault('dangling', path, n, f'{m.group(1)} is not in the repository')

    def check_packages(self):
        """The README says of every package why it is there."""
        readme = self.text.get('README.md', '')
        for n, line in enumerate(self.text.get('tools/packages.txt', '').split('\n'), 1):
            name = line.split('#')[0].strip()
            if name and not re.search(rf'(?<![\w-]){re.escape(name)}(?![\w-])', readme):
                self.fault('package', 'tools/packages.txt', n, f'README.md does not say why {name}')

    def check_witnesses(self):
        """A struct that proves something is made in one file."""
        for w in WITNESSES:
            makes = re.compile(r'\(\s*(const\s+)?struct\s+' + w + r'\s*\)\s*\{'
                               r'|\bstruct\s+' + w + r'\s+\w+\s*=\s*\{')
            found = {}
            for path, text in self.text.items():
                if in_src(path):
                    for n, line in enumerate(code_lines(text), 1):
                        if makes.search(line):
                            found.setdefault(path, n)
            for path, n in sorted(found.items()) if len(found) > 1 else []:
                self.fault('witness', path, n,
                           f'struct {w} is made in more than one file: ' + ', '.join(sorted(found)))

    def excuse(self):
        path = os.path.join(self.root, 'tools', 'house-allow.txt')
        if not os.path.exists(path):
            return
        with open(path, encoding='utf-8') as f:
            rows = f.read().split('\n')
        for n, row in enumerate(rows, 1):
            if not row.strip() or row.startswith('#'):
                continue
            words = row.split(None, 3)
            if len(words) != 4 or not words[2].isdigit():
                self.fault('allow-list', 'tools/house-allow.txt', n, 'not RULE PATH COUNT REASON')
                continue
            rule, where, count = words[0], words[1], int(words[2])
            mine = [x for x in self.faults if x[0] == rule and x[1] == where]
            if len(mine) == count and count > 0:
                self.faults = [x for x in self.faults if x not in mine]
            else:
                self.fault('allow-list', 'tools/house-allow.txt', n,
                           f'excuses {count} of {rule} in {where}, which has {len(mine)}')


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..')
    faults = House(root, sys.argv[2] if len(sys.argv) > 2 else None).check()
    for rule, path, line, text in sorted(faults, key=lambda x: (x[1], x[2])):
        print(f'{path}:{line}: {rule}: {text}')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
