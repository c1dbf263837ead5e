"""`trikk ab`: two sides' predictions compared on exactly the same cases."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from trikk.cli.output import json_option, print_json, table
from trikk.execution.project import Project

_COLOURS = {"better": "green", "worse": "red", "not yet known": "yellow"}
_DATE = click.DateTime(formats=["%Y-%m-%d"])


@click.command()
@click.argument("monitor")
@click.argument("first")
@click.argument("second")
@click.option("--metric", default="", help="mae, rmse, wape, f1, ...; the monitor's first by default.")
@click.option("--from", "start", type=_DATE, metavar="DATE", help="The first day of slots.")
@click.option("--to", "end", type=_DATE, metavar="DATE", help="The last day of slots, included.")
@click.option("--least-days", type=click.IntRange(2), default=7, show_default=True, help="Decide on no fewer.")
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
@json_option
def ab(
    monitor: str,
    first: str,
    second: str,
    metric: str,
    start: datetime | None,
    end: datetime | None,
    least_days: int,
    confidence: float,
    matters: float | None,
    seed: int,
    as_json: bool,
) -> None:
    """Is SECOND better than FIRST? Both on exactly the same cases, by MONITOR's truth.

    A side is people:3 (a version), people@champion (whoever held the alias when a prediction was made),
    people@champion/staging, column:last_week, table:shadow, or table:shadow/people:4.
    """
    from trikk.models.registry import Registry
    from trikk.monitoring.ab import compare
    from trikk.monitoring.ab_verdict import Rules
    from trikk.monitoring.records import Records

    project = Project.open()
    found = compare(
        Records(project.journal, monitor).spec(),
        project.tables,
        Registry(project.journal),
        first,
        second,
        environment=project.settings.environment,
        metric=metric,
        start=start.date() if start else None,
        end=end.date() if end else None,
        rules=Rules(least_days=least_days, confidence=confidence, matters=matters),
        seed=seed,
    )
    if as_json:
        print_json(found.to_json())
        return
    _show(found)


def _show(found: Any) -> None:
    whole, spread = found.whole, found.whole.spread
    click.echo(f"{found.first} against {found.second} by {found.metric}, on the same {whole.cases:,} cases")
    if found.days:
        click.echo(f"  {found.days[0]} to {found.days[1]}, {spread.days:,} days")
    alone = [
        f"{n:,} by {side} only" for n, side in zip(found.unpaired, (found.first, found.second), strict=True) if n
    ]
    if alone:
        click.echo(f"  left out: predicted {', '.join(alone)}")
    click.echo(f"  {_number(whole.first)} -> {_number(whole.second)}: {_difference(whole)}")
    if spread.low is not None:
        widened = f", widened: neighbouring {found.over} are alike ({spread.alike:.2f})" if spread.alike else ""
        click.echo(
            f"  {found.rules.confidence:.0%} interval {spread.low:+.4g} to {spread.high:+.4g}, "
            f"over {found.over}{widened}"
        )
    click.echo(click.style(found.sentence, fg=_COLOURS[whole.verdict.state]))
    if found.slices:
        click.echo("")
        heads = ["SLICE", "CASES", "FIRST", "SECOND", "DIFFERENCE", "INTERVAL", "CHANCE", "VERDICT"]
        table(heads, [_slice(one) for one in found.slices], right=heads[1:6])


def _slice(one: Any) -> list[str]:
    low, high = one.spread.low, one.spread.high
    return [
        f"{one.slice}={one.value}",
        f"{one.cases:,}",
        _number(one.first),
        _number(one.second),
        _difference(one),
        "-" if low is None else f"{low:+.4g} to {high:+.4g}",
        "-" if one.chance is None else f"{one.chance:.3f}",
        click.style(one.verdict.state, fg=_COLOURS[one.verdict.state]),
    ]


def _difference(one: Any) -> str:
    share = "" if one.share is None else f" ({one.share:+.1%})"
    return f"{one.spread.difference:+.4g}{share}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
