"""`trikk backtest`: which alarms a rule would have raised in the past, and which threshold to take."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.printing import echo, json_option, number_text, print_json, style, table
from trikk.cli.server_option import or_by_server
from trikk.core.errors import UsageError
from trikk.core.text import counted
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.alerts.backtest.outcomes import Detection
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


def _by_server(client: Client, known_ok: str, *, as_json: bool, every: bool, **options: Any) -> None:
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
    _print(client.backtest(**{**asked, **several}), every=every, as_json=as_json)


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
    _print(answer.to_json(), every=every, as_json=as_json)


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


def _print(answer: Mapping[str, Any], *, every: bool, as_json: bool) -> None:
    """Show what `Backtest.to_json` says."""
    if as_json:
        print_json(answer)
        return
    _head(answer)
    _incidents(answer)
    _thresholds(answer, every=every)
    _columns(answer, every=every)
    _suggestion(answer)


def _head(answer: Mapping[str, Any]) -> None:
    from trikk.alerts.rules.rule import Kind

    rule, nights = answer["rule"], answer["nights"]
    is_drift = rule["kind"] == Kind.DRIFT
    shown = f"drift by {answer['replayed']}" if is_drift else answer["replayed"]
    often = f" for {rule['windows']} windows" if rule["windows"] > 1 else ""
    each = f", each {rule['slice']}" if rule["slice"] else ""
    echo(f"{answer['monitor']}{each}: {shown}{often} ({answer['chosen']})")
    windows = answer["windows"]
    known = f"{windows['recorded']} {'days' if is_drift else 'windows'} as they were known at the time"
    if windows["assumed"]:
        known += f", {windows['assumed']} that nobody watched then: taken to be known when their labels were due"
    _say(f"{counted(nights['count'], 'night')} from {nights['first']} to {nights['last']}; {known}")
    for note in answer["notes"]:
        _say(f"note: {note}")


def _incidents(answer: Mapping[str, Any]) -> None:
    from trikk.core.durations import lasting

    if answer["incidents"] is None:
        return
    echo()
    if not answer["incidents"]:
        echo("No alarm would have fired.")
    else:
        rows = [
            [
                incident["night"],
                incident["resolved_night"] or "-",
                "still open" if incident["days"] is None else lasting(incident["days"] * 86400),
                str(incident["messages"]),
                "false alarm" if incident["false_alarm"] else "",
                (f"{' '.join(incident['part'])}: " if incident["part"] else "") + incident["why"],
            ]
            for incident in answer["incidents"]
        ]
        table(["OPENED", "RESOLVED", "LASTED", "MESSAGES", "", "WHY"], rows, right=["MESSAGES"])
    for met in _detections(answer["detections"]):
        earlier = f"an alarm of {met.night} was open, which an earlier day had opened"
        echo(f"Event of {met.event}: {earlier if met.early else _how_met(met)}")


def _thresholds(answer: Mapping[str, Any], *, every: bool) -> None:
    outcomes: list[dict[str, Any]] = answer["thresholds"]
    chosen = answer["suggestion"]["threshold"] if answer["suggestion"] else None
    shown = outcomes if every else _beside(outcomes, chosen, answer["now"])
    if not shown:
        return
    heads = ["X", "FALSE ALARMS", "PER MONTH", "FALSE NIGHTS", "ALARMS", "NIGHTS"]
    rows = []
    for one in shown:
        threshold, detections = one["threshold"], _detections(one["detections"])
        false_nights = f"{one['false_nights']} of {one['good_days']}"
        row = [f"{threshold:.6g}", str(one["false_alarms"]), number_text(one["false_alarms_per_month"], ".2g")]
        row += [false_nights, str(one["alarms"]), str(one["alarm_nights"]), *map(_how_met, detections)]
        marks = ["suggested"] * (threshold == chosen) + ["now"] * (threshold == answer["now"])
        rows.append([*row, f"<- {', '.join(marks)}" if marks else ""])
    events = [str(met.event) for met in _detections(shown[0]["detections"])]
    echo(f"\n{answer['template']}:")
    table([*heads, *events, ""], rows, right=heads)
    if len(shown) < len(outcomes):
        echo(f"{len(outcomes)} numbers were tried: --all shows them")


def _detections(documents: Sequence[Mapping[str, Any]]) -> list[Detection]:
    from trikk.alerts.backtest.outcomes import Detection

    return [Detection.read(document) for document in documents]


def _beside(outcomes: Sequence[dict[str, Any]], chosen: float | None, held: float | None) -> list[dict[str, Any]]:
    """Those near the suggested threshold and the rule's own, and the ends."""
    thresholds = [one["threshold"] for one in outcomes]
    places = [i for i, number in enumerate(thresholds) if number == chosen] or [len(outcomes) // 2]
    now = {i for i, number in enumerate(thresholds) if number == held}
    # Around the suggestion: a hundred lines would hide which numbers are worth a thought.
    near = {i for place in places for i in range(place - _AROUND, place + _AROUND + 1)}
    return [one for i, one in enumerate(outcomes) if i in near | now | {0, len(outcomes) - 1}]


def _how_met(detection: Detection) -> str:
    if detection.days is None or detection.night is None:
        return "never"
    if detection.early:
        is_same_year = detection.night.year == detection.event.year
        return f"earlier ({detection.night:{'%m-%d' if is_same_year else '%Y-%m-%d'}})"
    if detection.days == 0:
        return "the same night"
    return f"after {detection.days} d" if detection.days > 0 else f"{-detection.days} d before"


def _columns(answer: Mapping[str, Any], *, every: bool) -> None:
    columns: list[dict[str, Any]] = answer["columns"]
    shown = columns if every else columns[:_COLUMNS]
    if not shown:
        return
    rows = []
    for one in shown:
        largest = "-" if one["largest"] is None else f"{one['largest']:.3g} on {one['largest_day']}"
        row = [
            one["column"],
            f"{one['method']} {one['limit']:.6g}",
            str(one["good_days"]),
            str(one["good_drifts"]),
        ]
        rows.append([*row, largest, *(number_text(event["largest"], ".3g") for event in one["events"])])
    echo("\nThe columns: significant effects, and the limit that each must reach to drift")
    events = [event["event"] for event in shown[0]["events"]]
    heads = ["COLUMN", "LIMIT", "GOOD DAYS", "DRIFT", "LARGEST", *events]
    table(heads, rows, right=["GOOD DAYS", "DRIFT", *heads[5:]])
    if len(shown) < len(columns):
        echo(f"{len(columns) - len(shown)} more: --all shows them")


def _suggestion(answer: Mapping[str, Any]) -> None:
    suggested = answer["suggestion"]
    if suggested is None:
        return
    verdict, when = suggested["verdict"], suggested["when"]
    echo("\n", style(verdict, fg=_COLOURS.get(verdict, "red")), f"{': ' if when else ''}{when}")
    _say(suggested["why"])
    if answer["write"]:
        echo(f"  write: {answer['write']}")
