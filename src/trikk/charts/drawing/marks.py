"""The elements that all pictures are made of, as text: lines, areas, dots, texts, links.

Coordinates are rounded to a tenth of a pixel, which nobody sees and halves the text. All that users wrote is
escaped here. There is no `style`, which a strict Content-Security-Policy blocks: looks come by classes (`roles`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from itertools import pairwise
from typing import TypeVar
from urllib.parse import quote

from trikk.core.text import printable

Place = tuple[float, float]
"""A point of a picture: pixels from the left and from the top."""

Item = TypeVar("Item")

_SCHEME = re.compile(r"[^/?#]*:")
_PLAIN = "%/:?#[]@!$&'()*+,;=~"  # stands in an address as it is
_WEB = ("http://", "https://")


class Svg(str):
    """A picture as text of SVG, all of it escaped; templates put it into a page as it is."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def number(value: float) -> str:
    """A coordinate, to a tenth of a pixel."""
    text = f"{value:.1f}"
    return "0" if text == "-0.0" else text.removesuffix(".0")


def written(text: object) -> str:
    """What users wrote, as it stands in a picture: on one line, escaped."""
    return escape(printable(str(text)))


def linked(body: str, title: str = "", href: str = "") -> str:
    """A mark with its title, which is shown where one points at it, and as a link if it has an address.

    Raises:
        ValueError: if the address is neither of the page's own server nor of the web.
    """
    if not href and not title:
        return body
    tag = "g"
    opening = "<g>"
    if href:
        if _SCHEME.match(href) and not href.startswith(_WEB):
            raise ValueError(f"a mark can't lead to {href!r}")
        tag, opening = "a", f'<a href="{escape(quote(href, safe=_PLAIN))}">'
    return f"{opening}<title>{written(title)}</title>{body}</{tag}>" if title else f"{opening}{body}</{tag}>"


def rect(left: float, top: float, width: float, height: float, look: str, *, round_by: float = 0) -> str:
    """A rectangle."""
    corner = f' rx="{number(round_by)}"' if round_by else ""
    return (
        f'<rect x="{number(left)}" y="{number(top)}" width="{number(max(width, 0))}"'
        f' height="{number(max(height, 0))}"{corner} class="{look}"/>'
    )


def circle(place: Place, radius: float, look: str) -> str:
    """A dot."""
    return f'<circle cx="{number(place[0])}" cy="{number(place[1])}" r="{number(radius)}" class="{look}"/>'


def segment(start: Place, end: Place, look: str) -> str:
    """A straight line from one place to another."""
    return path(f"M{spot(start)}L{spot(end)}", look)


def path(outline: str, look: str) -> str:
    """A path in SVG's own words."""
    return f'<path d="{outline}" class="{look}"/>'


def spot(place: Place) -> str:
    """A place as a path has it."""
    return f"{number(place[0])} {number(place[1])}"


def outline(places: Iterable[Place]) -> str:
    """A path through places, in straight lines."""
    text = "L".join(map(spot, places))
    return f"M{text}" if text else ""


def text(
    content: object,
    place: Place,
    look: str = "text ink",
    *,
    anchor: str = "start",
    turned: float = 0,
    whole: str = "",
) -> str:
    """A text on one line, from, around or up to a place on its base line.

    Args:
        content: it is escaped.
        place: where its start, middle or end is.
        look: classes.
        anchor: "start", "middle" or "end".
        turned: by how many degrees it is turned around the place.
        whole: what is shown where one points at it, where `content` is shortened.
    """
    if content == "":
        return ""
    aside = "" if anchor == "start" else f' text-anchor="{anchor}"'
    turn = f' transform="rotate({number(turned)} {spot(place)})"' if turned else ""
    title = f"<title>{written(whole)}</title>" if whole else ""
    return (
        f'<text x="{number(place[0])}" y="{number(place[1])}"{aside}{turn} class="{look}">'
        f"{title}{written(content)}</text>"
    )


def moved(body: str, place: Place) -> str:
    """Marks around the origin, put elsewhere."""
    return f'<g transform="translate({spot(place)})">{body}</g>'


def hatch(left: float, top: float, width: float, height: float, gap: float = 6) -> str:
    """A path of slanted lines that fill a rectangle: an area that is told apart without its colour."""
    lines = []
    across = gap
    while across < width + height:
        from_left, from_top = max(0.0, across - height), min(across, height)
        to_left, to_top = min(across, width), max(0.0, across - width)
        lines.append(f"M{spot((left + from_left, top + from_top))}L{spot((left + to_left, top + to_top))}")
        across += gap
    return "".join(lines)


def dots(left: float, top: float, width: float, height: float, gap: float = 7) -> str:
    """A path of dots that fill a rectangle, to be stroked with round ends."""
    return "".join(
        f"M{spot((left + gap / 2 + gap * column, top + gap / 2 + gap * row))}h0"
        for column in range(int(width // gap) or 1)
        for row in range(int(height // gap))
    )


def stretches(items: Sequence[Item | None]) -> list[list[Item]]:
    """What stands together between gaps."""
    parts: list[list[Item]] = []
    for before, item in pairwise([None, *items]):
        if item is None:
            continue
        if before is None:
            parts.append([])
        parts[-1].append(item)
    return parts


def thinned(places: Sequence[Place]) -> list[Place]:
    """A line without what nobody can see: of each column of pixels its first, lowest, highest and last place.

    It looks the same, and has at most four places for each pixel of its width, however many there were.
    """
    kept: list[Place] = []
    column: list[Place] = []
    for place in places:
        if column and int(place[0]) != int(column[0][0]):
            kept += _ends(column)
            column = []
        column.append(place)
    return kept + _ends(column)


def _ends(column: list[Place]) -> list[Place]:
    if len(column) <= 4:
        return column
    low, high = (choose(range(len(column)), key=lambda i: column[i][1]) for choose in (min, max))
    return [column[i] for i in sorted({0, low, high, len(column) - 1})]


def drawing(width: float, height: float, label: str, parts: Iterable[str], *, natural: bool = False) -> Svg:
    """The whole picture.

    It is a group of marks for those who hear a page, as a picture with links in it must be, and one picture where
    nothing in it leads anywhere.

    Args:
        width: in pixels, as it is drawn; it shrinks with its page.
        height: likewise.
        label: what it shows, in words, for those who do not see it.
        parts: what is in it.
        natural: whether it keeps its size where the page is narrower, which then has to scroll it.
    """
    body = "".join(parts)
    role = "group" if "<a " in body else "img"
    wide, high = number(width), number(height)
    look = "chart natural" if natural else "chart"
    size = f'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}"'
    return Svg(f'<svg class="{look}" role="{role}" aria-label="{written(label)}" {size}>{body}</svg>')
