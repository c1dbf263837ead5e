"""`trikk costs`: what runs took and cost."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click

from trikk.cli.printing import echo, json_option, print_json, table
from trikk.cli.server_option import or_by_server
from trikk.core.durations import show_seconds
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.execution.upkeep.cost_report import DAYS, By, CostLine, CostReport, cost_report, since_day
from trikk.runs.cost import money

if TYPE_CHECKING:
    from trikk.client.rest_client import Client


def _by_server(client: Client, by: str, since: str | None, as_json: bool) -> None:
    _print(client.costs(by, since), as_json=as_json)


@click.command()
@click.option(
    "--by",
    type=click.Choice([by.value for by in By]),
    default=By.PIPELINE.value,
    show_default=True,
    help="Add up by.",
)
@click.option("--since", metavar="DATE", help=f"The first day on which runs ended; {DAYS} days ago if not given.")
@json_option
@or_by_server(_by_server)
def costs(by: str, since: str | None, as_json: bool) -> None:
    """Show what runs took and cost, by step, pipeline, run, branch or model version.

    Costs are estimated from what steps ask for and the prices of [costs] in trikk.toml.
    """
    project, now = Project.open(), time.time()
    first = since_day(since, now, ZoneInfo(project.settings.timezone))
    _print(cost_report(project, By(by), first, now), as_json=as_json)


def _print(report: CostReport, *, as_json: bool) -> None:
    if as_json:
        print_json(report.to_json())
        return
    if not report.lines:
        echo("no run has ended since then")
    else:
        rows = [_row(line, report.currency) for line in (*report.lines, report.total)]
        table(
            [report.by.upper(), "RUNS", "TIME", "CORE HOURS", "COST"],
            rows,
            right=["RUNS", "TIME", "CORE HOURS", "COST"],
        )
    if report.currency is None:
        echo("no prices are set: write core_hour = ... below [costs] in trikk.toml")
    for name in report.missing:
        echo(f"no price is set for {name}: amounts are too low")
    if report.not_counted:
        echo(f"{counted(report.not_counted, 'run')} not counted: clean-up has forgotten them")


def _row(line: CostLine, currency: str | None) -> list[str]:
    amount = "-" if line.amount is None or currency is None else money(line.amount, currency)
    return [line.name, f"{line.runs:,}", show_seconds(line.seconds), f"{line.core_hours:.3f}", amount]
