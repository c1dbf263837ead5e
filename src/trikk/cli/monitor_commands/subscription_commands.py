"""`trikk subscribe`, `trikk unsubscribe`, `trikk subscriptions`: who gets what is sent to a topic."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from trikk.cli.audited import audited
from trikk.cli.printing import echo, json_option, print_json, table, user_name, when
from trikk.cli.server_option import or_by_server
from trikk.execution.project import Project

if TYPE_CHECKING:
    from trikk.client.rest_client import Client
    from trikk.mailing.topics.subscriptions import Change, Subscription


def _subscribe_by_server(client: Client, topic: str, address: str, agreed: bool, as_json: bool) -> None:
    _print_subscribed(client.subscribe(topic, address, agreed=agreed), topic, address, as_json=as_json)


def _unsubscribe_by_server(client: Client, topic: str, address: str, as_json: bool) -> None:
    _print_unsubscribed(client.unsubscribe(topic, address), topic, address, as_json=as_json)


def _list_by_server(client: Client, topic: str | None, as_json: bool) -> None:
    _print_list(list(client.subscriptions(topic)), topic, as_json=as_json)


@click.command()
@click.argument("topic")
@click.argument("address")
@click.option("--agreed", is_flag=True, help="They have agreed, so that nobody needs to ask them.")
@json_option
@or_by_server(_subscribe_by_server)
@audited("subscribe", "topic", "address", "agreed")
def subscribe(topic: str, address: str, agreed: bool, as_json: bool) -> None:
    """Have ADDRESS get what is sent to TOPIC; a mail asks whether they want it.

    TOPIC is a name that `mail(..., to="topic:NAME")` or a channel uses, or report/NAME, table/NAME, stream/NAME.
    ADDRESS is a mail address, or sns:arn:aws:sns:REGION:ACCOUNT:NAME.
    """
    from trikk.alerts.config import alert_settings
    from trikk.alerts.delivery.reader_notices import is_watched
    from trikk.mailing.topics.subscribing import add_subscriber

    project = Project.open()
    change = add_subscriber(project, topic, address, by=user_name(), agreed=agreed, at=time.time())
    _print_subscribed(change, topic, address, as_json=as_json)
    if not is_watched(project.settings, alert_settings(project.settings).rules, topic):
        kinds = '"data did not come"' + (' or "nothing was published"' if topic.startswith("stream/") else "")
        rule = f"kind = {kinds} in [[alerts.rule]] of trikk.toml"
        echo(f"note: no rule says when {topic} is late; add {rule}", err=True)


def _print_subscribed(change: Change, topic: str, address: str, *, as_json: bool) -> None:
    from trikk.mailing.topics.subscriptions import Standing

    if as_json:
        print_json(change.to_json())
    elif change.subscription is not None and change.subscription.state is Standing.ASKED:
        echo(f"{address} was asked{'' if change.changed else ' already'}, and gets {topic} once they confirm")
    else:
        echo(f"{address} {'gets' if change.changed else 'got before, and gets,'} what is sent to {topic}")


@click.command()
@click.argument("topic")
@click.argument("address")
@json_option
@or_by_server(_unsubscribe_by_server)
@audited("unsubscribe", "topic", "address")
def unsubscribe(topic: str, address: str, as_json: bool) -> None:
    """Have ADDRESS get nothing more of TOPIC."""
    from trikk.mailing.topics.subscribing import remove_subscriber

    change = remove_subscriber(Project.open(), topic, address, by=user_name(), at=time.time())
    _print_unsubscribed(change, topic, address, as_json=as_json)


def _print_unsubscribed(change: Change, topic: str, address: str, *, as_json: bool) -> None:
    if as_json:
        print_json(change.to_json())
    else:
        echo(f"{address} gets nothing of {topic}" + ("" if change.changed else "; it did not before"))


@click.command()
@click.argument("topic", required=False)
@json_option
@or_by_server(_list_by_server)
def subscriptions(topic: str | None, as_json: bool) -> None:
    """List who subscribes to what, or to TOPIC."""
    from trikk.mailing.topics.subscriptions import AllSubscriptions, check_topic

    wanted = None if topic is None else check_topic(topic)
    listed = [one for one in AllSubscriptions(Project.open().journal).listed() if wanted in (None, one.topic)]
    _print_list(listed, topic, as_json=as_json)


def _print_list(listed: Sequence[Subscription], topic: str | None, *, as_json: bool) -> None:
    if as_json:
        print_json({"subscriptions": [one.to_json() for one in listed], "next": None})
    elif not listed:
        echo(
            "nobody subscribes"
            + ("; begin with: trikk subscribe TOPIC ADDRESS" if topic is None else f" to {topic}")
        )
    else:
        rows = [[one.topic, one.address, one.state, when(one.since), one.by] for one in listed]
        table(["TOPIC", "ADDRESS", "STATE", "SINCE", "BY"], rows)
