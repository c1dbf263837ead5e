"""A function of Lambda, and how often a call that it fails is made again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.function_archive import function_archive
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import change_tags, own_tags

_CALLS = frozenset({"retries", "event_age"})


class FunctionKind:
    """The environment's start function."""

    kind: ClassVar[Kind] = Kind.FUNCTION
    set_by_create: ClassVar[frozenset[str]] = frozenset(
        {
            "runtime",
            "handler",
            "architecture",
            "memory",
            "timeout",
            "role",
            "code",
            "log_group",
            "failed_calls_to",
            "tags",
        }
    )

    def __init__(self, access: AwsAccess) -> None:
        self._lambda = access.client("lambda")
        self._names = access.names

    def names(self) -> Collection[str]:
        """Its name."""
        return [self._names.function]

    def read(self, name: str) -> dict[str, Any] | None:
        """Its configuration; `code` is its archive's sum, `retries` and `event_age` are of calls that fail."""
        answer = or_none(self._lambda.get_function, FunctionName=name)
        if answer is None:
            return None
        function = answer["Configuration"]
        return {
            "runtime": function.get("Runtime"),
            "handler": function.get("Handler"),
            "architecture": ",".join(function.get("Architectures", [])),
            "memory": function["MemorySize"],
            "timeout": function["Timeout"],
            "role": function["Role"],
            "code": function["CodeSha256"],
            "log_group": function.get("LoggingConfig", {}).get("LogGroup"),
            "failed_calls_to": function.get("DeadLetterConfig", {}).get("TargetArn"),
            **self._of_calls(name),
            "tags": own_tags(answer.get("Tags", {})),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        self._lambda.create_function(
            FunctionName=name,
            Code={"ZipFile": function_archive()},
            Architectures=[attributes["architecture"]],
            Tags=attributes["tags"],
            **_configuration(attributes),
        )
        self._lambda.get_waiter("function_active_v2").wait(FunctionName=name)

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed; each change is waited for, since Lambda takes one at a time."""
        client, settled = self._lambda, self._lambda.get_waiter("function_updated_v2")
        if {"code", "architecture"} & set(changed):
            archive, architectures = function_archive(), [attributes["architecture"]]
            client.update_function_code(FunctionName=name, ZipFile=archive, Architectures=architectures)
            settled.wait(FunctionName=name)
        if set(changed) & self.set_by_create - {"code", "architecture", "tags"}:
            client.update_function_configuration(FunctionName=name, **_configuration(attributes))
            settled.wait(FunctionName=name)
        if _CALLS & set(changed):
            client.put_function_event_invoke_config(
                FunctionName=name,
                MaximumRetryAttempts=attributes["retries"],
                MaximumEventAgeInSeconds=attributes["event_age"],
            )
        if "tags" in changed:
            arn = self._names.arn("lambda", f"function:{name}")
            change_tags(
                client.list_tags(Resource=arn)["Tags"],
                attributes["tags"],
                lambda tags: client.tag_resource(Resource=arn, Tags=tags),
                lambda keys: client.untag_resource(Resource=arn, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it."""
        self._lambda.delete_function(FunctionName=name)

    def _of_calls(self, name: str) -> dict[str, Any]:
        calls = or_none(self._lambda.get_function_event_invoke_config, FunctionName=name) or {}
        return {"retries": calls.get("MaximumRetryAttempts"), "event_age": calls.get("MaximumEventAgeInSeconds")}


def _configuration(attributes: Attributes) -> dict[str, Any]:
    return {
        "Runtime": attributes["runtime"],
        "Handler": attributes["handler"],
        "MemorySize": attributes["memory"],
        "Timeout": attributes["timeout"],
        "Role": attributes["role"],
        "DeadLetterConfig": {"TargetArn": attributes["failed_calls_to"]},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": attributes["log_group"]},
    }
