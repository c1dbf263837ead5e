"""A topic of SNS, and who subscribes to it."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from trikk.core.digests import digest_bytes
from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, from_pairs

_PROTOCOLS = {"mail": "email"}


class TopicKind:
    """The environment's topic."""

    kind: ClassVar[Kind] = Kind.TOPIC
    set_by_create: ClassVar[frozenset[str]] = frozenset({"policy", "tags"})

    def __init__(self, access: AwsAccess) -> None:
        self._sns = access.client("sns")
        self._names = access.names

    def names(self) -> Collection[str]:
        """Its name."""
        return [self._names.topic]

    def read(self, name: str) -> dict[str, Any] | None:
        """`policy` as a document, `tags`."""
        arn = self._names.arn("sns", name)
        answer = or_none(self._sns.get_topic_attributes, TopicArn=arn)
        if answer is None:
            return None
        topic, tags = answer["Attributes"], self._sns.list_tags_for_resource(ResourceArn=arn)["Tags"]
        return {
            "policy": json.loads(topic["Policy"]),
            "tags": from_pairs(tags),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._sns.create_topic(
            Name=name, Attributes={"Policy": json.dumps(attributes["policy"])}, Tags=as_pairs(attributes["tags"])
        )

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed."""
        sns, arn = self._sns, self._names.arn("sns", name)
        if "policy" in changed:
            policy = json.dumps(attributes["policy"])
            sns.set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)
        if "tags" in changed:
            change_tags(
                from_pairs(sns.list_tags_for_resource(ResourceArn=arn)["Tags"]),
                attributes["tags"],
                lambda tags: sns.tag_resource(ResourceArn=arn, Tags=as_pairs(tags)),
                lambda keys: sns.untag_resource(ResourceArn=arn, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it, and with it its subscriptions."""
        self._sns.delete_topic(TopicArn=self._names.arn("sns", name))


class SubscriptionKind:
    """The subscriptions to the environment's topic. Their addresses may hold secrets, and are not shown.

    Args:
        access: to the account.
        addresses: by the address as trikk.toml has it, the address with its secrets filled in.
    """

    kind: ClassVar[Kind] = Kind.SUBSCRIPTION
    set_by_create: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, access: AwsAccess, addresses: Mapping[str, str]) -> None:
        self._sns = access.client("sns")
        self._topic = access.names.arn("sns", access.names.topic)
        self._addresses = addresses
        self._arns: dict[str, str] = {}

    def names(self) -> Collection[str]:
        """The address of each: as trikk.toml has it, or with no more than its host."""
        written = {address: name for name, address in self._addresses.items()}
        if or_none(self._sns.get_topic_attributes, TopicArn=self._topic) is None:
            return []
        for page in self._sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=self._topic):
            for subscription in page["Subscriptions"]:
                address = _address(subscription["Protocol"], subscription["Endpoint"])
                self._arns[written.get(address) or _masked(address)] = subscription["SubscriptionArn"]
        return list(self._arns)

    def read(self, name: str) -> dict[str, Any] | None:
        """Nothing but that it is there, as `names` has seen it."""
        return {} if name in self._arns else None

    def create(self, name: str, attributes: Attributes) -> None:  # noqa: ARG002 - it has none
        """Subscribe an address; who reads there has to say yes."""
        protocol, _, endpoint = self._addresses[name].partition(":")
        if protocol == "https":
            endpoint = self._addresses[name]
        self._sns.subscribe(TopicArn=self._topic, Protocol=_PROTOCOLS.get(protocol, protocol), Endpoint=endpoint)

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Nothing of it can change."""

    def delete(self, name: str) -> None:
        """End it. One that nobody has confirmed can't be ended, and ends by itself within three days."""
        arn = self._arns[name]
        if arn.startswith("arn:"):
            self._sns.unsubscribe(SubscriptionArn=arn)


def _address(protocol: str, endpoint: str) -> str:
    """An address as settings have it: `mail:ADDRESS`, or the URL."""
    if protocol == "email":
        return f"mail:{endpoint}"
    return endpoint if endpoint.startswith(f"{protocol}://") else f"{protocol}:{endpoint}"


def _masked(address: str) -> str:
    """An address without what may be a secret in it, yet another for another."""
    if not address.startswith("https://"):
        return address
    return f"https://{urlsplit(address).hostname}/*** ({digest_bytes(address.encode())[:8]})"
