#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""golden.py pack FILE NAME     adds a snapshot to tests/golden/v1 (files there are never changed)
golden.py unpack FOLDER       writes all of them out

A golden file is a real snapshot of one format version, kept for ever: every later reader must read
it as it was read then. Stored is what is not zero, page by page, compressed; SHA256SUMS has the sums
of that, uncompressed, and of what the second reader prints of it."""
import hashlib
import lzma
import os
import struct
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, '..', '..')
PAGE = 4096
VERSIONS = ('v1',)


def pages(path):
    """(offset, bytes) of every page that is not zero"""
    with open(path, 'rb', buffering=0) as f:
        end = os.fstat(f.fileno()).st_size
        at = 0
        while at < end:
            try:
                at = os.lseek(f.fileno(), at, os.SEEK_DATA) // PAGE * PAGE
            except OSError:
                return
            data = os.pread(f.fileno(), PAGE, at)
            if data.count(0) != len(data):
                yield at, data
            at += PAGE


def sha256_pages(path):
    """Of what is stored: the length, and offset and bytes of every page that is not zero."""
    h = hashlib.sha256(struct.pack('<Q', os.path.getsize(path)))
    for at, data in pages(path):
        h.update(struct.pack('<QQ', at, len(data)) + data)
    return h.hexdigest()


def shown(path):
    """What the second reader prints of it."""
    return subprocess.run([sys.executable, os.path.join(ROOT, 'tools', 'sporedump.py'), path],
                          stdout=subprocess.PIPE, check=True).stdout


def pack(path, name):
    folder = os.path.join(HERE, VERSIONS[-1])
    os.makedirs(folder, exist_ok=True)
    with lzma.open(os.path.join(folder, name + '.xz'), 'xb', preset=9 | lzma.PRESET_EXTREME) as f:
        f.write(struct.pack('<Q', os.path.getsize(path)))
        for at, data in pages(path):
            f.write(struct.pack('<QQ', at, len(data)) + data)
    with open(os.path.join(folder, 'SHA256SUMS'), 'a') as f:
        f.write(f'{sha256_pages(path)}  {name}\n')
        f.write(f'{hashlib.sha256(shown(path)).hexdigest()}  {name}.json\n')


def unpack(packed, path):
    with lzma.open(packed, 'rb') as f, open(path, 'wb') as to:
        (total,) = struct.unpack('<Q', f.read(8))
        to.truncate(total)
        while head := f.read(16):
            at, n = struct.unpack('<QQ', head)
            to.seek(at)
            to.write(f.read(n))


def sums():
    """{name: sha256} of all versions"""
    out = {}
    for version in VERSIONS:
        with open(os.path.join(HERE, version, 'SHA256SUMS')) as f:
            for line in f:
                digest, name = line.split()
                out[f'{version}/{name}'] = digest
    return out


def unpack_all(folder):
    """Paths FOLDER/VERSION-NAME"""
    out = []
    for name in sums():
        if name.endswith('.json'):
            continue
        out.append(os.path.join(folder, name.replace('/', '-')))
        unpack(os.path.join(HERE, name + '.xz'), out[-1])
    return out


if __name__ == '__main__':
    if len(sys.argv) == 4 and sys.argv[1] == 'pack':
        pack(sys.argv[2], sys.argv[3])
    elif len(sys.argv) == 3 and sys.argv[1] == 'unpack':
        print('\n'.join(unpack_all(sys.argv[2])))
    else:
        sys.exit(__doc__)
