"""Draws the state diagrams of docs/concepts.md as SVG: `python docs/diagrams.py` writes docs/images/states-*.svg.

The pictures are checked in: the repository's page shows them as well as the built site, and neither needs a
network or a script for it. tests/docs/test_state_diagrams.py compares them with the code.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

IMAGES = Path(__file__).parent / "images"
BOX = (110, 36)
"""Width and height of a state's box."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Arrow:
    """From one state to another.

    Attributes:
        start: a state's name.
        end: a state's name.
        label: what leads there.
        at: where the label's middle is.
        via: corners on the way.
        aside: how far to the right of its direction it runs, so that two arrows of a pair lie apart.
    """

    start: str
    end: str
    label: str = ""
    at: Point | None = None
    via: tuple[Point, ...] = ()
    aside: float = 0


@dataclass(frozen=True)
class Diagram:
    """A picture: its size, where each state's box has its middle, and the arrows.

    `outside` names a box that is no state: where there is nothing yet.
    """

    size: tuple[int, int]
    states: dict[str, Point]
    arrows: tuple[Arrow, ...]
    outside: str = ""


RUN = Diagram(
    (770, 270),
    {
        "queued": (80, 110),
        "running": (300, 110),
        "waiting": (300, 245),
        "succeeded": (610, 50),
        "failed": (610, 110),
        "cancelled": (610, 170),
    },
    (
        Arrow("queued", "running", "a driver"),
        Arrow("queued", "cancelled", "trikk cancel", (215, 180), ((130, 180), (500, 180))),
        Arrow("running", "waiting", "only people have something to do", (408, 208)),
        Arrow("waiting", "queued", "decided, or expired", (130, 245), ((30, 245),)),
        Arrow("waiting", "cancelled", "trikk cancel", (480, 245), ((610, 245),)),
        Arrow("running", "succeeded", "every step is done", (455, 80)),
        Arrow("running", "failed", "a step failed for good"),
        Arrow("running", "cancelled", "trikk cancel, Ctrl-C", (455, 140)),
        Arrow("failed", "running", "trikk resume", (480, 14), ((725, 110), (725, 14), (300, 14))),
        Arrow("cancelled", "running", "", None, ((725, 170), (725, 14), (300, 14))),
    ),
)

STEP = Diagram(
    (770, 370),
    {
        "waiting": (95, 130),
        "running": (330, 130),
        "retrying": (330, 235),
        "succeeded": (610, 65),
        "cancelled": (610, 130),
        "failed": (610, 200),
        "skipped": (610, 300),
    },
    (
        Arrow("waiting", "running", "inputs are there"),
        Arrow("waiting", "succeeded", "its result is in the cache", (340, 20), ((95, 20), (610, 20))),
        Arrow("waiting", "skipped", "its condition is false, or an input was skipped", (320, 300), ((95, 300),)),
        Arrow("running", "succeeded", "it returned", (470, 97)),
        Arrow("running", "cancelled", "the run is cancelled"),
        Arrow("running", "failed", "no attempt is left", (474, 166)),
        Arrow("running", "retrying", "it failed", (282, 182), aside=12),
        Arrow("retrying", "running", "the delay is over", (400, 190), aside=12),
        Arrow("retrying", "failed", "the run ends first", (474, 217)),
        Arrow("succeeded", "waiting", "", None, ((730, 65), (730, 350), (15, 350), (15, 130))),
        Arrow("cancelled", "waiting", "", None, ((730, 130), (730, 350), (15, 350), (15, 130))),
        Arrow("failed", "waiting", "trikk resume", (370, 350), ((730, 200), (730, 350), (15, 350), (15, 130))),
        Arrow("skipped", "waiting", "", None, ((730, 300), (730, 350), (15, 350), (15, 130))),
    ),
)

INCIDENT = Diagram(
    (770, 200),
    {"no incident": (85, 100), "open": (360, 100), "resolved": (670, 100)},
    (
        Arrow("no incident", "open", "bad often enough", (222, 100)),
        Arrow("open", "open", "updated, escalated, acknowledged", (360, 22), ((330, 40), (390, 40))),
        Arrow("open", "resolved", "good as often, or by hand"),
        Arrow("resolved", "resolved", "bad within the cool-down", (670, 22), ((640, 40), (700, 40))),
        Arrow(
            "resolved",
            "open",
            "bad after the cool-down: the next incident of this cause",
            (515, 177),
            ((670, 158), (360, 158)),
        ),
    ),
    outside="no incident",
)

DIAGRAMS = {"run": RUN, "step": STEP, "incident": INCIDENT}

_STYLE = """
  .paper { fill: #ffffff; stroke: #d8dee4 }
  .state { fill: #eef4fb; stroke: #3b6ea5; stroke-width: 1.5 }
  .outside { fill: #ffffff; stroke: #8a949e; stroke-dasharray: 4 3 }
  .way { fill: none; stroke: #57606a; stroke-width: 1.4; marker-end: url(#tip) }
  text { font: 13px system-ui, sans-serif; text-anchor: middle; dominant-baseline: central; fill: #1f2328 }
  .name { font-weight: 600 }
  .why { font-size: 12px; fill: #424a53 }
  .gap { fill: #ffffff }
"""

_TIP = """
<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">
  <path d="M0 0 8 4 0 8z" fill="#57606a"/>
</marker></defs>""".strip()


def svg(diagram: Diagram) -> str:
    """The diagram as an SVG document, on white paper so that a dark page shows it as well."""
    width, height = diagram.size
    seen = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {seen}>',
        f"<style>{_STYLE}</style>",
        _TIP,
        f'<rect class="paper" x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="6"/>',
    ]
    for arrow in diagram.arrows:
        corners = " ".join(f"{x:g},{y:g}" for x, y in _corners(diagram, arrow))
        lines.append(f'<polyline class="way" points="{corners}"/>')
    for name, (x, y) in diagram.states.items():
        kind = "outside" if name == diagram.outside else "state"
        left, top = x - BOX[0] / 2, y - BOX[1] / 2
        lines.append(
            f'<rect class="{kind}" x="{left:g}" y="{top:g}" width="{BOX[0]}" height="{BOX[1]}" rx="6"/>'
            f'<text class="name" x="{x:g}" y="{y:g}">{escape(name)}</text>'
        )
    for arrow in diagram.arrows:
        if arrow.label:
            x, y = arrow.at or _between(diagram, arrow)
            gap = 6.3 * len(arrow.label)  # about as wide as the text, so that no line runs through it
            lines.append(
                f'<rect class="gap" x="{x - gap / 2:g}" y="{y - 8:g}" width="{gap:g}" height="16"/>'
                f'<text class="why" x="{x:g}" y="{y:g}">{escape(arrow.label)}</text>'
            )
    return "\n".join([*lines, "</svg>", ""])


def _corners(diagram: Diagram, arrow: Arrow) -> list[Point]:
    """The points of an arrow, from the edge of one box to the edge of the other."""
    start, end = diagram.states[arrow.start], diagram.states[arrow.end]
    if arrow.aside:
        down = 1 if end[1] > start[1] else -1
        start, end = ((x - down * arrow.aside, y) for x, y in (start, end))
    inner = list(arrow.via)
    return [_edge(start, (inner or [end])[0]), *inner, _edge(end, (inner or [start])[-1])]


def _edge(middle: Point, towards: Point) -> Point:
    """Where the line from a box's middle towards a point leaves the box."""
    dx, dy = towards[0] - middle[0], towards[1] - middle[1]
    if abs(dx) < BOX[0] / 2 and dy:  # straight up or down to a corner that lies above or below the box
        return (towards[0], middle[1] + BOX[1] / 2 * (1 if dy > 0 else -1))
    if abs(dy) < BOX[1] / 2 and dx:
        return (middle[0] + BOX[0] / 2 * (1 if dx > 0 else -1), towards[1])
    share = min(BOX[0] / 2 / abs(dx), BOX[1] / 2 / abs(dy))
    return (middle[0] + dx * share, middle[1] + dy * share)


def _between(diagram: Diagram, arrow: Arrow) -> Point:
    """The middle of the free way between two boxes."""
    first, *_, last = _corners(diagram, arrow)
    return ((first[0] + last[0]) / 2, (first[1] + last[1]) / 2)


def main() -> None:
    """Write the pictures."""
    for name, diagram in DIAGRAMS.items():
        (IMAGES / f"states-{name}.svg").write_text(svg(diagram))


if __name__ == "__main__":
    main()
