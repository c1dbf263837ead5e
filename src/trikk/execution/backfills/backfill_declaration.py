"""What a backfill is to do, from what somebody asks for: its days in order, and what each pipeline is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time, timedelta

from trikk.core.errors import ParameterError, UsageError
from trikk.execution.backfills.backfill_ledger import parameters_of
from trikk.execution.backfills.backfill_state import Declaration, why_in_order
from trikk.pipeline.graph import Graph
from trikk.pipeline.pipeline import parameters_for


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for.

    Attributes:
        pipelines: their names, in the order in which they run for each day.
        first: the first day, ISO, and `last` the last one, included.
        every: how many days from one to the next.
        at: the time of day that steps take for the present; None for the real one.
        parameter: the date parameter that takes the day; the only free one if None.
        parallel: how many days at once.
        any_order: whether days that read what others write may run at once all the same.
        parameters: others, as texts, each for the pipelines that have it.
        missing: whether days that have succeeded before are left out.
        keep_going: whether other days go on after a failure.
        max_parallel: how many steps of a run at once; None for the project's setting.
        queued: whether servers begin the days.
    """

    pipelines: tuple[str, ...]
    first: str
    last: str
    every: int = 1
    at: str | None = None
    parameter: str | None = None
    parallel: int = 1
    any_order: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict)
    missing: bool = False
    keep_going: bool = False
    max_parallel: int | None = None
    queued: bool = False


def declaration_of(asked: Asked, graphs: Sequence[Graph]) -> Declaration:
    """What is to be done for whom, checked with the parameters of the first day.

    Raises:
        ParameterError: if a day or a parameter is wrong.
        UsageError: if days that depend on each other are to run at once.
    """
    days = tuple(day.isoformat() for day in _days(asked.first, asked.last, asked.every))
    needed = asked.at is None
    _check_known(graphs, asked.parameters)
    named = {g.pipeline: _day_parameter(g, asked.parameter, asked.parameters, needed=needed) or "" for g in graphs}
    given = {graph.pipeline: _known(graph, asked.parameters) for graph in graphs}
    _check_order(graphs, asked.parallel, any_order=asked.any_order)
    hour = "" if asked.at is None else _time(asked.at).isoformat()
    declaration = Declaration(
        pipelines=asked.pipelines,
        days=days,
        parameters=given,
        day_parameters=named,
        at=hour,
        missing=asked.missing,
        keep_going=asked.keep_going,
        parallel=asked.parallel,
        max_parallel=asked.max_parallel,
        queued=asked.queued,
    )
    for graph in graphs:
        parameters_for(graph, parameters_of(declaration, (graph.pipeline, days[0])), text=True)
    return declaration


def _check_order(graphs: Sequence[Graph], parallel: int, *, any_order: bool) -> None:
    """Days at once must not be able to see each other, unless the author says that it does not matter."""
    reason = why_in_order(graphs) if parallel > 1 and not any_order else ""
    if reason:
        raise UsageError(
            f"these days have to follow on each other: {reason}",
            next="leave out --parallel; if the order does not matter, add --any-order",
        )


def _days(first: str, last: str, every: int) -> Iterator[date]:
    try:
        start, end = date.fromisoformat(first), date.fromisoformat(last)
    except ValueError as error:
        raise ParameterError(f"a day is not understood: {error}", next="write days as 2020-03-26") from error
    if end < start:
        raise ParameterError(f"--to {last} is before --from {first}", next="swap them")
    return (start + timedelta(days=n) for n in range(0, (end - start).days + 1, every))


def _known(graph: Graph, parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters that this pipeline has."""
    names = {spec.name for spec in graph.parameters}
    return {name: text for name, text in parameters.items() if name in names}


def _check_known(graphs: Sequence[Graph], parameters: Mapping[str, str]) -> None:
    """Every given parameter must be one of at least one pipeline."""
    known = {spec.name for graph in graphs for spec in graph.parameters}
    for name in parameters:
        if name not in known:
            raise ParameterError(
                f"no parameter is named {name!r}", next=f"there are: {', '.join(sorted(known)) or 'none'}"
            )


def _dates(graph: Graph) -> list[str]:
    return [spec.name for spec in graph.parameters if spec.kind.name == "date"]


def _time(text: str) -> time:
    try:
        return time.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"--at {text} is not a time of day", next="write it as 04:00") from error


def _day_parameter(graph: Graph, chosen: str | None, given: Mapping[str, str], *, needed: bool) -> str | None:
    dates = _dates(graph)
    if chosen is not None:
        if chosen not in dates:
            raise ParameterError(
                f"{chosen!r} is not a date parameter of {graph.pipeline}", next=f"there are: {dates}"
            )
        return chosen
    free = [name for name in dates if name not in given]
    if not dates and not needed:
        return None
    if len(free) != 1:
        raise ParameterError(
            f"pipeline {graph.pipeline} has {len(free) or 'no'} date parameters to fill",
            next="name one: --parameter NAME",
        )
    return free[0]
