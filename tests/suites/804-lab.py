#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/lab passes a command's output, status, folder and environment through, leaves nothing
behind however it ends, and has a KVM; and the Linux test guest keeps and loses its state as its
programs say, with QEMU as the monitor."""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(os.environ['ROOT'])
sys.path.insert(0, str(ROOT / 'tests/support'))
from tap import Tap  # noqa: E402

LAB = str(ROOT / 'tools/lab')
# Bytes of every value, and ends that look like the mark at the end of a stream.
BYTES = bytes(range(256)) * 4096 + b'\0\0'


def lab(*argv, **kw):
    return subprocess.run([LAB, *argv], capture_output=True, **kw)


def passes_through(t):
    r = lab('sh', '-c', 'echo out; echo err >&2; exit 3')
    t.case('output and status', (r.returncode, r.stdout, r.stderr) == (3, b'out\n', b'err\n'), r)
    for what, argv, status in [('a command killed', ['sh', '-c', 'kill -9 $$'], 137),
                               ('no such command', ['/nowhere'], 127),
                               ('no command', ['/etc/passwd'], 126)]:
        r = lab(*argv)
        t.case(f'{what} is status {status}', r.returncode == status, r)
    r = lab('-i', 'cat', input=BYTES)
    t.case('a MiB of all bytes, there and back', r.stdout == BYTES, f'{len(r.stdout)} bytes')
    value = "two\nlines, 'quoted' \"so\" $so \\"
    r = lab('sh', '-c', 'pwd; echo "$LAB_TEST"', cwd=ROOT / 'tests',
            env=dict(os.environ, LAB_TEST=value))
    t.case('folder and environment', r.stdout.decode() == f'{ROOT}/tests\n{value}\n', r)
    r = lab('sh', '-c', 'sleep 1000 & echo started')
    t.case('what a command leaves behind does not hold it', r.stdout == b'started\n', r)


def shows_the_host(t):
    with tempfile.TemporaryDirectory(dir=os.environ['BUILD']) as work:
        r = lab('sh', '-c', f'echo made >{work}/file; touch /etc/not-here')
        text = (Path(work) / 'file').read_text() if (Path(work) / 'file').exists() else ''
        t.case('the repository is writable', text == 'made\n', r)
    t.case('nothing else is', b'Read-only' in r.stderr and not os.path.exists('/etc/not-here'), r)
    r = lab('/usr/bin/python3', '-c', 'import fcntl, os; '
            'print(fcntl.ioctl(os.open("/dev/kvm", os.O_RDWR), 0xAE00))')  # KVM_GET_API_VERSION
    t.case('KVM answers', r.stdout == b'12\n', r)


def qemus_of(pid):
    out = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True)
    return [int(p) for p in out.stdout.split()]


def alive(pid):
    try:
        state = Path(f'/proc/{pid}/stat').read_text().rsplit(')', 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state not in 'ZX'


def gone(pids):
    """Whether they all end; they have been killed, so how long it takes is the host's affair."""
    deadline = time.monotonic() + 30
    while any(alive(p) for p in pids) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not any(alive(p) for p in pids)


def leaves_nothing(t):
    for name, number, status in [('SIGINT', signal.SIGINT, 130), ('SIGTERM', signal.SIGTERM, 143),
                                 ('SIGKILL', signal.SIGKILL, -9)]:
        run = subprocess.Popen([LAB, 'sh', '-c', 'echo up; sleep 1000'], stdout=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        run.stdout.readline()
        qemus = qemus_of(run.pid)
        run.send_signal(number)
        got = run.wait()
        t.case(f'{name} ends it and its QEMU', got == status and len(qemus) == 1 and gone(qemus),
               f'status {got}, QEMU {qemus}')
    r = lab('--timeout', '3', 'sleep', '1000')
    t.case('a timeout is status 124', r.returncode == 124 and b'timed out' in r.stderr, r)
    with tempfile.TemporaryDirectory() as empty:
        r = subprocess.run(['/usr/bin/python3', LAB, 'true'], capture_output=True,
                           env=dict(os.environ, PATH=empty))
    t.case('a host without QEMU is status 7 and a package name',
           r.returncode == 7 and b'apt-get install qemu-system-x86' in r.stderr, r)
    runs = [subprocess.Popen([LAB, 'cat', '/proc/sys/kernel/random/uuid'], stdout=subprocess.PIPE)
            for _ in range(2)]
    said = {run.communicate()[0] for run in runs}
    t.case('two at once, with random numbers of their own', len(said) == 2 and b'' not in said,
           said)


def guest_kit(t):
    for show in 'whole', 'damage':
        r = subprocess.run([ROOT / 'tests/linux/selftest', '--accel', 'tcg', show],
                           capture_output=True, text=True)
        print(r.stdout)
        t.case(f'Linux test guest: {show}', r.returncode == 0, r.stdout + r.stderr)


def main():
    with Tap() as t:
        r = lab('--setup-only')
        if not t.case('the lab is set up', r.returncode == 0, r.stderr.decode()):
            return
        passes_through(t)
        shows_the_host(t)
        leaves_nothing(t)
        guest_kit(t)


if __name__ == '__main__':
    main()
