"""`trikk incidents`: what is wrong, one incident's timeline, and what people do about it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.monitor_commands.watch_command import moment_of
from trikk.cli.printing import echo, json_option, print_json, style, table, user_name, when
from trikk.cli.server_option import or_by_server
from trikk.cli.verb_words import by_word, split_words
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.alerts.incidents.book import Book
    from trikk.client.rest_client import Client

_COLOURS = {"alarm": "red", "warning": "yellow", "info": "cyan"}
_ACTIONS = ("ack", "resolve")


def _by_server(client: Client, words: tuple[str, ...], everything: bool, why: str, by: str, as_json: bool) -> None:
    client.by = by or client.by
    action, incident = _words(words, why)
    if action:
        done = client.acknowledge(incident, why) if action == "ack" else client.resolve(incident, why)
        _print_done(done, action, client.by, as_json=as_json)
    elif incident:
        _show(client.incident(incident), as_json=as_json)
    else:
        _list(list(client.incidents(all=everything)), everything=everything, as_json=as_json)


def _words(words: tuple[str, ...], why: str) -> tuple[str, str]:
    action, incident = split_words(words, _ACTIONS, "incident")
    # Whoever reads the timeline later has to know why it was closed by hand.
    if action == "resolve" and not why:
        raise click.UsageError("resolving an incident by hand takes --why")
    return action, incident


def _print_done(incident: Mapping[str, Any], action: str, by: str, *, as_json: bool) -> None:
    if as_json:
        print_json(incident)
    else:
        echo(f"{incident['id']}: {'acknowledged' if action == 'ack' else 'resolved'} by {by}")


@click.command()
@click.argument("words", nargs=-1, metavar="[ack|resolve] [ID]")
@click.option("--all", "everything", is_flag=True, help="Show resolved ones, too.")
@click.option("--why", default="", help="The reason, for ack and resolve.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@click.option("--now", metavar="TIME", help="When it is done, for a simulated time; the present by default.")
@json_option
@or_by_server(_by_server, without=("now",))
@audited(by_word("incident", "resolve", ack="acknowledge"), "words", "why")
def incidents(words: tuple[str, ...], everything: bool, why: str, by: str, now: str | None, as_json: bool) -> None:
    """List open incidents, show one, acknowledge it (`ack ID`) or resolve it by hand (`resolve ID --why TEXT`)."""
    from trikk.alerts.incidents.book import Book

    project = Project.open()
    book = Book(project.journal)
    action, incident = _words(words, why)
    if action:
        _act(project, book, action, incident, why=why, by=by or user_name(), now=now, as_json=as_json)
    elif incident:
        shown = book.get(incident)
        _show({**shown.to_json(), "timeline": book.entries(shown)}, as_json=as_json)
        if shown.told and shown.is_open and not as_json:
            from trikk.alerts.delivery.message import commands

            echo(f"next: {commands(shown, shown.told[-1])[0]}")
    else:
        listed = book.all() if everything else book.open()
        _list([one.to_json() for one in listed], everything=everything, as_json=as_json)


def _act(
    project: Project, book: Book, action: str, incident: str, *, why: str, by: str, now: str | None, as_json: bool
) -> None:
    at = time.time() if now is None else moment_of(now, project).timestamp()
    done = (book.acknowledge if action == "ack" else book.resolve)(incident, by=by, why=why, at=at)
    _print_done(done.to_json(), action, by, as_json=as_json)


def _list(listed: Sequence[Mapping[str, Any]], *, everything: bool, as_json: bool) -> None:
    from trikk.alerts.incidents.incident import IncidentState

    if as_json:
        print_json({"incidents": listed})
        return
    if not listed:
        echo("no incidents" if everything else "no open incidents")
        return
    rows = []
    for incident in listed:
        is_over = incident["state"] == IncidentState.RESOLVED
        known = " (acknowledged)" if incident["acknowledged"] and not is_over else ""
        seen = (incident["point"] or {}).get("text", "")
        rows.append(
            [
                incident["id"],
                style(incident["severity"], fg=_COLOURS[incident["severity"]]),
                f"{incident['state']}{known}",
                when(incident["since"]),
                f"{incident['title']}; {incident['resolved_why'] if is_over else seen}",
            ]
        )
    table(["INCIDENT", "SEVERITY", "STATE", "SINCE", "WHAT"], rows)


def _show(incident: Mapping[str, Any], *, as_json: bool) -> None:
    from trikk.alerts.incidents.entry_words import entry_in_words, is_of_way

    if as_json:
        print_json(incident)
        return
    echo(f"{incident['id']}: {incident['title']}")
    severity = style(incident["severity"], fg=_COLOURS[incident["severity"]])
    echo("  ", severity, f", {incident['state']}, since {when(incident['since'])}")
    for entry in incident["timeline"]:
        echo(f"  {when(entry['at'])}  {'  ' if is_of_way(entry) else ''}{entry_in_words(entry)}")
