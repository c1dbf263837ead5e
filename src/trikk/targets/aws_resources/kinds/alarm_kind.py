"""An alarm of CloudWatch on one metric."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, from_pairs

_FIELDS = {
    "namespace": "Namespace",
    "metric": "MetricName",
    "statistic": "Statistic",
    "period": "Period",
    "periods": "EvaluationPeriods",
    "threshold": "Threshold",
    "comparison": "ComparisonOperator",
    "missing": "TreatMissingData",
    "actions": "AlarmActions",
    "description": "AlarmDescription",
}


class AlarmKind:
    """The environment's alarms."""

    kind: ClassVar[Kind] = Kind.ALARM
    set_by_create: ClassVar[frozenset[str]] = frozenset({*_FIELDS, "dimensions", "tags"})

    def __init__(self, access: AwsAccess) -> None:
        self._cloudwatch = access.client("cloudwatch")
        self._names = access.names

    def names(self) -> Collection[str]:
        """All that begin with the environment's prefix."""
        prefix = f"{self._names.prefix}-"
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(AlarmNamePrefix=prefix)
        return [alarm["AlarmName"] for page in pages for alarm in page["MetricAlarms"]]

    def read(self, name: str) -> dict[str, Any] | None:
        """What it looks at, when it goes off, and whom it tells."""
        alarms = self._cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
        if not alarms:
            return None
        alarm = alarms[0]
        return {
            **{key: alarm.get(field) for key, field in _FIELDS.items()},
            "dimensions": {dimension["Name"]: dimension["Value"] for dimension in alarm.get("Dimensions", [])},
            "tags": self._tags(name),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._cloudwatch.put_metric_alarm(**_alarm(name, attributes), Tags=as_pairs(attributes["tags"]))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set all of it."""
        client, arn = self._cloudwatch, self._arn(name)
        if set(changed) - {"tags"}:
            client.put_metric_alarm(**_alarm(name, attributes))
        if "tags" in changed:
            change_tags(
                self._tags(name),
                attributes["tags"],
                lambda tags: client.tag_resource(ResourceARN=arn, Tags=as_pairs(tags)),
                lambda keys: client.untag_resource(ResourceARN=arn, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it."""
        self._cloudwatch.delete_alarms(AlarmNames=[name])

    def _tags(self, name: str) -> dict[str, str]:
        return from_pairs(self._cloudwatch.list_tags_for_resource(ResourceARN=self._arn(name))["Tags"])

    def _arn(self, name: str) -> str:
        return self._names.arn("cloudwatch", f"alarm:{name}")


def _alarm(name: str, attributes: Attributes) -> dict[str, Any]:
    dimensions = [{"Name": key, "Value": value} for key, value in attributes["dimensions"].items()]
    return {
        "AlarmName": name,
        "Dimensions": dimensions,
        "ActionsEnabled": True,
        **{field: attributes[key] for key, field in _FIELDS.items()},
    }
