#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line where no machine is needed: options, help, refusals and their exit statuses,
names, completion, manual pages."""
import json
import os
import re
import resource
import subprocess
import sys

ROOT, BUILD = os.environ['ROOT'], os.environ['BUILD']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import Place, SPORE, TGUEST  # noqa: E402
from tap import Tap  # noqa: E402

COMMANDS = ['run', 'ps', 'pause', 'resume', 'stop', 'console', 'snapshot', 'restore', 'inspect',
            'verify', 'monitor', 'serve', 'freeze', 'branch', 'spawn', 'zygotes', 'tree', 'pool', 'doctor',
            'help', 'version']
PROMISED = {
    'run': '--kernel --initrd --cmdline --cpus --memory --disk --name --detach --api-sock --config',
    'ps': '', 'pause': '', 'resume': '', 'stop': '', 'console': '',
    'snapshot': '-o --disks --stop --timings --json',
    'restore': '--name --detach --disk --verify --timings --json',
    'serve': '--without --keep --detach', 'freeze': '--as', 'branch': '--as', 'tree': '--json',
    'spawn': '-n --name --disk --mac --clock --hostname --seed --paused --timings --json',
    'zygotes': '--rm --save --open --as --json', 'pool': '--set --armed --json',
    'inspect': '--json', 'verify': '', 'monitor': '--api-sock', 'doctor': '--json',
}


def refused(t, place, name, status, *args, expect, **more):
    """One line on stderr, nothing on stdout, the status, nothing left behind."""
    p = place.spore(*args, **more)
    ok = p.returncode == status and p.stdout == '' and p.stderr.count('\n') == 1 and \
        p.stderr.startswith('spore: ') and expect in p.stderr and place.folders() == []
    t.case(name, ok, f'{p.returncode} (not {status}?) {p.stdout!r} {p.stderr!r} {place.folders()}')


def options_of(place, command):
    return set(re.findall(r'(?<![\w-])(--?[a-z][a-z-]*)', re.sub(
        r'(?s).*\nOptions:\n', '', place.spore(command, '--help').stdout)))


def check_help(t, place):
    p = place.spore('--help')
    t.case('--help lists every command', p.returncode == 0 and
           [w for w in COMMANDS if not re.search(rf'^  {w} ', p.stdout, re.M)] == [], p.stdout)
    t.case('help is the same', place.spore('help').stdout == p.stdout)
    for c in COMMANDS:
        p = place.spore(c, '--help')
        t.case(f'{c} --help', p.returncode == 0 and p.stderr == '' and
               p.stdout.startswith(f'Usage: spore {c}') and
               place.spore('help', c).stdout == p.stdout, p)
        missing = set(PROMISED.get(c, '').split()) - options_of(place, c)
        t.case(f'{c} has the options it should', not missing, missing)
    version = place.spore('version')
    t.case('version', re.fullmatch(r'spore \d+\.\d+\.\d+\n', version.stdout) is not None and
           place.spore('--version').stdout == version.stdout, version)


def check_options(t, place):
    refused(t, place, 'no command', 2, expect='expected a command')
    refused(t, place, 'an unknown command', 2, 'fly', expect="unknown command 'fly'")
    refused(t, place, 'help about one', 2, 'help', 'fly', expect="unknown command 'fly'")
    for c in COMMANDS:
        refused(t, place, f'{c}: an unknown option', 2, c, '--foo=1',
                expect=f"{c}: unknown option '--foo'")
        refused(t, place, f'{c}: an unknown letter', 2, c, '-q', expect="unknown option '-q'")
    for c in ('pause', 'resume', 'stop', 'console', 'snapshot', 'restore', 'inspect', 'verify'):
        refused(t, place, f'{c} without its operand', 2, c, expect=f'{c}: expected ')
        refused(t, place, f'{c} with two', 2, c, 'a', 'b', expect="'b': expected nothing")
    refused(t, place, 'an operand where none is', 2, 'ps', 'x', expect='expected options only')
    refused(t, place, 'an option without its value', 2, 'run', '--kernel', expect='expected FILE')
    refused(t, place, 'a flag with a value', 2, 'ps', '--json=yes', expect='takes no value')
    refused(t, place, 'an option twice', 2, 'run', '--cpus', '1', '--cpus=2', expect='given twice')
    for size in ('x', '', '12X', '-1', '1.5M', '99999999999999G', '1MM'):
        refused(t, place, f'--memory {size!r}', 2, 'run', '--kernel', 'k', '--memory', size,
                expect='--memory: ')
    for n in ('x', '-1', '4294967296', ''):
        refused(t, place, f'--cpus {n!r}', 2, 'run', '--kernel', 'k', '--cpus', n,
                expect='--cpus: ')
    refused(t, place, 'too many disks', 2, 'run', '--kernel', 'k', *['--disk', 'd'] * 33,
            expect='more than 32 times')
    refused(t, place, 'a disk mode that is none', 2, 'run', '--kernel', 'k', '--disk', 'd,wr',
            expect='expected ro, rw or cow')
    refused(t, place, 'a boot method that is none', 2, 'run', '--kernel', 'k', '--boot', 'x',
            expect='expected auto, pvh')
    refused(t, place, 'run without a kernel', 2, 'run', expect='expected --kernel')
    refused(t, place, 'snapshot without -o', 2, 'snapshot', 'x', expect='expected -o FILE')
    refused(t, place, 'monitor without its socket', 2, 'monitor', expect='expected --api-sock')
    refused(t, place, 'restore --disk without an index', 2, 'restore', 'f', '--disk', 'x=y',
            expect='expected INDEX=FILE')
    refused(t, place, 'an operand that begins with a dash', 2, 'stop', '--', '-x', expect="'-x'")


def check_names(t, place):
    for name in ('', '.x', '-x', 'a b', 'a/b', 'x' * 65, 'ä', 'a\nb'):
        refused(t, place, f'the name {name!r}', 2, 'run', '--kernel', TGUEST, f'--name={name}',
                expect='name: ')
    for c in ('pause', 'resume', 'stop', 'console'):
        refused(t, place, f'{c} of nobody', 2, c, 'nobody', expect='nobody: no such machine')
    refused(t, place, 'snapshot of nobody', 2, 'snapshot', 'nobody', '-o', 'f',
            expect='no such machine')
    refused(t, place, 'a socket that is not there', 2, 'pause', './no.sock', expect='./no.sock')
    p = place.spore('ps')
    t.case('ps of nobody', p.returncode == 0 and p.stdout.count('\n') == 1, p)
    t.case('ps --json of nobody', place.machines() == [])


def check_place(t, place):
    open_dir = place.at('open')
    os.mkdir(open_dir)
    os.chmod(open_dir, 0o755)
    p = place.spore('ps')
    place.env['SPORE_RUNTIME_DIR'] = open_dir
    p = place.spore('ps')
    t.case('a runtime directory that others may read is refused', p.returncode == 2 and
           'expected owner' in p.stderr and p.stderr.count('\n') == 1, p)
    place.env['SPORE_RUNTIME_DIR'] = place.at('no', 'such', 'place')
    p = place.spore('ps')
    t.case('one that cannot be made is named', p.returncode == 1 and '/no/such/place' in p.stderr, p)
    place.env['SPORE_RUNTIME_DIR'] = place.at('run')
    p = place.spore('ps')
    t.case('one that can is made, for its owner alone', p.returncode == 0 and
           os.stat(place.at('run')).st_mode & 0o777 == 0o700)


def check_kernels(t, place):
    def kernel(name, content):
        return place.write(name, content)
    run = ('run', '--kernel')
    refused(t, place, 'a kernel that is missing', 6, *run, 'nope', expect='nope')
    refused(t, place, 'a kernel that is empty', 6, *run, kernel('empty', ''), expect='empty')
    refused(t, place, 'a kernel that is a text', 6, *run, kernel('text', 'hello\n' * 1000),
            expect='text')
    with open(TGUEST, 'rb') as f:
        image = f.read()
    refused(t, place, 'a kernel cut short', 6, *run, kernel('short', image[:2000]), expect='short')
    refused(t, place, 'a folder', 6, *run, place.path, expect=place.path)
    refused(t, place, 'a name with a line break stays one line', 6, *run, 'a\nb', expect='a?b')
    refused(t, place, 'an initrd that is missing', 6, *run, TGUEST, '--initrd', 'nope',
            expect='nope')
    for memory in ('0', '1', '8M', '16777217', '2000G'):
        refused(t, place, f'--memory {memory}', 2, *run, TGUEST, '--memory', memory, expect='memory')
    refused(t, place, 'more RAM than the limit on file sizes allows', 7, *run, TGUEST,
            '--memory', '64M', expect='64 MiB of guest RAM: File too large',
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    for cpus in ('0', '65'):
        refused(t, place, f'--cpus {cpus}', 2, *run, TGUEST, f'--cpus={cpus}', expect='vCPU')
    refused(t, place, 'a command line that is too long', 2, *run, TGUEST, '--cmdline', 'x' * 3000,
            expect='command line')
    refused(t, place, 'a disk that is missing', 6, *run, TGUEST, '--disk', 'nope', expect='nope')
    refused(t, place, 'a disk shorter than a sector', 6, *run, TGUEST, '--disk',
            place.write('small', 'x' * 511), expect='small')
    refused(t, place, 'the same, detached', 6, *run, TGUEST, '--disk', 'small', '--detach',
            expect='small')


def check_documents(t, place):
    def config(name, text):
        return place.write(name, text)
    for name, text, expect in (
            ('missing.json', None, 'No such file'),
            ('empty.json', '', 'line 1'),
            ('text.json', 'hello', 'line 1 column'),
            ('array.json', '[]', 'expected an object'),
            ('unknown.json', '{"foo":1}', 'unknown field `foo`'),
            ('doubled.json', '{"drives":[],"drives":[]}', 'uplicate'),
            ('type.json', '{"boot-source":7}', 'invalid type: integer `7`'),
            ('inner.json', '{"boot-source":{"kernel_image_path":"k","bar":1}}',
             'boot-source: unknown field `bar`'),
            ('net.json', '{"boot-source":{"kernel_image_path":"k"},"network-interfaces":[{}]}',
             '`network-interfaces` is not supported'),
            ('vsock.json', '{"boot-source":{"kernel_image_path":"k"},"vsock":{}}',
             '`vsock` is not supported'),
            ('drive.json', '{"boot-source":{"kernel_image_path":"k"},"drives":[{"drive_id":"a"}]}',
             'drives[0]: missing field `is_root_device`'),
            ('twice.json', '{"boot-source":{"kernel_image_path":"k"},"drives":['
             + ','.join(['{"drive_id":"a","is_root_device":false,"path_on_host":"p"}'] * 2) + ']}',
             '`a` appears twice'),
            ('none.json', '{}', 'missing section `boot-source`')):
        if text is not None:
            config(name, text)
        refused(t, place, f'--config {name}', 6, 'run', '--config', name, expect=expect)
    good = '{"boot-source":{"kernel_image_path":"nope.elf"}}'
    refused(t, place, 'a good document leads to its kernel', 6, 'run', '--config',
            config('good.json', good), expect='nope.elf')
    refused(t, place, 'an option goes over it', 6, 'run', '--config', 'good.json', '--kernel',
            'other.elf', expect='other.elf')
    refused(t, place, 'a document that does not end', 6, 'run', '--config', '/dev/zero',
            expect='expected less than 1 MiB')


def check_snapshots(t, place):
    place.write('text', 'hello\n' * 2000)
    place.write('empty', '')
    for c in ('inspect', 'verify', 'restore'):
        for f in ('nope', 'empty', 'text', place.path):
            refused(t, place, f'{c} of {os.path.basename(f)}', 6, c, f, expect=f)


def elsewhere(place, setup, *args):
    """spore with another /dev, as `setup` makes it."""
    return subprocess.run(['unshare', '-m', 'sh', '-c', setup + '; exec "$@"', 'sh', SPORE, *args],
                          capture_output=True, text=True, env=place.env, cwd=place.path,
                          stdin=subprocess.DEVNULL)


def check_hosts(t, place):
    """Hosts that lack something: one line, status 7."""
    empty = 'mount -t tmpfs none /dev'
    plain = 'mount -t tmpfs none /dev; mknod /dev/kvm c 1 3'
    if elsewhere(place, empty, 'version').returncode != 0:
        t.skip('hosts that lack something', 'no right to mount here')
        return
    for name, setup in (('no /dev/kvm', empty), ('a /dev/kvm that is none', plain)):
        p = elsewhere(place, setup, 'run', '--kernel', TGUEST)
        t.case(f'run with {name}', p.returncode == 7 and p.stderr.count('\n') == 1 and
               '/dev/kvm' in p.stderr and place.folders() == [], p)
        p = elsewhere(place, setup, 'doctor')
        t.case(f'doctor with {name}', p.returncode == 7 and p.stdout.startswith('fail  kvm ') and
               p.stderr == '', p)
        p = elsewhere(place, setup, 'doctor', '--json')
        doc = json.loads(p.stdout)
        t.case(f'doctor --json with {name}', p.returncode == 7 and doc['ok'] is False and
               doc['kvm'] == 'none', p)
    denied = 'mount -t tmpfs none /dev; mknod -m 600 /dev/kvm c 10 232; chmod 777 .'
    os.chmod(place.path, 0o755)
    p = elsewhere(place, denied + '; set -- setpriv --reuid=65534 --clear-groups "$@"', 'doctor')
    if p.returncode == 127 or 'ermission denied' in p.stderr:
        t.skip('a /dev/kvm that may not be opened', 'nobody may not run this build')
    else:
        t.case('doctor with a /dev/kvm that may not be opened', p.returncode == 7 and
               re.search(r'^fail  kvm-access .*\n.*sudo usermod -aG kvm', p.stdout, re.M), p)
    p = place.spore('doctor', '--json')
    doc = json.loads(p.stdout)
    t.case('doctor --json here', p.returncode == (0 if doc['ok'] else 7) and
           doc['kvm'] in ('none', 'software', 'hardware') and
           all(set(r) == {'name', 'level', 'value', 'advice'} for r in doc['rows']) and
           all(r['advice'] or r['level'] == 'ok' for r in doc['rows']), p.stdout)


def check_completion(t, place):
    script = os.path.join(ROOT, 'tools', 'completion', 'spore.bash')
    p = subprocess.run(['bash', '-euc', f'source {script}; complete -p spore'],
                       capture_output=True, text=True)
    t.case('the completion loads', p.returncode == 0 and '-F _spore' in p.stdout and
           p.stderr == '', p)
    for c in COMMANDS:
        p = subprocess.run(['bash', '-c', f'source {script}; _spore_options {c}'],
                           capture_output=True, text=True)
        offered = set(p.stdout.split())
        real = {o for o in options_of(place, c) if o.startswith('--')}
        t.case(f'it knows the options of {c}', offered == real, f'{offered ^ real}')
    p = subprocess.run(['bash', '-c', f'source {script}; COMP_WORDS=(spore st); COMP_CWORD=1; '
                        '_spore; echo "${COMPREPLY[@]}"; COMP_WORDS=(spore ru); _spore; '
                        'echo "${COMPREPLY[@]}"'], capture_output=True, text=True)
    t.case('it completes commands', p.stdout == 'stop\nrun\n' and p.stderr == '', p)


def check_manuals(t, place):
    folder = os.path.join(ROOT, 'docs', 'man')
    pages = [f for f in sorted(os.listdir(folder)) if f.endswith('.scd')]
    for page in pages:
        with open(os.path.join(folder, page), 'rb') as f:
            made = subprocess.run(['scdoc'], input=f.read(), capture_output=True)
        t.case(f'{page} is good scdoc', made.returncode == 0 and made.stderr == b'',
               made.stderr.decode())
        shown = subprocess.run(['groff', '-man', '-ww', '-Tutf8', '-z'], input=made.stdout,
                               capture_output=True)
        t.case(f'{page} renders without warnings', shown.returncode == 0 and shown.stderr == b'',
               shown.stderr.decode())
    for c in COMMANDS:
        name = f'spore-{c}.1.scd' if f'spore-{c}.1.scd' in pages else 'spore.1.scd'
        with open(os.path.join(folder, name)) as f:
            text = f.read()
        missing = {o for o in options_of(place, c) if f'*{o}*' not in text and o not in
                   ('--help', '-h')}
        t.case(f'{name} tells about spore {c}', f'*{c}*' in text and not missing, missing)


def main():
    with Tap() as t, Place() as place:
        check_help(t, place)
        check_options(t, place)
        check_names(t, place)
        check_place(t, place)
        check_documents(t, place)
        check_snapshots(t, place)
        check_hosts(t, place)
        check_completion(t, place)
        check_manuals(t, place)
        if os.access('/dev/kvm', os.R_OK | os.W_OK):
            check_kernels(t, place)
        else:
            t.skip('refused kernels and disks', '/dev/kvm cannot be opened here')


main()
