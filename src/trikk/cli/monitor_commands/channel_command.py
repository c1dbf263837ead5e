"""`trikk channels`: where messages of alarms go, and a message by which one sees whether they arrive."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from trikk.alerts.delivery.channel_records import Channel, TestMessage
from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, user_name
from trikk.cli.server_option import or_by_server
from trikk.cli.verb_words import by_word, split_words
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client


def _by_server(client: Client, words: tuple[str, ...], as_json: bool) -> int:
    if name := _tested(words):
        return _print_sent(client.test_channel(name), as_json=as_json)
    return _print_channels(client.channels().channels, as_json=as_json)


@click.command()
@click.argument("words", nargs=-1, metavar="[test NAME]")
@json_option
@or_by_server(_by_server)
@audited(by_word("channel", "test"), "words")
def channels(words: tuple[str, ...], as_json: bool) -> int:
    """List channels: what is sent there, whether it can be (exit code 1 if not); `test NAME` sends a message."""
    from trikk.alerts.delivery.channel_view import channels as all_channels
    from trikk.alerts.delivery.channel_view import send_test

    project = Project.open()
    if name := _tested(words):
        return _print_sent(send_test(project, name, by=user_name(), at=time.time()), as_json=as_json)
    return _print_channels(all_channels(project), as_json=as_json)


def _tested(words: tuple[str, ...]) -> str:
    """The channel that is to be tested; "" if they are to be listed."""
    action, name = split_words(words, ("test",), "channel")
    if name and not action:
        raise click.UsageError("write `trikk channels`, or `trikk channels test NAME`")
    return name


def _print_sent(sent: TestMessage, *, as_json: bool) -> int:
    if as_json:
        print_json(sent.to_json())
    else:
        echo(f"channel {sent.channel} has taken a message: {sent.subject}")
    return 0


def _print_channels(listed: Sequence[Channel], *, as_json: bool) -> int:
    if as_json:
        print_json({"channels": [channel.to_json() for channel in listed]})
    else:
        rows = [[c.name, c.kind or "-", ", ".join(c.gets) or "-", c.what or "ok"] for c in listed]
        table(["CHANNEL", "KIND", "GETS", "ADDRESS"], rows)
    return 1 if any(channel.what for channel in listed) else 0
