"""The style sheets, the script and the icon: read once, and kept by browsers for as long as they stay the same."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.responses import Response

from trikk.charts import stylesheet
from trikk.core.digests import digest_bytes
from trikk.server.http.doors import Doors
from trikk.server.http.routes import Call, Given
from trikk.web.refused import Refused

_FOLDER = Path(__file__).parent / "static"
_KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER = "public, max-age=31536000, immutable"


class StaticQuery(Given, frozen=True):
    """Which state of a file is wanted."""

    v: str = ""


def static_address(name: str) -> str:
    """The address of a file, which changes with what is in it."""
    return f"/static/{name}?v={_files()[name][1]}"


def show_static(_: Doors, call: Call) -> Response:
    """Give a file that pages are made with."""
    name = call.path["file"]
    if name not in _files():
        raise Refused(404, f"there is no file {name}", next="open a page: it has the right address")
    content, version = _files()[name]
    kept = _FOR_EVER if call.query.v == version else "no-cache"
    headers = {"cache-control": kept, "x-content-type-options": "nosniff"}
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]], headers=headers)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """All files by name, with the beginning of their digests."""
    contents = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix[1:] in _KINDS}
    contents["charts.css"] = stylesheet().encode()
    return {name: (content, digest_bytes(content)[:12]) for name, content in contents.items()}
