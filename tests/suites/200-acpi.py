#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The ACPI tables through Intel's compiler: each one is disassembled, compiled again without an
error or a warning, and comes out with the same bytes. iasl is the reference for what is valid; the
tables' own checksums and addresses are followed here as a guest would. Remarks are printed."""
import os
import re
import struct
import subprocess
import sys
import tempfile

BASE = 0xE0000
HEADER = 36  # its creator id and checksum change when iasl compiles a table again
SHAPES = [(1, 0), (1, 1), (2, 3), (64, 19)]
TABLES = ['XSDT', 'FACP', 'APIC', 'DSDT']


class Bad(Exception):
    pass


def dump(vcpus, devices):
    program = os.path.join(os.environ['BUILD'], 'tests', 'unit', 'plan', 'plan-dump')
    run = subprocess.run([program, 'acpi', str(vcpus), str(devices)], capture_output=True)
    if run.returncode:
        raise Bad(run.stderr.decode())
    return run.stdout


def table(blob, address):
    at = address - BASE
    if not 0 <= at <= len(blob) - HEADER:
        raise Bad(f'no table can be at {address:#x}')
    length, = struct.unpack_from('<I', blob, at + 4)
    t = blob[at:at + length]
    if len(t) != length or sum(t) & 0xFF:
        raise Bad(f'the table at {address:#x} is cut short or its checksum is wrong')
    return t


def tables(blob):
    if blob[:8] != b'RSD PTR ' or sum(blob[:20]) & 0xFF or sum(blob[:36]) & 0xFF:
        raise Bad('no valid RSDP at the start')
    xsdt = table(blob, struct.unpack_from('<Q', blob, 24)[0])
    found = [xsdt] + [table(blob, a) for a, in struct.iter_unpack('<Q', xsdt[HEADER:])]
    for t in list(found):
        if t[:4] == b'FACP':
            found.append(table(blob, struct.unpack_from('<Q', t, 140)[0]))
    by_name = {t[:4].decode(): t for t in found}
    if sorted(by_name) != sorted(TABLES) or len(found) != len(TABLES):
        raise Bad(f'found the tables {[t[:4] for t in found]}')
    return by_name


def iasl(folder, *args):
    run = subprocess.run(['iasl', *args], cwd=folder, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, errors='replace')
    return run.returncode, run.stdout


def round_trip(t):
    """Disassembles and compiles; returns the compiler's output and the new bytes (or None)."""
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, 't.dat'), 'wb') as f:
            f.write(t)
        status, said = iasl(folder, '-d', 't.dat')
        if status or re.search(r'\b(error|warning)\b', said, re.I):
            raise Bad(said)
        # -on: names stay as long as they were written, so that the bytes can be compared
        status, said = iasl(folder, '-on', '-va', '-p', 'new', 't.dsl')
        if status:
            return said, None
        with open(os.path.join(folder, 'new.aml'), 'rb') as f:
            return said, f.read()


def check(t):
    said, new = round_trip(t)
    if new is None or not re.search(r'^Compilation successful\. 0 Errors, 0 Warnings', said, re.M):
        raise Bad(said)
    for line in re.findall(r'^Remark .*$', said, re.M):
        print(f'# {line}')
    if new[:8] != t[:8] or new[HEADER:] != t[HEADER:]:
        raise Bad(f'compiled again, it has other bytes:\n{t.hex()}\n{new.hex()}')


def check_refusal(t):
    """The judge can say no: a hardware id that is none is an error."""
    bad = bytearray(t.replace(b'SPOR0001', b'SPOR000G'))
    bad[9] = (bad[9] - sum(bad)) & 0xFF
    said, new = round_trip(bytes(bad))
    if new is not None or 'Error' not in said:
        raise Bad('iasl accepts a hardware id that is not valid')


def results():
    for vcpus, devices in SHAPES:
        name = f'{vcpus} vCPUs, {devices} devices'
        try:
            found = tables(dump(vcpus, devices))
        except Bad as e:
            yield name, e
            continue
        yield name, None
        for sig in TABLES:
            try:
                check(found[sig])
                yield f'{name}: {sig}', None
            except Bad as e:
                yield f'{name}: {sig}', e
    try:
        check_refusal(tables(dump(1, 0))['DSDT'])
        yield 'a wrong table is noticed', None
    except Bad as e:
        yield 'a wrong table is noticed', e


def main():
    n = failed = 0
    for name, wrong in results():
        n += 1
        print(f'{"not ok" if wrong else "ok"} {n} - {name}')
        if wrong:
            failed += 1
            print('\n'.join('# ' + line for line in str(wrong).splitlines()))
    print(f'1..{n}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
