"""One artifact: what it is, what can be seen of it, and its bytes to take along."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

from msgspec import Meta
from starlette.responses import Response, StreamingResponse

from trikk.console.page_view import View
from trikk.console.pages.artifacts.artifact_preview import of_file, preview
from trikk.console.pages.artifacts.media_types import NOTEBOOK, SHOWN_AS_THEY_ARE, is_picture, media_type
from trikk.console.pages.artifacts.notebook_cells import cells_of
from trikk.console.pages.runs.runs_memory import read_run
from trikk.console.rendering import environment
from trikk.core.errors import UnknownName
from trikk.server.http.conditions import has_it
from trikk.server.http.doors import Doors
from trikk.server.http.handlers.data_handlers import bytes_of
from trikk.server.http.routes import HTML_TYPE, NAME, Call, Given
from trikk.storage.codecs.manifest import KINDS
from trikk.tracking.run_artifacts import file_name, find, outputs
from trikk.web.refused import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from trikk.execution.project import Project
    from trikk.storage.artifact import Artifact

_MOST = 512 << 20  # bytes that are read to show something
# Whatever somebody's code has made: it runs nothing, asks nobody, and has no rights of this page.
_POLICY = (
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:; frame-ancestors 'self'"
)


_SHOWN = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    # Its bytes stay as they are, but who may see them does not: it is asked each time.
    "cache-control": "private, no-cache",
}


class ArtifactQuery(Given, frozen=True):
    """Of which run an artifact is, by which name, and where inside of that: "0.3" is an item of an item."""

    run: Annotated[str, Meta(pattern=NAME)] | None = None
    name: Annotated[str, Meta(max_length=500)] | None = None
    inside: Annotated[str, Meta(pattern=r"^\d{1,6}(\.\d{1,6}){0,9}$")] | None = None


def show_artifact(doors: Doors, call: Call) -> View:
    """Show an artifact."""
    query: ArtifactQuery = call.query
    project, digest = doors.site.project, call.path["digest"]
    artifact = _named(project, query, digest)
    if artifact is None:
        path = project.store.fetch(digest)
        shown = {"error": "", "too_large": False, **of_file(path)}
        about: dict[str, Any] = {"digest": digest, "codec": None, "size": path.stat().st_size, "summary": {}}
    else:
        shown = preview(project, artifact, _MOST) | {"inside": query.inside or ""}
        about = artifact.to_json()
    name = query.name if artifact is not None and query.name else digest[:12]
    inside = f" [{query.inside.replace('.', '][')}]" if artifact is not None and query.inside else ""
    trail = [("Runs", "/runs")]
    trail += (
        [(query.run, f"/runs/{query.run}"), ("outputs", f"/runs/{query.run}?tab=outputs")] if query.run else []
    )
    commands = []
    if artifact is not None and not inside:
        commands.append(("Take it along:", f"trikk artifacts {query.run} {shlex.quote(name)} --out FILE"))
    return View(
        f"{name}{inside}",
        "artifacts/artifact.html.j2",
        {"artifact": about, "run": query.run, "name": name, "preview": shown},
        {"file_name": file_name(artifact, name) if artifact is not None else digest[:12]},
        trail=trail,
        commands=commands,
    )


def _named(project: Project, query: ArtifactQuery, digest: str) -> Artifact | None:
    """The artifact as its run has written it down; None if it is not said, or is another one."""
    if query.run is None or query.name is None:
        return None
    read = read_run(project, query.run)
    try:
        artifact = find(outputs(read.state, read.record), query.name).artifact
    except UnknownName:
        return None
    for place in query.inside.split(".") if query.inside else ():
        parts = project.artifacts.parts(artifact) if artifact.codec in KINDS else []
        if int(place) >= len(parts):
            return None
        artifact = parts[int(place)]
    return artifact if artifact.digest == digest else None


def view_artifact(doors: Doors, call: Call) -> Response:
    """Give an artifact as a browser shows it in a frame of no rights: a page or notebook, a picture, a text.

    Raises:
        Refused: 415 if they are neither.
    """
    path = doors.site.project.store.fetch(call.path["digest"])
    media = media_type(path)
    if media == NOTEBOOK:
        return _notebook(doors, call, path)
    if not is_picture(media) and media not in SHOWN_AS_THEY_ARE:
        raise Refused(415, f"this is {media}, which is not shown", next="download it")
    size = path.stat().st_size
    headers = _SHOWN | {"content-length": str(size), "etag": f'"{call.path["digest"]}"'}
    if has_it(headers["etag"], call.headers):
        del headers["content-length"]
        return Response(status_code=304, headers=headers)
    kind = media if is_picture(media) else f"{media}; charset=utf-8"
    return StreamingResponse(bytes_of(path, 0, size), 200, headers, kind)


def _notebook(doors: Doors, call: Call, path: Path) -> Response:
    template = environment(doors.site.project.settings.timezone).get_template("artifacts/notebook.html.j2")
    text = template.render(title=call.path["digest"][:12], cells=cells_of(path))
    return Response(text.encode("utf-8", "replace"), 200, _SHOWN, f"{HTML_TYPE}; charset=utf-8")
