"""What people see of an artifact: the head of a table, a picture, a page in a frame, JSON, the items of a list.

Nothing is unpickled, and what has come from elsewhere as a file is shown as its bytes are, never parsed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.console.pages.artifacts.column_summaries import column_summaries
from trikk.console.pages.artifacts.media_types import HTML, NOTEBOOK, TEXT, is_picture, media_type
from trikk.core.errors import CodecError, TrikkError
from trikk.core.text import shorten
from trikk.storage.artifact import Artifact
from trikk.storage.codecs.manifest import KINDS, Manifest

if TYPE_CHECKING:
    from trikk.execution.project import Project

AT_ONCE = 64 << 20  # bytes of an artifact that is read for a page that shows several
_ROWS, _ITEMS, _COLUMNS = 10, 100, 60
_CHARACTERS = 20_000
_PARSED = 4 << 20  # bytes of JSON; more of it is shown as it was written
_LONGEST = 200


def preview(project: Project, artifact: Artifact, most: int | None = AT_ONCE) -> dict[str, Any]:
    """What is shown of an artifact; what can't be read says why, under `error`.

    Args:
        project: the project.
        artifact: what a step has made.
        most: bytes that are read for it; None to read whatever it takes.

    Returns:
        `shape`: table (`columns`, `head`, `rows`), items (`items`), value or text (`text`), picture, page, or
        nothing; `media`, the media type of a file.
    """
    if most is not None and artifact.size > most and artifact.codec not in KINDS:
        return {"shape": "nothing", "error": "", "too_large": True}
    try:
        return {"error": "", "too_large": False, **_read(project, artifact)}
    except TrikkError as error:
        return {"shape": "nothing", "error": error.what, "too_large": False}


def _read(project: Project, artifact: Artifact) -> dict[str, Any]:
    path = project.store.fetch(artifact.digest)
    try:
        if artifact.codec == "arrow":
            return _table(project, artifact, path)
        if artifact.codec in KINDS:
            return _items(path)
        if artifact.codec == "json":
            return _value(path)
        if artifact.codec == "file":
            return of_file(path)
        return _other(project, artifact)
    except (OSError, ValueError, RecursionError) as error:
        raise CodecError(f"it can't be read: {error}", next="run the step that made it again") from error


def of_file(path: Path) -> dict[str, Any]:
    """What is shown of a file whatever it is: by its first bytes alone."""
    media = media_type(path)
    if is_picture(media):
        return {"shape": "picture", "media": media}
    if media in (HTML, NOTEBOOK):
        return {"shape": "page", "media": media}
    if media == TEXT:
        with path.open(encoding="utf-8", errors="replace") as file:
            return {"shape": "text", "media": media, "text": file.read(_CHARACTERS)}
    return {"shape": "nothing", "media": media}


def _table(project: Project, artifact: Artifact, path: Path) -> dict[str, Any]:
    head: Any = project.artifacts.preview(artifact, _ROWS)["head"]
    names = list(artifact.summary.get("columns") or (head[0] if head else {}))
    shown = names[:_COLUMNS]
    rows = [{name: _cell(row.get(name)) for name in shown} for row in head]
    summaries = column_summaries(path)
    return {
        "shape": "table",
        "columns": shown,
        "left_out": len(names) - len(shown),
        "head": rows,
        "looked_at": summaries["rows"],
        "summaries": summaries["columns"],
    }


def _items(path: Path) -> dict[str, Any]:
    manifest = Manifest.from_bytes(path.read_bytes())
    keys = manifest.keys or range(len(manifest.children))
    items = [
        {"key": shorten(str(key), _LONGEST), "artifact": child.to_json()}
        for key, child in list(zip(keys, manifest.children, strict=False))[:_ITEMS]
    ]
    return {"shape": "items", "items": items, "count": len(manifest.children)}


def _value(path: Path) -> dict[str, Any]:
    if path.stat().st_size > _PARSED:
        return {**of_file(path), "shape": "value", "is_whole": False}
    value = json.loads(path.read_bytes())
    # A text is shown as such, not with its line ends written out.
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return {"shape": "value", "text": text[:_CHARACTERS], "is_whole": len(text) <= _CHARACTERS}


def _other(project: Project, artifact: Artifact) -> dict[str, Any]:
    head = project.artifacts.preview(artifact, _ROWS)["head"]
    if not head:
        return {"shape": "nothing"}
    lines = head if isinstance(head, list) else [head]
    return {"shape": "text", "text": "\n".join(str(line) for line in lines)[:_CHARACTERS]}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return shorten(value if isinstance(value, str) else json.dumps(value, default=str), _LONGEST)
