#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Stock Debian kernels, fetched without being installed, and initramfs archives for them.

    kernel.py FLAVOUR [vmlinuz|vmlinux]    print where that flavour (generic, cloud) is kept

Trusts what apt and dpkg deliver: the packages are signed.  Nothing here parses hostile bytes.
"""
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spore"
STALE_AFTER = 7 * 24 * 3600
PACKAGES = {"generic": "linux-image-amd64", "cloud": "linux-image-cloud-amd64"}
# How Debian has compressed its kernels: magic of the payload, the tool and its package.
UNPACKERS = {b"\xfd7zXZ": ("xz", "xz-utils"), b"\x02\x21\x4c\x18": ("lz4", "lz4"),
             b"\x28\xb5\x2f\xfd": ("zstd", "zstd")}
# Drivers for hardware that no virtual machine shows: most of the package.
LEFT_OUT = ["sound", "drivers/gpu", "drivers/media", "drivers/staging", "drivers/infiniband",
            "drivers/scsi", "drivers/usb", "drivers/iio", "drivers/net/wireless",
            "drivers/net/ethernet", "drivers/isdn", "drivers/hwmon"]


class Missing(Exception):
    """The host lacks something; the text says what and how to get it (exit status 7)."""


def locked(path):
    """Hold an exclusive lock on path while the returned file is open."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = open(path, "w")
    except OSError as error:
        raise Missing(f"{error}; inside the lab the cache is read-only: run this outside first")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def try_lock(path):
    """The same, or None if somebody else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(path, "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


def remove_stale(folder):
    """Remove what has not been used for a week: other versions of the scripts have made it."""
    for old in folder.glob("*"):
        if time.time() - old.stat().st_mtime > STALE_AFTER:
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def mark_used(path):
    try:
        os.utime(path)
    except OSError:
        pass  # the cache is read-only inside the lab


def find(flavour):
    """The folder of a flavour (vmlinuz, vmlinux, config, lib/modules), fetched on first use."""
    link = CACHE / "kernels" / flavour
    if not link.exists():
        with locked(CACHE / "kernels" / ".lock"):
            if not link.exists():
                fetch(flavour, link)
    return link.resolve()


def fetch(flavour, link):
    work = link.parent / f"{flavour}.tmp"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    deb = download(flavour, work)
    unpack(deb, work)
    folder = link.parent / deb.stem
    deb.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    work.rename(folder)
    link.unlink(missing_ok=True)
    link.symlink_to(folder.name)


def download(flavour, work):
    """The .deb of the kernel that the flavour's metapackage depends on today."""
    meta = PACKAGES[flavour]
    depends = subprocess.run(["apt-cache", "depends", meta], capture_output=True, text=True)
    image = re.search(r"Depends: (linux-image-\S+)", depends.stdout)
    if not image:
        raise Missing(f"apt knows no package {meta}: run apt-get update (as root)")
    done = subprocess.run(["apt-get", "-q", "download", image[1]], cwd=work,
                          capture_output=True, text=True)
    debs = list(work.glob("*.deb"))
    if done.returncode or not debs:
        raise Missing(f"apt-get download {image[1]} failed: {done.stderr.strip()}\n"
                      "try apt-get update (as root) first")
    return debs[0]


def unpack(deb, work):
    skip = [f"--exclude=./lib/modules/*/kernel/{d}" for d in LEFT_OUT]
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", deb], stdout=subprocess.PIPE) as tar:
        subprocess.run(["tar", "-xC", work, "--no-same-owner", *skip, "./boot", "./lib"],
                       stdin=tar.stdout, check=True)
    for name in ("vmlinuz", "config"):
        next((work / "boot").glob(name + "-*")).rename(work / name)
    shutil.rmtree(work / "boot")
    (work / "vmlinux").write_bytes(elf_of((work / "vmlinuz").read_bytes()))


def elf_of(bzimage):
    """The vmlinux inside a bzImage (Linux x86 boot protocol: setup_sects, payload_offset)."""
    setup_sects = bzimage[0x1F1] or 4
    offset, length = struct.unpack_from("<II", bzimage, 0x248)
    start = (setup_sects + 1) * 512 + offset
    payload = bzimage[start:start + length - 4]  # the build appends the unpacked size
    for magic, (tool, package) in UNPACKERS.items():
        if not payload.startswith(magic):
            continue
        if not shutil.which(tool):
            raise Missing(f"no {tool}: apt-get install {package} (as root)")
        return subprocess.run([tool, "-dc"], input=payload, capture_output=True, check=True).stdout
    raise Missing(f"the kernel's compression (magic {payload[:4].hex()}) is not known here")


def modules(folder, names):
    """The module files for names and all they depend on, in an order that insmod accepts."""
    root = next((folder / "lib/modules").iterdir())
    at = {path.stem.replace("-", "_"): path for path in (root / "kernel").rglob("*.ko")}
    builtin = {Path(line).stem.replace("-", "_")
               for line in (root / "modules.builtin").read_text().split()}
    order = []

    def add(name):
        name = name.replace("-", "_")
        if name in builtin or (name in at and at[name] in order):
            return
        if name not in at:
            raise Missing(f"{folder.name} has no module {name}")
        depends = re.search(rb"\0depends=([^\0]*)\0", at[name].read_bytes())
        for need in depends[1].decode().split(",") if depends and depends[1] else []:
            add(need)
        order.append(at[name])

    for name in names:
        add(name)
    return order


def busybox():
    path = Path("/bin/busybox")
    if not path.exists() or b"/lib64/ld-linux" in path.read_bytes()[:4096]:
        raise Missing("no static busybox: apt-get install busybox-static (as root)")
    return path.read_bytes()


def initramfs(init, module_files, extra=()):
    """A cpio archive (newc, not compressed) of busybox, init, the modules and extra entries.

    An extra entry is (path, mode with file type, bytes).  The modules are listed, in order,
    in /modules/order.
    """
    order = "".join(f"/modules/{m.name}\n" for m in module_files).encode()
    entries = [(d, 0o040755, b"") for d in ("bin", "dev", "proc", "sys", "run", "modules")]
    entries += [("bin/busybox", 0o100755, busybox()), ("bin/sh", 0o120777, b"busybox"),
                ("init", 0o100755, init), ("modules/order", 0o100644, order)]
    entries += [(f"modules/{m.name}", 0o100644, m.read_bytes()) for m in module_files]
    return cpio([*entries, *extra])


def cpio(entries):
    out = bytearray()
    for ino, (path, mode, data) in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1):
        name = path.encode() + b"\0"
        fields = (ino, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % f for f in fields) + name
        out += bytes(-len(out) % 4) + data
        out += bytes(-len(out) % 4)
    return bytes(out)


def main():
    if len(sys.argv) not in (2, 3) or sys.argv[1] not in PACKAGES:
        print(__doc__.split("\n")[2].strip(), file=sys.stderr)
        return 2
    try:
        print(find(sys.argv[1]).joinpath(*sys.argv[2:]))
    except Missing as missing:
        print(f"kernel.py: {missing}", file=sys.stderr)
        return 7
    return 0


if __name__ == "__main__":
    sys.exit(main())
