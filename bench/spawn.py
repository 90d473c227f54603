# SPDX-License-Identifier: Apache-2.0
"""The rows of spawns: which there are, and of which machine each is.

A zygote's RAM is here a memfd with all of a snapshot's bytes at their places in the file, so that a
record of a restore (record.c) holds for a spawn too."""
import contextlib
import fcntl
import os
from typing import NamedTuple

from measure import Row, micro, turns

DISK_BYTES = 16 << 20
SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


class Shape(NamedTuple):
    """What the spawned machine is, besides its disk, entropy device and generation id."""
    mib: int = 128
    cpus: int = 1


SHAPES = {"": Shape(), "-2cpu": Shape(cpus=2), "-8GiB": Shape(mib=8192)}


class Kind(NamedTuple):
    """A row without its shape: whose it is, its word for it, and what it is compared with."""
    whose: str
    word: str
    reference: str | None = None
    depth: int = 0          # generations, each with pages of its own
    guest: str = "beat"     # what the guest is doing
    shapes: tuple = tuple(SHAPES)


KINDS = {
    "spawn/cold": Kind("library", "cold", "spawn/bare-cold"),
    "spawn/pooled": Kind("library", "pooled", "spawn/bare-pooled"),
    "spawn/worker": Kind("library", "worker", "spawn/bare-worker"),
    "spawn/armed": Kind("library", "armed"),
    "spawn/answer": Kind("library", "answer", guest="answer"),
    "spawn/cold-depth16": Kind("library", "cold", "spawn/cold", depth=16, shapes=("",)),
    "spawn/pooled-depth16": Kind("library", "pooled", "spawn/pooled", depth=16, shapes=("",)),
    "spawn/worker-depth16": Kind("library", "worker", "spawn/worker", depth=16, shapes=("",)),
    "spawn/armed-depth16": Kind("library", "armed", "spawn/armed", depth=16, shapes=("",)),
    "spawn/answer-depth16": Kind("library", "answer", "spawn/answer", depth=16, guest="answer",
                                 shapes=("",)),
    "spawn/bare-cold": Kind("bare", "cold"),
    "spawn/bare-pooled": Kind("bare", "pooled"),
    "spawn/bare-worker": Kind("bare", "worker"),
    "spawn/qemu-incoming": Kind("qemu", "process", shapes=("",)),
    "spawn/qemu-incoming-ready": Kind("qemu", "ready", shapes=("",)),
}

NAMES = [kind + suffix for suffix in SHAPES for kind in KINDS if suffix in KINDS[kind].shapes]

# As bench/run's: row, what is bounded, bound, how the bound is said.
TARGETS = [
    ("spawn/cold", "p50", 1500, "p50 at most 1500 us"),
    ("spawn/pooled", "p50", 100, "p50 at most 100 us"),
    ("spawn/worker", "p50", 200, "p50 at most 200 us"),
    ("spawn/worker", "p99", 600, "p99 at most 600 us"),
    ("spawn/armed", "p50", 75, "p50 at most 75 us"),
] + [
    (f"spawn/{word}{suffix}", "ratio", 1.25, "at most 1.25 x bare")
    for suffix in SHAPES for word in ("cold", "pooled", "worker")
] + [
    (f"spawn/{word}-8GiB", f"spawn/{word}", 1.3, "at most 1.3 x that of 128 MiB")
    for word in ("pooled", "worker", "armed")
] + [
    (f"spawn/{word}-depth16", "ratio", 1.3, "at most 1.3 x that of depth 1")
    for word in ("cold", "pooled", "worker", "armed")
]


def by_shape(names):
    """(Shape, {kind: name}) for each shape that one of the rows has."""
    for suffix, shape in SHAPES.items():
        rows = {kind: kind + suffix for kind in KINDS
                if kind + suffix in names and suffix in KINDS[kind].shapes}
        if rows:
            yield shape, rows


def groups(rows):
    """Those that take turns: what is compared, and generations with what they are compared with. Who
    builds a machine waits for what the kernel still has to clear away of the one before, so those that
    build it on the clock are among themselves, and so are those of QEMU."""
    def apart(kind):
        return KINDS[kind].whose == "qemu", KINDS[kind].word == "cold"

    for key in sorted({apart(kind) for kind in rows}):
        yield {kind: name for kind, name in rows.items() if apart(kind) == key}


@contextlib.contextmanager
def memfd(path):
    """The name under which others can open a sealed copy of the file, holes and all."""
    with open(path, "rb", buffering=0) as file:
        copy = os.memfd_create("bench-ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            os.ftruncate(copy, os.fstat(file.fileno()).st_size)
            copy_data(file.fileno(), copy)
            fcntl.fcntl(copy, fcntl.F_ADD_SEALS, SEALS)
            yield f"/proc/{os.getpid()}/fd/{copy}"
        finally:
            os.close(copy)


def copy_data(file, copy):
    at, end = 0, os.fstat(file).st_size
    while at < end:
        try:
            at = os.lseek(file, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        hole = os.lseek(file, at, os.SEEK_HOLE)
        while at < hole:
            at += os.pwrite(copy, os.pread(file, min(hole - at, 1 << 20), at), at)


def measure(makers, rows, rounds):
    """The rows, each with the one that it is compared with. A maker makes a subject of a kind."""
    with contextlib.ExitStack() as stack:
        subjects = [stack.enter_context(makers[KINDS[kind].whose](KINDS[kind])) for kind in rows]
        samples = turns(rounds, *subjects)
    made = {kind: Row(name, "us", micro(of)) for (kind, name), of in zip(rows.items(), samples)}
    for kind, row in made.items():
        if KINDS[kind].reference in made:
            row.compare(made[KINDS[kind].reference])
    return list(made.values())
