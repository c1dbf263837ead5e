"""Rows as items of a DynamoDB table: all are checked before the first is sent, and each is known by its key.

The service has no transaction over many items. So a write that breaks off leaves whole items, never halves of one,
and the next attempt puts every item again under its key, which changes nothing in those that are there.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from itertools import islice
from typing import Any

import polars as pl

from trikk.core.errors import CodecError, PermanentError, StorageError, TableError
from trikk.core.values import JSON
from trikk.runs.context import current_step
from trikk.steps.amazon.credentials import check_access
from trikk.steps.amazon.dynamodb_items import asked, open_client
from trikk.steps.amazon.dynamodb_request import check_request, stored
from trikk.storage.frames import rows_of
from trikk.storage.row_batches import batches
from trikk.storage.tables.merge_keys import check_keys
from trikk.storage.tables.types import storable

Item = dict[str, Any]
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
_LARGEST = 400 * 1024  # bytes of an item, names and values
_KEY_BYTES = {"HASH": 2048, "RANGE": 1024}
_DIGITS = 38
_AT_ONCE = 25  # items of a request
_REQUESTS = 8  # at once
_ROWS = 5_000  # between two looks at the source
_ATTEMPTS = 12  # of what the service has not taken; with their pauses about a minute
_LONGEST_PAUSE = 10.0  # seconds


def write_items(
    rows: Any,
    table: str,
    profile: str | None = None,
    role: str | None = None,
    endpoint: str | None = None,
    region: str | None = None,
) -> dict[str, JSON]:
    """Put each row as an item; as `trikk.write_dynamodb`, which is a step of it.

    Returns:
        `table` and `items`, how many were put.

    Raises:
        PermanentError: if a row can't be an item of the table: it is named, and nothing was written.
        StorageError: if the service refuses, throttles for too long or is away; items that were put stay.
        UsageError: if there is no such table.
        MissingExtra: if boto3 is not installed.
    """
    context = current_step()
    if context is not None and context.dry:
        raise PermanentError("a replay does not write items", next="take the result of the first run")
    check_request(table, {}, 1)
    check_access(profile, role, endpoint, region)
    client = open_client(profile, role, endpoint, region)
    about = asked(client.describe_table, {"TableName": table})["Table"]
    kinds = {part["AttributeName"]: part["AttributeType"] for part in about["AttributeDefinitions"]}
    key = {part["AttributeName"]: (kinds[part["AttributeName"]], part["KeyType"]) for part in about["KeySchema"]}
    lazy = _rows(rows, key, table)
    count = sum(1 for _ in _items(lazy, key, table))
    with ThreadPoolExecutor(_REQUESTS) as pool:
        left = _items(lazy, key, table)
        while piece := list(islice(left, _ROWS)):  # not all at once: a pool takes in everything that it is given
            requests = [piece[start : start + _AT_ONCE] for start in range(0, len(piece), _AT_ONCE)]
            list(pool.map(lambda items: _put(client, table, items), requests))
    if context is not None:
        context.notes.append(f"{count:,} items into {table}")
    return {"table": table, "items": count}


def _rows(rows: Any, key: Mapping[str, tuple[str, str]], table: str) -> pl.LazyFrame:
    where = f"the rows for {table}"
    try:
        lazy = storable(rows_of(rows).lazy(), where=where)
        known = [name for name in key if name in lazy.collect_schema()]
        check_keys(lazy.select(known).collect(), tuple(key), unique=True, where=where)
    except (CodecError, TableError) as error:
        raise PermanentError(error.what, where=error.where, next=error.next) from None
    return lazy


def _items(rows: pl.LazyFrame, key: Mapping[str, tuple[str, str]], table: str) -> Iterator[Item]:
    """Each row as an item, in their order; PermanentError for the first that can't be one."""
    number = 0
    for batch in batches(rows, _ROWS):
        for row in batch.iter_rows(named=True):
            try:
                item = {name: _attribute(value) for name, value in row.items() if value is not None}
                _check(item, key)
            except ValueError as error:
                raise PermanentError(
                    f"row {number} can't be an item: {error}",
                    where=f"table {table}",
                    next="mend the row, or leave a column out; nothing was written",
                ) from None
            number += 1
            yield item


def _attribute(value: Any) -> dict[str, Any]:
    """A value in DynamoDB's form; ValueError if it has none."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, dict):
        return {"M": {name: _attribute(inner) for name, inner in value.items()}}
    if isinstance(value, list):
        return {"L": [_attribute(inner) for inner in value]}
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return {"N": _number(value)}
    return stored("", value)


def _number(value: float | Decimal) -> str:
    text = format(value, "f") if isinstance(value, Decimal) else repr(value)
    number = Decimal(text)
    if not number.is_finite():
        raise ValueError(f"{text} is no number to DynamoDB")
    if number and (len(number.normalize().as_tuple().digits) > _DIGITS or not -130 <= number.adjusted() <= 125):
        raise ValueError(f"{text} is beyond DynamoDB's numbers: {_DIGITS} digits, up to 10^126")
    return text


def _size(attribute: Mapping[str, Any]) -> int:
    """The bytes that a value counts as.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
    """
    [(kind, value)] = attribute.items()
    if kind == "S":
        return len(value.encode())
    if kind == "B":
        return len(value)
    if kind == "N":
        return len(value.lstrip("-").replace(".", "")) // 2 + 2  # two digits a byte, and one; at most that
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + _size(inner) for name, inner in value.items())
    return 3 + sum(1 + _size(inner) for inner in value) if kind == "L" else 1


def _check(item: Item, key: Mapping[str, tuple[str, str]]) -> None:
    """Check an item's size and its key; ValueError if they can't be such."""
    size = sum(len(name.encode()) + _size(value) for name, value in item.items())
    if size > _LARGEST:
        raise ValueError(f"it is an item of {size:,} bytes, and DynamoDB takes {_LARGEST:,}")
    for name, (kind, role) in key.items():
        [given] = item[name]
        if given != kind:
            raise ValueError(f"its key {name!r} is of kind {given}, and the table's is {kind}")
        if kind != "N" and not 0 < _size(item[name]) <= _KEY_BYTES[role]:
            raise ValueError(f"its key {name!r} is empty, or longer than {_KEY_BYTES[role]:,} bytes")


def _put(client: Any, table: str, items: list[Item]) -> None:
    """Put some items; those that the service hands back are sent again after growing, random pauses."""
    waiting = {table: [{"PutRequest": {"Item": item}} for item in items]}
    for attempt in range(_ATTEMPTS):
        answer = asked(client.batch_write_item, {"RequestItems": waiting}, where=table, verb="written")
        waiting = answer.get("UnprocessedItems") or {}
        if not waiting:
            return
        time.sleep(random.uniform(0.5, 1) * min(_LONGEST_PAUSE, 0.05 * 2**attempt))  # noqa: S311
    raise StorageError(
        f"DynamoDB does not take {len(waiting[table])} items: it throttles the table",
        where=f"table {table}",
        next="what was put stays; try again, which puts each item once more under its key, or raise the capacity",
    )
