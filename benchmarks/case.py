"""A case: what happens, by trikk, by hand (the floors) and by other tools (the peers), and what is asked of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

TRIKK = "trikk"


@dataclass(frozen=True, slots=True)
class Work:
    """One way of doing what a case asks.

    Attributes:
        function: `module:function` below `benchmarks.ways`; called as `function(size, *arguments)`.
        arguments: plain values for it, after the size.
        size: another size than the case's. The costs are then scaled to the case's, so that a ratio shows growth.
    """

    function: str
    arguments: tuple[Any, ...] = ()
    size: int | None = None


def work(function: str, *arguments: Any, size: int | None = None) -> Work:
    """A `Work`, as the table of cases writes it."""
    return Work(function, arguments, size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One row of the report.

    Attributes:
        name: how `--only` calls it.
        about: what happens; `{size}` stands for the size.
        size: how much of it: rows, steps, days.
        trikk: how trikk does it.
        floors: the same by hand or by a library, by name. Ratios are against the first.
        peers: other tools that need an environment of their own; only with `--peers`.
        by: what the ratio is of: CPU seconds, wall seconds, or the peak of memory.
        target: the ratio to the first floor that trikk has to stay at or below.
        less: a case whose cost is taken off, way by way: one step's from a chain's, or the start would count.
        patience: how many seconds one round may take, for a case that waits for the clock: it has no uncounted
            round, and usually one that counts.
        quick: the size in `make bench-quick`; 0 leaves the case out of it.
        why: where trikk costs more than the first floor, the reason, in a sentence.
    """

    name: str
    about: str
    size: int
    trikk: Work
    floors: Mapping[str, Work] = field(default_factory=dict)
    peers: Mapping[str, Work] = field(default_factory=dict)
    by: Literal["cpu", "seconds", "peak"] = "cpu"
    target: float | None = None
    less: str = ""
    patience: float | None = None
    quick: int = 0
    why: str = ""

    @property
    def reference(self) -> str | None:
        """The name of the floor that ratios are against."""
        return next(iter(self.floors), None)

    def ways(self, peers: Iterable[str] = ()) -> dict[str, Work]:
        """The floors, trikk and the named peers, in the order in which they take turns."""
        wanted = {name: one for name, one in self.peers.items() if name in set(peers)}
        return {**self.floors, TRIKK: self.trikk, **wanted}


def chosen(cases: Iterable[Case], names: Iterable[str]) -> list[Case]:
    """The cases of these names (a name ending in `*` takes all that begin so) and those that they are less of.

    Raises:
        KeyError: for a name that is no case's.
    """
    by_name = {case.name: case for case in cases}
    wanted: set[str] = set()
    for name in names:
        matching = {one for one in by_name if one == name or (name.endswith("*") and one.startswith(name[:-1]))}
        if not matching:
            raise KeyError(name)
        wanted |= matching
    wanted |= {by_name[name].less for name in wanted if by_name[name].less}
    return [case for name, case in by_name.items() if name in wanted]


def sessions(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Cases that are measured in turn with one another: those that one is `less` of are in one session."""
    session: list[Case] = []
    for case in cases:
        if session and case.less not in {one.name for one in session}:
            yield session
            session = []
        session.append(case)
    if session:
        yield session
