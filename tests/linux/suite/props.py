#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""props.py CPUS: what a Linux guest keeps through freeze and restore.

One machine is booted.  It is frozen while it is idle (and goes on), frozen while it is busy with a
disk request in flight (and goes on), and frozen and restored five times in a row; from the first
two files other machines are restored.
"""
import sys
import time

from machine import Frozen, Steps, Unexpected, Work, e2fsck, e2fsck_frozen, says, spore
from console import reseed_window

# In the order in which they are started: first what takes long beside the others.
PROGRAMS = {
    "memory 24": "memory",
    "file": "an open file without a name",
    "disk": "a file system under write load",
    "clock": "CLOCK_MONOTONIC on and across CPUs",
    "irq": "interrupts between CPUs and from timers",
    "tree": "a process tree",
    "regs": "general, x87, SSE and AVX registers",
}
GENERATIONS = 5
ATTEMPTS = 10


def program(command):
    return command.split()[0]


def start(guest, *commands):
    for command in commands:
        guest.ask(command, f"^{program(command)}: set")


def go_on(t, who, guest):
    """All programs are told to go on and find what they left."""
    guest.send("go")
    for command, what in PROGRAMS.items():
        with t.step(f"{who}: {what}") as say:
            say(guest.expect(f"^{program(command)}: ok (.*)")[1])


def check_log(t, who, guest):
    with t.step(f"{who}: nothing bad in the kernel's log"):
        guest.ask("kernlog", "^kernlog: ok")


def check_drivers(t, who, guest):
    """Drivers let go of their devices and find them again."""
    with t.step(f"{who}: virtio drivers and transport unbound and bound again"):
        guest.ask("rebind", "^rebind: ok")


def check_disk_and_end(t, who, guest):
    check_log(t, who, guest)
    with t.step(f"{who}: the file system can be unmounted"):
        guest.ask("umount", "^umount: ok")
    check_drivers(t, who, guest)
    with t.step(f"{who}: the files are right when read again from the disk") as say:
        guest.ask("mount", "^mount: ok")
        say(guest.ask("diskcheck", "^diskcheck: ok (.*)")[1])
        guest.ask("umount", "^umount: ok")
    with t.step(f"{who}: power-off gives status 0"):
        guest.send("poweroff")
        guest.ends("poweroff")


def freeze_busy(guest, path, *options):
    """Freeze with the disk made slow until a request was in flight; how many were.

    It is completed after the processors have stopped, so its interrupt is then pending, unless
    the driver had just switched it off.
    """
    for _ in range(ATTEMPTS):
        with guest.slowly():
            in_flight = guest.snapshot(path, *options)["in_flight"]
        frozen = Frozen(path)
        if in_flight and frozen.pending_vectors():
            return in_flight, frozen
    raise Unexpected(f"{ATTEMPTS} snapshots of a slow disk under load: {in_flight} requests in "
                     f"flight and interrupts {frozen.pending_vectors()} pending in the last")


# ---- stage by stage ----

def boot(t, work, cpus, disk):
    """The machine, and a time in seconds that is long here: several commands fit into it."""
    with t.step("boots a stock kernel by its PVH note") as say:
        began = time.monotonic()
        guest = work.boot("source", "--cpus", cpus, "--memory", "192M", "--disk", f"{disk},rw")
        guest.booted()
        long = max(12, int(time.monotonic() - began))
        say(guest.ask("cpus", f"^cpus: ok {cpus}$")[0])
        say("clock", says(guest, "cat /sys/devices/system/clocksource/clocksource0/current_clocksource",
                          r"^[\w-]+$"))
    with t.step("the kernel's VMGenID driver is bound"):
        says(guest, "ls -d /sys/bus/acpi/drivers/vmgenid/*:*", r"/vmgenid/[\w:]+$")
    check_drivers(t, "booted", guest)
    return guest, long


def uptime(guest):
    """The guest's own clock, in seconds."""
    return float(says(guest, "cat /proc/uptime", r"^(\d+\.\d\d) \d+"))


def idle(t, work, guest, span):
    """A sleep, a timer, and a reader of random numbers; two machines from the file."""
    with t.step("frozen while programs sleep, wait for a timer and read random numbers"):
        path = work.file("idle")
        host_before = time.monotonic()
        before = uptime(guest)
        start(guest, "urandom", f"sleep {span}", f"timer {span}")
        phases = guest.snapshot(path, "--disks")["phases"]
        # The clocks are read in the first phase; the others and the answer come after that.
        host_frozen = time.monotonic() - sum(phase["us"] for phase in phases[1:]) / 1e6
        guest.send("go sleep", "go timer")
        guest.ask("go urandom", "^urandom: read")
        guest.ask("tell urandom stop", "^urandom: ok")
    with t.step("spore verify finds every block of memory right"):
        spore("verify", path)
    time.sleep(5)  # would show in the guest's clock
    with work.restore(path, "one") as one, work.restore(path, "two") as two:
        with t.step("the guest's clock stood still while it was frozen") as say:
            host_restored = time.monotonic()
            after = uptime(one)
            ran = time.monotonic() - host_restored + host_frozen - host_before
            say(f"{after - before:.2f} s in the guest")
            # Two readings of hundredths; and clocks that run alike, but are two.
            if not 0 <= after - before <= ran * 1.01 + 0.02:
                raise Unexpected(f"{after - before:.2f} s, but it ran for {ran:.2f} s at most")
        for each in one, two:
            each.send("go sleep", "go timer")
        with t.step("two machines from one file read different random numbers") as say:
            equal, window = reseed_window(one, two)
            say(f"{equal} equal bytes, window {window:.0f} us")
        for who, machine in ("source", guest), ("one", one), ("two", two):
            for name in "sleep", "timer":
                with t.step(f"{who}: a {name} that spans the freeze") as say:
                    say(machine.expect(f"^{name}: ok (.*)")[1])
        with t.step("one: the kernel learnt that it was restored"):
            says(one, "dmesg | grep reseeded", "crng reseeded due to virtual machine fork")
        check_log(t, "one", one)
        with t.step("two: stop gives status 5"):
            spore("stop", "two")
            two.ends("stopped")


def busy(t, work, guest):
    """Everything at once, interrupts pending, and a disk that is busy; the source goes on."""
    path = work.file("busy")
    with t.step("frozen with every program running and the disk in the middle of a write") as say:
        guest.ask("mount", "^mount: ok")
        start(guest, *PROGRAMS)
        in_flight, frozen = freeze_busy(guest, path, "--disks")
        say(f"{in_flight} in flight, {frozen.waiting()} more waiting in the ring")
        say("pending interrupts", *frozen.pending_vectors())
    go_on(t, "source", guest)
    check_log(t, "source", guest)
    with t.step("the stored disk is clean at the moment of the freeze"):
        copy = work.file("stored")
        copy.write_bytes((path.parent / frozen.disk()["disk"]["path"]).read_bytes())
        e2fsck_frozen(copy)
    with work.restore(path, "busy") as restored:
        go_on(t, "restored", restored)
        check_disk_and_end(t, "restored", restored)


def generations(t, work, guest, disk):
    """Frozen and restored again and again, its disk in place."""
    path, found = work.file("generation"), []
    with t.step("all programs started once more"):
        start(guest, *PROGRAMS)
    with t.step(f"{GENERATIONS} generations with requests in flight") as say:
        while sum(map(bool, found)) < GENERATIONS:
            if len(found) == ATTEMPTS:
                raise Unexpected(f"in flight: {found}")
            with guest.slowly():
                found.append(guest.freeze(path)["in_flight"])
            guest.__exit__()
            guest = work.restore(path, f"generation-{len(found)}")
            guest.ask("cpus", "^cpus: ok")
        say(*found, "in flight; the last file is of generation", Frozen(path).state["header"]["generation"])
    with guest:
        go_on(t, "last generation", guest)
        check_disk_and_end(t, "last generation", guest)
    with t.step("e2fsck finds its disk clean"):
        e2fsck(disk)


def main():
    cpus = sys.argv[1]
    with Steps() as t, Work() as work, t.group():
        disk = work.disk("disk")
        guest, long = boot(t, work, cpus, disk)
        with guest:
            with t.group():
                idle(t, work, guest, long)
            guest.forget()
            with t.group():
                busy(t, work, guest)
            guest.forget()
            with t.group():
                generations(t, work, guest, disk)


if __name__ == "__main__":
    main()
