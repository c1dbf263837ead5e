"""Pure arithmetic over what was measured: medians, the least, ratios, whether two results are the same."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from benchmarks.case import TRIKK, Case

MEASURES = {"cpu": "CPU", "seconds": "wall", "peak": "memory"}


@dataclass(frozen=True, slots=True)
class Sample:
    """What doing the work once cost.

    Attributes:
        seconds: wall time.
        cpu: user and system seconds, of child processes too.
        peak: the largest peak RSS of any process that took part, in bytes.
        more: further figures, by name and unit, such as `kept MB`.
        answer: what came out, as plain values; compared with the first floor's, unless it is None.
    """

    seconds: float
    cpu: float
    peak: int
    more: Mapping[str, float] = field(default_factory=dict)
    answer: Any = None

    def __add__(self, later: Sample) -> Sample:
        """This and then `later`: times add up, of peaks the larger one counts; the answer is the later one's."""
        more = {**self.more, **later.more}
        return Sample(
            self.seconds + later.seconds, self.cpu + later.cpu, max(self.peak, later.peak), more, later.answer
        )

    def telling(self, answer: Any, **more: float) -> Sample:
        """The same costs with an answer and further figures; `_` in a figure's name is shown as a space."""
        figures = {name.replace("_", " "): value for name, value in more.items()}
        return replace(self, answer=answer, more={**self.more, **figures})


@dataclass(slots=True)
class Line:
    """All samples of one way of one case, or why there are none that count.

    Attributes:
        label: whose.
        scale: costs are multiplied by this: the case's size over the way's own.
        samples: one list for each round.
        skipped: why it could not be done here; not a failure.
        trouble: what went wrong; then none of its samples counts.
    """

    label: str
    scale: float = 1.0
    samples: list[list[Sample]] = field(default_factory=list)
    skipped: str | None = None
    trouble: str | None = None

    def rounds(self, measure: str) -> list[float]:
        """One figure for each round: the median of its samples."""
        if self.skipped or self.trouble:
            return []
        scale = 1.0 if measure == "peak" else self.scale
        return [scale * statistics.median(getattr(one, measure) for one in each) for each in self.samples]

    def median(self, measure: str) -> float | None:
        """The median over the rounds; None when nothing counts."""
        values = self.rounds(measure)
        return statistics.median(values) if values else None

    def least(self, measure: str) -> float | None:
        """The least over the rounds; None when nothing counts."""
        return min(self.rounds(measure), default=None)

    def more(self) -> dict[str, float]:
        """Medians of the further figures."""
        names = dict.fromkeys(name for each in self.samples for one in each for name in one.more)
        every = [one for each in self.samples for one in each]
        return {n: statistics.median(one.more[n] for one in every if n in one.more) for n in names}

    def to_json(self) -> dict[str, Any]:
        """Every sample but for its answer, with the medians beside them."""
        kept = [[{k: v for k, v in asdict(one).items() if k != "answer"} for one in each] for each in self.samples]
        medians: dict[str, Any] = {measure: self.median(measure) for measure in MEASURES}
        return {**medians, "skipped": self.skipped, "trouble": self.trouble, "rounds": kept}


Table = dict[str, dict[str, Line]]
"""Lines by case and label."""


def cost(table: Table, case: Case, label: str, measure: str, pick: str = "median") -> float | None:
    """What a way of a case costs, less what the case says is taken off.

    Args:
        table: what was measured.
        case: the case.
        label: the way.
        measure: `cpu`, `seconds` or `peak`; of a peak nothing is taken off.
        pick: `median` or `least`.
    """
    value = _figure(table, case.name, label, measure, pick)
    if value is None or not case.less or measure == "peak":
        return value
    starting = label if label in table.get(case.less, {}) else TRIKK  # of trikk with another size
    start = _figure(table, case.less, starting, measure, pick)
    return None if start is None else max(value - start * table[case.name][label].scale, 0.0)


def ratio(table: Table, case: Case, label: str = TRIKK, measure: str = "", pick: str = "median") -> float | None:
    """What a way costs over what the first floor does, by the case's own measure if none is named."""
    if case.reference is None:
        return None
    by = measure or case.by
    value, floor = (cost(table, case, one, by, pick) for one in (label, case.reference))
    return value / floor if value is not None and floor else None


def met(table: Table, case: Case) -> bool | None:
    """Whether the target is kept, by medians; None when there is none, or nothing to judge."""
    value = ratio(table, case)
    return None if value is None or case.target is None else value <= case.target


def differ(left: Any, right: Any, where: str = "") -> str | None:
    """Where two answers differ, numbers by more than a millionth; None when they are the same."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        if left.keys() != right.keys():
            return f"{where or 'the result'} has {sorted(map(str, left))}, not {sorted(map(str, right))}"
        return next((d for k in left if (d := differ(left[k], right[k], f"{where}[{k}]"))), None)
    if isinstance(left, Sequence) and isinstance(right, Sequence) and not isinstance(left, str):
        if len(left) != len(right):
            return f"{where or 'the result'} has {len(left)} entries, not {len(right)}"
        pairs = enumerate(zip(left, right, strict=True))
        return next((d for i, (a, b) in pairs if (d := differ(a, b, f"{where}[{i}]"))), None)
    numbers = all(isinstance(one, int | float) for one in (left, right))
    same = math.isclose(left, right, rel_tol=1e-6, abs_tol=1e-9) if numbers else left == right
    return None if same else f"{where or 'the result'} is {left!r}, not {right!r}"


def _figure(table: Table, case: str, label: str, measure: str, pick: str) -> float | None:
    line = table.get(case, {}).get(label)
    if line is None:
        return None
    return line.least(measure) if pick == "least" else line.median(measure)
