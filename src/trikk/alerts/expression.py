"""The small language of alarms: `mae > 1.3 * baseline and coverage >= 0.8`. Parsed here, never given to Python.

    condition   alternative {"or" alternative}
    alternative part {"and" part}
    part        "not" part | "(" condition ")" | comparison
    comparison  sum (">" | ">=" | "<" | "<=" | "==" | "!=") sum
    sum         product {("+" | "-") product}
    product     factor {("*" | "/") factor}
    factor      number | "-" factor | name | ("baseline" | "usual") ["(" metric ")"] | "abs" "(" sum ")" | "(" sum ")"

A name is a metric of the monitor, or one of `COUNTS`. Something that is not known (a metric of a window without
labels) makes a comparison neither true nor false.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from trikk.core.errors import UsageError

COUNTS = ("coverage", "interval_coverage", "waiting", "unpredicted", "predicted", "observed", "labelled")
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[A-Za-z_](?:\w|\.(?=\w))*(?::\w+(?:\.\w+)*)?)|(?P<sign>>=|<=|==|!=|[-+*/()<>]))"
)
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_REDUCE: dict[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_KEYWORDS = ("and", "or", "not", "baseline", "usual", "abs")
_DEEPEST = 50


@dataclass(frozen=True, slots=True)
class Name:
    """A figure: `kind` is metric, baseline, usual or count; `paired` if a baseline stands in the same comparison."""

    kind: str
    name: str
    paired: bool = False


Values = Callable[[Name], float | None]


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """A number that is computed; `sign` is a number's text, "name", "neg", "abs" or an operator."""

    sign: str
    parts: tuple[Arithmetic, ...] = ()
    number: float = 0.0
    name: Name | None = None

    def value(self, values: Values) -> float | None:
        """Its value; None if something in it is not known, or is divided by zero."""
        if self.name is not None:
            return values(self.name)
        if not self.parts:
            return self.number
        known = [part.value(values) for part in self.parts]
        if any(value is None for value in known):
            return None
        first, *rest = [value for value in known if value is not None]
        if not rest:
            return abs(first) if self.sign == "abs" else -first
        if self.sign == "/" and rest[0] == 0:
            return None
        found = _REDUCE[self.sign](first, rest[0])
        return found if math.isfinite(found) else None

    def names(self) -> Iterator[Name]:
        """Every figure in it."""
        if self.name is not None:
            yield self.name
        for part in self.parts:
            yield from part.names()


@dataclass(frozen=True, slots=True)
class Compared:
    """What one comparison came to, for people: "wape 0.346 > 0.3".

    Attributes:
        text: as it was written.
        value: of its left side.
        limit: of its right side.
        holds: whether it is true; None if not known.
    """

    text: str
    value: float | None
    limit: float | None
    holds: bool | None

    @property
    def excess(self) -> float:
        """How far the value is beyond the limit, as a share of the limit; 0 if the comparison is not true."""
        if not self.holds or self.value is None or self.limit is None:
            return 0.0
        return abs(self.value - self.limit) / max(abs(self.limit), 1e-9)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition; `sign` is a comparison, "and", "or" or "not"."""

    sign: str
    parts: tuple[Condition, ...] = ()
    sides: tuple[Arithmetic, Arithmetic] | None = None
    text: str = ""

    def judge(self, values: Values) -> tuple[bool | None, list[Compared]]:
        """Whether it holds (None: not known), and what each of its comparisons came to."""
        if self.sides is not None:
            left, right = (side.value(values) for side in self.sides)
            holds = None if left is None or right is None else _COMPARE[self.sign](left, right)
            return holds, [Compared(self.text, left, right, holds)]
        judged = [part.judge(values) for part in self.parts]
        seen = [one for _, compared in judged for one in compared]
        truths = [truth for truth, _ in judged]
        if self.sign == "not":
            return None if truths[0] is None else not truths[0], seen
        decisive = self.sign == "or"
        if decisive in truths:
            return decisive, seen
        return None if None in truths else not decisive, seen

    def names(self) -> Iterator[Name]:
        """Every figure in it."""
        for side in self.sides or ():
            yield from side.names()
        for part in self.parts:
            yield from part.names()


def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        UsageError: if it is none; `where` shows the place.
    """
    return _Parser(text).whole()


class _Parser:
    """Reads one text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.end = 0
        self.depth = 0
        self.kind, self.token = "", ""
        self._next()

    def whole(self) -> Condition:
        found = self._any()
        if self.kind != "end":
            self._refuse(f"{self.token!r} is not expected here", "join conditions by `and` or `or`")
        return found

    def _next(self) -> None:
        self.end = self.at + len(self.token)
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            rest = self.text[self.end :]
            self.at = self.end + len(rest) - len(rest.lstrip())
            self.kind, self.token = "end", ""
            if rest.strip():
                self._refuse(
                    f"{rest.strip()[0]!r} is not part of the language", "use figures, numbers and + - * /"
                )
            return
        self.kind = str(match.lastgroup)
        self.token = match[self.kind]
        self.at = match.start(self.kind)

    def _refuse(self, what: str, mend: str) -> NoReturn:
        raise UsageError(
            f"the condition {self.text!r} is wrong at character {self.at + 1}: {what}",
            where=f"{self.text}\n        {' ' * self.at}^",
            next=mend,
        )

    def _take(self, *tokens: str) -> str:
        """The token if it is one of these, which is then behind us; "" if not."""
        if self.token not in tokens or self.kind == "end":
            return ""
        found = self.token
        self._next()
        return found

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._refuse("this is nested too deeply", "write it in a simpler way")

    def _any(self) -> Condition:
        parts = [self._all()]
        while self._take("or"):
            parts.append(self._all())
        return parts[0] if len(parts) == 1 else Condition("or", tuple(parts))

    def _all(self) -> Condition:
        parts = [self._part()]
        while self._take("and"):
            parts.append(self._part())
        return parts[0] if len(parts) == 1 else Condition("and", tuple(parts))

    def _part(self) -> Condition:
        if self._take("not"):
            self._deeper()
            return Condition("not", (self._part(),))
        if self.token == "(" and (inner := self._grouped()) is not None:
            return inner
        return self._comparison()

    def _grouped(self) -> Condition | None:
        """A condition in brackets; None (and nothing read) if the bracket is one of arithmetic."""
        saved = self.at, self.end, self.kind, self.token, self.depth
        self._deeper()
        self._next()
        try:
            inner = self._any()
        except UsageError:
            inner = None
        if inner is not None and self._take(")"):
            return inner
        self.at, self.end, self.kind, self.token, self.depth = saved
        return None

    def _comparison(self) -> Condition:
        start = self.at
        left = self._sum()
        sign = self._take(*_COMPARE)
        if not sign:
            self._refuse("a comparison is missing", "such as mae > 1.3 * baseline")
        right = self._sum()
        if self.token in _COMPARE:
            self._refuse("comparisons can't be chained", "join two by `and`")
        return _bound(self, Condition(sign, sides=(left, right), text=self.text[start : self.end].strip()))

    def _sum(self) -> Arithmetic:
        found = self._product()
        while sign := self._take("+", "-"):
            found = Arithmetic(sign, (found, self._product()))
        return found

    def _product(self) -> Arithmetic:
        found = self._factor()
        while sign := self._take("*", "/"):
            found = Arithmetic(sign, (found, self._factor()))
        return found

    def _factor(self) -> Arithmetic:
        self._deeper()
        try:
            if self._take("-"):
                return Arithmetic("neg", (self._factor(),))
            if self._take("("):
                return self._closed(self._sum())
            if self._take("abs"):
                if not self._take("("):
                    self._refuse("a bracket is missing", "write abs(bias)")
                return self._closed(Arithmetic("abs", (self._sum(),)))
            return self._single()
        finally:
            self.depth -= 1

    def _closed(self, inner: Arithmetic) -> Arithmetic:
        if not self._take(")"):
            self._refuse("a bracket is not closed", "close it: )")
        return inner

    def _single(self) -> Arithmetic:
        kind, token = self.kind, self.token
        if kind == "number":
            self._next()
            return Arithmetic(token, number=float(token))
        if kind != "name" or token in ("and", "or", "not"):
            self._refuse("a figure or a number is missing", "such as mae, baseline, coverage or 0.3")
        self._next()
        if token not in ("baseline", "usual"):
            return Arithmetic("name", name=Name("count" if token in COUNTS else "metric", token))
        if not self._take("("):
            return Arithmetic("name", name=Name(token, ""))
        metric, is_name = self.token, self.kind == "name" and self.token not in _KEYWORDS
        if not is_name:
            self._refuse("the name of a metric is missing", f"such as {token}(mae)")
        self._next()
        return self._closed(Arithmetic("name", name=Name(token, metric)))


def _bound(parser: _Parser, found: Condition) -> Condition:
    """The comparison with `baseline` and `usual` bound to the one metric that stands beside them."""
    names = list(found.names())
    metrics = {name.name for name in names if name.kind == "metric"}
    paired = any(name.kind == "baseline" for name in names)
    if any(not name.name for name in names) and len(metrics) != 1:
        bare = next(name.kind for name in names if not name.name)
        parser._refuse(f"it is not clear whose {bare} is meant", f"name the metric: {bare}(mae)")  # noqa: SLF001

    def bind(side: Arithmetic) -> Arithmetic:
        name = side.name
        if name is not None:
            name = Name(name.kind, name.name or next(iter(metrics)), paired and name.kind == "metric")
        return Arithmetic(side.sign, tuple(bind(part) for part in side.parts), side.number, name)

    left, right = found.sides or (Arithmetic("0"), Arithmetic("0"))
    return Condition(found.sign, sides=(bind(left), bind(right)), text=found.text)
