#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What takes long does not keep others from the supervisor: while a worker, or another monitor, is stopped
in the middle of a freeze or a branch, all the rest is answered."""
import json
import os
import signal
import socket
import sys

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import PATIENCE, Console, Place, call, kvm_missing, wait_for  # noqa: E402
from serving import ask, below, boot, rows, serve, sock, states, workers  # noqa: E402
from tap import Tap  # noqa: E402


class Stopped:
    """A process that does nothing until the end of the block."""

    def __init__(self, pid):
        self.pid = pid
        self.gone = False

    def __enter__(self):
        os.kill(self.pid, signal.SIGSTOP)
        return self

    def __exit__(self, *_):
        if not self.gone:
            os.kill(self.pid, signal.SIGCONT)


def spawn(place, supervisor, name, *args):
    """A child, and its worker's process."""
    before = set(workers(supervisor.pid))
    p = place.spore('spawn', 'z', '--name', name, *args)
    assert p.returncode == 0, p
    (pid,) = set(workers(supervisor.pid)) - before
    return pid


def chores(place):
    return call(sock(place), 'GET', '/spore/status')[2]['chores']


def start(place, *args, chore=1):
    """A command that is not answered: one chore more, or none."""
    p = place.start(*args)
    wait_for(lambda: chores(place) == chore or p.poll() is not None, f'{args} to begin')
    return p


def ends(p):
    """Its status and what it said."""
    out, err = p.communicate(timeout=PATIENCE)
    return p.returncode, out.decode(), err.decode()


def zygotes(place):
    return sorted(r['name'] for r in rows(place, 'zygotes'))


def request(path, method, target, body, more=''):
    """A client that has asked, and does not read."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(PATIENCE)
    s.connect(path)
    text = json.dumps(body)
    s.sendall(f'{method} {target} HTTP/1.1\r\nHost: x\r\n{more}Content-Length: {len(text)}\r\n\r\n'
              f'{text}'.encode())
    return s


def answered(s):
    """The status of its answer."""
    return int(s.recv(4096).split()[1])


def check_others(t, place, what, expected):
    p = place.spore('spawn', 'z', '--name', 'other')
    t.case(f'{what}: others are spawned', p.returncode == 0 and
           ask(place, 'other', 'echo x') == 'ok x', p)
    p = place.spore('stop', 'other')
    t.case(f'{what}: and stopped', p.returncode == 0, p)
    t.case(f'{what}: zygotes are listed, but for the one to come', zygotes(place) == ['z'])
    t.case(f'{what}: so are machines', states(place) == expected, states(place))
    p = place.spore('pool', '--set', 'z=1')
    t.case(f'{what}: and pools', p.returncode == 0, p)
    place.spore('pool', '--set', 'z=0')


def check_branch(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    ask(place, 'a', 'secret 7')
    with Stopped(worker):
        first = start(place, 'branch', 'a', '--as', 'one')
        check_others(t, place, 'a branch', {'a': 'running'})
        p = place.spore('freeze', 'a', '--as', 'one')
        t.case('its name is taken from the beginning', p.returncode == 2 and 'one: a zygote of that name'
               in p.stderr, p)
        second = start(place, 'branch', 'a', '--as', 'two')
        resume = place.start('resume', 'a')
        grandchild = place.start('spawn', 'one', '--name', 'b')
        with Console(place, 'a') as c:
            t.case('what it wrote can be read', 'ok' in c.until('ok number'))
            c.s.sendall(b'echo typed\n')
        t.case('nobody who asked for more has an answer', [p.poll() for p in
               (first, second, resume, grandchild)] == [None] * 4)
    for p, what in ((first, 'it is branched'), (second, 'the second branch came after it'),
                    (grandchild, 'who wanted a child of the branch has one'),
                    (resume, 'who wanted it to go on was answered')):
        status, out, err = ends(p)
        t.case(what, status == 0, (status, out, err))
    t.case('all is there', zygotes(place) == ['one', 'two', 'z'] and
           states(place) == {'a': 'running', 'b': 'running'}, states(place))
    with Console(place, 'a') as c:
        t.case('what was typed meanwhile was not lost', 'ok typed' in c.until('ok typed'))
    t.case('the child of the branch has its memory', ask(place, 'b', 'nonce 3') == ask(place, 'a', 'nonce 3'))
    for name in ('a', 'b'):
        place.spore('stop', name)
    for name in ('one', 'two'):
        place.spore('zygotes', '--rm', name)


def check_freeze(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    with Stopped(worker):
        p = start(place, 'freeze', 'a', '--as', 'one')
        check_others(t, place, 'a freeze', {'a': 'running'})
        pause = request(place.at('run', 'a', 'api.sock'), 'PATCH', '/vm', {'state': 'Paused'})
        call(place.at('run', 'a', 'api.sock'), 'GET', '/')  # the other was looked at, then
    status, out, err = ends(p)
    t.case('it is frozen', status == 0 and zygotes(place) == ['one', 'z'], (status, out, err))
    t.case('who waited for it is told that it has ended', answered(pause) == 400)
    pause.close()
    t.case('it is no more', states(place) == {})
    place.spore('zygotes', '--rm', 'one')


def check_crowd(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    at = place.at('run', 'a', 'api.sock')
    with Stopped(worker):
        p = start(place, 'branch', 'a', '--as', 'one')
        for crowd in ('seven may wait for a machine', 'seven others, when they have left'):
            waiting = [request(at, 'PATCH', '/vm', {'state': 'Resumed'}) for _ in range(7)]
            status, _, said = call(at, 'PATCH', '/vm', {'state': 'Resumed'})
            t.case(crowd, status == 400 and '7 requests wait already' in said['fault_message'], said)
            t.case(f'{crowd}: and it can be asked how it is',
                   call(at, 'GET', '/spore/status')[2]['state'] == 'Running')
            if crowd.startswith('seven others'):
                break
            for s in waiting:
                s.close()
    t.case('those that waited are answered', [answered(s) for s in waiting] == [204] * 7)
    t.case('and who had it branched', ends(p)[0] == 0)
    place.spore('zygotes', '--rm', 'one')
    for s in waiting:
        s.close()


def check_surplus(t, place, supervisor):
    idle = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(10)]
    for s in idle:
        s.connect(sock(place))
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
        s.connect(sock(place))
        t.case('ten clients are served', answered(s) == 503)
    with Stopped(supervisor.pid):
        more = [request(sock(place), 'PUT', f'/spore/zygotes/x{n}', {'machine': 'a', 'branch': True})
                for n in range(4)]
    t.case('clients beyond ten are refused', [answered(s) for s in more] == [503] * 4)
    for s in idle + more:
        s.close()
    wait_for(lambda: place.spore('zygotes').returncode == 0, 'the ten to be gone')
    t.case('and what they asked for is not done', zygotes(place) == ['z'], zygotes(place))
    call(sock(place), 'GET', '/spore/status', headers={'Connection': 'close'})
    with Console(place, 'a') as c:
        c.s.sendall(b'echo heard\n')
        t.case('who takes the place of one that has closed is heard', 'ok heard' in c.until('ok heard'))
    place.spore('stop', 'a')


def check_stop(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    with Stopped(worker) as it:
        p = start(place, 'branch', 'a', '--as', 'one')
        pause = place.start('pause', 'a')
        q = place.spore('stop', 'a')
        t.case('one that does not answer is stopped at once', q.returncode == 0, q)
        it.gone = True
    status, out, err = ends(p)
    t.case('who wanted to branch it is told', status == 1 and 'SIGKILL' in err and err.count('\n') == 1,
           (status, out, err))
    status, out, err = ends(pause)
    t.case('and who wanted to pause it', status in (1, 2) and err.count('\n') == 1, (status, out, err))
    wait_for(lambda: states(place) == {}, 'its end')
    ended = call(sock(place), 'GET', '/spore/machines')[2]['ended'][-1]
    t.case('it ended because it was told to', ended['name'] == 'a' and ended['text'] == 'stopped from outside', ended)


def check_worker_dies(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    with Stopped(worker) as it:
        p = start(place, 'branch', 'a', '--as', 'one')
        os.kill(worker, signal.SIGKILL)
        it.gone = True
    status, out, err = ends(p)
    t.case('a worker that is killed in the middle is named', status == 1 and 'SIGKILL' in err and
           err.count('\n') == 1, (status, out, err))
    wait_for(lambda: states(place) == {}, 'its end')
    ended = call(sock(place), 'GET', '/spore/machines')[2]['ended'][-1]
    t.case('and its end told of', ended['name'] == 'a' and 'SIGKILL' in ended['why'], ended)
    t.case('nothing has the name', zygotes(place) == ['z'])


def check_other_monitor(t, place):
    boot(place, 'own')
    (monitor,) = [m['pid'] for m in place.machines() if m['name'] == 'own']
    with Stopped(monitor):
        p = start(place, 'freeze', 'own', '--as', 'one')
        q = place.spore('spawn', 'z', '--name', 'other')
        t.case('another monitor: others are spawned', q.returncode == 0 and
               ask(place, 'other', 'echo x') == 'ok x', q)
        place.spore('stop', 'other')
        t.case('another monitor: zygotes are listed', zygotes(place) == ['z'])
    status, out, err = ends(p)
    t.case('another monitor: it is frozen', status == 0 and zygotes(place) == ['one', 'z'], (status, out, err))


def check_client_leaves(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    with Stopped(worker):
        p = start(place, 'branch', 'a', '--as', 'two')
        p.kill()
        p.wait(PATIENCE)
    wait_for(lambda: 'two' in zygotes(place), 'the branch')
    t.case('who leaves has what was asked for done', ask(place, 'a', 'echo x') == 'ok x')
    place.spore('stop', 'a')


def whole_answer(s):
    text = b''
    while b'\r\n\r\n{' not in text and (more := s.recv(65536)):
        text += more
    s.close()
    return text


def check_files(t, place):
    for asked in (True, False):
        said = whole_answer(request(sock(place), 'PUT', '/spore/zygotes/z/save',
                                    {'snapshot_path': place.at('z.spore')},
                                    'Spore-Progress: 1\r\n' if asked else ''))
        t.case(f'progress of a save is told {"who asks" if asked else "nobody else"}',
               (b'HTTP/1.1 102 ' in said) == asked and b'HTTP/1.1 200 ' in said, said[-500:])
    both = [place.start('spawn', 'z.spore', '--name', name) for name in ('f', 'g')]
    done = [ends(p) for p in both]
    t.case('two who want children of one file have them', [s for s, _, _ in done] == [0, 0], done)
    t.case('and it was read once', [z for z in zygotes(place) if z.startswith('z.')] in ([], ['z.2']) and
           sum(r['file'] is not None for r in rows(place, 'zygotes')) == 1, zygotes(place))
    with open(place.at('z.spore'), 'r+b') as f:
        f.write(b'\0' * 16)
    for name in ('f', 'g'):
        place.spore('stop', name)
    bad = [place.start('spawn', 'z.spore', '-n', '2') for _ in range(3)]
    done = [ends(p) for p in bad]
    t.case('three who want children of one that is spoilt are refused, once each',
           [s for s, _, _ in done] == [6] * 3 and all(e.count('\n') == 1 for _, _, e in done), done)
    saving = place.start('zygotes', '--save', 'one', '-o', 'one.spore')
    removing = place.start('zygotes', '--rm', 'one')
    done = ends(removing), ends(saving)
    p = place.spore('verify', 'one.spore')
    t.case('one that is removed while it is saved is saved whole, or was gone before',
           done[0][0] == 0 and (p.returncode == 0) == (done[1][0] == 0), (done, p))
    t.case('and is not there', 'one' not in zygotes(place))


def refused(place, *args):
    p = place.spore(*args)
    return p if p.returncode else None


def check_end(t, place, supervisor):
    worker = spawn(place, supervisor, 'a')
    with Stopped(worker):
        p = start(place, 'branch', 'a', '--as', 'three')
        supervisor.terminate()
        q = wait_for(lambda: refused(place, 'zygotes', '--save', 'z', '-o', 'y.spore'), 'it to be heard')
        t.case('a supervisor that is about to end begins nothing', q.returncode == 2 and
               'about to end' in q.stderr, q)
        q = place.spore('branch', 'a', '--as', 'four')
        t.case('nor lets others wait', q.returncode == 2 and 'about to end' in q.stderr, q)
        t.case('and waits for what it began', supervisor.poll() is None)
    status, out, err = ends(p)
    t.case('who asked is answered', status == 0, (status, out, err))
    t.case('then it ends', supervisor.wait(PATIENCE) == 5)
    wait_for(lambda: below(supervisor.pid) == {}, 'its processes')
    t.case('and leaves nothing', place.folders() == [], place.folders())


def main():
    with Tap() as t:
        if why := kvm_missing():
            t.skip('all of it', why)
            return
        with Place() as place:
            supervisor = serve(place)
            boot(place, 'base')
            assert place.spore('freeze', 'base', '--as', 'z').returncode == 0
            check_branch(t, place, supervisor)
            check_freeze(t, place, supervisor)
            check_crowd(t, place, supervisor)
            check_surplus(t, place, supervisor)
            check_stop(t, place, supervisor)
            check_worker_dies(t, place, supervisor)
            check_other_monitor(t, place)
            check_client_leaves(t, place, supervisor)
            check_files(t, place)
            check_end(t, place, supervisor)


main()
