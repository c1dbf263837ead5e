"""The small language of alarms, read from left to right into a tree. Nothing of it is ever given to Python.

condition   alternative {"or" alternative}
alternative part {"and" part}
part        "not" part | "(" condition ")" | comparison
comparison  sum (">" | ">=" | "<" | "<=" | "==" | "!=") sum
sum         product {("+" | "-") product}
product     factor {("*" | "/") factor}
factor      number | "-" factor | figure | "abs" "(" sum ")" | "(" sum ")"
figure      metric | count | ("baseline" | "usual" | "estimated") ["(" metric ")"]
metric      name ["[" class "]"]
class       a text whose square brackets are closed, or any text in quotes (a quote in it after a backslash)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import NoReturn

from trikk.alerts.rules.rule_condition import COMPARE, COUNTS, Arithmetic, Condition, Name, Source
from trikk.core.errors import UsageError
from trikk.models.metrics.own_metric import short

_TOKEN = re.compile(
    r"(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])"
    r"|(?P<name>[A-Za-z_](?:\w|\.(?=\w))*(?::\w+(?:\.\w+)*)?)"
    r"|(?P<sign>>=|<=|==|!=|[-+*/()<>])",
    re.ASCII,
)
_QUOTED = re.compile(r"""\s*(?P<quote>["'])(?P<text>(?:\\.|(?!(?P=quote))[^\\])*)(?P=quote)\s*\]""", re.DOTALL)
_LOGIC = ("and", "or", "not")
_COMPARED = (Source.BASELINE, Source.USUAL, Source.ESTIMATED)
_DEEPEST = 50  # brackets, `not` and signs within each other: what people write has three
_LONGEST = 1000  # characters; also bounds how deep a sum of many terms is when it is worked out


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a condition."""

    kind: str  # number, name, sign or end
    text: str  # as it is written; of a metric of a class without quotes: f1[two words]
    at: int  # where it begins


# A look parses each rule's condition for each slice and window; a backtest for each number, too.
@functools.lru_cache(maxsize=1024)
def parse(text: str) -> Condition:
    """Read a condition.

    Raises:
        UsageError: if it is not one; it names the character, and `where` points at it.
    """
    return _Parser(text).whole()


def tokens(text: str) -> Iterator[Token]:
    """The words of a condition, and one for its end.

    Raises:
        UsageError: if a character can't stand there.
    """
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is not None:
            kind, begin, at = str(match.lastgroup), at, match.end()
            label = ""
            if kind == "name" and text.startswith("[", at):
                label, at = _label(text, at + 1)
            yield Token(kind, match[0] + label, begin)
        elif text[at].isspace():
            at += 1
        else:
            _refuse(text, at, f"{text[at]!r} is not understood", "use figures, numbers and + - * /")
    yield Token("end", "", len(text))


def written_name(metric: str) -> str:
    """A metric's name as a condition has it: a class whose name is not clear without quotes stands in quotes."""
    name, bracket, label = metric.partition("[")
    label = label[:-1]
    is_plain = label == label.strip() and label[:1] not in ("", '"', "'") and _closing(metric, len(name) + 1)
    if not bracket or is_plain == len(metric) - 1:
        return metric
    quoted = label.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}["{quoted}"]'


def _label(text: str, at: int) -> tuple[str, int]:
    """The class, in brackets, whose name begins at a place; and where its brackets end."""
    if quoted := _QUOTED.match(text, at):
        label = re.sub(r"\\(.)", r"\1", quoted["text"], flags=re.DOTALL)
        return f"[{label}]", quoted.end()
    label = text[at : _closing(text, at)].strip()
    if not label or label[0] in "\"'":
        _refuse(text, at, "the name of a class is missing, or has no end", 'write f1[leak], or f1["a]b"]')
    return f"[{label}]", _closing(text, at) + 1


def _closing(text: str, at: int) -> int:
    """Where the bracket closes that opened before a place; the place itself if none does."""
    depth = 1
    for end in range(at, len(text)):
        depth += (text[end] == "[") - (text[end] == "]")
        if not depth:
            return end
    return at


def _refuse(text: str, at: int, problem: str, mend: str) -> NoReturn:
    raise UsageError(
        f"the condition {text!r} is wrong at character {at + 1}: {problem}",
        where=f"{text[:at]}[HERE] {text[at:]}".strip(),  # no sign of the language: `mae >> 1.3` has > of its own
        next=mend,
    )


class _Parser:
    """Reads one text; a method for each line of the grammar."""

    def __init__(self, text: str) -> None:
        if len(text) > _LONGEST:
            raise UsageError(f"a condition has {len(text)} characters", next=f"use at most {_LONGEST}")
        self.text = text
        # All tokens at once, as a bracket has to be looked into before it is known what it holds.
        self.tokens = list(tokens(text))
        self.at = 0
        self.depth = 0

    def whole(self) -> Condition:
        condition = self._any()
        if self._now.kind != "end":
            self._stop(f"{self._now.text!r} is not expected here", "join conditions by `and` or `or`")
        return condition

    @property
    def _now(self) -> Token:
        return self.tokens[self.at]

    def _stop(self, problem: str, mend: str) -> NoReturn:
        _refuse(self.text, self._now.at, problem, mend)

    def _take(self, *texts: str) -> str:
        """The token if it is one of these, which is then behind us; "" if not."""
        token = self._now
        if token.kind == "end" or token.text not in texts:
            return ""
        self.at += 1
        return token.text

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._stop("this is nested too deeply", "write it in a simpler way")

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
        self._deeper()
        try:
            if self._take("not"):
                return Condition("not", (self._part(),))
            # "(a > 1) and b" and "(a + 1) > b" begin alike.
            if self._now.text == "(" and self._holds_condition():
                self._take("(")
                condition = self._any()
                self._close()
                return condition
            return self._comparison()
        finally:
            self.depth -= 1

    def _holds_condition(self) -> bool:
        """Whether the bracket that opens here has a comparison in it, rather than arithmetic."""
        depth = 0
        for token in self.tokens[self.at :]:
            depth += (token.text == "(") - (token.text == ")")
            if token.text in COMPARE or token.text in _LOGIC:
                return True
            if depth == 0:
                return False
        return False

    def _comparison(self) -> Condition:
        start = self._now.at
        left = self._sum()
        sign = self._take(*COMPARE)
        if not sign:
            self._stop("a comparison is missing", "such as mae > 1.3 * baseline")
        right = self._sum()
        if self._now.text in COMPARE:
            self._stop("comparisons can't be chained", "join two by `and`")
        text = self.text[start : self._now.at].strip()
        left, right = self._bound(left, right, start)
        return Condition(sign, sides=(left, right), text=text)

    def _sum(self) -> Arithmetic:
        total = self._product()
        while sign := self._take("+", "-"):
            total = Arithmetic(sign, (total, self._product()))
        return total

    def _product(self) -> Arithmetic:
        product = self._factor()
        while sign := self._take("*", "/"):
            product = Arithmetic(sign, (product, self._factor()))
        return product

    def _factor(self) -> Arithmetic:
        self._deeper()
        try:
            if self._take("-"):
                return Arithmetic("neg", (self._factor(),))
            if self._take("("):
                return self._closed(self._sum())
            if self._now.text == "abs":
                self.at += 1
                if not self._take("("):
                    self._stop("a bracket is missing", "write abs(bias)")
                return self._closed(Arithmetic("abs", (self._sum(),)))
            return self._single()
        finally:
            self.depth -= 1

    def _close(self) -> None:
        if not self._take(")"):
            self._stop("a bracket is not closed", "close it: )")

    def _closed(self, inner: Arithmetic) -> Arithmetic:
        self._close()
        return inner

    def _single(self) -> Arithmetic:
        token = self._now
        if token.kind == "number":
            self.at += 1
            return Arithmetic(token.text, number=float(token.text))
        if token.kind != "name" or token.text in _LOGIC:
            self._stop("a figure or a number is missing", "such as mae, baseline, coverage or 0.3")
        self.at += 1
        if token.text not in _COMPARED:
            kind = Source.COUNT if token.text in COUNTS else Source.METRIC
            return Arithmetic("name", name=Name(kind, short(token.text)))
        if not self._take("("):
            return Arithmetic("name", name=Name(Source(token.text), ""))
        metric = self._now
        if metric.kind != "name" or metric.text in (*_LOGIC, *_COMPARED, "abs"):
            self._stop("the name of a metric is missing", f"such as {token.text}(mae)")
        self.at += 1
        return self._closed(Arithmetic("name", name=Name(Source(token.text), short(metric.text))))

    def _bound(self, left: Arithmetic, right: Arithmetic, start: int) -> tuple[Arithmetic, Arithmetic]:
        """Both sides, with `baseline`, `usual` and `estimated` bound to the one metric that stands beside them."""
        names = [*left.names(), *right.names()]
        metrics = {name.name for name in names if name.kind in (Source.METRIC, Source.ESTIMATED) and name.name}
        # `baseline` beside two metrics could mean either of them, and nobody would see which was taken.
        bare = next((name.kind for name in names if not name.name), "")
        if bare and len(metrics) != 1:
            _refuse(self.text, start, f"it is not clear whose {bare} is meant", f"name the metric: {bare}(mae)")
        kinds = {name.kind for name in names}
        paired = {Source.METRIC} if Source.BASELINE in kinds else set()
        paired |= {Source.ESTIMATED} if kinds & {Source.METRIC, Source.BASELINE} else set()
        only, beside = next(iter(metrics), ""), bool(kinds & {Source.BASELINE, Source.USUAL})
        return _bind(left, only, paired, beside=beside), _bind(right, only, paired, beside=beside)


def _bind(side: Arithmetic, metric: str, paired: AbstractSet[Source], *, beside: bool) -> Arithmetic:
    name = side.name
    if name is not None:
        name = Name(name.kind, name.name or metric, name.kind in paired, beside and name.kind != Source.COUNT)
    parts = tuple(_bind(part, metric, paired, beside=beside) for part in side.parts)
    return replace(side, parts=parts, name=name)
