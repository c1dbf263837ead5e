"""A picture as PNG: the same picture, the same bytes, on a machine without any fonts, too.

resvg leaves a text out without a word if it has no font for it, as in a fresh container. So pictures have fonts of
their own, which lie beside this module, and the machine's are not looked at: DejaVu Sans, whose licence lets it be
passed on, has Latin, Greek, Cyrillic and many signs. What it lacks (Chinese, Japanese, Korean) becomes a box.
"""

from __future__ import annotations

from pathlib import Path

from trikk.charts.drawing.marks import Svg
from trikk.charts.drawing.roles import FONT, standalone
from trikk.core.errors import MissingExtra

FONTS = Path(__file__).parent / "fonts"
SANS, BOLD, MONO = (FONTS / f"DejaVuSans{kind}.ttf" for kind in ("", "-Bold", "Mono"))
_FAMILY = "DejaVu Sans"


def png(picture: Svg, *, zoom: float = 2) -> bytes:
    """A picture as PNG, dark on light.

    Args:
        picture: as charts are made.
        zoom: how many pixels each of the picture's own becomes.

    Raises:
        MissingExtra: if resvg is not installed.
    """
    try:
        import resvg_py
    except ImportError:
        raise MissingExtra("a picture as PNG", "reports") from None
    return bytes(
        resvg_py.svg_to_bytes(
            svg_string=standalone(picture).replace(FONT, _FAMILY),
            zoom=zoom,
            skip_system_fonts=True,
            font_files=[str(SANS), str(BOLD)],
            font_family=_FAMILY,
        )
    )
