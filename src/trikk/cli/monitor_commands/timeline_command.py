"""`trikk timeline`: what happened, in one order: incidents, what they started, models, reports."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from trikk.cli.printing import echo, json_option, print_json, project_zone, style, table
from trikk.cli.server_option import or_by_server
from trikk.core.errors import ParameterError, UnknownName
from trikk.core.zones import day_start
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.timeline import Happening

_COLOURS = {"alarm": "red", "warning": "yellow", "info": "cyan", "good": "green"}


def _by_server(client: Client, first: str | None, last: str | None, everything: bool, as_json: bool) -> None:
    zone = project_zone()
    since, until = _midnight(first, "--from", zone), _midnight(last, "--to", zone, after=1)
    _print(list(client.timeline(since, until)), zone, everything=everything, picture=None, as_json=as_json)


@click.command()
@click.option("--from", "first", metavar="DATE", help="The first day; from the beginning if not given.")
@click.option("--to", "last", metavar="DATE", help="The last day, included.")
@click.option("--all", "everything", is_flag=True, help="Show delivered messages, too.")
@click.option("--picture", type=click.Path(path_type=Path), metavar="FILE.png", help="Draw a monitor's story.")
@click.option("--monitor", default="", help="The monitor to draw; the only one if there is one.")
@click.option("--metric", default="", help="The figure to draw; the monitor's first by default.")
@json_option
@or_by_server(_by_server, without=("picture", "monitor", "metric"))
def timeline(
    first: str | None,
    last: str | None,
    everything: bool,
    picture: Path | None,
    monitor: str,
    metric: str,
    as_json: bool,
) -> None:
    """Tell what happened: alarms, what they started, models that became champion, reports that were sent.

    With --picture, a monitor's figures by day, its champions and its incidents are drawn as well.
    """
    from trikk.timeline import happenings

    project = Project.open()
    zone = project_zone()
    since, until = _midnight(first, "--from", zone), _midnight(last, "--to", zone, after=1)
    happened = happenings(project.journal, project.settings.environment, since=since, until=until)
    if picture is not None:
        _draw(project, picture, monitor, metric, since, until)
    _print(happened, zone, everything=everything, picture=picture, as_json=as_json)


def _print(
    happened: Sequence[Happening], zone: ZoneInfo, *, everything: bool, picture: Path | None, as_json: bool
) -> None:
    if as_json:
        print_json(
            {"happenings": [one.to_json() for one in happened], "picture": str(picture) if picture else None}
        )
        return
    # A message that was delivered says nothing new; one that was not does.
    shown = [one for one in happened if everything or one.kind != "message" or one.severity]
    if not shown:
        echo("nothing has happened yet: trikk watch --once looks")
    else:
        table(["WHEN", "", "WHAT", "WHY"], [_row(one, zone) for one in shown])
    if picture is not None:
        echo(f"drawn: {picture}")


def _row(one: Happening, zone: ZoneInfo) -> list[str]:
    at = datetime.fromtimestamp(one.at, zone)
    kind = style(one.kind, fg=_COLOURS.get(one.severity))
    return [f"{at:%Y-%m-%d %H:%M}", kind, one.what, one.why or "-"]


def _draw(
    project: Project, target: Path, monitor: str, metric: str, since: float | None, until: float | None
) -> None:
    from trikk.charts.rasterising.png_picture import png
    from trikk.monitoring.figures.records import names
    from trikk.timeline.timeline_picture import drawn, story

    known = names(project.journal)
    if not monitor and len(known) != 1:
        raise ParameterError(
            "--picture draws one monitor", next=f"--monitor NAME, of: {', '.join(known) or 'none'}"
        )
    if monitor and monitor not in known:
        raise UnknownName("monitor", monitor, known)
    chosen = monitor or known[0]
    told = story(project.journal, chosen, project.settings.environment, metric=metric, since=since, until=until)
    try:
        target.write_bytes(png(drawn(told)))
    except OSError as error:
        raise ParameterError(f"{target} can't be written: {error.strerror}", next="choose another file") from error


def _midnight(text: str | None, option: str, zone: ZoneInfo, *, after: int = 0) -> float | None:
    """The beginning of a day, or of so many days after it, seconds since 1970."""
    if text is None:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError as error:
        raise ParameterError(f"{option} {text} is not a day", next="write it as 2020-03-26") from error
    return day_start(day + timedelta(days=after), zone).timestamp()
