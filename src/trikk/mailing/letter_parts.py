"""What a step has made, as parts of a mail: a page, pictures that come with it, and files.

Whatever users or data wrote is escaped; only a page that a step has made as HTML is taken as it is. Pictures in it
that are data become parts of the mail, because mail programs show no data; so do those that it draws as SVG, as
PNG.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_bytes
from trikk.core.durations import show_bytes
from trikk.core.errors import CodecError, MissingExtra, PermanentError
from trikk.core.text import counted, printable, printable_lines, shorten
from trikk.core.values import finite
from trikk.mailing.drawn_pictures import with_pngs
from trikk.storage.frames import rows_of

LARGEST = 15_000_000
"""Bytes of files and pictures in a mail: encoded they are a third more, and servers refuse more than that."""
_LONGEST_PAGE = 100_000  # characters: some mail programs cut a longer one off
_ROWS, _COLUMNS, _CELL = 30, 12, 80  # what a table in a mail shows of a frame
_CSV_ROWS = 50_000  # are written at a time, so that one that is too large is noticed before it is in memory
_TEXT = 20_000  # characters of a text
_PAGES, _PICTURES = (".html", ".htm"), {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".gif": "gif"}
_DATA = re.compile(r"""(src\s*=\s*["'])data:image/(png|jpeg|gif);base64,([A-Za-z0-9+/=\s]+)(["'])""")
_STYLE = "border:1px solid #d0d5dd;padding:3px 8px;text-align:left;"


@dataclass(slots=True)
class Parts:
    """A mail's parts, as far as it has them.

    Attributes:
        page: a whole page that is the mail's body; "" if the body is made of `html`.
        html: pieces of the body.
        text: the same for mail programs that show no HTML.
        pictures: by content id, with their kind (png, jpeg, gif); shown within the body.
        files: attachments by name.
    """

    page: str = ""
    html: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    pictures: dict[str, tuple[bytes, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, value: Any) -> None:
        """Add whatever a step may have made.

        Raises:
            PermanentError: if the mail gets too large, or the value can't be mailed.
        """
        if isinstance(value, Path):
            self._file(value)
        elif isinstance(value, str) and value.lstrip()[:14].lower().startswith(("<!doctype html", "<html")):
            self._page(value, "page.html")
        elif isinstance(value, str):
            self._paragraph(value)
        elif isinstance(value, bytes):
            self._attach("data.bin", value)
        elif hasattr(value, "savefig"):  # of matplotlib, which need not be imported to know it
            drawn = io.BytesIO()
            value.savefig(drawn, format="png", dpi=100, metadata={"Software": None})
            self._picture(drawn.getvalue(), "png")
        elif isinstance(value, bool | int | float | Mapping) or value is None or _is_plain_list(value):
            self._paragraph(json.dumps(finite(value), indent=1, ensure_ascii=False, default=str), is_code=True)
        else:
            self._frame(value)

    @property
    def size(self) -> int:
        """Bytes of files and pictures."""
        return sum(map(len, self.files.values())) + sum(len(data) for data, _ in self.pictures.values())

    def body(self, title: str) -> tuple[str, str]:
        """The body as text and as HTML."""
        text = "\n\n".join(self.text) or f"{title}: see the attached files"
        lines = "".join(self.html) or f"<p>{escape(title)}</p>"
        block = f'<div style="font-family:system-ui,sans-serif;color:#101828;">{lines}</div>'
        return text, block if not self.page else within(self.page, block) if self.html else self.page

    def _file(self, path: Path) -> None:
        size, kind = path.stat().st_size, path.suffix.lower()
        self._check(size, path.name)
        if kind in _PAGES:
            self._page(path.read_text("utf-8", errors="replace"), path.name)
        elif kind in _PICTURES:
            self._picture(path.read_bytes(), _PICTURES[kind])
        else:
            self._attach(path.name, path.read_bytes())

    def _page(self, page: str, name: str) -> None:
        """A page is the body if the mail has no other and mail programs show it; else it is attached."""
        pictures = dict(self.pictures)
        shown = "" if self.page or "<script" in page.lower() else self._with_parts(page)
        if shown and len(shown) <= _LONGEST_PAGE:
            self.page = shown
            self.text.append(f"{name}: a page, which your mail program does not show")
            return
        self.pictures = pictures
        self._paragraph(f"{self._attach(name, page.encode('utf-8', 'replace'))}: see the attached page")

    def _with_parts(self, page: str) -> str:
        """The page with its pictures as parts of the mail; "" if one of them can't be made one."""
        try:
            drawn = with_pngs(page, lambda data: f"cid:{self._keep(data, 'png')}")
        except (MissingExtra, ValueError):
            return ""
        return _DATA.sub(self._as_part, drawn)

    def _as_part(self, match: re.Match[str]) -> str:
        before, kind, data, after = match.groups()
        try:
            return f"{before}cid:{self._keep(base64.b64decode(data, validate=False), kind)}{after}"
        except binascii.Error:
            return match[0]

    def _paragraph(self, text: str, *, is_code: bool = False) -> None:
        shown = shorten(printable_lines(text), _TEXT)
        self.text.append(shown)
        tag = "pre" if is_code else "p"
        self.html.append(f'<{tag} style="white-space:pre-wrap;">{escape(shown)}</{tag}>')

    def _picture(self, data: bytes, kind: str) -> None:
        cid = self._keep(data, kind)
        self.html.append(f'<p><img src="cid:{cid}" alt="a picture" style="max-width:100%;"></p>')
        self.text.append("(a picture)")

    def _keep(self, data: bytes, kind: str) -> str:
        self._check(len(data), "a picture")
        cid = f"{digest_bytes(data)[:32]}@trikk"
        self.pictures[cid] = data, kind
        return cid

    def _frame(self, value: Any) -> None:
        try:
            rows = rows_of(value)
        except CodecError:
            raise PermanentError(
                f"a value of type {type(value).__name__} can't be mailed",
                next="mail a text, a Path of a file, a figure of matplotlib, a frame, or plain values",
            ) from None
        shown = rows.head(_ROWS).select(rows.columns[:_COLUMNS])
        cells = [[_cell(value) for value in row] for row in shown.iter_rows()]
        left = [
            counted(rows.height - _ROWS, "more row") if rows.height > _ROWS else "",
            counted(rows.width - _COLUMNS, "more column") if rows.width > _COLUMNS else "",
        ]
        file = self._attach(f"rows{len(self.files) or ''}.csv", self._csv(rows))
        note = " and ".join(filter(None, left)) + (": " if any(left) else "all of it: ") + file
        head = [_cell(name) for name in shown.columns]
        self.html.append(_table(head, cells) + f'<p style="color:#667085;">{escape(note)}</p>')
        self.text.append("\n".join(" | ".join(line) for line in [head, *cells]) + f"\n({note})")

    def _csv(self, rows: Any) -> bytes:
        import polars as pl

        written = io.BytesIO()
        for start in range(0, max(rows.height, 1), _CSV_ROWS):
            try:
                rows.slice(start, _CSV_ROWS).write_csv(written, include_header=start == 0)
            except pl.exceptions.ComputeError as error:
                raise PermanentError(f"these rows can't be written as CSV: {error}", next="mail a file") from None
            self._check(written.tell(), f"a frame of {rows.height:,} rows")
        return written.getvalue()

    def _attach(self, name: str, data: bytes) -> str:
        self._check(len(data), name)
        plain = printable(name).replace('"', "")
        stem, dot, ending = plain.rpartition(".")
        number = 2
        while plain in self.files:
            plain, number = (f"{stem}-{number}{dot}{ending}" if dot else f"{name}-{number}"), number + 1
        self.files[plain] = data
        return plain

    def _check(self, more: int, name: str) -> None:
        if self.size + more > LARGEST:
            raise PermanentError(
                f"the mail would be too large: with {name} it has more than {show_bytes(LARGEST)}",
                next="mail less: a summary of the rows, a smaller picture, or where to find the file",
            )


def within(page: str, block: str) -> str:
    """A page with one more block at its end."""
    end = page.lower().rfind("</body>")
    return page + block if end < 0 else page[:end] + block + page[end:]


def _is_plain_list(value: object) -> bool:
    return isinstance(value, Sequence) and all(isinstance(item, str | int | float | Mapping) for item in value)


def _cell(value: object) -> str:
    text = f"{value:,.6g}" if isinstance(value, float) else "" if value is None else str(value)
    return shorten(printable(text), _CELL)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th style="{_STYLE}background:#f2f4f7;">{escape(name)}</th>' for name in head)
    lines = "".join(
        "<tr>" + "".join(f'<td style="{_STYLE}">{escape(cell)}</td>' for cell in row) + "</tr>" for row in rows
    )
    return f'<table style="border-collapse:collapse;font-size:13px;"><tr>{top}</tr>{lines}</table>'
