"""`trikk ab`: two sides' predictions compared on exactly the same cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.printing import echo, json_option, number_text, print_json, style, table
from trikk.cli.server_option import or_by_server
from trikk.core.text import counted
from trikk.core.values import finite
from trikk.execution.project import Project
from trikk.models.metrics.own_metric import KNOWN

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_COLOURS = {"better": "green", "worse": "red", "not yet known": "yellow"}
_SLICES = 12
_DATE = click.DateTime(formats=["%Y-%m-%d"])


def _by_server(
    client: Client,
    monitor: str,
    first: str,
    second: str,
    *,
    as_json: bool,
    every: bool,
    start: datetime | None,
    end: datetime | None,
    **options: Any,
) -> None:
    options |= {"metric": options["metric"] or None, "from": start and start.date(), "to": end and end.date()}
    _print(client.compare_sides(monitor, first, second, **options), every=every, as_json=as_json)


@click.command()
@click.argument("monitor")
@click.argument("first")
@click.argument("second")
@click.option("--metric", default="", help="mae, rmse, wape, f1, ...; the monitor's first by default.")
@click.option(
    "--better",
    type=click.Choice([way.value for way in KNOWN]),
    help="Which way is better, for a metric of your own that does not say so.",
)
@click.option("--from", "start", type=_DATE, metavar="DATE", help="The first day.")
@click.option("--to", "end", type=_DATE, metavar="DATE", help="The last day, included.")
@click.option(
    "--least-days", type=click.IntRange(2), default=7, show_default=True, help="Decide on no fewer days."
)
@click.option(
    "--confidence", type=click.FloatRange(0.5, 0.9999), default=0.95, show_default=True, help="Of the interval."
)
@click.option(
    "--matters",
    type=click.FloatRange(0, min_open=True),
    metavar="SHARE",
    help="The least difference that matters, such as 0.02; days still needed are planned for it.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the resampling.")
@click.option("--all", "every", is_flag=True, help="Show all slices.")
@json_option
@or_by_server(_by_server, without=("better",))
def ab(
    monitor: str,
    first: str,
    second: str,
    *,
    metric: str,
    better: str | None,
    start: datetime | None,
    end: datetime | None,
    least_days: int,
    confidence: float,
    matters: float | None,
    seed: int,
    every: bool,
    as_json: bool,
) -> None:
    """Is SECOND better than FIRST? Both on exactly the same cases, by MONITOR's truth.

    A side is people:3 (a version), people@champion (whoever held the alias when a prediction was made),
    people@champion/staging, column:last_week, table:shadow, or table:shadow/people:4.
    """
    from trikk.models.registry import Registry
    from trikk.monitoring.ab.ab_comparison import compare
    from trikk.monitoring.ab.metric_in_worker import Workers
    from trikk.monitoring.ab.verdict import Rules
    from trikk.monitoring.figures.records import Records

    project = Project.open()
    with Workers(project) as call:
        comparison = compare(
            Records(project.journal, monitor).spec(),
            project.tables,
            Registry(project.journal),
            first,
            second,
            environment=project.settings.environment,
            metric=metric,
            better=better or "",
            call=call,
            start=start.date() if start else None,
            end=end.date() if end else None,
            rules=Rules(least_days=least_days, confidence=confidence, matters=matters),
            seed=seed,
        )
    _print(comparison.to_json(), every=every, as_json=as_json)


def _print(compared: Mapping[str, Any], *, every: bool, as_json: bool) -> None:
    """Show what `Comparison.to_json` says."""
    if as_json:
        print_json(compared)
    else:
        _show(finite(compared), every=every)  # as a server sends it


def _show(compared: Mapping[str, Any], *, every: bool) -> None:
    from trikk.monitoring.ab.pairs import Excluded

    first, second = compared["sides"]
    cases = counted(compared["cases"], "case")
    echo(f"{first} against {second} by {compared['metric']}, on the same {cases}")
    if compared["from"]:
        echo(f"  {compared['from']} to {compared['to']}, {counted(compared['days'], 'day')}")
    for place in compared["places"]:
        echo(f"  {place}")
    left_out = Excluded(tuple(compared["unpaired"]), compared["unlabelled"], compared["unpredicted"])
    for number, sentence in enumerate(left_out.in_words(first, second)):
        echo(f"  {'         ' if number else 'left out:'} {sentence}")
    for sentence in compared["unseen_words"]:
        echo(f"  {sentence}")
    echo(f"  {number_text(compared['first'])} -> {number_text(compared['second'])}: {_difference(compared)}")
    if compared["interval"]:
        alike, over = compared["alike"], compared["over"]
        widened = f", widened: neighbouring {over} are alike ({alike:.2f})" if alike else ""
        echo(f"  {compared['confidence']:.0%} interval {_interval(compared)}, over {over}{widened}")
    echo(style(compared["sentence"], fg=_COLOURS[compared["verdict"]]))
    if compared["slices"]:
        _slices(compared["slices"], every=every)


def _slices(slices: Sequence[Mapping[str, Any]], *, every: bool) -> None:
    """The slices that were decided, and then the nearest to it; in their own order."""
    from trikk.monitoring.ab.verdict import Outcome

    order = sorted(
        range(len(slices)), key=lambda i: (slices[i]["verdict"] == Outcome.OPEN, slices[i].get("chance", 1.0))
    )
    decided = sum(effect["verdict"] != Outcome.OPEN for effect in slices)
    # None that is decided is left out, however many there are.
    most = len(order) if every else max(_SLICES, decided)
    heads = ["SLICE", "CASES", "FIRST", "SECOND", "DIFFERENCE", "INTERVAL", "CHANCE", "VERDICT"]
    echo("")
    table(heads, [_slice(slices[i]) for i in sorted(order[:most])], right=heads[1:7])
    if len(order) > most:
        echo(f"{len(order) - most} more, of which nothing is known yet: --all shows them")
    many = f", corrected for there being {len(order)} slices" if len(order) > 1 else ""
    echo(f"CHANCE: the probability of such a difference if both were equally good{many}")


def _slice(effect: Mapping[str, Any]) -> list[str]:
    return [
        f"{effect['slice']}={effect['value']}",
        f"{effect['cases']:,}",
        number_text(effect["first"]),
        number_text(effect["second"]),
        _difference(effect),
        _interval(effect),
        number_text(effect.get("chance"), ".3f"),
        style(effect["verdict"], fg=_COLOURS[effect["verdict"]]),
    ]


def _interval(effect: Mapping[str, Any]) -> str:
    low, high = effect["interval"] or (None, None)
    return "-" if low is None or high is None else f"{low:+.4g} to {high:+.4g}"


def _difference(effect: Mapping[str, Any]) -> str:
    share = "" if effect["share"] is None else f" ({effect['share']:+.1%})"
    return number_text(effect["difference"], "+.4g") + share
