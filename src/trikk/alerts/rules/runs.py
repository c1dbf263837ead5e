"""Runs: those that failed, did not come, took too long, or whose quality gate warned."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from zoneinfo import ZoneInfo

from msgspec.structs import replace

from trikk.alerts.rules.rule import Kind, Point, Reading, Rule, Scene, Severity, among
from trikk.core.durations import show_seconds
from trikk.core.errors import UsageError
from trikk.core.values import JSON
from trikk.core.zones import local_text, start_of
from trikk.execution.approvals.decisions import open_approvals
from trikk.runs.approval_state import seconds_waited
from trikk.runs.events import EventKind
from trikk.runs.shown_parameters import parameters_text
from trikk.runs.states import RunStatus

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.journals.journal import RunRow

_PAGE = 100
_MORE = 3  # rows that are read beside those that are wanted: some do not count
_NOT_COUNTED = ("replay", "sweep")  # tried by hand: they say nothing of the night's run
_OVER = (RunStatus.SUCCEEDED, RunStatus.FAILED)
_STATES = (*_OVER, RunStatus.RUNNING)


class PipelineRule(Rule, frozen=True, kw_only=True):
    """A rule on the runs of a pipeline."""

    about: ClassVar[str] = "pipeline"

    pipeline: str = ""

    @property
    def least(self) -> int:
        """How many runs to look at, so that neither side of a change is missed."""
        return max(5, 2 * self.windows + 1)

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The pipeline that it names, or all; UnknownName if that is not there."""
        return among(self, scene.pipelines)

    def readings(self, scene: Scene, subject: str) -> list[Reading]:
        """What it sees of a pipeline."""
        return [self.judge(scene.project, subject, scene.now)]

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """What it sees of a pipeline's runs; UsageError if the project lacks something."""
        raise NotImplementedError

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:  # noqa: ARG002
        """The run; if there is none, the pipeline's runs."""
        run = "" if point is None else point.run
        return [f"trikk show {run}"] if run else [f"trikk runs --pipeline {subject}"]


class FailureRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that failed or lost its process; cancelled ones do not count."""

    kind: ClassVar[Kind] = Kind.FAILED

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """Good for a run that succeeded; each bad one is as bad as there are in a row up to it."""
        points = []
        for row in recent(project, pipeline, now, self.least, _STATES):
            is_dead = row.state == RunStatus.RUNNING and not project.is_driven(row.id)
            # It is on its way, and says nothing yet.
            if row.state == RunStatus.RUNNING and not is_dead:
                continue
            bad = row.state != RunStatus.SUCCEEDED
            reason = "the process that drove it is gone" if is_dead else (row.error or "failed")
            text = f"run {row.id} {'failed: ' + reason if bad else 'succeeded'}"
            points.append(point_of(project, row, bad=bad, text=text, badness=float(bad)))
        return Reading(self, pipeline, f"{pipeline} failed", _counted(points))

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:
        """The run, and how to go on with it."""
        shown = super().commands(subject, point)
        return [*shown, go_on or f"trikk resume {point.run}"] if point is not None and point.run else shown


class LengthRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that took longer than its budget, or goes on for longer already."""

    kind: ClassVar[Kind] = Kind.LONG
    severity: Severity = Severity.WARNING

    budget: float = 0.0  # seconds that a run may take

    def check(self) -> None:
        """Check that it has a budget; UsageError if not."""
        if not self.budget:
            self.refuse("needs a budget", 'longer_than = "20m"')

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """A run that goes on counts as soon as it is over its budget, in words that stay the same."""
        points = []
        budget = show_seconds(self.budget)
        for row in recent(project, pipeline, now, self.least, _STATES):
            if row.started is None:
                continue
            took = (row.ended or now.timestamp()) - row.started
            if took > self.budget and not row.forgotten:  # what people took to decide is not the run's fault
                took -= seconds_waited(project.journal.events(row.id))
            if row.ended is None and took <= self.budget:
                continue
            bad = took > self.budget
            # While it goes on, the text has no number that grows: each look would write it down as news.
            spent = f"took {show_seconds(took)}" if row.ended else f"has been running for more than {budget}"
            facts: dict[str, JSON] = {"took": show_seconds(took), "budget": budget} if row.ended else {}
            badness = took / self.budget if bad and row.ended else float(bad)
            points.append(
                point_of(project, row, bad=bad, text=f"run {row.id} {spent}", badness=badness, facts=facts)
            )
        return Reading(self, pipeline, f"{pipeline} took longer than {budget}", tuple(points))


class AskRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that asks people something which nobody has decided; good again when all is decided."""

    kind: ClassVar[Kind] = Kind.ASKS
    # Badness is when it was asked: whatever is asked later is told again, be the incident open.
    clearly_worse: ClassVar[float] = 1.0
    worse: ClassVar[str] = "asked since the last message"
    severity: Severity = Severity.WARNING
    cooldown: float = 0.0

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """The question that was asked last, of those that are open."""
        title, at = f"{pipeline} waits for a decision", now.timestamp()
        asked = [(each.asked, run, each) for run, each in open_approvals(project.journal, pipeline)]
        if not asked:
            return Reading(self, pipeline, title, (Point("none", at, at, False, "everything is decided"),))
        since, run, question = max(asked, key=lambda one: (one[0], one[1].id, one[2].step))
        text = f"run {run.id} asks: {question.question}"
        facts: dict[str, JSON] = {"run": run.id, "step": question.step, "questions": len(asked)}
        facts |= {name: str(value) for name, value in _plain(question.shown)}
        if question.expires is not None:
            zone = project.settings.timezone
            facts["without an answer"] = f"{question.on_expiry}d at {local_text(question.expires, zone)}"
        mark = f"{run.id}/{question.step}"
        return Reading(self, pipeline, title, (Point(mark, since, at, True, text, since, facts),))

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:
        """The run, and how to decide."""
        if point is None or not point.run:
            return super().commands(subject, point, go_on)
        asks = f"{point.run} {point.facts['step']}"
        return [f"trikk show {point.run}", *(f"trikk {verb} {asks} --why ..." for verb in ("approve", "refuse"))]


def asking(project: Project, pipeline: str) -> str:
    """What to add where a run is missed: which run of the pipeline waits for people; "" if none does."""
    rows = project.journal.runs(pipeline=pipeline, state=RunStatus.WAITING, limit=1)
    return f"; run {rows[0].id} waits for a decision" if rows else ""


class GateRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run that a quality gate let pass with a warning; runs without a gate don't count."""

    kind: ClassVar[Kind] = Kind.GATE
    severity: Severity = Severity.WARNING

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """A run is as bad as checks have failed in it."""
        points = []
        for row in recent(project, pipeline, now, self.least, _OVER)[-2 * self.windows - 1 :]:
            if row.forgotten:
                continue
            verdicts: list[Any] = [
                e.body for e in project.journal.events(row.id) if e.kind == EventKind.QUALITY_CHECKED
            ]
            if verdicts:
                points.append(_gate_point(project, row, verdicts))
        return Reading(self, pipeline, f"{pipeline}: a quality gate warned", tuple(points))


def _gate_point(project: Project, row: RunRow, verdicts: Sequence[Any]) -> Point:
    """A run by what its gates said, each as the body of its event."""
    from trikk.quality.check_verdict import summary

    warned = [body for body in verdicts if body["verdict"] == "warned"]
    failing = [check for body in warned for check in body["checks"] if check["ran"] and not check["passed"]]
    reasons = "; ".join(f"{check['name']}: {check['observed']}" for check in failing)
    reasons = reasons or "; ".join(summary(body) for body in warned)
    text = f"run {row.id}: " + (f"the gate warned: {reasons}" if warned else "the gate did not warn")
    facts: dict[str, JSON] = {str(c["name"]): f"{c['observed']} (expected: {c['expected']})" for c in failing}
    return point_of(project, row, bad=bool(warned), text=text, badness=float(len(failing)), facts=facts)


class AbsenceRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a day without a success since the deadline of the day before."""

    kind: ClassVar[Kind] = Kind.MISSING

    by: str = ""  # the deadline of each day, "HH:MM" in the project's time zone

    def check(self) -> None:
        """Check that it names a pipeline and a time of day; UsageError if not."""
        if not self.pipeline or not self.by:
            problem = "needs a pipeline and the time of day by which it comes"
            self.refuse(problem, 'pipeline = "nightly", by = "04:30"')
        try:
            time.fromisoformat(self.by)
        except ValueError as error:
            raise UsageError(f"by = {self.by!r} is not a time of day", next='write "04:30"') from error

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """A point for each of the last days.

        A run that comes after the deadline makes its day good as well, until the next deadline. One of a backfill
        of older days does not: a month that is made anew by night would hide that the night's run is missing.
        """
        zone = ZoneInfo(project.settings.timezone)
        deadlines = self._deadlines(zone, now)
        rows = _counting(project, pipeline, deadlines[0].timestamp() if deadlines else 0.0, (RunStatus.SUCCEEDED,))
        waits, began = asking(project, pipeline), _first_moment(project)
        came = sorted((_moment(row), row.id) for row in rows if not _is_of_the_past(row, zone))
        points = []
        for before, due, after in zip(deadlines, deadlines[1:], [*deadlines[2:], now], strict=False):
            if due.timestamp() < began:
                continue  # there was no project yet that anything could have come in
            run = next((i for at, i in came if before.timestamp() < at <= due.timestamp()), "")
            late = next((i for at, i in came if due.timestamp() < at <= after.timestamp()), "")
            # Of an older day, a run after the deadline is the one that came in time for the next.
            points.append(self._point(due, run, late if after is now else "", waits if after is now else ""))
        return Reading(self, pipeline, f"{pipeline} did not come by {self.by}", _counted(points))

    def _point(self, due: datetime, run: str, late: str, waits: str) -> Point:
        """A day: the run that came by its deadline, or after it, or that waits for people; "" for none."""
        day, bad = f"{due:%Y-%m-%d}", not (run or late)
        came = (
            f"run {run} came in time"
            if run
            else f"run {late} came late"
            if late
            else f"no run by {self.by}{waits}"
        )
        facts: dict[str, JSON] = {"day": day, "expected by": f"{due:%Y-%m-%d %H:%M %Z}"}
        if not bad:
            facts["run"] = run or late
        return Point(day, due.timestamp(), due.timestamp(), bad, f"{day}: {came}", float(bad), facts)

    def _deadlines(self, zone: ZoneInfo, now: datetime) -> list[datetime]:
        """The last deadlines that are over, oldest first, and the one before."""
        hour, today = time.fromisoformat(self.by), now.astimezone(zone).date()
        days = [today + timedelta(days=1 - back) for back in range(self.least + 4)]
        # a set, since a day that a place's clocks leave out begins when the next one does
        dues = sorted({start_of(datetime.combine(day, hour), zone) for day in days})
        return [due.astimezone(zone) for due in dues if due <= now][-self.least - 1 :]


def _first_moment(project: Project) -> float:
    """When the project's first run was, of whichever pipeline, seconds since 1970; 0 if there was none."""
    journal = project.journal
    rows = journal.runs(limit=1, offset=max(0, journal.count() - 1))
    return min((min(row.created, _moment(row)) for row in rows), default=0.0)


def recent(
    project: Project,
    pipeline: str,
    now: datetime,
    most: int,
    states: tuple[str, ...],
    but: tuple[str, ...] = _NOT_COUNTED,
) -> list[RunRow]:
    """The last runs of a pipeline in one of these states that had begun by `now`, oldest first."""
    latest: list[tuple[float, str, RunRow]] = []  # a heap: the earliest of them first
    for row in _counting(project, pipeline, 0.0, states, but, first=most + _MORE):
        # Rows come by creation, a point counts by its own moment: a backfilled run may be of an earlier time.
        if len(latest) == most and latest[0][0] >= row.created:
            break  # nothing that was created before this can be later
        if _moment(row) <= now.timestamp():
            (heapq.heappushpop if len(latest) == most else heapq.heappush)(latest, (_moment(row), row.id, row))
    return [row for _, _, row in sorted(latest, key=lambda one: one[:2])]


def _counting(
    project: Project,
    pipeline: str,
    since: float,
    states: tuple[str, ...],
    but: tuple[str, ...] = _NOT_COUNTED,
    first: int = _PAGE,
) -> Iterator[RunRow]:
    """The runs of a pipeline created after a moment that count, the newest first; `first` are read at once."""
    offset, size = 0, first
    while True:
        page = project.journal.runs(pipeline=pipeline, limit=size, offset=offset)
        for row in page:
            if row.created < since:
                return
            if row.state in states and row.origin.get("kind") not in but:
                yield row
        if len(page) < size:
            return
        offset, size = offset + size, _PAGE


def _moment(row: RunRow) -> float:
    """When a run was over, or began if it is not; a backfilled one happened at the time that it was told."""
    simulated = row.origin.get("at")
    return float(simulated) if isinstance(simulated, int | float) else (row.ended or row.started or row.created)


def _is_of_the_past(row: RunRow, zone: ZoneInfo) -> bool:
    """Whether a backfill ran it for a day before yesterday, as of when it ran."""
    if row.origin.get("kind") != "backfill":
        return False
    yesterday = datetime.fromtimestamp(_moment(row), zone).date() - timedelta(days=1)
    days = [day for _, value in _plain(row.parameters) if (day := _as_day(value))]
    return bool(days) and max(days) < yesterday


def _as_day(value: JSON) -> date | None:
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def point_of(
    project: Project,
    row: RunRow,
    *,
    bad: bool,
    text: str,
    badness: float,
    facts: dict[str, JSON] | None = None,
) -> Point:
    """A run of the project, judged; `facts` are told beside its id, pipeline and parameters."""
    at = _moment(row)
    parameters = parameters_text(dict(_plain(row.parameters)), ZoneInfo(project.settings.timezone))
    shown: dict[str, JSON] = {"run": row.id, "pipeline": row.pipeline, "parameters": parameters or "-"}
    return Point(row.id, at, at, bad, text, badness, {**shown, **(facts or {})})


def _plain(parameters: dict[str, JSON]) -> Iterable[tuple[str, JSON]]:
    for name, value in parameters.items():
        yield name, value["v"] if isinstance(value, dict) and "v" in value else value


def _counted(points: Iterable[Point]) -> tuple[Point, ...]:
    """Points of which each bad one is as bad as there are bad ones in a row up to it."""
    counted, row = [], 0
    for point in points:
        row = row + 1 if point.bad else 0
        counted.append(replace(point, badness=float(row)))
    return tuple(counted)
