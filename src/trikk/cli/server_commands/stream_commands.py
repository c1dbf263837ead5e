"""`trikk streams`: what servers read into tables, how far they are, and what was set aside."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, style, table, tick_shown, user_name
from trikk.cli.server_option import or_by_server
from trikk.cli.verb_words import by_word, split_words
from trikk.core.durations import show_seconds
from trikk.core.errors import UnknownName
from trikk.core.settings import load_settings
from trikk.core.text import counted
from trikk.execution.project import Project
from trikk.streams.stream_declaration import Stream, declared_streams

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.server.streams.stream_view import StreamRow

_ACTIONS = ("retry", "drop")


def _by_server(client: Client, words: tuple[str, ...], show_aside: bool, why: str, by: str, as_json: bool) -> None:
    client.by = by or client.by
    action, name = split_words(words, _ACTIONS, "stream")
    if action:
        settled = client.retry_stream(name) if action == "retry" else client.drop_stream(name, why)
        _print_settled(settled, action, as_json=as_json)
    elif name:
        _print_details(client.stream(name), show_aside=show_aside, as_json=as_json)
    else:
        _print_rows(client.streams(), as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, metavar="[retry|drop] [NAME]")
@click.option("--set-aside", "show_aside", is_flag=True, help="Show the messages that could not become rows.")
@click.option("--why", default="", help="The reason, for drop.")
@click.option("--by", default="", help="Who does it; the user's name by default.")
@json_option
@or_by_server(_by_server)
@audited(by_word("set_aside", *_ACTIONS), "words", "why")
def streams(words: tuple[str, ...], show_aside: bool, why: str, by: str, as_json: bool) -> None:
    """List what is read into tables, show one stream, or settle what it has set aside (`retry NAME`, `drop NAME`).

    `retry` reads the messages again that could not become rows, after the table or the stream was mended.
    """
    from trikk.server.streams.stream_view import stream_details, streams_document

    project = Project.open()
    action, name = split_words(words, _ACTIONS, "stream")
    declared = declared_streams(load_settings(project.root))
    now = time.time()
    if action:
        _settle(project, declared, action, name, by or user_name(), why, now, as_json=as_json)
    elif name:
        _print_details(stream_details(project, declared, name, now), show_aside=show_aside, as_json=as_json)
    else:
        _print_rows(streams_document(project, declared, now), as_json=as_json)


def _print_details(details: dict[str, Any], *, show_aside: bool, as_json: bool) -> None:
    if as_json:
        print_json(details)
    else:
        _show(details, show_aside=show_aside)


def _print_rows(document: dict[str, Any], *, as_json: bool) -> None:
    from trikk.server.streams.stream_view import StreamRow

    if as_json:
        print_json(document)
    elif document["streams"]:
        table(
            ["STREAM", "TABLE", "STATE", "ROWS", "BEHIND", "A SECOND", "LAST", "SET ASIDE"],
            map(_cells, map(StreamRow.read, document["streams"])),
            right=["ROWS", "A SECOND", "SET ASIDE"],
        )
    else:
        echo('no streams yet: declare one in trikk.toml: [streams.NAME], from = "kafka://...", table = "..."')


def _cells(row: StreamRow) -> list[str]:
    behind = f"{row.lag_messages:,}, {show_seconds(row.lag_seconds)}" if row.lag_messages else "-"
    state = style(row.state, fg="red" if row.what else None)
    last = tick_shown(row.last)
    return [row.name, row.table, state, f"{row.rows:,}", behind, f"{row.rate:,.0f}", last, f"{row.set_aside:,}"]


def _settle(
    project: Project,
    declared: dict[str, Stream],
    action: str,
    name: str,
    by: str,
    why: str,
    now: float,
    *,
    as_json: bool,
) -> None:
    from trikk.server.streams.stream_set_aside import drop, retry
    from trikk.server.streams.stream_view import settled_document

    if name not in declared:
        raise UnknownName("stream", name, declared)
    if action == "drop":
        count, left = drop(project.journal, name, by=by, why=why, at=now), 0
    else:
        count, entries = retry(project, declared[name], by=by, at=now)
        left = len(entries)
    _print_settled(settled_document(name, count, left), action, as_json=as_json)


def _print_settled(settled: dict[str, Any], action: str, *, as_json: bool) -> None:
    name, count, left = settled["stream"], settled["settled"], settled["left"]
    are = "is" if count == 1 else "are"
    text = f"{counted(count, 'message')} {are} {'dropped' if action == 'drop' else 'in the table now'}"
    if as_json:
        print_json(settled)
    else:
        echo(text + (f"; {left:,} still do not fit: trikk streams {name} --set-aside" if left else ""))


def _show(details: dict[str, Any], *, show_aside: bool) -> None:
    echo(style(details["name"], bold=True), f" {details['source']} -> table {details['table']}")
    for label, text in (
        ("state", f"{details['state']}{', by ' + details['reader'] if details['reader'] else ''}"),
        ("rows", f"{details['rows']:,}, the last {tick_shown(details['last'])}"),
        ("behind", f"{counted(details['lag_messages'], 'message')}, {show_seconds(details['lag_seconds'])}"),
        ("wrong", f"since {tick_shown(details['since'])}: {details['what']}" if details["what"] else ""),
        ("next", details["next"]),
        ("set aside", counted(details["set_aside"], "message")),
    ):
        if text:
            echo("  ", f"{label:<10} {text}")
    if show_aside and details["messages"]:
        lines = [
            [tick_shown(message["at"]), message["message"], message["why"]] for message in details["messages"]
        ]
        table(["AT", "MESSAGE", "WHY"], lines)
    elif details["messages"]:
        echo("  ", f"which and why: trikk streams {details['name']} --set-aside")
