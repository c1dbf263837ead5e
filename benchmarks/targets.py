"""What trikk promises, beside what was measured. For information: nothing fails because of a figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.figures import Table, figure, ms_per_step, quietest, ratio

TRIKK = "trikk"
ARROW = "floor: raw Arrow IPC"
NO_SLOWER = 1.1
"""Two figures of trikk's own within ten percent count as equal."""


@dataclass(frozen=True, slots=True)
class Target:
    """One promise: the figure has to stay at or below `limit`."""

    text: str
    unit: str
    limit: float
    measured: Callable[[Table], float | None]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target with what was measured, and with what the fastest processes gave; None when nothing was."""

    text: str
    unit: str
    limit: float
    measured: float | None
    best: float | None

    @property
    def met(self) -> bool | None:
        """Whether the medians of this run keep the promise."""
        return None if self.measured is None else self.measured <= self.limit


def _seconds(case: str, label: str = TRIKK) -> Callable[[Table], float | None]:
    return lambda table: figure(table, case, label)


def _redone(case: str) -> Callable[[Table], float | None]:
    def read(table: Table) -> float | None:
        line = table.get(case, {}).get(TRIKK)
        return line.most("redone") if line else None

    return read


def _chains(table: Table) -> float | None:
    """By CPU time: the wall time of 50 steps is so short that noise decides about it."""
    long = ms_per_step(table, "chain2000", 2000, TRIKK, name="cpu")
    return ratio(long, ms_per_step(table, "chain50", 50, TRIKK, name="cpu"))


def _memory(table: Table) -> float | None:
    return ratio(
        figure(table, "memory", "trikk, chain2000", "own_peak"),
        figure(table, "memory", "trikk, chain50", "own_peak"),
    )


def _against_arrow(case: str, name: str) -> Callable[[Table], float | None]:
    return lambda table: ratio(figure(table, case, TRIKK, name), figure(table, case, ARROW, name))


TARGETS = (
    Target("one step, cold", "s", 0.5, _seconds("one")),
    Target("chain50: a step, isolated and durable", "ms", 5, lambda t: ms_per_step(t, "chain50", 50, TRIKK)),
    Target("fan50", "s", 0.6, _seconds("fan50")),
    Target("chain2000: CPU of a step, against chain50's", "x", NO_SLOWER, _chains),
    Target("driver's peak memory, chain2000 against chain50", "x", NO_SLOWER, _memory),
    Target("frame: time against raw Arrow IPC in one process", "x", 1.3, _against_arrow("frame", "seconds")),
    Target("frame: bytes against raw Arrow IPC", "x", 1.2, _against_arrow("frame", "stored")),
    Target("resume10", "s", 0.6, _seconds("resume10")),
    Target("resume10: steps redone", "", 0, _redone("resume10")),
    Target("kill10", "s", 0.6, _seconds("kill10")),
    Target("kill10: steps redone", "", 0, _redone("kill10")),
    Target("trikk runs over 100,000 runs", "s", 0.5, _seconds("runs100k", "trikk, 100000 runs")),
    Target("import trikk", "s", 0.15, _seconds("import")),
    Target("trikk --help", "s", 0.3, _seconds("help")),
)


def judge(table: Table) -> list[Verdict]:
    """Every target, with its figure out of this run."""
    fastest = quietest(table)
    return [Verdict(one.text, one.unit, one.limit, one.measured(table), one.measured(fastest)) for one in TARGETS]
