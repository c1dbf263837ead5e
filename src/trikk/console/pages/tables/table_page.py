"""One table: its rows at a version, its columns, how it grew, and who wrote and read each version."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from typing import Any

from markupsafe import Markup

from trikk.console.page_view import Sheet, View
from trikk.console.pages.tables.table_columns import columns_tab
from trikk.console.pages.tables.table_history import readers_tab, version_sheet, versions_tab
from trikk.console.pages.tables.table_query import TableQuery
from trikk.console.pages.tables.table_rows import row_sheet, rows_tab
from trikk.console.shown_values import NONE, moment
from trikk.core.errors import TableError, TrikkError, UnknownName
from trikk.core.text import printable, shorten
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call
from trikk.storage.tables.admin import TableInfo

_LONGEST_CELL = 40  # characters
_TABS: dict[str, Callable[[Doors, Call, TableInfo], tuple[dict[str, Any], dict[str, Any]]]] = {
    "rows": rows_tab,
    "columns": columns_tab,
    "versions": versions_tab,
    "readers": readers_tab,
}


def show_table_page(doors: Doors, call: Call) -> View:
    """Show a table."""
    query: TableQuery = call.query
    name, store = call.path["table"], doors.site.project.tables
    if name not in store.names():
        raise UnknownName("table", name, store.names())
    here = f"/tables/{name}"
    document: dict[str, Any] = {"table": {"name": name}, "trouble": None}
    context: dict[str, Any] = {
        "here": here,
        "tab": query.tab,
        "tabs": list(_TABS),
        "at": query.version,
        "cell": partial(cell, zone=doors.site.project.settings.timezone),
    }
    sheets: dict[str, Callable[[], Sheet]] = {}
    try:
        info = store.describe(name, query.version, history=1)
        document["table"] = asdict(info)
        sheets = {
            "rows": lambda: row_sheet(doors, call, info),
            "versions": lambda: version_sheet(doors, name),
        }
        document[query.tab], pictures = _TABS[query.tab](doors, call, info)
        context |= pictures
    except TableError as error:  # VersionMissing, which is one, is answered as it is by the API
        if isinstance(error, UnknownName) or error.code == "version-missing":
            raise
        document["trouble"] = _said(error)
    return View(
        name,
        "tables/table.html.j2",
        document,
        context,
        sheets,
        (("Tables", "/tables"),),
        # What takes seconds to be read anew is not, with each change of anything.
        "" if query.tab == "columns" or query.sort or query.where or query.column else "project",
        (
            ("Show it", f"trikk tables {name}"),
            ("Show rows", f"trikk tables {name} --where \"COLUMN = 'VALUE'\" --rows 50"),
        ),
    )


def cell(value: Any, zone: str, *, is_moment: bool = False) -> str | Markup:
    """A value of a row on one line; where that leaves something out, the whole is shown when pointed at."""
    if value is None:
        return NONE
    if is_moment:
        with suppress(ValueError, OverflowError):  # what no calendar has is a number
            return moment(value, zone=zone)
    whole = printable(str(value))
    short = f"{value:.6g}" if isinstance(value, float) else shorten(whole, _LONGEST_CELL)
    return short if short == whole else Markup('<span title="{}">{}</span>').format(whole, short)


def _said(error: TrikkError) -> dict[str, Any]:
    return {"what": error.what, "where": error.where, "next": error.next}
