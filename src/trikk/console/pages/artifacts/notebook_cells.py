"""An executed notebook as a page: what its cells say, and what came out of them.

What outputs have as HTML stands in it as it is, since it is shown as other pages are that users' code has made: in
a frame that runs nothing, reaches nothing, and has no rights.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trikk.core.text import printable_lines
from trikk.web.refused import Refused

LARGEST = 20 << 20  # bytes
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")  # colours of a terminal
_PICTURES = ("image/png", "image/jpeg")


def cells_of(path: Path) -> list[dict[str, Any]]:
    """The cells of a notebook's file.

    Returns:
        For each `kind` (markdown, code, raw), `source`, and `outputs`: each has one of `text`, `error`, `html`, or
        `picture`, the address of one that is data.

    Raises:
        Refused: 415 if it is no notebook, or too large.
    """
    if path.stat().st_size > LARGEST:
        raise Refused(415, "this notebook is too large to be shown", next="download it")
    try:
        notebook = json.loads(path.read_bytes())
        return [_cell(cell) for cell in notebook["cells"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused(415, "this is no notebook that can be read", next="download it") from error


def _cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    outputs = [shown for output in cell.get("outputs") or [] for shown in _shown(output)]
    return {"kind": str(cell.get("cell_type")), "source": _text(cell.get("source")), "outputs": outputs}


def _shown(output: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What is shown of an output: of its forms the first that a page has."""
    kind, data = output.get("output_type"), output.get("data") or {}
    if kind == "stream":
        yield {"text": _text(output.get("text"))}
    elif kind == "error":
        yield {"error": _text(output.get("traceback"), "\n") or _text(output.get("evalue"))}
    elif "text/html" in data:
        yield {"html": "".join(data["text/html"])}
    elif (media := next((m for m in _PICTURES if m in data), None)) and _BASE64.fullmatch("".join(data[media])):
        yield {"picture": f"data:{media};base64,{''.join(data[media])}"}
    elif "text/plain" in data:
        yield {"text": _text(data["text/plain"])}


def _text(lines: Any, between: str = "") -> str:
    """A text that a notebook may have as a list of its lines."""
    text = lines if isinstance(lines, str) else between.join(map(str, lines or []))
    return printable_lines(_ESCAPES.sub("", text))
