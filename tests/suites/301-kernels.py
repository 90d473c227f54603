#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Stock Debian kernels, as shipped and packed anew in every compression, go where an independent
reading of the same vmlinux says they belong; spoilt and cut ones are refused under the sanitizers.

The reference is the vmlinux that Debian's own tools unpack and the placing in this script."""
import gzip
import lzma
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(os.environ['ROOT'])
PROBE = 'tests/kernels/kernel-probe'
FLAVOURS = ['cloud', 'generic']
MIB = 1 << 20
RAM = 160  # MiB
LOW = MIB  # nothing of a kernel is below
MUTATIONS = 4000


class Bad(Exception):
    pass


class Skip(Exception):
    pass


def probe(*args, build=os.environ['BUILD']):
    env = dict(os.environ, UBSAN_OPTIONS='print_stacktrace=1')
    run = subprocess.run([os.path.join(build, PROBE), *map(str, args)], capture_output=True,
                         text=True, errors='replace', env=env)
    if run.returncode:
        raise Bad(run.stderr.strip() or f'{PROBE} ended with status {run.returncode}')
    return run.stdout


def tool(*argv, given):
    try:
        return subprocess.run(argv, input=given, capture_output=True, check=True).stdout
    except FileNotFoundError:
        raise Skip(f'no {argv[0]} here') from None


def fetch(flavour):
    run = subprocess.run([ROOT / 'tools/lab.d/kernel.py', flavour], capture_output=True, text=True)
    if run.returncode == 7:
        raise Skip(run.stderr.strip().splitlines()[0])
    if run.returncode:
        raise Bad(run.stderr)
    return Path(run.stdout.strip())


class BzImage:
    """Linux, Documentation/arch/x86/boot.rst: where the payload is."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        self.setup = ((self.bytes[0x1F1] or 4) + 1) * 512
        self.offset, self.length = struct.unpack_from('<II', self.bytes, 0x248)
        self.init_size, = struct.unpack_from('<I', self.bytes, 0x260)
        self.pref_address, = struct.unpack_from('<Q', self.bytes, 0x258)
        self.syssize, = struct.unpack_from('<I', self.bytes, 0x1F4)

    def code(self):
        return self.bytes[self.setup:self.setup + self.syssize * 16]

    def with_payload(self, payload):
        """The same kernel, its vmlinux packed differently (it could not unpack itself)."""
        code = bytearray(self.code()[:self.offset] + payload)
        code += bytes(-len(code) % 16)
        out = bytearray(self.bytes[:self.setup]) + code
        struct.pack_into('<I', out, 0x24C, len(payload))
        struct.pack_into('<I', out, 0x1F4, len(code) // 16)
        return bytes(out)


BRANCHES = [{'id': lzma.FILTER_X86},
            {'id': lzma.FILTER_LZMA2, 'preset': 0, 'dict_size': 32 * MIB}]
# Fast settings: it is the format that matters.
PACKERS = {
    'gzip': lambda v: gzip.compress(v, 1),
    'xz': lambda v: lzma.compress(v, check=lzma.CHECK_CRC32, filters=BRANCHES),
    'lz4': lambda v: tool('lz4', '-l', '-1', '-c', given=v),
    'zstd': lambda v: tool('zstd', '-1', '--zstd=wlog=27', '-c', given=v),
    'nothing': lambda v: v,
}


def pack(name, vmlinux):
    """As the kernel's build does: its size follows, but gzip's own format ends with it."""
    size = b'' if name == 'gzip' else struct.pack('<I', len(vmlinux))
    return PACKERS[name](vmlinux) + size


def segments(vmlinux):
    phoff, = struct.unpack_from('<Q', vmlinux, 32)
    count, = struct.unpack_from('<H', vmlinux, 56)
    for i in range(count):
        kind, _, offset, _, paddr, filesz, memsz, _ = struct.unpack_from(
            '<IIQQQQQQ', vmlinux, phoff + 56 * i)
        if kind == 1:
            yield paddr, vmlinux[offset:offset + filesz], memsz


def image_of(pieces):
    ram = bytearray(RAM * MIB)
    for at, data in pieces:
        ram[at:at + len(data)] = data
    return ram


class Kernel:
    def __init__(self, flavour):
        folder = fetch(flavour)
        self.path = folder / 'vmlinuz'
        self.elf_path = folder / 'vmlinux'
        self.vmlinux = self.elf_path.read_bytes()
        self.bzimage = BzImage(self.path)
        self.image = image_of((at, data) for at, data, _ in segments(self.vmlinux))
        self.end = max(at + memsz for at, _, memsz in segments(self.vmlinux))
        self.entry, = struct.unpack_from('<Q', self.vmlinux, 24)


def placed(path, method, work):
    """How it is entered, where, where it ends; the RAM; milliseconds."""
    out = work / 'ram'
    try:
        how, entry, end, us = probe('place', path, method, RAM, out).split()
        return (how, int(entry, 16), int(end, 16)), out.read_bytes(), int(us) / 1000
    finally:
        out.unlink(missing_ok=True)


def compare(ram, image):
    if ram == image:
        return
    for at in range(0, len(image), 4096):
        if ram[at:at + 4096] != image[at:at + 4096]:
            raise Bad(f'the RAM differs from the reference in the page at {at:#x}')


def check_direct(k, path, work):
    (how, entry, end), ram, ms = placed(path, 'auto', work)
    compare(ram, k.image)
    if how != 'pvh' or not any(at <= entry < at + len(data) for at, data, _ in segments(k.vmlinux)):
        raise Bad(f'entered by {how} at {entry:#x}')
    if end != k.end:
        raise Bad(f'ends at {end:#x}, expected {k.end:#x}')
    print(f'# {ms:.1f} ms to read, unpack and place')


def check_linux64(k, work):
    got, ram, _ = placed(k.path, 'linux64', work)
    compare(ram, k.image)
    if got != ('linux64', k.entry, k.end):
        raise Bad(f'entered as {got}')


def check_own_loader(k, work):
    got, ram, _ = placed(k.path, 'bzimage', work)
    b = k.bzimage
    compare(ram, image_of([(b.pref_address, b.code())]))
    if got != ('linux64', b.pref_address + 0x200, b.pref_address + b.init_size):
        raise Bad(f'entered as {got}')


def check_repacked(k, name, work):
    path = work / 'repacked'
    path.write_bytes(k.bzimage.with_payload(pack(name, k.vmlinux)))
    check_direct(k, path, work)


def check_too_small(k, work):
    """RAM that does not hold it is refused, not overrun."""
    try:
        probe('place', k.path, 'auto', 32, work / 'ram')
    except Bad as e:
        if "the machine's RAM below 4 GiB" not in str(e):
            raise
        return
    raise Bad('32 MiB of RAM were enough for it')


def check_hostile(k):
    asan = os.environ['BUILD'] + '-asan'
    print('#', probe('mutate', k.path, 1, MUTATIONS, build=asan).strip())
    probe('cut', k.path, build=asan)


def tests(work):
    kernels = {}

    def kernel(flavour):
        if flavour not in kernels:
            kernels[flavour] = Kernel(flavour)
        return kernels[flavour]

    for f in FLAVOURS:
        yield f'{f}: the bzImage as Debian ships it', lambda f=f: check_direct(
            kernel(f), kernel(f).path, work)
        yield f'{f}: its vmlinux', lambda f=f: check_direct(kernel(f), kernel(f).elf_path, work)
        yield f'{f}: entered by the 64-bit protocol', lambda f=f: check_linux64(kernel(f), work)
        yield f'{f}: left to its own loader', lambda f=f: check_own_loader(kernel(f), work)
        yield f'{f}: too little RAM', lambda f=f: check_too_small(kernel(f), work)
        yield f'{f}: spoilt and cut, under the sanitizers', lambda f=f: check_hostile(kernel(f))
    for name in PACKERS:
        yield f'cloud: packed anew with {name}', lambda name=name: check_repacked(
            kernel('cloud'), name, work)


def main():
    subprocess.run(['make', '-s', '-C', ROOT, 'asan', 'SETUP=true'], check=True, stdout=sys.stderr)
    n, bad = 0, 0
    with tempfile.TemporaryDirectory(dir='/dev/shm' if os.path.isdir('/dev/shm') else None) as d:
        for name, test in tests(Path(d)):
            n += 1
            try:
                test()
                print(f'ok {n} - {name}', flush=True)
            except Skip as e:
                print(f'ok {n} - {name} # SKIP {e}', flush=True)
            except Bad as e:
                bad += 1
                print(f'not ok {n} - {name}', *str(e).splitlines(), sep='\n# ', flush=True)
    print(f'1..{n}')
    return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main())
