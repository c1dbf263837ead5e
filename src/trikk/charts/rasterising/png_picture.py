"""A picture as PNG: the same picture, the same bytes, on a machine without any fonts, too.

resvg leaves a text out without a word if it has no font for it, as in a fresh container. So pictures have fonts of
their own, which lie beside this module, and the machine's are not looked at: DejaVu Sans, whose licence lets it be
passed on, has Latin, Greek, Cyrillic and many signs. What it lacks (Chinese, Japanese, Korean) becomes a box.
"""

from __future__ import annotations

import re
from pathlib import Path

from trikk.charts.drawing.marks import Svg
from trikk.charts.drawing.roles import FONT, standalone
from trikk.core.errors import MissingExtra

FONTS = Path(__file__).parent / "fonts"
SANS, BOLD, MONO = (FONTS / f"DejaVuSans{kind}.ttf" for kind in ("", "-Bold", "Mono"))
_FAMILY = "DejaVu Sans"
_NAMED = re.compile(r"\sxmlns\s*=")


def png(picture: Svg, *, zoom: float = 2) -> bytes:
    """A picture as PNG, dark on light.

    Args:
        picture: as charts are made.
        zoom: how many pixels each of the picture's own becomes.

    Raises:
        MissingExtra: if resvg is not installed.
    """
    return _drawn(standalone(picture).replace(FONT, _FAMILY), zoom)


def foreign_png(text: str, *, zoom: float = 2) -> bytes:
    """A picture that others have made as PNG, with these fonts in the place of its own.

    Args:
        text: SVG, with its looks within it.
        zoom: as of `png`.

    Raises:
        MissingExtra: if resvg is not installed.
        ValueError: if it can't be drawn.
    """
    if not _NAMED.search(text.partition(">")[0]):  # within HTML it need not be said
        text = re.sub("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', text, count=1, flags=re.IGNORECASE)
    try:
        return _drawn(text, zoom)
    except MissingExtra:
        raise
    except Exception as error:  # resvg has no base of its own for what is wrong with a text
        raise ValueError(f"the picture can't be drawn: {error}") from error


def _drawn(text: str, zoom: float) -> bytes:
    try:
        import resvg_py
    except ImportError:
        raise MissingExtra("a picture as PNG", "reports") from None
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=text,
            zoom=zoom,
            skip_system_fonts=True,
            font_files=[str(SANS), str(BOLD), str(MONO)],
            font_family=_FAMILY,
            serif_family=_FAMILY,
            sans_serif_family=_FAMILY,
            monospace_family=f"{_FAMILY} Mono",
        )
    )
