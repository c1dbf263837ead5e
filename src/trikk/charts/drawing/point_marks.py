"""The marks of figures over time: points by what they are worth, spans that are not final, and what hides what."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from trikk.charts.drawing.axes import Plot
from trikk.charts.drawing.marks import Place, circle, dots, hatch, path, rect, spot

LOOKS = {
    "partial": "hollow {}",
    "pending": "unsure {}",
    "overdue": "hollow worse",
    "restated": "fill worse",
}
"""Points that are not final, or were restated, by how they look."""
_FORMS = {
    "series-2": "m-3 -3h6v6h-6z",
    "series-3": "m0 -4l4 7h-8z",
    "series-4": "m0 -4.2l4.2 4.2l-4.2 4.2l-4.2 -4.2z",
    "series-5": "m0 4l4 -7h-8z",
    "series-6": "m-1.2 -4h2.4v2.8h2.8v2.4h-2.8v2.8h-2.4v-2.8h-2.8v-2.4h2.8z",
}


def point_mark(state: str, place: Place, role: str, radius: float) -> str:
    """A point by its state; each of the series without a meaning of its own has another form."""
    if state == "restated":
        return path(f"M{spot((place[0] - 4.5, place[1] - 3.5))}h9l-4.5 8z", "fill worse")
    if state in LOOKS:
        return circle(place, radius + 1, LOOKS[state].format(role))
    if role in _FORMS:
        return path(f"M{spot(place)}{_FORMS[role]}", f"fill {role}")
    return circle(place, radius, f"fill {role}")


def stretch_mark(state: str, left: float, top: float, width: float, height: float) -> str:
    """What lies behind figures that are not final, told apart by its hatching, too."""
    body = rect(left, top, width, height, f"fill {state}")
    if state == "overdue":
        body += path(hatch(left, top, width, height), "thin overdue-hatch")
    if state == "missing":
        body += path(dots(left, top, width, height), "dots missing-hatch")
    return body


def crosses(course: Sequence[Place], box: Plot) -> bool:
    """Whether a line goes through a box."""
    if len(course) == 1:
        return box.left <= course[0][0] <= box.right and box.top <= course[0][1] <= box.bottom
    for start, end in itertools.pairwise(course):
        if end[0] < box.left or start[0] > box.right:
            continue
        run = (end[0] - start[0]) or 1e-9
        edges = (max(box.left, start[0]), min(box.right, end[0]))
        heights = [start[1] + (edge - start[0]) / run * (end[1] - start[1]) for edge in edges]
        if min(heights) <= box.bottom and max(heights) >= box.top:
            return True
    return False
