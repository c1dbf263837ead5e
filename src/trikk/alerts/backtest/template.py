"""A condition with a place for its number, and the number at which it turns. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trikk.alerts.backtest.sweep import Flip
from trikk.alerts.rules.language import Token, parse, tokens
from trikk.alerts.rules.rule_condition import Condition, Values
from trikk.core.errors import UsageError

_PLACE = "X"
_UP, _DOWN = (">", ">="), ("<", "<=")
_ROUGH = 1e-9
_DIGITS = 11  # figures have nine: more would tell apart by rounding what is the same number
_EXAMPLE = "write X in its place, such as: wape > X and coverage >= 0.8"


@dataclass(frozen=True, slots=True)
class Template:
    """A condition with a place for a number."""

    before: str  # the text before the place
    after: str  # the text after it
    number: float | None = None  # what stood there; None if it was marked by X

    @classmethod
    def of(cls, when: str) -> Template:
        """Find the place: X, or the only number.

        Raises:
            UsageError: if it is not clear which number is meant, or the rest is not a condition.
        """
        # X comes first: with it, other numbers may stand in the condition.
        for places in (_places(when), [token for token in tokens(when) if token.kind == "number"]):
            if len(places) == 1:
                begin, word = places[0].at, places[0].text
                template = cls(when[:begin], when[begin + len(word) :], None if word == _PLACE else float(word))
                # The rest has to be a condition by itself; with any number it is the same one.
                parse(template.at(1.0))
                return template
            if places:
                break
        raise UsageError(f"it is not clear which number of {when!r} is the threshold", next=_EXAMPLE)

    @property
    def text(self) -> str:
        """The condition with X in the place."""
        return f"{self.before}X{self.after}"

    def at(self, threshold: float) -> str:
        """The condition with a number in the place."""
        return f"{self.before}{threshold:.12g}{self.after}"


class Turning:
    """Finds where the comparison with the number in it is even.

    Args:
        template: the condition; its number is multiplied by figures or stands alone.

    Raises:
        UsageError: if the number is compared for equality, so that it is not a threshold.
    """

    def __init__(self, template: Template) -> None:
        self._template = template
        # two numbers give the line on which both sides are even, the third shows whether it is one
        trees = [list(_leaves(parse(template.at(x)))) for x in (1.0, 2.0, 3.0)]
        self._forms = next(forms for forms in zip(*trees, strict=True) if forms[0][0].text != forms[1][0].text)
        leaf, negated = self._forms[0]
        if leaf.sign not in (*_UP, *_DOWN):
            raise UsageError(f"{template.text!r} has no threshold", next="compare by > or <")
        self._upward = (leaf.sign in _UP) is not negated
        self._bad_at = (leaf.sign in (">=", "<=")) is not negated

    def flip(self, values: Values) -> Flip | None:
        """Where a window turns; None if something is not known, or the number makes no difference to it.

        Raises:
            UsageError: if the comparison is not linear in the number.
        """
        excesses = []
        for leaf, _ in self._forms:
            left, right = (side.value(values) for side in leaf.sides or ())
            if left is None or right is None:
                return None
            excesses.append(left - right)
        first, second, third = excesses
        slope = second - first
        if abs(third - second - slope) > _ROUGH * max(abs(first), abs(third)):
            raise UsageError(
                f"what {self._template.text!r} does is not in proportion to X",
                next="multiply by X: mae > X * baseline",
            )
        if slope == 0:
            return None
        at = float(f"{1.0 - first / slope:.{_DIGITS}g}")
        return Flip(at, (slope < 0) is self._upward, self._bad_at)


def _leaves(condition: Condition, *, negated: bool = False) -> Iterator[tuple[Condition, bool]]:
    """The comparisons of a condition, and whether each stands under an odd number of `not`."""
    if condition.sides is not None:
        yield condition, negated
    for part in condition.parts:
        yield from _leaves(part, negated=negated is not (condition.sign == "not"))


def has_place(when: str) -> bool:
    """Whether X stands in a condition; not as a part of a name, nor as a class."""
    return bool(_places(when))


def without_place(when: str) -> str:
    """A condition of the same length with a number where X was, so that it can be checked as any other."""
    for place in _places(when):
        when = f"{when[: place.at]}1{when[place.at + 1 :]}"
    return when


def _places(when: str) -> list[Token]:
    return [token for token in tokens(when) if token.kind == "name" and token.text == _PLACE]
