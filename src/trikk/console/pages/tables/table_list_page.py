"""All tables: how much is in them, and when each was last written."""

from __future__ import annotations

from dataclasses import asdict
from functools import lru_cache
from typing import Any

from trikk.console.page_view import Sheet, View
from trikk.core.errors import TableError, UnknownName
from trikk.server.http.doors import Doors
from trikk.server.http.paging import PageQuery, names_page
from trikk.server.http.routes import Call
from trikk.storage.tables.admin import TableInfo
from trikk.storage.tables.versioned_tables import Tables


class TableListQuery(PageQuery, frozen=True, kw_only=True):
    """Which part of the list is wanted."""

    limit: int = 50


def show_tables(doors: Doors, call: Call) -> View:
    """List the project's tables; one that can't be read says so, and hides no other."""
    store, now = doors.site.project.tables, doors.site.clock.now()
    names, cursor = names_page(store.names(), call.query)
    document = {"tables": [_described(store, name) for name in names], "next": cursor}
    return View(
        "Tables",
        "tables/table_list.html.j2",
        document,
        {"now": now},
        {"tables": lambda: _sheet(store)},
        live="project",
        commands=(("Load files into a table", "trikk ingest TABLE FILE"),),
    )


def _described(store: Tables, name: str) -> dict[str, Any]:
    try:
        return asdict(_at(store, name, store.version(name), store.written(name)))
    except (TableError, UnknownName) as error:
        return {"name": name, "trouble": error.what}


@lru_cache(maxsize=512)
def _at(store: Tables, name: str, version: int | None, written: float) -> TableInfo:
    """A version, which never changes, so that a list that follows changes opens only what is new.

    Of a table that was removed and made anew, a version was written at another time.
    """
    del written
    return store.describe(name, version, history=1)


def _sheet(store: Tables) -> Sheet:
    columns = ("name", "rows", "columns", "bytes", "files", "version", "written")
    tables = (_described(store, name) for name in store.names())
    shown = ({**t, "columns": len(t["columns"])} if "columns" in t else t for t in tables)
    return Sheet(columns, ([table.get(column) for column in columns] for table in shown))
