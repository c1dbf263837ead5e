"""Turn a terminal's text (stdin) into an SVG (stdout): `make demo | python docs/images/terminal.py 60 > demo.svg`.

The argument is how many of the last lines to show. Plain SVG with the reader's own monospace font, nothing remote.
"""

from __future__ import annotations

import re
import sys
from html import escape

CHAR, LINE, PAD = 8.4, 19, 18
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def svg(lines: list[str]) -> str:
    """The lines as a dark terminal window; a line that begins with `$` is bright, as is one of capitals."""
    width = max(map(len, lines)) * CHAR + 2 * PAD
    height = len(lines) * LINE + 2 * PAD
    rows = []
    for number, line in enumerate(lines):
        colour = "#ffffff" if line.startswith("$") else "#c9d1d9"
        y = PAD + LINE * (number + 0.75)
        rows.append(f'<text x="{PAD}" y="{y:.1f}" fill="{colour}" xml:space="preserve">{escape(line)}</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
        f'font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace" font-size="14">'
        f'<rect width="100%" height="100%" rx="8" fill="#0d1117"/>{"".join(rows)}</svg>\n'
    )


def main() -> None:
    """Read, cut, write."""
    text = [ANSI.sub("", line.rstrip()) for line in sys.stdin]
    sys.stdout.write(svg(text[-int(sys.argv[1]) :]))


if __name__ == "__main__":
    main()
