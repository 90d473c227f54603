#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""boot.py: every way to boot a stock Debian kernel, and every way in which a machine ends."""
import hashlib
import os

from machine import ENDS, Frozen, Steps, Unexpected, Work, says, spore

GIB = 1 << 30
HOLE = 3 * GIB  # from here on memory lies above 4 GiB
LINKED_AT = 0xffffffff81000000


def end(t, guest, command, how, what):
    with t.step(f"{what} gives status {ENDS[how]}"):
        guest.send(command)
        guest.ends(how)


def boot(t, work, name, what, *options, cpus=1, **kernel):
    with t.step(what) as say:
        guest = work.boot(name, "--cpus", cpus, *options, **kernel)
        guest.booted()
        say(guest.ask("cpus", f"^cpus: ok {cpus}$")[0])
    return guest


def loaded_at(guest):
    """Where the kernel's text begins: elsewhere at each boot if the kernel chose its address."""
    return int(says(guest, "grep -w _text /proc/kallsyms", r"^([0-9a-f]{16}) T _text"), 16)


def by_pvh(t, work):
    with boot(t, work, "pvh", "vmlinux by its PVH note", "--boot", "pvh") as guest:
        end(t, guest, "sh sync; poweroff -f", "poweroff", "power-off by ACPI")


def by_linux64(t, work):
    with boot(t, work, "linux64", "vmlinux by the 64-bit boot protocol", "--boot", "linux64",
              cpus=2) as guest:
        with t.step("nothing bad in the kernel's log"):
            guest.ask("kernlog", "^kernlog: ok")
        end(t, guest, "reboot", "reset", "reboot by ACPI")


def unpacked(t, work):
    with boot(t, work, "unpacked", "bzImage, unpacked by the monitor", kernel="bzimage",
              cmdline="reboot=k") as guest:
        with t.step("the kernel is where it was linked to be"):
            if (at := loaded_at(guest)) != LINKED_AT:
                raise Unexpected(hex(at))
        end(t, guest, "panic", "reset", "a panic that reboots by the keyboard controller")


def by_its_loader(t, work):
    # One in some hundred boots it chooses what would have been its place anyway.
    for last in False, True:
        with boot(t, work, "loader", "bzImage by its own loader", "--boot", "bzimage",
                  kernel="bzimage", cmdline="reboot=t") as guest:
            if (at := loaded_at(guest)) == LINKED_AT and not last:
                continue
            with t.step("the kernel chose its address") as say:
                say(hex(at))
                if at == LINKED_AT:
                    raise Unexpected("twice where it was linked to be")
            end(t, guest, "reboot", "crash", "a triple fault")
            return


def cloud(t, work):
    disk, path = work.disk("disk"), work.file("cloud")
    with boot(t, work, "cloud", "cloud kernel, bzImage, unpacked by the monitor", "--disk",
              f"{disk},cow", cpus=4, flavour="cloud", kernel="bzimage") as guest:
        with t.step("frozen with programs running") as say:
            guest.ask("mount", "^mount: ok")
            guest.send("regs", "memory 16", "clock", "disk")
            guest.expect("^regs: set", "^memory: set", "^clock: set", "^disk: set")
            guest.freeze(path, "--disks")
    with work.restore(path, "restored", "--verify") as guest:
        with t.step("restored") as say:
            guest.send("go")
            for name in "regs", "memory", "clock", "disk":
                say(guest.expect(f"^{name}: ok.*")[0])
            guest.ask("kernlog", "^kernlog: ok")
        with t.step("stop gives status 5"):
            spore("stop", "restored")
            guest.ends("stopped")


def beyond_the_hole(t, work):
    path = work.file("large")
    with boot(t, work, "large", "5 GiB of memory", "--memory", "5G", cpus=2) as guest:
        with t.step("the guest has all of it") as say:
            kib = int(guest.ask("memtotal", r"^memtotal: ok (\d+) kB")[1])
            say(f"{kib} KiB")
            # The kernel keeps a 64th of it for its own table of pages, and some.
            if not 4.8 * GIB < kib * 1024 <= 5 * GIB:
                raise Unexpected(f"{kib} KiB")
        with t.step("frozen with data above 4 GiB") as say:
            guest.send("memory 64")
            guest.expect("^memory: set")
            guest.freeze(path)
            ram = Frozen(path).state["ram-map"]
            first = HOLE // ram["block_size"]
            blocks = sum(max(0, start + n - max(start, first)) for start, n in ram["runs"])
            mib = blocks * ram["block_size"] >> 20
            say(f"{mib} MiB there")
            if mib < 64:
                raise Unexpected("the kernel did not give memory from there")
    with t.step("spore verify finds every block of memory right"):
        spore("verify", path)
    with work.restore(path, "large") as guest:
        with t.step("restored: memory") as say:
            guest.send("go")
            say(guest.expect("^memory: ok (.*)")[1])
            guest.ask("kernlog", "^kernlog: ok")
        end(t, guest, "poweroff", "poweroff", "power-off")


def digest(path):
    return hashlib.md5(path.read_bytes()).hexdigest()


def random_disk(work, name, mib=8):
    path = work.file(name)
    path.write_bytes(os.urandom(mib << 20))
    return path


def read_past_cache(guest, device):
    """A digest of what the disk holds, not of what the guest remembers."""
    return says(guest, f"dd if=/dev/{device} bs=64k iflag=direct 2>/dev/null | md5sum",
                "^([0-9a-f]{32})")


def check_alike(found, expected):
    if found != expected:
        raise Unexpected(f"{found}, expected {expected}")


def disks(t, work):
    """A copy-on-write, a read-only and a writable disk, and what a restore makes of them."""
    path, cow = work.file("frozen"), work.disk("cow")
    fixed, loose = random_disk(work, "fixed"), random_disk(work, "loose")
    before, other = digest(cow), random_disk(work, "other")
    with boot(t, work, "disks", "three disks", "--disk", f"{cow},cow", "--disk", f"{fixed},ro",
              "--disk", f"{loose},rw") as guest:
        with t.step("their bytes are those of their files"):
            for device, file in ("vda", cow), ("vdb", fixed), ("vdc", loose):
                check_alike(read_past_cache(guest, device), digest(file))
        with t.step("a read-only disk says so, and is"):
            says(guest, "cat /sys/block/vdb/ro", "^1$")
            guest.ask("sh echo no >/dev/vdb", "^sh: status [^0]")
            check_alike(read_past_cache(guest, "vdb"), digest(fixed))
        with t.step("a discard gives the host its space back") as say:
            had = loose.stat().st_blocks
            says(guest, "blkdiscard -o 1048576 -l 4194304 /dev/vdc; echo done", "^done$")
            say(f"{(had - loose.stat().st_blocks) // 2} KiB")
            if had - loose.stat().st_blocks < 8192:
                raise Unexpected(f"{had} blocks before, {loose.stat().st_blocks} after")
        with t.step("frozen with a layer over the first disk"):
            guest.ask("mount", "^mount: ok")
            guest.ask("disk", "^disk: set")
            guest.freeze(path, "--disks")
        with t.step("its base was not touched"):
            check_alike(digest(cow), before)
    with work.restore(path, "again", "--disk", f"1={other}") as guest:
        with t.step("restored with another file for the second disk: the disks go on") as say:
            guest.send("go")
            say(guest.expect("^disk: ok (.*)")[1])
            guest.ask("kernlog", "^kernlog: ok")
        with t.step("each disk holds what it should"):
            check_alike(read_past_cache(guest, "vdb"), digest(other))
            check_alike(read_past_cache(guest, "vdc"), digest(loose))
        end(t, guest, "poweroff", "poweroff", "power-off")
    with t.step("the bases are as they were"):
        check_alike(digest(cow), before)


def main():
    with Steps() as t:
        for scenario in (by_pvh, by_linux64, unpacked, by_its_loader, cloud, beyond_the_hole,
                         disks):
            with Work() as work, t.group():
                scenario(t, work)


if __name__ == "__main__":
    main()
