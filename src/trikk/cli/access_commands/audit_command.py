"""`trikk audit`: who changed what, by requests and by commands."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import click

from trikk.access.audit import AuditLine, AuditPage, Outcome, read_page
from trikk.cli.printing import echo, json_option, print_json, style, table, tick_shown
from trikk.cli.server_option import or_by_server, trikk
from trikk.core.text import counted
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_COLOURS = {Outcome.FAILED: "yellow", Outcome.REFUSED: "red", Outcome.UNKNOWN: "yellow"}


def _by_server(client: Client, limit: int, before: int | None, as_json: bool) -> None:
    lines = list(islice(client.audit(before), limit + 1))
    older = str(lines[limit - 1].seq) if len(lines) > limit else None
    _print(AuditPage(lines[:limit], older), as_json=as_json)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="How many at most.")
@click.option("--before", type=click.IntRange(1), metavar="N", help="Only what is older than line N.")
@json_option
@or_by_server(_by_server)
def audit(limit: int, before: int | None, as_json: bool) -> None:
    """Show who changed what, when, from where, and how it went; the newest first.

    Requests that were refused at the door are in it, too. Of many in a short time, some are only counted.
    """
    _print(read_page(Project.open().journal, limit, before), as_json=as_json)


def _print(page: AuditPage, *, as_json: bool) -> None:
    if as_json:
        print_json(page.to_json())
        return
    if not page.lines:
        echo("nothing was changed yet")
        return
    rows = [
        [str(line.seq), tick_shown(line.at), _who(line), line.source, line.action, _target(line), _how(line)]
        for line in page.lines
    ]
    table(["LINE", "AT", "WHO", "FROM", "WHAT", "OF", "OUTCOME"], rows, right=["LINE"])
    if page.next is not None:
        echo(f"older ones: {trikk()} audit --before {page.next}")


def _who(line: AuditLine) -> str:
    return f"{line.who} ({line.kind})" if line.who else "somebody"


def _target(line: AuditLine) -> str:
    return " ".join(f"{name}={value}" for name, value in line.target.items())


def _how(line: AuditLine) -> str:
    more = f"; {counted(line.left_out, 'refusal')} before it left out" if line.left_out else ""
    outcome = style(line.outcome, fg=_COLOURS.get(line.outcome))
    return outcome + (f": {line.error}" if line.error else "") + more
