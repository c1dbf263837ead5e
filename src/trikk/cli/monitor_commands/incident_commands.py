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
    from trikk.alerts.incidents.incident import Incident
    from trikk.client.rest_client import Client

_COLOURS = {"alarm": "red", "warning": "yellow", "info": "cyan"}
_DONE = {"ack": "acknowledged", "resolve": "resolved", "mute": "muted", "unmute": "unmuted", "note": "noted"}


def _by_server(
    client: Client,
    words: tuple[str, ...],
    everything: bool,
    why: str,
    until: str | None,
    by: str,
    as_json: bool,
) -> None:
    client.by = by or client.by
    action, incident = _words(words, why, until)
    if action:
        _print_done(
            _done_by_server(client, action, incident, why, until or ""), action, client.by, as_json=as_json
        )
    elif incident:
        _show(client.incident(incident), as_json=as_json)
    else:
        _list(list(client.incidents(all=everything)), everything=everything, as_json=as_json)


def _done_by_server(client: Client, action: str, incident: str, why: str, until: str) -> Mapping[str, Any]:
    if action == "ack":
        return client.acknowledge(incident, why)
    if action == "resolve":
        return client.resolve(incident, why)
    if action == "mute":
        return client.mute(incident, until, why)
    return client.unmute(incident, why) if action == "unmute" else client.note(incident, why)


def _words(words: tuple[str, ...], why: str, until: str | None) -> tuple[str, str]:
    action, incident = split_words(words, tuple(_DONE), "incident")
    # Whoever reads the timeline later has to know why nothing came, and why it was closed by hand.
    if action in ("resolve", "mute") and not why:
        raise click.UsageError(f"{'resolving' if action == 'resolve' else 'muting'} an incident takes --why")
    if action == "note" and not why:
        raise click.UsageError("say what is to be noted: trikk incidents note ID --why TEXT")
    if (action == "mute") != (until is not None):
        raise click.UsageError("--until says when a mute ends: trikk incidents mute ID --until TIME --why TEXT")
    return action, incident


def _print_done(incident: Mapping[str, Any], action: str, by: str, *, as_json: bool) -> None:
    if as_json:
        print_json(incident)
    else:
        until = f" until {when(incident['mute']['until'])}" if action == "mute" else ""
        echo(f"{incident['id']}: {_DONE[action]} by {by}{until}")


@click.command()
@click.argument("words", nargs=-1, metavar="[ack|resolve|mute|unmute|note] [ID]")
@click.option("--all", "everything", is_flag=True, help="Show resolved ones, too.")
@click.option("--why", default="", help="The reason; for note, what is to be noted.")
@click.option("--until", metavar="TIME", help="When a mute ends: a time, or the beginning of a day.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@click.option("--now", metavar="TIME", help="When it is done, for a simulated time; the present by default.")
@json_option
@or_by_server(_by_server, without=("now",))
@audited(by_word("incident", "resolve", "mute", "unmute", "note", ack="acknowledge"), "words", "why", "until")
def incidents(
    words: tuple[str, ...],
    everything: bool,
    why: str,
    until: str | None,
    by: str,
    now: str | None,
    as_json: bool,
) -> None:
    """List open incidents, show one, or do something about it.

    `ack ID` says that somebody knows, `resolve ID --why TEXT` ends it by hand, `mute ID --until TIME --why TEXT`
    tells nobody of it until then, `unmute ID` takes that back, `note ID --why TEXT` writes down what was found.
    """
    from trikk.alerts.incidents.book import Book

    project = Project.open()
    book = Book(project.journal)
    action, incident = _words(words, why, until)
    if action:
        at = time.time() if now is None else moment_of(now, project).timestamp()
        by = by or user_name()
        done = _done(project, book, action, incident, why=why, until=until or "", by=by, at=at)
        _print_done(done.to_json(), action, by, as_json=as_json)
    elif incident:
        shown = book.get(incident)
        _show({**shown.to_json(), "timeline": book.entries(shown)}, as_json=as_json)
        if shown.told and shown.is_open and not as_json:
            from trikk.alerts.delivery.message import commands

            echo(f"next: {commands(shown, shown.told[-1])[0]}")
    else:
        listed = book.all() if everything else book.open()
        _list([one.to_json() for one in listed], everything=everything, as_json=as_json)


def _done(
    project: Project, book: Book, action: str, incident: str, *, why: str, until: str, by: str, at: float
) -> Incident:
    if action == "mute":
        from trikk.alerts.incidents.decision import Mute, mute_end

        end = mute_end(until, project.settings.timezone, at)
        return book.mute(incident, Mute(until=end, by=by, why=why), at=at)
    if action == "note":
        return book.note(incident, why, by=by, at=at)
    does = {"ack": book.acknowledge, "resolve": book.resolve, "unmute": book.unmute}[action]
    return does(incident, by=by, why=why, at=at)


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
        known = [
            *(["acknowledged"] if incident["acknowledged"] else []),
            *([f"muted until {when(incident['mute']['until'])}"] if _is_muted(incident) else []),
        ]
        more = f" ({', '.join(known)})" if known and not is_over else ""
        seen = (incident["point"] or {}).get("text", "")
        rows.append(
            [
                incident["id"],
                style(incident["severity"], fg=_COLOURS[incident["severity"]]),
                f"{incident['state']}{more}",
                when(incident["since"]),
                f"{incident['title']}; {incident['resolved_why'] if is_over else seen}",
            ]
        )
    table(["INCIDENT", "SEVERITY", "STATE", "SINCE", "WHAT"], rows)


def _is_muted(incident: Mapping[str, Any]) -> bool:
    return bool(incident["mute"]) and time.time() < incident["mute"]["until"]


def _show(incident: Mapping[str, Any], *, as_json: bool) -> None:
    from trikk.alerts.incidents.entry_words import entry_in_words, is_of_way

    if as_json:
        print_json(incident)
        return
    echo(f"{incident['id']}: {incident['title']}")
    severity = style(incident["severity"], fg=_COLOURS[incident["severity"]])
    echo("  ", severity, f", {incident['state']}, since {when(incident['since'])}")
    if _is_muted(incident):
        mute = incident["mute"]
        echo(f"  muted until {when(mute['until'])} by {mute['by']}, so nobody is told: {mute['why']}")
    for entry in incident["timeline"]:
        echo(f"  {when(entry['at'])}  {'  ' if is_of_way(entry) else ''}{entry_in_words(entry, when)}")
