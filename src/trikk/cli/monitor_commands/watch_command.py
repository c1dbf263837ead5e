"""`trikk watch`: evaluate monitors, judge rules, keep incidents, tell people, start pipelines, make reports."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trikk.cli.printing import echo, json_option, print_json, style
from trikk.cli.run_commands.progress import Progress
from trikk.core.clock import SystemClock
from trikk.core.durations import seconds
from trikk.core.errors import ParameterError, TrikkError
from trikk.execution.project import Project
from trikk.execution.run_options import How
from trikk.execution.session import Session
from trikk.tracking.mlflow.background_mirror import mirroring

if TYPE_CHECKING:
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import RunState
    from trikk.server.presence.project_look import Watched

_STOPPED = 130
_WORD = 9
_COLOURS = {"opened": "red", "escalated": "red", "resolved": "green"}


@click.command()
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--every", default="5m", show_default=True, metavar="TIME", help="How often to look.")
@click.option("--now", metavar="TIME", help="Look as of this time, such as 2020-03-26T23:59; with --once.")
@json_option
def watch(once: bool, every: str, now: str | None, as_json: bool) -> int:
    """Evaluate the monitors that are due, open and resolve incidents, tell people, start pipelines, make reports.

    Exit code 0 if the look was done, even if a channel is away (it is tried again); 1 if a setting is wrong;
    130 if Ctrl-C or a signal to end came during a run.
    """
    # A loop at a fixed time would see the same for ever.
    if now is not None and not once:
        raise ParameterError("--now is for one look", next="add --once")
    pause = seconds(every, what="time between looks")
    project = Project.open()
    moment = None if now is None else moment_of(now, project)
    if once:
        return _look(project, moment, as_json=as_json)
    clock = SystemClock()
    while True:
        try:
            # Opened anew for each look: settings and code may have been changed since.
            with contextlib.closing(Project.open(project.root)) as fresh:
                if _look(fresh, None, as_json=as_json) == _STOPPED:
                    return _STOPPED
        except TrikkError as error:
            # And go on: a trikk.toml that is being edited is whole again at the next look.
            echo(f"error: {error}", err=True)
        clock.sleep(pause)


def moment_of(text: str, project: Project) -> datetime:
    """A time as it is written on the command line, in the project's zone if it has none.

    Raises:
        ParameterError: if it is not one.
    """
    from zoneinfo import ZoneInfo

    from trikk.core import zones

    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"--now {text} is not a time", next="write it as 2020-03-26T23:59") from error
    return zones.moment_of(moment, ZoneInfo(project.settings.timezone))


def _look(project: Project, now: datetime | None, *, as_json: bool) -> int:
    from trikk.server.presence.project_look import look_at

    with mirroring(project), Progress(quiet=True) as progress:
        ear = _Ear(progress)
        with Session(project, How(listener=ear)) as session:
            watched = look_at(project, session, now or datetime.now(UTC))
    if as_json:
        print_json(watched.to_json())
    else:
        _tell(watched)
    if ear.is_stopped:
        return _STOPPED
    return 1 if watched.errors else 0


class _Ear:
    """Hears what happens in runs: whether a signal has ended one, which was meant for this command."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.is_stopped = False

    def __call__(self, event: Event, state: RunState) -> None:
        from trikk.execution.launch import BY_SIGNAL
        from trikk.runs.events import EventKind

        # A run that somebody cancelled elsewhere ends that run alone; a signal was for the whole command.
        if event.kind == EventKind.RUN_CANCELLED:
            self.is_stopped |= str(event.body["error"]).endswith(BY_SIGNAL)
        self.progress(event, state)


def _tell(watched: Watched) -> None:
    """Say in a few lines what a look has done."""
    for line in watched.lines or ["nothing new"]:
        # A line about an incident begins with what has happened to it.
        echo(style(line[:_WORD], fg=_COLOURS.get(line[:_WORD].strip())), line[_WORD:])
    for note in watched.notes:
        echo(f"note: {note}", err=True)
    for error in watched.errors:
        echo(style("error:", fg="red"), f" {error}", err=True)
