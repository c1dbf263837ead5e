"""What a state looks like without its colour: a sign for each, for graphs, lanes, tables and badges."""

from __future__ import annotations

from trikk.charts.drawing.marks import Place, number, outline, path, rect, spot

# In a square from -5 to 5, with relative paths so that a sign is moved by its first place alone.
_SIGNS: dict[str, tuple[str, str]] = {
    "succeeded": ("line", "m-4 0.5l2.8 3l5.2 -7"),
    "failed": ("line", "m-3.5 -3.5l7 7m0 -7l-7 7"),
    "running": ("fill", "m-3 -4.5l7.5 4.5l-7.5 4.5z"),
    "retrying": ("line", "m3.6 -2a4.2 4.2 0 1 0 .5 3.4m.3 -5.6v2.6h-2.6"),
    "waiting": ("line", "m-2 -3.5v7m4 -7v7"),
    "queued": ("line", "m-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0"),
    "cancelled": ("fill", "m-3.5 -3.5h7v7h-7z"),
    "skipped": ("line", "m-4 -3.5l3.5 3.5l-3.5 3.5m4.5 -7l3.5 3.5l-3.5 3.5"),
}
STATES = tuple(_SIGNS)
"""The states of runs and steps that have a sign; another one has none, and is drawn as if it were queued."""


def known_state(state: str) -> str:
    """The state, or "queued" for one that this build does not know."""
    return state if state in _SIGNS else "queued"


def state_sign(state: str, middle: Place, size: float = 10) -> str:
    """The sign of a state as a part of a picture, around a place."""
    look, moves = _SIGNS[known_state(state)]
    scaled = "" if size == 10 else f" scale({number(size / 10)})"
    place = f"translate({number(middle[0])} {number(middle[1])}){scaled}"
    return f'<path transform="{place}" d="M0 0{moves}" class="{look} {known_state(state)}"/>'


def bar_of(state: str, left: float, top: float, width: float, bottom: float) -> str:
    """An upright bar whose form says its state.

    What succeeded is whole, what failed has a notch, what runs or waits is hollow, what was cancelled is thin, and
    what was skipped is a line at the base.
    """
    role = known_state(state)
    if role in ("running", "retrying", "waiting", "queued"):
        look = "hollow" if role in ("running", "retrying") else "unsure"
        first = spot((left + 0.75, bottom))  # its outline is drawn within it
        return path(f"M{first}V{number(top + 0.75)}h{number(width - 1.5)}V{number(bottom)}", f"{look} {role}")
    if role == "failed":
        notch = min(width / 2, (bottom - top) / 2)
        corners = [(left, top), (left + width / 2, top + notch), (left + width, top), (left + width, bottom)]
        return path(f"{outline([*corners, (left, bottom)])}z", f"fill {role}")
    thin = width * 0.3 if role == "cancelled" else 0.0
    high = bottom - 2 if role == "skipped" else top
    return rect(left + thin, high, width - 2 * thin, bottom - high, f"fill {role}")
