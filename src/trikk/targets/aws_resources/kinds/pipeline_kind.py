"""A pipeline of SageMaker."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, document, from_pairs


class PipelineKind:
    """The environment's pipelines."""

    kind: ClassVar[Kind] = Kind.PIPELINE
    set_by_create: ClassVar[frozenset[str]] = frozenset({"definition", "role", "tags"})

    def __init__(self, access: AwsAccess) -> None:
        self._sagemaker = access.client("sagemaker")
        self._names = access.names

    def names(self) -> Collection[str]:
        """All that begin with the environment's prefix."""
        prefix = f"{self._names.prefix}-"
        pages = self._sagemaker.get_paginator("list_pipelines").paginate(PipelineNamePrefix=prefix)
        return [pipeline["PipelineName"] for page in pages for pipeline in page["PipelineSummaries"]]

    def read(self, name: str) -> dict[str, Any] | None:
        """`definition` as a document, `role`, `tags`."""
        pipeline = or_none(self._sagemaker.describe_pipeline, PipelineName=name)
        if pipeline is None:
            return None
        return {
            "definition": document(pipeline["PipelineDefinition"]),
            "role": pipeline["RoleArn"],
            "tags": self._tags(pipeline["PipelineArn"]),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it."""
        pipeline = _pipeline(name, attributes)
        self._sagemaker.create_pipeline(**pipeline, PipelineDisplayName=name, Tags=as_pairs(attributes["tags"]))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed; executions that are not over keep the definition that they began with."""
        client = self._sagemaker
        if {"definition", "role"} & set(changed):
            client.update_pipeline(**_pipeline(name, attributes))
        if "tags" in changed:
            arn = self._arn(name)
            change_tags(
                self._tags(arn),
                attributes["tags"],
                lambda tags: client.add_tags(ResourceArn=arn, Tags=as_pairs(tags)),
                lambda keys: client.delete_tags(ResourceArn=arn, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it; its executions can't be seen any more."""
        self._sagemaker.delete_pipeline(PipelineName=name)

    def _tags(self, arn: str) -> dict[str, str]:
        pages = self._sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn)
        return from_pairs(tag for page in pages for tag in page["Tags"])

    def _arn(self, name: str) -> str:
        """Asked for, since the service writes it in small letters."""
        return str(self._sagemaker.describe_pipeline(PipelineName=name)["PipelineArn"])


def _pipeline(name: str, attributes: Attributes) -> dict[str, Any]:
    definition = json.dumps(attributes["definition"], sort_keys=True, separators=(",", ":"))
    return {"PipelineName": name, "PipelineDefinition": definition, "RoleArn": attributes["role"]}
