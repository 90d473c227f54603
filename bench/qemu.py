# SPDX-License-Identifier: Apache-2.0
"""The peer: QEMU's microvm with the same guest, and its way to bring back a machine, -incoming.

Two subjects, as measure.Subject is one: the whole process, and one that is up and waits for the
word. The state was migrated to a file by a machine that ran, so that the guest goes on at once."""
import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from measure import Skipped

LIMIT = 30
# A KVM without hardware offers MSR 0x10A and then refuses to set it.
CPU = "host,-arch-capabilities"
MACHINE = "microvm,acpi=on,ioapic2=off,pit=on,pic=on,isa-serial=on"


class Machine:
    """A QEMU process, its console and its monitor."""

    def __init__(self, kernel, disk, mib, work, *more):
        self.socket = work / "qemu.qmp"
        self.argv = ["qemu-system-x86_64", "-M", MACHINE, "-accel", "kvm", "-cpu", CPU,
                     "-m", str(mib), "-nodefaults", "-no-user-config", "-display", "none",
                     "-serial", "stdio", "-no-reboot", "-kernel", kernel, "-append",
                     "virtio=0xfeb00000,0x200,16,8", "-global", "virtio-mmio.force-legacy=false",
                     "-device", "virtio-rng-device", "-device", "virtio-blk-device,drive=d",
                     "-blockdev", f"driver=file,node-name=d,read-only=on,filename={disk}",
                     "-qmp", f"unix:{self.socket},server=on,wait=off", *more]

    def __enter__(self):
        if shutil.which(self.argv[0]) is None:
            raise Skipped(f"no {self.argv[0]}")
        self.socket.unlink(missing_ok=True)
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, bufsize=0)
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()

    def first_byte(self):
        """When it came."""
        if not self.process.stdout.read(1):
            raise RuntimeError(f"QEMU ended: {self.process.communicate()[1].decode().strip()}")
        return time.monotonic_ns()

    @contextlib.contextmanager
    def monitor(self):
        limit = time.monotonic() + LIMIT
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(LIMIT)
            while s.connect_ex(str(self.socket)) != 0:
                if time.monotonic() > limit or self.process.poll() is not None:
                    raise RuntimeError("QEMU's monitor does not come up")
                time.sleep(0.001)
            with s.makefile("rw") as lines:
                lines.readline()
                command(lines, "qmp_capabilities")
                yield lines


def command(lines, name, **arguments):
    lines.write(json.dumps({"execute": name, "arguments": arguments}) + "\n")
    lines.flush()
    while True:
        answer = json.loads(lines.readline())
        if "error" in answer:
            raise RuntimeError(f"QEMU: {name}: {answer['error']['desc']}")
        if "return" in answer:
            return answer["return"]


def freeze(kernel, disk, mib, work):
    """A file with the state of a guest in its loop that writes to the serial port."""
    state = work / "qemu.state"
    with Machine(kernel, disk, mib, work) as m:
        m.first_byte()
        m.process.stdout.readline()
        m.process.stdin.write(b"beat\n")
        m.first_byte()
        with m.monitor() as lines:
            command(lines, "migrate", uri=f"exec:cat > {state}")
            while True:
                os.set_blocking(m.process.stdout.fileno(), False)
                m.process.stdout.read(1 << 16)
                how = command(lines, "query-migrate").get("status")
                if how == "completed":
                    return state
                if how in ("failed", "cancelled"):
                    raise RuntimeError(f"QEMU: the migration to a file {how}")
                time.sleep(0.01)


class Incoming:
    """A round is a machine. ready: the process is up before the clock starts."""

    def __init__(self, ready, state, kernel, disk, mib, work):
        self.ready, self.uri = ready, f"exec:cat {state}"
        self.make = lambda: Machine(kernel, disk, mib, work, "-incoming",
                                    "defer" if ready else self.uri)
        self.argv = ["qemu-system-x86_64", "-incoming"]

    def round(self):
        begin = time.monotonic_ns()
        with self.make() as m:
            if not self.ready:
                return m.first_byte() - begin
            with m.monitor() as lines:
                time.sleep(0.01)
                begin = time.monotonic_ns()
                command(lines, "migrate-incoming", uri=self.uri)
                return m.first_byte() - begin

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass
