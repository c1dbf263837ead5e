"""Requests that look into the past of a monitor: one window, drift by day, other thresholds, A/B.

What replays and compares is imported when it is asked for: a server at rest does without.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta

from trikk.core.errors import ParameterError
from trikk.monitoring.drilldown.drift_days import drift_document, drift_of_day
from trikk.monitoring.drilldown.drill import the_window
from trikk.monitoring.drilldown.recent_windows import window_document
from trikk.monitoring.figures.records import Records
from trikk.server.http.documents.watch_documents import (
    BacktestDocument,
    DriftDayDocument,
    DriftDocument,
    SidesDocument,
    WindowDocument,
)
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Answer, Call, Given

Day = Annotated[date, Meta(description="Such as 2020-03-26.")]
_Texts = Annotated[str, Meta(pattern="^[^,]+(,[^,]+){0,49}$")]
# No function by its place: which code is run is the project's to say.
_Metric = Annotated[str, Meta(pattern="^[^:]{1,100}$")]
_Side = Annotated[str, Meta(min_length=1, max_length=300, description="people:3, people@champion, column:x.")]


class WindowQuery(Given, frozen=True):
    """Of which kind a window is."""

    kind: str | None = None  # hour, day, week or month; the monitor's first if not given


class DriftQuery(Given, frozen=True):
    """How many days are shown."""

    last: Annotated[int, Meta(ge=1, le=1000)] = 14


class BacktestQuery(Given, frozen=True, rename={"first": "from", "last": "to"}):
    """What is asked of a monitor's past, as of `trikk backtest`."""

    when: Annotated[str, Meta(max_length=500)] = ""  # a condition; X is the threshold to find
    alarm: str = ""  # one of the monitor's alarms
    metric: _Metric = ""
    limits: _Texts | None = None  # for drift, with commas between them: methods, columns, missing; =NUMBER replays
    window: str = ""  # hour, day or week
    slice: str = ""  # each of its values alarms on its own
    windows: Annotated[int, Meta(ge=1, le=1000)] | None = None  # how many in a row must be bad
    min_labelled: Annotated[int, Meta(ge=1)] | None = None
    first: Day | None = None  # "from"
    last: Day | None = None  # "to"
    known_ok_from: Day | None = None  # days on which nothing was wrong
    known_ok_to: Day | None = None
    events: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\d(,\d{4}-\d\d-\d\d){0,49}$")] | None = None
    accept: Annotated[str, Meta(max_length=40)] = "1/month"


class SidesQuery(Given, frozen=True, rename={"start": "from", "end": "to"}):
    """What is compared, as of `trikk ab`."""

    first: _Side
    second: _Side
    metric: _Metric | None = None  # the monitor's first if not given
    start: Day | None = None  # "from"
    end: Day | None = None  # "to", included
    least_days: Annotated[int, Meta(ge=2, le=10_000)] = 7
    confidence: Annotated[float, Meta(ge=0.5, le=0.9999)] = 0.95
    matters: Annotated[float, Meta(gt=0)] | None = None
    seed: Annotated[int, Meta(ge=0, le=1 << 32)] = 0


def show_window(doors: Doors, call: Call) -> Answer[WindowDocument]:
    """Show one window of a monitor: its figures by slice, and what they were each time it was evaluated."""
    records = Records(doors.site.project.journal, call.path["monitor"])
    record = the_window(records, call.query.kind or records.spec().windows[0], call.path["window"])
    return Answer(window_document(record, records.past(record.kind, record.label)))


def show_drift(doors: Doors, call: Call) -> Answer[DriftDocument]:
    """Show how a monitor's last days differ from earlier ones."""
    ledger = doors.site.project.journal
    return Answer(drift_document(ledger, Records(ledger, call.path["monitor"]).spec(), call.query.last))


def show_drift_of_day(doors: Doors, call: Call) -> Answer[DriftDayDocument]:
    """Show how one day differs from earlier ones, column by column."""
    ledger = doors.site.project.journal
    return Answer(drift_of_day(ledger, Records(ledger, call.path["monitor"]).spec(), call.path["window"]))


def run_backtest(doors: Doors, call: Call) -> Answer[BacktestDocument]:
    """Replay a monitor's past: which alarms would have been raised, and which threshold to choose."""
    from trikk.alerts.backtest.bounds import Accepted
    from trikk.alerts.backtest.past import Days
    from trikk.alerts.backtest.question import Question
    from trikk.alerts.backtest.runner import backtest

    query: BacktestQuery = call.query
    if (query.known_ok_from is None) != (query.known_ok_to is None):
        raise ParameterError("known_ok_from and known_ok_to belong together", next="give both, or none")
    good = None
    if query.known_ok_from is not None and query.known_ok_to is not None:
        if query.known_ok_to < query.known_ok_from:
            raise ParameterError("known_ok_to is before known_ok_from", next="give the earlier day first")
        good = Days(query.known_ok_from, query.known_ok_to)
    question = Question(
        monitor=call.path["monitor"],
        when=query.when,
        alarm=query.alarm,
        metric=query.metric,
        limits=tuple(query.limits.split(",")) if query.limits else (),
        window=query.window,
        slice=query.slice,
        windows=query.windows,
        min_labelled=query.min_labelled,
        first=query.first,
        last=query.last,
        good=good,
        events=tuple(sorted(_day(text) for text in (query.events or "").split(",") if text)),
        accepted=Accepted.of(query.accept),
    )
    with at_length("the past is being replayed"):
        return Answer(backtest(doors.site.project, question).to_json())


def compare_sides(doors: Doors, call: Call) -> Answer[SidesDocument]:
    """Compare two models, or a model and a rule, on exactly the same cases of a monitor."""
    from trikk.monitoring.ab.ab_comparison import compare
    from trikk.monitoring.ab.metric_in_worker import Workers
    from trikk.monitoring.ab.verdict import Rules

    query: SidesQuery = call.query
    site = doors.site
    spec = Records(site.project.journal, call.path["monitor"]).spec()
    with at_length("models are being compared"), Workers(site.project) as worker:
        compared = compare(
            spec,
            site.project.tables,
            site.models,
            query.first,
            query.second,
            environment=site.project.settings.environment,
            metric=query.metric or "",
            call=worker,
            start=query.start,
            end=query.end,
            rules=Rules(least_days=query.least_days, confidence=query.confidence, matters=query.matters),
            seed=query.seed,
        )
    return Answer(compared.to_json())


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"{text} is not a day", next="write it as 2020-03-26") from error
