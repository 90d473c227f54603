#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Children and zygotes that outlive their supervisor: it is told to go or killed, at any moment, and the
next one finds them as they are."""
import ctypes
import http.client
import json
import os
import random
import signal
import sys
import threading
import time

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import PATIENCE, Console, Place, call, kvm_missing, wait_for  # noqa: E402
from serving import (ask, below, boot, is_gone, rows, serve, sock, states,  # noqa: E402
                     workers)
from tap import Tap  # noqa: E402

PR_SET_CHILD_SUBREAPER = 36
ROUNDS = 12
ENOUGH = 8  # machines to begin a round with


def named(name):
    """The processes of that name below this one, which is the next parent of all orphans."""
    return [pid for pid, comm in below(os.getpid()).items() if comm == name]


def kill(p):
    p.kill()
    p.wait(PATIENCE)


def reap(pid):
    """Waits for an orphan."""
    os.waitpid(pid, 0)


def all_over(place):
    """Whatever was kept is taken over by a supervisor that does not keep, and ends with it."""
    supervisor = serve(place)
    supervisor.terminate()
    return supervisor.wait(PATIENCE)


def nothing_left(place):
    """Of processes and names."""
    wait_for(lambda: below(os.getpid()) == {}, 'all processes to go')
    place.machines()  # clears what somebody was killed in the middle of clearing
    return place.folders() == [] and set(os.listdir(place.at('run'))) <= {'.lock'}


def family(place):
    """A zygote with a disk and a secret, and children of it in every state."""
    place.write('disk', bytes(1 << 20))
    place.write('own', bytes(1 << 20))
    boot(place, 'base', '--disk', 'disk,rw')
    ask(place, 'base', 'secret 4711')
    place.spore('freeze', 'base', '--as', 'z')
    place.spore('pool', '--set', 'z=2', '--armed', 'z=1')
    place.spore('spawn', 'z', '-n', '6')
    place.spore('spawn', 'z', '--name', 'given', '--disk', '0=own,rw')
    place.spore('spawn', 'z', '--name', 'new', '--paused')
    place.spore('pause', 'z-2')
    ask(place, 'z-3', 'secret 3')
    place.spore('branch', 'z-3', '--as', 'young')
    place.spore('spawn', 'young', '-n', '2')
    place.spore('zygotes', '--rm', 'young')
    wait_for(lambda: rows(place, 'pool')[0]['shells'] == 2, 'the pool')


def view(place):
    """What can be seen of them, but for the supervisor's own process."""
    machines = [{k: m[k] for k in ('name', 'state', 'memory', 'started')} for m in place.machines()]
    config = place.spore('tree', '--json').stdout
    zygotes = [(r['name'], r['machine'], r['children'], r['info']['id']) for r in rows(place, 'zygotes')]
    pool = [(r['zygote'], r['wanted_shells'], r['wanted_armed']) for r in rows(place, 'pool')]
    return machines, json.loads(config), zygotes, pool


def check_killed(t, place):
    supervisor = serve(place, '--keep')
    t.case('the supervisor says that it keeps', call(sock(place), 'GET', '/spore/status')[2]['keeps'])
    family(place)
    secrets = {n: ask(place, n, 'nonce 5') for n in ('z-1', 'z-3', 'young-1', 'given')}
    with Console(place, 'z-6') as c:
        c.ask('echo before the end')
    before = view(place)
    kill(supervisor)
    kept = place.machines()
    t.case('ps says that all are kept', {r['state'] for r in kept} == {'kept'} and
           len(kept) == len(before[0]), kept)
    t.case('none of them has gone', len(workers(os.getpid())) >= len(kept))
    p = place.spore('stop', 'z-1')
    t.case('nobody can be told anything, which is said', p.returncode == 2 and
           p.stderr.count('\n') == 1 and 'z-1: nobody answers for it: it goes on without a supervisor' in p.stderr, p)
    p = place.spore('run', '--kernel', place.at('x'), '--name', 'z-1')
    t.case('a name that is kept is taken', p.returncode == 2 and 'z-1: a machine of that name' in
           p.stderr, p)
    supervisor = serve(place, '--keep')
    after = view(place)
    t.case('the next one finds all as it was', after == before, f'{after}\n{before}')
    t.case('with their memory', {n: ask(place, n, 'nonce 5') for n in secrets} == secrets)
    with Console(place, 'z-6') as c:
        t.case('and the end of their consoles', 'before the end' in c.until('before the end'))
    check_goes_on(t, place)
    return supervisor


def check_goes_on(t, place):
    """All that can be asked of a child and a zygote, of those that were taken over."""
    for name in ('z-2', 'new'):
        p = place.spore('resume', name)
        t.case(f'{name} goes on when it is told to', p.returncode == 0 and
               ask(place, name, 'echo x') == 'ok x', p)
    p = place.spore('stop', 'z-1')
    t.case('one is stopped', p.returncode == 0 and p.stderr == '', p)
    p = place.spore('spawn', 'z', '-n', '2')
    t.case('its name is free, and the zygote has more children', p.stdout == 'z-1\nz-7\n' and
           ask(place, 'z-7', 'echo x') == 'ok x', p)
    want = ask(place, 'z-4', 'nonce 9')
    p = place.spore('freeze', 'z-4', '--as', 'frozen')
    t.case('one is frozen', p.returncode == 0 and place.spore('spawn', 'frozen').returncode == 0 and
           ask(place, 'frozen-1', 'nonce 9') == want, p)
    p = place.spore('branch', 'z-5', '--as', 'branched')
    t.case('one is branched', p.returncode == 0 and ask(place, 'z-5', 'echo x') == 'ok x' and
           place.spore('spawn', 'branched').returncode == 0, p)
    p = place.spore('spawn', 'z', '--name', 'second', '--disk', '0=own,rw')
    t.case('the disk that one was given is in use', p.returncode != 0 and 'own' in p.stderr, p)
    wait_for(lambda: rows(place, 'pool')[0]['shells'] == 2, 'the pool to be full again')


def check_ends(t, place):
    """How each ends while nobody is there is told by the next supervisor."""
    supervisor = serve(place, '--keep')
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    before = set()
    pids = {}
    for name in ('off', 'crash', 'victim', 'other'):
        place.spore('spawn', 'z', '--name', name)
        now = set(workers(supervisor.pid))
        pids[name] = (now - before).pop()
        before = now
    for name in ('off', 'crash'):
        with Console(place, name) as c:
            c.s.sendall(f'echo soon;sleep 5000;{name}\n'.encode())  # the supervisor is gone by then
            c.until('ok soon')
    kill(supervisor)
    os.kill(pids['victim'], signal.SIGKILL)
    reap(pids['victim'])
    for name in ('off', 'crash'):
        wait_for(lambda: is_gone(pids[name]), f'{name} to end')
    supervisor = serve(place, '--keep')
    wait_for(lambda: set(states(place)) == {'other'}, 'the others to be told of')
    ended = {e['name']: e for e in call(sock(place), 'GET', '/spore/machines')[2]['ended']}
    t.case('what the guests did is told', (ended['off']['code'], ended['crash']['code']) == (1, 3), ended)
    t.case('and that a worker was killed', ended['victim']['code'] == 5 and
           'its worker' in ended['victim']['why'], ended)
    t.case('their names are free', place.folders() == ['other'], place.folders())
    kill(supervisor)
    t.case('what is kept ends with a supervisor that does not keep', all_over(place) == 5 and
           nothing_left(place), (place.folders(), below(os.getpid())))


def check_told(t, place):
    supervisor = serve(place, '--keep')
    family(place)
    before = view(place)
    supervisor.terminate()
    t.case('one that is told to go leaves them', supervisor.wait(PATIENCE) == 5 and
           {r['state'] for r in place.machines()} == {'kept'}, place.machines())
    supervisor = serve(place, '--keep')
    t.case('for the next', view(place) == before, f'{view(place)}\n{before}')
    keeper = named('spore-keeper')
    t.case('there is one keeper', len(keeper) == 1, keeper)
    os.kill(keeper[0], signal.SIGKILL)
    reap(keeper[0])
    wait_for(lambda: named('spore-keeper') != [], 'another keeper')
    wait_for(lambda: call(sock(place), 'GET', '/spore/status')[2]['keeps'], 'all to be kept')
    kill(supervisor)
    supervisor = serve(place, '--keep')
    t.case('a keeper that is killed is replaced, with all that it had', view(place) == before,
           f'{view(place)}\n{before}')
    for name in ('young-1', 'given', 'z-3'):
        t.case(f'{name} goes on', ask(place, name, 'echo x') == 'ok x')
    kill(supervisor)
    os.truncate(place.at('own'), 2 << 20)
    supervisor = serve(place, '--keep')
    ended = call(sock(place), 'GET', '/spore/machines')[2]['ended']
    wait_for(lambda: 'given' not in states(place), 'its name to be free')
    t.case('one that cannot be taken over ends and is told of, and no other does',
           [(e['name'], e['code']) for e in ended] == [('given', 5)] and
           'could not be taken over' in ended[0]['why'] and
           {m['name'] for m in before[0]} - set(states(place)) == {'given'}, (ended, states(place)))
    os.kill(named('spore-keeper')[0], signal.SIGSTOP)
    keeper = named('spore-keeper')[0]
    kill(supervisor)
    os.kill(keeper, signal.SIGKILL)
    reap(keeper)
    wait_for(lambda: workers(os.getpid()) == [], 'the workers to go')
    t.case('with both killed, nothing lives on', place.machines() == [] and place.folders() == [],
           place.folders())
    t.case('and one can begin anew', all_over(place) == 5 and nothing_left(place))


def no_start(place):
    """A supervisor that refuses to start: its status, and what it says."""
    p = place.start('serve', '--keep')
    wait_for(lambda: p.poll() is not None or place.spore('tree').returncode == 0, 'what comes of it')
    p.kill()
    return p.wait(PATIENCE), p.stderr.read().decode()


def check_host_at_fault(t, place):
    """Nothing ends because the host, or the next supervisor, lacks something just now."""
    supervisor = serve(place, '--keep')
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    place.spore('pool', '--set', 'z=1', '--armed', 'z=1')
    place.spore('spawn', 'z', '-n', '3')
    ask(place, 'z-2', 'secret 2')
    want = ask(place, 'z-2', 'nonce 5')
    before = view(place)
    kill(supervisor)
    wait_for(lambda: len(workers(os.getpid())) == 3, 'the pool to go')
    for file, replaces in (('pid.new', False), ('console.sock', True)):
        at = place.at('run', 'z-2', file)
        if replaces:
            os.unlink(at)
        os.mkdir(at)  # in the way of what it has to make
        status, said = no_start(place)
        t.case(f'{file} cannot be made: it refuses to start, and says why', status in (1, 2) and
               said.count('\n') == 1 and 'machine/z-2: cannot be taken over now' in said, (status, said))
        os.rmdir(at)
        t.case(f'{file}: all is still kept', {r['state'] for r in place.machines()} == {'kept'} and
               len(workers(os.getpid())) == 3, (place.machines(), workers(os.getpid())))
    place.env['SPORE_WORKER'] = place.at('nowhere')
    supervisor = serve(place, '--keep')
    machines, tree, zygotes, _ = view(place)
    t.case('without a pool all is taken over', (machines, tree, zygotes) == before[:3],
           f'{view(place)}\n{before}')
    t.case('and goes on', ask(place, 'z-2', 'nonce 5') == want)
    supervisor.kill()
    said = supervisor.communicate(timeout=PATIENCE)[1].decode()
    t.case('which is said once, of its zygote', said.count('\n') == 1 and
           'z: nothing is kept ready for it' in said, said)
    del place.env['SPORE_WORKER']
    supervisor = serve(place, '--keep')
    wait_for(lambda: rows(place, 'pool')[0]['shells'] == 1, 'the pool')
    t.case('the next one finds all, and fills the pool', view(place) == before,
           f'{view(place)}\n{before}')
    t.case('with its memory', ask(place, 'z-2', 'nonce 5') == want)
    kill(supervisor)
    t.case('nothing is left at the end', all_over(place) == 5 and nothing_left(place),
           (place.folders(), below(os.getpid())))


def check_silent(t, place):
    """One that is told twice to end does not wait for a worker that says nothing."""
    supervisor = serve(place, '--keep')
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    place.spore('spawn', 'z', '--name', 'a')
    want = ask(place, 'a', 'nonce 5')
    for what in ('branch', 'freeze'):
        (worker,) = workers(os.getpid())
        os.kill(worker, signal.SIGSTOP)
        p = place.start(what, 'a', '--as', 'b')
        wait_for(lambda: call(sock(place), 'GET', '/spore/status')[2]['chores'] == 1, 'it to begin')
        supervisor.terminate()
        wait_for(lambda: 'about to end' in place.spore('zygotes', '--save', 'z', '-o', 'x').stderr,
                 'it to be heard')
        t.case(f'{what}: told once, it waits', supervisor.poll() is None)
        supervisor.terminate()
        t.case(f'{what}: told twice, it does not', supervisor.wait(PATIENCE) == 5)
        t.case(f'{what}: who asked is told', p.wait(PATIENCE) != 0)
        os.kill(worker, signal.SIGCONT)
        supervisor = serve(place, '--keep')
        p = place.spore('resume', 'a')
        t.case(f'{what}: the machine is kept, and nothing else', p.returncode == 0 and
               ask(place, 'a', 'nonce 5') == want and
               [r['name'] for r in rows(place, 'zygotes')] == ['z'], p)
    kill(supervisor)
    t.case('nothing is left at the end', all_over(place) == 5 and nothing_left(place),
           (place.folders(), below(os.getpid())))


def storm(place, stop, told):
    """Requests of all kinds until the supervisor is gone; what was answered is noted."""
    n = 0
    while not stop.is_set():
        n += 1
        name = f's{told["round"]}-{n}'
        try:
            status, _, reply = call(sock(place), 'PUT', '/spore/spawn', {'zygote': 'z', 'name': name})
            if status == 200 and reply['children'][0]['ok']:
                told['there'].add(name)
            victim = random.choice(sorted(told['there']))
            what = random.choice(('pause', 'resume', 'branch', 'freeze', 'stop', 'rm'))
            at = place.at('run', victim, 'api.sock')
            if what in ('pause', 'resume'):
                call(at, 'PATCH', '/vm', {'state': 'Paused' if what == 'pause' else 'Resumed'})
            elif what in ('branch', 'freeze'):
                told['maybe'].add(victim)
                call(sock(place), 'PUT', f'/spore/zygotes/{name}-z',
                     {'machine': victim, 'branch': what == 'branch'})
            elif what == 'stop':
                told['there'].discard(victim)
                told['maybe'].add(victim)
                call(at, 'PUT', '/spore/stop')
            else:
                call(sock(place), 'DELETE', f'/spore/zygotes/s{told["round"]}-{n - 1}-z')
        except (OSError, ValueError, IndexError, http.client.HTTPException):
            continue


def check_any_moment(t, place):
    """Killed twelve times in the middle of everything."""
    supervisor = serve(place, '--keep')
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    told = {'there': set(), 'maybe': set(), 'round': 0}
    lost, silent, extra = [], [], []
    for told['round'] in range(ROUNDS):
        stop = threading.Event()
        thread = threading.Thread(target=storm, args=(place, stop, told))
        thread.start()
        time.sleep(random.uniform(0.02, 0.3))
        kill(supervisor)
        stop.set()
        thread.join(PATIENCE)
        supervisor = serve(place, '--keep')
        now = states(place)
        lost += [n for n in told['there'] - told['maybe'] if n not in now]
        for name in list(now):
            p = place.spore('resume', name)
            if 'it has been frozen' in p.stderr:
                # Asked to, when nobody was there any more to take what it had become.
                p = place.spore('freeze', name, '--as', f'{name}-late')
                place.spore('spawn', f'{name}-late', '--name', f'{name}-again')
                now[f'{name}-again'] = now.pop(name)
                name = f'{name}-again'
            if p.returncode != 0 or ask(place, name, 'echo x') != 'ok x':
                silent.append((name, p))
        try:
            wait_for(lambda: len(workers(os.getpid())) == len(now), 'the rest to go')
        except AssertionError:
            extra.append((len(workers(os.getpid())), len(now)))
        for name in sorted(now)[ENOUGH:]:
            place.spore('stop', name)
        told['there'] = set(sorted(now)[:ENOUGH])
        told['maybe'] = set()
    t.case(f'killed {ROUNDS} times, none that was told of is lost', lost == [], lost)
    t.case('all that are there answer', silent == [], silent)
    t.case('and no process is left of any other', extra == [], extra)
    kill(supervisor)
    t.case('nor anything at the end', all_over(place) == 5 and nothing_left(place),
           (place.folders(), below(os.getpid())))


def main():
    with Tap() as t:
        if missing := kvm_missing():
            t.skip('what is kept', missing)
            return
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with Place() as place:
            supervisor = check_killed(t, place)
            kill(supervisor)
            all_over(place)
            t.case('all is gone', nothing_left(place), (place.folders(), below(os.getpid())))
        for check in (check_ends, check_told, check_host_at_fault, check_silent,
                      check_any_moment):
            with Place() as place:
                check(t, place)


if __name__ == '__main__':
    main()
