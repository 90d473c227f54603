# SPDX-License-Identifier: Apache-2.0
"""A snapshot file in pieces that can be changed, and put together again with its lengths, offsets
and checksums repaired. Written from docs/snapshot-format.md; what a rule needs broken is overridden
by name, everything else stays right."""
import copy
import importlib.util
import os

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE, ROW, ALIGN, RAM_ALIGN, BLOCK = 4096, 32, 64, 2 << 20, 65536
RAM_KEPT = 64 << 20
HEADER = {  # field: (offset, width)
    'magic': (0, 8), 'version': (8, 4), 'arch': (12, 4), 'page_size': (16, 4),
    'sections': (20, 4), 'machine_id': (24, 16), 'generation': (40, 8), 'created_sec': (48, 8),
    'created_nsec': (56, 4), 'vcpus': (60, 4), 'ram': (64, 8), 'total': (72, 8), 'crc': (80, 8),
}
NAMES = {1: 'inventory', 2: 'topology', 3: 'config', 4: 'vcpu', 5: 'irqchip', 6: 'clock',
         7: 'device', 8: 'serial', 9: 'ram-map', 10: 'ram-sums', 11: 'ram'}
KINDS = {name: kind for kind, name in NAMES.items()}


def load_reader():
    path = os.path.join(HERE, '..', '..', 'tools', 'sporedump.py')
    spec = importlib.util.spec_from_file_location('sporedump', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reader = load_reader()


def le(value, width):
    return (value % (1 << 8 * width)).to_bytes(width, 'little')


def up(n, align):
    return (n + align - 1) // align * align


class Row:
    def __init__(self, kind, index, data):
        self.kind, self.index, self.data = kind, index, data
        self.size = None  # RAM, or a lie
        self.offset = self.crc = None  # lies
        self.flips = []  # offsets of bytes to invert after the checksum was made

    def length(self):
        return len(self.data) if self.size is None else self.size


class Model:
    """RAM is kept where there is little of it; it is written only when a case asks for it."""

    def __init__(self, path):
        self.rows, self.ram = [], b''
        with open(path, 'rb') as f:
            self.page = bytearray(f.read(PAGE))
            table = f.read(self.header('sections') * ROW)
            for i in range(0, len(table), ROW):
                self.rows.append(self.read_row(f, table[i:i + ROW]))
        self.header_lies = {}
        self.pokes = []        # (offset, bytes): after everything
        self.cut = None        # the file's length
        self.with_ram = False  # write RAM too

    def read_row(self, f, raw):
        kind, index, offset, size = (int.from_bytes(raw[a:a + w], 'little')
                                     for a, w in ((0, 4), (4, 4), (8, 8), (16, 8)))
        row = Row(kind, index, b'')
        f.seek(offset)
        if NAMES[kind] != 'ram':
            row.data = f.read(size)
            return row
        row.size = size
        if size <= RAM_KEPT:
            self.ram = f.read(size)
        return row

    def copy(self):
        other = copy.copy(self)
        other.page = bytearray(self.page)
        other.rows = [copy.copy(r) for r in self.rows]
        for r in other.rows:
            r.flips = list(r.flips)
        other.header_lies, other.pokes = dict(self.header_lies), list(self.pokes)
        return other

    def header(self, field):
        at, width = HEADER[field]
        return int.from_bytes(self.page[at:at + width], 'little')

    def set_header(self, field, value):
        at, width = HEADER[field]
        self.page[at:at + width] = le(value, width)

    def row(self, name, index=0):
        for r in self.rows:
            if r.kind == KINDS[name] and r.index == index:
                return r
        raise KeyError((name, index))

    def layout(self):
        """[(row, offset)], and the total"""
        end, out = PAGE + ROW * len(self.rows), []
        for r in self.rows:
            at = up(end, RAM_ALIGN if NAMES.get(r.kind) == 'ram' else ALIGN)
            out.append((r, at))
            end = at + r.length()
        return out, end

    def front(self):
        placed, total = self.layout()
        self.set_header('sections', len(self.rows))
        self.set_header('total', total)
        for field, value in self.header_lies.items():
            self.set_header(field, value)
        table = b''
        for r, at in placed:
            crc = 0 if NAMES.get(r.kind) == 'ram' else reader.crc64(r.data)
            table += le(r.kind, 4) + le(r.index, 4)
            table += le(at if r.offset is None else r.offset, 8) + le(r.length(), 8)
            table += le(crc if r.crc is None else r.crc, 8)
        page = bytes(self.page[:80]) + bytes(8) + bytes(self.page[88:])
        if 'crc' not in self.header_lies:
            self.set_header('crc', reader.crc64(page + table))
        return bytes(self.page) + table, placed, total

    def write(self, path):
        front, placed, total = self.front()
        with open(path, 'wb') as f:
            f.write(front)
            for r, at in placed:
                f.seek(at)
                data = bytearray(r.data)
                for i in r.flips:
                    data[i] ^= 0xFF
                f.write(data)
                if NAMES.get(r.kind) == 'ram' and self.with_ram:
                    self.write_ram(f, at)
            f.truncate(total)
            for at, data in self.pokes:
                f.seek(at)
                f.write(data)
            if self.cut is not None:
                f.truncate(self.cut)

    def write_ram(self, f, at):
        for i in range(0, len(self.ram), BLOCK):
            block = self.ram[i:i + BLOCK]
            if block.count(0) != len(block):
                f.seek(at + i)
                f.write(block)


class Field:
    def __init__(self, name, at, width):
        self.name, self.at, self.width, self.largest = name, at, width, None


def trace(path):
    """Every field that the second reader takes from a good file: {(section, index): [Field]}."""
    found = {}

    class Traced(reader.Section):
        def take(self, field, n):
            self.seen.append(Field(field, self.at, n))
            return super().take(field, n)

        def number(self, field, width, largest=None):
            value = super().number(field, width, largest)
            self.seen[-1].largest = largest
            return value

    class File(reader.File):
        def section(self, row):
            plain = super().section(row)
            traced = Traced(plain.name, plain.data)
            traced.seen = found.setdefault((row['name'], row['index']), [])
            return traced

    with open(path, 'rb', buffering=0) as f:
        File(f).read()
    return found
