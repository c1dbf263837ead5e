"""What marks mean, and how that looks: the one table, of which the stylesheet and literal attributes are made.

A mark says what it is by classes: one of `SHAPES` (how it is drawn) and one of `COLOURS` (what it means), as in
`class="line prediction"`. On pages one stylesheet gives both, so that light, dark and print follow the reader.
Where there is none (a mail, a PDF, a picture that is rasterised), `standalone` writes the same as attributes.
"""

from __future__ import annotations

import re

from trikk.charts.drawing.marks import Svg

FONT = "system-ui, 'Segoe UI', 'Helvetica Neue', 'DejaVu Sans', Arial, sans-serif"
LIGHT, DARK = 0, 1
COLOURS: dict[str, tuple[str, str]] = {
    # the page: text, text beside it, lines of the grid, what everything lies on, what bars and nodes lie on
    "ink": ("#1f2933", "#e6eaee"),
    "soft": ("#52606d", "#a9b4c0"),
    "grid": ("#d9dee4", "#3a444f"),
    "ground": ("#ffffff", "#12181f"),
    "edge": ("#7b8794", "#7f8c99"),
    "tile": ("#f1f4f7", "#222a32"),
    # series without a meaning of their own; after Okabe and Ito, darker on white and lighter on black
    "series-1": ("#0067a5", "#56b4e9"),
    "series-2": ("#b85c00", "#e69f00"),
    "series-3": ("#00795a", "#35c79b"),
    "series-4": ("#a3437c", "#e08fc0"),
    "series-5": ("#6b6b00", "#d8cf4a"),
    "series-6": ("#5d5fb0", "#a9aaf0"),
    # runs and steps, by their states
    "succeeded": ("#00795a", "#35c79b"),
    "failed": ("#b93a00", "#ff8552"),
    "running": ("#0067a5", "#56b4e9"),
    "retrying": ("#8a5a00", "#e6b84c"),
    "waiting": ("#7a4a91", "#c79be0"),
    "queued": ("#66727f", "#98a5b3"),
    "cancelled": ("#3f4a56", "#c3ccd5"),
    "skipped": ("#7b8794", "#8795a3"),
    # incidents, by their severities
    "alarm": ("#b42318", "#ff8a7a"),
    "warning": ("#b54708", "#f0a35e"),
    "info": ("#1d5fa8", "#7db8f0"),
    # what monitors say
    "prediction": ("#1d5fa8", "#6db1f2"),
    "truth": ("#1f2933", "#e6eaee"),
    "baseline": ("#6b7785", "#9aa7b5"),
    "reference": ("#c3ccd5", "#46525e"),
    "estimate": ("#a3437c", "#e08fc0"),
    "threshold": ("#b42318", "#ff8a7a"),
    "event": ("#52606d", "#a9b4c0"),
    "better": ("#0b6b3a", "#4fce8d"),
    "worse": ("#b42318", "#ff8a7a"),
    # windows that are not final
    "pending": ("#dfe5ec", "#2c3640"),
    "overdue": ("#fbe3e0", "#4a2522"),
    "overdue-hatch": ("#e59a91", "#8a4a44"),
    "missing": ("#f4f5f7", "#1d242b"),
    "missing-hatch": ("#b4bcc6", "#55616d"),
    # phases of an attempt
    "loading": ("#4f93c4", "#3f86b8"),
    "working": ("#0067a5", "#56b4e9"),
    "storing": ("#00795a", "#35c79b"),
    # from little to much; the numbers on the last three are written in the ground's colour
    "heat-0": ("#f1f6fb", "#1b2631"),
    "heat-1": ("#d6e6f4", "#1e3950"),
    "heat-2": ("#abcfe6", "#22506f"),
    "heat-3": ("#7ab3d9", "#2a6a92"),
    "heat-4": ("#3576ac", "#66aede"),
    "heat-5": ("#1d5fa8", "#94cbf0"),
    "heat-6": ("#0b3c73", "#cbe7fb"),
    # mistakes, likewise
    "miss-0": ("#fdf4f2", "#251c1b"),
    "miss-1": ("#f8dcd7", "#46251f"),
    "miss-2": ("#f0b8ae", "#6b3229"),
    "miss-3": ("#e48d7f", "#944436"),
    "miss-4": ("#c24a39", "#ee8c7b"),
    "miss-5": ("#b42318", "#f8b0a3"),
    "miss-6": ("#7f150d", "#fdd8d1"),
    # what is neither, likewise
    "some-0": ("#f4f6f8", "#1c232a"),
    "some-1": ("#e1e6eb", "#2b343d"),
    "some-2": ("#c6ced6", "#3b4650"),
    "some-3": ("#a3aeb9", "#515d69"),
    "some-4": ("#66727f", "#98a5b3"),
    "some-5": ("#52606d", "#b4bfca"),
    "some-6": ("#323f4b", "#d5dce3"),
}
"""What a mark means, with its colours on a light and on a dark ground."""

_PAINT, _OTHER = "@", re.compile(r"\$([a-z]+)")  # the colour of what the mark means; that of another role
SHAPES: dict[str, dict[str, str]] = {
    "line": {"fill": "none", "stroke": "@", "stroke-width": "2", "stroke-linejoin": "round"},
    "thin": {"fill": "none", "stroke": "@", "stroke-width": "1"},
    "thick": {"fill": "none", "stroke": "@", "stroke-width": "5"},
    "dashed": {"fill": "none", "stroke": "@", "stroke-width": "1.5", "stroke-dasharray": "5 3"},
    "dotted": {"fill": "none", "stroke": "@", "stroke-width": "1", "stroke-dasharray": "1 3"},
    "dots": {"fill": "none", "stroke": "@", "stroke-width": "1.5", "stroke-linecap": "round"},
    "specks": {"fill": "none", "stroke": "@", "stroke-width": "4", "stroke-linecap": "round"},
    "fill": {"fill": "@"},
    "rimmed": {"fill": "@", "stroke": "$edge", "stroke-width": "1"},
    "veil": {"fill": "@", "fill-opacity": "0.2"},
    "hollow": {"fill": "$ground", "stroke": "@", "stroke-width": "1.5"},
    "unsure": {"fill": "$ground", "stroke": "@", "stroke-width": "1.5", "stroke-dasharray": "3 2"},
    "hit": {"fill": "@", "fill-opacity": "0"},
    "text": {"fill": "@", "font-size": "11px"},
    "small": {"fill": "@", "font-size": "10px"},
    "tiny": {"fill": "@", "font-size": "9px"},
    "strong": {"fill": "@", "font-size": "11px", "font-weight": "600"},
    "title": {"fill": "@", "font-size": "13px", "font-weight": "600"},
    "halo": {"stroke": "$ground", "stroke-width": "3", "stroke-linejoin": "round", "paint-order": "stroke"},
}  # fmt: skip
"""How a mark is drawn: attributes that are properties of CSS as well."""

_CLASS = re.compile(r' class="([^"]*)"')  # in texts of users a quotation mark is escaped


def colour(role: str, theme: int = LIGHT) -> str:
    """The colour of a role as "#rrggbb", on a light or a dark ground.

    Raises:
        KeyError: if there is no such role.
    """
    return COLOURS[role][theme]


def stylesheet() -> str:
    """The rules that all pictures on a page need: colours by the reader's light or dark scheme, light in print.

    A page can set a scheme against the reader's by `<html data-theme="dark">` or "light". The colours are there
    for other parts of the page, too: `var(--chart-failed)`.
    """
    light, dark = (
        ";".join(f"--chart-{role}:{shades[theme]}" for role, shades in COLOURS.items()) for theme in (LIGHT, DARK)
    )
    rules = [
        f":root{{{light}}}",
        f'@media screen and (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{dark}}}}}',
        f'@media screen{{:root[data-theme="dark"]{{{dark}}}}}',
        f".chart{{max-width:100%;height:auto;font-family:{FONT}}}",
        ".chart.natural{max-width:none}",
        ".chart a:hover{opacity:.75}",
        ".chart a:focus-visible{outline:2px solid var(--chart-ink);outline-offset:1px}",
    ]
    rules += [f".chart .{role}{{--paint:var(--chart-{role})}}" for role in COLOURS]
    for shape, attributes in SHAPES.items():
        styles = ";".join(f"{name}:{value.replace(_PAINT, 'var(--paint)')}" for name, value in attributes.items())
        rules.append(f".chart .{shape}{{{styles}}}")
    return _OTHER.sub(r"var(--chart-\1)", "\n".join(rules)) + "\n"


def standalone(picture: str, theme: int = LIGHT) -> Svg:
    """A picture that needs no stylesheet: its classes as literal attributes, on the ground's colour."""
    literal: dict[str, str] = {}

    def attributes(match: re.Match[str]) -> str:
        classes = match[1]
        if classes not in literal:
            literal[classes] = "".join(f' {name}="{value}"' for name, value in _literal(classes, theme).items())
        return literal[classes]

    head, _, body = picture.partition(">")
    root = _CLASS.sub(f' xmlns="http://www.w3.org/2000/svg" font-family="{FONT}"', head)
    ground = f'<rect width="100%" height="100%" fill="{colour("ground", theme)}"/>'
    return Svg(f"{root}>{ground}{_CLASS.sub(attributes, body)}")


def _literal(classes: str, theme: int) -> dict[str, str]:
    names = classes.split()
    paint = next((colour(name, theme) for name in names if name in COLOURS), "")
    values: dict[str, str] = {}
    for name in names:
        for attribute, value in SHAPES.get(name, {}).items():
            values[attribute] = _OTHER.sub(lambda other: colour(other[1], theme), value.replace(_PAINT, paint))
    return values
