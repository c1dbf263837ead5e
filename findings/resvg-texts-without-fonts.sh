#!/bin/sh
# resvg-py 0.5.0: which texts of a picture are drawn.
#
#   no font at all                 none, without an error: a fresh container has no fonts
#   a font, but another family     none either: a font that is loaded does not stand in for one that is not
#   that font as font_family       none either: it is for texts without a family
#   that font in the list          drawn
#
# Seen on 30 November 2026; ends with another code than 0 if one of these is no longer so.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
python3 -m venv "$scratch/env"
"$scratch/env/bin/pip" install --quiet --disable-pip-version-check resvg-py==0.5.0 reportlab==5.1.0
"$scratch/env/bin/python" - <<'EOP'
from pathlib import Path

import reportlab
import resvg_py

VERA = str(Path(reportlab.__file__).parent / "fonts" / "Vera.ttf")
FAMILY = "Bitstream Vera Sans"


def drawn(family: str, text: str = "2026", **options: object) -> bytes:
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" width="90" height="20"{family}><text y="15">{text}</text></svg>'
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, skip_system_fonts=True, **options))


def seen(family: str, **options: object) -> bool:
    return drawn(family, **options) != drawn(family, text="", **options)


lists = {
    "no font at all": seen(""),
    "a font, but another family": seen(' font-family="Arial"', font_files=[VERA]),
    "that font as font_family": seen(' font-family="Arial"', font_files=[VERA], font_family=FAMILY),
    "that font in the list": seen(f' font-family="Arial, {FAMILY}"', font_files=[VERA]),
    "no family, that font as font_family": seen("", font_files=[VERA], font_family=FAMILY),
}
for case, visible in lists.items():
    print(f"{case:36} {'drawn' if visible else 'left out'}")
raise SystemExit([*lists.values()] != [False, False, False, True, True])
EOP
