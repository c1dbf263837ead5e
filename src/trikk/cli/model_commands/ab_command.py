"""`trikk ab`: two sides' predictions compared on exactly the same cases."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.printing import echo, json_option, number_text, print_json, style, table
from trikk.cli.server_option import check_json, or_by_server
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.models.metrics.own_metric import KNOWN

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.monitoring.ab.ab_comparison import Comparison, Effect

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
    every: bool,  # noqa: ARG001
    start: datetime | None,
    end: datetime | None,
    **options: Any,
) -> None:
    check_json(as_json=as_json)
    period = {"from": start and start.date(), "to": end and end.date()}
    print_json(
        client.compare_sides(monitor, first, second, **period, **{**options, "metric": options["metric"] or None})
    )


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
    if as_json:
        print_json(comparison.to_json())
        return
    _show(comparison, every=every)


def _show(comparison: Comparison, *, every: bool) -> None:
    whole, spread = comparison.whole, comparison.whole.spread
    echo(
        f"{comparison.first} against {comparison.second} by {comparison.metric}, "
        f"on the same {counted(whole.cases, 'case')}"
    )
    if comparison.days:
        echo(f"  {comparison.days[0]} to {comparison.days[1]}, {counted(spread.days, 'day')}")
    for place in comparison.places:
        echo(f"  {place}")
    for number, sentence in enumerate(comparison.left_out.in_words(comparison.first, comparison.second)):
        echo(f"  {'         ' if number else 'left out:'} {sentence}")
    for sentence in comparison.unseen_words:
        echo(f"  {sentence}")
    echo(f"  {number_text(whole.first)} -> {number_text(whole.second)}: {_difference(whole)}")
    if spread.low is not None:
        widened = (
            f", widened: neighbouring {comparison.over} are alike ({spread.alike:.2f})" if spread.alike else ""
        )
        echo(
            f"  {comparison.rules.confidence:.0%} interval {spread.low:+.4g} to {spread.high:+.4g}, "
            f"over {comparison.over}{widened}"
        )
    echo(style(comparison.sentence, fg=_COLOURS[whole.verdict.state]))
    if comparison.slices:
        _slices(comparison, every=every)


def _slices(comparison: Comparison, *, every: bool) -> None:
    """The slices that were decided, and then the nearest to it; in their own order."""
    from trikk.monitoring.ab.verdict import Outcome

    slices = comparison.slices
    order = sorted(
        range(len(slices)),
        key=lambda i: (
            slices[i].verdict.state == Outcome.OPEN,
            1.0 if slices[i].chance is None else slices[i].chance,
        ),
    )
    decided = sum(one.verdict.state != Outcome.OPEN for one in slices)
    # None that is decided is left out, however many there are.
    most = len(order) if every else max(_SLICES, decided)
    heads = ["SLICE", "CASES", "FIRST", "SECOND", "DIFFERENCE", "INTERVAL", "CHANCE", "VERDICT"]
    echo("")
    table(heads, [_slice(slices[i]) for i in sorted(order[:most])], right=heads[1:7])
    if len(order) > most:
        echo(f"{len(order) - most} more, of which nothing is known yet: --all shows them")
    many = f", corrected for there being {len(order)} slices" if len(order) > 1 else ""
    echo(f"CHANCE: the probability of such a difference if both were equally good{many}")


def _slice(one: Effect) -> list[str]:
    low, high = one.spread.low, one.spread.high
    return [
        f"{one.slice}={one.value}",
        f"{one.cases:,}",
        number_text(one.first),
        number_text(one.second),
        _difference(one),
        "-" if low is None else f"{low:+.4g} to {high:+.4g}",
        "-" if one.chance is None else f"{one.chance:.3f}",
        style(one.verdict.state, fg=_COLOURS[one.verdict.state]),
    ]


def _difference(one: Effect) -> str:
    share = "" if one.share is None else f" ({one.share:+.1%})"
    return f"{one.spread.difference:+.4g}{share}"
