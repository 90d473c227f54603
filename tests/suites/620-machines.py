#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line and the control socket with machines: the test guest on this host's KVM. How
they end, names, consoles, the terminal, freezing and restoring from both sides."""
import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import termios

ROOT = os.environ['ROOT']
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from edge import (PATIENCE, SPORE, TGUEST, Console, Place, call, kvm_missing,
                  wait_for)  # noqa: E402
from tap import Tap  # noqa: E402
sys.path.insert(0, os.path.join(ROOT, 'tests', 'reject'))
from model import Model  # noqa: E402

GUEST = ('--kernel', TGUEST, '--memory', '32M')


def boot(place, name, *args):
    p = place.spore('run', *GUEST, '--detach', '--name', name, *args)
    assert p.returncode == 0, p
    with Console(place, name) as c:
        c.until('tguest: ready')
    return place.at('run', name, 'api.sock')


def pid_of(place, name):
    with open(place.at('run', name, 'pid')) as f:
        return int(f.read())


def is_dead(pid):
    """Nothing of it is left but a zombie that nobody has waited for, and no second thread."""
    try:
        with open(f'/proc/{pid}/stat') as f:
            return f.read().split()[2] == 'Z' and len(os.listdir(f'/proc/{pid}/task')) == 1
    except OSError:
        return True


def check_ends(t, place):
    for word, status, says in (('off', 0, ''), ('reset', 3, 'asked for a reset'),
                               ('reset,kbd', 3, 'asked for a reset'),
                               ('crash', 4, 'triple fault'), ('reset,triple', 4, 'triple fault')):
        p = place.spore('run', *GUEST, '--cmdline', f'run={word}')
        t.case(f'run={word} ends with {status}', p.returncode == status and
               'tguest: ready' in p.stdout and says in p.stderr and
               p.stderr.count('\n') == (says != '') and place.folders() == [], p)
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        p = place.start('run', *GUEST, '--name', 'x')
        p.stdout.readline()
        p.send_signal(sig)
        t.case(f'{sig.name} ends it with 5', p.wait(PATIENCE) == 5 and place.folders() == [] and
               p.stderr.read() == b'')
    p = place.start('run', *GUEST, '--name', 'x')
    p.stdout.readline()
    stop = place.spore('stop', 'x')
    t.case('stop ends it with 5', stop.returncode == 0 and p.wait(PATIENCE) == 5, stop)
    t.case('and has let go of the name when it returns', place.folders() == [])
    p = place.start('run', *GUEST, '--name', 'x')
    p.stdout.readline()
    p.stdin.write(b'echo typed\n')
    p.stdin.flush()
    t.case('what comes on standard input is typed', b'ok typed' in p.stdout.readline())
    p.stdin.write(b'off\n')
    p.stdin.close()
    t.case('and the guest may power off', p.wait(PATIENCE) == 0)
    p = place.spore('run', *GUEST, stdin=open(place.write('script', 'echo a\necho b\noff\n')))
    t.case('a file does too', p.returncode == 0 and 'ok a' in p.stdout and 'ok b' in p.stdout, p)


def check_names(t, place):
    p = place.spore('run', *GUEST, '--detach')
    made = p.stdout.strip()
    t.case('--detach prints a name', p.returncode == 0 and p.stderr == '' and
           place.folders() == [made], p)
    rows = place.machines()
    t.case('ps shows it', [(r['name'], r['state'], r['cpus'], r['memory']) for r in rows] ==
           [(made, 'running', 1, 32 << 20)], rows)
    t.case('its folder is private', os.stat(place.at('run', made)).st_mode & 0o777 == 0o700)
    p = place.spore('run', *GUEST, '--name', made)
    t.case('a second of that name is refused', p.returncode == 2 and p.stderr.count('\n') == 1 and
           f'{made}: a machine of that name' in p.stderr and p.stdout == '', p)
    p = place.spore('run', *GUEST, '--name', made, '--detach')
    t.case('detached too', p.returncode == 2 and f'{made}: a machine of that name' in p.stderr, p)
    both = [place.start('run', *GUEST, '--name', 'race') for _ in range(2)]
    wait_for(lambda: any(b.poll() is not None for b in both), 'one to be refused')
    wait_for(lambda: any(r['name'] == 'race' for r in place.machines()), 'the other to run')
    t.case('of two at once one runs', sorted(str(b.poll()) for b in both) == ['2', 'None'],
           [b.poll() for b in both])
    place.spore('stop', 'race')
    pid = pid_of(place, made)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: is_dead(pid), 'its death')
    t.case('kill -9 leaves its folder', place.folders() == [made])
    p = place.spore('pause', made)
    t.case('nobody is there', p.returncode == 2 and 'no such machine' in p.stderr, p)
    t.case('and the folder is cleared', place.folders() == [])
    os.makedirs(place.at('run', 'half'))  # killed before it had its lock
    t.case('a folder without a lock too', place.machines() == [] and place.folders() == [])


def check_states(t, place):
    sock = boot(place, 'm')
    for word, state in (('pause', 'paused'), ('pause', 'paused'), ('resume', 'running'),
                        ('resume', 'running')):
        p = place.spore(word, 'm')
        t.case(f'{word}: {state}', p.returncode == 0 and p.stdout == p.stderr == '' and
               place.machines()[0]['state'] == state, p)
    t.case('a path names it too', place.spore('pause', sock).returncode == 0 and
           place.machines()[0]['state'] == 'paused')
    for method, path, body in (('PUT', '/boot-source', {'kernel_image_path': 'k'}),
                               ('PUT', '/machine-config', {'vcpu_count': 1, 'mem_size_mib': 1}),
                               ('PUT', '/snapshot/load', {'snapshot_path': 'x'}),
                               ('PUT', '/actions', {'action_type': 'InstanceStart'})):
        status, _, reply = call(sock, method, path, body)
        t.case(f'{method} {path} after the start', status == 400 and
               'not supported after starting the microVM.' in reply['fault_message'], reply)
    status, _, reply = call(sock, 'PUT', '/actions', {'action_type': 'SendCtrlAltDel'})
    t.case('SendCtrlAltDel is refused plainly', status == 400 and
           'SendCtrlAltDel is not supported' in reply['fault_message'], reply)
    status, _, reply = call(sock, 'PATCH', '/vm', {'state': 'Stopped'})
    t.case('an unknown state', status == 400 and 'expected `Paused` or `Resumed`' in
           reply['fault_message'], reply)
    place.spore('resume', 'm')
    status, _, reply = call(sock, 'PUT', '/snapshot/create', {'snapshot_path': place.at('s')})
    t.case('a snapshot while it runs', status == 400 and
           'save/restore unavailable while running' in reply['fault_message'] and
           not os.path.exists(place.at('s')), reply)
    _, _, reply = call(sock, 'GET', '/vm/config')
    t.case('GET /vm/config tells what it is', reply['machine-config']['mem_size_mib'] == 32 and
           reply['boot-source']['kernel_image_path'] == TGUEST, reply)
    _, _, reply = call(sock, 'GET', '/spore/status')
    phases = [x['name'] for x in reply['timings']['phases']]
    t.case('the boot was timed', 'VM create' in phases and reply['timings']['total_ns'] ==
           sum(x['ns'] for x in reply['timings']['phases']), reply)
    os.kill(pid_of(place, 'm'), signal.SIGSTOP)
    row = place.machines()[0]
    t.case('ps knows one that does not answer', row['state'] == 'busy' and row['cpus'] == 1 and
           row['memory'] == 32 << 20, row)
    os.kill(pid_of(place, 'm'), signal.SIGCONT)
    place.spore('stop', 'm')


def check_console(t, place):
    boot(place, 'c')
    with Console(place, 'c') as c:
        t.case('a client is greeted', c.greeting == 'OK\n', c.greeting)
        t.case('and sees what was written before', 'tguest: ready' in c.until('ready'))
        t.case('what it sends is typed', c.ask('echo one two') == 'ok one two')
        with Console(place, 'c') as d:
            t.case('a second client is told why not', 'in use' in d.greeting, d.greeting)
            t.case('and sent away', d.s.recv(10) == b'')
        p = place.spore('console', 'c')
        t.case('by the command too, in one line', p.returncode == 6 and 'in use' in p.stderr and
               p.stderr.count('\n') == 1 and p.stdout == '', p)
        c.ask('echo the beginning')
        written = 0
        while written <= 70000:  # more than is kept
            written += len(c.ask('help'))
    wait_for(lambda: greeted(place), 'the console to be free')
    with Console(place, 'c') as c:
        c.s.sendall(b'echo the end\n')
        text = c.until('the end')
        t.case('the last 64 KiB are replayed', 65536 <= len(text) < 66000 and
               'the beginning' not in text, len(text))
    wait_for(lambda: greeted(place), 'the console to be free')
    p = place.start('console', 'c')
    p.stdin.write(b'echo by hand\noff\n')
    p.stdin.flush()
    out = p.communicate(timeout=PATIENCE)[0]
    t.case('spore console converses until the machine ends', p.returncode == 0 and
           b'ok by hand' in out, out[-200:])
    wait_for(lambda: place.folders() == [], 'the folder to go')


def greeted(place):
    with Console(place, 'c') as c:
        return c.greeting == 'OK\n'


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, place, *args):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.text = b''
        self.p = subprocess.Popen([SPORE, *args], stdin=self.slave, stdout=self.slave,
                                  stderr=self.slave, env=place.env, cwd=place.path,
                                  preexec_fn=self.take_terminal)
        place.children.append(self.p)

    def take_terminal(self):
        import fcntl
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def until(self, mark):
        while mark not in self.text:
            ready, _, _ = select.select([self.master], [], [], PATIENCE)
            assert ready, f'no {mark!r} in {self.text!r}'
            self.text += os.read(self.master, 65536)
        at = self.text.index(mark) + len(mark)
        out, self.text = self.text[:at], self.text[at:]
        return out

    def send(self, keys):
        os.write(self.master, keys)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def is_restored(self):
        return termios.tcgetattr(self.slave) == self.before

    def end(self):
        status = self.p.wait(PATIENCE)
        os.close(self.master)
        os.close(self.slave)
        return status


def check_terminal(t, place):
    x = Terminal(place, 'run', *GUEST, '--name', 'tty')
    x.until(b'tguest: ready')
    wait_for(x.is_raw, 'raw mode')
    x.send(b'echo \x03 and \x01\x01.\r\n')
    t.case('Ctrl-C and Ctrl-A Ctrl-A are the guest\'s', b'\x03 and \x01.' in x.until(b'.'))
    x.send(b'\x01h')
    t.case('Ctrl-A h tells about the keys', b'Ctrl-A x' in x.until(b'Ctrl-A\x5d'))
    x.send(b'\x01x')
    status = x.p.wait(PATIENCE)
    restored = x.is_restored()
    t.case('Ctrl-A x stops it', x.end() == 5 and status == 5)
    t.case('and the terminal is as it was', restored)
    for what, how, status in (('a power-off', lambda x: x.send(b'off\n'), 0),
                              ('a crash', lambda x: x.send(b'crash\n'), 4),
                              ('SIGTERM', lambda x: x.p.terminate(), 5),
                              ('SIGHUP', lambda x: x.p.send_signal(signal.SIGHUP), 5),
                              ('SIGUSR1', lambda x: x.p.send_signal(signal.SIGUSR1),
                               -signal.SIGUSR1),
                              ('SIGABRT', lambda x: x.p.send_signal(signal.SIGABRT),
                               -signal.SIGABRT)):
        x = Terminal(place, 'run', *GUEST, '--name', 'tty')
        x.until(b'tguest: ready')
        wait_for(x.is_raw, 'raw mode')
        how(x)
        ended = x.p.wait(PATIENCE)
        restored = x.is_restored()
        x.end()
        t.case(f'the terminal is as it was after {what}', restored and ended == status, ended)
    boot(place, 'away')
    x = Terminal(place, 'console', 'away')
    x.until(b'tguest: ready')
    wait_for(x.is_raw, 'raw mode')
    x.send(b'\x01d')
    status = x.p.wait(PATIENCE)
    restored = x.is_restored()
    x.end()
    t.case('Ctrl-A d leaves the console', status == 0 and restored)
    t.case('and the machine goes on', place.machines()[0]['state'] == 'running')
    place.spore('stop', 'away')


def check_freeze(t, place):
    sock = boot(place, 'f')
    with Console(place, 'f') as c:
        c.ask('secret 4711')
        want = c.ask('nonce 42')
    p = place.spore('snapshot', 'f', '-o', 'one.spore', '--timings')
    t.case('a snapshot with a table of phases', p.returncode == 0 and p.stderr == '' and
           p.stdout.startswith('phase ') and '\ntotal ' in p.stdout, p)
    t.case('the machine goes on', place.machines()[0]['state'] == 'running')
    p = place.spore('snapshot', 'f', '-o', 'one.spore', '--json')
    reply = json.loads(p.stdout)
    t.case('the same as JSON', abs(sum(x['us'] for x in reply['phases']) - reply['total_us']) < 1,
           p.stdout)
    for what, name, status in (('nowhere', 'no/such/folder/s', 6), ('a folder', place.path, 2)):
        p = place.spore('snapshot', 'f', '-o', name)
        t.case(f'a snapshot to {what} fails in one line', p.returncode == status and
               p.stderr.count('\n') == 1 and p.stdout == '' and name in p.stderr, p)
    t.case('and the machine goes on', place.machines()[0]['state'] == 'running')
    t.case('nothing was left behind', sorted(os.listdir(place.path)) ==
           sorted({'one.spore', 'run'} | (set(os.listdir(place.path)) & {'script'})),
           os.listdir(place.path))
    place.spore('pause', 'f')
    p = place.spore('snapshot', 'f', '-o', 'two.spore')
    t.case('a paused machine stays paused', p.returncode == 0 and
           place.machines()[0]['state'] == 'paused', p)
    p = place.spore('snapshot', 'f', '-o', 'three.spore', '--stop')
    t.case('--stop ends it', p.returncode == 0, p)
    wait_for(lambda: place.folders() == [], 'the folder to go')
    for name in ('one', 'two', 'three'):
        p = place.spore('verify', f'{name}.spore')
        t.case(f'{name}.spore may be restored', p.returncode == 0 and p.stderr == '', p)
    check_restore(t, place, want, sock)


def check_copies(t, place):
    """Copies of disks belong to the file that names them, whatever either is called."""
    def copies():
        return [n for n in os.listdir(place.path) if '.disk' in n]

    place.write('d.img', bytes(1 << 20))
    boot(place, 'c', '--disk', 'd.img,rw')
    place.spore('snapshot', 'c', '-o', 'a', '--disks')
    os.rename(place.at('a'), place.at('b'))
    for _ in range(2):
        place.spore('snapshot', 'c', '-o', 'a', '--disks')
        t.case('replacing a file removes the copies that it named', len(copies()) == 2, copies())
    place.spore('stop', 'c')
    for name in 'a', 'b':
        t.case(f'{name} finds its own copy', place.spore('verify', name).returncode == 0)


def check_copies_of_others(t, place):
    """A file that names another's copy as its own is not believed when it is replaced."""
    def copies(name):
        return {n for n in os.listdir(place.path) if n.startswith(f'{name}.') and '.disk' in n}

    place.write('d.img', bytes(1 << 20))
    boot(place, 'c', '--disk', 'd.img,rw')
    for name in 'a', 'b':
        place.spore('snapshot', 'c', '-o', name, '--disks')
    (own,), (other,) = copies('b'), copies('a')
    hostile = Model(place.at('b'))
    device = next(r for r in hostile.rows if own.encode() in r.data)
    device.data = device.data.replace(own.encode(), other.encode())
    hostile.with_ram = True
    hostile.write(place.at('b'))
    p = place.spore('inspect', 'b')
    t.case('it names the other copy', other in p.stdout and p.returncode == 0, p)
    p = place.spore('snapshot', 'c', '-o', 'b', '--disks')
    t.case('it is replaced', p.returncode == 0 and own not in place.spore('inspect', 'b').stdout, p)
    t.case('and the other copy stays', copies('a') == {other} and
           place.spore('verify', 'a').returncode == 0, copies('a'))
    place.spore('stop', 'c')


def check_restore(t, place, want, sock):
    p = place.spore('restore', 'one.spore', '--detach')
    t.case('a restore takes the name it had', p.returncode == 0 and p.stdout == 'f\n', p)
    with Console(place, 'f') as c:
        t.case('and the guest goes on', c.ask('nonce 42') == want)
    p = place.spore('restore', 'one.spore', '--detach')
    t.case('a second of that name is refused', p.returncode == 2 and
           'f: a machine of that name' in p.stderr and p.stdout == '', p)
    p = place.spore('restore', 'one.spore', '--detach', '--name', 'g', '--verify', '--timings')
    t.case('under another name it runs beside it', p.returncode == 0 and
           p.stdout.startswith('g\nphase') and 'verify RAM' in p.stdout and
           [r['name'] for r in place.machines()] == ['f', 'g'], p)
    with Console(place, 'g') as c:
        t.case('with the same memory', c.ask('nonce 42') == want)
    p = place.spore('snapshot', 'g', '-o', 'g.spore', '--stop')
    p = place.spore('restore', 'g.spore', '--detach', '--json')
    reply = json.loads(p.stdout)
    t.case('a restored machine is frozen and restored', reply['name'] == 'g' and
           'load and verify' in [x['name'] for x in reply['phases']], p)
    _, _, reply = call(place.at('run', 'g', 'api.sock'), 'GET', '/vm/config')
    t.case('it knows what it was made of', reply['boot-source']['kernel_image_path'] == TGUEST and
           reply['machine-config']['mem_size_mib'] == 32, reply)
    inspected = json.loads(place.spore('inspect', '--json', 'g.spore').stdout)
    t.case('one generation later', inspected['header']['generation'] == 1)
    for name in ('f', 'g'):
        place.spore('stop', name)
    p = place.start('restore', 'one.spore', '--timings')
    p.stdin.write(b'nonce 42\noff\n')
    p.stdin.close()
    p.stdin = None
    out, err = p.communicate(timeout=PATIENCE)
    t.case('in the foreground the console is the guest\'s alone', p.returncode == 0 and
           want.encode() in out and b'phase' not in out and err.startswith(b'phase '), (out, err))
    check_inspect(t, place)


def check_inspect(t, place):
    mine = json.loads(place.spore('inspect', '--json', 'one.spore').stdout)
    other = subprocess.run([sys.executable, os.path.join(ROOT, 'tools', 'sporedump.py'),
                            place.at('one.spore')], capture_output=True, text=True)
    t.case('inspect says what the second reader says', mine == json.loads(other.stdout))
    p = place.spore('inspect', 'one.spore')
    words = ['snapshot ', 'RAM ', 'slot 0: rng', 'SVR ', 'LVT timer', 'rip 0x', 'IOAPIC', 'PIT 0']
    t.case('and tells people', p.returncode == 0 and [w for w in words if w not in p.stdout] == [],
           p.stdout)
    with open(place.at('one.spore'), 'rb') as f:
        image = bytearray(f.read())
    row = next(r for r in mine['table'] if r['kind'] == 'vcpu')
    image[row['offset'] + 100] ^= 1
    place.write('bent.spore', bytes(image))
    for c in ('inspect', 'verify', 'restore'):
        p = place.spore(c, 'bent.spore')
        t.case(f'{c} refuses a flipped bit', p.returncode == 6 and p.stderr.count('\n') == 1 and
               'vcpu' in p.stderr and place.folders() == [], p)
    first = mine['ram-map']['runs'][0][0]
    image[row['offset'] + 100] ^= 1
    image[mine['table'][-1]['offset'] + first * 65536 + 5] ^= 1
    place.write('bent.spore', bytes(image))
    p = place.spore('verify', 'bent.spore')
    t.case('verify refuses one in RAM', p.returncode == 6 and p.stderr.count('\n') == 1, p)
    p = place.spore('restore', 'bent.spore', '--verify')
    t.case('restore --verify too', p.returncode == 6 and place.folders() == [], p)


def check_monitor(t, place):
    p, sock = place.monitor('--name', 'api')
    for path, body in (('/machine-config', {'vcpu_count': 2, 'mem_size_mib': 32}),
                       ('/boot-source', {'kernel_image_path': TGUEST})):
        call(sock, 'PUT', path, body)
    status, _, reply = call(sock, 'PUT', '/actions', {'action_type': 'InstanceStart'})
    t.case('InstanceStart', status == 204, reply)
    t.case('the console is on its output', b'tguest: ready cpus=2' in p.stdout.readline())
    t.case('ps knows it', [(r['name'], r['state']) for r in place.machines()] ==
           [('api', 'running')])
    p.stdin.write(b'secret 7\nnonce 1\n')
    p.stdin.flush()
    p.stdout.readline()
    want = p.stdout.readline()
    t.case('PATCH /vm pauses', call(sock, 'PATCH', '/vm', {'state': 'Paused'})[0] == 204 and
           call(sock, 'GET', '/')[2]['state'] == 'Paused')
    snap = place.at('api.spore')
    status, _, reply = call(sock, 'PUT', '/snapshot/create', {
        'snapshot_path': snap, 'mem_file_path': place.at('mem')})
    t.case('two files are refused', status == 400 and 'expected the same' in
           reply['fault_message'] and not os.path.exists(snap), reply)
    status, _, reply = call(sock, 'PUT', '/snapshot/create', {
        'snapshot_path': snap, 'mem_file_path': snap, 'snapshot_type': 'Full'})
    t.case('PUT /snapshot/create', status == 204 and os.path.exists(snap), reply)
    check_progress(t, place, sock)
    t.case('PATCH /vm resumes', call(sock, 'PATCH', '/vm', {'state': 'Resumed'})[0] == 204)
    p.terminate()
    t.case('SIGTERM ends it with 5', p.wait(PATIENCE) == 5)
    p, sock = place.monitor()
    status, _, reply = call(sock, 'PUT', '/snapshot/load', {
        'snapshot_path': snap, 'resume_vm': True,
        'mem_backend': {'backend_type': 'File', 'backend_path': snap}})
    t.case('PUT /snapshot/load in another monitor', status == 204 and
           call(sock, 'GET', '/')[2]['state'] == 'Running', reply)
    p.stdin.write(b'nonce 1\n')
    p.stdin.flush()
    t.case('and the guest goes on', p.stdout.readline() == want)
    p.stdin.write(b'off\n')
    p.stdin.flush()
    t.case('a power-off ends the monitor with 0', p.wait(PATIENCE) == 0 and
           not os.path.exists(sock))
    p, sock = place.monitor()
    status, _, reply = call(sock, 'PUT', '/spore/restore', {'snapshot_path': snap})
    t.case('PUT /spore/restore without resume', status == 204 and
           call(sock, 'GET', '/')[2]['state'] == 'Paused', reply)
    p.kill()


def check_progress(t, place, sock):
    for asked in (False, True):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(PATIENCE)
            s.connect(sock)
            body = json.dumps({'snapshot_path': place.at('p.spore')}).encode()
            s.sendall(b'PUT /spore/snapshot HTTP/1.1\r\n' +
                      (b'Spore-Progress: 1\r\n' if asked else b'') + b'Connection: close\r\n' +
                      b'Content-Length: %d\r\n\r\n' % len(body) + body)
            text = b''
            while True:
                more = s.recv(65536)
                if not more:
                    break
                text += more
        t.case(f'progress is {"told to" if asked else "kept from"} who {"asks" if asked else "does not"}',
               (b' 102 ' in text) == asked and b'HTTP/1.1 200 ' in text, text)
    p = place.spore('snapshot', 'api', '-o', 'q.spore')
    t.case('and the command reads past it', p.returncode == 0 and p.stdout == p.stderr == '', p)


def check_sockets(t, place):
    path = place.at('own.sock')
    p = place.spore('run', *GUEST, '--name', 'o', '--detach', '--api-sock', path)
    t.case('--api-sock is served as well', p.returncode == 0 and
           call(path, 'GET', '/')[2]['id'] == 'o', p)
    p = place.spore('run', *GUEST, '--name', 'o2', '--api-sock', path)
    t.case('one that is in use is refused', p.returncode == 2 and place.folders() == ['o'] and
           'Check that it is not already used' in p.stderr, p)
    place.spore('stop', path)
    wait_for(lambda: place.folders() == [], 'the folder to go')
    t.case('it goes with the machine', not os.path.exists(path))
    deep = place.at('d' * 90)
    os.mkdir(deep)
    place.env['SPORE_RUNTIME_DIR'] = os.path.join(deep, 'run')
    p = place.spore('run', *GUEST, '--name', 'deep', '--detach')
    t.case('a runtime directory with a long path', p.returncode == 0 and
           place.spore('pause', 'deep').returncode == 0 and
           place.machines()[0]['state'] == 'paused', p)
    t.case('stops there', place.spore('stop', 'deep').returncode == 0 and
           os.listdir(os.path.join(deep, 'run')) == ['.lock'])
    place.env['SPORE_RUNTIME_DIR'] = place.at('run')


def main():
    if kvm_missing():
        print(f'1..0 # SKIP {kvm_missing()}')
        return
    with Tap() as t:
        for check in (check_ends, check_names, check_states, check_console, check_terminal,
                      check_freeze, check_copies, check_copies_of_others, check_monitor,
                      check_sockets):
            with Place() as place:
                check(t, place)


main()
