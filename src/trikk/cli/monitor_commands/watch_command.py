"""`trikk watch`: evaluate monitors, judge rules, keep incidents, tell people, start pipelines, make reports.

Alerts and reports do not know each other; `look_at` is where one look at a project is put together.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

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
    from trikk.alerts.look import Looked
    from trikk.reports.due_reports import Reported
    from trikk.runs.journals.journal import Event
    from trikk.runs.run_state import RunState

_STOPPED = 130


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


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look at a project has done."""

    outcome: Looked  # about monitors and incidents
    reported: Reported  # about reports

    @property
    def notes(self) -> list[str]:
        """What could not be done, in sentences."""
        return [*self.outcome.notes, *self.reported.notes]

    @property
    def errors(self) -> list[str]:
        """What is wrong with the settings, in sentences."""
        return [*self.outcome.errors, *self.reported.errors]

    @property
    def lines(self) -> list[str]:
        """What was done, a line for each thing."""
        return [*_lines_of(self.outcome), *_report_lines(self.reported)]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        reports = {"reports": self.reported.reports, "mails": self.reported.mails}
        return {**self.outcome.to_json(), **reports, "notes": self.notes, "errors": self.errors}


def look_at(project: Project, session: Session, now: datetime) -> Watched:
    """Look once: evaluate, judge, tell and start; then make, of what was found, the reports that are due.

    Raises:
        UsageError: if the project's rules are wrong; nothing was done.
    """
    from trikk.alerts.look import look
    from trikk.reports.due_reports import Reported, report_due

    outcome = look(project, session, now=now)
    # Reports after the look: their figures are those that it has just evaluated.
    return Watched(outcome, Reported() if outcome.is_broken else report_due(project, session, now=now))


def _look(project: Project, now: datetime | None, *, as_json: bool) -> int:
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
        echo(line)
    for note in watched.notes:
        echo(f"note: {note}", err=True)
    for error in watched.errors:
        echo(style("error:", fg="red"), f" {error}", err=True)


def _lines_of(outcome: Looked) -> list[str]:
    lines = [f"evaluated {e['monitor']} (run {e['run']} {e['state']}): {e['why']}" for e in outcome.evaluated]
    for one in outcome.changes:
        colour = {"opened": "red", "escalated": "red", "resolved": "green"}.get(str(one["kind"]))
        lines.append(style(f"{one['kind']:9}", fg=colour) + f" {one['incident']}: {one['why']}")
    for one in outcome.delivered:
        why = f": {one['why']}" if one.get("why") else ""
        lines.append(f"{one['state']:9} {one['incident']} ({one['message']}) on {one['channel']}{why}")
    for one in outcome.started:
        why = f": {one['why']}" if one.get("why") else ""
        run = f"run {one['run']} {one['state']}" if one["run"] else "not started"
        lines.append(f"started   {one['pipeline']} for {one['incident']}, {run}{why}")
    return lines


def _report_lines(reported: Reported) -> list[str]:
    lines = []
    for one in reported.reports:
        fields: Any = one
        run = f"run {one['run']} {one['state']}" if one["run"] else "not made"
        why = _sent(fields["deliveries"], fields["by"]) if one["state"] == "succeeded" else fields["why"]
        lines.append(f"report    {one['report']} for {one['period']}, {run}: {why}")
    for one in reported.mails:
        fields = one
        whose = "" if one["customer"] == "*" else f", {one['customer']}"
        people = f"{len(fields['reached'])} of {len(fields['recipients'])} have it"
        lines.append(f"mailed    {one['report']} for {one['period']}{whose}: {people}{_lost([fields])}")
    return lines


def _sent(pages: list[dict[str, Any]], by: str) -> str:
    """Whom a report has reached."""
    wanted, reached = (sum(len(page[key]) for page in pages) for key in ("recipients", "reached"))
    if not wanted:
        return "nobody subscribes to it"
    people = str(wanted) if reached == wanted else f"{reached} of {wanted}"
    return (f"sent to {people}" if by == "smtp" else f"mail for {people} is in .trikk/outbox") + _lost(pages)


def _lost(pages: list[dict[str, Any]]) -> str:
    lost = {who: why for page in pages for who, why in {**page["refused"], **page["failed"]}.items()}
    return "".join(f"; {who}: {why}" for who, why in lost.items())
