"""Some rows of a table: those that meet conditions, sorted, at a version; of a wide table some of its columns."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from trikk.console.page_view import Sheet
from trikk.console.pages.tables.table_query import TableQuery
from trikk.core.errors import ParameterError, UsageError
from trikk.core.zones import moment_named
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Call
from trikk.storage.shown_rows import as_shown
from trikk.storage.tables.admin import TableInfo
from trikk.storage.tables.row_filter import Comparison, Condition, some_rows

_ROWS, _ACROSS = 50, 20
_IN_A_SHEET = 10_000  # rows
_NUMBERS = ("Int", "UInt", "Float", "Decimal")  # types of columns, as they begin
_EMPTY, _FILLED = "is empty", "is not empty"
COMPARISONS = (*map(str, Comparison), _EMPTY, _FILLED)


def rows_tab(doors: Doors, call: Call, info: TableInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """The rows, and what the form and the links around them need."""
    query: TableQuery = call.query
    wanted = columns_named(info, query.named)
    columns = wanted[query.across : query.across + _ACROSS]
    zone = ZoneInfo(doors.site.project.settings.timezone)
    conditions: list[Condition] = []
    trouble, count = None, None
    rows: list[dict[str, Any]] = []
    try:
        conditions = _conditions(query, info, zone)
        with at_length("tables are being read"):
            scan = doors.site.project.tables.scan(info.name, info.version)
            shown = as_shown(scan.collect_schema(), columns)
            count, rows = some_rows(scan, conditions, query.sort, query.offset, _ROWS, shown)
    except ParameterError as error:
        trouble = {"what": error.what, "next": error.next}
    total = info.rows if count is None else count
    document = {
        "columns": columns,
        "count": total if trouble is None else None,
        "rows": rows,
        "conditions": [condition.to_json() for condition in conditions],
        "trouble": trouble,
    }
    context = {
        "comparisons": COMPARISONS,
        "conditions": [(_words(c), _without(conditions, place)) for place, c in enumerate(conditions)],
        "where": _where(conditions),
        "sort": query.sort or "",
        "numeric": {
            name for name in columns if info.columns[name].startswith(("Int", "UInt", "Float", "Decimal"))
        },
        "zoned": {name for name in columns if is_zoned(info.columns[name])},
        "first": query.offset + 1,
        "next_rows": query.offset + _ROWS if query.offset + _ROWS < total else None,
        "rows_before": max(0, query.offset - _ROWS) if query.offset else None,
        "wanted": len(wanted),
        "next_columns": query.across + _ACROSS if query.across + _ACROSS < len(wanted) else None,
        "columns_before": max(0, query.across - _ACROSS) if query.across else None,
    }
    return document, context


def row_sheet(doors: Doors, call: Call, info: TableInfo) -> Sheet:
    """The rows that meet the conditions, as far as a sheet goes, with all columns that are asked for."""
    query: TableQuery = call.query
    columns, zone = columns_named(info, query.named), ZoneInfo(doors.site.project.settings.timezone)
    with at_length("tables are being read"):
        scan = doors.site.project.tables.scan(info.name, info.version)
        shown = as_shown(scan.collect_schema(), columns)
        _, rows = some_rows(scan, _conditions(query, info, zone), query.sort, query.offset, _IN_A_SHEET, shown)
    return Sheet(columns, ([row[column] for column in columns] for row in rows))


def columns_named(info: TableInfo, piece: str | None) -> list[str]:
    """The columns with a piece of text in their names, whatever the case; all without one."""
    return [name for name in info.columns if piece is None or piece.lower() in name.lower()]


def _conditions(query: TableQuery, info: TableInfo, zone: tzinfo) -> list[Condition]:
    """Those of the address, and the one that the form adds to them: its moments are those of the project's clock.

    Raises:
        ParameterError: if they are none.
    """
    try:
        conditions = msgspec.json.decode(query.where, type=list[Condition]) if query.where else []
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ParameterError(
            f"the conditions can't be read: {error}", next="take them away, and filter anew"
        ) from error
    if query.column is None or query.comparison is None:
        return conditions
    if query.comparison not in COMPARISONS:
        raise ParameterError(
            f"{query.comparison!r} compares nothing", next=f"choose one of {', '.join(COMPARISONS)}"
        )
    if query.comparison in (_EMPTY, _FILLED):
        comparison = Comparison.EQUAL if query.comparison == _EMPTY else Comparison.UNEQUAL
        return [*conditions, Condition(query.column, comparison, None)]
    value = query.value or ""
    if is_zoned(info.columns.get(query.column, "")):
        with suppress(UsageError):  # it is said below what it is compared with
            value = moment_named(value, zone).astimezone(zone).isoformat()
    return [*conditions, Condition(query.column, Comparison(query.comparison), value)]


def is_zoned(dtype: str) -> bool:
    """Whether a column of a type, by polars' name, holds moments rather than times of some clock."""
    return dtype.startswith("Datetime(") and "time_zone='" in dtype


def _where(conditions: list[Condition]) -> str | None:
    return json.dumps([[c.column, c.comparison, c.value] for c in conditions]) if conditions else None


def _without(conditions: list[Condition], place: int) -> str | None:
    return _where(conditions[:place] + conditions[place + 1 :])


def _words(condition: Condition) -> str:
    if condition.value is None:
        return f"{condition.column} {_EMPTY if condition.comparison == Comparison.EQUAL else _FILLED}"
    return f"{condition.column} {condition.comparison} {condition.value}"
