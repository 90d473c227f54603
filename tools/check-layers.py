#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""check-layers.py [ROOT]: does every #include under src/ point the right way?

    base <- wire <- plan <- machine <- life <- edge

A file may include its own layer and those before it. Prints one line per fault,
`FILE:LINE: what is wrong`, and ends with 1 when there was any. The rules are the tables below."""
import os
import re
import sys

LAYERS = ['base', 'wire', 'plan', 'machine', 'life', 'edge']

# The pure layers: what of the system they may include. Anything that can do I/O, read a clock or
# start a thread is missing here; counting the owners of a value is no effect.
PURE_HEADERS = {
    'assert.h', 'endian.h', 'errno.h', 'inttypes.h', 'limits.h', 'stdalign.h', 'stdarg.h',
    'stdatomic.h', 'stdbool.h', 'stddef.h', 'stdint.h', 'stdio.h', 'stdlib.h', 'string.h',
}
PURE = {
    'base': PURE_HEADERS,
    # the syntaxes of other people's formats are parsed by their libraries
    'wire': PURE_HEADERS | {'isa-l.h', 'isa-l/crc64.h', 'isa-l/crc.h', 'lz4.h', 'lz4frame.h',
                            'lzma.h', 'zstd.h', 'zstd_errors.h', 'zlib.h', 'jansson.h', 'elf.h'},
    'plan': PURE_HEADERS,
}
# Owned descriptors and mappings are released in base, and only there.
IMPURE_FILES = {'base/own.h': {'sys/mman.h', 'unistd.h'}}
# <stdio.h> and <stdlib.h> are there for snprintf and malloc; these of them do I/O.
IO_CALL = re.compile(r'\b(f?printf|v?dprintf|vf?printf|f?puts|putchar|perror|fopen|fdopen|fread|'
                     r'fwrite|fgets|getline|getenv|secure_getenv|system|tmpfile|remove|rename|'
                     r'exit|abort)\s*\(')

# Where people touch it: what is seen there of the machine is spore.h. The control socket is part of
# the library and shares its words with it, as long as they do not lead to the machine.
FRONT_MAY = {'cli': ('base/', 'edge/cli/'), 'api': ('base/', 'edge/api/', 'edge/lib/')}
NO_MACHINE = {'life/keeper.h'}  # what lies further down and knows of none
FRONT = tuple(f'edge/{name}/' for name in FRONT_MAY)

KVM_HEADER = re.compile(r'^(linux|asm)/kvm(_para)?\.h$')
ARCH_FILE = re.compile(r'_(x86_64|aarch64)\.[chS]$')
ARCH_MACRO = re.compile(r'\b(__x86_64(__)?|__amd64(__)?|__i386(__)?|__aarch64__|__arm__|__ARM_\w+|'
                        r'__riscv)\b')

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
# a header chosen by the build: these have the name of the architecture in them
INCLUDE_MACRO = re.compile(r'^\s*#\s*include\s+(\w+)')
ARCH_HEADER_MACRO = re.compile(r'^SPORE_\w+_ARCH_H$')
CONDITION = re.compile(r'^\s*#\s*(if|ifdef|ifndef|elif)\b')
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"', re.S)


def layer_of(path):
    return path.split('/')[0] if '/' in path else None


def without_comments(text):
    """Comments and the insides of strings made blank, line numbers kept; #include lines stay."""
    def blank(m):
        return re.sub(r'[^\n]', ' ', m.group(0))
    kept = {}
    for n, line in enumerate(text.split('\n')):
        if INCLUDE.match(line):
            kept[n] = line
    lines = COMMENT.sub(blank, text).split('\n')
    for n, line in kept.items():
        lines[n] = line
    return lines


class Tree:
    def __init__(self, root):
        self.src = os.path.join(root, 'src')
        self.faults = []
        self.lines = {}
        for at, _, names in os.walk(self.src):
            for n in names:
                path = os.path.relpath(os.path.join(at, n), self.src)
                if path.endswith(('.c', '.h', '.S')):
                    with open(os.path.join(at, n), encoding='utf-8') as f:
                        self.lines[path] = without_comments(f.read())

    def includes(self, path):
        for n, line in enumerate(self.lines[path], 1):
            m = INCLUDE.match(line)
            if m:
                yield n, m.group(1) == '<', m.group(2)

    def fault(self, path, n, text):
        self.faults.append((f'src/{path}', n, text))

    def check(self):
        for path in sorted(self.lines):
            layer = layer_of(path)
            if path != 'flow.h' and layer not in LAYERS:
                self.fault(path, 1, 'lies in none of the layers ' + ', '.join(LAYERS))
                continue
            for n, system, header in self.includes(path):
                if system and header != 'spore.h':
                    self.check_system(path, layer, n, header)
                else:
                    self.check_own(path, layer, n, header)
            self.check_body(path, layer)
        refused = {(path[len('src/'):], n) for path, n, _ in self.faults}
        for path in sorted(self.lines):
            if layer_of(path) in ('wire', 'plan'):
                self.check_reach(path, refused, lambda h: h in IMPURE_FILES, 'which does I/O')
            if path.startswith(FRONT):
                self.check_reach(path, refused, lambda h: layer_of(h) not in ('base', 'edge')
                                 and h not in NO_MACHINE, 'which shows the machine')
        return self.faults

    def check_system(self, path, layer, n, header):
        if KVM_HEADER.match(header) and not (
                path.startswith('machine/kvm/')
                or path.startswith('machine/') and path.count('/') == 2 and ARCH_FILE.search(path)):
            self.fault(path, n, f'<{header}> belongs in machine/kvm/ and machine/*/*_ARCH.c')
        elif path == 'flow.h':
            self.fault(path, n, f'the spine includes base alone, not <{header}>')
        elif layer in PURE and header not in PURE[layer] | IMPURE_FILES.get(path, set()):
            self.fault(path, n, f'<{header}> is not for {layer}/, which is pure')

    def check_own(self, path, layer, n, header):
        front = path.startswith(FRONT)
        if header == 'spore.h':
            if layer != 'edge':
                self.fault(path, n, 'only edge/ knows the public header')
        elif header == 'flow.h':
            if layer in ('base', 'wire'):
                self.fault(path, n, f'{layer}/ comes before the spine')
            elif front:
                self.fault(path, n, 'sees the machine only through spore.h')
        elif header not in self.lines:
            self.fault(path, n, f'"{header}" is not a path from src/')
        elif layer is None:
            if layer_of(header) != 'base':
                self.fault(path, n, f'the spine includes base alone, not "{header}"')
        elif front:
            if not header.startswith(FRONT_MAY[path.split('/')[1]]):
                self.fault(path, n, f'sees the machine only through spore.h, not "{header}"')
        elif LAYERS.index(layer_of(header)) > LAYERS.index(layer):
            self.fault(path, n, f'{layer}/ may not include "{header}": it comes later')
        elif layer == 'edge' and not header.startswith('edge/lib/') and layer_of(header) == 'edge':
            self.fault(path, n, f'the library may not include "{header}"')

    def check_body(self, path, layer):
        for n, line in enumerate(self.lines[path], 1):
            if CONDITION.match(line) and ARCH_MACRO.search(line) and not ARCH_FILE.search(path):
                self.fault(path, n, 'the architecture is chosen by file name (x_ARCH.c), not by #if')
            m = INCLUDE_MACRO.match(line)
            if m and not (ARCH_HEADER_MACRO.match(m.group(1)) and layer in LAYERS[3:]):
                self.fault(path, n, f'an include that cannot be read: {m.group(1)}')
            m = IO_CALL.search(line)
            if m and layer in PURE:
                self.fault(path, n, f'{m.group(1)}() does I/O, ends the process or looks at its '
                                    f'surroundings; {layer}/ is pure')

    def check_reach(self, path, refused, forbidden, why):
        """What a file may not include, it may not get through another header either. Includes that
        were refused already are not followed."""
        seen, todo = {path}, [path]
        while todo:
            at = todo.pop()
            for n, system, header in self.includes(at):
                if system or header not in self.lines or header in seen or (at, n) in refused:
                    continue
                seen.add(header)
                if forbidden(header):
                    self.fault(path, n if at == path else 1,
                               f'reaches "{header}", {why} (through src/{at})')
                else:
                    todo.append(header)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), '..')
    faults = Tree(root).check()
    for path, n, text in faults:
        print(f'{path}:{n}: {text}')
    return 1 if faults else 0


if __name__ == '__main__':
    sys.exit(main())
