#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""zygote.py family CPUS | generations | branches COUNT EVERY: what a Linux guest and its children
keep, and what they do not share.

family: one machine is frozen with programs running, a disk request likely in flight; three children
go on.  generations: a child of a child, to a depth of eight.  branches: a machine under disk and CPU
load is branched COUNT times, every 100 ms or as fast as it goes; of each EVERY-th branch a child is
spawned once all are made, and looked at.
"""
import hashlib
import sys
import time

from machine import Frozen, Steps, Unexpected, Work, e2fsck, says
from console import reseed_compare, urandom_read
from nursery import Nursery

PROGRAMS = ["memory 16", "file", "clock", "irq", "disk"]
CHILDREN = ["one", "two", "three"]
DEPTH = 8
INTERVAL_S = 0.1
BUSY = "while :; do :; done &"


def digest(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def start(guest, *commands):
    for command in commands:
        guest.ask(command, f"^{command.split()[0]}: set")


def uptime(guest):
    return float(says(guest, "cat /proc/uptime", r"^(\d+\.\d\d) \d+"))


def told_ok(guest, commands):
    """These programs are told to go on; what they found."""
    names = [command.split()[0] for command in commands]
    guest.send(f"go {' '.join(names)}")
    return [guest.expect(f"^{name}: ok (.*)")[1] for name in names]


def whole_disk(work, nursery, zygote):
    """A zygote's disk as one file: the base, and over it what the stored layer holds."""
    path = work.file(f"{zygote}.spore")
    nursery.ask("save", zygote, path)
    row = Frozen(path).disk()
    size, held = row["layer_cluster"], bytes.fromhex(row["layer_map"])
    image = bytearray((path.parent / row["disk"]["path"]).read_bytes())
    layer = (path.parent / row["layer"]["path"]).read_bytes()
    for i in range(-(-row["capacity"] // size)):
        if held[i // 8] >> i % 8 & 1:
            image[i * size:(i + 1) * size] = layer[i * size:(i + 1) * size]
    whole = work.file(f"{zygote}.img")
    whole.write_bytes(image[:row["capacity"]])
    return whole


def check_alike(found, expected):
    if found != expected:
        raise Unexpected(f"{found}, expected {expected}")


# ---- a family ----

def family(t, work, nursery, cpus):
    disk = work.disk("disk")
    with t.step(f"{cpus} vCPUs: boots a stock kernel") as say:
        parent = nursery.boot("parent", disk, cpus)
        say(parent.ask("cpus", f"^cpus: ok {cpus}$")[0])
    with t.step("frozen with every program running"):
        parent.ask("mount", "^mount: ok")
        start(parent, *PROGRAMS)
        began, before = time.monotonic(), uptime(parent)
        start(parent, "urandom")
        parent.freeze("zygote")
        ran = time.monotonic() - began
    base = digest(disk)
    time.sleep(5)  # would show in the children's clocks
    blocks = dict(go_on(t, nursery, name, before, ran) for name in CHILDREN)
    random_numbers(t, blocks)
    for child in blocks:
        own_disk(t, work, nursery, child)
    with t.step("the disk they share is as it was frozen"):
        check_alike(digest(disk), base)
    nursery.ask("free", "zygote")


def go_on(t, nursery, name, before, ran):
    """A child, and how many blocks of random numbers it has.  It is busy until its programs have
    ended, and the next one is not spawned before."""
    with t.step(f"{name}: spawned in a jail") as say:
        spawned = time.monotonic()
        child = nursery.spawn(name, "zygote")
        say(nursery.walls())
        says(child, "sleep 1; echo slept", "^slept$")
        count = urandom_read(child)
    with t.step(f"{name}: its clock stood still while it was frozen and goes on") as say:
        after = uptime(child)
        most = before + (ran + time.monotonic() - spawned) * 1.01 + 0.02
        say(f"{before:.2f} s, then {after:.2f} s")
        if not before < after <= most:
            raise Unexpected(f"from {before} s to {after} s, expected {most:.2f} s at most")
    with t.step(f"{name}: all programs go on, and nothing bad in the kernel's log") as say:
        say("; ".join(told_ok(child, PROGRAMS)))
        child.ask("kernlog", "^kernlog: ok")
    return child, count


def random_numbers(t, blocks):
    with t.step("all went on from one instant, and have different random numbers soon after") as say:
        equal, window = reseed_compare(blocks)
        say(f"{equal} equal bytes, window {window:.0f} us")
    with t.step("each kernel learnt that it was spawned, and has numbers of its own"):
        for child in blocks:
            says(child, "dmesg | grep reseeded", "crng reseeded due to virtual machine fork")
        own = [says(child, "cat /proc/sys/kernel/random/uuid", r"^[0-9a-f-]{36}$")
               for child in blocks]
        check_alike(len(set(own)), len(blocks))


def own_disk(t, work, nursery, child):
    """It writes what the others do not, and reads all again from the disk; e2fsck has the last word."""
    name = child.name
    with t.step(f"{name}: its disk has what it wrote, and is clean") as say:
        says(child, f"echo {name} >/mnt/{name}; echo done", "^done$")
        child.ask("umount", "^umount: ok")
        child.ask("mount", "^mount: ok")
        say(child.ask("diskcheck", "^diskcheck: ok (.*)")[1])
        names = "|".join(CHILDREN)
        says(child, f"ls /mnt | grep -E '{names}' | tr '\\n' ' '; cat /mnt/{name}", f"^{name} {name}$")
        child.ask("umount", "^umount: ok")
        child.ask("kernlog", "^kernlog: ok")
        child.freeze(f"{name}-end")
        image = whole_disk(work, nursery, f"{name}-end")
        nursery.ask("free", f"{name}-end")
        e2fsck(image)


# ---- generations ----

def generations(t, work, nursery):
    with t.step("generation 0 boots a stock kernel"):
        guest = nursery.boot("generation-0", work.disk("disk"), 1, 96)
        guest.ask("mount", "^mount: ok")
        start(guest, "memory 8", "clock")
        before = uptime(guest)
    for n in range(1, DEPTH + 1):
        with t.step(f"generation {n} goes on") as say:
            guest.freeze(f"zygote-{n}")
            guest = nursery.spawn(f"generation-{n}", f"zygote-{n}")
            nursery.ask("free", f"zygote-{n}")
            says(guest, f"echo {n} >>/run/line; echo {n} >>/mnt/line; sync; echo done", "^done$")
            after = uptime(guest)
            say(f"at {after:.2f} s")
            if after < before:
                raise Unexpected(f"{after} s after {before} s")
            before = after
    with t.step("the last has what all wrote, in memory and on disk"):
        line = " ".join(map(str, range(1, DEPTH + 1)))
        says(guest, "tr '\\n' ' ' </run/line; echo .", f"^{line} [.]$")
        guest.ask("umount", "^umount: ok")
        guest.ask("mount", "^mount: ok")
        says(guest, "tr '\\n' ' ' </mnt/line; echo .", f"^{line} [.]$")
    with t.step("its memory, its clock and its kernel's log") as say:
        say("; ".join(told_ok(guest, ["memory 8", "clock"])))
        guest.ask("kernlog", "^kernlog: ok")
        count = int(says(guest, "dmesg | grep -c 'crng reseeded due to virtual machine fork'",
                         r"^(\d+)$"))
        say(f"reseeded {count} times")
        check_alike(count, DEPTH)
    guest.stop()


# ---- branches ----

LOAD = ["memory 16", "disk", "clock"]
KEPT = 40  # branches that the lab's memory has room for


def rounds(count, every):
    """The numbers of all branches, in parts of which as many are kept as there is room for."""
    return [range(at, min(at + KEPT * every, count)) for at in range(0, count, KEPT * every)]


def branch_often(guest, numbers, every):
    """The numbers of the branches that are kept, and how long each pause was."""
    kept, pauses = [], []
    for n in numbers:
        began = time.monotonic()
        pauses.append(guest.branch(f"branch-{n}"))
        if n % every == every - 1:
            kept.append(n)
        else:
            guest.nursery.ask("free", f"branch-{n}")
        time.sleep(max(0, began + INTERVAL_S - time.monotonic()))
    return kept, pauses


def verify_branch(nursery, n):
    child = nursery.spawn(f"branch-{n}", f"branch-{n}")
    nursery.ask("free", f"branch-{n}")
    child.send("sh kill $!")
    child.expect("^sh: status")
    found = told_ok(child, LOAD)
    child.ask("umount", "^umount: ok")
    child.ask("mount", "^mount: ok")
    child.ask("diskcheck", "^diskcheck: ok")
    child.ask("kernlog", "^kernlog: ok")
    child.stop()
    return found[1]


def branches(t, work, nursery, count, every):
    with t.step("a machine under load of its disk and its processor"):
        guest = nursery.boot("source", work.disk("disk"), 1)
        guest.ask("mount", "^mount: ok")
        start(guest, *LOAD)
        guest.ask(f"sh {BUSY}", "^sh: status 0")
    for numbers in rounds(count, every):
        with t.step(f"branched {len(numbers)} times") as say:
            began = time.monotonic()
            kept, pauses = branch_often(guest, numbers, every)
            pauses.sort()
            say(f"in {time.monotonic() - began:.1f} s, pause "
                f"{1e3 * pauses[len(pauses) // 2]:.1f} ms, at most {1e3 * pauses[-1]:.1f} ms")
        nursery.give_way(15)
        for n in kept:
            with t.step(f"branch {n}: a child of it has memory, disk and clock in order") as say:
                say(verify_branch(nursery, n))
        nursery.give_way(0)
    with t.step("it goes on, and nothing bad in its kernel's log") as say:
        say("; ".join(told_ok(guest, LOAD)))
        guest.ask("kernlog", "^kernlog: ok")
        guest.stop()


def main():
    scenario, *numbers = sys.argv[1:]
    with Steps() as t, Work() as work, Nursery(work) as nursery, t.group():
        {"family": family, "generations": generations, "branches": branches}[scenario](
            t, work, nursery, *map(int, numbers))


if __name__ == "__main__":
    main()
