"""A table's columns: their types, and of one that is chosen what is in it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from markupsafe import Markup

from trikk.charts.bar_charts import Bar, ranked_bars
from trikk.console.pages.tables.table_query import TableQuery
from trikk.console.pages.tables.table_rows import columns_named, is_zoned
from trikk.console.shown_values import number
from trikk.core.errors import ParameterError
from trikk.core.text import printable, shorten
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Call
from trikk.storage.shown_rows import ColumnSummary, column_summary
from trikk.storage.tables.admin import TableInfo

_MOST = 200  # columns at once


def columns_tab(doors: Doors, call: Call, info: TableInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """The columns, and a summary of one."""
    query: TableQuery = call.query
    wanted = columns_named(info, query.named)
    names = wanted[query.across : query.across + _MOST]
    summary, trouble, picture = None, None, ""
    if query.column is not None:
        try:
            with at_length("tables are being read"):
                rows = doors.site.project.tables.scan(info.name, info.version)
                found = column_summary(rows, query.column)
            summary, picture = asdict(found), _picture(found)
        except ParameterError as error:
            trouble = {"what": error.what, "next": error.next}
    document = {"columns": {name: info.columns[name] for name in names}, "summary": summary, "trouble": trouble}
    context = {
        "wanted": len(wanted),
        "picture": picture,
        "is_zoned": summary is not None and is_zoned(summary["dtype"]),
        "next_columns": query.across + _MOST if query.across + _MOST < len(wanted) else None,
        "columns_before": max(0, query.across - _MOST) if query.across else None,
    }
    return document, context


def _picture(summary: ColumnSummary) -> str:
    """How its values are spread, or the most frequent of them."""
    name = printable(summary.column)
    bins = [(f"{number(low)} to {number(high)}", rows) for low, high, rows in summary.bins]
    values = [(shorten(printable(value), 40) or "(blank)", rows) for value, rows in summary.values]
    label = f"How values of {name} are spread" if bins else f"The most frequent values of {name}"
    bars = [Bar(text, rows, f"{rows:,}") for text, rows in bins or values]
    return Markup(ranked_bars(bars, label)) if bars else ""  # noqa: S704 - it escapes what it is given
