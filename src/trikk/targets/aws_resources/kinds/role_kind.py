"""A role of IAM: who takes it on, and what it may do."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar

from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, change_tags, from_pairs


class RoleKind:
    """The environment's roles."""

    kind: ClassVar[Kind] = Kind.ROLE
    set_by_create: ClassVar[frozenset[str]] = frozenset({"trust", "tags", "attached_policies"})

    def __init__(self, access: AwsAccess) -> None:
        self._iam = access.client("iam")
        self._names = access.names

    def names(self) -> Collection[str]:
        """The names of all."""
        return [self._names.jobs_role, self._names.function, self._names.scheduler_role]

    def read(self, name: str) -> dict[str, Any] | None:
        """`trust` and `policies` (by name) as documents, `attached_policies` as ARNs, `tags`."""
        iam = self._iam
        answer = or_none(iam.get_role, RoleName=name)
        if answer is None:
            return None
        policies = {
            policy: iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
            for policy in self._inline(name)
        }
        tags = iam.list_role_tags(RoleName=name)["Tags"]
        return {
            "trust": answer["Role"]["AssumeRolePolicyDocument"],
            "policies": policies,
            "attached_policies": self._attached(name),
            "tags": from_pairs(tags),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it with its trust and tags, and without a right."""
        trust = json.dumps(attributes["trust"])
        self._iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, Tags=as_pairs(attributes["tags"]))

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed, and take away what somebody has given it beside that."""
        iam = self._iam
        if "trust" in changed:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(attributes["trust"]))
        if "policies" in changed:
            for policy, document in attributes["policies"].items():
                iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
            self._remove_rights(name, self._inline(name) - attributes["policies"].keys(), [])
        if "attached_policies" in changed:
            self._remove_rights(name, [], self._attached(name))
        if "tags" in changed:
            change_tags(
                from_pairs(iam.list_role_tags(RoleName=name)["Tags"]),
                attributes["tags"],
                lambda tags: iam.tag_role(RoleName=name, Tags=as_pairs(tags)),
                lambda keys: iam.untag_role(RoleName=name, TagKeys=keys),
            )

    def delete(self, name: str) -> None:
        """Delete it, with all its rights."""
        self._remove_rights(name, self._inline(name), self._attached(name))
        self._iam.delete_role(RoleName=name)

    def _remove_rights(self, name: str, inline: Collection[str], attached: Collection[str]) -> None:
        for policy in inline:
            self._iam.delete_role_policy(RoleName=name, PolicyName=policy)
        for arn in attached:
            self._iam.detach_role_policy(RoleName=name, PolicyArn=arn)

    def _inline(self, name: str) -> set[str]:
        pages = self._iam.get_paginator("list_role_policies").paginate(RoleName=name)
        return {policy for page in pages for policy in page["PolicyNames"]}

    def _attached(self, name: str) -> list[str]:
        pages = self._iam.get_paginator("list_attached_role_policies").paginate(RoleName=name)
        return sorted(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])
