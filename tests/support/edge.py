# SPDX-License-Identifier: Apache-2.0
"""What the suites of the command line and the control socket share: a scratch place with a runtime
directory of its own, spore in it, HTTP over a Unix socket, and waiting without guessing how long."""
import http.client
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time

ROOT, BUILD = os.environ['ROOT'], os.environ['BUILD']
SPORE = os.environ.get('SPORE', os.path.join(BUILD, 'spore'))
TGUEST = os.path.join(BUILD, 'guest', 'tguest.elf')
PATIENCE = 60  # seconds until a thing that does not happen is a failure; nothing is measured by it


def kvm_missing():
    """Why no machine can run here, or None."""
    if not os.access('/dev/kvm', os.R_OK | os.W_OK):
        return '/dev/kvm cannot be opened here'
    return None


def wait_for(condition, what):
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f'waited {PATIENCE} s for {what}')


class UnixHTTP(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__('localhost', timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Console:
    """A client of a machine's console socket."""
    asked = 0

    def __init__(self, place, name):
        self.s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.s.settimeout(PATIENCE)
        self.s.connect(place.at('run', name, 'console.sock'))
        self.text = ''
        self.greeting = self.until('\n')

    def until(self, mark):
        """What comes up to the mark, and the mark."""
        while mark not in self.text:
            more = self.s.recv(65536)
            if not more:
                raise AssertionError(f'the console closed before {mark!r}: {self.text!r}')
            self.text += more.decode(errors='replace')
        at = self.text.index(mark) + len(mark)
        out, self.text = self.text[:at], self.text[at:]
        return out

    def ask(self, line):
        """The answer to a line, and not one that is replayed from before."""
        Console.asked += 1
        self.s.sendall(f'echo number {Console.asked}\n'.encode())
        self.until(f'ok number {Console.asked}')
        self.s.sendall(line.encode() + b'\n')
        while True:
            answer = self.until('\n').strip()
            if answer.startswith(('ok', 'err')):
                return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.s.close()


class Place:
    """A folder for one test, with nothing left alive in it at the end."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix='spore-test-')
        self.env = dict(os.environ, SPORE_RUNTIME_DIR=self.at('run'), LC_ALL='C')
        self.children = []
        return self

    def __exit__(self, *_):
        for row in self.machines():
            self.spore('stop', row['name'])
        for p in self.children:
            if p.poll() is None:
                p.kill()
            p.wait()
            for pipe in (p.stdin, p.stdout, p.stderr):
                if pipe:
                    pipe.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def at(self, *names):
        return os.path.join(self.path, *names)

    def write(self, name, content):
        mode = 'wb' if isinstance(content, bytes) else 'w'
        with open(self.at(name), mode) as f:
            f.write(content)
        return self.at(name)

    def spore(self, *args, **more):
        """Runs it to its end: an object with returncode, stdout, stderr."""
        more.setdefault('stdin', subprocess.DEVNULL)
        return subprocess.run([SPORE, *args], capture_output=True, text=True, env=self.env,
                              cwd=self.path, timeout=4 * PATIENCE, **more)

    def start(self, *args, **more):
        more.setdefault('stdin', subprocess.PIPE)
        p = subprocess.Popen([SPORE, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             env=self.env, cwd=self.path, **more)
        self.children.append(p)
        return p

    def machines(self):
        p = self.spore('ps', '--json')
        return json.loads(p.stdout) if p.returncode == 0 else []

    def folders(self):
        return sorted(n for n in os.listdir(self.at('run')) if not n.startswith('.')) \
            if os.path.isdir(self.at('run')) else []

    def monitor(self, *args):
        """An idle monitor: its process and the path of its socket."""
        sock = self.at(f'api{len(self.children)}.sock')
        p = self.start('monitor', '--api-sock', sock, *args)
        wait_for(lambda: os.path.exists(sock) or p.poll() is not None, 'the socket')
        return p, sock


def call(sock, method, path, body=None, raw=None, headers=None):
    """One request; (status, headers, JSON or None)."""
    c = UnixHTTP(sock)
    text = raw if raw is not None else json.dumps(body) if body is not None else None
    c.request(method, path, body=text, headers=headers or {})
    r = c.getresponse()
    data = r.read()
    c.close()
    return r.status, r.headers, json.loads(data) if data else None
