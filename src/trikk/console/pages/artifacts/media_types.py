"""What stored bytes are, by their beginning: nobody who names a file is believed."""

from __future__ import annotations

import re
from pathlib import Path

_BEGINNINGS = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"ARROW1", "application/vnd.apache.arrow.file"),
    (b"PAR1", "application/vnd.apache.parquet"),
    (b"\x93NUMPY", "application/x-npy"),
    (b"PK\x03\x04", "application/zip"),
)
_LOOKED_AT = 4096  # bytes
BYTES, HTML, SVG, TEXT = "application/octet-stream", "text/html", "image/svg+xml", "text/plain"
NOTEBOOK = "application/x-ipynb+json"
_NOTEBOOK = re.compile(r'\{\s*"cells"\s*:\s*\[')  # as Jupyter writes it, with sorted keys
SHOWN_AS_THEY_ARE = (HTML, TEXT)
"""What a browser may show in a frame that runs nothing, besides pictures."""


def media_type(path: Path) -> str:
    """The media type of a file's bytes; text that is no page, picture or notebook is `text/plain`."""
    with path.open("rb") as file:
        start = file.read(_LOOKED_AT)
    for beginning, kind in _BEGINNINGS:
        if start.startswith(beginning):
            return kind
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if b"\0" in start:
        return BYTES
    try:
        # The last character may be cut in two.
        text = start.decode("utf-8", "strict" if len(start) < _LOOKED_AT else "ignore").lstrip("\ufeff \t\r\n")
    except UnicodeDecodeError:
        return BYTES
    lowered = text[:_LOOKED_AT].lower()
    if lowered.startswith(("<!doctype html", "<html")):
        return HTML
    if lowered.startswith("<svg") or (lowered.startswith("<?xml") and "<svg" in lowered):
        return SVG
    if _NOTEBOOK.match(text):
        return NOTEBOOK
    return TEXT


def is_picture(kind: str) -> bool:
    """Whether browsers show it as a picture, in which no script runs."""
    return kind.startswith("image/")
