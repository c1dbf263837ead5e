"""Collect a report: what monitors, models and incidents have left in the ledger, as it was known at a time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from trikk.core.errors import UnknownName
from trikk.core.settings import FILE, load_settings
from trikk.core.values import JSON
from trikk.core.zones import moment_of, zone_of
from trikk.mailing.mail_addresses import ALL
from trikk.reports.monitor_history import MonitorHistory, Part
from trikk.reports.page.advice import actions
from trikk.reports.page.chronicle import champions, incidents
from trikk.reports.page.page_content import Content, Holder, Section, Trouble
from trikk.reports.page.section import Span, section, span
from trikk.reports.page.words import moment_text
from trikk.reports.periods import Period, last_complete, period_named
from trikk.reports.report_definition import ReportSpec
from trikk.runs.context import StepContext
from trikk.runs.journals.ledger import Ledger

DEFINED = "report.defined"


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that the pages of a period are made from."""

    project: str  # the project's name
    period: Period
    # each with its windows in the period and in the one before
    monitors: tuple[tuple[MonitorHistory, Span, Span], ...]
    models: tuple[Holder, ...]  # champions
    troubles: tuple[Trouble, ...]  # incidents
    as_of: float | None  # when the newest fact was written down, seconds since 1970; None if there is none


def collect(
    spec: ReportSpec,
    context: StepContext,
    *,
    period: str | None,
    customer: str | None,
    as_known_at: datetime | None,
) -> list[dict[str, Any]]:
    """What is on each page of a report.

    Args:
        spec: the report.
        context: the step.
        period: such as "2020-03"; the last one that is over if None.
        customer: whose page alone to make, "*" for the one on everything; None for all.
        as_known_at: leave out what was written down later; a time without a zone is meant in the report's.

    Raises:
        UsageError: if the period or customer is unknown, or a monitor was not evaluated.
    """
    wanted = pages_wanted(spec, period=period, customer=customer, as_known_at=as_known_at, now=context.now)
    # Before figures are read: a report whose page fails is listed all the same.
    define(spec, context.journal, context.time())
    period_facts = facts(spec, context.journal, wanted, context.environment, _project(context))
    return [page(spec, period_facts, one).to_json() for one in wanted.customers]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be on a report's pages."""

    period: Period
    customers: tuple[str, ...]  # whose pages; "*" for the one on everything
    until: float | None  # what was written down later does not count, seconds since 1970; None for all


def pages_wanted(
    spec: ReportSpec, *, period: str | None, customer: str | None, as_known_at: datetime | None, now: datetime
) -> Wanted:
    """What somebody asks for; arguments as of `collect`.

    Raises:
        UsageError: if the period or customer is unknown.
    """
    zone = zone_of(spec.timezone)
    chosen = last_complete(spec.period, now, zone) if period is None else period_named(spec.period, period, zone)
    if customer is not None and customer not in spec.audiences():
        raise UnknownName("customer", customer, spec.audiences())
    until = None
    if as_known_at is not None:
        until = moment_of(as_known_at, zone).timestamp()
    return Wanted(chosen, tuple(spec.audiences() if customer is None else [customer]), until)


def check(spec: ReportSpec, ledger: Ledger, wanted: Wanted) -> None:
    """See whether pages can be made, without reading figures.

    Raises:
        UsageError: if a monitor was not evaluated (by then), has no windows for such a period, or does not slice
            by what makes a customer's part.
    """
    for name in spec.monitors:
        history = MonitorHistory(ledger, name, wanted.until)
        history.kind_for(spec.period)
        for customer in wanted.customers:
            _check_part(history, _part(spec, customer))


def define(spec: ReportSpec, ledger: Ledger, at: float) -> None:
    """Write the definition down, if it is not the one that holds; addresses are left out."""
    customers: list[JSON] = [*sorted(spec.recipients)]
    body: dict[str, JSON] = {**spec.to_json(), "recipients": customers}
    # Only a change: a nightly report would fill the ledger with what is there.
    last = ledger.last(f"report/{spec.name}")
    if last is None or last.body != body:
        ledger.add(f"report/{spec.name}", DEFINED, body, at=at)


def facts(spec: ReportSpec, ledger: Ledger, wanted: Wanted, environment: str, project: str) -> Facts:
    """Read everything that the pages of a period need."""
    period, until = wanted.period, wanted.until
    monitors = []
    for name in spec.monitors:
        history = MonitorHistory(ledger, name, until)
        monitors.append((history, span(history, period), span(history, period.before)))
    start, end = period.start.timestamp(), period.end.timestamp()
    models, moved = champions(ledger, spec.models, environment, start, end, period.zone, until)
    troubles, troubled = incidents(ledger, start, end, period.zone, until)
    times = [moved, troubled, *(s.newest for _, now, before in monitors for s in (now, before))]
    times += [history.defined for history, _, _ in monitors]
    as_of = max((time for time in times if time is not None), default=None)
    return Facts(project, period, tuple(monitors), tuple(models), tuple(troubles), as_of)


def page(spec: ReportSpec, period_facts: Facts, customer: str) -> Content:
    """The page for a customer, who sees figures of their own cases alone, or ("*") the one on everything."""
    part = _part(spec, customer)
    sections = [_section(spec, one, period_facts.period, part) for one in period_facts.monitors]
    period, inside = period_facts.period, customer == ALL
    as_of = "" if period_facts.as_of is None else _not_before(period_facts.as_of).isoformat()
    return Content(
        report=spec.name,
        title=spec.title,
        project=period_facts.project,
        customer=customer,
        kind=period.kind,
        period=period.label,
        period_title=period.title,
        before_title=period.before.short,
        timezone=spec.timezone,
        as_of=as_of,
        as_of_text="" if period_facts.as_of is None else moment_text(period_facts.as_of, period.zone),
        sections=tuple(sections),
        # A customer sees figures of their own cases: not which models or incidents others have.
        models=period_facts.models if inside else (),
        incidents=period_facts.troubles if inside else (),
        actions=tuple(actions(spec.name, period.label, sections, period_facts.troubles)) if inside else (),
        again=_again(spec.name, period.label, customer, as_of),
        customer_name=spec.customer_name.get(customer, ""),
    )


def _section(
    spec: ReportSpec, one: tuple[MonitorHistory, Span, Span], period: Period, part: Part | None
) -> Section:
    history, now, before = one
    _check_part(history, part)
    return section(history, now, before, period, spec.slices, part)


def _again(report: str, period: str, customer: str, as_of: str) -> str:
    command = f"trikk report {report} --for {period}"
    command += f" --customer {customer}" if customer != ALL else ""
    return command + (f" --as-known-at {as_of}" if as_of else "")


def _not_before(at: float) -> datetime:
    """A moment to the microsecond that is not before `at`, so that a fact of `at` was known then."""
    moment = datetime.fromtimestamp(at, UTC)
    return moment if moment.timestamp() >= at else moment + timedelta(microseconds=1)


def _part(spec: ReportSpec, customer: str) -> Part | None:
    return None if customer == ALL else (spec.customer_slice, spec.customers[customer])


def _check_part(history: MonitorHistory, part: Part | None) -> None:
    if part is not None and part[0] not in history.spec.slices:
        raise UnknownName(
            "slice",
            part[0],
            history.spec.slices,
            next=f"add {part[0]!r} to the slices of monitor {history.spec.name}",
        )


def _project(context: StepContext) -> str:
    # A test has no trikk.toml.
    return load_settings(context.root, stored=True).name if (context.root / FILE).is_file() else context.root.name
