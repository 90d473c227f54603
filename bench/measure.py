# SPDX-License-Identifier: Apache-2.0
"""How bench/run measures: rows of figures, programs that do a round when told, and their turns."""
import contextlib
import os
import re
import subprocess
import sys
import time
from pathlib import Path


class Skipped(Exception):
    """A row that this host cannot give, and why."""


class Row:
    """A name and its samples, in one unit."""

    def __init__(self, name, unit, samples):
        self.name, self.unit, self.samples = name, unit, sorted(samples)
        self.reference = self.ratio = None

    def at(self, part):
        return self.samples[min(len(self.samples) - 1, int(len(self.samples) * part))]

    def compare(self, other):
        self.reference, self.ratio = other.name, self.at(0.5) / other.at(0.5)
        return self

    def document(self):
        row = {"name": self.name, "unit": self.unit, "n": len(self.samples),
               "p50": round(self.at(0.5), 2), "p99": round(self.at(0.99), 2),
               "max": round(self.samples[-1], 2)}
        if self.reference:
            row.update(reference=self.reference, ratio=round(self.ratio, 3))
        return row


class Subject:
    """A program that does one round for each line it is sent, and answers with its time."""

    def __init__(self, argv):
        self.argv = [str(a) for a in argv]
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True, bufsize=1)

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.argv[0]} ended: status {self.process.wait()}")
        return int(answer)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def turns(rounds, *subjects, warm_up=3):
    """The samples of each subject, in nanoseconds, taken in turns; the first few are not kept."""
    samples = [[] for _ in subjects]
    for n in range(-warm_up, rounds):
        for subject, kept in zip(subjects, samples):
            took = subject.round()
            if n >= 0:
                kept.append(took)
        progress(subjects, n + 1, rounds)
    return samples


def progress(subjects, done, rounds):
    if sys.stderr.isatty():
        what = ", ".join(" ".join(Path(a).name for a in s.argv[:2]) for s in subjects)
        sys.stderr.write(f"\r{what}: {max(0, done)} of {rounds} \x1b[K")
        if done == rounds:
            sys.stderr.write("\r\x1b[K")


def idle_ticks():
    lines = Path("/proc/stat").read_text().splitlines()
    return {int(f[0][3:]): int(f[4]) for f in map(str.split, lines) if re.match(r"cpu\d", f[0])}


@contextlib.contextmanager
def one_cpu(free):
    """Keeps what is compared on the same CPU, the one with the most time to spare: left alone, each
    may stay on another for the whole run, and other programs' load decides."""
    allowed, before = os.sched_getaffinity(0), idle_ticks()
    if not free:
        time.sleep(0.5)
        after = idle_ticks()
        os.sched_setaffinity(0, {max(allowed, key=lambda cpu: after[cpu] - before[cpu])})
    try:
        yield
    finally:
        os.sched_setaffinity(0, allowed)


def micro(samples):
    return [s / 1e3 for s in samples]


def milli(samples):
    return [s / 1e6 for s in samples]
