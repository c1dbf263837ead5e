"""What a parameter search tries: values to choose from and ranges, read from a command line's texts. Pure.

learning_rate=0.05,0.1,0.2      choices
weeks=4..20                     a range of whole numbers, ends included
learning_rate=log:0.001..0.1    a range on a logarithmic scale
names=["a,b","c"]               choices as JSON, where a comma belongs to a value
days=[[1,2],[3]]                choices for a parameter that is a list; days=1,2 is one list
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trikk.core.errors import ParameterError, UnknownName
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.pipeline.graph import ParameterSpec
from trikk.pipeline.parameters.parameter_kinds import Kind

_RANGE = re.compile(r"(?P<log>log:)?(?P<low>[^.\s][^\s]*?)\.\.(?P<high>[^\s]+)\Z")
MOST_TRIALS = 10_000


class Choices(Record, frozen=True, rename={"values": "choices"}):
    """Values to choose from, as the JSON of the parameter's kind; at least two."""

    values: tuple[Any, ...]


class Range(Record, frozen=True):
    """Numbers from `low` to `high`, both included; `whole` numbers only; on a logarithmic scale if `log`."""

    low: float
    high: float
    whole: bool
    log: bool


@dataclass(frozen=True, slots=True)
class Space:
    """What is searched, and the parameters that stay the same, each by the parameter's name."""

    searched: dict[str, Choices | Range] = field(default_factory=dict)
    fixed: dict[str, JSON] = field(default_factory=dict)

    def to_json(self) -> dict[str, JSON]:
        """The space as JSON."""
        return {"searched": {name: part.to_json() for name, part in self.searched.items()}, "fixed": self.fixed}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Space:
        """The space that `to_json` wrote."""
        searched: dict[str, Choices | Range] = {
            name: Choices(tuple(part["choices"])) if "choices" in part else Range(**part)
            for name, part in data["searched"].items()
        }
        return cls(searched, dict(data["fixed"]))


def read_space(specs: Sequence[ParameterSpec], given: Mapping[str, str]) -> Space:
    """Read what a user wrote for each parameter.

    Raises:
        UnknownName: if the pipeline has no such parameter.
        ParameterError: if a text does not fit, or nothing is searched.
    """
    known = {spec.name: spec.kind for spec in specs}
    space = Space()
    for name, text in given.items():
        if name not in known:
            raise UnknownName("parameter", name, known)
        try:
            part = _read(known[name], text)
        except ParameterError as error:
            error.where = error.where or f"-p {name}={text}"
            raise
        if isinstance(part, Choices | Range):
            space.searched[name] = part
        else:
            space.fixed[name] = part[0]
    if not space.searched:
        raise ParameterError(
            "there is nothing to search", next="give several values: -p learning_rate=0.05,0.1,0.2"
        )
    return space


def grid(space: Space) -> list[dict[str, JSON]]:
    """Every combination, the last parameter changing fastest.

    Raises:
        ParameterError: if there is a range, or there are more than 10,000.
    """
    ranges = [name for name, part in space.searched.items() if isinstance(part, Range)]
    if ranges:
        raise ParameterError(
            f"{ranges[0]} is a range, which a grid can't go through",
            next=f"list its values: -p {ranges[0]}=A,B,C, or search with --optuna N",
        )
    values = [part.values for part in space.searched.values() if isinstance(part, Choices)]
    count = math.prod(len(v) for v in values)
    if count > MOST_TRIALS:
        raise ParameterError(f"that makes {count:,} runs", next="give fewer values, or search with --optuna N")
    return [dict(zip(space.searched, combination, strict=True)) for combination in itertools.product(*values)]


def _read(kind: Kind, text: str) -> Choices | Range | tuple[JSON]:
    """Choices, a range, or the one value that it is."""
    inner = kind.of if kind.name == "optional" and kind.of else kind
    if inner.name in ("int", "float") and (match := _RANGE.match(text)):
        return _range(inner, match)
    if inner.name == "list":
        values = [kind.check(v) for v in _json(text)] if re.match(r"\s*\[\s*\[", text) else [kind.from_text(text)]
    elif text.lstrip().startswith("["):
        values = [kind.check(v) for v in _json(text)]
    else:
        values = [kind.from_text(part.strip() if "," in text else part) for part in text.split(",")]
    distinct = list({json.dumps(value): value for value in values}.values())
    if not distinct:
        raise ParameterError("there is no value", next="give one or several")
    return (distinct[0],) if len(distinct) == 1 else Choices(tuple(distinct))


def _range(kind: Kind, match: re.Match[str]) -> Range:
    low: Any = kind.from_text(match["low"])
    high: Any = kind.from_text(match["high"])
    log = match["log"] is not None
    if low >= high:
        raise ParameterError(f"{match[0]} is not a range", next="give the smaller number first")
    if log and low <= 0:
        raise ParameterError(f"{match[0]} has no logarithm", next="begin above 0")
    return Range(low, high, kind.name == "int", log)


def _json(text: str) -> list[Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ParameterError(f"{text!r} is not JSON: {error}", next="give a list such as [1, 2]") from error
    if not isinstance(values, list):
        raise ParameterError(f"{text!r} is not a list", next="give a list such as [1, 2]")
    return values
