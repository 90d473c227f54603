#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The supervisor and its commands, with the test guest: from a machine to a zygote to its children and
theirs, every refusal, and what is left when the supervisor is killed."""
import json
import os
import re
import resource
import signal
import socket
import stat
import sys

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import PATIENCE, Console, Place, call, kvm_missing, wait_for  # noqa: E402
from serving import (GUEST, ask, below, boot, is_gone, rows, serve, sock, states,  # noqa: E402
                     workers)
from tap import Tap  # noqa: E402


def refused(t, place, name, status, *args, expect):
    before = states(place)
    p = place.spore(*args)
    t.case(name, p.returncode == status and p.stdout == '' and p.stderr.count('\n') == 1 and
           expect in p.stderr and states(place) == before, f'{p} {states(place)} {before}')


def check_nobody(t, place):
    for args in (('freeze', 'x', '--as', 'z'), ('spawn', 'z'), ('spawn', './z'), ('zygotes',),
                 ('zygotes', '--rm', 'z'), ('zygotes', '--save', 'z', '-o', 'f'), ('tree',),
                 ('pool',), ('pool', '--set', 'z=1')):
        refused(t, place, f'{" ".join(args)} without a supervisor', 2, *args,
                expect='start one with `spore serve`')


def check_life(t, place):
    p = place.spore('serve', '--detach')
    t.case('serve --detach returns when it answers', p.returncode == 0 and
           place.spore('tree').returncode == 0, p)
    p = place.spore('serve')
    t.case('a second one is refused', p.returncode == 2 and 'a supervisor is there already' in
           p.stderr and p.stderr.count('\n') == 1, p)
    base = place.start('run', *GUEST, '--name', 'base')
    base.stdout.readline()
    base.stdin.write(b'secret 4711\n')
    base.stdin.flush()
    base.stdout.readline()
    p = place.spore('freeze', 'base', '--as', 'z')
    t.case('freeze', p.returncode == 0 and p.stdout == p.stderr == '', p)
    t.case('the name is free when it returns', place.folders() == [], place.folders())
    t.case('the monitor ends with 5 and says why', base.wait(PATIENCE) == 5 and
           b'base: was frozen into a zygote\n' in base.stderr.read())
    z = rows(place, 'zygotes')
    t.case('zygotes has it', [(r['name'], r['machine'], r['children'], r['info']['memory'],
                               r['info']['parent']) for r in z] ==
           [('z', 'base', 0, 32 << 20, None)], z)
    check_children(t, place)
    check_lineage(t, place)
    check_pools(t, place)
    check_files(t, place)
    with open(place.at('run', '.serve', 'pid')) as f:
        pid = int(f.read())
    all_of_it = below(pid)
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: is_gone(pid), 'the supervisor to leave')
    t.case('it takes everything along', place.folders() == [] and
           not os.path.exists(place.at('run', '.serve')) and len(all_of_it) > 0 and
           all(is_gone(w) for w in all_of_it), (place.folders(), all_of_it))


def check_children(t, place):
    p = place.spore('spawn', 'z', '-n', '20')
    names = [f'z-{i}' for i in range(1, 21)]
    t.case('spawn -n 20 prints twenty names', p.returncode == 0 and p.stderr == '' and
           p.stdout.split() == names, p)
    t.case('ps knows them', states(place) == {n: 'running' for n in names}, states(place))
    same = {ask(place, n, 'nonce 5') for n in names}
    ask(place, 'z-2', 'secret 6')
    t.case('each goes on from there', len(same) == 1 and same.pop().startswith('ok'), same)
    t.case('by itself', ask(place, 'z-2', 'nonce 5') != ask(place, 'z-3', 'nonce 5'))
    with Console(place, 'z-7') as c:
        t.case('the console greets', c.greeting == 'OK\n')
        c.ask('echo left behind')
        with Console(place, 'z-7') as d:
            t.case('one client at a time', 'in use' in d.greeting, d.greeting)
    with Console(place, 'z-7') as c:
        t.case('what was written before is replayed', 'left behind' in c.until('left behind'))
    for word, state in (('pause', 'paused'), ('pause', 'paused'), ('resume', 'running')):
        p = place.spore(word, 'z-3')
        t.case(f'{word} of a child: {state}', p.returncode == 0 and
               states(place)['z-3'] == state, p)
    p = place.spore('stop', 'z-4')
    t.case('stop of a child, and its name is free', p.returncode == 0 and
           'z-4' not in place.folders(), p)
    p = place.spore('spawn', 'z')
    t.case('the next free number is taken', p.stdout == 'z-4\n', p)
    p = place.spore('snapshot', 'z-5', '-o', 'no.spore')
    t.case('a child writes no file', p.returncode == 2 and 'freeze it' in p.stderr and
           not os.path.exists(place.at('no.spore')) and states(place)['z-5'] == 'running', p)
    for name, line, code in (('z-5', b'off\n', 1), ('z-6', b'crash\n', 3)):
        with Console(place, name) as c:
            c.s.sendall(line)
            while c.s.recv(4096):
                pass
    wait_for(lambda: not {'z-5', 'z-6'} & set(place.folders()), 'two to end')
    ended = {e['name']: e['code'] for e in call(sock(place), 'GET', '/spore/machines')[2]['ended']}
    t.case('how each ended is remembered', ended == {'z-4': 4, 'z-5': 1, 'z-6': 3}, ended)
    p = place.spore('spawn', 'z', '-n', '2', '--name', 'p%d', '--paused', '--json')
    reply = json.loads(p.stdout)
    t.case('--paused and --json', p.returncode == 0 and reply['zygote'] == 'z' and
           [(c['name'], c['ok']) for c in reply['children']] == [('p1', True), ('p2', True)] and
           all(c['spawn_ns'] > 0 for c in reply['children']) and
           states(place)['p1'] == states(place)['p2'] == 'paused', p)
    p = place.spore('resume', 'p1')
    t.case('which go on when they are told to', ask(place, 'p1', 'echo x') == 'ok x', p)
    p = place.spore('spawn', 'z', '--name', 'timed', '--timings')
    t.case('--timings is a table', p.returncode == 0 and
           re.fullmatch(r'NAME +SPAWN us +ENTRY us +EXIT us\ntimed +\d+\.\d +\S+ +\S+\n', p.stdout),
           p)


def check_lineage(t, place):
    ask(place, 'z-1', 'secret 1')
    want = ask(place, 'z-1', 'nonce 9')
    p = place.spore('freeze', 'z-1', '--as', 'young')
    t.case('a child is frozen', p.returncode == 0 and 'z-1' not in states(place), p)
    p = place.spore('spawn', 'young', '-n', '2')
    t.case('and has children', p.stdout == 'young-1\nyoung-2\n' and
           ask(place, 'young-1', 'nonce 9') == want, p)
    place.spore('pause', 'young-2')
    tree = rows(place, 'tree')
    t.case('tree has one root', [(n['kind'], n['name'], n['state']) for n in tree] ==
           [('zygote', 'z', None)], tree)
    below = {n['name']: n for n in tree[0]['children']}
    young = below['young']
    t.case('machines and zygotes lie below what they came from', below['z-2']['kind'] == 'machine' and
           young['kind'] == 'zygote' and [(n['name'], n['state']) for n in young['children']] ==
           [('young-1', 'running'), ('young-2', 'paused')], young)
    p = place.spore('tree')
    t.case('without a terminal it is indented', p.stdout.startswith('z\n    z-2 (running)\n') and
           '\n    young\n        young-1 (running)\n        young-2 (paused)\n' in p.stdout, p)
    p = place.spore('zygotes', '--rm', 'young')
    t.case('a zygote is forgotten and its children live on', p.returncode == 0 and
           [r['name'] for r in rows(place, 'zygotes')] == ['z'] and
           ask(place, 'young-1', 'echo still') == 'ok still', p)
    gone = [n for n in rows(place, 'tree') if n['name'] == 'young']
    t.case('tree says so', len(gone) == 1 and gone[0]['state'] == 'gone' and
           len(gone[0]['children']) == 2, gone)
    place.spore('stop', 'young-1')
    place.spore('stop', 'young-2')


def check_pools(t, place):
    p = place.spore('pool', '--set', 'z=3', '--armed', 'z=2')
    t.case('pool --set', p.returncode == 0 and p.stdout == p.stderr == '', p)

    def full():
        pool = rows(place, 'pool')[0]
        return pool['shells'] == 3 and pool['armed'] == 2 and pool['dead'] == 0 and pool
    before = wait_for(full, 'the pool to be full')
    t.case('it has what is wanted', (before['wanted_shells'], before['wanted_armed'],
                                     before['failures']) == (3, 2, 0), before)
    p = place.spore('spawn', 'z', '-n', '2', '--name', 'a%d')
    after = rows(place, 'pool')[0]
    t.case('spawns take from it', p.returncode == 0 and
           after['from_armed'] + after['from_shell'] ==
           before['from_armed'] + before['from_shell'] + 2 and after['from_armed'] > 0, after)
    p = place.spore('pool')
    t.case('pool is a table', p.stdout.startswith('ZYGOTE ') and p.stdout.count('\n') == 2, p)
    place.spore('pool', '--set', 'z=0', '--armed', 'z=0')
    wait_for(lambda: rows(place, 'pool')[0]['shells'] == rows(place, 'pool')[0]['armed'] == 0,
             'the pool to be empty')
    t.case('children of a pool live on when it is emptied', ask(place, 'a1', 'echo x') == 'ok x')


def check_files(t, place):
    p = place.spore('zygotes', '--save', 'z', '-o', 'kept.spore')
    t.case('a zygote is saved', p.returncode == 0 and
           place.spore('verify', 'kept.spore').returncode == 0, p)
    for name in ('./kept.spore', 'kept.spore'):
        p = place.spore('spawn', name)
        t.case(f'spawn {name}', p.returncode == 0 and p.stderr == '' and
               ask(place, p.stdout.strip(), 'echo x') == 'ok x', p)
    t.case('the file is read once', [r['name'] for r in rows(place, 'zygotes')] == ['z', 'kept'])
    os.utime(place.at('kept.spore'), (1, 1))
    p = place.spore('spawn', './kept.spore')
    t.case('and again when it has changed', p.stdout == 'kept.2-1\n', p)
    p = place.spore('zygotes', '--open', 'kept.spore', '--as', 'read')
    t.case('zygotes --open', p.returncode == 0 and
           'read' in [r['name'] for r in rows(place, 'zygotes')], p)
    p = place.spore('restore', 'kept.spore', '--name', 'single', '--detach')
    with Console(place, 'single') as c:
        c.s.sendall(b'echo back\n')
        c.until('ok back')
    place.spore('pause', 'single')
    p = place.spore('freeze', 'single', '--as', 'copied')
    t.case('a restored and paused machine is frozen', p.returncode == 0 and
           place.spore('spawn', 'copied').returncode == 0 and
           ask(place, 'copied-1', 'echo x') == 'ok x', p)


def check_branches(t, place):
    """Of a child and of a machine of another process: both go on."""
    supervisor = serve(place)
    boot(place, 'base')
    ask(place, 'base', 'secret 7')
    p = place.spore('branch', 'base', '--as', 'early')
    t.case('a machine of another process is branched', p.returncode == 0 and p.stderr == '' and
           'base' in states(place), p)
    want = ask(place, 'base', 'nonce 3')
    ask(place, 'base', 'secret 8')
    p = place.spore('spawn', 'early')
    t.case('what was branched is what it was', ask(place, 'early-1', 'nonce 3') == want and
           ask(place, 'base', 'nonce 3') != want, p)
    p = place.spore('branch', 'early-1', '--as', 'late')
    t.case('a child is branched', p.returncode == 0 and 'early-1' in states(place), p)
    place.spore('spawn', 'late')
    t.case('and goes on, as its own child does', ask(place, 'late-1', 'nonce 3') == want and
           ask(place, 'early-1', 'nonce 3') == want)
    below = {n['name']: n for n in rows(place, 'tree')[0]['children']}
    t.case('the branch lies below what it came from', below['late']['kind'] == 'zygote', below)
    place.spore('pause', 'early-1')
    p = place.spore('branch', 'early-1', '--as', 'never')
    t.case('a paused one is refused', p.returncode == 2 and 'paused' in p.stderr, p)
    supervisor.terminate()
    supervisor.wait(PATIENCE)


def check_refusals(t, place):
    supervisor = serve(place)
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    boot(place, 'other')
    place.spore('spawn', 'z', '--name', 'taken')
    place.write('text', 'hello\n' * 2000)
    place.write('disk', bytes(1 << 20))
    for name, status, args, expect in (
            ('freeze without --as', 2, ('freeze', 'other'), 'expected --as'),
            ('freeze of nobody', 2, ('freeze', 'x', '--as', 'y'), 'x: no such machine'),
            ('freeze of a path', 2, ('freeze', place.at('run/taken/api.sock'), '--as', 'y'), 'name: '),
            ('freeze under a name in use', 2, ('freeze', 'other', '--as', 'z'),
             'a zygote of that name'),
            ('freeze under a name that is none', 2, ('freeze', 'other', '--as', 'a/b'), "'a/b'"),
            ('spawn of an unknown zygote', 2, ('spawn', 'x'), 'x: no such zygote'),
            ('spawn of no file', 6, ('spawn', './x'), '/x'),
            ('spawn of a text', 6, ('spawn', 'text'), 'text'),
            ('a name in use', 2, ('spawn', 'z', '--name', 'taken'), 'taken: a machine of that name'),
            ('one of a machine of spore run', 2, ('spawn', 'z', '--name', 'other'), 'other: '),
            ('many of one name', 2, ('spawn', 'z', '-n', '2', '--name', 'same'), '%d'),
            ('a name that is none', 2, ('spawn', 'z', '--name', '.%d'), 'name: '),
            ('-n 0', 6, ('spawn', 'z', '-n', '0'), '1 to 4096'),
            ('-n beyond the limit', 6, ('spawn', 'z', '-n', '4097'), '1 to 4096'),
            ('a clock that is none', 2, ('spawn', 'z', '--clock', 'x'), 'frozen or stepped'),
            ('a disk without its index', 2, ('spawn', 'z', '--disk', 'f'), 'INDEX=FILE'),
            ('a disk that the machine has not', 2, ('spawn', 'z', '--disk', '0=disk'), 'has 0 disks'),
            ('a disk mode that is none', 2, ('spawn', 'z', '--disk', '0=d,x'), 'ro, rw or cow'),
            ('a MAC that is none', 2, ('spawn', 'z', '--mac', '0=1:2'), 'six pairs'),
            ('a MAC for no device', 2, ('spawn', 'z', '--mac', '0=02:00:00:00:00:01'),
             'no network device'),
            ('a host name for no agent', 2, ('spawn', 'z', '--hostname', 'h'), 'no agent'),
            ('a seed for no agent', 2, ('spawn', 'z', '--seed', 's'), 'no agent'),
            ('--rm of nobody', 2, ('zygotes', '--rm', 'x'), 'x: no such zygote'),
            ('--save of nobody', 2, ('zygotes', '--save', 'x', '-o', 'f'), 'x: no such zygote'),
            ('--save without -o', 2, ('zygotes', '--save', 'z'), 'go together'),
            ('--save to nowhere', 6, ('zygotes', '--save', 'z', '-o', 'no/such/f'), 'no/such/f'),
            ('--open without --as', 2, ('zygotes', '--open', 'text'), 'go together'),
            ('--open of a text', 6, ('zygotes', '--open', 'text', '--as', 'y'), 'text'),
            ('two at once', 2, ('zygotes', '--rm', 'z', '--json'), 'expected one of'),
            ('pool of nobody', 2, ('pool', '--set', 'x=1'), 'x: no such zygote'),
            ('pool without a number', 2, ('pool', '--set', 'z'), 'ZYGOTE=N'),
            ('pool beyond the limit', 6, ('pool', '--set', 'z=4097'), '0 to 4096'),
            ('armed beyond the limit', 6, ('pool', '--armed', 'z=4097'), '0 to 4096')):
        refused(t, place, name, status, *args, expect=expect)
    p = place.spore('serve', '--without', 'moat')
    t.case('a wall that is none', p.returncode == 2 and "'moat'" in p.stderr, p)
    t.case('nothing came of it all', [r['name'] for r in rows(place, 'zygotes')] == ['z'] and
           states(place) == {'other': 'running', 'taken': 'running'}, states(place))
    check_requests(t, place)
    check_disks(t, place)
    check_lent(t, place, supervisor)
    supervisor.terminate()
    t.case('SIGTERM ends it with 5', supervisor.wait(PATIENCE) == 5 and
           supervisor.stderr.read() == b'' and place.folders() == ['other'], place.folders())


def check_requests(t, place):
    """What the command cannot say."""
    for method, path, body, expect in (
            ('GET', '/spore/nothing', None, 'Invalid request method and/or path'),
            ('GET', '/spore/spawn', None, 'Invalid request method and/or path'),
            ('PUT', '/spore/spawn', None, 'Empty PUT request'),
            ('PUT', '/spore/spawn', {}, '`zygote` and `file`'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'file': 'f'}, '`zygote` and `file`'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'foo': 1}, 'unknown field `foo`'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'count': '1'}, 'invalid type'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {'cpus': 2}}, 'unknown field `cpus`'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {'disks': [1]}}, 'list of objects'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {
                'disks': [{'index': i % 18, 'path': 'p'} for i in range(19)]}}, 'at most 18'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {
                'nets': [{'index': 0}] * 33}}, 'at most 32'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {'vsock_cid': 3}}, 'no vsock'),
            ('PUT', '/spore/spawn', {'zygote': 'z', 'identity': {'hostname': 'h%d' + 'x' * 5000}},
             'too long'),
            ('PUT', '/spore/zygotes/y', {}, '`file` and `machine`'),
            ('PUT', '/spore/zygotes/.y', {'machine': 'other'}, "'.y'"),
            ('PUT', '/spore/zygotes/y', {'machine': place.at('run/taken/api.sock')}, 'name: '),
            ('PUT', '/spore/zygotes/z/save', {}, 'snapshot_path'),
            ('DELETE', '/spore/zygotes/z', {'x': 1}, 'unknown field'),
            ('PUT', '/spore/pools/z', {'shells': -1}, 'invalid value')):
        status, _, reply = call(sock(place), method, path, body)
        t.case(f'{method} {path} {str(body)[:60]}', status == 400 and
               expect in reply['fault_message'], reply)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(PATIENCE)
        s.connect(place.at('run', 'other', 'handoff.sock'))
        s.send(b'{"pause": 1}')
        t.case('a request for a handoff is judged', b'invalid type' in s.recv(65536))
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(PATIENCE)
        s.connect(place.at('run', 'other', 'handoff.sock'))
        s.send(b'{"pause": false}')
        t.case('a running machine is not frozen unasked', b'fault_message' in s.recv(65536))
    t.case('and goes on', ask(place, 'other', 'echo x') == 'ok x')


def check_disks(t, place):
    for n in (1, 2):
        place.write(f'own{n}', bytes(1 << 20))
    boot(place, 'd', '--disk', 'disk,rw')
    place.spore('freeze', 'd', '--as', 'd')
    p = place.spore('spawn', 'd', '-n', '2', '--disk', '0=own1,rw')
    t.case('two that would write one disk in place are refused, by name', p.returncode == 2 and
           'own1' in p.stderr and 'd-1' not in states(place) and p.stderr.count('\n') == 1, p)
    p = place.spore('spawn', 'd', '-n', '2', '--disk', '0=own%d,rw')
    t.case('%d gives each its own', p.returncode == 0 and p.stdout == 'd-1\nd-2\n', p)
    place.write('short', bytes(512))
    p = place.spore('spawn', 'd', '--name', 'short', '--disk', '0=short')
    t.case('one of another size is refused', p.returncode != 0 and p.stderr.count('\n') == 1 and
           'short' in p.stderr and 'short' not in place.folders(), p)
    p = place.spore('spawn', 'd', '-n', '3', '--name', 'e%d', '--disk', '0=own1,rw', '--json')
    t.case('nothing of a request that is refused is said on standard output',
           p.returncode == 2 and p.stdout == '', p)
    os.remove(place.at('own2'))
    place.spore('stop', 'd-1')
    place.spore('stop', 'd-2')
    p = place.spore('spawn', 'd', '-n', '2', '--name', 'f%d', '--disk', '0=own%d,cow')
    t.case('those that can be spawned are, and the other is told', p.returncode == 6 and
           p.stdout == 'f1\n' and p.stderr.count('\n') == 1 and 'own2' in p.stderr and
           'f1' in states(place) and 'f2' not in place.folders(), p)
    for name in ('f1',):
        place.spore('stop', name)
    place.spore('zygotes', '--rm', 'd')


LENT = 1 << 20


def disk_files(pid):
    """Of a process: the files of disks that it can read, and those that it can write."""
    read, written = set(), set()
    for fd in os.listdir(f'/proc/{pid}/fd'):
        at = f'/proc/{pid}/fd/{fd}'
        st = os.stat(at)
        if not stat.S_ISREG(st.st_mode) or st.st_size != LENT or os.readlink(at).startswith('/memfd:'):
            continue
        with open(f'/proc/{pid}/fdinfo/{fd}') as f:
            flags = int(re.search(r'flags:\s+(\d+)', f.read()).group(1), 8)
        read.add((st.st_dev, st.st_ino))
        if flags & os.O_ACCMODE != os.O_RDONLY:
            written.add((st.st_dev, st.st_ino))
    return read, written


def check_lent(t, place, supervisor):
    """What a child's process can write is nobody else's, whatever its guest makes of it."""
    base = place.write('lent', bytes(LENT))
    boot(place, 'l', '--disk', f'{base},rw')
    ask(place, 'l', 'blk 0 write 0 8 1')
    place.spore('freeze', 'l', '--as', 'l')
    place.spore('spawn', 'l', '-n', '2', '--name', 'l%d')
    ask(place, 'l1', 'blk 0 write 8 8 2')
    for generation in ('m', 'n'):
        place.spore('branch', 'l1', '--as', generation)
        place.spore('spawn', generation, '-n', '2', '--name', f'{generation}%d')
        ask(place, 'l1', 'blk 0 write 16 8 3')
    files = {pid: disk_files(pid) for pid in workers(supervisor.pid)}
    files = {pid: pair for pid, pair in files.items() if pair[0]}
    names = ['l1', 'l2', 'm1', 'm2', 'n1', 'n2']
    t.case('each child has files that it writes and others', len(files) == len(names) and
           all(written and read > written for read, written in files.values()), files)
    t.case('which no other has', all(not mine & theirs for a, (_, mine) in files.items()
                                     for b, (theirs, _) in files.items() if a != b), files)
    t.case('and sees what it should', [ask(place, name, 'blk 0 check 0 8 1') for name in names] +
           [ask(place, name, 'blk 0 check 8 8 2') for name in names if name != 'l2'] +
           [ask(place, name, 'blk 0 check 16 8 3') for name in ('n1', 'n2')] == ['ok'] * 13)
    for name in names:
        place.spore('stop', name)
    for zygote in ('l', 'm', 'n'):
        place.spore('zygotes', '--rm', zygote)


def check_storm(t, place):
    """Not enough descriptors for all."""
    p = serve(place, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024)))
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    s = place.spore('spawn', 'z', '-n', '160', '--json')
    reply = json.loads(s.stdout)
    good = [c['name'] for c in reply['children'] if c['ok']]
    t.case('some are spawned and some are not, each with its reason', s.returncode != 0 and
           0 < len(good) < 160 and len(reply['children']) == 160 and
           s.stderr.count('\n') == 160 - len(good) and
           all(c['fault_message'] for c in reply['children'] if not c['ok']), s.stderr[-500:])
    t.case('no folder is left of those that were not', sorted(place.folders()) == sorted(good),
           sorted(set(place.folders()) ^ set(good)))
    for name in good:
        place.spore('stop', name)
    wait_for(lambda: workers(p.pid) == [], 'all workers to be gone')
    s = place.spore('spawn', 'z', '-n', '3')
    t.case('when they are stopped others can be spawned', s.returncode == 0 and
           ask(place, 'z-3', 'echo x') == 'ok x', s)


def check_killed(t, place):
    p = serve(place)
    boot(place, 'base')
    place.spore('freeze', 'base', '--as', 'z')
    place.spore('pool', '--set', 'z=2')
    place.spore('spawn', 'z', '-n', '5')
    wait_for(lambda: rows(place, 'pool')[0]['shells'] == 2, 'the pool')
    children, all_of_it = workers(p.pid), below(p.pid)
    t.case('each child is a process', len(children) >= 7, all_of_it)
    victim = next(w for w in children if not is_gone(w))
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: is_gone(victim), 'a worker to die')
    t.case('the death of a worker is not that of the others',
           wait_for(lambda: len(place.machines()) >= 4, 'the others'))
    p.kill()
    p.wait(PATIENCE)
    wait_for(lambda: all(is_gone(w) for w in all_of_it), 'the workers to go')
    t.case('kill -9 leaves no process', all(is_gone(w) for w in all_of_it))
    left = [n for n in place.folders()]
    t.case('and folders, which the next command clears', len(left) >= 4 and
           place.machines() == [] and place.folders() == [], left)
    refused(t, place, 'nobody is there', 2, 'tree', expect='start one with `spore serve`')
    serve(place)
    t.case('another can be started', rows(place, 'zygotes') == [] and rows(place, 'tree') == [])


def main():
    if kvm_missing():
        print(f'1..0 # SKIP {kvm_missing()}')
        return
    with Tap() as t:
        for check in (check_nobody, check_life, check_branches, check_refusals, check_storm,
                      check_killed):
            with Place() as place:
                check(t, place)


main()
