#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/setup.sh on hosts of which some packages are missing, played by scripts in its PATH."""
import os
import subprocess
import sys
import tempfile

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

# Every package is there but those in $GONE; `apt-get install` notes what it was told, and fails as
# long as the lists are old, if $OLD_LISTS says so.
PLAYERS = {
    'dpkg-query': '''shift 3
for p in "$@"; do
    case " $GONE " in *" $p "*) ;; *) echo "installed $p" ;; esac
done
[ -z "$GONE" ]''',
    'apt-get': '''echo "apt-get $*" >>"$LOG"
case $1 in
update) : >"$LOG.updated" ;;
install) [ -z "$OLD_LISTS" ] || [ -e "$LOG.updated" ] ;;
esac''',
    'id': 'echo "$PLAYED_UID"',
    'sudo': '''[ -n "$SUDO_WORKS" ] || exit 1
[ "$1" != -n ] || shift
echo "sudo $*" >>"$LOG"
exec "$@"''',
}


def play(place, **env):
    log = os.path.join(place, 'log')
    for f in (log, log + '.updated'):
        if os.path.exists(f):
            os.unlink(f)
    base = {'PATH': place + ':' + os.environ['PATH'], 'LOG': log, 'GONE': '', 'OLD_LISTS': '',
            'PLAYED_UID': '0', 'SUDO_WORKS': ''}
    p = subprocess.run([os.path.join(ROOT, 'tools', 'setup.sh')], env={**base, **env},
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    done = open(log).read() if os.path.exists(log) else ''
    return p.returncode, p.stdout + p.stderr, done


def main(t, place):
    for name, body in PLAYERS.items():
        with open(os.path.join(place, name), 'w') as f:
            f.write(f'#!/bin/sh\n{body}\n')
        os.chmod(os.path.join(place, name), 0o755)

    status, said, done = play(place)
    t.case('nothing is missing: nothing is said or done', (status, said, done) == (0, '', ''), said)

    status, said, done = play(place, GONE='scdoc meson')
    t.case('what is missing is named', status == 0 and 'installing meson scdoc' in said, said)
    t.case('and installed, that and nothing else',
           sorted(w for w in done.split()[2:] if not w.startswith('-')) == ['meson', 'scdoc']
           and done.count('\n') == 1, done)

    status, said, done = play(place, GONE='scdoc', OLD_LISTS='1')
    t.case('the lists of packages are fetched when they must be',
           status == 0 and [line.split()[1] for line in done.splitlines()]
           == ['install', 'update', 'install'], done)

    status, said, done = play(place, GONE='scdoc', PLAYED_UID='1000', SUDO_WORKS='1')
    t.case('another user installs by sudo',
           status == 0 and 'sudo env' in done and 'install' in done, done)

    status, said, done = play(place, GONE='scdoc', PLAYED_UID='1000')
    t.case('without sudo the status is 7', status == 7 and done == '', f'{status} {done}')
    commands = [line for line in said.splitlines() if 'apt-get install' in line]
    t.case('and there is one command to type', len(commands) == 1 and 'scdoc' in commands[0], said)


with tempfile.TemporaryDirectory() as place, Tap() as t:
    main(t, place)
