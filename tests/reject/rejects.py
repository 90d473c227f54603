#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""rejects.py BUILD [--keep DIR]: one file for each rule of docs/snapshot-format.md that breaks it
and no other, refused by both readers with the rule's code and field; and the same file with that one
place mended, accepted by both. Prints TAP.

A case is a mark, what a reader must say, a change that breaks the rule and, where the good file is
not the interesting neighbour, a change that mends it."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from model import BLOCK, HERE, KINDS, PAGE, Model, Row, le, trace  # noqa: E402

ROOT = os.path.join(HERE, '..', '..')
S63 = 2**63 - 1


class Base:
    """A good file, and where its fields are."""

    def __init__(self, build, kind, folder):
        self.path = os.path.join(folder, f'base{kind}.spore')
        subprocess.run([os.path.join(build, 'tests/reject/make_sample'), str(kind), '42',
                        self.path], check=True)
        self.model = Model(self.path)
        self.fields = trace(self.path)

    def field(self, section, name, index=0, nth=0):
        return [f for f in self.fields[section, index] if f.name == name][nth]


class Case:
    def __init__(self, mark, expected, base, broken, mended, verify):
        self.mark, self.expected, self.base = mark, expected, base
        self.broken, self.mended, self.verify = broken, mended, verify


cases = []


def same(model):
    return model


def case(mark, expected, base, broken, mended=same, verify=False):
    cases.append(Case(mark, expected, base, broken, mended, verify))


# ---- changes ----------------------------------------------------------------------------------

def edit(section, index, at, old, new):
    """Bytes at..at+old of a section become `new`."""
    def change(m):
        r = m.row(section, index)
        r.data = r.data[:at] + new + r.data[at + old:]
    return change


def put(base, section, name, value, index=0, nth=0):
    f = base.field(section, name, index, nth)
    return edit(section, index, f.at, f.width, le(value, f.width))


def get(base, section, name, index=0, nth=0):
    f = base.field(section, name, index, nth)
    data = base.model.row(section, index).data
    return int.from_bytes(data[f.at:f.at + f.width], 'little')


def text(base, section, name, raw, index=0, nth=0):
    """A string has two fields of its name: the length and the bytes."""
    a, b = base.field(section, name, index, 2 * nth), base.field(section, name, index, 2 * nth + 1)
    return edit(section, index, a.at, a.width + b.width, le(len(raw), 2) + raw)


def resize(section, n, index=0):
    """n bytes more or less at the end."""
    def change(m):
        r = m.row(section, index)
        r.data = r.data + bytes(n) if n > 0 else r.data[:n]
    return change


def head(field, value):
    def change(m):
        m.header_lies[field] = value
    return change


def row(section, which=0, /, **lies):
    def change(m):
        for name, value in lies.items():
            setattr(m.row(section, which), name, value)
    return change


def both(*changes):
    def change(m):
        for c in changes:
            c(m)
    return change


# ---- the rules, in the order of the page ------------------------------------------------------

def every_section(b):
    for (section, index), fields in b.fields.items():
        if index:
            continue
        numbers = {}
        for f in fields:
            n = numbers[f.name] = numbers.get(f.name, -1) + 1
            if f.name == 'reserved' and f.width:
                case('S3', f'RESERVED {section}.reserved', b,
                     edit(section, 0, f.at + f.width - 1, 1, b'\1'))
            elif f.largest is not None and f.largest < 2**(8 * f.width) - 1:
                case('S4', f'RANGE {section}.{f.name}', b,
                     put(b, section, f.name, f.largest + 1, nth=n))
        last = [f for f in fields if f.width][-1].name
        # The topology's rows are all of one size, so that their count is what does not fit.
        case('S1', f'TRUNCATED {section}.{"n" if section == "topology" else last}', b,
             resize(section, -1))
        case('S2', f'TRAILING {section}.end', b, resize(section, 1))


def counts(b):
    """One element, and nothing after the count; where others are counted too, none of those."""
    for section, name, others in (
            ('inventory', 'n_caps', ()), ('topology', 'n', ()), ('vcpu', 'n_xcrs', ()),
            ('vcpu', 'n_cpuid', ('n_xcrs',)), ('vcpu', 'n_msrs', ('n_xcrs', 'n_cpuid')),
            ('device', 'n_queues', ()), ('device', 'layer_map_len', ())):
        f = b.field(section, name)
        size = len(b.model.row(section).data)
        case('S5', f'TRUNCATED {section}.{name}', b,
             both(put(b, section, name, 1), *(put(b, section, o, 0) for o in others),
                  resize(section, f.at + f.width - size)))
    f = b.field('device', 'config_len')
    case('S5', 'TRUNCATED device.config_len', b,
         both(put(b, 'device', 'config_len', 100),
              resize('device', f.at + f.width + 99 - len(b.model.row('device').data))))


STRINGS = (('inventory', 'cpu_vendor', 0, 12), ('inventory', 'cpu_model', 0, 48),
           ('config', 'name', 0, 64), ('config', 'kernel', 0, 4095),
           ('config', 'initrd', 0, 4095), ('config', 'cmdline', 0, 2047),
           ('device', 'disk.path', 0, 4095))
NOT_UTF8 = (b'a\0b', b'\x80', b'\xC0\x80', b'\xC1\xBF', b'\xE0\x80\x80', b'\xED\xA0\x80',
            b'\xF0\x80\x80\x80', b'\xF4\x90\x80\x80', b'\xF5\x80\x80\x80', b'\xE2\x82', b'\xC3',
            b'\xC3(', b'\xE2\x82(', b'\xF0\x9F\x98(', b'\xFF')
UTF8 = '\u00E9\u07FF\u0800\uD7FF\uE000\uFFFD\U00010000\U0010FFFF'.encode()


def strings(b):
    for section, name, index, longest in STRINGS:
        case('S6', f'RANGE {section}.{name}', b, text(b, section, name, b'x' * (longest + 1)),
             text(b, section, name, b'x' * longest))
        case('S7', f'RANGE {section}.{name}', b, text(b, section, name, b'a\0b'))
    for raw in NOT_UTF8:
        case('S7', 'RANGE config.cmdline', b, text(b, 'config', 'cmdline', raw),
             text(b, 'config', 'cmdline', UTF8))


def page(at, value):
    def change(m):
        m.page[at] ^= value
    return change


def cut(n):
    def change(m):
        m.cut = n
    return change


def longer(n):
    def change(m):
        m.cut = m.layout()[1] + n
    return change


def ram_of(n, present=0):
    """The machine with another amount of memory, all of it absent."""
    def change(m):
        blocks = n // BLOCK
        m.set_header('ram', n)
        m.row('ram').size = n
        m.row('ram-map').data = (le(BLOCK, 4) + le(0, 4) + le(blocks, 8) + le(present, 8) +
                                 le(0, 8) + bytes(-(-blocks // 8)))
        m.row('ram-sums').data = b''
    return change


def header(b):
    case('H1', 'MAGIC header.magic', b, page(3, 1))
    case('H1', 'TRUNCATED header.magic', b, cut(7))
    case('H1', 'TRUNCATED header.magic', b, cut(0))
    case('H2', 'TRUNCATED header.page', b, cut(PAGE - 1))
    for version in (0, 2, 2**32 - 1):
        case('H3', 'VERSION header.version', b, head('version', version))
    for arch in (0, 2, 3):
        case('H4', 'ARCH header.arch', b, head('arch', arch))
    for at in (88, PAGE - 1):
        case('H5', 'RESERVED header.reserved', b, page(at, 1))
    case('H6', 'RANGE header.page_size', b, head('page_size', 8192))
    for field, largest in (('sections', 96), ('created_nsec', 999999999), ('vcpus', 64),
                           ('ram', 2**40), ('total', S63), ('generation', S63)):
        case('H7', f'RANGE header.{field}', b, head(field, largest + 1))
    case('H8', 'RANGE header.created_sec', b, head('created_sec', -1), head('created_sec', 0))
    case('H9', 'RANGE header.vcpus', b, head('vcpus', 0))
    for ram in (0, BLOCK - 1, (32 << 20) + 4096):
        case('H10', 'RANGE header.ram', b, head('ram', ram))
    case('H11', 'RANGE geometry.ram', b, ram_of((16 << 20) - BLOCK), ram_of(16 << 20))
    case('H12', 'TRUNCATED table.rows', b, cut(PAGE + 32 * len(b.model.rows) - 1))
    case('H13', 'CHECKSUM header.crc', b, head('crc', b.model.header('crc') ^ 1))
    case('H13', 'CHECKSUM header.crc', b,
         lambda m: m.pokes.append((PAGE + 4, b'\x7f')))
    case('H14', 'TRUNCATED header.total', b, longer(-1))
    case('H15', 'TRAILING header.total', b, longer(1))


LARGEST = {'inventory': 64 << 10, 'topology': 4 << 10, 'config': 256 << 10, 'vcpu': 64 << 10,
           'irqchip': 4 << 10, 'clock': 1 << 10, 'device': 16 << 20, 'serial': 4 << 10,
           'ram-map': 3 << 20, 'ram-sums': 129 << 20, 'ram': 1 << 40}


def remove(name, index=0):
    def change(m):
        m.rows.remove(m.row(name, index))
    return change


def insert(before, kind, index, data=b''):
    def change(m):
        m.rows.insert(m.rows.index(m.row(before)) if before else len(m.rows),
                      Row(kind, index, data))
    return change


def swap(a, ai, b, bi):
    def change(m):
        x, y = m.row(a, ai), m.row(b, bi)
        i, k = m.rows.index(x), m.rows.index(y)
        m.rows[i], m.rows[k] = y, x
    return change


def at_of(b, name, index=0):
    return next(at for r, at in b.model.layout()[0] if r is b.model.row(name, index))


def table(b):
    for kind in (0, 12, 2**32 - 1):
        case('T1', 'RANGE table.kind', b, row('serial', kind=kind))
    for name, index in (('vcpu', 64), ('device', 19), ('inventory', 1), ('ram', 1)):
        case('T2', 'RANGE table.index', b, row(name, index=index))
    case('T3', 'RANGE table.offset', b, row('ram', offset=S63 + 1))
    for name, largest in LARGEST.items():
        case('T4', 'SIZE table.size', b,
             both(row(name, size=largest + 1), lambda m: setattr(m, 'cut', 1 << 22),
                  head('total', 1 << 22)))
    case('T5', 'RESERVED table.crc', b, row('ram', crc=1))
    case('T6', 'DUPLICATE table.kind', b, insert('serial', KINDS['serial'], 0))
    case('T6', 'DUPLICATE table.kind', b, row('vcpu', 1, index=0))
    for name in KINDS:
        case('T7', 'MISSING table.kind', b, remove(name))
    case('T7', 'MISSING table.kind', b, remove('vcpu', 3))
    for a, ai, c, ci in (('vcpu', 0, 'vcpu', 1), ('irqchip', 0, 'clock', 0),
                         ('inventory', 0, 'topology', 0), ('ram-sums', 0, 'ram', 0),
                         ('serial', 0, 'ram-map', 0)):
        case('T8', 'ORDER table.kind', b, swap(a, ai, c, ci))
    case('T8', 'ORDER table.kind', b, insert('serial', KINDS['device'], 5))
    case('T9', 'LAYOUT table.rows', b, insert(None, KINDS['device'], 5))
    offsets(b)


def offsets(b):
    for name in ('inventory', 'vcpu', 'serial', 'ram-sums'):
        for wrong in (at_of(b, name) + 64, at_of(b, name) - 64, 0):
            case('T10', 'LAYOUT table.offset', b, row(name, offset=wrong))
    case('T10', 'LAYOUT table.offset', b, row('clock', offset=at_of(b, 'irqchip')))
    for wrong in (4 << 20, 0, 1 << 20):
        case('T10', 'LAYOUT table.offset', b, row('ram', offset=wrong))
    case('T11', 'SIZE table.size', b, row('ram', size=b.model.row('ram').size + BLOCK))
    for n in (8, -8, 1):
        case('T12', 'SIZE ram-sums.size', b, resize('ram-sums', n))
    total = b.model.layout()[1]
    for wrong in (total + BLOCK, total - BLOCK):
        case('T13', 'LAYOUT header.total', b,
             both(head('total', wrong), lambda m, n=wrong: setattr(m, 'cut', n)))
    sections_end(b)


def sections_end(b):
    sums_end = at_of(b, 'ram-sums') + len(b.model.row('ram-sums').data)
    inventory_end = at_of(b, 'inventory') + len(b.model.row('inventory').data)
    for at in (inventory_end, at_of(b, 'ram-sums') - 1, sums_end, at_of(b, 'ram') - 1):
        case('T14', 'RESERVED padding.bytes', b, lambda m, at=at: m.pokes.append((at, b'\1')))
    for r in b.model.rows:
        name = [n for n, k in KINDS.items() if k == r.kind][0]
        if name in ('ram', 'ram-sums'):
            continue
        for at in (0, len(r.data) - 1):
            case('T15', f'CHECKSUM {name}.crc', b,
                 lambda m, name=name, i=r.index, at=at: m.row(name, i).flips.append(at))


def table_end(b):
    """A machine whose table does not end where the first section begins."""
    at = PAGE + 32 * len(b.model.rows)
    assert at < at_of(b, 'inventory')
    case('T14', 'RESERVED padding.bytes', b, lambda m: m.pokes.append((at, b'\1')))


def inventory(b):
    first = get(b, 'inventory', 'cap')
    for cap in (first, 0):
        case('I1', 'ORDER inventory.cap', b, put(b, 'inventory', 'cap', cap, nth=1),
             put(b, 'inventory', 'cap', first + 1, nth=1))
    for name in ('cpu_vendor', 'cpu_model'):
        for raw in (b'a\x1f', b'\x7f', b'\xc3\xa9'):
            case('I2', f'RANGE inventory.{name}', b, text(b, 'inventory', name, raw),
                 text(b, 'inventory', name, b' ~'))


def topology(b):
    def t(field, value, nth):
        return put(b, 'topology', field, value, nth=nth)

    def old(field, nth):
        return get(b, 'topology', field, nth=nth)
    case('P1', 'LAYOUT topology.vcpus', b, t('vcpus', 3, 0))
    case('P2', 'RANGE topology.kind', b, t('kind', 3, 0))
    for nth, queues in ((0, 0), (4, 2), (4, 0)):
        case('P3', 'TOPOLOGY topology.queues', b, t('queues', queues, nth))
    for field in ('slot', 'gsi', 'notify'):
        case('P4', f'DUPLICATE topology.{field}', b, t(field, old(field, 0), 1))
    case('P4', 'DUPLICATE topology.first_wake', b, t('first_wake', old('first_wake', 0) + 1, 1))
    case('P5', 'TOPOLOGY topology.mmio', b, t('mmio', old('mmio', 0) + 0xFFF, 1))
    case('P6', 'TOPOLOGY topology.mmio_len', b, t('mmio_len', 0, 0))
    case('P6', 'TOPOLOGY topology.mmio_len', b, t('mmio_len', 2**64 - 1, 0))
    for wrong in (old('mmio', 0) - 4, old('mmio', 0) + 0xFFD, 2**64 - 2):
        case('P7', 'TOPOLOGY topology.notify', b, t('notify', wrong, 0))
    for field, wrong in (('slot', 9), ('gsi', 23), ('first_wake', 99), ('mmio_len', 0x800),
                         ('mmio', old('mmio', 4) + 0x10), ('notify', old('notify', 4) + 4)):
        case('P8', f'LAYOUT topology.{field}', b, t(field, wrong, 4))


def config(b):
    for name in (b'', b'.a', b'-a', b'a/b', b'a b', '\u00E9'.encode(), b'..'):
        case('C1', 'RANGE config.name', b, text(b, 'config', 'name', name),
             text(b, 'config', 'name', b'aZ09-_.'))


def vcpu(b):
    def v(field, value, nth=0):
        return put(b, 'vcpu', field, value, nth=nth)
    size = get(b, 'vcpu', 'xsave_len')
    case('V1', 'LAYOUT vcpu.id', b, v('id', 1))
    case('V2', 'RANGE vcpu.xsave_len', b, v('xsave_len', 575))
    case('V3', 'LAYOUT vcpu.xsave_len', b, both(v('xsave_len', size + 1), resize('vcpu', 1)))
    case('V4', 'ORDER vcpu.xcr.index', b, two_xcrs(b, 0), two_xcrs(b, 1))
    function = get(b, 'vcpu', 'cpuid.function', nth=1)
    case('V5', 'ORDER vcpu.cpuid.index', b, v('cpuid.index', 0, 1), v('cpuid.index', 7, 1))
    case('V5', 'ORDER vcpu.cpuid.index', b, v('cpuid.function', function + 1, 1))
    case('V6', 'ORDER vcpu.msr.index', b,
         v('msr.index', get(b, 'vcpu', 'msr.index'), 1),
         v('msr.index', get(b, 'vcpu', 'msr.index') + 1, 1))
    case('V6', 'ORDER vcpu.msr.index', b, v('msr.index', 0x1B, 1))
    for index in (0, 0x10, 0x11, 0x178, 0x17B, 0x210, 0x480, 0x4B564CFF, 0x4B564E00, 0xC0010117, 0xFFFFFFFF):
        case('V7', 'RANGE vcpu.msr.index', b, v('msr.index', index), v('msr.index', 0x1B))
    case('Q1', 'RANGE irqchip.ioapic.base_address', b,
         put(b, 'irqchip', 'ioapic.base_address', 0xFEC00001))
    for mode in (8, 254):
        for right in (7, 255):
            case('Q2', 'RANGE irqchip.pit.mode', b, put(b, 'irqchip', 'pit.mode', mode, nth=1),
                 put(b, 'irqchip', 'pit.mode', right, nth=1))


def two_xcrs(b, second):
    f = b.field('vcpu', 'xcr.value')
    return both(edit('vcpu', 0, f.at + 8, 0, le(second, 4) + bytes(12)),
                put(b, 'vcpu', 'n_xcrs', 2))


def copied(from_index, to_index):
    def change(m):
        m.row('device', to_index).data = m.row('device', from_index).data
    return change


def device(b):
    """Slots of the base: 0 ro disk of two queues, 1 stored copy, 2 cow with a layer and eight queues,
    3 rw and not yet driven, 4 entropy."""
    def d(field, value, slot=0, nth=0):
        return put(b, 'device', field, value, slot, nth)
    case('D1', 'RANGE device.kind', b, d('kind', 3))
    case('D2', 'LAYOUT device.kind', b, copied(4, 1))
    case('D3', 'RANGE device.n_queues', b, d('n_queues', 0, 4))
    case('D3', 'RANGE device.n_queues', b, d('n_queues', 9))
    case('D4', 'LAYOUT device.n_queues', b, copied(1, 0))
    for status in (2, 4, 5, 7, 8, 9, 10, 12, 13, 14, 16, 32, 256):
        case('D5', 'DEVICE device.status', b, d('status', status))
    for status in (15 | 64, 11 | 128, 15 | 192):
        case('D5', 'DEVICE device.status', b, d('status', status ^ 2), d('status', status))
    case('D6', 'DEVICE device.acked_features', b, d('acked_features', 0xFFFFFFFEFFFFFFFF),
         d('acked_features', 1 << 32))
    case('D13', 'DEVICE device.config_len', b,
         both(d('config_len', 1, 4), resize('device', 1, 4)))
    queues(b, d)


def queues(b, d):
    size = get(b, 'device', 'queue.size')
    ram = b.model.row('ram').size
    for wrong in (0, 257, 384, 3):
        case('D7', 'DEVICE device.queue.max_size', b, d('queue.max_size', wrong))
    for wrong in (3, 24, 255):
        case('D8', 'DEVICE device.queue.size', b, d('queue.size', wrong, nth=1))
    case('D9', 'DEVICE device.queue.ready', b,
         both(d('queue.size', 16, 3), d('queue.ready', 1, 3)), d('queue.size', 16, 3))
    case('D9', 'DEVICE device.queue.ready', b, d('queue.size', 0))
    for field, align, n in (('desc', 16, 16 * size), ('driver', 2, 4 + 2 * size),
                            ('device', 4, 4 + 8 * size)):
        name, last = 'queue.' + field, (ram - n) // align * align
        case('D10', f'DEVICE device.{name}', b, d(name, (1 << 20) + align // 2), d(name, 1 << 20))
        for wrong in (last + align, 2**64 - align, 3 << 30, ram):
            case('D11', f'DEVICE device.{name}', b, d(name, wrong), d(name, last))
    used = get(b, 'device', 'queue.next_used')
    case('D12', 'DEVICE device.queue.next_used', b, d('queue.next_avail', used + size + 1),
         d('queue.next_avail', used + size))
    case('D12', 'DEVICE device.queue.next_used', b, d('queue.next_avail', used - 1),
         d('queue.next_avail', used))
    for name in ('queue.next_avail', 'queue.next_used'):
        case('S4', f'RANGE device.{name}', b, d(name, 1, 3))


def high_queues(b):
    """A machine with RAM on both sides of the hole; its only device is the entropy device."""
    size = get(b, 'device', 'queue.size')

    def d(value):
        return put(b, 'device', 'queue.desc', value)
    for wrong, right in (((3 << 30) - 16, (3 << 30) - 16 * size), ((4 << 30) - 16, 4 << 30),
                         (6 << 30, (6 << 30) - 16 * size)):
        case('D11', 'DEVICE device.queue.desc', b, d(wrong), d(right))


def capacity_of(b, slot):
    return get(b, 'device', 'capacity', slot)


def block(b):
    def d(field, value, slot=0, nth=0):
        return put(b, 'device', field, value, slot, nth)
    capacity = capacity_of(b, 0)
    for mode in (0, 4):
        case('B1', 'RANGE device.mode', b, d('mode', mode), d('mode', 2))
    for cluster in (1, 2048, 4097, 12288):
        case('B2', 'RANGE device.layer_cluster', b, d('layer_cluster', cluster, 2))
    for wrong in (0, capacity + 1):
        case('B3', 'RANGE device.capacity', b, d('capacity', wrong))
    at = b.field('device', 'config').at
    case('B4', 'DEVICE device.config_len', b,
         both(edit('device', 0, at + 35, 25, b''), d('config_len', 35)),
         both(edit('device', 0, at + 36, 24, b''), d('config_len', 36)))
    case('B5', 'DEVICE device.config.capacity', b,
         edit('device', 0, at, 8, le(capacity // 512 + 1, 8)))
    for queues in (1, 3, 0, 258):
        case('B6', 'DEVICE device.config.num_queues', b, edit('device', 0, at + 34, 2,
                                                              le(queues, 2)))
    files(b, d)
    layers(b, d)


def files(b, d):
    for field in ('dev', 'ino', 'mtime_sec', 'mtime_nsec'):
        case('B7', 'DEVICE device.disk.stored', b, d('disk.' + field, 1, 1))
    for path in (b'/a', b'..', b'.', b'a/../b', b'a//b', b'a/', b'./a', b'a/..', b''):
        case('B8', 'DEVICE device.disk.path', b, text(b, 'device', 'disk.path', path, 1),
             text(b, 'device', 'disk.path', b'a/..b/c...', 1))
    case('B17', 'DEVICE device.mode', b, d('mode', 2, 1), d('mode', 1, 1))
    case('B9', 'DEVICE device.disk.path', b, text(b, 'device', 'disk.path', b''),
         text(b, 'device', 'disk.path', b'/'))
    capacity = capacity_of(b, 0)
    for wrong in (capacity + 512, capacity - 1):
        case('B10', 'DEVICE device.disk.size', b, d('disk.size', wrong),
             d('disk.size', capacity + 511))


def layers(b, d):
    for field in ('dev', 'ino', 'mtime_sec', 'mtime_nsec', 'size', 'stored'):
        # An empty path of a stored file breaks B8 too, at the same place.
        case('B11', 'DEVICE device.disk.path', b, d('disk.' + field, 1, 3, 1))
    case('B12', 'DEVICE device.disk.path', b, d('mode', 1, 2))
    case('B12', 'DEVICE device.disk.path', b, d('mode', 2, 2))
    case('B12', 'DEVICE device.disk.path', b, d('disk.stored', 0, 2, 1))
    case('B13', 'DEVICE device.layer_cluster', b, d('layer_cluster', 0, 2))
    case('B13', 'DEVICE device.layer_cluster', b, d('layer_cluster', 65536, 3))
    case('B14', 'DEVICE device.layer_map_len', b,
         both(d('layer_map_len', 1, 3), resize('device', 1, 3)))
    n = get(b, 'device', 'layer_map_len', 2)
    for more in (1, -1):
        case('B15', 'DEVICE device.layer_map', b,
             both(d('layer_map_len', n + more, 2), resize('device', more, 2)))
    case('B15', 'DEVICE device.layer_map', b, d('layer_cluster', 4096, 2))
    clusters = -(-capacity_of(b, 2) // get(b, 'device', 'layer_cluster', 2))
    assert clusters % 8 != 0, 'the base has no spare bits to break'
    last = len(b.model.row('device', 2).data) - 1
    case('B16', 'RESERVED device.layer_map', b,
         edit('device', 2, last, 1, bytes([1 << clusters % 8])), edit('device', 2, last, 1, b'\1'))


def ram_map(b, odd):
    def m(base, field, value):
        return put(base, 'ram-map', field, value)
    for wrong in (4096, 0):
        case('M1', 'RANGE ram-map.block_size', b, m(b, 'block_size', wrong))
    blocks = get(b, 'ram-map', 'blocks')
    for wrong in (blocks - 1, blocks + 1, 0, 2**64 - 1):
        case('M2', 'LAYOUT ram-map.blocks', b, m(b, 'blocks', wrong))
    present = get(b, 'ram-map', 'present')
    for wrong in (present + 1, present - 1, 0):
        case('M3', 'LAYOUT ram-map.present', b, m(b, 'present', wrong))
    last = len(odd.model.row('ram-map').data) - 1
    case('M4', 'RESERVED ram-map.bits', odd, edit('ram-map', 0, last, 1, b'\3'))


def ram(b):
    at, data = at_of(b, 'ram'), b.model.ram
    blocks = [i for i in range(0, len(data), BLOCK) if any(data[i:i + BLOCK])]
    absent = next(i for i in range(0, len(data), BLOCK) if i not in blocks)

    def whole(m):
        m.with_ram = True

    def poke(offset, value):
        return both(whole, lambda m: m.pokes.append((at + offset, bytes([value]))))
    case('R1', 'CHECKSUM ram-sums.crc', b,
         both(whole, lambda m: m.row('ram-sums').flips.append(3)), whole, True)
    for offset in (blocks[0], blocks[-1] + BLOCK - 1):
        case('R2', 'CHECKSUM ram.block', b, poke(offset, data[offset] ^ 1), whole, True)
    case('R2', 'CHECKSUM ram.block', b,
         both(whole, edit('ram-sums', 0, 8, 1, bytes([b.model.row('ram-sums').data[8] ^ 1]))),
         whole, True)
    for offset in (absent, absent + BLOCK - 1):
        case('R3', 'LAYOUT ram.block', b, poke(offset, 1), whole, True)


def cases_make(build, folder):
    one, full, bare, high = (Base(build, kind, folder) for kind in range(4))
    every_section(full)
    every_section(one)
    counts(one)
    strings(one)
    header(full)
    table(full)
    table_end(bare)
    inventory(full)
    topology(full)
    config(full)
    vcpu(full)
    device(full)
    high_queues(high)
    block(full)
    ram_map(full, bare)
    ram(one)


# ---- running them -----------------------------------------------------------------------------

def say(command, verify, paths):
    """One line for each file."""
    out = []
    for i in range(0, len(paths), 100):
        args = command + (['--verify'] if verify else []) + paths[i:i + 100]
        p = subprocess.run(args, stdout=subprocess.PIPE, text=True)
        lines = p.stdout.splitlines()
        if p.returncode not in (0, 6) or len(lines) != len(paths[i:i + 100]):
            raise SystemExit(f'{args[0]} ended with {p.returncode} after {len(lines)} files')
        out += lines
    return out


def file_make(base, change, path):
    m = base.model.copy()
    change(m)
    m.write(path)
    return path


def judge(first, second, cs, verify, which, folder):
    paths = [file_make(c.base, c.broken if which == 'broken' else c.mended,
                       os.path.join(folder, f'{which}{i:04}.spore')) for i, c in enumerate(cs)]
    return list(zip(say(first, verify, paths), say(second, verify, paths)))


def marks_of_page():
    with open(os.path.join(ROOT, 'docs/snapshot-format.md')) as f:
        return re.findall(r'^- \[([A-Z]\d+)\]', f.read(), re.M)


def results(build, folder):
    first = [os.path.join(build, 'tests/reject/image_check')]
    second = [sys.executable, os.path.join(ROOT, 'tools/sporedump.py'), '--check']
    for verify in (False, True):
        cs = [c for c in cases if c.verify == verify]
        broken = judge(first, second, cs, verify, 'broken', folder)
        mended = judge(first, second, cs, verify, 'mended', folder)
        for c, b, m in zip(cs, broken, mended):
            good = b == (c.expected, c.expected) and m == ('ok', 'ok')
            yield good, f'{c.mark} {c.expected}', (
                f'broken: first reader {b[0]}, second {b[1]}; mended: {m[0]}, {m[1]}')
    for mark in marks_of_page():
        n = sum(c.mark == mark for c in cases)
        yield n > 0, f'rule {mark} has {n} files', 'a rule without a file does not exist'


def main(argv):
    build = argv[0]
    with tempfile.TemporaryDirectory(prefix='spore-reject-') as folder:
        if argv[1:2] == ['--keep']:
            folder = argv[2]
            os.makedirs(folder, exist_ok=True)
        cases_make(build, folder)
        n = bad = 0
        for good, name, why in results(build, folder):
            n += 1
            bad += not good
            print(f'{"ok" if good else "not ok"} {n} - {name}')
            if not good:
                print(f'# {why}')
        print(f'1..{n}')
        return 1 if bad else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
