"""`trikk backtest`: which alarms a rule would have raised in the past, and which threshold to take."""

from __future__ import annotations

import shutil
import textwrap
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.printing import echo, json_option, print_json, style, table
from trikk.cli.server_option import check_json, or_by_server
from trikk.core.errors import UsageError
from trikk.core.text import counted
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.alerts.backtest.answer import Backtest
    from trikk.alerts.backtest.outcomes import Detection, Outcome
    from trikk.alerts.backtest.past import Days
    from trikk.client.rest_client import Client

_AROUND = 6  # thresholds that are shown on either side of the suggested one
_COLUMNS = 12
_WIDTH = 100
_COLOURS = {"supported": "green", "tentative": "yellow"}  # by verdict; the others are red


def _day(context: click.Context, parameter: click.Parameter, value: Any) -> Any:  # noqa: ARG001 - click's signature
    """An option's dates, of which click makes times."""
    if isinstance(value, tuple):
        # In the order of time, as the nights are.
        return tuple(sorted(one.date() for one in value))
    return None if value is None else value.date()


_DATE = click.DateTime(formats=["%Y-%m-%d"])


def _by_server(client: Client, known_ok: str, *, as_json: bool, every: bool, **options: Any) -> None:  # noqa: ARG001
    check_json(as_json=as_json)
    days = {name: options.pop(name) for name in ("first", "last")}
    good = _days(known_ok) if known_ok else None
    asked = {
        **{name: value for name, value in options.items() if value not in ("", (), None)},
        "from": days["first"],
        "to": days["last"],
        "known_ok_from": good and good.first,
        "known_ok_to": good and good.last,
    }
    several = {name: ",".join(map(str, options[name])) or None for name in ("limits", "events")}
    print_json(client.backtest(**{**asked, **several}))


@click.command()
@click.argument("monitor")
@click.option(
    "--when", default="", help='A condition; X is the threshold to find: "wape > X", "mae > 1.3 * usual".'
)
@click.option("--alarm", default="", metavar="NAME", help="One of the monitor's alarms.")
@click.option(
    "--metric", default="", help="A metric to find a threshold for, against the baseline if there is one."
)
@click.option(
    "--limit",
    "limits",
    multiple=True,
    metavar="NAME[=NUMBER]",
    help="For drift, the limit to find: a method, a column or missing; NUMBER replays it. All at once by default.",
)
@click.option("--window", default="", help="hour, day or week.")
@click.option("--slice", default="", metavar="COLUMN", help="Each of its values alarms on its own.")
@click.option("--windows", type=click.IntRange(1), help="How many in a row must be bad to open an incident.")
@click.option("--min-labelled", type=click.IntRange(1), metavar="N", help="Judge no window with fewer labels.")
@click.option("--from", "first", type=_DATE, callback=_day, metavar="DATE", help="The first night.")
@click.option("--to", "last", type=_DATE, callback=_day, metavar="DATE", help="The last night.")
@click.option(
    "--known-ok", default="", metavar="FROM:TO", help="Days on which nothing was wrong: any alarm is false."
)
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
@click.option("--all", "every", is_flag=True, help="Show all thresholds and columns.")
@json_option
@or_by_server(_by_server)
def backtest(known_ok: str, accept: str, *, every: bool, as_json: bool, **options: Any) -> None:
    """Replay MONITOR's past night by night: which alarms would have fired, and which threshold to choose."""
    from trikk.alerts.backtest.bounds import Accepted
    from trikk.alerts.backtest.question import Question
    from trikk.alerts.backtest.runner import backtest as replayed

    good = _days(known_ok) if known_ok else None
    answer = replayed(Project.open(), Question(good=good, accepted=Accepted.of(accept), **options))
    if as_json:
        print_json(answer.to_json())
        return
    _head(answer)
    _incidents(answer)
    _thresholds(answer, every=every)
    _columns(answer, every=every)
    _suggestion(answer)


def _days(text: str) -> Days:
    from trikk.alerts.backtest.past import Days

    try:
        first, last = (date.fromisoformat(part) for part in text.split(":"))
    except ValueError as error:
        raise UsageError(f"{text!r} is not a period", next="write --known-ok 2020-03-01:2020-03-20") from error
    if last < first:
        raise UsageError(f"{text!r} ends before it begins", next="write the earlier day first")
    return Days(first, last)


def _say(text: str) -> None:
    """Print a sentence, wrapped where the terminal ends, or before."""
    width = min(_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)
    echo(textwrap.indent(textwrap.fill(text, width - 2, break_on_hyphens=False), "  "))


def _head(answer: Backtest) -> None:
    from trikk.alerts.rules.rule import Kind

    rule = answer.rule
    shown = f"drift by {answer.shown}" if rule.kind == Kind.DRIFT else answer.shown
    often = f" for {rule.windows} windows" if rule.windows > 1 else ""
    each = f", each {rule.slice}" if rule.slice else ""
    echo(f"{rule.monitor}{each}: {shown}{often} ({answer.origin})")
    windows = "days" if rule.kind == Kind.DRIFT else "windows"
    known = f"{answer.recorded} {windows} as they were known at the time"
    if answer.assumed:
        known += f", {answer.assumed} that nobody watched then: taken to be known when their labels were due"
    _say(f"{counted(len(answer.over), 'night')} from {answer.over[0].day} to {answer.over[-1].day}; {known}")
    for note in answer.notes:
        _say(f"note: {note}")


def _incidents(answer: Backtest) -> None:
    from trikk.core.durations import lasting

    if answer.episodes is None:
        return
    echo()
    if not answer.episodes:
        echo("No alarm would have fired.")
    else:
        rows = [
            [
                one.opened.day.isoformat(),
                "-" if one.resolved is None else one.resolved.day.isoformat(),
                "still open" if one.days is None else lasting(one.days * 86400),
                str(one.messages),
                "false alarm" if answer.is_false(one) else "",
                ("" if one.part is None else f"{one.part[0]} {one.part[1]}: ") + one.why,
            ]
            for one in answer.episodes
        ]
        table(["OPENED", "RESOLVED", "LASTED", "MESSAGES", "", "WHY"], rows, right=["MESSAGES"])
    for met in answer.detections:
        earlier = f"an alarm of {met.night} was open, which an earlier day had opened"
        echo(f"Event of {met.event}: {earlier if met.early else _how_met(met)}")


def _thresholds(answer: Backtest, *, every: bool) -> None:
    shown = list(answer.outcomes) if every else _beside(answer)
    if not shown:
        return
    chosen = answer.suggestion.threshold if answer.suggestion else None
    heads = ["X", "FALSE ALARMS", "PER MONTH", "FALSE NIGHTS", "ALARMS", "NIGHTS"]
    rows = []
    for one in shown:
        per_month = "-" if one.per_month is None else f"{one.per_month:.2g}"
        row = [f"{one.threshold:.6g}", str(one.false_alarms), per_month, f"{one.false_nights} of {one.good_days}"]
        row += [str(one.alarms), str(one.alarm_nights), *(_how_met(met) for met in one.detections)]
        marks = ["suggested"] * (one.threshold == chosen) + ["now"] * (one.threshold == answer.held)
        rows.append([*row, f"<- {', '.join(marks)}" if marks else ""])
    events = [str(one.event) for one in shown[0].detections]
    echo(f"\n{answer.template}:")
    table([*heads, *events, ""], rows, right=heads)
    if len(shown) < len(answer.outcomes):
        echo(f"{len(answer.outcomes)} numbers were tried: --all shows them")


def _beside(answer: Backtest) -> list[Outcome]:
    """Those near the suggested threshold and the rule's own, and the ends."""
    outcomes = list(answer.outcomes)
    wanted = {answer.suggestion.threshold if answer.suggestion else None}
    places = [i for i, one in enumerate(outcomes) if one.threshold in wanted] or [len(outcomes) // 2]
    now = [i for i, one in enumerate(outcomes) if one.threshold == answer.held]
    # Around the suggestion: a hundred lines would hide which numbers are worth a thought.
    near = {i for place in places for i in range(place - _AROUND, place + _AROUND + 1)}
    return [one for i, one in enumerate(outcomes) if i in near | set(now) | {0, len(outcomes) - 1}]


def _how_met(detection: Detection) -> str:
    if detection.days is None or detection.night is None:
        return "never"
    if detection.early:
        is_same_year = detection.night.year == detection.event.year
        return f"earlier ({detection.night:{'%m-%d' if is_same_year else '%Y-%m-%d'}})"
    if detection.days == 0:
        return "the same night"
    return f"after {detection.days} d" if detection.days > 0 else f"{-detection.days} d before"


def _columns(answer: Backtest, *, every: bool) -> None:
    shown = answer.columns if every else answer.columns[:_COLUMNS]
    if not shown:
        return
    rows = []
    for one in shown:
        row = [one.column, f"{one.method} {one.limit:.6g}", str(one.good_days), str(one.good_drifts)]
        row += ["-" if one.largest is None else f"{one.largest:.3g} on {one.largest_day}"]
        rows.append([*row, *("-" if event.largest is None else f"{event.largest:.3g}" for event in one.events)])
    echo("\nThe columns: significant effects, and the limit that each must reach to drift")
    heads = ["COLUMN", "LIMIT", "GOOD DAYS", "DRIFT", "LARGEST", *(str(event.event) for event in shown[0].events)]
    table(heads, rows, right=["GOOD DAYS", "DRIFT", *heads[5:]])
    if len(shown) < len(answer.columns):
        echo(f"{len(answer.columns) - len(shown)} more: --all shows them")


def _suggestion(answer: Backtest) -> None:
    one = answer.suggestion
    if one is None:
        return
    verdict = style(one.verdict, fg=_COLOURS.get(one.verdict, "red"))
    echo("\n", verdict, f"{': ' if one.when else ''}{one.when}")
    _say(one.why)
    if answer.write:
        echo(f"  write: {answer.write}")
