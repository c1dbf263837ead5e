"""Figures as files: drawn by the library that they belong to, or taken as they are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from trikk.core.errors import UsageError

_STARTS = {
    b"\x89PNG\r\n\x1a\n": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"%PDF": ".pdf",
    b"<svg": ".svg",
    b"<?xml": ".svg",
    b"<!doctype html": ".html",
    b"<html": ".html",
}
_OPTIONS = {
    "png": {"Software": None},
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
}  # equal figures, equal bytes


@contextmanager
def draw(name: str, figure: Any, workspace: Path) -> Iterator[Path]:
    """The figure as a file that is gone afterwards.

    Raises:
        UsageError: if it is not a figure, or can't be drawn in the format that the name's ending asks for.
    """
    folder = Path(tempfile.mkdtemp(prefix="figure-", dir=workspace))
    try:
        yield _file(PurePosixPath(name).name, figure, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _file(name: str, figure: Any, folder: Path) -> Path:
    if isinstance(figure, bytes | bytearray):
        data = bytes(figure)
        path = folder / _with_ending(name, _ending_of(data))
        path.write_bytes(data)
        return path
    if isinstance(figure, Path):
        path = folder / _with_ending(name, figure.suffix)
        try:
            shutil.copyfile(figure, path)
        except OSError as error:
            raise UsageError(f"figure {name} can't be read from {figure}: {error.strerror}") from error
        return path
    # plotly draws pictures only with a browser beside it; its page needs nothing.
    if hasattr(figure, "write_html"):
        path = folder / _with_ending(name, ".html")
        figure.write_html(str(path))
        return path
    if not hasattr(figure, "savefig"):
        figure = getattr(figure, "figure", None)  # matplotlib's axes
    if figure is None or not hasattr(figure, "savefig"):
        raise UsageError(
            f"figure {name} is not something trikk can draw",
            next="give a figure of matplotlib or plotly, bytes of an image, or the Path of a file",
        )
    return _saved(folder / _with_ending(name, ".png"), figure)


def _saved(path: Path, figure: Any) -> Path:
    kind = path.suffix.lower().removeprefix(".")
    try:
        figure.savefig(path, format=kind, metadata=_OPTIONS.get(kind), bbox_inches="tight")
    except ValueError as error:
        raise UsageError(
            f"figure {path.name} can't be drawn: {error}", next="end its name in .png or .svg"
        ) from error
    return path


def _with_ending(name: str, ending: str) -> str:
    return name if PurePosixPath(name).suffix else name + ending


def _ending_of(data: bytes) -> str:
    # By what is in it: bytes have no name, and a wrong ending would not open.
    start = data[:64].lstrip().lower()
    return next((ending for mark, ending in _STARTS.items() if start.startswith(mark.lower())), ".bin")
