"""`trikk backfill`: pipelines for each day of a period, as a schedule would have run them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.act import explain, keep_going_option, mirroring, parallel_option, parameter_option
from trikk.cli.output import echo, json_option, print_json
from trikk.cli.progress import Progress
from trikk.core.errors import ParameterError
from trikk.execution.how import How
from trikk.execution.project import Project
from trikk.execution.session import Session

if TYPE_CHECKING:
    from trikk.pipeline.graph import Graph
    from trikk.runs.state import RunState


@dataclass(slots=True)
class _Tally:
    """What a backfill has done so far."""

    done: list[RunState] = field(default_factory=list)
    left_out: int = 0

    @property
    def is_good(self) -> bool:
        return all(state.state == "succeeded" for state in self.done)


@click.command()
@click.argument("pipelines", metavar="PIPELINE...", nargs=-1, required=True)
@click.option("--from", "first", required=True, metavar="DATE", help="The first day, such as 2020-03-02.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last day.")
@click.option("--every", type=click.IntRange(1), default=1, metavar="DAYS", help="Every so many days only.")
@click.option("--at", metavar="HH:MM", help="Steps take this time of each day for the present.")
@click.option("--parameter", help="The date parameter to fill; not needed if a pipeline has only one.")
@click.option("--missing", is_flag=True, help="Leave out what has succeeded with these parameters.")
@click.option("-q", "--quiet", is_flag=True, help="Say no more than a line for each day, and what went wrong.")
@click.option("--watch", "watches", is_flag=True, help="After each day, look as `trikk watch --once` does.")
@parameter_option
@keep_going_option
@parallel_option
@json_option
def backfill(
    pipelines: tuple[str, ...],
    *,
    first: str,
    last: str,
    every: int,
    at: str | None,
    parameter: str | None,
    missing: bool,
    quiet: bool,
    watches: bool,
    parameters: dict[str, str],
    keep_going: bool,
    max_parallel: int | None,
    as_json: bool,
) -> int:
    """Run each PIPELINE, in the order given, for each day of a period, day after day.

    Stops at a failure unless --keep-going.
    """
    days = list(_days(first, last, every))
    project = Project.open()
    tally = _Tally()
    with mirroring(project), Progress(quiet=as_json) as progress, Progress(quiet=as_json or quiet) as steps:
        how = How(keep_going=keep_going, max_parallel=max_parallel, listener=steps)
        with Session(project, how) as session:
            graphs = [session.graph(name) for name in pipelines]
            _check_known(graphs, parameters)
            names = [_day_parameter(graph, parameter, parameters, needed=at is None) for graph in graphs]
            hour = None if at is None else _time(at)
            for number, day in enumerate(days, 1):
                progress.say(f"[{number}/{len(days)}] {day}")
                as_of = None if hour is None else _moment(day, hour, project.settings.timezone)
                for graph, name in zip(graphs, names, strict=True):
                    given = {**_known(graph, parameters), **({name: day.isoformat()} if name else {})}
                    goes_on = _one(session, graph, given, tally, progress, missing=missing, as_of=as_of)
                    if not (goes_on or keep_going) or (tally.done and tally.done[-1].state == "cancelled"):
                        return _report(pipelines, len(days), tally, as_json=as_json)
                if watches:
                    _watch(session, as_of, progress)
    return _report(pipelines, len(days), tally, as_json=as_json)


def _one(
    session: Session,
    graph: Graph,
    given: dict[str, str],
    tally: _Tally,
    progress: Progress,
    *,
    missing: bool,
    as_of: float | None,
) -> bool:
    """Run one pipeline for one day, unless that was done before; False if it failed."""
    from trikk.execution.launch import has_succeeded

    origin: dict[str, Any] = {"kind": "backfill"}
    if as_of is not None:
        origin["at"] = as_of
    if missing and has_succeeded(session.project, graph, given, at=as_of):
        progress.say(f"{graph.pipeline}: has succeeded, left out")
        tally.left_out += 1
        return True
    tally.done.append(session.run(graph.pipeline, given, text=True, origin=origin, as_of=as_of))
    if tally.done[-1].state == "succeeded":
        return True
    if not progress.quiet:
        explain(session.project, tally.done[-1])
    return False


def _watch(session: Session, as_of: float | None, progress: Progress) -> None:
    """Look at the project as it was at the end of a day, and say what that changed."""
    from trikk.cli.watch import look_at

    now = datetime.now(UTC) if as_of is None else datetime.fromtimestamp(as_of, UTC)
    for line in look_at(session.project, session, now).lines:
        progress.say(line)


def _report(pipelines: tuple[str, ...], days: int, tally: _Tally, *, as_json: bool) -> int:
    if as_json:
        state = "succeeded" if tally.is_good else "failed"
        print_json({"pipelines": list(pipelines), "state": state, "runs": [_brief(s) for s in tally.done]})
    else:
        good = sum(state.state == "succeeded" for state in tally.done)
        not_begun = days * len(pipelines) - len(tally.done) - tally.left_out
        notes = [f"{tally.left_out} had succeeded before"] if tally.left_out else []
        notes += [f"{not_begun} were not begun"] if not_begun else []
        echo("; ".join([f"{', '.join(pipelines)}: {good} of {len(tally.done)} runs succeeded", *notes]))
    return 0 if tally.is_good else 1


def _brief(state: RunState) -> dict[str, Any]:
    found = state.to_json()
    return {k: found[k] for k in ("id", "pipeline", "state", "parameters", "error")}


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


def _check_known(graphs: list[Graph], parameters: Mapping[str, str]) -> None:
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
        raise ParameterError(f"--at {text} is no time of day", next="write it as 04:00") from error


def _moment(day: date, hour: time, zone: str) -> float:
    from zoneinfo import ZoneInfo

    return datetime.combine(day, hour, ZoneInfo(zone)).timestamp()


def _day_parameter(graph: Graph, asked: str | None, given: Mapping[str, str], *, needed: bool) -> str | None:
    dates = _dates(graph)
    if asked is not None:
        if asked not in dates:
            raise ParameterError(f"{asked!r} is no date parameter of {graph.pipeline}", next=f"there are: {dates}")
        return asked
    free = [name for name in dates if name not in given]
    if not dates and not needed:
        return None
    if len(free) != 1:
        raise ParameterError(
            f"pipeline {graph.pipeline} has {len(free) or 'no'} date parameters to fill",
            next="name one: --parameter NAME",
        )
    return free[0]
