#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checkers and the runner can fail: each fault, put into a small clean tree, is named with its
file and line; the clean tree passes."""
import os
import re
import stat
import subprocess
import sys
import tempfile

ROOT = os.environ.get('ROOT') or os.path.abspath(os.path.join(os.path.dirname(__file__), '..', '..'))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'support'))
from tap import Tap  # noqa: E402

SPDX = '/* SPDX-License-Identifier: Apache-2.0 */\n'
HEAD = SPDX + '#pragma once\n'
CLEAN = {
    'src/flow.h': HEAD + '#include "base/err.h"\n',
    'src/base/err.h': HEAD + '#include <stdint.h>\n',
    'src/base/own.h': HEAD + '#include <unistd.h>\n',
    'src/wire/head.h': HEAD + '#include "base/err.h"\n',
    'src/wire/head.c': SPDX + '#include <lzma.h>\n#include <stdio.h>\n#include "wire/head.h"\n',
    'src/plan/topology.h': HEAD + '#include "flow.h"\n#include "wire/head.h"\n',
    'src/machine/kvm/kvm.c': SPDX + '#include <linux/kvm.h>\n',
    'src/machine/vcpu/vcpu_x86_64.c': SPDX + '#include <linux/kvm.h>\n#ifdef __x86_64__\n#endif\n',
    'src/machine/vcpu/vcpu.h': HEAD + '#include "plan/topology.h"\n#include "base/own.h"\n'
                                      '#include SPORE_EXIT_ARCH_H\n',
    'src/life/vm.h': HEAD + '#include "machine/vcpu/vcpu.h"\n',
    'src/life/vm.c': SPDX + '#include "life/vm.h"\nvm_paused *p = (vm_paused *)vm;\n'
                            'struct quiesced q = { 1 };\n',
    'src/edge/lib/spore.c': SPDX + '#include "spore.h"\n#include "life/vm.h"\n',
    'src/edge/lib/words.h': HEAD + '#include "base/err.h"\n',
    'src/edge/lib/local.h': HEAD + '#include "life/vm.h"\n',
    'src/edge/api/http.c': SPDX + '#include "spore.h"\n#include "edge/lib/words.h"\n',
    'src/edge/cli/main.c': SPDX + '#include <spore.h>\n#include "base/err.h"\n'
                                  '#include "edge/cli/run.h"\n\tprintf("TO" "DO");\n',
    'src/edge/cli/run.h': HEAD + '#include "base/err.h"\n',
    'include/spore.h': SPDX + '#ifndef SPORE_H\n#define SPORE_H\n#endif\n',
    'README.md': '# Format\n| meson | to build |\n',
    'tools/packages.txt': '# packages\nmeson\n',
    'tools/x.sh': '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0\n# see README.md\n',
}

# path, text put at its end, what must be said of it
LAYER_FAULTS = [
    ('src/base/err.h', '#include "wire/head.h"', 'comes later'),
    ('src/base/err.h', '#include "flow.h"', 'before the spine'),
    ('src/base/err.h', '#include <sys/socket.h>', 'pure'),
    ('src/wire/head.c', '#include "plan/topology.h"', 'comes later'),
    ('src/wire/head.c', '#include "flow.h"', 'before the spine'),
    ('src/wire/head.c', '#include <unistd.h>', 'pure'),
    ('src/wire/head.c', '#include <sys/mman.h>', 'pure'),
    ('src/wire/head.c', '#include <linux/virtio_blk.h>', 'pure'),
    ('src/wire/head.c', '#include <fcntl.h>', 'pure'),
    ('src/wire/head.c', '#include "base/own.h"', 'reaches'),
    ('src/wire/head.c', '\tprintf("%d", 1);', 'printf()'),
    ('src/wire/head.c', '\tf = fopen(name, "r");', 'fopen()'),
    ('src/plan/topology.h', '#include <time.h>', 'pure'),
    ('src/plan/topology.h', '#include "machine/vcpu/vcpu.h"', 'comes later'),
    ('src/plan/topology.h', '#include "base/own.h"', 'reaches'),
    ('src/plan/topology.h', '\tif (getenv("X"))', 'getenv()'),
    ('src/machine/vcpu/vcpu.h', '#include "life/vm.h"', 'comes later'),
    ('src/machine/vcpu/vcpu.h', '#include <linux/kvm.h>', 'belongs in'),
    ('src/life/vm.h', '#include <linux/kvm.h>', 'belongs in'),
    ('src/life/vm.h', '#include "spore.h"', 'only edge/'),
    ('src/life/vm.h', '#include "vm_private.h"', 'not a path from src/'),
    ('src/life/vm.h', '#include VM_HEADER', 'cannot be read'),
    ('src/wire/head.c', '#include SPORE_HEAD_ARCH_H', 'cannot be read'),
    ('src/life/vm.h', '#ifdef __aarch64__', 'file name'),
    ('src/life/vm.h', '#if defined(__x86_64__) || FOO', 'file name'),
    ('src/edge/lib/spore.c', '#include "edge/cli/run.h"', 'library may not include'),
    ('src/edge/cli/main.c', '#include "life/vm.h"', 'only through spore.h'),
    ('src/edge/cli/main.c', '#include "flow.h"', 'only through spore.h'),
    ('src/edge/cli/main.c', '#include "wire/head.h"', 'only through spore.h'),
    ('src/edge/cli/main.c', '#include "edge/lib/words.h"', 'only through spore.h'),
    ('src/edge/api/http.c', '#include "plan/topology.h"', 'only through spore.h'),
    ('src/edge/api/http.c', '#include "edge/cli/run.h"', 'only through spore.h'),
    ('src/edge/api/http.c', '#include "edge/lib/local.h"', 'reaches "life/vm.h"'),
    ('src/edge/cli/run.h', '#include "edge/api/server.h"', 'not a path'),
    ('src/edge/lib/spore.c', '#include "edge/api/http.h"', 'not a path'),
    ('src/flow.h', '#include "wire/head.h"', 'base alone'),
    ('src/flow.h', '#include <stdio.h>', 'base alone'),
    ('src/other/thing.c', SPDX + 'int x;', 'none of the layers'),
    ('src/main.c', SPDX + 'int x;', 'none of the layers'),
]

HOUSE_FAULTS = [
    ('src/life/vm.c', '/* TO' 'DO: later */', 'unfinished'),
    ('README.md', 'FIX' 'ME', 'unfinished'),
    ('src/wire/head.c', '\treturn -1;', 'bare-failure'),
    ('src/wire/head.c', '\treturn (-1);', 'bare-failure'),
    ('src/life/snapshot.c', SPDX + '\tvm_paused *p = (vm_paused *)vm;', 'state-cast'),
    ('src/edge/lib/spore.c', '\tstart((const vm_running *)&vm);', 'state-cast'),
    ('src/wire/head.c', '\tstrcpy(a, b);', 'unbounded-string'),
    ('src/wire/head.c', '\tsprintf(a, "x");', 'unbounded-string'),
    ('src/wire/head.c', '\tn = atoi(a);', 'unchecked-number'),
    ('src/life/vm.c', '\tsystem("rm");', 'shell'),
    ('src/life/vm.c', '\tassert(n++ < 3);', 'assert-effect'),
    ('src/life/vm.c', '\tassert((n = next()));', 'assert-effect'),
    ('src/life/vm.c', '\tp = malloc(n * sizeof *p);', 'unchecked-product'),
    ('src/life/vm.c', '\tprintf("hello");', 'library-speaks'),
    ('src/life/vm.c', '\tfprintf(stderr, "hello");', 'library-speaks'),
    ('src/life/vm.c', '\tabort();', 'library-speaks'),
    ('src/life/vm.c', '#pragma GCC diagnostic ignored "-Wshadow"', 'silenced'),
    ('src/life/vm.c', '#include "base/err.c"', 'includes-code'),
    ('README.md', 'As issue ' '7 says.', 'tracker'),
    ('README.md', 'x ', 'trailing-space'),
    ('src/wire/bare.c', 'int x;', 'licence'),
    ('src/wire/bare.h', SPDX + 'int x;', 'header-guard'),
    ('tools/y.sh', '#!/bin/sh\n# SPDX-License-Identifier: Apache-2.0', 'executable'),
    ('README.md', 'See docs/nowhere.' 'md.', 'dangling'),
    ('src/life/pool.c', SPDX + '\ttake((struct quiesced){ 1 });', 'witness'),
    ('tools/packages.txt', 'surprise-dev', 'package'),
    ('tools/house-allow.txt', 'bare-failure src/wire/head.c 1 none there', 'allow-list'),
    ('tools/house-allow.txt', 'bare-failure src/wire/head.c', 'allow-list'),
]


def plant(root, files):
    for path, text in files.items():
        at = os.path.join(root, path)
        os.makedirs(os.path.dirname(at), exist_ok=True)
        with open(at, 'w') as f:
            f.write(text)
        if text.startswith('#!') and path != 'tools/y.sh':
            os.chmod(at, 0o755)


def ask(checker, files, *more):
    with tempfile.TemporaryDirectory() as root:
        plant(root, files)
        p = subprocess.run([os.path.join(ROOT, 'tools', checker), root, *more],
                           capture_output=True, text=True)
        return p.returncode, p.stdout + p.stderr


def check_faults(t, checker, faults):
    status, out = ask(checker, CLEAN)
    t.case(f'{checker}: a clean tree passes', status == 0 and out == '', out)
    for path, text, said in faults:
        files = dict(CLEAN)
        files[path] = files.get(path, '') + text + '\n'
        line = files[path].count('\n')
        status, out = ask(checker, files)
        # a fault of the whole file is named by its first line
        named = re.search(rf'^{re.escape(path)}:({line}|1): .*{re.escape(said)}', out, re.M)
        lines = 2 if said == 'witness' else 1  # both places where it is made
        t.case(f'{checker}: refuses {text.splitlines()[-1].strip()} in {path}',
               status == 1 and named is not None and out.count('\n') == lines, f'{status}: {out}')


def check_allow_list(t):
    files = dict(CLEAN)
    files['src/wire/head.c'] += '\treturn -1;\n'
    files['tools/house-allow.txt'] = 'bare-failure src/wire/head.c 1 because\n'
    status, out = ask('check-house.py', files)
    t.case('check-house.py: an excuse excuses', status == 0, out)
    files['src/wire/head.c'] += '\treturn -1;\n'
    status, out = ask('check-house.py', files)
    t.case('check-house.py: and no more than it says', status == 1 and 'excuses 1' in out, out)


def check_place(t):
    files = dict(CLEAN)
    files['README.md'] += 'as in /workshop/notes\n'
    status, out = ask('check-house.py', files)
    t.case('check-house.py: a place like any other', status == 0, out)
    status, out = ask('check-house.py', files, '/workshop/')
    t.case('check-house.py: a place outside the repository is named',
           status == 1 and 'README.md:3: workplace' in out, out)


# What a suite prints, its exit status, and what the runner must make of it.
SUITES = [
    ('passes', 'echo 1..2; echo ok 1 - a; echo ok 2 - b', 0, '2 passed, 0 failed'),
    ('fails', 'echo 1..2; echo ok 1 - a; echo not ok 2 - b; echo "# why"; exit 1', 1,
     '1 passed, 1 failed'),
    ('plan at the end', 'echo ok 1 - a; echo 1..1', 0, '1 passed, 0 failed'),
    ('no plan', 'echo ok 1 - a', 1, '1 passed, 1 failed'),
    ('too few', 'echo 1..3; echo ok 1 - a', 1, '1 passed, 1 failed'),
    ('too many', 'echo 1..1; echo ok 1 - a; echo ok 2 - b', 1, '2 passed, 1 failed'),
    ('two plans', 'echo 1..1; echo ok 1 - a; echo 1..1', 1, '1 passed, 1 failed'),
    ('dies', 'echo 1..1; echo ok 1 - a; kill -SEGV $$', 1, '1 passed, 1 failed'),
    ('silent status', 'echo 1..1; echo ok 1 - a; exit 3', 1, '1 passed, 1 failed'),
    ('empty', 'echo 1..0', 1, '0 passed, 1 failed'),
    ('nothing at all', ':', 1, '0 passed, 1 failed'),
    ('skips', 'echo 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no moon"', 0,
     '1 passed, 0 failed, 1 skipped'),
    ('skips all', 'echo "1..0 # SKIP no sun"', 1, '0 passed, 0 failed, 1 skipped'),
    ('a test is called skip', 'echo 1..1; echo "not ok 1 - skips nothing"', 1, '0 passed, 1 failed'),
    ('hangs', 'echo 1..1; echo ok 1 - a; sleep 60', 1, '1 passed, 1 failed'),
    ('bails out once', '[ -e "$0.once" ] || { touch "$0.once"; echo ok 1 - a; echo "Bail out! rain"; '
     'exit 125; }; echo 1..1; echo ok 1 - a', 0, '1 passed, 0 failed'),
    ('bails out twice', 'echo "Bail out! rain"; exit 125', 1, '0 passed, 1 failed'),
    ('speaks on stderr', 'echo 1..1; echo "not ok 9 - x" >&2; echo ok 1 - a', 0, '1 passed, 0 failed'),
]


def check_runner(t):
    for name, body, status, last in SUITES:
        with tempfile.TemporaryDirectory() as d:
            suite = os.path.join(d, '100-mock.sh')
            with open(suite, 'w') as f:
                f.write(f'#!/bin/bash\n{body}\n')
            os.chmod(suite, os.stat(suite).st_mode | stat.S_IXUSR)
            p = subprocess.run([os.path.join(ROOT, 'tools', 'check.py'), '--suites', d,
                                '--limit', '2' if name == 'hangs' else '30'], text=True,
                               capture_output=True, env=dict(os.environ, BUILD=d))
            lines = p.stdout.rstrip('\n').split('\n')
            t.case(f'check.py: a suite that {name}' if ' ' not in name else f'check.py: {name}',
                   p.returncode == status and lines[-1] == last,
                   f'{p.returncode}: {p.stdout}{p.stderr}')
            if name == 'fails':
                t.case('check.py: shows why', '        # why' in lines, p.stdout)
            if name == 'bails out once':
                t.case('check.py: says that it ran again, and why', ', run again: rain' in p.stdout,
                       p.stdout)
            if name == 'skips':
                t.case('check.py: names what was skipped', '    mock: b: no moon' in lines, p.stdout)
    with tempfile.TemporaryDirectory() as d:
        # Each waits for the other, so neither ends unless both run.
        meet = 'mkdir "{0}/{1}"; while [ ! -d "{0}/{2}" ]; do sleep 0.05; done; echo 1..1; echo ok 1 - a'
        for number, name, here, there in ((100, 'a', 'x', 'y'), (101, 'b', 'y', 'x'), (110, 'c', 'z', 'x')):
            suite = os.path.join(d, f'{number}-{name}.sh')
            with open(suite, 'w') as f:
                f.write(f'#!/bin/bash\n{meet.format(d, here, there)}\n')
            os.chmod(suite, os.stat(suite).st_mode | stat.S_IXUSR)
        p = subprocess.run([os.path.join(ROOT, 'tools', 'check.py'), '--suites', d, '--limit', '30'],
                           text=True, capture_output=True, env=dict(os.environ, BUILD=d))
        side_by_side = len(os.sched_getaffinity(0)) > 1
        t.case('check.py: suites of one group run side by side',
               p.returncode == (0 if side_by_side else 1), p.stdout + p.stderr)
    p = subprocess.run([os.path.join(ROOT, 'tools', 'check.py'), 'nosuchsuite'], text=True,
                       capture_output=True)
    t.case('check.py: a suite that is not there is refused',
           p.returncode == 1 and 'nosuchsuite' in p.stderr, p.stdout + p.stderr)


with Tap() as t:
    check_faults(t, 'check-layers.py', LAYER_FAULTS)
    check_faults(t, 'check-house.py', HOUSE_FAULTS)
    check_allow_list(t)
    check_place(t)
    check_runner(t)
