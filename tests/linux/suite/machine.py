# SPDX-License-Identifier: Apache-2.0
"""A machine of spore's with a Linux test guest on its console, and the steps of a test."""
import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent.parent / "support")]
from console import Console, Unexpected  # noqa: E402
from tap import Tap  # noqa: E402

PARTS = json.loads(os.environ["LINUX_PARTS"])
PATIENCE_S = 400  # to give up, on a slow and busy host; nothing is decided by time
CMDLINE = "console=ttyS0 quiet panic=-1"
ENDS = {"poweroff": 0, "reset": 3, "crash": 4, "stopped": 5}
E2FSCK = shutil.which("e2fsck", path="/usr/sbin:/sbin:/usr/bin:/bin")


class Abandoned(Exception):
    """A step failed; the others of its group make no sense."""


class Steps(Tap):
    """TAP with one line per step: what the step said, or why it failed and what the guest said."""

    @contextlib.contextmanager
    def step(self, name):
        said, began = [], time.monotonic()
        try:
            yield lambda *words: said.append(" ".join(map(str, words)))
        except (Unexpected, subprocess.TimeoutExpired) as why:
            self.case(name, False, why)
            raise Abandoned from why
        except OSError as why:
            self.case(name, False, f"{type(why).__name__}: {why}")
            raise Abandoned from why
        except Exception as why:
            self.case(name, False, traceback.format_exc())
            raise Abandoned from why
        self.case(": ".join([name, *said]), True)
        print(f"# {time.monotonic() - began:.1f} s", flush=True)

    @contextlib.contextmanager
    def group(self):
        """Steps that need each other; the first that fails ends the group, not the test."""
        with contextlib.suppress(Abandoned):
            yield


class Work:
    """A folder for one scenario: disks, snapshots, and a runtime directory of its own."""

    def __enter__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="linux-"))
        os.environ["SPORE_RUNTIME_DIR"] = str(self.folder / "run")
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, ignore_errors=True)

    def file(self, name):
        return self.folder / name

    def disk(self, name, mib=24):
        path = self.file(name)
        run([HERE.parent / "kit", "disk", path, str(mib)])
        return path

    def boot(self, name, *options, flavour="generic", kernel="vmlinux", cmdline=""):
        return Machine(self, name, [
            "run", "--name", name, "--kernel", PARTS[flavour][kernel],
            "--initrd", PARTS[flavour]["initrd"], "--cmdline", f"{CMDLINE} {cmdline}", *options])

    def restore(self, path, name, *options):
        return Machine(self, name, ["restore", path, "--name", name, *options])


class Machine(Console):
    """Its monitor in the foreground.  Its disk can be made slow from outside."""

    def __init__(self, work, name, argv):
        self.name = name
        self.slow_disk = work.file(f"{name}.slow")
        self.errors = open(work.file(f"{name}.err"), "w+")
        super().__init__([PARTS["spore"], *map(str, argv)], stderr=self.errors, env=dict(
            os.environ, LD_PRELOAD=PARTS["slow_disk"], SLOW_DISK=str(self.slow_disk)))

    def forget(self):
        """What it said so far is of no interest any more."""
        self.lines.clear()

    def expect(self, *patterns, timeout=PATIENCE_S, **options):
        return super().expect(*patterns, timeout=timeout, **options)

    def wait(self, timeout=PATIENCE_S):
        return super().wait(timeout)

    def booted(self):
        self.expect("spore: ready", "spore: loaded")
        return self

    def snapshot(self, path, *options):
        """What spore says about it: a document with phases and in_flight."""
        return json.loads(spore("snapshot", self.name, "-o", path, "--timings", "--json",
                                *options))

    def freeze(self, path, *options):
        """A snapshot that ends the machine."""
        document = self.snapshot(path, "--stop", *options)
        self.ends("stopped")
        return document

    @contextlib.contextmanager
    def slowly(self):
        self.slow_disk.touch()
        try:
            yield
        finally:
            self.slow_disk.unlink()

    def ends(self, how):
        status = self.wait()
        if status != ENDS[how]:
            raise Unexpected(f"expected exit status {ENDS[how]} ({how}), got {status}\n"
                             f"{self._tail()}")
        return status

    def _tail(self):
        """What the guest and then the monitor said last."""
        self.errors.seek(0)
        return f"{super()._tail()}\nthe monitor said: {self.errors.read() or 'nothing'}"


def says(guest, command, pattern):
    """What a shell command in the guest says: the first group of the pattern, or all of it."""
    match = guest.ask(f"sh {command}", pattern)
    guest.expect("^sh: status 0")
    return match[1] if match.groups() else match[0]


def run(argv, good=(0,)):
    """A command's output; Unexpected with all it said if it fails."""
    done = subprocess.run([str(word) for word in argv], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S)
    if done.returncode not in good:
        raise Unexpected(f"{' '.join(map(str, argv))}: status {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
    return done.stdout


def spore(*argv, good=(0,)):
    return run([PARTS["spore"], *argv], good)


class Frozen:
    """A snapshot as `spore inspect` tells it, and the guest's memory in it."""

    def __init__(self, path):
        self.path = path
        self.state = json.loads(spore("inspect", path, "--json"))
        self.ram_at = next(row["offset"] for row in self.state["table"] if row["kind"] == "ram")

    def word16(self, address):
        """From memory below the hole at 3 GiB, where addresses are offsets."""
        with open(self.path, "rb") as file:
            file.seek(self.ram_at + address)
            return int.from_bytes(file.read(2), "little")

    def disk(self):
        return next(d for d in self.state["device"] if d["kind"] == "blk")

    def waiting(self):
        """Requests that the driver had made available to the disk, which it had not yet taken."""
        total = 0
        for queue in self.disk()["queues"]:
            if queue["ready"]:
                made = self.word16(int(queue["driver"], 16) + 2)
                total += (made - queue["next_avail"]) % 65536
        return total

    def pending_vectors(self):
        """Interrupts that the local APICs hold and no processor has taken yet."""
        return [vector for vcpu in self.state["vcpu"] for vector in vcpu["lapic"]["irr"]]


def e2fsck(image):
    """Nothing to mend, without touching it."""
    if E2FSCK is None:
        raise Unexpected("no e2fsck: apt-get install e2fsprogs (as root)")
    run([E2FSCK, "-f", "-n", image])


def e2fsck_frozen(image):
    """The same for a disk that was copied while it was mounted: its journal comes first."""
    run([E2FSCK, "-E", "journal_only", "-y", image])
    e2fsck(image)
