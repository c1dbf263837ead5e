"""What is asked of DynamoDB: names and values always beside the expression, never in it. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from trikk.core.errors import UsageError

_TABLE = re.compile(r"[A-Za-z0-9_.-]{3,255}|arn:aws[a-z-]*:dynamodb:[a-z0-9-]+:\d{12}:table/[A-Za-z0-9_.-]{3,255}")
_MOST_SEGMENTS = 256


def check_request(table: object, key: Mapping[str, object], segments: object) -> None:
    """Check a table's name, and that a scan in parts has no key.

    Raises:
        UsageError: if the name can't be one, or the segments are not 1 to 256, or stand beside a key.
    """
    if isinstance(table, str) and not _TABLE.fullmatch(table):
        raise UsageError(f"{table[:80]!r} can't be the name of a table", next="use 3 to 255 of A-Z a-z 0-9 _ . -")
    if isinstance(segments, int):
        if isinstance(segments, bool) or not 1 <= segments <= _MOST_SEGMENTS:
            raise UsageError(f"segments={segments} is out of range", next=f"use 1 to {_MOST_SEGMENTS}")
        if key and segments > 1:
            raise UsageError("a read by key has no segments", next="drop segments=, or key=")


@dataclass(slots=True)
class Expressions:
    """Collects names and values under placeholders."""

    names: dict[str, str] = field(default_factory=dict)  # `#0` and so on to attributes' names
    values: dict[str, Any] = field(default_factory=dict)  # `:0` and so on to values in DynamoDB's form

    def name(self, attribute: str) -> str:
        """The placeholder of an attribute's name."""
        for place, known in self.names.items():
            if known == attribute:
                return place
        place = f"#{len(self.names)}"
        self.names[place] = attribute
        return place

    def condition(self, attribute: str, wanted: object) -> str:
        """`#0 = :0`, or `#0 BETWEEN :0 AND :1` for a pair."""
        if isinstance(wanted, list | tuple):
            if len(wanted) != 2:
                raise UsageError(f"{attribute!r} has {len(wanted)} values", next="give one, or a pair (from, to)")
            low, high = (self._value(attribute, one) for one in wanted)
            return f"{self.name(attribute)} BETWEEN {low} AND {high}"
        return f"{self.name(attribute)} = {self._value(attribute, wanted)}"

    def _value(self, attribute: str, value: object) -> str:
        place = f":{len(self.values)}"
        self.values[place] = stored(attribute, value)
        return place


def request(
    table: str,
    *,
    index: str | None,
    key: Mapping[str, object],
    filters: Mapping[str, object],
    columns: Sequence[str] | None,
    consistent: bool,
) -> dict[str, Any]:
    """The arguments of a Query (if there is a key) or a Scan.

    Raises:
        UsageError: if a value has no form in DynamoDB.
    """
    expressions = Expressions()
    arguments: dict[str, Any] = {"TableName": table, "ConsistentRead": consistent}
    if index is not None:
        arguments["IndexName"] = index
    if key:
        arguments["KeyConditionExpression"] = " AND ".join(expressions.condition(n, v) for n, v in key.items())
    if filters:
        arguments["FilterExpression"] = " AND ".join(expressions.condition(n, v) for n, v in filters.items())
    if columns is not None:
        arguments["ProjectionExpression"] = ", ".join(expressions.name(column) for column in columns)
    if expressions.names:
        arguments["ExpressionAttributeNames"] = expressions.names
    if expressions.values:
        arguments["ExpressionAttributeValues"] = expressions.values
    return arguments


def stored(attribute: str, value: object) -> dict[str, object]:
    """A plain value in DynamoDB's form; a date is its ISO text.

    Raises:
        UsageError: if it has none.
    """
    # Before numbers, as True is an int; and a number that is not finite has no form.
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bytes):
        return {"B": value}
    if isinstance(value, date):
        return {"S": value.isoformat()}
    raise UsageError(
        f"{attribute!r} can't be compared with this {type(value).__name__}", next="give a number, a text or a date"
    )
