# SPDX-License-Identifier: Apache-2.0
"""The rows of branches: how long a machine stands still, and what it pays afterwards."""
from typing import NamedTuple

from measure import Row, Subject, micro, turns


class Kind(NamedTuple):
    """What branch_subject is told, of a machine of how much memory, and how many rounds: a first
    branch takes a machine that was booted for it and has written all of its memory."""
    words: tuple
    mib: int
    rounds: int


KINDS = {
    "branch/first-64MiB": Kind(("first",), 64, 200),
    "branch/first-1GiB": Kind(("first",), 1024, 50),
    "branch/first-4GiB": Kind(("first",), 4096, 15),
    "branch/again-1MiB": Kind(("again", 1), 1024, 1000),
    "branch/again-64MiB": Kind(("again", 64), 1024, 200),
    "branch/again-512MiB": Kind(("again", 512), 1024, 30),
    "branch/retouch": Kind(("retouch",), 256, 100),
    "branch/touch": Kind(("touch",), 256, 100),
}
NAMES = list(KINDS)

# As bench/run's: row, what is bounded, bound, how the bound is said.
TARGETS = [(f"branch/first-{size}", "p99", 5000, "p99 at most 5 ms")
           for size in ("64MiB", "1GiB", "4GiB")] + [
    (f"branch/again-{size}", "p99", 10000, "p99 at most 10 ms")
    for size in ("1MiB", "64MiB", "512MiB")]


def measure(subject, kernel, names, rounds):
    """One after the other: each has all of the memory that it needs. `rounds` of a number: how many."""
    made = {}
    for name in (n for n in KINDS if n in names):
        kind = KINDS[name]
        word, *more = kind.words
        with Subject([subject, word, kernel, kind.mib, *more]) as branches:
            (samples,) = turns(rounds(kind.rounds), branches, warm_up=1)
        made[name] = Row(name, "us", micro(samples))
    if "branch/retouch" in made and "branch/touch" in made:
        made["branch/retouch"].compare(made["branch/touch"])
    return list(made.values())
