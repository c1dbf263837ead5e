"""Readings of costs: a run that cost more than its budget, or all runs that ended in a local day or month.

Everything that ran counts: replays, sweeps and cancelled runs, too. Prices are those of now.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from trikk.alerts.rules.reading import Point, Reading
from trikk.alerts.rules.rule import ALL_PIPELINES, Rule
from trikk.alerts.rules.runs import point_of, recent
from trikk.core.errors import UsageError
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.core.zones import day_of, day_start
from trikk.execution.project import Project
from trikk.execution.upkeep.run_costs import Spending, Spent, added
from trikk.runs.cost import Cost, Prices, dearest, money
from trikk.runs.journals.journal import RunRow

RESUMED_WITHIN = timedelta(days=7)
"""A run that was created longer than this before a day or month does not count in it, though it ended there."""

_STATES = ("succeeded", "failed", "cancelled", "running")
_PAGE = 5000
_SHOWN = 3


def lack(settings: Settings) -> str:
    """What a rule on costs needs and the project does not have, in words; "" if nothing."""
    is_set = Prices.read(settings.costs) is not None
    return "" if is_set else "no prices are set; write [costs] into trikk.toml, below it core_hour = 0.045"


def of_costs(project: Project, rule: Rule, subject: str, now: datetime) -> Reading:
    """What a pipeline's runs cost, one by one or by day or month.

    Args:
        project: whose runs.
        rule: the rule.
        subject: the pipeline; `ALL_PIPELINES` for the sum over all.
        now: the time.

    Raises:
        UsageError: if the project has no prices.
    """
    prices = Prices.read(project.settings.costs)
    if prices is None:
        raise UsageError(lack(project.settings))
    budget = money(rule.costs_more_than, prices.currency)
    who = "all pipelines" if subject == ALL_PIPELINES else subject
    if rule.per == "run":
        points = _of_runs(project, rule, subject, now, prices)
        return Reading(rule, subject, f"{who} cost more than {budget}", points)
    points = _of_periods(project, rule, subject, now, prices)
    return Reading(rule, subject, f"{who} cost more than {budget} in a {rule.per}", points)


def _of_runs(project: Project, rule: Rule, pipeline: str, now: datetime, prices: Prices) -> tuple[Point, ...]:
    """Each of the last runs; one that goes on counts as soon as it has cost too much."""
    spending, at = Spending(project), now.timestamp()
    budget = money(rule.costs_more_than, prices.currency)
    points = []
    for row in recent(project, pipeline, now, max(5, 2 * rule.windows + 1), _STATES, but=()):
        if row.forgotten:
            continue
        cost = Cost.of(spending.of(row.id, at), prices)
        bad = cost.amount > rule.costs_more_than
        if bad or row.ended is not None:
            text = f"run {row.id} {_said(cost, budget, is_over=row.ended is not None)}"
            facts = _facts(cost, budget)
            points.append(point_of(row, bad=bad, text=text, badness=_badness(rule, cost), facts=facts))
    return tuple(points)


@dataclass(frozen=True, slots=True)
class Period:
    """A local day or month: what it is called, its first moment, and the one after its last."""

    label: str
    start: datetime
    end: datetime


def periods(per: str, now: datetime, zone: ZoneInfo, over: int) -> list[Period]:
    """The last `over` days or months that are over, and the one that is under way, oldest first. Pure."""
    day = day_of(now, zone)
    first = day if per == "day" else day.replace(day=1)
    form = "%Y-%m-%d" if per == "day" else "%Y-%m"
    found: list[Period] = []
    while len(found) <= over:
        start, end = day_start(first, zone), day_start(_after(per, first), zone)
        if start < end:  # a place's clocks can leave a day out
            found.append(Period(f"{first:{form}}", start, end))
        before = first - timedelta(days=1)
        first = before if per == "day" else before.replace(day=1)
    return found[::-1]


def _of_periods(project: Project, rule: Rule, subject: str, now: datetime, prices: Prices) -> tuple[Point, ...]:
    """Each of the last days or months; the one under way counts as soon as it has cost too much."""
    zone = ZoneInfo(project.settings.timezone)
    spans = periods(rule.per, now, zone, rule.windows)
    rows = _ended_since(project, None if subject == ALL_PIPELINES else subject, spans[0].start, now)
    spent = Spending(project).ended(rows, now.timestamp())
    points = []
    for span in spans:
        start, end = span.start.timestamp(), span.end.timestamp()
        mine = [row for row in rows if start <= (row.ended or 0.0) < end]
        cost, facts = _summed(mine, spent, prices, rule, named=subject == ALL_PIPELINES)
        bad, is_over = cost.amount > rule.costs_more_than, span.end <= now
        if not (is_over or bad):
            continue
        said = _said(cost, money(rule.costs_more_than, prices.currency), is_over=is_over)
        points.append(Point(span.label, start, end, bad, f"{span.label} {said}", _badness(rule, cost), facts))
    return tuple(points)


def _summed(
    rows: Sequence[RunRow], spent: dict[str, Spent], prices: Prices, rule: Rule, *, named: bool
) -> tuple[Cost, dict[str, JSON]]:
    """What some runs cost together, and what is to be told of it."""
    known = [row for row in rows if row.id in spent]
    label = {row.id: f"{row.pipeline}." if named else "" for row in known}
    steps = added({f"{label[row.id]}{step}": u for step, u in spent[row.id].items()} for row in known)
    cost = Cost.of(steps, prices)
    single = {f"{row.id} of {row.pipeline}": Cost.of(spent[row.id], prices).amount for row in known}
    facts = _facts(cost, f"{money(rule.costs_more_than, prices.currency)} a {rule.per}")
    facts["dearest runs"] = dearest(single, prices.currency, _SHOWN) or "-"
    facts["runs"] = len(rows)
    if len(known) < len(rows):
        facts["not counted"] = f"{len(rows) - len(known)} runs that clean-up has forgotten"
    return cost, facts


def _said(cost: Cost, budget: str, *, is_over: bool) -> str:
    """What it cost; while it goes on, words that stay the same."""
    return f"cost {money(cost.amount, cost.currency)}" if is_over else f"has cost more than {budget} by now"


def _facts(cost: Cost, budget: str) -> dict[str, JSON]:
    found: dict[str, JSON] = {
        "cost": f"{money(cost.amount, cost.currency)}, estimated from what steps ask for",
        "budget": budget,
        "dearest steps": dearest(cost.steps, cost.currency, _SHOWN) or "-",
    }
    if cost.missing:
        found["no price for"] = ", ".join(cost.missing)
    return found


def _badness(rule: Rule, cost: Cost) -> float:
    return cost.amount / rule.costs_more_than if cost.amount > rule.costs_more_than else 0.0


def _ended_since(project: Project, pipeline: str | None, start: datetime, now: datetime) -> list[RunRow]:
    """The runs that ended from a time up to now. They are listed by creation, so that it looks back further."""
    earliest = (start - RESUMED_WITHIN).timestamp()
    first, last = start.timestamp(), now.timestamp()
    found: dict[str, RunRow] = {}
    offset = 0
    while True:
        page = project.journal.runs(pipeline=pipeline, limit=_PAGE, offset=offset)
        found |= {row.id: row for row in page if row.ended is not None and first <= row.ended <= last}
        if len(page) < _PAGE or page[-1].created < earliest:
            return list(found.values())
        offset += _PAGE


def _after(per: str, first: date) -> date:
    """The first day of the next day or month."""
    if per == "day":
        return first + timedelta(days=1)
    return (first + timedelta(days=31)).replace(day=1)
