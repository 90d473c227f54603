#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library as others get it: what it exports, its header and its manual, and an installed copy
used through pkg-config, by the examples among others."""
import glob
import os
import re
import subprocess
import sys
import tempfile

ROOT, BUILD = os.environ['ROOT'], os.environ['BUILD']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

HEADER = os.path.join(ROOT, 'include', 'spore.h')
PROGRAM = '#include <spore.h>\n#include <stdio.h>\nint main(void)\n{\n' \
          '\tputs(spore_version());\n\treturn 0;\n}\n'


def run(*command, **more):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)
    return p.returncode, p.stdout


def declared():
    """The functions that spore.h marks as part of the API."""
    with open(HEADER) as f:
        text = re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S)
    return set(re.findall(r'^SPORE_API\s[^;({]*?\b(spore_\w+)\s*\(', text, re.M))


def defined(*command):
    status, out = run(*command)
    return {line.split()[2] for line in out.split('\n') if len(line.split()) == 3} \
        if status == 0 else {out}


def check_symbols(t, api):
    t.case('spore.h declares functions', len(api) > 0)
    for name, found in (
            ('libspore.so', defined('nm', '-D', '--defined-only', f'{BUILD}/src/libspore.so')),
            ('libspore.a', defined('nm', '-g', '--defined-only', f'{BUILD}/src/libspore.a'))):
        t.case(f'{name} defines all that spore.h declares', api <= found, sorted(api - found))
        t.case(f'{name} shows nothing else', found <= api, sorted(found - api))


def check_manual(t, api):
    """Each function is in the synopsis of one page, as it is declared, and libspore(3) names all pages."""
    with open(HEADER) as f:
        header = flat(re.sub(r'/\*.*?\*/', '', f.read(), flags=re.S))
    pages = sorted(glob.glob(os.path.join(ROOT, 'docs', 'man', '*.3.scd')))
    found = []
    for page in pages:
        with open(page) as f:
            synopsis = re.search(r'```\n(.*?)```', f.read(), re.S)
        lines = synopsis.group(1).split(';') if synopsis else []
        lines[:1] = [re.sub(r'#include.*\n', '', x) for x in lines[:1]]
        for line in filter(None, map(flat, lines)):
            found += re.findall(r'\b(spore_\w+)\(', line)
            t.case(f'{os.path.basename(page)}: {found[-1] if found else line} is as in spore.h',
                   f' {line};' in header, line)
    t.case('every function is in one page of the manual', sorted(found) == sorted(api),
           sorted(set(found) ^ api) or sorted(found))
    with open(os.path.join(ROOT, 'docs', 'man', 'libspore.3.scd')) as f:
        text = f.read()
    missing = [n for n in (os.path.basename(p)[:-len('.3.scd')] for p in pages)
               if n != 'libspore' and f'*{n}*(3)' not in text]
    t.case('libspore(3) names every page', not missing, missing)


def flat(text):
    return ' '.join(text.split())


def check_header(t):
    for compiler, language, standard in (('gcc', 'c', 'c99'), ('gcc', 'c', 'c17'),
                                         ('clang', 'c', 'c11'), ('g++', 'c++', 'c++11'),
                                         ('clang++', 'c++', 'c++17')):
        status, out = run(compiler, '-x', language, f'-std={standard}', '-Wall', '-Wextra',
                          '-Wpedantic', '-Werror', '-fsyntax-only', '-', input='#include <spore.h>\n',
                          cwd=os.path.join(ROOT, 'include'),
                          env=dict(os.environ, CPATH=os.path.join(ROOT, 'include')))
        t.case(f'spore.h alone is {standard} for {compiler}', status == 0, out)


def check_installed(t, place):
    status, out = run('make', '-s', '-C', ROOT, 'install', f'DESTDIR={place}', 'SETUP=true')
    if not t.case('make install installs', status == 0, out):
        return
    prefix = os.path.join(place, 'usr', 'local')
    found = [os.path.join(at, n) for at, _, names in os.walk(prefix) for n in names]
    pc = [f for f in found if f.endswith('/spore.pc')]
    libs = [os.path.dirname(f) for f in found if f.endswith('/libspore.a')]
    if not t.case('with library and pkg-config file', bool(pc and libs), '\n'.join(found)):
        return
    source = os.path.join(place, 'program.c')
    with open(source, 'w') as f:
        f.write(PROGRAM)
    env = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(pc[0]), LD_LIBRARY_PATH=libs[0])
    env.pop('MAKEFLAGS', None)
    version = run('pkg-config', '--modversion', 'spore', env=env)[1].strip()
    for kind, flags in (('shared', []), ('static', ['--static'])):
        status, words = run('pkg-config', f'--define-variable=prefix={prefix}', '--cflags', '--libs',
                            *flags, 'spore', env=env)
        words = words.split()
        if kind == 'static':
            words = [os.path.join(libs[0], 'libspore.a') if w == '-lspore' else w for w in words]
        program = os.path.join(place, kind)
        status, out = run('gcc', '-o', program, source, *words, env=env)
        if t.case(f'a program links with the {kind} library', status == 0, out):
            status, out = run(program, env=env)
            t.case('and runs', status == 0 and out.strip() == version, f'{status}: {out}')
        if kind == 'shared':
            check_examples(t, place, words, env)


# arguments, and what it must say
EXAMPLES = {
    'boot_and_freeze': (('ready', 'FILE'), r'boot: .*"parent":null.*spawn: .*first entry'),
    'branch_tree': (('4',), r'^31 machines, 16 leaves that remember their way$'),
    'spawn_thousand': (('100',), r'^100 run after .*^100 answered after .*: ok hash=0x'),
}


def check_examples(t, place, words, env):
    found = {os.path.basename(p)[:-2]: p for p in glob.glob(os.path.join(ROOT, 'examples', '*.c'))}
    t.case('the examples are those that are run here', set(found) == set(EXAMPLES), sorted(found))
    for name, source in sorted(found.items()):
        program = os.path.join(place, name)
        status, out = run('gcc', '-std=gnu17', '-Wall', '-Wextra', '-Werror', '-o', program, source,
                          *words, env=env)
        if not t.case(f'{name}.c is built through pkg-config', status == 0, out):
            continue
        if not os.access('/dev/kvm', os.R_OK | os.W_OK):
            t.skip(f'{name} runs', '/dev/kvm cannot be opened here')
            continue
        args, said = EXAMPLES[name]
        status, out = run(program, os.path.join(BUILD, 'guest', 'tguest.elf'),
                          *(os.path.join(place, 'example.spore') if a == 'FILE' else a for a in args),
                          env=env, timeout=120)
        t.case(f'{name} runs', status == 0 and re.search(said, out, re.S | re.M), f'{status}: {out}')


with Tap() as t:
    check_symbols(t, declared())
    check_manual(t, declared())
    check_header(t)
    with tempfile.TemporaryDirectory() as place:
        check_installed(t, place)
