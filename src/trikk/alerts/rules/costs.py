"""Costs: a run that cost more than its budget, or all runs that ended in a local day or month.

Everything that ran counts: replays, sweeps and cancelled runs, too. Prices are those of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from trikk.alerts.rules.rule import Kind, Point, Reading, Scene, Severity
from trikk.alerts.rules.runs import PipelineRule, point_of, recent
from trikk.core.errors import UsageError
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.core.zones import day_of, day_start
from trikk.runs.cost import Cost, Prices, dearest, money
from trikk.runs.states import RunStatus

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.execution.upkeep.run_costs import Spent
    from trikk.runs.journals.journal import RunRow

ALL_PIPELINES = "_all"
"""The subject of a rule on what all pipelines cost together; no pipeline can be called so."""

_STATES = (RunStatus.SUCCEEDED, RunStatus.FAILED, RunStatus.CANCELLED, RunStatus.RUNNING)
_SHOWN = 3


class Per(StrEnum):
    """What a budget is for."""

    RUN = "run"
    DAY = "day"
    MONTH = "month"


class CostRule(PipelineRule, frozen=True, kw_only=True):
    """Bad is a run, or a day's or month's runs together, over its budget."""

    kind: ClassVar[Kind] = Kind.COST
    severity: Severity = Severity.WARNING

    costs_more_than: float = 0.0  # the currency's units that it may cost
    per: Per = Per.RUN  # run, day or month

    @property
    def subject(self) -> str:
        """The pipeline; `ALL_PIPELINES` for what all cost together in a day or month."""
        return self.pipeline or ("" if self.per == Per.RUN else ALL_PIPELINES)

    def check(self) -> None:
        """Check that it has a budget; UsageError if not."""
        if not self.costs_more_than:
            self.refuse("needs a budget", "costs_more_than = 2.5")

    def lack(self, settings: Settings) -> str:
        """That no prices are set; "" if they are."""
        is_set = Prices.of_section(settings.costs) is not None
        return "" if is_set else "no prices are set; write [costs] into trikk.toml, below it core_hour = 0.045"

    def subjects(self, scene: Scene) -> Sequence[str]:
        """The pipeline that it names, or all, one by one or together; UnknownName if it is not there."""
        return [ALL_PIPELINES] if self.subject == ALL_PIPELINES else super().subjects(scene)

    def judge(self, project: Project, pipeline: str, now: datetime) -> Reading:
        """What runs cost, one by one or by day or month; UsageError if the project has no prices."""
        prices = Prices.of_section(project.settings.costs)
        if prices is None:
            raise UsageError(self.lack(project.settings))
        budget = money(self.costs_more_than, prices.currency)
        who = "all pipelines" if pipeline == ALL_PIPELINES else pipeline
        if self.per == Per.RUN:
            points = self._of_runs(project, pipeline, now, prices)
            return Reading(self, pipeline, f"{who} cost more than {budget}", points)
        points = self._of_periods(project, pipeline, now, prices)
        return Reading(self, pipeline, f"{who} cost more than {budget} in a {self.per}", points)

    def _of_runs(self, project: Project, pipeline: str, now: datetime, prices: Prices) -> tuple[Point, ...]:
        """Each of the last runs; one that goes on counts as soon as it has cost too much."""
        from trikk.execution.upkeep.run_costs import Spending

        spending, at = Spending(project), now.timestamp()
        budget = money(self.costs_more_than, prices.currency)
        points = []
        for row in recent(project, pipeline, now, self.least, _STATES, but=()):
            if row.forgotten:
                continue
            cost = Cost.of(spending.of(row.id, at), prices)
            bad = cost.amount > self.costs_more_than
            if bad or row.ended is not None:
                text = f"run {row.id} {_said(cost, budget, is_over=row.ended is not None)}"
                facts = _facts(cost, budget)
                points.append(point_of(project, row, bad=bad, text=text, badness=self._badness(cost), facts=facts))
        return tuple(points)

    def _of_periods(self, project: Project, pipeline: str, now: datetime, prices: Prices) -> tuple[Point, ...]:
        """Each of the last days or months; the one under way counts as soon as it has cost too much."""
        from trikk.execution.upkeep.run_costs import Spending, ended_since

        zone = ZoneInfo(project.settings.timezone)
        spans = periods(self.per, now, zone, self.windows)
        of = None if pipeline == ALL_PIPELINES else pipeline
        rows = ended_since(project, of, spans[0].start.timestamp(), now.timestamp())
        spent = Spending(project).ended(rows, now.timestamp())
        budget = money(self.costs_more_than, prices.currency)
        points = []
        for span in spans:
            start, end = span.start.timestamp(), span.end.timestamp()
            mine = [row for row in rows if start <= (row.ended or 0.0) < end]
            cost, facts = _summed(mine, spent, prices, f"{budget} a {self.per}", named=pipeline == ALL_PIPELINES)
            bad, is_over = cost.amount > self.costs_more_than, span.end <= now
            if is_over or bad:
                text = f"{span.label} {_said(cost, budget, is_over=is_over)}"
                points.append(Point(span.label, start, end, bad, text, self._badness(cost), facts))
        return tuple(points)

    def _badness(self, cost: Cost) -> float:
        return cost.amount / self.costs_more_than if cost.amount > self.costs_more_than else 0.0

    def commands(self, subject: str, point: Point | None, go_on: str = "") -> list[str]:
        """The run, or the runs."""
        is_one = subject != ALL_PIPELINES or (point is not None and point.run)
        return super().commands(subject, point, go_on) if is_one else ["trikk runs"]


@dataclass(frozen=True, slots=True)
class Period:
    """A local day or month: what it is called, its first moment, and the one after its last."""

    label: str
    start: datetime
    end: datetime


def periods(per: Per, now: datetime, zone: ZoneInfo, over: int) -> list[Period]:
    """The last `over` days or months that are over, and the one that is under way, oldest first. Pure."""
    day = day_of(now, zone)
    first = day if per == Per.DAY else day.replace(day=1)
    form = "%Y-%m-%d" if per == Per.DAY else "%Y-%m"
    newest_first: list[Period] = []
    while len(newest_first) <= over:
        start, end = day_start(first, zone), day_start(_after(per, first), zone)
        if start < end:  # a place's clocks can leave a day out
            newest_first.append(Period(f"{first:{form}}", start, end))
        before = first - timedelta(days=1)
        first = before if per == Per.DAY else before.replace(day=1)
    return newest_first[::-1]


def _summed(
    rows: Sequence[RunRow], spent: dict[str, Spent], prices: Prices, budget: str, *, named: bool
) -> tuple[Cost, dict[str, JSON]]:
    """What some runs cost together, and what is to be told of it; `named` says of which pipeline each step is."""
    from trikk.execution.upkeep.run_costs import added

    known = [row for row in rows if row.id in spent]
    label = {row.id: f"{row.pipeline}." if named else "" for row in known}
    steps = added({f"{label[row.id]}{step}": u for step, u in spent[row.id].items()} for row in known)
    cost = Cost.of(steps, prices)
    single = {f"{row.id} of {row.pipeline}": Cost.of(spent[row.id], prices).amount for row in known}
    facts = _facts(cost, budget)
    facts["dearest runs"] = dearest(single, prices.currency, _SHOWN) or "-"
    facts["runs"] = len(rows)
    if len(known) < len(rows):
        facts["not counted"] = f"{len(rows) - len(known)} runs that clean-up has forgotten"
    return cost, facts


def _said(cost: Cost, budget: str, *, is_over: bool) -> str:
    """What it cost; while it goes on, words that stay the same."""
    return f"cost {money(cost.amount, cost.currency)}" if is_over else f"has cost more than {budget} by now"


def _facts(cost: Cost, budget: str) -> dict[str, JSON]:
    facts: dict[str, JSON] = {
        "cost": f"{money(cost.amount, cost.currency)}, estimated from what steps ask for",
        "budget": budget,
        "dearest steps": dearest(cost.steps, cost.currency, _SHOWN) or "-",
    }
    if cost.missing:
        facts["no price for"] = ", ".join(cost.missing)
    return facts


def _after(per: Per, first: date) -> date:
    """The first day of the next day or month."""
    if per == Per.DAY:
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)
