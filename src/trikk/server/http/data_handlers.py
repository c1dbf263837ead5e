"""Requests on what is stored: tables, registered models, artifacts."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from msgspec import Meta

from trikk.core.digests import is_digest
from trikk.core.errors import UnknownName
from trikk.models.registry import Registry
from trikk.models.state import model_document, model_summary
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Answer, Call, Given

if TYPE_CHECKING:
    from starlette.responses import Response


class TableQuery(Given, frozen=True):
    """What of a table is shown."""

    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given
    rows: Annotated[int, Meta(ge=0, le=1000)] = 5  # how many of its first rows


def tables(doors: Doors, _: Call) -> Answer:
    """List the project's tables."""
    store = doors.site.project.tables
    return Answer({"tables": [asdict(store.describe(name, history=1)) for name in store.names()]})


def table(doors: Doors, call: Call) -> Answer:
    """Show one table: columns, first rows, and which run wrote each version."""
    store, name, query = doors.site.project.tables, call.path["table"], call.query
    if name not in store.names():
        raise UnknownName("table", name, store.names())
    info = store.describe(name, query.version)
    # At the version that was described: another may be written meanwhile.
    head = store.scan(name, info.version).head(query.rows).collect()
    return Answer({**asdict(info), "head": head.to_dicts()})


def models(doors: Doors, _: Call) -> Answer:
    """List registered models, and who holds which alias."""
    project = doors.site.project
    registry, where = Registry(project.journal), project.settings.environment
    listed = [model_summary(registry.state(name), where) for name in registry.names()]
    return Answer({"environment": where, "models": listed})


def model(doors: Doors, call: Call) -> Answer:
    """Show one registered model: its versions, aliases and moves."""
    project = doors.site.project
    return Answer(
        model_document(Registry(project.journal).state(call.path["model"]), project.settings.environment)
    )


def artifact(doors: Doors, call: Call) -> Response:
    """Download an artifact's bytes by their digest; parts of them, too."""
    from starlette.responses import FileResponse, Response

    digest = call.path["digest"]
    if not is_digest(digest):
        raise UnknownName("artifact", digest[:64], [], next="give the digest that a run's outputs name")
    etag = f'"{digest}"'
    headers = {
        "etag": etag,
        "cache-control": "private, max-age=31536000, immutable",  # other bytes have another digest
        "x-content-type-options": "nosniff",
        # Whatever somebody's step has made: a browser keeps it, and runs nothing of it.
        "content-security-policy": "sandbox; default-src 'none'",
    }
    store = doors.site.project.store
    if etag in call.headers.get("if-none-match", "") and store.contains(digest):
        return Response(status_code=304, headers=headers)
    path = store.fetch(digest)
    return FileResponse(
        path, headers=headers, media_type="application/octet-stream", filename=digest, stat_result=path.stat()
    )
