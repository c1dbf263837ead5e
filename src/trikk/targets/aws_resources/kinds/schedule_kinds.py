"""A group of EventBridge Scheduler, and the schedules in it: these have no tags and are the group's."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar

from trikk.core.clock import Clock
from trikk.core.errors import AwsRefused
from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, document, from_pairs

_LOOKS = 60  # for a group to be gone, a second between them


class ScheduleGroupKind:
    """The environment's group of schedules.

    Args:
        access: to the account.
        clock: by which it waits until a group is gone.
    """

    kind: ClassVar[Kind] = Kind.SCHEDULE_GROUP
    set_by_create: ClassVar[frozenset[str]] = frozenset({"tags"})

    def __init__(self, access: AwsAccess, clock: Clock) -> None:
        self._scheduler = access.client("scheduler")
        self._names = access.names
        self._clock = clock

    def names(self) -> Collection[str]:
        """Its name."""
        return [self._names.schedule_group]

    def read(self, name: str) -> dict[str, Any] | None:
        """Its `tags`."""
        if not self._is_there(name):
            return None
        return {"tags": from_pairs(self._scheduler.list_tags_for_resource(ResourceArn=self._arn(name))["Tags"])}

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._scheduler.create_schedule_group(Name=name, Tags=as_pairs(attributes["tags"]))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:  # noqa: ARG002 - tags
        """Set its tags."""
        client, arn = self._scheduler, self._arn(name)
        change_tags(
            from_pairs(client.list_tags_for_resource(ResourceArn=arn)["Tags"]),
            attributes["tags"],
            lambda tags: client.tag_resource(ResourceArn=arn, Tags=as_pairs(tags)),
            lambda keys: client.untag_resource(ResourceArn=arn, TagKeys=keys),
        )

    def delete(self, name: str) -> None:
        """Delete it with its schedules, and wait until it is gone.

        Raises:
            AwsRefused: if it is still there after a minute.
        """
        self._scheduler.delete_schedule_group(Name=name)
        for _ in range(_LOOKS):
            if not self._is_there(name):
                return
            self._clock.sleep(1)
        raise AwsRefused(f"schedule group {name} is still being deleted", next="call the same command again")

    def _is_there(self, name: str) -> bool:
        return or_none(self._scheduler.get_schedule_group, Name=name) is not None

    def _arn(self, name: str) -> str:
        return self._names.arn("scheduler", f"schedule-group/{name}")


class ScheduleKind:
    """The schedules of the environment's group."""

    kind: ClassVar[Kind] = Kind.SCHEDULE
    set_by_create: ClassVar[frozenset[str]] = frozenset(
        {"expression", "zone", "state", "window", "function", "role", "input", "retries", "event_age"}
    )

    def __init__(self, access: AwsAccess) -> None:
        self._scheduler = access.client("scheduler")
        self._group = access.names.schedule_group

    def names(self) -> Collection[str]:
        """All in the group."""
        if or_none(self._scheduler.get_schedule_group, Name=self._group) is None:
            return []
        pages = self._scheduler.get_paginator("list_schedules").paginate(GroupName=self._group)
        return [schedule["Name"] for page in pages for schedule in page["Schedules"]]

    def read(self, name: str) -> dict[str, Any] | None:
        """When it comes due, what it calls with what `input`, and how often again."""
        schedule = or_none(self._scheduler.get_schedule, GroupName=self._group, Name=name)
        if schedule is None:
            return None
        target, retry = schedule["Target"], schedule["Target"].get("RetryPolicy", {})
        return {
            "expression": schedule["ScheduleExpression"],
            "zone": schedule.get("ScheduleExpressionTimezone", "UTC"),
            "state": schedule["State"],
            "window": schedule["FlexibleTimeWindow"]["Mode"],
            "function": target["Arn"],
            "role": target["RoleArn"],
            "input": document(target.get("Input", "")),
            "retries": retry.get("MaximumRetryAttempts"),
            "event_age": retry.get("MaximumEventAgeInSeconds"),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._scheduler.create_schedule(**self._schedule(name, attributes))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:  # noqa: ARG002 - all at once
        """Set all of it."""
        self._scheduler.update_schedule(**self._schedule(name, attributes))

    def delete(self, name: str) -> None:
        """Delete it."""
        self._scheduler.delete_schedule(GroupName=self._group, Name=name)

    def _schedule(self, name: str, attributes: Attributes) -> dict[str, Any]:
        return {
            "GroupName": self._group,
            "Name": name,
            "ScheduleExpression": attributes["expression"],
            "ScheduleExpressionTimezone": attributes["zone"],
            "State": attributes["state"],
            "FlexibleTimeWindow": {"Mode": attributes["window"]},
            "Target": {
                "Arn": attributes["function"],
                "RoleArn": attributes["role"],
                "Input": json.dumps(attributes["input"], sort_keys=True),
                "RetryPolicy": {
                    "MaximumRetryAttempts": attributes["retries"],
                    "MaximumEventAgeInSeconds": attributes["event_age"],
                },
            },
        }
