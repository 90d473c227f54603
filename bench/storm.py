# SPDX-License-Identifier: Apache-2.0
"""The rows of many machines at once, and of what they cost in memory."""
import json

from measure import Row, Subject, milli

COUNT, THREADS, SECRET = 1000, 8, 0x5eed
NAMES = ["storm/1000-pooled", "storm/1000-cold", "zygote/grow-kib"]

# As bench/run's: row, what is bounded, bound, how the bound is said.
TARGETS = [
    ("storm/1000-pooled", ("p50", "ratio"), (300, 1.25), "at most 300 ms, or 1.25 x bare"),
    ("storm/1000-cold", ("p50", "ratio"), (2000, 1.25), "at most 2 s, or 1.25 x bare"),
    ("storm/unique-kib", "p50", 1024, "at most 1 MiB"),
    ("storm/unique-over-bare-kib", "p50", 160, "at most 160 KiB above a bare jailed worker"),
    ("zygote/grow-kib", "p50", 0, "nothing"),
]


class Storm(Subject):
    """A subject whose rounds are documents."""

    def round(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.argv[0]} ended: status {self.process.wait()}")
        return json.loads(answer)


def kib(documents):
    return [d["used_kib"] / COUNT for d in documents]


def wall(documents):
    return milli([d["wall_ns"] for d in documents])


def storms(subject, bare, state, record, ram, names, rounds):
    """The library's storms and the yardstick's, in turns."""
    ways = [n for n in NAMES[:2] if n in names]
    took = {way: [] for way in [*ways, "bare"]}
    argv = {way: [subject, way.rpartition("-")[2], state, SECRET, COUNT, THREADS] for way in ways}
    argv["bare"] = [bare, record, ram, COUNT]
    for _ in range(rounds):
        for way, documents in took.items():
            with Storm(argv[way]) as storm:
                documents.append(storm.round())
    plain = Row("storm/1000-bare", "ms", wall(took["bare"]))
    rows = [Row(way, "ms", wall(took[way])).compare(plain) for way in ways] + [plain]
    floor = kib(took["bare"])
    for way in ways[:1]:
        unique = kib(took[way])
        rows += [Row("storm/unique-kib", "KiB", unique), Row("storm/bare-kib", "KiB", floor),
                 Row("storm/unique-over-bare-kib", "KiB",
                     [mine - bare for mine, bare in zip(unique, floor)])]
    return rows


def growth(subject, state, rounds):
    with Subject([subject, "grow", state, 0]) as zygote:
        return Row("zygote/grow-kib", "KiB", [zygote.round() / 1024 for _ in range(rounds)])
