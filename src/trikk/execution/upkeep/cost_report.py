"""What runs cost together: by step, pipeline, run, branch or model version, in sums that agree.

A run counts once it is over. A branch is that which the project's code was on when the run was locked. A model's
version costs what the run cost that registered it; two that one run registered have one line.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from trikk.core.errors import ParameterError
from trikk.core.record import Record
from trikk.core.zones import day_of, day_start
from trikk.execution.project import Project
from trikk.execution.upkeep.run_costs import Spending, ended_since
from trikk.models.registry import Registry
from trikk.runs.cost import HOUR, Prices, Usage
from trikk.runs.journals.journal import RunRow

DAYS = 30
"""Days up to today that count if nobody says since when."""
_NONE = "-"


class By(StrEnum):
    """What costs are added up by."""

    STEP = "step"
    PIPELINE = "pipeline"
    RUN = "run"
    BRANCH = "branch"
    MODEL = "model"


class CostLine(Record, frozen=True):
    """What something took and cost.

    Attributes:
        name: the step as `pipeline.step`, the pipeline, run, branch, or model version as `name:3`; "-" for none.
        runs: how many runs have a part in it.
        seconds: that attempts took, one after the other.
        core_hours: cores times hours; `gb_hours` and `gpu_hours` of memory (10**9 bytes) and accelerators.
        amount: in the currency; None without prices.
    """

    name: str
    runs: int
    seconds: float
    core_hours: float
    gb_hours: float
    gpu_hours: float
    amount: float | None


class CostReport(Record, frozen=True):
    """What runs cost since a moment.

    Attributes:
        by: what the lines are.
        since: seconds since 1970.
        currency: of amounts; None without prices.
        lines: the dearest first.
        total: of all lines.
        missing: prices that are not set, without which the amounts are too low.
        not_counted: runs that clean-up forgot before what they took was read.
    """

    by: By
    since: float
    currency: str | None
    lines: list[CostLine]
    total: CostLine
    missing: list[str]
    not_counted: int


def since_day(text: str | None, now: float, zone: ZoneInfo) -> float:
    """The beginning of a day as somebody wrote it, of the day 30 days ago if nobody did; seconds since 1970.

    Raises:
        ParameterError: if it is no day.
    """
    try:
        today = day_of(datetime.fromtimestamp(now, zone), zone)
        day = today - timedelta(days=DAYS) if text is None else date.fromisoformat(text)
        return day_start(day, zone).timestamp()
    except (ValueError, OverflowError) as error:  # in the year 1, the day begins before all time
        raise ParameterError(f"{text} is not a day", next="write it as 2020-03-26") from error


def cost_report(project: Project, by: By, since: float, now: float) -> CostReport:
    """What the runs cost that ended from a moment up to now, both in seconds since 1970."""
    prices, spending = Prices.of_section(project.settings.costs), Spending(project)
    rows = ended_since(project, None, since, now)
    spent = spending.ended(rows, now)
    models = _models(project) if by is By.MODEL else {}
    sums: dict[str, Usage] = {}
    runs: dict[str, set[str]] = {}
    counted = [row for row in rows if row.id in spent]
    for row in counted:
        for step, usage in spent[row.id].items():
            name = _name(by, row, step, spending.branches, models)
            sums[name] = sums.get(name, Usage()) + usage
            runs.setdefault(name, set()).add(row.id)
    lines = [_line(name, len(runs[name]), usage, prices) for name, usage in sums.items()]
    lines.sort(key=lambda line: (-(line.amount or 0.0), -line.core_hours, line.name))
    whole = sum(sums.values(), Usage())
    return CostReport(
        by=by,
        since=since,
        currency=prices.currency if prices else None,
        lines=lines,
        total=_line("total", len(counted), whole, prices),
        missing=prices.missing(whole) if prices else [],
        not_counted=len(rows) - len(counted),
    )


def _name(by: By, row: RunRow, step: str, branches: Mapping[str, str], models: Mapping[str, str]) -> str:
    if by is By.STEP:
        return f"{row.pipeline}.{step}"
    return {
        By.PIPELINE: row.pipeline,
        By.RUN: row.id,
        By.BRANCH: branches.get(row.id) or _NONE,
        By.MODEL: models.get(row.id, _NONE),
    }[by]


def _models(project: Project) -> dict[str, str]:
    """By run the model versions that it registered."""
    registry, by_run = Registry(project.journal), dict[str, str]()
    for name in registry.names():
        for version in registry.versions(name):
            label = f"{name}:{version.version}"
            by_run[version.run] = f"{by_run[version.run]}, {label}" if version.run in by_run else label
    return by_run


def _line(name: str, runs: int, usage: Usage, prices: Prices | None) -> CostLine:
    hours = usage.core / HOUR, usage.gb / HOUR, usage.gpu / HOUR
    return CostLine(name, runs, usage.seconds, *hours, prices.of(usage) if prices else None)
