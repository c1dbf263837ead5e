"""What a run that is over adds to the metrics: a fold of its events, by way of its spans. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trikk.runs.events import EventKind
from trikk.telemetry.run_spans import RunSpans
from trikk.telemetry.span_records import NANO, SpanRecord

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event

_ENDS = (EventKind.RUN_SUCCEEDED, EventKind.RUN_FAILED, EventKind.RUN_CANCELLED)
_BEGINS = (EventKind.RUN_STARTED, EventKind.RUN_RESUMED)
_WORKED = ("succeeded", "failed")
_UTC = "+00:00"  # ends a tick that is a moment; other ticks are ids of events


@dataclass(slots=True)
class RunFigures:
    """What a run adds by one of its ends: from the end before, if it was resumed, to this one.

    Attributes:
        seconds: from its start, or its resumption, to its end; None if it never had a driver.
        waited: for how many seconds it waited, each time that it had to.
        lag: seconds from the scheduled moment that it is for to its first start; None if it is for none.
        trigger: of that moment.
        outcomes: how many attempts ended how, by step and outcome.
        steps: by step the seconds of each attempt that succeeded or failed.
    """

    seconds: float | None = None
    waited: list[float] = field(default_factory=list)
    lag: float | None = None
    trigger: str = ""
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    steps: dict[str, list[float]] = field(default_factory=dict)

    def count(self, span: SpanRecord) -> None:
        """Add a span of the run."""
        said, seconds = span.attributes, ((span.end or span.start) - span.start) / NANO
        if "trikk.attempt" in said:
            step, outcome = said["trikk.step"], said["trikk.outcome"]
            self.outcomes[step, outcome] += 1
            if outcome in _WORKED:
                self.steps.setdefault(step, []).append(seconds)
        elif span.name == "queued" and "trikk.outcome" not in said and "trikk.step" not in said:
            self.waited.append(seconds)


def run_figures(run: str, events: Iterable[Event], end: int) -> RunFigures:
    """What a run adds by the end that is its event of that number.

    Args:
        run: its id.
        events: its events in order, from the first one on.
        end: `seq` of that event; what comes after it is not looked at.
    """
    spans, figures = RunSpans(run), RunFigures()
    due: tuple[str, float] | None = None
    begun: float | None = None
    for event in events:
        if event.seq > end:
            break
        if event.kind == EventKind.RUN_CREATED:
            due = _due(event.body)
        elif event.kind in _BEGINS and begun is None:
            begun = event.at
            if due is not None:
                figures.trigger, figures.lag, due = due[0], max(0.0, event.at - due[1]), None
        for ending in spans.take(event):
            figures.count(ending.record)
        if event.kind in _ENDS:
            figures.seconds = None if begun is None else max(0.0, event.at - begun)
            if event.seq < end:  # it was resumed later
                figures, begun = RunFigures(), None
    return figures


def _due(body: dict[str, Any]) -> tuple[str, float] | None:
    """The trigger and the scheduled moment that a run is for."""
    origin = body.get("origin") or {}
    tick = str(origin.get("tick") or "")
    if origin.get("kind") != "trigger" or not tick.endswith(_UTC):
        return None
    try:
        return str(origin.get("trigger")), datetime.fromisoformat(tick).timestamp()
    except ValueError:  # the id of a message may end like that, too
        return None
