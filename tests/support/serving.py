# SPDX-License-Identifier: Apache-2.0
"""What the suites of the supervisor share: it, the test guest, and the processes below."""
import json
import os

from edge import TGUEST, Console, wait_for

GUEST = ('--kernel', TGUEST, '--memory', '32M')


def ask(place, name, line):
    with Console(place, name) as c:
        return c.ask(line)


def boot(place, name, *args):
    p = place.spore('run', *GUEST, '--detach', '--name', name, *args)
    assert p.returncode == 0, p
    with Console(place, name) as c:
        c.until('tguest: ready')


def serve(place, *args, **more):
    """A supervisor that answers: its process."""
    p = place.start('serve', *args, **more)
    wait_for(lambda: place.spore('tree').returncode == 0 or p.poll() is not None, 'the supervisor')
    assert p.poll() is None, p.communicate()
    return p


def rows(place, command):
    p = place.spore(command, '--json')
    assert p.returncode == 0 and p.stderr == '', p
    return json.loads(p.stdout)


def states(place):
    return {r['name']: r['state'] for r in place.machines()}


def sock(place):
    return place.at('run', '.serve', 'api.sock')


def below(pid):
    """The names of the processes below this one that are not zombies."""
    found, todo = {}, [pid]
    while todo:
        parent = todo.pop()
        for entry in os.listdir('/proc'):
            try:
                with open(f'/proc/{entry}/stat') as f:
                    begin, _, end = f.read().rpartition(')')
                    state, above = end.split()[:2]
            except (OSError, ValueError):
                continue
            if entry.isdigit() and int(above) == parent:
                todo.append(int(entry))
                if state != 'Z':
                    found[int(entry)] = begin.partition('(')[2]
    return found


def is_gone(pid):
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().rsplit(')', 1)[1].split()[0] == 'Z'
    except OSError:
        return True


def workers(pid):
    """Those below this one that are, or may become, a machine."""
    return [w for w, name in below(pid).items() if name == 'spore-worker']
