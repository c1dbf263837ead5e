"""Runs that a server is to see to: those that do not begin, and those that do not end in their usual time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar

from trikk.alerts.rules.rule import SOON, Kind, Point, Reading, Rule, Scene, Severity
from trikk.alerts.rules.runs import PipelineRule, asking, point_of, recent
from trikk.alerts.rules.serving.served import is_served
from trikk.core.durations import lasting, show_seconds
from trikk.core.values import JSON
from trikk.core.zones import local_text
from trikk.runs.approval_state import seconds_waited
from trikk.runs.states import RunStatus
from trikk.triggers.clock_triggers import ClockTrigger
from trikk.triggers.trigger_state import TRIGGERS, TriggerEntry, TriggerState, subject_of

if TYPE_CHECKING:
    from trikk.execution.project import Project

_USUAL = 20
_FEWEST = 5
_TIMES = 3.0
_ALLOWANCE = 300.0
_BY_ITSELF = ("trigger", "incident", "watch", "schedule")
"""Origins of runs that nobody watches as they run."""


class TickRule(Rule, frozen=True, kw_only=True):
    """Bad is a trigger whose moment is long past, and of which nothing is recorded: neither a run nor why not."""

    kind: ClassVar[Kind] = Kind.TICK
    about: ClassVar[str] = "trigger"

    cooldown: float = SOON
    trigger: str = ""
    budget: float = 300.0  # seconds that the record may be late

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The trigger that it names, or all that servers have taken in."""
        if not is_served(scene):
            return []
        return [self.trigger] if self.trigger else scene.project.journal.children(TRIGGERS)

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """One point, of the first moment that was not decided; none for a trigger that waits for events."""
        entry = scene.project.journal.last(subject_of(subject))
        state = TriggerState.of(entry)
        if entry is None or state is None or entry.kind == TriggerEntry.RETIRED:
            return []
        state, declared = state.at(scene.now), state.declared
        trigger = declared.trigger
        if not isinstance(trigger, ClockTrigger):
            return []
        tick = None if state.paused else trigger.next_after(state.decided)
        is_late = tick is not None and (scene.now - tick).total_seconds() > self.budget
        moment = tick if tick is not None and is_late else state.decided
        shown = local_text(moment.timestamp(), scene.project.settings.timezone)
        text = f"nothing was started at {shown}" if is_late else f"up to {shown} everything was decided"
        facts: dict[str, JSON] = {"trigger": subject, "due": shown, "pipeline": declared.pipeline}
        at = moment.timestamp()
        point = Point(moment.astimezone(UTC).isoformat(), at, at, is_late, text, float(is_late), facts)
        return [Reading(self, subject, f"trigger {subject} has not come", (point,))]

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """Where it stands, and how it is started by hand: the same run, if a server comes to it later."""
        fire = [] if point is None else [f"trikk fire {subject} --for {point.mark}"]
        return [f"trikk triggers {subject}", *fire]


class UsualRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that takes, or took, far longer than such runs do; only of those that start by themselves."""

    kind: ClassVar[Kind] = Kind.USUAL
    severity: Severity = Severity.WARNING

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The pipeline that it names, or all."""
        return super().subjects(scene) if is_served(scene) else []

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """The last runs, each by the successes before it; one that goes on counts when it is over the limit."""
        states = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.RUNNING)
        rows = [
            row
            for row in recent(project, pipeline, now, _USUAL + self.least, states)
            if row.origin.get("kind") in _BY_ITSELF and row.started is not None
        ]
        points, durations = [], list[float]()
        for row in rows:
            took = (row.ended or now.timestamp()) - (row.started or 0.0)
            usual = statistics.median(durations[-_USUAL:]) if len(durations) >= _FEWEST else None
            limit = usual_limit(usual)
            if limit is not None and took > limit and not row.forgotten:
                took -= seconds_waited(project.journal.events(row.id))  # people's time is not the run's
            if row.state == RunStatus.SUCCEEDED:
                durations.append(took)
            if limit is None or usual is None or (row.ended is None and took <= limit):
                continue
            # While it goes on, the text has no number that grows: each look would write it down as news.
            spent = f"took {show_seconds(took)}" if row.ended else f"has been running for over {lasting(limit)}"
            text = f"run {row.id} {spent} (usually {show_seconds(usual)})"
            bad = took > limit
            facts: dict[str, JSON] = {"usually": show_seconds(usual), "limit": show_seconds(limit)}
            points.append(point_of(project, row, bad=bad, text=text, badness=float(bad), facts=facts))
        return Reading(self, pipeline, f"{pipeline} takes longer than usual", tuple(points[-self.least :]))


def usual_limit(usual: float | None) -> float | None:
    """How many seconds are far longer than usual: three times the median, and five minutes more at least. Pure."""
    return None if usual is None else max(_TIMES * usual, usual + _ALLOWANCE)


class WaitRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that has waited for too long to be started; those of a backfill may wait."""

    kind: ClassVar[Kind] = Kind.WAITS
    severity: Severity = Severity.WARNING

    budget: float = 3600.0  # seconds that it may wait

    def check(self) -> None:
        """Check that it has a budget; UsageError if not."""
        if not self.budget:
            self.refuse("needs a budget", 'longer_than = "2h"')

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The pipeline that it names, or all."""
        return super().subjects(scene) if is_served(scene) else []

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """The run that has waited longest; good if none has waited for too long."""
        at = now.timestamp()
        waiting = [
            row
            for row in project.journal.runs(pipeline=pipeline, state=RunStatus.QUEUED, limit=None)
            if row.origin.get("kind") != "backfill" and at - row.created > self.budget
        ]
        title = f"{pipeline} waits to be started"
        if not waiting:
            return Reading(self, pipeline, title, (Point("none", at, at, False, "no run waits for long"),))
        first = waiting[-1]
        since = local_text(first.created, project.settings.timezone)
        facts: dict[str, JSON] = {"run": first.id, "waiting since": since, "runs that wait": len(waiting)}
        text = f"run {first.id} waits since {since}{asking(project, pipeline)}"
        due = first.created + self.budget
        return Reading(self, pipeline, title, (Point(first.id, first.created, due, True, text, 1.0, facts),))
