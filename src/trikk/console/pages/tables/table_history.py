"""A table's past: its versions, how many rows it had, and the runs that were locked to it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from trikk.charts.line_chart import Lines, Point, Series, line_chart
from trikk.console.page_view import Sheet
from trikk.console.pages.tables.table_query import TableQuery
from trikk.core.errors import TrikkError
from trikk.core.text import counted
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.data_handlers import list_readers
from trikk.server.http.paging import PageQuery, number_cursor
from trikk.server.http.routes import Call
from trikk.storage.tables.admin import TableInfo, VersionWrite
from trikk.storage.tables.versioned_tables import Tables

_VERSIONS, _READERS = 50, 50
_IN_A_SHEET = 10_000  # versions
_OPENED = 12  # versions, for the picture of all


def versions_tab(doors: Doors, call: Call, info: TableInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """Versions, the newest first, with how many rows the table had at each."""
    query: TableQuery = call.query
    store = doors.site.project.tables
    before = number_cursor(query.cursor)
    if before is None and query.version is not None:
        before = query.version + 1
    writes = store.versions(info.name, _VERSIONS, before)
    counts = _row_counts(store, info.name, writes)
    rows = [{**asdict(write), "total": counts.get(write.version)} for write in writes]
    oldest = writes[-1].version if writes else 0
    document = {"versions": rows, "next": str(oldest) if oldest else None}
    return document, {"picture": _growth(doors, info.name, writes, counts)}


def _row_counts(store: Tables, name: str, writes: Sequence[VersionWrite]) -> dict[int, int]:
    """How many rows the table had at each version, backwards, up to one that did more than append."""
    if not writes:
        return {}
    total, counts = store.row_count(name, writes[0].version), dict[int, int]()
    for write in writes:
        counts[write.version] = total
        if write.mode != "append" or write.rows is None:
            break
        total -= write.rows
    return counts


def _growth(doors: Doors, name: str, writes: Sequence[VersionWrite], counts: dict[int, int]) -> str:
    """Rows over all versions: some are opened, evenly spread, as the log alone does not tell of merges."""
    store, newest = doors.site.project.tables, writes[0].version if writes else 0
    moments = {write.version: (write.at, counts[write.version]) for write in writes if write.version in counts}
    for step in range(_OPENED):
        version = newest * step // _OPENED
        if version not in moments:
            with suppress(FileNotFoundError):  # another program has put the older entries into a checkpoint
                at = store.written(name, version)
                moments[version] = (at, _rows_at(store, name, version, at))
    if len(moments) < 2:
        return ""
    points = [
        Point(
            at, rows, href=f"/tables/{name}?version={version}", title=f"version {version}: {counted(rows, 'row')}"
        )
        for version, (at, rows) in sorted(moments.items())
    ]
    zone = ZoneInfo(doors.site.project.settings.timezone)
    lines = Lines(f"Rows of {name} over time", [Series("rows", points)], zone=zone, zero=True)
    return Markup(line_chart(lines, height=180))  # noqa: S704 - it escapes what it is given


@lru_cache(maxsize=4096)
def _rows_at(store: Tables, name: str, version: int, written: float) -> int:
    """Rows of a version, which never change; of a table that was made anew it was written at another time."""
    del written
    return store.row_count(name, version)


def readers_tab(doors: Doors, call: Call, info: TableInfo) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pipelines that read and write it by the project's code, and the runs that were locked to it."""
    query: TableQuery = call.query
    page = list_readers(doors, replace(call, query=PageQuery(limit=_READERS, cursor=query.cursor))).document
    trouble, reading, writing = None, [], []
    try:
        graphs = doors.site.graphs()
        reading = sorted(graph.pipeline for graph in graphs.values() if info.name in graph.tables_read())
        writing = sorted(graph.pipeline for graph in graphs.values() if info.name in graph.tables_written())
    except TrikkError as error:  # the project's code does not load
        trouble = {"what": error.what, "next": error.next}
    return {**page.to_json(), "reading": reading, "writing": writing, "trouble": trouble}, {}


def version_sheet(doors: Doors, name: str) -> Sheet:
    """All versions, as far as a sheet goes."""
    columns = ("version", "at", "mode", "rows", "added_bytes", "removed_files", "run", "step", "identity")
    writes = doors.site.project.tables.versions(name, _IN_A_SHEET)
    return Sheet(columns, ([getattr(write, column) for column in columns] for write in writes))
