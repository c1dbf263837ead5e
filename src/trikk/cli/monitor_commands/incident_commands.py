"""`trikk incidents`: what is wrong, one incident's timeline, and what people do about it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited, by_word
from trikk.cli.monitor_commands.watch_command import moment_of
from trikk.cli.printing import echo, json_option, print_json, style, table, user_name, when
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.alerts.incidents.book import Book
    from trikk.alerts.incidents.incident import Incident

_COLOURS = {"alarm": "red", "warning": "yellow", "info": "cyan"}
_ACTIONS = ("ack", "resolve")


@click.command()
@click.argument("words", nargs=-1, metavar="[ack|resolve] [ID]")
@click.option("--all", "everything", is_flag=True, help="Show resolved ones, too.")
@click.option("--why", default="", help="The reason, for ack and resolve.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@click.option("--now", metavar="TIME", help="When it is done, for a simulated time; the present by default.")
@json_option
@audited(by_word("incident", "ack", "resolve"), "words", "why")
def incidents(words: tuple[str, ...], everything: bool, why: str, by: str, now: str | None, as_json: bool) -> None:
    """List open incidents, show one, acknowledge it (`ack ID`) or resolve it by hand (`resolve ID --why TEXT`)."""
    from trikk.alerts.incidents.book import Book

    project = Project.open()
    book = Book(project.journal)
    action, ids = (words[0], words[1:]) if words and words[0] in _ACTIONS else ("", words)
    if len(ids) > 1 or (action and not ids):
        raise click.UsageError("name one incident")
    if action:
        _act(project, book, action, ids[0], why=why, by=by or user_name(), now=now, as_json=as_json)
    elif ids:
        _show(book, ids[0], as_json=as_json)
    else:
        _list(book.all() if everything else book.open(), everything=everything, as_json=as_json)


def _act(
    project: Project, book: Book, action: str, incident: str, *, why: str, by: str, now: str | None, as_json: bool
) -> None:
    at = time.time() if now is None else moment_of(now, project).timestamp()
    # Whoever reads the timeline later has to know why it was closed by hand.
    if action == "resolve" and not why:
        raise click.UsageError("resolving an incident by hand takes --why")
    done = (book.acknowledge if action == "ack" else book.resolve)(incident, by=by, why=why, at=at)
    if as_json:
        print_json(done.to_json())
    else:
        echo(f"{incident}: {'acknowledged' if action == 'ack' else 'resolved'} by {by}")


def _list(listed: list[Incident], *, everything: bool, as_json: bool) -> None:
    from trikk.alerts.incidents.incident import IncidentState

    if as_json:
        print_json({"incidents": [incident.to_json() for incident in listed]})
        return
    if not listed:
        echo("no incidents" if everything else "no open incidents")
        return
    table(
        ["INCIDENT", "SEVERITY", "STATE", "SINCE", "WHAT"],
        [
            [
                i.id,
                style(i.severity, fg=_COLOURS[i.severity]),
                f"{i.state}{' (acknowledged)' if i.acknowledged and i.is_open else ''}",
                when(i.since),
                i.title
                + f"; {i.resolved_why if i.state == IncidentState.RESOLVED else i.point.text if i.point else ''}",
            ]
            for i in listed
        ],
    )


def _show(book: Book, incident: str, *, as_json: bool) -> None:
    shown = book.get(incident)
    entries: list[Any] = book.entries(shown)
    if as_json:
        print_json({**shown.to_json(), "timeline": entries})
        return
    echo(f"{shown.id}: {shown.title}")
    severity = style(shown.severity, fg=_COLOURS[shown.severity])
    echo("  ", severity, f", {shown.state}, since {when(shown.since)}")
    for entry in entries:
        echo(f"  {when(entry['at'])}  {_said(entry)}")
    if shown.told and shown.is_open:
        from trikk.alerts.delivery.message import commands

        echo(f"next: {commands(shown, shown.told[-1])[0]}")


def _said(entry: dict[str, Any]) -> str:
    """One entry of a timeline in words."""
    kind = entry["kind"].rpartition(".")[2]
    why = f": {entry['why']}" if entry.get("why") else ""
    if entry["kind"].startswith("message."):
        attempt = f", attempt {entry['attempt']}" if entry.get("attempt", 1) > 1 else ""
        digest = f" (in a digest of {entry['digest']})" if entry.get("digest") else ""
        verb = {"sending": "sending", "failed": "not delivered", "given_up": "given up"}.get(kind, kind)
        return (
            f"  {verb} {entry['message']} on {entry['channel']}{attempt}{digest}{why if kind != 'sending' else ''}"
        )
    if entry["kind"].startswith("start."):
        run = f"run {entry['run']} {entry['state']}" if entry.get("run") else kind
        return f"  {entry['pipeline']} {'is being started' if kind == 'claimed' else run}{why}"
    by = f" by {entry['by']}" if entry.get("by") else ""
    people = f" (told: {', '.join(entry['tell']) or 'nobody'})" if "tell" in entry else ""
    return f"{kind}{by}{why}{people}"
