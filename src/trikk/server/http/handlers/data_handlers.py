"""Requests on what is stored: tables, registered models, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from trikk.core.digests import is_digest
from trikk.core.errors import ArtifactMissing, ParameterError, UnknownName
from trikk.models.state import model_document, model_summary
from trikk.server.http.conditions import has_it, range_of
from trikk.server.http.documents.project_documents import (
    ModelDetailsDocument,
    ModelsPage,
    RowsDocument,
    TableDocument,
    TablesPage,
    VersionsPage,
)
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.paging import Limit, PageQuery, names_page, number_cursor
from trikk.server.http.routes import BYTES_TYPE, NAME, Answer, Call, Given
from trikk.storage.shown_rows import ColumnSummary, column_summary
from trikk.storage.tables.admin import TableInfo
from trikk.storage.tables.row_filter import Condition, some_rows
from trikk.tracking.lineage import ReadersPage, table_readers

if TYPE_CHECKING:
    from starlette.responses import Response


_WHERE = '[["sensor", "=", "north"], ["slot", ">=", "2020-03-26"]]; also !=, <, <=, >, contains; null.'
_AT_ONCE = 1 << 20  # bytes of an artifact in memory, for each who downloads


class TableQuery(Given, frozen=True):
    """What of a table is shown."""

    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given
    rows: Annotated[int, Meta(ge=0, le=1000)] = 5  # how many of its first rows


class RowsQuery(Given, frozen=True):
    """Which rows of a table are shown."""

    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given
    where: Annotated[str, Meta(max_length=4000, description=f"JSON, all have to hold: {_WHERE}")] | None = None
    sort: Annotated[str, Meta(pattern="^-?.", max_length=300)] | None = None  # a column; -column: largest first
    limit: Limit = 50
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0


class ColumnQuery(Given, frozen=True):
    """Which column of a table is summarised."""

    column: Annotated[str, Meta(max_length=1000)]
    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given


class WhoseAliases(Given, frozen=True):
    """Whose aliases are shown."""

    environment: Annotated[str, Meta(pattern=NAME)] | None = None  # the server's if not given


class ModelsQuery(PageQuery, frozen=True):
    """Which models are listed, and with whose aliases."""

    environment: Annotated[str, Meta(pattern=NAME)] | None = None


def list_tables(doors: Doors, call: Call) -> Answer[TablesPage]:
    """List the project's tables."""
    store = doors.site.project.tables
    names, cursor = names_page(store.names(), call.query)
    return Answer({"tables": [asdict(store.describe(name, history=1)) for name in names], "next": cursor})


def show_table(doors: Doors, call: Call) -> Answer[TableDocument]:
    """Show one table: columns, first rows, and which run wrote each version."""
    store, name, query = doors.site.project.tables, call.path["table"], call.query
    info = _existing(doors, name, query.version)
    # At the version that was described: another may be written meanwhile.
    head = store.scan(name, info.version).head(query.rows).collect()
    return Answer({**asdict(info), "head": head.to_dicts()})


def show_rows(doors: Doors, call: Call) -> Answer[RowsDocument]:
    """Show rows of a table at a version: those that meet conditions, sorted by a column."""
    query: RowsQuery = call.query
    info = _existing(doors, call.path["table"], query.version)
    conditions = [] if query.where is None else _conditions(query.where)
    with at_length("tables are being read"):
        rows = doors.site.project.tables.scan(info.name, info.version)
        count, page = some_rows(rows, conditions, query.sort, query.offset, query.limit)
    document = {"name": info.name, "version": info.version, "columns": info.columns}
    return Answer({**document, "count": info.rows if count is None else count, "rows": page})


def show_column(doors: Doors, call: Call) -> Answer[ColumnSummary]:
    """Summarise one column of a table at a version: empty values, smallest, largest, how they are spread."""
    query: ColumnQuery = call.query
    info = _existing(doors, call.path["table"], query.version)
    with at_length("tables are being read"):
        return Answer(column_summary(doors.site.project.tables.scan(info.name, info.version), query.column))


def list_versions(doors: Doors, call: Call) -> Answer[VersionsPage]:
    """List a table's versions, the newest first: who made each, and what it changed of the columns."""
    query, before = call.query, number_cursor(call.query.cursor)
    store, name = doors.site.project.tables, _existing(doors, call.path["table"], None).name
    writes = store.versions(name, query.limit, before)
    oldest = writes[-1].version if writes else 0
    return Answer(VersionsPage(writes, str(oldest) if oldest else None))


def list_readers(doors: Doors, call: Call) -> Answer[ReadersPage]:
    """List the runs that were locked to a table, the newest first; a page looks through a thousand at most."""
    name = _existing(doors, call.path["table"], None).name
    query: PageQuery = call.query
    return Answer(table_readers(doors.site.project.journal, name, query.limit, query.cursor))


def _existing(doors: Doors, name: str, version: int | None) -> TableInfo:
    store = doors.site.project.tables
    if name not in store.names():
        raise UnknownName("table", name, store.names())
    return store.describe(name, version)


def _conditions(text: str) -> list[Condition]:
    try:
        return msgspec.json.decode(text, type=list[Condition])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ParameterError(f"where does not fit: {error}", next=f"write it as {_WHERE}") from error


def list_models(doors: Doors, call: Call) -> Answer[ModelsPage]:
    """List registered models, and who holds which alias."""
    registry, where = doors.site.models, call.query.environment or doors.site.project.settings.environment
    names, cursor = names_page(registry.names(), call.query)
    listed = [model_summary(registry.state(name), where) for name in names]
    return Answer({"environment": where, "models": listed, "next": cursor})


def show_model(doors: Doors, call: Call) -> Answer[ModelDetailsDocument]:
    """Show one registered model: its versions, aliases and moves."""
    where = call.query.environment or doors.site.project.settings.environment
    return Answer(model_document(doors.site.models.state(call.path["model"]), where))


def download_artifact(doors: Doors, call: Call) -> Response:
    """Download an artifact's bytes by their digest; with `Range: bytes=0-99` a part of them."""
    from starlette.responses import Response, StreamingResponse

    digest = call.path["digest"]
    if not is_digest(digest):
        raise UnknownName("artifact", digest[:64], [], next="give the digest that a run's outputs name")
    tag = f'"{digest}"'
    headers = {
        "etag": tag,
        "accept-ranges": "bytes",
        "cache-control": "private, max-age=31536000, immutable",  # other bytes have another digest
        "x-content-type-options": "nosniff",
        # Whatever somebody's step has made: a browser keeps it, and runs nothing of it.
        "content-security-policy": "sandbox; default-src 'none'",
        "content-disposition": f'attachment; filename="{digest}"',
    }
    store = doors.site.project.store
    if has_it(tag, call.headers) and store.contains(digest):
        return Response(status_code=304, headers=headers)
    path = store.fetch(digest)
    size = path.stat().st_size
    part = range_of(size, call.headers, tag)
    begin, end = part or (0, size)
    headers["content-length"] = str(end - begin)
    if part is not None:
        headers["content-range"] = f"bytes {begin}-{end - 1}/{size}"
    status = 200 if part is None else 206
    return StreamingResponse(bytes_of(path, begin, end), status, headers, BYTES_TYPE)


def bytes_of(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """A part of a file; it is opened only when the first bytes are sent."""
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end:
            data = file.read(min(_AT_ONCE, end - begin))
            if not data:
                raise ArtifactMissing(f"{path.name} became shorter while it was sent", next="ask for it again")
            begin += len(data)
            yield data
