"""Lists of runs: which are asked for, in which order, a page of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import Meta

from trikk.console.page_view import Sheet
from trikk.console.pages.pipelines.pipeline_lines import seconds_of
from trikk.core.errors import ParameterError
from trikk.core.zones import day_start
from trikk.runs.journals.journal import RunRow
from trikk.runs.states import RunStatus
from trikk.server.http.routes import Given
from trikk.server.site import Site
from trikk.tracking.run_filter import RunFilter, filtered_runs, parameter_word, run_place

_ROWS = 50
_SORTED = 1000  # runs that are put into another order than that of their creation
_TIMES = ("created", "started", "ended", "seconds")
_COLUMNS = ("id", "state", "pipeline", *_TIMES, "parameters", "environment", "code")
_FILTERS = ("state", "parameters", "since", "until", "environment", "code")
_STATE = "^(" + "|".join(RunStatus) + ")?$"
_DAY = r"^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"


class Order(StrEnum):
    """What runs are sorted by; "-" before it has the greatest first."""

    NEWEST = "-created"
    OLDEST = "created"
    LONGEST = "-seconds"
    SHORTEST = "seconds"
    STATE = "state"
    STATE_BACK = "-state"


class RunsWanted(Given, frozen=True):
    """Which runs are listed; "" for any, as a form sends it."""

    state: Annotated[str, Meta(pattern=_STATE)] = ""
    parameters: Annotated[str, Meta(max_length=300)] = ""  # `name=value` or a piece of any value
    since: Annotated[str, Meta(pattern=_DAY)] = ""  # the first day
    until: Annotated[str, Meta(pattern=_DAY)] = ""  # the last day
    environment: Annotated[str, Meta(max_length=100)] = ""
    code: Annotated[str, Meta(max_length=64)] = ""
    sort: Order = Order.NEWEST
    cursor: Annotated[str, Meta(max_length=100)] = ""


def listed_runs(site: Site, pipeline: str, query: RunsWanted) -> tuple[dict[str, Any], dict[str, Any]]:
    """A page of the runs of a pipeline, or of all if it is "": for the document, and for the template.

    Raises:
        ParameterError: if a day is none.
        UnknownName: if there is no run behind which the page is to begin.
    """
    journal, now = site.project.journal, site.clock.now()
    wanted = _wanted(pipeline, query, ZoneInfo(site.project.settings.timezone))
    if query.sort == Order.NEWEST:
        page = filtered_runs(journal, wanted, _ROWS, before=query.cursor or None)
        rows = page.rows
    else:
        page = filtered_runs(journal, wanted, _SORTED)
        rows = _sorted(page.rows, query.sort, now)[:_ROWS]
    context = {
        "page": page,
        "order": query.sort,
        "sorted_of": len(page.rows) if query.sort != Order.NEWEST and page.next is not None else 0,
        "states": list(RunStatus),
        "filters": query,
        "parameter_word": parameter_word,
        "is_filtered": any(getattr(query, name) for name in _FILTERS),
    }
    listed = [_run_document(site, row, now) for row in rows]
    return {"listed": listed, "next": page.next if query.sort == Order.NEWEST else None}, context


def runs_sheet(site: Site, pipeline: str, query: RunsWanted) -> Sheet:
    """The newest runs that fit, many more than the page shows at once."""
    journal, now = site.project.journal, site.clock.now()
    wanted = _wanted(pipeline, query, ZoneInfo(site.project.settings.timezone))
    rows = _sorted(filtered_runs(journal, wanted, _SORTED, before=query.cursor or None).rows, query.sort, now)
    listed = (_run_document(site, row, now) for row in rows)
    return Sheet(
        _COLUMNS, ([{**run, "parameters": json.dumps(run["parameters"])}[c] for c in _COLUMNS] for run in listed)
    )


def _wanted(name: str, query: RunsWanted, zone: ZoneInfo) -> RunFilter:
    until = _day(query.until)
    since = _day(query.since)
    return RunFilter(
        pipeline=name,
        state=query.state,
        parameters=query.parameters,
        since=None if since is None else day_start(since, zone).timestamp(),
        until=None if until is None else day_start(until + timedelta(days=1), zone).timestamp(),
        environment=query.environment,
        code=query.code,
    )


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise ParameterError(f"a day is not understood: {error}", next="write days as 2020-03-26") from error


def _sorted(rows: list[RunRow], order: Order, now: float) -> list[RunRow]:
    name = order.lstrip("-")
    keys: dict[str, Callable[[RunRow], Any]] = {
        "created": lambda row: row.created,
        "seconds": lambda row: seconds_of(row, now) or 0.0,
        "state": lambda row: row.state,
    }
    return sorted(rows, key=keys[name], reverse=order.startswith("-"))


def _run_document(site: Site, row: RunRow, now: float) -> dict[str, Any]:
    place = run_place(site.project.journal, row)
    return {
        **row.to_json(),
        "state": str(row.state),
        "seconds": seconds_of(row, now),
        "environment": place.environment,
        "code": place.code,
    }
