#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""sporedump.py [--verify] [--check] FILE...: prints what is in a snapshot file as JSON.

A second reader of the format, written from docs/snapshot-format.md alone; rule marks such as [H3]
are those of that page. It shares no code and no tables with the monitor, so that a mistake in one
of them shows as a difference between the two.

  --verify   read RAM too and compare it with its checksums
  --check    print "ok" or "CODE section.field", one line for each file, instead of JSON

Exit status: 0, 6 when a file was refused, 1 when one could not be read, 2 for wrong usage."""
import json
import os
import struct
import sys

PAGE, ROW, ALIGN, RAM_ALIGN, BLOCK = 4096, 32, 64, 2 << 20, 65536
U8, U16, U32, U64, S63 = 2**8 - 1, 2**16 - 1, 2**32 - 1, 2**64 - 1, 2**63 - 1

# id: (name, how many, largest size); the order is the order in the file
KINDS = {
    1: ('inventory', 'one', 64 << 10), 2: ('topology', 'one', 4 << 10),
    3: ('config', 'one', 256 << 10), 4: ('vcpu', 'vcpu', 64 << 10),
    5: ('irqchip', 'one', 4 << 10), 6: ('clock', 'one', 1 << 10),
    7: ('device', 'device', 16 << 20), 8: ('serial', 'one', 4 << 10),
    9: ('ram-map', 'one', 3 << 20), 10: ('ram-sums', 'one', 129 << 20),
    11: ('ram', 'one', 1 << 40),
}
INDEXES = {'one': 1, 'vcpu': 64, 'device': 19}
DEVICES = {2: ('blk', 1, 8), 4: ('rng', 1, 1)}
RAM_SUMS, RAM = 10, 11


class Refused(Exception):
    def __init__(self, code, section, field, why=''):
        super().__init__(f'{code} {section}.{field}' + (f': {why}' if why else ''))
        self.code, self.section, self.field = code, section, field

    def line(self):
        return f'{self.code} {self.section}.{self.field}'


def crc_tables():
    """Eight tables: byte k of a word goes through table 7 - k."""
    one = []
    for byte in range(256):
        crc = byte << 56
        for _ in range(8):
            crc = (crc << 1 ^ 0x42F0E1EBA9EA3693) & U64 if crc >> 63 else crc << 1
        one.append(crc)
    tables = [one]
    for _ in range(7):
        tables.append([(c << 8 & U64) ^ one[c >> 56] for c in tables[-1]])
    return tables


T0, T1, T2, T3, T4, T5, T6, T7 = crc_tables()
assert len(T0) == 256


def crc64(data, crc=0):
    whole = len(data) // 8
    for (word,) in struct.iter_unpack('>Q', data[:whole * 8]):
        v = crc ^ word
        crc = (T7[v >> 56] ^ T6[v >> 48 & 255] ^ T5[v >> 40 & 255] ^ T4[v >> 32 & 255] ^
               T3[v >> 24 & 255] ^ T2[v >> 16 & 255] ^ T1[v >> 8 & 255] ^ T0[v & 255])
    for byte in data[whole * 8:]:
        crc = (crc << 8 & U64) ^ T0[crc >> 56 ^ byte]
    return crc


def shown(value, largest):
    return hex(value) if largest > S63 else value


class Section:
    """The bytes of one section, read from the front; rules S1 to S7."""

    def __init__(self, name, data):
        self.name, self.data, self.at = name, data, 0

    def refuse(self, code, field, why=''):
        raise Refused(code, self.name, field, why)

    def left(self):
        return len(self.data) - self.at

    def take(self, field, n):
        if self.left() < n:
            self.refuse('TRUNCATED', field, f'needs {n} bytes, {self.left()} are left')
        box = self.data[self.at:self.at + n]
        self.at += n
        return box

    def number(self, field, width, largest=None):
        v = int.from_bytes(self.take(field, width), 'little')
        if largest is not None and v > largest:
            self.refuse('RANGE', field, f'is {v}, at most {largest}')
        return v

    def u8(self, field, largest=None):
        return self.number(field, 1, largest)

    def u16(self, field, largest=None):
        return self.number(field, 2, largest)

    def u32(self, field, largest=None):
        return self.number(field, 4, largest)

    def u64(self, field, largest=None):
        return self.number(field, 8, largest)

    def i64(self, field):
        return int.from_bytes(self.take(field, 8), 'little', signed=True)

    def reserved(self, n):
        if any(self.take('reserved', n)):
            self.refuse('RESERVED', 'reserved')

    def count(self, field, each, largest=None):
        n = self.u32(field, largest)
        if n * each > self.left():
            self.refuse('TRUNCATED', field, f'{n} do not fit')
        return n

    def string(self, field, longest):
        n = self.u16(field)
        if n > longest:
            self.refuse('RANGE', field, f'{n} bytes, at most {longest}')
        raw = self.take(field, n)
        try:
            text = raw.decode('utf-8')
        except UnicodeDecodeError:
            self.refuse('RANGE', field, 'is not UTF-8')
        if '\0' in text:
            self.refuse('RANGE', field, 'has a NUL')
        return text

    def struct(self, spec, prefix=''):
        """spec: words of 'type:name:largest'; a missing largest is the type's own."""
        out = {}
        for word in spec.split():
            kind, name, *most = word.split(':')
            field = prefix + name
            if kind == 'i64':
                out[name] = self.i64(field)
                continue
            width = int(kind[1:]) // 8
            largest = eval(most[0]) if most else 2 ** (8 * width) - 1
            out[name] = shown(self.number(field, width, largest), largest)
        return out

    def done(self):
        if self.left():
            self.refuse('TRAILING', 'end', f'{self.left()} bytes are left')


# ---- header and table -------------------------------------------------------------------------

def header_read(f, length):
    magic = b'\x89SPORE\r\n'
    front = f.read(PAGE)
    if len(front) < len(magic):
        raise Refused('TRUNCATED', 'header', 'magic')  # [H1]
    if not front.startswith(magic):
        raise Refused('MAGIC', 'header', 'magic')
    if len(front) < PAGE:
        raise Refused('TRUNCATED', 'header', 'page')  # [H2]
    s = Section('header', front)
    s.take('magic', 8)
    if s.u32('version') != 1:
        s.refuse('VERSION', 'version')  # [H3]
    if s.u32('arch') != 1:
        s.refuse('ARCH', 'arch')  # [H4]
    if any(front[88:]):
        s.refuse('RESERVED', 'reserved')  # [H5]
    h = {'version': 1, 'arch': 1, 'page_size': s.u32('page_size')}
    if h['page_size'] != PAGE:
        s.refuse('RANGE', 'page_size')  # [H6]
    h['sections'] = s.u32('sections', 96)
    h['machine_id'] = s.take('machine_id', 16).hex()
    h['generation'] = s.u64('generation', S63)
    h['created_sec'] = s.i64('created_sec')
    if h['created_sec'] < 0:
        s.refuse('RANGE', 'created_sec')  # [H8]
    h['created_nsec'] = s.u32('created_nsec', 999999999)
    h['vcpus'] = s.u32('vcpus', 64)
    if h['vcpus'] == 0:
        s.refuse('RANGE', 'vcpus')  # [H9]
    h['ram'] = s.u64('ram', 1 << 40)
    if h['ram'] == 0 or h['ram'] % BLOCK:
        s.refuse('RANGE', 'ram')  # [H10]
    h['total'] = s.u64('total', S63)
    crc = s.u64('crc')
    h['crc'] = hex(crc)
    table = f.read(h['sections'] * ROW)
    if len(table) < h['sections'] * ROW:
        raise Refused('TRUNCATED', 'table', 'rows')  # [H12]
    if crc64(front[:80] + bytes(8) + front[88:] + table) != crc:
        s.refuse('CHECKSUM', 'crc')  # [H13]
    if length < h['total']:
        s.refuse('TRUNCATED', 'total')  # [H14]
    if length > h['total']:
        s.refuse('TRAILING', 'total')  # [H15]
    return h, table


def table_read(table):
    s, rows, seen = Section('table', table), [], set()
    while s.left():
        kind = s.u32('kind')
        if kind not in KINDS:
            s.refuse('RANGE', 'kind')  # [T1]
        name, many, largest = KINDS[kind]
        index = s.u32('index', INDEXES[many] - 1)  # [T2]
        offset = s.u64('offset', S63)  # [T3]
        size = s.u64('size')
        if size > largest:
            s.refuse('SIZE', 'size')  # [T4]
        crc = s.u64('crc')
        if kind == RAM and crc:
            s.refuse('RESERVED', 'crc')  # [T5]
        if (kind, index) in seen:
            s.refuse('DUPLICATE', 'kind')  # [T6]
        seen.add((kind, index))
        rows.append({'id': (kind, index), 'name': name, 'index': index, 'offset': offset,
                     'size': size, 'crc': crc})
    return rows


def up(n, align):
    return (n + align - 1) // align * align


def offsets_check(rows, until=None):
    """[T10]: where section 2 puts them, whatever their kinds; up to the first of kind `until`."""
    end = PAGE + ROW * len(rows)
    for r in rows:
        if r['id'][0] == until:
            break
        at = up(end, RAM_ALIGN if r['id'][0] == RAM else ALIGN)
        if r['offset'] != at:
            raise Refused('LAYOUT', 'table', 'offset', f'{r["name"]} is not at {at}')
        end = at + r['size']
    return end


def order_check(rows, vcpus, devices):
    want = []
    for kind, (_, many, _) in KINDS.items():
        want += [(kind, i) for i in range({'one': 1, 'vcpu': vcpus, 'device': devices}[many])]
    have = [r['id'] for r in rows]
    for i, w in enumerate(want):
        if i >= len(have) or have[i] != w:
            code = 'ORDER' if w in have else 'MISSING'  # [T7] [T8]
            raise Refused(code, 'table', 'kind', f'row {i} is not {KINDS[w[0]][0]} {w[1]}')
    if len(have) > len(want):
        raise Refused('LAYOUT', 'table', 'rows')  # [T9]


# ---- sections ---------------------------------------------------------------------------------

def inventory_read(s):
    v = s.struct('u32:xsave_size:16384 u32:tsc_khz')
    n = s.count('n_caps', 4, 64)
    s.reserved(4)
    v['caps'] = []
    for _ in range(n):
        cap = s.u32('cap')
        if v['caps'] and cap <= v['caps'][-1]:
            s.refuse('ORDER', 'cap')  # [I1]
        v['caps'].append(cap)
    for field, longest in (('cpu_vendor', 12), ('cpu_model', 48)):
        v[field] = s.string(field, longest)
        if any(not 0x20 <= ord(c) <= 0x7E for c in v[field]):
            s.refuse('RANGE', field)  # [I2]
    s.done()
    return v


def topology_read(s):
    vcpus = s.u32('vcpus', 64)
    rows = []
    for _ in range(s.count('n', 48, 19)):
        r = {'kind': s.u32('kind')}
        if r['kind'] not in DEVICES:
            s.refuse('RANGE', 'kind')  # [P2]
        r['queues'] = s.u32('queues', 8)
        for field in ('slot', 'gsi', 'first_wake'):
            r[field] = s.u32(field)
        s.reserved(4)
        for field in ('mmio', 'mmio_len', 'notify'):
            r[field] = s.u64(field)
        rows.append(r)
    s.done()
    return vcpus, rows


def overlap(a, an, b, bn):
    return an and bn and a < b + bn and b < a + an


def pair_check(s, a, b):
    for field in ('slot', 'gsi', 'notify'):
        if a[field] == b[field]:
            s.refuse('DUPLICATE', field)  # [P4]
    if overlap(a['mmio'], a['mmio_len'], b['mmio'], b['mmio_len']):
        s.refuse('TOPOLOGY', 'mmio')  # [P5]
    if overlap(a['first_wake'], a['queues'], b['first_wake'], b['queues']):
        s.refuse('DUPLICATE', 'first_wake')  # [P4]


def topology_check(s, rows):
    for r in rows:
        _, least, most = DEVICES[r['kind']]
        if not least <= r['queues'] <= most:
            s.refuse('TOPOLOGY', 'queues')  # [P3]
    for r in rows:
        if r['mmio_len'] == 0 or r['mmio'] + r['mmio_len'] > U64:
            s.refuse('TOPOLOGY', 'mmio_len')  # [P6]
    for i, r in enumerate(rows):
        for other in rows[:i]:
            pair_check(s, r, other)
        if not r['mmio'] <= r['notify'] or r['notify'] + 4 > r['mmio'] + r['mmio_len']:
            s.refuse('TOPOLOGY', 'notify')  # [P7]
    wake = 0
    for i, r in enumerate(rows):
        mmio = 0xC0001000 + i * 0x1000
        want = {'slot': i, 'gsi': 5 + i, 'mmio': mmio, 'mmio_len': 0x1000,
                'notify': mmio + 0x50, 'first_wake': wake}
        for field, v in want.items():
            if r[field] != v:
                s.refuse('LAYOUT', field)  # [P8]
        wake += r['queues']


def topology_shown(vcpus, rows):
    slots = []
    for r in rows:
        slots.append({k: hex(v) if k in ('mmio', 'mmio_len', 'notify') else v
                      for k, v in r.items()})
        slots[-1]['kind'] = DEVICES[r['kind']][0]
    return {'vcpus': vcpus, 'slots': slots}


def config_read(s):
    v = {'boot_method': s.u32('boot_method', 3), 'name': s.string('name', 64)}
    letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.'
    name = v['name']
    if not name or name[0] in '-.' or any(c not in letters for c in name):
        s.refuse('RANGE', 'name')  # [C1]
    v['kernel'] = s.string('kernel', 4095)
    v['initrd'] = s.string('initrd', 4095)
    v['cmdline'] = s.string('cmdline', 2047)
    s.done()
    return v


REGS = ' '.join('u64:' + r for r in 'rax rbx rcx rdx rsi rdi rsp rbp r8 r9 r10 r11 r12 r13 r14 '
                'r15 rip rflags'.split())
SEGMENT = ('u64:base u32:limit u16:selector u8:type:15 u8:present:1 u8:dpl:3 u8:db:1 u8:s:1 '
           'u8:l:1 u8:g:1 u8:avl:1 u8:unusable:1')
CONTROL = 'u64:cr0 u64:cr2 u64:cr3 u64:cr4 u64:cr8:15 u64:efer u64:apic_base'
EVENTS = ('u8:exception_injected:1 u8:exception_nr:31 u8:exception_has_error_code:1 '
          'u8:exception_pending:1 u32:exception_error_code u8:interrupt_injected:1 '
          'u8:interrupt_nr u8:interrupt_soft:1 u8:interrupt_shadow:3 u8:nmi_injected:1 '
          'u8:nmi_pending:2 u8:nmi_masked:1 u8:triple_fault_pending:1 u32:sipi_vector:255 '
          'u32:flags:63 u8:smi_smm:1 u8:smi_pending:1 u8:smi_smm_inside_nmi:1 '
          'u8:smi_latched_init:1 u8:exception_has_payload:1')
LAPIC = {'id': 0x20, 'version': 0x30, 'tpr': 0x80, 'apr': 0x90, 'ppr': 0xA0, 'ldr': 0xD0,
         'dfr': 0xE0, 'svr': 0xF0, 'esr': 0x280, 'lvt_cmci': 0x2F0, 'icr_low': 0x300,
         'icr_high': 0x310, 'lvt_timer': 0x320, 'lvt_thermal': 0x330, 'lvt_perf': 0x340,
         'lvt_lint0': 0x350, 'lvt_lint1': 0x360, 'lvt_error': 0x370, 'timer_initial': 0x380,
         'timer_current': 0x390, 'timer_divide': 0x3E0}


def sregs_read(s):
    v = {}
    for name in 'cs ds es fs gs ss tr ldt'.split():
        v[name] = s.struct(SEGMENT, 'segment.')
        s.reserved(1)
    for name in ('gdt', 'idt'):
        v[name] = {'base': hex(s.u64(name)), 'limit': s.u16(name)}
        s.reserved(6)
    v.update(s.struct(CONTROL))
    v['interrupt_bitmap'] = [hex(s.u64('interrupt_bitmap')) for _ in range(4)]
    return v


def lapic_shown(page):
    def word(at):
        return int.from_bytes(page[at:at + 4], 'little')
    v = {name: word(at) for name, at in LAPIC.items()}
    for name, at in (('isr', 0x100), ('tmr', 0x180), ('irr', 0x200)):
        v[name] = [n for n in range(256) if word(at + n // 32 * 16) >> n % 32 & 1]
    v['page'] = page.hex()
    return v


# [V7] first, count
MSRS = (
    (0x1B, 1),
    (0x3A, 1),
    (0x3B, 1),
    (0x48, 1),
    (0x8B, 1),
    (0xE1, 1),
    (0x10A, 1),
    (0x122, 1),
    (0x140, 1),
    (0x174, 3),
    (0x179, 2),
    (0x1A0, 1),
    (0x1C4, 2),
    (0x1D9, 1),
    (0x200, 16),
    (0x250, 1),
    (0x258, 2),
    (0x268, 8),
    (0x277, 1),
    (0x2FF, 1),
    (0x400, 128),
    (0x4D0, 1),
    (0x6A0, 9),
    (0x6E0, 1),
    (0xD90, 1),
    (0xDA0, 1),
    (0x4B564D00, 256),
    (0xC0000080, 5),
    (0xC0000100, 4),
    (0xC0000104, 1),
    (0xC0010015, 1),
    (0xC001011F, 1),
    (0xC0011029, 1),
)


def indexed_read(s, name, n):
    """xcrs and msrs: [V4] [V6] [V7]"""
    out, last = [], -1
    for _ in range(n):
        index = s.u32(name + '.index')
        if name == 'msr' and not any(a <= index < a + count for a, count in MSRS):
            s.refuse('RANGE', 'msr.index')
        if index <= last:
            s.refuse('ORDER', name + '.index')
        last = index
        s.reserved(4)
        out.append({'index': index, 'value': hex(s.u64(name + '.value'))})
    return out


def cpuid_read(s, n):
    out, last = [], (-1, -1)
    for _ in range(n):
        e = {'function': s.u32('cpuid.function'), 'index': s.u32('cpuid.index')}
        if (e['function'], e['index']) <= last:
            s.refuse('ORDER', 'cpuid.index')  # [V5]
        last = e['function'], e['index']
        e.update(s.struct('u32:flags:1 u32:eax u32:ebx u32:ecx u32:edx', 'cpuid.'))
        s.reserved(4)
        out.append(e)
    return out


def vcpu_read(s, index, xsave_size):
    v = s.struct('u32:id:63 u32:mp_state:4 u32:tsc_khz')
    xsave_len = s.u32('xsave_len', 16384)
    if xsave_len < 576:
        s.refuse('RANGE', 'xsave_len')  # [V2]
    v['guest_tsc'] = hex(s.u64('guest_tsc'))
    n_xcrs = s.count('n_xcrs', 16, 16)
    n_cpuid = s.count('n_cpuid', 32, 256)
    n_msrs = s.count('n_msrs', 16, 512)
    s.reserved(4)
    v['regs'] = s.struct(REGS)
    v['sregs'] = sregs_read(s)
    v['debugregs'] = {'db': [hex(s.u64('debug.db')) for _ in range(4)]}
    v['debugregs'].update(s.struct('u64:dr6:U32 u64:dr7:U32 u64:flags:0', 'debug.'))
    v['events'] = s.struct(EVENTS, 'events.')
    s.reserved(3)
    v['events']['exception_payload'] = hex(s.u64('events.exception_payload'))
    v['lapic'] = lapic_shown(s.take('lapic', 1024))
    v['xcrs'] = indexed_read(s, 'xcr', n_xcrs)
    v['cpuid'] = cpuid_read(s, n_cpuid)
    v['msrs'] = indexed_read(s, 'msr', n_msrs)
    v['xsave'] = s.take('xsave', xsave_len).hex()
    s.done()
    if v['id'] != index:
        s.refuse('LAYOUT', 'id')  # [V1]
    if xsave_len != xsave_size:
        s.refuse('LAYOUT', 'xsave_len')  # [V3]
    return v


PIC = ('u8:last_irr u8:irr u8:imr u8:isr u8:priority_add:7 u8:irq_base u8:read_reg_select:1 '
       'u8:poll:1 u8:special_mask:1 u8:init_state:3 u8:auto_eoi:1 u8:rotate_on_auto_eoi:1 '
       'u8:special_fully_nested_mode:1 u8:init4:1 u8:elcr u8:elcr_mask')
PIT = ('u32:count:65536 u16:latched_count u8:count_latched:3 u8:status_latched:1 u8:status '
       'u8:read_state:4 u8:write_state:4 u8:write_latch u8:rw_mode:3 u8:mode u8:bcd:1 u8:gate:1 '
       'i64:count_load_time')


def irqchip_read(s):
    v = {'pic': [s.struct(PIC, 'pic.') for _ in range(2)]}
    io = {'base_address': hex(s.u64('ioapic.base_address'))}
    if io['base_address'] != '0xfec00000':
        s.refuse('RANGE', 'ioapic.base_address')  # [Q1]
    io.update(s.struct('u32:ioregsel:255 u32:id:15 u32:irr:2**24-1', 'ioapic.'))
    s.reserved(4)
    io['redirection'] = [hex(s.u64('ioapic.redirection')) for _ in range(24)]
    v['ioapic'] = io
    v['pit'] = [s.struct(PIT, 'pit.') for _ in range(3)]
    if any(7 < c['mode'] < 255 for c in v['pit']):
        s.refuse('RANGE', 'pit.mode')  # [Q2]
    v['pit_flags'] = s.u32('pit_flags', 3)
    s.reserved(4)
    s.done()
    return v


def clock_read(s):
    v = s.struct('u64:kvmclock_ns:S63 u64:realtime_ns:S63 u64:host_ns:S63')
    s.done()
    return v


def power_of_two(n):
    return n > 0 and n & (n - 1) == 0


def in_ram(ram, at, n):
    low = min(ram, 3 << 30)
    return at + n <= low or (at >= 4 << 30 and at + n <= (4 << 30) + ram - low)


def queue_read(s, features_ok, ram):
    q = {'max_size': s.u16('queue.max_size', 32768)}
    if not power_of_two(q['max_size']):
        s.refuse('DEVICE', 'queue.max_size')  # [D7]
    size = q['size'] = s.u16('queue.size', q['max_size'])
    if size and not power_of_two(size):
        s.refuse('DEVICE', 'queue.size')  # [D8]
    ready = q['ready'] = bool(s.u8('queue.ready', 1))
    if ready and (not features_ok or size == 0):
        s.refuse('DEVICE', 'queue.ready')  # [D9]
    s.reserved(3)
    for field, align, n in (('desc', 16, 16 * size), ('driver', 2, 4 + 2 * size),
                            ('device', 4, 4 + 8 * size)):
        at = s.u64('queue.' + field)
        if ready and (at % align or not in_ram(ram, at, n)):
            s.refuse('DEVICE', 'queue.' + field)  # [D10] [D11]
        q[field] = hex(at)
    q['next_avail'] = s.u16('queue.next_avail', U16 if ready else 0)
    q['next_used'] = s.u16('queue.next_used', U16 if ready else 0)
    if (q['next_avail'] - q['next_used']) % 65536 > size:
        s.refuse('DEVICE', 'queue.next_used')  # [D12]
    s.reserved(4)
    return q


def disk_file_read(s):
    v = {'stored': bool(s.u8('disk.stored', 1))}
    s.reserved(3)
    v.update(s.struct('u32:mtime_nsec:999999999 u64:dev u64:ino u64:size:S63 i64:mtime_sec',
                      'disk.'))
    if v['stored'] and (v['dev'] != '0x0' or v['ino'] != '0x0' or v['mtime_sec'] or
                        v['mtime_nsec']):
        s.refuse('DEVICE', 'disk.stored')  # [B7]
    v['path'] = s.string('disk.path', 4095)
    if v['stored'] and any(p in ('', '.', '..') for p in v['path'].split('/')):
        s.refuse('DEVICE', 'disk.path')  # [B8]
    return v


def layer_check(s, v, layer):
    if not layer['path'] and (layer['stored'] or layer['size'] or layer['mtime_sec'] or
                              layer['mtime_nsec'] or layer['dev'] != '0x0' or
                              layer['ino'] != '0x0'):
        s.refuse('DEVICE', 'disk.path')  # [B11]
    if layer['path'] and (v['mode'] != 3 or not layer['stored']):
        s.refuse('DEVICE', 'disk.path')  # [B12]
    if bool(layer['path']) != bool(v['layer_cluster']):
        s.refuse('DEVICE', 'layer_cluster')  # [B13]


def layer_map_read(s, v, layer, n):
    if not layer['path'] and n:
        s.refuse('DEVICE', 'layer_map_len')  # [B14]
    bits = s.take('layer_map', n)
    if layer['path']:
        clusters = -(-v['capacity'] // v['layer_cluster'])
        if n != -(-clusters // 8):
            s.refuse('DEVICE', 'layer_map')  # [B15]
        if clusters % 8 and bits[-1] >> clusters % 8:
            s.refuse('RESERVED', 'layer_map')  # [B16]
    return bits.hex()


def blk_read(s, config, n_queues):
    v = {'mode': s.u32('mode')}
    if v['mode'] not in (1, 2, 3):
        s.refuse('RANGE', 'mode')  # [B1]
    v['layer_cluster'] = s.u32('layer_cluster', 2 << 20)
    if v['layer_cluster'] and (v['layer_cluster'] < 4096 or not power_of_two(v['layer_cluster'])):
        s.refuse('RANGE', 'layer_cluster')  # [B2]
    v['capacity'] = s.u64('capacity', S63)
    if v['capacity'] == 0 or v['capacity'] % 512:
        s.refuse('RANGE', 'capacity')  # [B3]
    map_len = s.count('layer_map_len', 1)
    s.reserved(4)
    if len(config) < 36:
        s.refuse('DEVICE', 'config_len')  # [B4]
    if int.from_bytes(config[:8], 'little') != v['capacity'] // 512:
        s.refuse('DEVICE', 'config.capacity')  # [B5]
    if int.from_bytes(config[34:36], 'little') != n_queues:
        s.refuse('DEVICE', 'config.num_queues')  # [B6]
    v['disk'] = disk_file_read(s)
    if not v['disk']['path']:
        s.refuse('DEVICE', 'disk.path')  # [B9]
    if v['disk']['stored'] and v['mode'] == 2:
        s.refuse('DEVICE', 'mode')  # [B17]
    if v['disk']['size'] // 512 * 512 != v['capacity']:
        s.refuse('DEVICE', 'disk.size')  # [B10]
    v['layer'] = disk_file_read(s)
    layer_check(s, v, v['layer'])
    v['layer_map'] = layer_map_read(s, v, v['layer'], map_len)
    return v


def device_read(s, slot, ram):
    kind = s.u32('kind')
    if kind not in DEVICES:
        s.refuse('RANGE', 'kind')  # [D1]
    word, least, most = DEVICES[kind]
    n_queues = s.count('n_queues', 40, most)
    if n_queues < least:
        s.refuse('RANGE', 'n_queues')  # [D3]
    config_len = s.count('config_len', 1, 256)
    s.reserved(4)
    v = {'kind': word, 'status': s.u32('status')}
    if v['status'] & ~(64 | 128) not in (0, 1, 3, 11, 15):
        s.refuse('DEVICE', 'status')  # [D5]
    v.update(s.struct('u32:device_features_sel u32:driver_features_sel u32:queue_sel '
                      'u32:interrupt_status:3 u32:config_generation'))
    acked = s.u64('acked_features')
    v['acked_features'] = hex(acked)
    if v['status'] & 8 and not acked >> 32 & 1:
        s.refuse('DEVICE', 'acked_features')  # [D6]
    v['queues'] = [queue_read(s, v['status'] & 8, ram) for _ in range(n_queues)]
    config = s.take('config', config_len)
    v['config'] = config.hex()
    if word == 'rng' and config_len:
        s.refuse('DEVICE', 'config_len')  # [D13]
    if word == 'blk':
        v.update(blk_read(s, config, n_queues))
    s.done()
    if kind != slot['kind']:
        s.refuse('LAYOUT', 'kind')  # [D2]
    if n_queues != slot['queues']:
        s.refuse('LAYOUT', 'n_queues')  # [D4]
    return v


def serial_read(s):
    v = s.struct('u8:ier:15 u8:iir u8:fcr u8:lcr u8:lsr u8:mcr:31 u8:msr u8:scr u8:dll u8:dlm '
                 'u8:thre_pending:1 u8:rx_len:16')
    v['rx'] = s.take('rx', v['rx_len']).hex()
    s.reserved(16 - v['rx_len'])
    s.reserved(4)
    s.done()
    return v


def runs_of(bits, blocks):
    runs, start = [], None
    for i in range(blocks + 1):
        if i % 8 == 0 and start is None and i + 8 <= blocks and bits[i // 8] == 0:
            continue
        on = i < blocks and bits[i // 8] >> i % 8 & 1
        if on and start is None:
            start = i
        elif not on and start is not None:
            runs.append([start, i - start])
            start = None
    return runs


def ram_map_read(s, ram):
    v = {'block_size': s.u32('block_size')}
    if v['block_size'] != BLOCK:
        s.refuse('RANGE', 'block_size')  # [M1]
    s.reserved(4)
    blocks = v['blocks'] = s.u64('blocks')
    if blocks != ram // BLOCK:
        s.refuse('LAYOUT', 'blocks')  # [M2]
    v['present'] = s.u64('present', blocks)
    s.reserved(8)
    bits = s.take('bits', -(-blocks // 8))
    if blocks % 8 and bits[-1] >> blocks % 8:
        s.refuse('RESERVED', 'bits')  # [M4]
    if bin(int.from_bytes(bits, 'little')).count('1') != v['present']:
        s.refuse('LAYOUT', 'present')  # [M3]
    s.done()
    v['runs'] = runs_of(bits, blocks)
    return v


# ---- the whole file ---------------------------------------------------------------------------

def zero_check(f, at, n, code, section, field):
    end = at + n
    while at < end:
        try:
            at = os.lseek(f.fileno(), at, os.SEEK_DATA)  # holes are zero
        except OSError:
            return
        chunk = os.pread(f.fileno(), min(max(end - at, 0), 1 << 20), at)
        if chunk.count(0) != len(chunk):
            raise Refused(code, section, field, f'near {at}')
        at += max(len(chunk), 1)


class File:
    def __init__(self, f):
        self.f = f
        length = os.fstat(f.fileno()).st_size
        self.header, table = header_read(f, length)
        self.rows = table_read(table)

    def section(self, row):
        self.f.seek(row['offset'])
        data = self.f.read(row['size'])
        if len(data) < row['size']:
            raise Refused('LAYOUT', 'table', 'offset')
        if crc64(data) != row['crc']:
            raise Refused('CHECKSUM', row['name'], 'crc')  # [T15]
        return Section(row['name'], data)

    def topology(self):
        for r in self.rows:
            if r['name'] == 'topology':
                s = self.section(r)
                vcpus, slots = topology_read(s)
                if vcpus != self.header['vcpus']:
                    s.refuse('LAYOUT', 'vcpus')  # [P1]
                topology_check(s, slots)
                return vcpus, slots
        raise Refused('MISSING', 'table', 'kind')  # [T7]

    def layout(self, n_devices):
        ram = self.header['ram']
        order_check(self.rows, self.header['vcpus'], n_devices)
        if self.rows[-1]['size'] != ram:
            raise Refused('SIZE', 'table', 'size')  # [T11]
        if offsets_check(self.rows) != self.header['total']:
            raise Refused('LAYOUT', 'header', 'total')  # [T13]

    def padding(self):
        end = PAGE + ROW * len(self.rows)
        for r in self.rows:
            zero_check(self.f, end, r['offset'] - end, 'RESERVED', 'padding', 'bytes')  # [T14]
            end = r['offset'] + r['size']

    def read(self):
        h = self.header
        out = {'header': h, 'table': [
            {'kind': r['name'], 'index': r['index'], 'offset': r['offset'], 'size': r['size'],
             'crc': hex(r['crc'])} for r in self.rows]}
        offsets_check(self.rows, until=RAM)
        vcpus, slots = self.topology()
        if h['ram'] < 16 << 20:
            raise Refused('RANGE', 'geometry', 'ram')  # [H11]
        self.layout(len(slots))
        self.padding()
        readers = {
            'inventory': lambda s, i: inventory_read(s),
            'topology': lambda s, i: topology_shown(vcpus, slots),
            'config': lambda s, i: config_read(s),
            'vcpu': lambda s, i: vcpu_read(s, i, out['inventory']['xsave_size']),
            'irqchip': lambda s, i: irqchip_read(s),
            'clock': lambda s, i: clock_read(s),
            'device': lambda s, i: device_read(s, slots[i], h['ram']),
            'serial': lambda s, i: serial_read(s),
            'ram-map': lambda s, i: ram_map_read(s, h['ram']),
        }
        for r in self.rows:
            if r['name'] == 'serial':
                out.setdefault('device', [])  # a machine may have none
            if r['id'][0] == RAM_SUMS:
                break
            value = readers[r['name']](self.section(r), r['index'])
            if KINDS[r['id'][0]][1] == 'one':
                out[r['name']] = value
            else:
                out.setdefault(r['name'], []).append(value)
        if self.rows[-2]['size'] != 8 * out['ram-map']['present']:
            raise Refused('SIZE', 'ram-sums', 'size')  # [T12]
        return out

    def verify(self, ram_map):
        sums = self.section(self.rows[-2]).data  # [R1]
        base, k, absent = self.rows[-1]['offset'], 0, 0
        for first, n in ram_map['runs'] + [[ram_map['blocks'], 0]]:
            zero_check(self.f, base + absent * BLOCK, (first - absent) * BLOCK,
                       'LAYOUT', 'ram', 'block')  # [R3]
            for i in range(first, first + n):
                self.f.seek(base + i * BLOCK)
                want = int.from_bytes(sums[8 * k:8 * k + 8], 'little')
                if crc64(self.f.read(BLOCK)) != want:
                    raise Refused('CHECKSUM', 'ram', 'block', f'block {i}')  # [R2]
                k += 1
            absent = first + n


def main(argv):
    files = [a for a in argv if not a.startswith('-')]
    options = set(argv) - set(files)
    if not files or options - {'--verify', '--check'}:
        print(__doc__, file=sys.stderr)
        return 2
    status = 0
    for path in files:
        try:
            with open(path, 'rb', buffering=0) as f:  # lseek moves the same position
                whole = File(f)
                out = whole.read()
                if '--verify' in options:
                    whole.verify(out['ram-map'])
            print('ok' if '--check' in options else json.dumps(out, ensure_ascii=False))
        except Refused as e:
            status = 6
            print(e.line() if '--check' in options else f'{path}: {e}',
                  file=sys.stdout if '--check' in options else sys.stderr)
        except OSError as e:
            print(f'sporedump.py: {e}', file=sys.stderr)
            return 1
    return status


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
