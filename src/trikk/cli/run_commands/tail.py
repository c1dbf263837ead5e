"""The `tail` command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from trikk.cli.printing import echo, json_option, print_json, table, value_text, when
from trikk.core.errors import UsageError
from trikk.core.text import shorten
from trikk.execution.project import Project
from trikk.publishing.stream import Stream, StreamMessage, find_stream, list_streams, streams_folder

_VALUE = 500  # characters of a message that are shown


@click.command()
@click.argument("stream", required=False)
@click.option("-f", "--follow", is_flag=True, help="Keep printing what is published.")
@click.option("-n", "--lines", type=click.IntRange(0), default=10, show_default=True, help="How many messages.")
@json_option
def tail(stream: str | None, follow: bool, lines: int, as_json: bool) -> None:
    """Print the last messages of STREAM: offset, time, id, key, value. Without STREAM, list the streams."""
    if follow and as_json:
        raise UsageError("-f and --json can't be combined", next="leave one of them out")
    settings = Project.open().settings
    if stream is None:
        _list(settings.state, settings.environment, as_json=as_json)
        return
    opened = find_stream(settings.state, settings.environment, stream.removeprefix("stream:"))
    # An offset after which to read, so that -n 0 shows only what is new.
    after = opened.end - lines - 1
    if as_json:
        print_json(
            {"stream": opened.path.name, "end": opened.end, "messages": [r.to_json() for r in opened.read(after)]}
        )
        return
    for message in _messages(opened, after, follow=follow):
        value = shorten(json.dumps(message.value, ensure_ascii=False), _VALUE)
        echo(f"{message.offset}  {value_text(message.time)}  {message.id}  {message.key or '-'}  {value}")


def _messages(stream: Stream, after: int, *, follow: bool) -> Iterator[StreamMessage]:
    return stream.follow(after) if follow else stream.read(after)


def _list(state: Path, environment: str, *, as_json: bool) -> None:
    folder = streams_folder(state, environment)
    batches = [(name, Stream(folder / name).batches()) for name in list_streams(state, environment)]
    rows = [
        (name, sum(one.count for one in of_stream), len(of_stream), of_stream[-1].at if of_stream else None)
        for name, of_stream in batches
    ]
    if as_json:
        keys = ("name", "messages", "publications", "last")
        print_json({"streams": [dict(zip(keys, row, strict=True)) for row in rows]})
    elif not rows:
        echo('no streams yet: publish(rows, to="stream:name") in a pipeline makes one')
    else:
        shown = [[name, f"{count:,}", str(several), when(last)] for name, count, several, last in rows]
        table(["STREAM", "MESSAGES", "PUBLICATIONS", "LAST"], shown, right=["MESSAGES", "PUBLICATIONS"])
