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

# Row without its shape: whose it is, its word for it, and the row it is compared with. What the library
# does goes in front of these, as "spawn/pooled": ("library", "pooled", "spawn/bare-pooled").
KINDS = {
    "spawn/bare-cold": ("bare", "cold", None),
    "spawn/bare-pooled": ("bare", "pooled", None),
    "spawn/bare-worker": ("bare", "worker", None),
    "spawn/qemu-incoming": ("qemu", "process", None),
    "spawn/qemu-incoming-ready": ("qemu", "ready", None),
}

NAMES = [kind + suffix for suffix in SHAPES for kind in KINDS
         if suffix == "" or KINDS[kind][0] != "qemu"]


def by_shape(names):
    """(Shape, {kind: name}) for each shape that one of the rows has."""
    for suffix, shape in SHAPES.items():
        rows = {kind: kind + suffix for kind in KINDS if kind + suffix in names}
        if rows:
            yield shape, rows


def groups(rows):
    """Those that take turns."""
    for of_qemu in (False, True):
        group = {kind: name for kind, name in rows.items() if (KINDS[kind][0] == "qemu") == of_qemu}
        if group:
            yield group


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
    """The rows, each with the one that it is compared with. A maker makes a subject of the word for
    what it shall do."""
    with contextlib.ExitStack() as stack:
        subjects = [stack.enter_context(makers[KINDS[kind][0]](KINDS[kind][1])) for kind in rows]
        samples = turns(rounds, *subjects)
    made = {kind: Row(name, "us", micro(of)) for (kind, name), of in zip(rows.items(), samples)}
    for kind, row in made.items():
        if KINDS[kind][2] in made:
            row.compare(made[KINDS[kind][2]])
    return list(made.values())
