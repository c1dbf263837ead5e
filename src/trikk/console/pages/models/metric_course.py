"""How good a model's versions are, one after the other: a picture of one metric."""

from __future__ import annotations

from math import isfinite
from typing import Any

from markupsafe import Markup

from trikk.charts.line_chart import Lines, Point, Series, line_chart
from trikk.core.text import printable
from trikk.models.state import ModelState

_MOST = 1000  # versions, the newest


def metric_course(state: ModelState, metric: str, alias: str, holder: int | None) -> str:
    """A line of a metric over the versions, with an alias beside its holder; "" where fewer than two have it."""
    versions = [state.versions[number] for number in sorted(state.versions)[-_MOST:]]
    points = [
        Point(
            place,
            value,
            href=f"/models/{state.name}?version={version.version}",
            title=f"version {version.version}: {printable(metric)} {value:.6g}" if value is not None else "",
            note=alias if version.version == holder else "",
        )
        for place, version in enumerate(versions)
        for value in [number_of(version.metrics.get(metric))]
    ]
    if sum(point.value is not None for point in points) < 2:
        return ""
    name = printable(metric)
    lines = Lines(
        f"{name} of the versions of {state.name}",
        [Series(name, points)],
        names=[str(version.version) for version in versions],
    )
    return Markup(line_chart(lines, height=170))  # noqa: S704 - it escapes what it is given


def number_of(value: Any) -> float | None:
    """A metric's value; None if it is missing, or no finite number."""
    return value if isinstance(value, int | float) and isfinite(value) else None
