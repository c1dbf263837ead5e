"""Pictures that a page draws as SVG, which most mail programs leave out: as PNG, which they show."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterator
from html import escape, unescape
from urllib.parse import unquote

from trikk.charts.drawing.marks import Svg
from trikk.charts.rasterising.png_picture import foreign_png, png

_TAG = re.compile(r"<(/?)svg\b[^>]*?(/?)>", re.IGNORECASE)
_SOURCE = re.compile(
    r"""(<img\b[^>]*?\bsrc\s*=\s*)(["'])data:image/svg\+xml((?:;[^,"']*)?),(.*?)\2""", re.IGNORECASE | re.DOTALL
)
_LABEL = re.compile(r"""\baria-label\s*=\s*(["'])(.*?)\1""", re.DOTALL)
_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_WIDTH = re.compile(r"""\swidth\s*=\s*["'](\d{1,5}(?:\.\d+)?)(?:px)?["']""")
_CHART = re.compile(r"""<svg class="chart\b""")  # one of ours, which has its looks from a stylesheet

Keep = Callable[[bytes], str]
"""Takes the bytes of a PNG, and gives the address by which the page shows it."""


def with_pngs(page: str, keep: Keep) -> str:
    """A page with a PNG in the place of each picture that it draws.

    Args:
        page: as HTML.
        keep: where the pictures go.

    Raises:
        MissingExtra: if resvg is not installed.
        ValueError: if a picture can't be drawn.
    """
    pieces, done = [], 0
    for start, end in _drawings(page):
        pieces += [page[done:start], _image(page[start:end], keep)]
        done = end
    return _SOURCE.sub(lambda match: _as_png(match, keep), "".join([*pieces, page[done:]]))


def _drawings(page: str) -> Iterator[tuple[int, int]]:
    """From where to where each `svg` goes that is not within another."""
    depth = start = 0
    for tag in _TAG.finditer(page):
        is_end, is_empty = bool(tag[1]), bool(tag[2])
        start = tag.start() if depth == 0 and not is_end else start
        depth += 0 if is_empty else -1 if is_end else 1
        if depth == 0:
            yield start, tag.end()
        depth = max(depth, 0)


def _image(drawing: str, keep: Keep) -> str:
    head = drawing.partition(">")[0]
    data = png(Svg(drawing)) if _CHART.match(head) else foreign_png(drawing)
    label, title, width = _LABEL.search(head), _TITLE.search(drawing), _WIDTH.search(head)
    said = unescape(label[2] if label else title[1] if title else "a picture")
    size = f' width="{float(width[1]):.0f}"' if width else ""
    return f'<img src="{keep(data)}" alt="{escape(said)}"{size} style="max-width:100%;height:auto;">'


def _as_png(match: re.Match[str], keep: Keep) -> str:
    text = unescape(match[4])
    try:
        data = base64.b64decode(text) if "base64" in match[3] else unquote(text).encode()
    except binascii.Error as error:
        raise ValueError("a picture's data can't be read") from error
    return f"{match[1]}{match[2]}{keep(foreign_png(data.decode('utf-8', 'replace')))}{match[2]}"
