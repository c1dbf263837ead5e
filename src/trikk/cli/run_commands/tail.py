"""The `tail` command."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import click

from trikk.cli.printing import echo, json_option, print_json, table, value_text, when
from trikk.cli.server_option import or_by_server
from trikk.core.errors import UsageError
from trikk.core.text import shorten
from trikk.execution.project import Project
from trikk.publishing.stream import PublishedStream, StreamMessage, StreamMessages, find_stream, published_streams

if TYPE_CHECKING:
    from trikk.client.rest_client import Client

_VALUE = 500  # characters of a message that are shown
_LOOK_EVERY = 0.5  # seconds until a server is asked again


def _by_server(client: Client, stream: str | None, follow: bool, lines: int, as_json: bool) -> None:
    _check(follow=follow, as_json=as_json)
    if stream is None:
        _print_streams(client.published().streams, as_json=as_json)
        return
    name = _name(stream)
    end = client.messages(name, limit=1).end
    coming = _received(client, name, max(end - lines, 0) - 1)
    _print_messages(name, end, coming, lines, follow=follow, as_json=as_json)


def _received(client: Client, name: str, after: int) -> Iterator[StreamMessage]:
    """The messages behind an offset, page by page; never ends."""
    while True:
        messages = client.messages(name, after).messages
        yield from messages
        if messages:
            after = messages[-1].offset
        else:
            time.sleep(_LOOK_EVERY)


@click.command()
@click.argument("stream", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing what is published.")
@click.option("-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="How many messages.")
@json_option
@or_by_server(_by_server)
def tail(stream: str | None, follow: bool, lines: int, as_json: bool) -> None:
    """Print the last messages of STREAM: offset, time, id, key, value. Without STREAM, list the streams."""
    _check(follow=follow, as_json=as_json)
    settings = Project.open().settings
    if stream is None:
        _print_streams(published_streams(settings), as_json=as_json)
        return
    opened = find_stream(settings.state, settings.environment, _name(stream))
    end = opened.end
    # After an offset, so that -n 0 shows only what is new.
    coming = opened.follow(end - lines - 1)
    _print_messages(opened.path.name, end, coming, lines, follow=follow, as_json=as_json)


def _check(*, follow: bool, as_json: bool) -> None:
    if follow and as_json:
        raise UsageError("-f and --json can't be combined", next="leave one of them out")


def _name(stream: str) -> str:
    return stream.removeprefix("stream:")


def _print_messages(
    name: str, end: int, coming: Iterator[StreamMessage], lines: int, *, follow: bool, as_json: bool
) -> None:
    """Print the last messages before `end`, and with `follow` whatever comes then."""
    messages = coming if follow else islice(coming, min(lines, end))
    if as_json:
        print_json(StreamMessages(name, end, list(messages)).to_json())
        return
    for message in messages:
        value = shorten(json.dumps(message.value, ensure_ascii=False), _VALUE)
        echo(f"{message.offset}  {value_text(message.time)}  {message.id}  {message.key or '-'}  {value}")


def _print_streams(streams: Sequence[PublishedStream], *, as_json: bool) -> None:
    if as_json:
        print_json({"streams": [stream.to_json() for stream in streams]})
    elif not streams:
        echo('no streams yet: publish(rows, to="stream:name") in a pipeline makes one')
    else:
        rows = [[s.name, f"{s.messages:,}", str(s.publications), when(s.last)] for s in streams]
        table(["STREAM", "MESSAGES", "PUBLICATIONS", "LAST"], rows, right=["MESSAGES", "PUBLICATIONS"])
