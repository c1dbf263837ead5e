"""`trikk backtest`: which alarms a rule would have raised in the past, and which threshold to take."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.output import json_option, print_json, table
from trikk.core.errors import UsageError
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.alerts.backtest_run import Backtest
    from trikk.alerts.backtest_sweep import Days
    from trikk.alerts.backtest_table import Detection, Outcome

_AROUND = 6
_COLOURS = {"supported": "green", "tentative": "yellow"}


def _day(context: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ARG001 - click's signature
    """An option's dates, of which click makes times."""
    if isinstance(value, tuple):
        return tuple(sorted(one.date() for one in value))
    return None if value is None else value.date()


_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.argument("monitor")
@click.option(
    "--when", default="", help='A condition; X is the threshold to find: "wape > X", "mae > 1.3 * usual".'
)
@click.option("--alarm", default="", metavar="NAME", help="One of the monitor's alarms.")
@click.option(
    "--metric", default="", help="A metric to find a threshold for, against the baseline if there is one."
)
@click.option("--window", default="", help="hour, day or week.")
@click.option("--slice", default="", metavar="COLUMN", help="Each of its values alarms on its own.")
@click.option("--windows", type=click.IntRange(1), help="How many in a row must be bad to open an incident.")
@click.option("--min-labelled", type=click.IntRange(1), metavar="N", help="Judge no window with fewer labels.")
@click.option("--from", "first", type=_DATE, callback=_day, metavar="DATE", help="The first night.")
@click.option("--to", "last", type=_DATE, callback=_day, metavar="DATE", help="The last night.")
@click.option("--known-ok", default="", metavar="FROM:TO", help="Days without anything wrong: an alarm is false.")
@click.option(
    "--event",
    "events",
    type=_DATE,
    callback=_day,
    multiple=True,
    metavar="DATE",
    help="When something went wrong.",
)
@click.option(
    "--accept", default="1/month", show_default=True, help="False alarms: 1/month, 2/week; 0.02: share of nights."
)
@click.option("--all", "every", is_flag=True, help="Show all thresholds, not only those beside the suggested.")
@json_option
def backtest(known_ok: str, accept: str, *, every: bool, as_json: bool, **asked: Any) -> None:
    """Replay MONITOR's past night by night: which alarms would have fired, and which threshold to take."""
    from trikk.alerts.backtest_bounds import Accepted
    from trikk.alerts.backtest_run import Question
    from trikk.alerts.backtest_run import backtest as answer

    good = _days(known_ok) if known_ok else None
    found = answer(Project.open(), Question(good=good, accepted=Accepted.read(accept), **asked))
    if as_json:
        print_json(found.to_json())
        return
    _head(found)
    _incidents(found)
    _thresholds(found, every=every)
    _suggestion(found)


def _days(text: str) -> Days:
    from trikk.alerts.backtest_sweep import Days

    try:
        first, last = (date.fromisoformat(part) for part in text.split(":"))
    except ValueError as error:
        raise UsageError(f"{text!r} is no period", next="write --known-ok 2020-03-01:2020-03-20") from error
    if last < first:
        raise UsageError(f"{text!r} ends before it begins", next="write the earlier day first")
    return Days(first, last)


def _head(found: Backtest) -> None:
    rule = found.rule
    shown = rule.when if found.episodes is not None else found.template
    often = f" for {rule.windows} windows" if rule.windows > 1 else ""
    click.echo(f"{rule.monitor}: {shown or rule.kind}{often} ({found.chosen})")
    known = f"{found.recorded} windows as they were known at the time"
    if found.assumed:
        known += f", {found.assumed} that nobody watched then: taken to be known when their labels were due"
    click.echo(f"  {len(found.over)} nights from {found.over[0].day} to {found.over[-1].day}; {known}")
    for note in found.notes:
        click.echo(f"  note: {note}")


def _incidents(found: Backtest) -> None:
    from trikk.alerts.times import lasting

    if found.episodes is None:
        return
    click.echo()
    if not found.episodes:
        click.echo("No alarm would have fired.")
        return
    rows = [
        [
            one.opened.day.isoformat(),
            "-" if one.resolved is None else one.resolved.day.isoformat(),
            "still open" if one.days is None else lasting(one.days * 86400),
            "false alarm" if found.is_false(one) else "",
            ("" if one.part is None else f"{one.part[0]} {one.part[1]}: ") + one.why,
        ]
        for one in found.episodes
    ]
    table(["OPENED", "RESOLVED", "LASTED", "", "WHY"], rows)


def _thresholds(found: Backtest, *, every: bool) -> None:
    shown = list(found.outcomes) if every else _beside(found)
    if not shown:
        return
    click.echo()
    chosen = found.suggestion.threshold if found.suggestion else None
    heads = ["X", "FALSE ALARMS", "PER 30 DAYS", "FALSE NIGHTS", "ALARMS", "NIGHTS WITH ALARM"]
    rows = []
    for one in shown:
        per_month = "-" if one.per_month is None else f"{one.per_month:.2g}"
        row = [f"{one.threshold:.6g}", str(one.false_alarms), per_month, f"{one.false_nights} of {one.good_days}"]
        row += [str(one.alarms), str(one.alarm_nights), *(_met(met) for met in one.detections)]
        rows.append([*row, "<- suggested" if one.threshold == chosen else ""])
    events = [f"{one.event} MET" for one in shown[0].detections]
    table([*heads, *events, ""], rows, right=heads)
    if len(shown) < len(found.outcomes):
        click.echo(f"{len(found.outcomes)} thresholds were tried: --all shows them")


def _beside(found: Backtest) -> list[Outcome]:
    """Those near the suggested threshold and the rule's own, and the ends."""
    outcomes = list(found.outcomes)
    wanted = {found.suggestion.threshold if found.suggestion else None}
    places = [i for i, one in enumerate(outcomes) if one.threshold in wanted] or [len(outcomes) // 2]
    own = [i for i, one in enumerate(outcomes) if one.when == found.rule.when]
    near = {i for place in places for i in range(place - _AROUND, place + _AROUND + 1)}
    return [one for i, one in enumerate(outcomes) if i in near | set(own) | {0, len(outcomes) - 1}]


def _met(detection: Detection) -> str:
    if detection.days is None:
        return "never"
    if detection.early:
        return f"open since {detection.night}"
    return "the same night" if detection.days == 0 else f"after {detection.days} d"


def _suggestion(found: Backtest) -> None:
    one = found.suggestion
    if one is None:
        return
    verdict = click.style(one.verdict, fg=_COLOURS.get(one.verdict, "red"))
    click.echo(f"\n{verdict}: {one.when + ': ' if one.when else ''}{one.why}")
