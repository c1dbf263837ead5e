"""`trikk backfill`: pipelines for each day of a period, as a schedule would have run them."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json
from trikk.cli.run_commands.execute import (
    explain,
    keep_going_option,
    parallel_option,
    parameter_option,
    warn_of_effects,
)
from trikk.cli.run_commands.progress import Progress
from trikk.cli.run_commands.run_end import WAITS, explain_waiting
from trikk.cli.server_option import or_by_server, trikk
from trikk.core.errors import RunError, TrikkError, UsageError
from trikk.execution.backfills.backfill_declaration import Asked, declaration_of
from trikk.execution.backfills.backfill_ledger import begin, moment_of, refresh
from trikk.execution.backfills.backfill_state import (
    Backfill,
    BackfillStatus,
    Day,
    Declaration,
    summary,
)
from trikk.execution.backfills.backfill_state import progress as progress_of
from trikk.execution.backfills.carrier import Carrier
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.runs.living_servers import living
from trikk.runs.states import RunStatus
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.execution.resume import Code
    from trikk.pipeline.graph import Graph
    from trikk.runs.journals.journal import RunRow
    from trikk.runs.run_state import RunState


@dataclass(slots=True)
class _Teller:
    """Says what a backfill does, and looks at the project after each day if it is to."""

    session: Session  # the project's code
    declared: Declaration
    progress: Progress  # told of days and of what went wrong
    steps: Progress  # told of what is done in each day; says nothing if it is to be quiet
    watches: bool = False
    left_out_count: int = 0  # how many had succeeded before
    stopped: str = ""  # the day at which it has stopped
    _day: str = ""
    _heading: str = ""

    def begins(self, day: Day) -> None:
        """Say which day it is, at once or when there is something to say of it."""
        if day[1] != self._day:
            self._day = day[1]
            self._heading = f"[{self.declared.days.index(day[1]) + 1}/{len(self.declared.days)}] {day[1]}"
            if not self.steps.quiet:
                self._say("")

    def left_out(self, day: Day) -> None:
        self.left_out_count += 1
        self.steps.say(f"{day[0]}: has succeeded, left out")
        self._is_over(day, goes_on=True)

    def starts(self, graph: Graph, given: dict[str, str]) -> None:
        if not self.declared.missing:
            warn_of_effects(self.session, graph, given)
        self._say("")

    def goes_on(self, row: RunRow, effects: Iterable[str]) -> None:
        had = f" and has done {', '.join(effects)}" if effects else ""
        self._say(f"{row.pipeline}: goes on with run {row.id}, which is {row.state}{had}")

    def failed(self, day: Day, error: TrikkError) -> None:
        self._say(f"{day[0]}: {error}")
        self._is_over(day, goes_on=self.declared.keep_going)

    def ended(self, day: Day, state: RunState) -> None:
        good = state.state == RunStatus.SUCCEEDED
        if state.state == RunStatus.WAITING:
            explain_waiting(state)
        elif not (good or self.progress.quiet):
            explain(self.session.project, state)
        goes_on = good or (self.declared.keep_going and state.state != RunStatus.CANCELLED)
        self._is_over(day, goes_on=goes_on, looks=state.state != RunStatus.CANCELLED)

    def forgotten(self, row: RunRow, effects: Iterable[str], given: dict[str, str]) -> RunError:
        words = ["trikk", "run", row.pipeline, *(w for name, v in given.items() for w in ("-p", f"{name}={v}"))]
        return RunError(
            f"run {row.id} of this day is {row.state} and was forgotten by clean-up; whether it had done "
            f"{', '.join(effects)} is not known any more",
            next=f"look, then run the day by hand: {shlex.join(words)}, or leave it out",
        )

    def _is_over(self, day: Day, *, goes_on: bool, looks: bool = True) -> None:
        if not goes_on:
            self.stopped = day[1]
        if self.watches and looks and (day[0] == self.declared.pipelines[-1] or not goes_on):
            as_of = moment_of(self.declared, day, self.session.project.settings.timezone)
            _watch(self.session, as_of, self.progress)

    def _say(self, line: str) -> None:
        for one in (self._heading, line):
            if one:
                self.progress.say(one)
        self._heading = ""


def _by_server(client: Client, *, first: str, last: str, queued: bool, as_json: bool, **given: Any) -> int:
    if not queued:
        raise UsageError(
            "a server begins the days by itself", next="add --queue; see how far it is: trikk backfills"
        )
    if given["code"]:
        raise UsageError(f"--with-{given.pop('code')}-code is of no use with a server", next="leave it out")
    options = {name: value for name, value in given.items() if value not in (None, ())}
    begun = client.backfill(options.pop("pipelines"), first, last, **options)
    if as_json:
        print_json(begun)
    else:
        echo(f"backfill {begun['id']} is written down; see how far it is: {trikk()} backfills {begun['id']}")
    return 0


@click.command()
@click.argument("pipelines", metavar="PIPELINE...", nargs=-1, required=True)
@click.option("--from", "first", required=True, metavar="DATE", help="The first day, such as 2020-03-02.")
@click.option("--to", "last", required=True, metavar="DATE", help="The last day.")
@click.option("--every", type=click.IntRange(1), default=1, metavar="DAYS", help="Only every so many days.")
@click.option("--at", metavar="HH:MM", help="Run each day as if it were this time of it.")
@click.option("--parameter", help="The date parameter to fill; not needed if a pipeline has only one.")
@click.option("--parallel", type=click.IntRange(1), default=1, metavar="N", help="So many days at once.")
@click.option("--any-order", is_flag=True, help="With --parallel: the days need not follow on each other.")
@click.option("--queue", "queued", is_flag=True, help="Only write it down: servers carry it out.")
@click.option("--missing", is_flag=True, help="Leave out what has succeeded; resume what failed halfway.")
@click.option("--with-current-code", "code", flag_value="current", help="Continue with the code as it is now.")
@click.option("--with-locked-code", "code", flag_value="locked", help="Continue with each run's own code.")
@click.option("-q", "--quiet", is_flag=True, help="Print one line for each day, and what went wrong.")
@click.option("--watch", "watches", is_flag=True, help="After each day, look as `trikk watch --once` does.")
@parameter_option
@keep_going_option
@parallel_option
@json_option
@or_by_server(_by_server, without=("quiet", "watches", "max_parallel"))
@audited("begin_backfill", "pipelines", "first", "last")
def backfill(
    pipelines: tuple[str, ...],
    *,
    first: str,
    last: str,
    every: int,
    at: str | None,
    parameter: str | None,
    parallel: int,
    any_order: bool,
    queued: bool,
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

    Stops at a failure unless --keep-going. `trikk backfills` lists what was begun, pauses it and goes on with it.
    """
    if queued and watches:
        mend = "leave out --watch: servers look themselves"
        raise UsageError("--queue and --watch can't be combined", next=mend)
    project = Project.open()
    how = How(keep_going=keep_going, max_parallel=max_parallel)
    asked = Asked(
        pipelines, first, last, every, at, parameter, parallel, any_order, parameters, missing, keep_going,
        max_parallel, queued,
    )  # fmt: skip
    with Session(project, how) as session:
        declaration = declaration_of(asked, [session.graph(name) for name in pipelines])
        begun = begin(project.journal, declaration, how.clock.now())
        if queued:
            return _tell_queued(project, begun, as_json=as_json)
        carrier, teller = carry(session, begun, code=code, quiet=quiet, watches=watches, as_json=as_json)
    result = report(carrier, teller, as_json=as_json)
    if teller.stopped and not as_json:
        echo(f"backfill {begun.id} has stopped; the whole of it: trikk backfills {begun.id}", err=True)
        echo(f"next: {_command_from(date.fromisoformat(teller.stopped))}", err=True)
    return result


def _tell_queued(project: Project, begun: Backfill, *, as_json: bool) -> int:
    if as_json:
        print_json(summary(begun, {}))
        return 0
    echo(f"backfill {begun.id} is written down; see how far it is: trikk backfills {begun.id}")
    if not living(project.journal.servers(), begun.begun):
        echo(
            f"no server is there to carry it out: trikk serve, or here: trikk backfills resume {begun.id}",
            err=True,
        )
    return 0


def carry(
    session: Session,
    backfill: Backfill,
    *,
    code: Code | None,
    quiet: bool,
    as_json: bool,
    watches: bool = False,
    alone: bool = False,
) -> tuple[Carrier, _Teller]:
    """Carry a backfill out, with as many more processes as it has days at once; what was done, and said."""
    project = session.project
    with mirroring(project), Progress(quiet=as_json) as progress, Progress(quiet=as_json or quiet) as steps:
        session.how.listener = steps
        teller = _Teller(session, backfill.declaration, progress, steps, watches)
        carrier = Carrier(session, backfill, teller, code)
        with _helpers(project, backfill, 0 if alone else backfill.declaration.parallel - 1):
            carrier.work()
    refresh(project.journal, backfill)
    return carrier, teller


@contextlib.contextmanager
def _helpers(project: Project, backfill: Backfill, count: int) -> Iterator[None]:
    """Other processes that carry out days as well; each has the code loaded for itself."""
    command = [sys.executable, "-m", "trikk.cli.main", "backfills", "resume", backfill.id, "--helps", "--quiet"]
    helpers = [
        subprocess.Popen(command, cwd=project.root, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(count)
    ]
    try:
        yield
        for helper in helpers:
            helper.wait()
    finally:
        for helper in helpers:
            helper.terminate()  # nothing is left of it, unless this process is being stopped
            helper.wait()


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


def report(carrier: Carrier, teller: _Teller, *, as_json: bool) -> int:
    """Say what has become of a backfill; the exit code of the command."""
    project, backfill = teller.session.project, carrier.backfill
    mine = {state.id: state for state in carrier.done}
    ids = [backfill.runs[day] for day in backfill.days() if day in backfill.runs]
    runs = [mine.get(run) or project.run(run) for run in ids]
    states = {state.id: state.state for state in runs}
    waits = RunStatus.WAITING in states.values() and RunStatus.FAILED not in states.values()
    is_good = not carrier.errors and progress_of(backfill, states).state == BackfillStatus.SUCCEEDED
    names, errors = backfill.declaration.pipelines, list(carrier.errors.values())
    if as_json:
        state = RunStatus.SUCCEEDED if is_good else RunStatus.WAITING if waits else RunStatus.FAILED
        document = {"backfill": backfill.id, "pipelines": list(names), "state": state}
        failures = {"errors": [error.to_json() for error in errors]} if errors else {}
        print_json({**document, "runs": [_brief(s) for s in runs], **failures})
        return 0 if is_good else WAITS if waits else 1
    good, left_out = sum(state.state == RunStatus.SUCCEEDED for state in runs), len(backfill.left_out)
    unclaimed = len([day for day in carrier.errors if day not in backfill.runs])
    not_begun = len(backfill.declaration.days) * len(names) - len(runs) - left_out - unclaimed
    notes = [f"{left_out} had succeeded before"] if left_out else []
    notes += [f"{len(errors)} could not be run"] if errors else []
    notes += [f"{not_begun} {'was' if not_begun == 1 else 'were'} not begun"] if not_begun else []
    echo("; ".join([f"{', '.join(names)}: {good} of {len(runs)} runs succeeded", *notes]))
    return 0 if is_good else WAITS if waits else 1


def _brief(state: RunState) -> dict[str, Any]:
    document = state.to_json()
    return {k: document[k] for k in ("id", "pipeline", "state", "parameters", "error")}
