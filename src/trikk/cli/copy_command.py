"""The command that brings a project from a folder to shared storage, or back."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trikk.cli.printing import echo, json_option, print_json
from trikk.core.durations import show_bytes
from trikk.core.text import counted
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.execution.copying.project_copy import CopyReport

_EVERY = 2.0  # seconds between two lines of progress


class _Lines:
    """Says on stderr how far it is, now and then."""

    def __init__(self) -> None:
        self._last = time.monotonic()

    def __call__(self, kind: str, count: int) -> None:
        if time.monotonic() - self._last > _EVERY:
            self._last = time.monotonic()
            echo(f"{kind}: {count:,}", err=True)


# No line in the log of changes: it would set the copy and its source apart, and nothing of either is changed.
@click.command()
@click.argument("target", metavar="TARGET", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only say what would be copied.")
@click.option("--in-use", is_flag=True, help="Copy what is there now, although a driver or a server is at it.")
@json_option
def copy(target: Path, dry_run: bool, in_use: bool, as_json: bool) -> None:
    """Copy runs, artifacts, tables and logs to the place that TARGET's trikk.toml names.

    TARGET is the folder of a project with the same code, or its trikk.toml. Whatever stops a copy: run it again,
    and it goes on. A target in which something has run since is not written to.
    """
    from trikk.execution.copying.project_copy import copy_project, open_target, plan_copy

    source, place = Project.open(), open_target(target)
    if dry_run:
        report = plan_copy(source, place, in_use=in_use)
    else:
        report = copy_project(source, place, _Lines(), in_use=in_use)
    source.close()
    place.close()
    if as_json:
        print_json({**report.to_json(), "dry_run": dry_run})
        return
    _show(report, "would copy" if dry_run else "copied")
    if dry_run:
        return
    echo("compared: every digest, every row of the journal, and the fold of every run are the same")
    if report.gone_on:
        echo("something was written meanwhile: run this again when nobody is at it any more")
    echo(f"next: cd {report.target} && trikk runs")


def _show(report: CopyReport, verb: str) -> None:
    echo(f"{counted(report.runs, 'run')} of this project; {verb} to {report.target}:")
    for name, count in report.journal.items():
        echo(f"  journal, {name}: {counted(count, 'row')}")
    amounts = {"artifacts": report.artifacts, "tables": report.tables, "logs and streams": report.state}
    for name, amount in amounts.items():
        size, lacking = show_bytes(amount.size), show_bytes(amount.lacking_size)
        echo(f"  {name}: {amount.lacking:,} of {counted(amount.count, 'file')} ({lacking} of {size})")
