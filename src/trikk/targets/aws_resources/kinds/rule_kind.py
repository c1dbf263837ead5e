"""A rule of EventBridge, and what it tells."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, from_pairs


class RuleKind:
    """The environment's rule for failed executions."""

    kind: ClassVar[Kind] = Kind.RULE
    set_by_create: ClassVar[frozenset[str]] = frozenset({"pattern", "state", "tags"})

    def __init__(self, access: AwsAccess) -> None:
        self._events = access.client("events")
        self._names = access.names

    def names(self) -> Collection[str]:
        """Its name."""
        return [self._names.rule]

    def read(self, name: str) -> dict[str, Any] | None:
        """`pattern` as a document, `state`, `targets` by their ids, `tags`."""
        rule = or_none(self._events.describe_rule, Name=name)
        if rule is None:
            return None
        return {
            "pattern": json.loads(rule.get("EventPattern") or "{}"),
            "state": rule["State"],
            "targets": self._targets(name),
            "tags": self._tags(name),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it, telling nobody yet."""
        self._events.put_rule(**_rule(name, attributes), Tags=as_pairs(attributes["tags"]))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed, and remove targets that somebody has added."""
        events, arn = self._events, self._arn(name)
        if {"pattern", "state"} & set(changed):
            events.put_rule(**_rule(name, attributes))
        if "targets" in changed:
            targets = attributes["targets"]
            if surplus := self._targets(name).keys() - targets.keys():
                events.remove_targets(Rule=name, Ids=sorted(surplus))
            events.put_targets(Rule=name, Targets=[{"Id": key, **target} for key, target in targets.items()])
        if "tags" in changed:
            change_tags(
                self._tags(name),
                attributes["tags"],
                lambda tags: events.tag_resource(ResourceARN=arn, Tags=as_pairs(tags)),
                lambda keys: events.untag_resource(ResourceARN=arn, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it, with its targets."""
        if targets := self._targets(name):
            self._events.remove_targets(Rule=name, Ids=sorted(targets))
        self._events.delete_rule(Name=name)

    def _targets(self, name: str) -> dict[str, dict[str, Any]]:
        targets = self._events.list_targets_by_rule(Rule=name)["Targets"]
        return {target["Id"]: {key: value for key, value in target.items() if key != "Id"} for target in targets}

    def _tags(self, name: str) -> dict[str, str]:
        return from_pairs(self._events.list_tags_for_resource(ResourceARN=self._arn(name))["Tags"])

    def _arn(self, name: str) -> str:
        return self._names.arn("events", f"rule/{name}")


def _rule(name: str, attributes: Attributes) -> dict[str, Any]:
    return {"Name": name, "EventPattern": json.dumps(attributes["pattern"]), "State": attributes["state"]}
