# SPDX-License-Identifier: Apache-2.0
"""The machines of one nursery (nursery.c): each a Console, by way of one process that has them all."""
import os
import re
import select
import subprocess
import time
from pathlib import Path

from machine import CMDLINE, PARTS, PATIENCE_S
from console import Console, Unexpected

SAID = re.compile(r"^(\S+)> (.*)$")
ENDED = re.compile(r"^(\S+)! (.*)$")


class Refused(Unexpected):
    """What spore said about a command that failed, and its status' name."""

    def __init__(self, command, status, why):
        super().__init__(f"{command}: {status}: {why}{filtered() if 'SIGSYS' in why else ''}")
        self.status, self.why = status, why


def filtered():
    """The kernel's words about the last system call that a filter did not let pass."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, text=True, errors="replace").stdout
    return "".join("\n" + line for line in log.splitlines() if "type=1326" in line)[-400:]


class Nursery:
    def __init__(self, work):
        worker = os.path.join(os.path.dirname(PARTS["spore"]), "spore-worker")
        self.process = subprocess.Popen([PARTS["nursery"]], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        env=dict(os.environ, SPORE_WORKER=worker))
        self.work = work
        self.guests = {}
        self.answers = []
        self.partial = b""
        self.without = []  # walls that this host does not have

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.process.kill()
        self.process.stdin.close()
        status = self.process.wait(PATIENCE_S)
        if kind is None and status != 0:
            raise Unexpected(f"the process of all machines ended with status {status}")

    def pump(self, deadline, waiting_for):
        """Hand out what is there to read, once there is something."""
        fd = self.process.stdout.fileno()
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        data = os.read(fd, 65536) if ready else b""
        if not data:
            why = "the process of all machines ended" if ready else "timed out"
            raise Unexpected(f"{why} waiting for {waiting_for}")
        *lines, self.partial = (self.partial + data).split(b"\n")
        for line in lines:
            self.take(line.decode(errors="replace"))

    def take(self, line):
        if line.startswith("= "):
            self.answers.append(line[2:])
        elif said := SAID.match(line):
            if guest := self.guests.get(said[1]):
                guest.heard(said[2])
        elif ended := ENDED.match(line):
            if guest := self.guests.get(ended[1]):
                guest.ended = ended[2]

    def ask(self, *words):
        """One command; the words of its answer."""
        command = " ".join(map(str, words))
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + PATIENCE_S
        while not self.answers:
            self.pump(deadline, f"an answer to {command}")
        verdict, *rest = self.answers.pop(0).split(" ", 1)
        if verdict != "ok":
            raise Refused(command, *rest[0].split(" ", 1))
        return rest[0].split() if rest else []

    def boot(self, name, disk, cpus, mib=128):
        guest = self.guests[name] = Guest(self, name)
        self.ask("boot", name, PARTS["generic"]["vmlinux"], PARTS["generic"]["initrd"], cpus, mib,
                 disk, CMDLINE)
        guest.expect("spore: ready", "spore: loaded")
        return guest

    def spawn(self, name, zygote):
        """In a worker, with every wall that this host has."""
        while True:
            guest = self.guests[name] = Guest(self, name)
            try:
                self.ask("spawn", name, zygote, ",".join(self.without) or "-")
                return guest
            except Refused as refused:
                wall = re.search(r"\b(userns|pidns|mountns|netns|ipcns|utsns|landlock|seccomp)\b",
                                 refused.why)
                if refused.status != "JAIL" or not wall or wall[1] in self.without:
                    raise
                self.without.append(wall[1])

    def give_way(self, nice):
        """How much the machines that run in its own process leave to those in workers."""
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            if (task / "comm").read_text().startswith("vcpu"):
                os.setpriority(os.PRIO_PROCESS, int(task.name), nice)

    def walls(self):
        return f"without {', '.join(self.without)}" if self.without else "all walls"


class Guest(Console):
    """One of its machines.  It is stopped at the end of the context, if it is still there."""

    def __init__(self, nursery, name):
        self.nursery, self.name = nursery, name
        self.lines, self.all_lines = [], []
        self.ended = None
        self.gone = False

    def __exit__(self, *_):
        if not self.gone and self.nursery.process.poll() is None:
            self.stop()

    def heard(self, line):
        self.lines.append(line)
        self.all_lines.append(line)

    def send(self, *commands):
        for command in commands:
            self.nursery.ask("type", self.name, command)

    def expect(self, *patterns, timeout=PATIENCE_S, **options):
        return super().expect(*patterns, timeout=timeout, **options)

    def forget(self):
        self.lines.clear()

    def _read(self, deadline, pattern):
        if self.ended is not None:
            raise Unexpected(f"{self.name} ended ({self.ended}) waiting for {pattern}\n"
                             f"{self._tail()}")
        try:
            self.nursery.pump(deadline, f"{pattern} of {self.name}")
        except Unexpected as why:
            raise Unexpected(f"{why}\n{self._tail()}") from None
        return True

    def ends(self, how):
        deadline = time.monotonic() + PATIENCE_S
        while self.ended is None:
            self._read(deadline, "its end")
        if how not in self.ended:
            raise Unexpected(f"{self.name} ended ({self.ended}), expected {how}\n{self._tail()}")
        self.stop()

    def stop(self):
        self.gone = True
        self.nursery.ask("stop", self.name)

    def freeze(self, zygote):
        self.nursery.ask("freeze", self.name, zygote)
        self.gone = True

    def branch(self, zygote):
        """For how many seconds it stood still."""
        return int(self.nursery.ask("branch", self.name, zygote)[0]) / 1e9
