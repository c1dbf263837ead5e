"""`trikk backfill`: pipelines for each day of a period, as a schedule would have run them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.printing import echo, json_option, print_json
from trikk.cli.run_commands.execute import (
    explain,
    keep_going_option,
    parallel_option,
    parameter_option,
    warn_of_effects,
)
from trikk.cli.run_commands.progress import Progress
from trikk.core.errors import ParameterError, RunError, TrikkError, UsageError
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.states import RunStatus
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.execution.resume import Code
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import RunRow
    from trikk.runs.run_state import RunState


@dataclass(slots=True)
class _Backfill:
    """What a backfill does and has done so far."""

    session: Session  # the project's code
    progress: Progress  # told of days and of what went wrong
    steps: Progress  # told of what is done in each day; says nothing if it is to be quiet
    missing: bool  # whether what has succeeded is left out, and what has failed gone on with
    code: Code | None  # whose code goes on with a run, where the project's is no longer the run's
    done: list[RunState] = field(default_factory=list)  # runs, in order
    left_out: int = 0  # how many had succeeded before
    errors: list[TrikkError] = field(default_factory=list)  # what could not be run at all
    _heading: str = ""

    @property
    def is_good(self) -> bool:
        return not self.errors and all(state.state == RunStatus.SUCCEEDED for state in self.done)

    @property
    def is_cancelled(self) -> bool:
        return bool(self.done) and self.done[-1].state == RunStatus.CANCELLED

    def begin_day(self, heading: str) -> None:
        """Say which day it is, at once or when there is something to say of it."""
        self._heading = heading
        if not self.steps.quiet:
            self.say("")

    def say(self, line: str) -> None:
        for one in (self._heading, line):
            if one:
                self.progress.say(one)
        self._heading = ""

    def one(self, graph: Graph, given: dict[str, str], as_of: float | None) -> bool:
        """Run one pipeline for one day, or go on with its run, unless it has succeeded; False if it failed."""
        try:
            state = self._carried_out(graph, given, as_of)
        except TrikkError as error:
            # Wrong from the first run on, as a parameter: it would go wrong on every day.
            if isinstance(error, UsageError) and not (self.done or self.left_out or self.errors):
                raise
            self.say(f"{graph.pipeline}: {error}")
            self.errors.append(error)
            return False
        if state is None:
            self.left_out += 1
            return True
        self.done.append(state)
        if state.state == RunStatus.SUCCEEDED:
            return True
        if not self.progress.quiet:
            explain(self.session.project, state)
        return False

    def _carried_out(self, graph: Graph, given: dict[str, str], as_of: float | None) -> RunState | None:
        """The run at its end; None if there is one that has succeeded."""
        from trikk.execution.code.earlier import earlier

        session = self.session
        if not self.missing:
            warn_of_effects(session, graph, given)
        else:
            before = earlier(session.project, graph, given, at=as_of, now=session.how.clock.now())
            if before.succeeded is not None:
                self.steps.say(f"{graph.pipeline}: has succeeded, left out")
                return None
            if before.driven is not None:
                raise RunError(
                    f"run {before.driven.id} of this day is still running in another process",
                    next=f"wait for it, or end it: trikk cancel {before.driven.id}",
                )
            if before.unfinished is not None:
                return self._gone_on_with(before.unfinished, before.effects, given)
        self.say("")
        origin: dict[str, Any] = {"kind": "backfill", **({} if as_of is None else {"at": as_of})}
        return session.run(graph.pipeline, given, text=True, origin=origin, as_of=as_of)

    def _gone_on_with(self, row: RunRow, effects: Sequence[str], given: Mapping[str, str]) -> RunState:
        from trikk.execution.resume import resume

        if row.forgotten:
            words = [
                "trikk",
                "run",
                row.pipeline,
                *(w for name, v in given.items() for w in ("-p", f"{name}={v}")),
            ]
            raise RunError(
                f"run {row.id} of this day is {row.state} and was forgotten by clean-up; whether it had done "
                f"{', '.join(effects)} is not known any more",
                next=f"look, then run the day by hand: {shlex.join(words)}, or leave it out",
            )
        self.say(
            f"{row.pipeline}: goes on with run {row.id}, which is {row.state} and has done {', '.join(effects)}"
        )
        project, how = self.session.project, self.session.how
        return resume(project, row.id, how, code=self.code, confirm=lambda _: None)


@click.command()
@click.argument("pipelines", metavar="PIPELINE...", nargs=-1, required=True)
@click.option("--from", "first", required=True, metavar="DATE", help="The first day, such as 2020-03-02.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last day.")
@click.option("--every", type=click.IntRange(1), default=1, metavar="DAYS", help="Only every so many days.")
@click.option("--at", metavar="HH:MM", help="Run each day as if it were this time of it.")
@click.option("--parameter", help="The date parameter to fill; not needed if a pipeline has only one.")
@click.option("--missing", is_flag=True, help="Leave out what has succeeded; resume what failed halfway.")
@click.option("--with-current-code", "code", flag_value="current", help="Continue with the code as it is now.")
@click.option("--with-locked-code", "code", flag_value="locked", help="Continue with each run's own code.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line for each day, and what went wrong.")
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
    code: Any,
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
    stopped: date | None = None
    with mirroring(project), Progress(quiet=as_json) as progress, Progress(quiet=as_json or quiet) as steps:
        how = How(keep_going=keep_going, max_parallel=max_parallel, listener=steps)
        with Session(project, how) as session:
            work = _Backfill(session, progress, steps, missing, code)
            graphs = [session.graph(name) for name in pipelines]
            _check_known(graphs, parameters)
            names = [_day_parameter(graph, parameter, parameters, needed=at is None) for graph in graphs]
            hour = None if at is None else _time(at)
            for number, day in enumerate(days, 1):
                work.begin_day(f"[{number}/{len(days)}] {day}")
                as_of = None if hour is None else _moment(day, hour, project.settings.timezone)
                for graph, name in zip(graphs, names, strict=True):
                    given = {**_known(graph, parameters), **({name: day.isoformat()} if name else {})}
                    goes_on = work.one(graph, given, as_of)
                    if not (goes_on or keep_going) or work.is_cancelled:
                        stopped = day
                        break
                if watches and not work.is_cancelled:
                    _watch(session, as_of, progress)
                if stopped is not None:
                    break
    _report(pipelines, len(days), work, as_json=as_json)
    if stopped is not None and not as_json:
        echo(f"next: {_command_from(stopped)}", err=True)
    return 0 if work.is_good else 1


def _command_from(day: date) -> str:
    """This very command, from a day on, which goes on with what has failed."""
    context = click.get_current_context()
    words = ["trikk", "backfill"]
    for option in context.command.params:
        value = context.params.get(str(option.name))
        if option.name == "first":
            value = day.isoformat()
        elif option.name == "missing":
            value = True
        elif option.name == "parameters":
            value = [f"{name}={text}" for name, text in (value or {}).items()]
        if isinstance(option, click.Argument):
            words += value or ()
        elif option.name == "code" and value:
            words += [f"--with-{value}-code"] if f"--with-{value}-code" in option.opts else []
        elif isinstance(option, click.Option) and option.is_flag:
            words += [option.opts[-1]] if value else []
        elif isinstance(value, list | tuple):
            words += [word for one in value for word in (option.opts[0], one)]
        elif value is not None and value != option.default:
            words += [option.opts[0], str(value)]
    return shlex.join(words)


def _watch(session: Session, as_of: float | None, progress: Progress) -> None:
    """Look at the project as it was at the end of a day, and say what that changed."""
    from trikk.server.presence.project_look import look_at

    now = datetime.now(UTC) if as_of is None else datetime.fromtimestamp(as_of, UTC)
    for line in look_at(session.project, session, now).lines:
        progress.say(line)


def _report(pipelines: tuple[str, ...], days: int, work: _Backfill, *, as_json: bool) -> None:
    if as_json:
        document = {
            "pipelines": list(pipelines),
            "state": RunStatus.SUCCEEDED if work.is_good else RunStatus.FAILED,
        }
        errors = {"errors": [error.to_json() for error in work.errors]} if work.errors else {}
        print_json({**document, "runs": [_brief(s) for s in work.done], **errors})
        return
    good = sum(state.state == RunStatus.SUCCEEDED for state in work.done)
    not_begun = days * len(pipelines) - len(work.done) - work.left_out - len(work.errors)
    notes = [f"{work.left_out} had succeeded before"] if work.left_out else []
    notes += [f"{len(work.errors)} could not be run"] if work.errors else []
    notes += [f"{not_begun} were not begun"] if not_begun else []
    echo("; ".join([f"{', '.join(pipelines)}: {good} of {len(work.done)} runs succeeded", *notes]))


def _brief(state: RunState) -> dict[str, Any]:
    document = state.to_json()
    return {k: document[k] for k in ("id", "pipeline", "state", "parameters", "error")}


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
        raise ParameterError(f"--at {text} is not a time of day", next="write it as 04:00") from error


def _moment(day: date, hour: time, zone: str) -> float:
    from zoneinfo import ZoneInfo

    return datetime.combine(day, hour, ZoneInfo(zone)).timestamp()


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
