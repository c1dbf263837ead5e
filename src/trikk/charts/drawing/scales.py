"""Scales: where a value is drawn, and at which round values an axis has its ticks. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from trikk.core.durations import exactly, lasting, show_bytes

WIDE = 12.0
"""A largest value so many times the median is drawn on a logarithmic axis."""
SECONDS, SHARE, BYTES = "s", "%", "B"
"""Units that have round values and words of their own: durations in seconds, shares of one, sizes in bytes."""
_ROUND_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_SIZES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
_LOG_SECONDS = [0.001, 0.01, 0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36000.0, 86400.0 * 2, 864000.0, 8640000.0]
_THOUSANDS = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_MOST, _LEAST = 1e150, 1e-150  # of a value, and of a span of values: so that all that is computed is finite
_LONG = 1e5  # a number from here on is written in thousands


@dataclass(frozen=True, slots=True)
class Tick:
    """A value of an axis that is written there; `context` stands below it, as a month does below its days."""

    value: float
    text: str
    context: str = ""


class Scale(Protocol):
    """Where a value is drawn."""

    def __call__(self, value: float) -> float:
        """The pixel of a value; values beyond the ends are drawn at the nearer end."""
        ...

    def ticks(self, most: int) -> list[Tick]:
        """At most so many round values, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Linear:
    """Equal differences are equally long; `low` is drawn at the pixel `start`, `high` at `end`."""

    low: float
    high: float
    start: float
    end: float
    unit: str = ""

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + min(max(share, 0.0), 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[Tick]:
        """At most so many round values, in order, of the smallest difference of which no more fit in."""
        for step in self._steps(most):
            first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
            if last - first < most:
                values = [i * step for i in range(first, last + 1)]
                largest = max(map(abs, values), default=0.0)
                return [Tick(value, tick_text(value, step, largest, self.unit)) for value in values]
        return []

    def _steps(self, most: int) -> Iterator[float]:
        """Round differences of two ticks, from too small a one on."""
        span = self.high - self.low
        if self.unit == SECONDS and span / most > 0.5:
            yield from (*_ROUND_SECONDS, *(86400.0 * digit * 10.0**k for k in range(6) for digit in (2, 5, 10)))
        factor = 100.0 if self.unit == SHARE else 1.0
        power = math.floor(math.log10(span * factor / most)) - 1
        for exponent in range(max(power, 0) if self.unit == BYTES else power, power + 5):
            yield from (digit * 10.0**exponent / factor for digit in (1, 2, 5))


@dataclass(frozen=True, slots=True)
class Log:
    """Equal ratios are equally long; both ends are above zero, and what is not is drawn at the lower end."""

    low: float
    high: float
    start: float
    end: float
    unit: str = ""

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        low, high = math.log(self.low), math.log(self.high)
        share = (math.log(max(value, self.low)) - low) / (high - low)
        return self.start + min(share, 1.0) * (self.end - self.start)

    def ticks(self, most: int) -> list[Tick]:
        """At most so many of the powers of ten and, where there is room, of their doubles and fivefold."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        choices = [
            [d * 10.0**k for k in range(first, last + 1) for d in digits] for digits in ((1, 2, 5), (1, 5), (1,))
        ]
        choices += [[10.0**k for k in range(first, last + 1) if k % n == 0] for n in (2, 3, 5, 10, 25, 50, 100)]
        if self.unit == SECONDS:
            choices = [_LOG_SECONDS, _LOG_SECONDS[::2], _LOG_SECONDS[::4]]
        within = [
            [v for v in values if self.low <= v * 1.000001 and v <= self.high * 1.000001] for values in choices
        ]
        values = next((values for values in within if len(values) <= most), [])
        return [Tick(value, tick_text(value, value, value, self.unit)) for value in values]


@dataclass(frozen=True, slots=True)
class Band:
    """Places of equal width, one for each of so many categories; a value is a category's number."""

    count: int
    start: float
    end: float

    @property
    def width(self) -> float:
        """How wide one place is, in pixels."""
        return (self.end - self.start) / max(self.count, 1)

    def __call__(self, value: float) -> float:
        """The pixel of the middle of a category's place."""
        return self.start + (value + 0.5) * self.width

    def ticks(self, most: int) -> list[Tick]:
        """Every category's number, or every other, and so on."""
        return [Tick(i, str(i)) for i in range(0, self.count, max(1, -(-self.count // most)))]


def finite(value: float | None) -> float | None:
    """The value if it can be drawn; None for none, for NaN and for what is beyond all scales, which are gaps."""
    return value if value is not None and abs(value) < _MOST else None


def is_wide(values: Iterable[float | None]) -> bool:
    """Whether a few values are so large that the others would lie on the base line of a linear scale."""
    known = [value for value in map(finite, values) if value is not None and value > 0]
    return bool(known) and max(known) > WIDE * median(known)


def median(values: Iterable[float]) -> float:
    """The middle one, or between the two. `statistics` takes longer to import than a page to draw."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def scale_over(
    values: Iterable[float | None],
    start: float,
    end: float,
    *,
    zero: bool = False,
    log: bool = False,
    unit: str = "",
    room: float = 0.08,
) -> Linear | Log:
    """The scale on which all values can be drawn, with some room beyond them.

    Args:
        values: None, NaN and infinities are left out; without any the scale is from 0 to 1.
        start: the pixel of its low end.
        end: the pixel of its high end.
        zero: whether zero is on it, and is its end if no value lies beyond.
        log: whether it is logarithmic, if any value is above zero.
        unit: how its values are written: `SECONDS`, `SHARE`, `BYTES`, or another text, which changes nothing.
        room: how much of the values' span is added beyond them.
    """
    known = [float(value) for value in map(finite, values) if value is not None]
    positive = [value for value in known if value > _LEAST]
    if log and positive:
        low, high = min(positive), max(positive)
        stretch = (high / low) ** room if high > low else 1.5
        return Log(low / stretch, high * stretch, start, end, unit)
    if not known:
        return Linear(0.0, 1.0, start, end, unit)
    low, high = min(known + [0.0] * zero), max(known + [0.0] * zero)
    span = high - low
    if span <= max(abs(high) * 1e-12, _LEAST):
        # values that are all alike are in the middle
        span, room = abs(high) if abs(high) > _LEAST else 1.0, room or 0.5
    low_end = low if zero and low == 0 else low - room * span
    high_end = high if zero and high == 0 and low < 0 else high + room * span
    return Linear(low_end, high_end, start, end, unit)


def tick_text(value: float, step: float, largest: float = 0.0, unit: str = "") -> str:
    """A round value of an axis: "0.05", "12,000", "150k", "15 min", "40%"; `step` is the difference of two."""
    if unit == SECONDS:
        if step >= 1 or value == 0:
            return exactly(value)
        return f"{value * 1000:.6g} ms" if step < 0.1 else f"{value:.3g} s"
    if unit == BYTES:
        size, unit = next((pair for pair in _SIZES if max(largest, abs(value)) >= pair[0]), _SIZES[-1])
        return f"{value / size:,.{_places(step / size)}f} {unit}" if value else "0 B"
    if unit == SHARE:
        return f"{value * 100:,.{_places(step * 100)}f}%"
    if largest >= _LONG:
        size, letter = next((pair for pair in _THOUSANDS if largest >= pair[0] * 10), _THOUSANDS[-1])
        return f"{value / size:,.{_places(step / size)}f}{letter}" if value else "0"
    if 0 < abs(step) < 1e-5 and value:
        return f"{value:.3g}"
    return f"{value + 0.0:,.{_places(step)}f}"


def value_text(value: float | None, unit: str = "") -> str:
    """A value as people read it beside a mark: three digits that count, with its unit; a dash for none."""
    if finite(value) is None or value is None:
        return "-"
    if unit == SECONDS:
        return lasting(value)
    if unit == BYTES:
        return show_bytes(value)
    if unit == SHARE:
        return tick_text(value, 1 if value >= 1 else 0.01, unit=SHARE)
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    plain = f"{value:,.{digits}f}" if value == 0 or abs(value) >= 0.01 else f"{value:.2g}"
    if "." in plain and "e" not in plain:
        plain = plain.rstrip("0").rstrip(".")
    return f"{plain} {unit}".rstrip()


def _places(step: float) -> int:
    """How many digits after the point tell two ticks apart."""
    return max(0, -math.floor(math.log10(abs(step)) + 1e-9)) if step else 0
