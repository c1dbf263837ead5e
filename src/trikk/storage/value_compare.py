"""How two values differ, in the words of a replay's report: the pure part of comparing artifacts."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from trikk.core.record import Record
from trikk.core.text import shorten
from trikk.core.values import JSON, canonical

if TYPE_CHECKING:
    import numpy as np

Verdict = Literal["identical", "reordered", "close", "different"]
VERDICTS: tuple[Verdict, ...] = ("identical", "reordered", "close", "different")
RTOL = 1e-6
ATOL = 1e-12


class Difference(Record, frozen=True):
    """What comparing two artifacts found.

    Attributes:
        verdict: `identical` (the same content, if perhaps in other bytes), `reordered` (the same rows or items in
            another order), `close` (floats differ within the tolerance, nothing else does) or `different`.
        detail: one line for people.
        facts: the same for programs, such as `rows`, `first` (differing rows with both values), `path`,
            `largest_absolute` and `largest_relative`.
    """

    verdict: Verdict
    detail: str
    facts: dict[str, Any] = msgspec.field(default_factory=dict)


class Largest:
    """The largest absolute and relative distance of the pairs of floats seen so far."""

    def __init__(self, rtol: float, atol: float = ATOL) -> None:
        self.rtol = rtol
        self.atol = atol
        self.absolute = 0.0
        self.relative = 0.0

    def close(self, a: float, b: float) -> bool:
        """Whether two floats are equal (NaN equals NaN) or differ by at most atol or rtol times the larger."""
        if a == b or (math.isnan(a) and math.isnan(b)):
            return True
        distance = abs(a - b)
        if not math.isfinite(distance):
            return False
        size = max(abs(a), abs(b))
        self.note(distance, distance / size)
        return distance <= max(self.atol, self.rtol * size)

    def note(self, absolute: float, relative: float) -> None:
        """Take a distance into account."""
        self.absolute = max(self.absolute, absolute)
        self.relative = max(self.relative, relative)

    def difference(self, subject: str) -> Difference:
        """The verdict `close` with the distances seen."""
        return Difference(
            "close",
            f"{subject} differ by at most {self.absolute:.3g} (relative {self.relative:.3g})",
            {"largest_absolute": self.absolute, "largest_relative": self.relative},
        )


def compare_json(a: JSON, b: JSON, rtol: float = RTOL) -> Difference:
    """Compare two values in the form of `trikk.core.values.encode`.

    Floats are compared with the tolerance, everything else, integers too, exactly. The order of a dict's keys is
    no difference; a list with the same items in another order is `reordered`.
    """
    if canonical(a) == canonical(b):
        return Difference("identical", "the same content; the keys are in another order")
    largest = Largest(rtol)
    difference = _walk(a, b, "$", largest)
    if difference is None:
        return largest.difference("numbers")
    if isinstance(a, list) and isinstance(b, list) and sorted(map(canonical, a)) == sorted(map(canonical, b)):
        return Difference("reordered", "the same items in another order", {"length": len(a)})
    path, reason, left, right = difference
    return Difference("different", f"{reason} at {path}", {"path": path, "a": _short(left), "b": _short(right)})


def compare_bytes(a: bytes, b: bytes) -> Difference:
    """Compare two files: texts by the first differing line, others by the first differing byte."""
    if a == b:
        return Difference("identical", "the same bytes")
    try:
        left, right = a.decode().splitlines(), b.decode().splitlines()
    except UnicodeDecodeError:
        left, right = [], []
    if not left or b"\0" in a + b or left == right:
        place = next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
        detail = f"the bytes differ from byte {place} on ({len(a)} and {len(b)} bytes)"
        return Difference("different", detail, {"byte": place, "sizes": [len(a), len(b)]})
    line = next(
        (n for n, (x, y) in enumerate(zip(left, right, strict=False)) if x != y), min(len(left), len(right))
    )
    shown: list[JSON] = [text[line][:200] if line < len(text) else None for text in (left, right)]
    return Difference("different", f"line {line + 1} differs", {"line": line + 1, "a": shown[0], "b": shown[1]})


def compare_arrays(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], rtol: float = RTOL) -> Difference:
    """Compare two NumPy arrays; the memory order is no difference."""
    import numpy as np

    if a.dtype != b.dtype or a.shape != b.shape:
        return Difference(
            "different",
            f"{a.dtype} {a.shape} became {b.dtype} {b.shape}",
            {"dtypes": [str(a.dtype), str(b.dtype)], "shapes": [list(a.shape), list(b.shape)]},
        )
    inexact = a.dtype.kind in "fc"
    same = (a == b) | (np.isnan(a) & np.isnan(b)) if inexact else np.asarray(a == b)
    if same.all():
        return Difference("identical", "the same content in other bytes")
    largest = Largest(rtol)
    apart = ~same
    if inexact:
        with np.errstate(all="ignore"):
            distance = np.abs(a - b, dtype=float) if a.dtype.kind == "f" else np.abs(a - b).astype(float)
            size = np.maximum(np.abs(a), np.abs(b)).astype(float)
            within = distance <= np.maximum(largest.atol, rtol * size)
            apart &= ~(within & np.isfinite(distance))
            if not apart.any():
                largest.note(float(distance[~same].max()), float((distance[~same] / size[~same]).max()))
                return largest.difference("values")
    first = tuple(int(n) for n in np.argwhere(apart)[0])
    facts: dict[str, JSON] = {
        "differing": int(apart.sum()),
        "index": list(first),
        "a": str(a[first]),
        "b": str(b[first]),
    }
    return Difference("different", f"{facts['differing']} values differ, first at {list(first)}", facts)


def _walk(a: JSON, b: JSON, path: str, largest: Largest) -> tuple[str, str, JSON, JSON] | None:
    """The first difference that is not one of close floats: its path, what it is, and both values."""
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            keys = sorted(a.keys() ^ b.keys())
            return path, f"the key {keys[0]!r} is only in one", a, b
        steps = [(f"{path}.{key}", a[key], b[key]) for key in a]
    elif isinstance(a, list) and isinstance(b, list):
        if len(a) != len(b):
            return path, f"{len(a)} items became {len(b)}", a, b
        steps = [(f"{path}[{n}]", x, y) for n, (x, y) in enumerate(zip(a, b, strict=True))]
    elif _number(a) and _number(b) and (isinstance(a, float) or isinstance(b, float)):
        return None if largest.close(float(a), float(b)) else (path, "the number differs", a, b)  # type: ignore[arg-type]
    else:
        return None if type(a) is type(b) and a == b else (path, "the value differs", a, b)
    return next((first for step in steps if (first := _walk(step[1], step[2], step[0], largest))), None)


def _number(value: JSON) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _short(value: JSON) -> JSON:
    text = str(value)
    return value if len(text) <= 200 else shorten(text, 200)
