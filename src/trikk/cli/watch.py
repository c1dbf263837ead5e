"""`trikk watch`: evaluate monitors, judge rules, keep incidents, tell people, start what incidents start."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from trikk.cli.act import mirroring
from trikk.cli.output import json_option, print_json
from trikk.cli.progress import Progress
from trikk.core.clock import SystemClock
from trikk.core.durations import seconds
from trikk.core.errors import ParameterError, TrikkError
from trikk.execution.how import How
from trikk.execution.project import Project
from trikk.execution.session import Session

if TYPE_CHECKING:
    from trikk.alerts.watch import Looked


@click.command()
@click.option("--once", is_flag=True, help="Look once and end.")
@click.option("--every", default="5m", show_default=True, metavar="TIME", help="How often to look.")
@click.option("--now", metavar="TIME", help="Take this for the present, such as 2020-03-26T23:59; with --once.")
@json_option
def watch(once: bool, every: str, now: str | None, as_json: bool) -> int:
    """Evaluate the monitors that are due, open and resolve incidents, tell people, start pipelines.

    Exit code 0 if the look was done, even if a channel is away (it is tried again); 1 if a setting is wrong.
    """
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
            _look(Project.open(project.root), None, as_json=as_json)
        except TrikkError as error:
            click.echo(f"error: {error}", err=True)
        clock.sleep(pause)


def moment_of(text: str, project: Project) -> datetime:
    """A time as it is written on the command line, in the project's zone if it has none.

    Raises:
        ParameterError: if it is none.
    """
    from zoneinfo import ZoneInfo

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"--now {text} is no time", next="write it as 2020-03-26T23:59") from error
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(project.settings.timezone))


def _look(project: Project, now: datetime | None, *, as_json: bool) -> int:
    from trikk.alerts.watch import look

    with mirroring(project), Progress(quiet=True) as progress, Session(project, How(listener=progress)) as session:
        looked = look(project, session, now=now or datetime.now(UTC))
    if as_json:
        print_json(looked.to_json())
    else:
        report(looked)
    return 1 if looked.errors else 0


def report(looked: Looked) -> None:
    """Say in a few lines what a look has done."""
    for line in lines_of(looked) or ["nothing new"]:
        click.echo(line)
    for note in looked.notes:
        click.echo(f"note: {note}", err=True)
    for error in looked.errors:
        click.echo(f"{click.style('error:', fg='red')} {error}", err=True)


def lines_of(looked: Looked) -> list[str]:
    """What a look has done, a line for each thing."""
    lines = [f"evaluated {e['monitor']} (run {e['run']} {e['state']}): {e['why']}" for e in looked.evaluated]
    for one in looked.changes:
        colour = {"opened": "red", "escalated": "red", "resolved": "green"}.get(str(one["kind"]))
        kind = click.style(f"{one['kind']:9}", fg=colour)
        lines.append(f"{kind} {one['incident']}: {one['why']}")
    for one in looked.delivered:
        why = f": {one['why']}" if one.get("why") else ""
        lines.append(f"{one['state']:9} {one['incident']} ({one['message']}) on {one['channel']}{why}")
    for one in looked.started:
        why = f": {one['why']}" if one.get("why") else ""
        run = f"run {one['run']} {one['state']}" if one["run"] else "not started"
        lines.append(f"started   {one['pipeline']} for {one['incident']}, {run}{why}")
    return lines
