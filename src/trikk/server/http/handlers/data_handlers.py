"""Requests on what is stored: tables, registered models, artifacts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from trikk.core.digests import is_digest
from trikk.core.errors import ArtifactMissing, UnknownName
from trikk.models.registry import Registry
from trikk.models.state import model_document, model_summary
from trikk.server.http.conditions import has_it, range_of
from trikk.server.http.documents.project_documents import (
    ModelDetailsDocument,
    ModelsPage,
    TableDocument,
    TablesPage,
)
from trikk.server.http.doors import Doors
from trikk.server.http.paging import names_page
from trikk.server.http.routes import BYTES_TYPE, Answer, Call, Given

if TYPE_CHECKING:
    from starlette.responses import Response


_AT_ONCE = 1 << 20  # bytes of an artifact in memory, for each who downloads


class TableQuery(Given, frozen=True):
    """What of a table is shown."""

    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given
    rows: Annotated[int, Meta(ge=0, le=1000)] = 5  # how many of its first rows


def list_tables(doors: Doors, call: Call) -> Answer[TablesPage]:
    """List the project's tables."""
    store = doors.site.project.tables
    names, cursor = names_page(store.names(), call.query)
    return Answer({"tables": [asdict(store.describe(name, history=1)) for name in names], "next": cursor})


def show_table(doors: Doors, call: Call) -> Answer[TableDocument]:
    """Show one table: columns, first rows, and which run wrote each version."""
    store, name, query = doors.site.project.tables, call.path["table"], call.query
    if name not in store.names():
        raise UnknownName("table", name, store.names())
    info = store.describe(name, query.version)
    # At the version that was described: another may be written meanwhile.
    head = store.scan(name, info.version).head(query.rows).collect()
    return Answer({**asdict(info), "head": head.to_dicts()})


def list_models(doors: Doors, call: Call) -> Answer[ModelsPage]:
    """List registered models, and who holds which alias."""
    project = doors.site.project
    registry, where = Registry(project.journal), project.settings.environment
    names, cursor = names_page(registry.names(), call.query)
    listed = [model_summary(registry.state(name), where) for name in names]
    return Answer({"environment": where, "models": listed, "next": cursor})


def show_model(doors: Doors, call: Call) -> Answer[ModelDetailsDocument]:
    """Show one registered model: its versions, aliases and moves."""
    project = doors.site.project
    return Answer(
        model_document(Registry(project.journal).state(call.path["model"]), project.settings.environment)
    )


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
    return StreamingResponse(_bytes_of(path, begin, end), status, headers, BYTES_TYPE)


def _bytes_of(path: Path, begin: int, end: int) -> Iterator[bytes]:
    """A part of a file; it is opened only when the first bytes are sent."""
    with path.open("rb") as file:
        file.seek(begin)
        while begin < end:
            data = file.read(min(_AT_ONCE, end - begin))
            if not data:
                raise ArtifactMissing(f"{path.name} became shorter while it was sent", next="ask for it again")
            begin += len(data)
            yield data
