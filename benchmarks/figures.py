"""Pure arithmetic over samples: medians, ratios, milliseconds a step, steps redone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

DISTINCT = 1.2
"""A chain has to take this much longer than one step, or what a step adds drowns in the noise of starting."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one measurement of one entry gave.

    Attributes:
        seconds: wall time of the timed process; for a resume, of the second one.
        cpu: user and system seconds of its process tree.
        peak: largest peak RSS of any process in it, in bytes.
        stored: bytes that the tool kept, or None where that is not asked.
        own_peak: peak RSS of the timed process alone in bytes, where it was watched.
        redone: steps done before the failure that the second try did again; None when nothing was resumed.
        left: processes alive three seconds after the kill.
        trouble: why the measurement does not count.
    """

    seconds: float
    cpu: float
    peak: int
    stored: int | None = None
    own_peak: int | None = None
    redone: int | None = None
    left: int | None = None
    trouble: str | None = None


@dataclass(slots=True)
class Line:
    """All outcomes of one entry in one case."""

    label: str
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def good(self) -> list[Outcome]:
        """The outcomes that count."""
        return [outcome for outcome in self.outcomes if outcome.trouble is None]

    def median(self, figure: str) -> float | None:
        """Median of one figure over the good outcomes; None when there is none."""
        values = [getattr(outcome, figure) for outcome in self.good]
        present = [value for value in values if value is not None]
        return statistics.median(present) if present else None

    def most(self, figure: str) -> int | None:
        """The worst of a count over the good outcomes."""
        present = [value for outcome in self.good if (value := getattr(outcome, figure)) is not None]
        return max(present) if present else None

    def to_json(self) -> dict[str, object]:
        """Every outcome, with the medians beside them."""
        return {
            "label": self.label,
            "seconds": self.median("seconds"),
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
        }


Table = dict[str, dict[str, Line]]
"""Lines by case and label."""


def quietest(table: Table) -> Table:
    """The same lines with only the fastest good outcome of each: what the machine can do when left alone."""

    def fastest(line: Line) -> Line:
        return Line(line.label, sorted(line.good, key=lambda outcome: outcome.seconds)[:1])

    return {case: {label: fastest(line) for label, line in lines.items()} for case, lines in table.items()}


def figure(table: Table, case: str, label: str, name: str = "seconds") -> float | None:
    """The median of one figure, or None when it was not measured."""
    line = table.get(case, {}).get(label)
    return line.median(name) if line else None


def ratio(value: float | None, reference: float | None) -> float | None:
    """`value` over `reference`; None when either is missing."""
    return value / reference if value is not None and reference else None


def ms_per_step(
    table: Table, case: str, steps: int, label: str, least: int = 1, name: str = "seconds"
) -> float | None:
    """Milliseconds that each further step costs: start-up, measured by the case `one`, is taken off.

    Args:
        table: measured lines.
        case: the chain.
        steps: its steps.
        label: whose.
        least: steps in the contender's smallest pipeline, which stood in for `one`.
        name: which time: wall `seconds` or `cpu`.
    """
    whole, single = figure(table, case, label, name), figure(table, "one", label, name)
    if whole is None or single is None or steps <= least:
        return None
    return (whole - single) / (steps - least) * 1000


def told_apart(table: Table, case: str, label: str) -> bool:
    """Whether a chain took enough longer than one step that a difference of the two means something."""
    longer = ratio(figure(table, case, label), figure(table, "one", label))
    return longer is not None and longer >= DISTINCT


def redone(first: Sequence[int], second: Sequence[int]) -> int:
    """Steps that the second try ran though the first had finished them.

    The first try's last effect is the step that failed or hung; all before it had finished.
    """
    finished = set(first[:-1])
    return sum(number in finished for number in second)


def complete(first: Sequence[int], second: Sequence[int], steps: int) -> bool:
    """Whether both tries together ran every step, the last one in the second."""
    return set(first) | set(second) >= set(range(1, steps + 1)) and bool(second) and second[-1] == steps
