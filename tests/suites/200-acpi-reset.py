#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A processor that goes to the reset vector in real mode asks for a reset at the port that the FADT
names: run on QEMU's emulated processor, where that port ends the emulator with twice the value it
was given plus one."""
import os
import subprocess
import sys
import tempfile

PORT, VALUE = 0x600, 1


def reset_vector():
    program = os.path.join(os.environ['BUILD'], 'tests', 'unit', 'plan', 'plan-dump')
    return subprocess.run([program, 'reset-vector'], capture_output=True, check=True).stdout


def status_of(code):
    """The code stands at the end of a 64 KiB BIOS, where a PC's processor begins."""
    with tempfile.NamedTemporaryFile() as bios:
        bios.write(b'\xf4' * (0x10000 - len(code)) + code)
        bios.flush()
        try:
            return subprocess.run(
                ['qemu-system-x86_64', '-accel', 'tcg', '-M', 'pc,acpi=off', '-m', '16',
                 '-nodefaults', '-no-user-config', '-display', 'none', '-bios', bios.name,
                 '-device', f'isa-debug-exit,iobase={PORT},iosize=1'],
                stdin=subprocess.DEVNULL, timeout=60).returncode
        except subprocess.TimeoutExpired:
            return None


def main():
    code = reset_vector()
    got = status_of(code) if len(code) == 16 else f'{len(code)} bytes of code'
    ok = got == VALUE * 2 + 1
    print(f'{"ok" if ok else "not ok"} 1 - the reset vector asks for a reset')
    if not ok:
        print(f'# QEMU ended with {got}, expected {VALUE * 2 + 1}')
    print('1..1')
    return 0 if ok else 1


if __name__ == '__main__':
    sys.exit(main())
