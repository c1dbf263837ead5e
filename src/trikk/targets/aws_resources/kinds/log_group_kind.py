"""A log group of CloudWatch Logs, and how long it keeps lines."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import change_tags, own_tags


class LogGroupKind:
    """The environment's log group."""

    kind: ClassVar[Kind] = Kind.LOG_GROUP
    set_by_create: ClassVar[frozenset[str]] = frozenset({"tags"})

    def __init__(self, access: AwsAccess) -> None:
        self._logs = access.client("logs")
        self._names = access.names

    def names(self) -> Collection[str]:
        """Its name."""
        return [self._names.log_group]

    def read(self, name: str) -> dict[str, Any] | None:
        """`retention` in days, None for ever; `tags`."""
        pages = self._logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name)
        group = next((g for page in pages for g in page["logGroups"] if g["logGroupName"] == name), None)
        if group is None:
            return None
        tags = self._logs.list_tags_for_resource(resourceArn=self._arn(name))["tags"]
        return {"retention": group.get("retentionInDays"), "tags": own_tags(tags)}

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._logs.create_log_group(logGroupName=name, tags=attributes["tags"])

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set how long it keeps lines, and its tags."""
        if "retention" in changed:
            self._logs.put_retention_policy(logGroupName=name, retentionInDays=attributes["retention"])
        if "tags" in changed:
            arn = self._arn(name)
            change_tags(
                self._logs.list_tags_for_resource(resourceArn=arn)["tags"],
                attributes["tags"],
                lambda tags: self._logs.tag_resource(resourceArn=arn, tags=tags),
                lambda keys: self._logs.untag_resource(resourceArn=arn, tagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it and its lines."""
        self._logs.delete_log_group(logGroupName=name)

    def _arn(self, name: str) -> str:
        return self._names.arn("logs", f"log-group:{name}")
