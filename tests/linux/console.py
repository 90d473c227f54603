# SPDX-License-Identifier: Apache-2.0
"""Talk to a Linux test guest over the serial console of whatever monitor runs it."""
import os
import re
import select
import subprocess
import sys
import time


class Unexpected(AssertionError):
    """The guest said FAIL, ended, or did not say what was waited for."""


class Console:
    """A monitor process whose standard input and output are the guest's serial console.

    A line that says FAIL, or a kernel panic, ends any wait with Unexpected.  With echo, every
    line is shown on standard error as it comes.
    """

    FAILURE = re.compile(r": FAIL|Kernel panic|Oops:|soft lockup")

    def __init__(self, argv, echo=False, **popen):
        self.monitor = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        **popen)
        self.echo = echo
        self.lines = []      # not yet claimed by expect
        self.all_lines = []
        self.partial = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.monitor.kill()
        self.monitor.wait()

    def send(self, *commands):
        for command in commands:
            self.monitor.stdin.write(command.encode() + b"\n")
        self.monitor.stdin.flush()

    def expect(self, *patterns, timeout=120, failure=FAILURE):
        """Wait for a line for each pattern, in any order; the last one's match.

        A line answers one pattern and is then used up.  Time decides nothing but when to give up.
        """
        deadline = time.monotonic() + timeout
        for pattern in patterns:
            while not (match := self._claim(re.compile(pattern), failure)):
                self._read(deadline, pattern)
        return match

    def ask(self, command, pattern, **options):
        self.send(command)
        return self.expect(pattern, **options)

    def wait(self, timeout=60):
        """The monitor's exit status."""
        deadline = time.monotonic() + timeout
        while self._read(deadline, None):
            pass
        return self.monitor.wait(max(1, deadline - time.monotonic()))

    def _claim(self, pattern, failure):
        for i, line in enumerate(self.lines):
            if match := pattern.search(line):
                del self.lines[i]
                return match
            if failure and failure.search(line):
                raise Unexpected(f"the guest says: {line}\n{self._tail()}")
        return None

    def _tail(self):
        return "it said last:\n" + "\n".join(self.all_lines[-15:])

    def _read(self, deadline, pattern):
        fd = self.monitor.stdout.fileno()
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        data = os.read(fd, 65536) if ready else b""
        if not data:
            if pattern is None and ready:
                return False
            why = "the guest ended" if ready else "timed out"
            raise Unexpected(f"{why} waiting for {pattern or 'its end'}\n{self._tail()}")
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").rstrip("\r")
            self.lines.append(text)
            self.all_lines.append(text)
            if self.echo:
                print(f"{time.monotonic():.2f} {text}", file=sys.stderr)
        return True


class SameSeed(Unexpected):
    """Two clones went on with the same random numbers."""


def reseed_window(one, other):
    """Compare program urandom in two restores of one file, both told to go on.

    Returns (equal bytes, window in us): what both read after the freeze and before the new seed
    reached them, by the first one's clock.  Raises SameSeed if no seed reaches them in about a
    second.
    """
    for console in one, other:
        console.send("sh sleep 1")
    for console in one, other:
        console.expect("sh: status 0")
    return reseed_compare({console: urandom_read(console) for console in (one, other)})


def urandom_read(console):
    """Tell program urandom to go on; how many blocks it has."""
    return int(console.ask("go urandom", r"urandom: read (\d+)")[1])


def reseed_compare(blocks):
    """The worst of reseed_window for the first of some machines and each other; they are the keys,
    with how many blocks each has."""
    one, *others = blocks
    found = [_reseeded(one, other, min(blocks.values())) for other in others]
    for console in blocks:
        console.ask("tell urandom stop", r"urandom: ok")
    return max(found)


def _reseeded(one, other, count):
    frozen = _first_difference(one, other, 0, count, "times")
    if frozen < 100:  # it reads as many before it says "set"
        raise Unexpected("the two machines do not have the same past")
    if frozen == count:
        raise Unexpected("the two machines did not read anything after the freeze")
    reseeded = _first_difference(one, other, frozen, count, "bytes")
    if reseeded == count:
        raise SameSeed(f"{count - frozen} blocks after the freeze, all the same")
    times = [int(_block(one, i)["time"]) for i in (frozen, reseeded)]
    return 16 * (reseeded - frozen), (times[1] - times[0]) / 1000


def _block(console, index):
    return console.ask(f"tell urandom show {index}",
                       rf"urandom: block {index} (?P<time>\d+) (?P<times>\w+) (?P<bytes>\w+)")


def _first_difference(one, other, start, end, what):
    """First block in [start, end) that differs, or end: a digest covers all blocks up to its own."""
    while start < end:
        middle = (start + end) // 2
        if _block(one, middle)[what] != _block(other, middle)[what]:
            end = middle
        else:
            start = middle + 1
    return start
