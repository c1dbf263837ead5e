"""A bucket of S3: versions, encryption, no public access, and what expires in it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, ClassVar

from trikk.core.errors import AwsRefused, UsageError
from trikk.targets.aws_resources.aws_access import AwsAccess, or_none
from trikk.targets.aws_resources.kinds.resource_port import Attributes, Kind
from trikk.targets.aws_resources.kinds.tags_and_documents import as_pairs, document, from_pairs

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
_OLDEST_REGION = "us-east-1"  # the only one that may not be named
_TERMS = {
    "days": ("Expiration", "Days"),
    "replaced_days": ("NoncurrentVersionExpiration", "NoncurrentDays"),
    "upload_days": ("AbortIncompleteMultipartUpload", "DaysAfterInitiation"),
}
"""What a rule says of objects, of those that were replaced, and of uploads that were given up."""


class BucketKind:
    """The environment's bucket, and one that it had under another name."""

    kind: ClassVar[Kind] = Kind.BUCKET
    set_by_create: ClassVar[frozenset[str]] = frozenset({"region", "tags"})

    def __init__(self, access: AwsAccess, owner: dict[str, str]) -> None:
        self._s3 = access.client("s3")
        self._tagging = access.client("resourcegroupstaggingapi")
        self._names = access.names
        self._owner = owner

    def names(self) -> Collection[str]:
        """That which is wanted, and all that have the environment's tags."""
        filters = [{"Key": key, "Values": [value]} for key, value in self._owner.items()]
        pages = self._tagging.get_paginator("get_resources").paginate(
            TagFilters=filters, ResourceTypeFilters=["s3"]
        )
        arns = [mapping["ResourceARN"] for page in pages for mapping in page["ResourceTagMappingList"]]
        return {self._names.bucket, *(arn.rpartition(":::")[2] for arn in arns)}

    def read(self, name: str) -> dict[str, Any] | None:
        """Its region, versioning, encryption, public access, policy, expiry and tags.

        Raises:
            UsageError: if it is in another region, or somebody else's.
        """
        region = self._region(name)
        if region is None:
            return None
        if region != self._names.region:
            raise UsageError(
                f"bucket {name} is in region {region}, and [targets.aws] names {self._names.region}",
                next="name that region, or another bucket",
            )
        s3 = self._s3
        return {
            "region": region,
            "versioning": s3.get_bucket_versioning(Bucket=name).get("Status", "Off"),
            "encryption": self._encryption(name),
            "public_access": self._public_access(name),
            "policy": document(self._asked(name, "get_bucket_policy", "Policy") or "{}"),
            "expiry": dict(map(_rule, self._asked(name, "get_bucket_lifecycle_configuration", "Rules") or [])),
            "tags": from_pairs(self._asked(name, "get_bucket_tagging", "TagSet") or []),
        }

    def create(self, name: str, attributes: Attributes) -> None:
        """Make it with its tags, by one call."""
        configuration: dict[str, Any] = {"Tags": as_pairs(attributes["tags"])}
        if self._names.region != _OLDEST_REGION:
            configuration["LocationConstraint"] = self._names.region
        self._s3.create_bucket(Bucket=name, CreateBucketConfiguration=configuration)

    def update(self, name: str, attributes: Attributes, changed: Collection[str]) -> None:
        """Set what has changed."""
        s3 = self._s3
        if "public_access" in changed:
            s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=dict.fromkeys(_BLOCKS, True))
        if "policy" in changed:
            s3.put_bucket_policy(Bucket=name, Policy=json.dumps(attributes["policy"]))
        if "versioning" in changed:
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": attributes["versioning"]})
        if "encryption" in changed:
            rule = {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": attributes["encryption"]}}
            s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": [rule]})
        if "expiry" in changed:
            rules = [_lifecycle(key, rule) for key, rule in attributes["expiry"].items()]
            s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})
        if "tags" in changed:
            s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": as_pairs(attributes["tags"])})

    def delete(self, name: str) -> None:
        """Delete it; it must be empty."""
        self._s3.delete_bucket(Bucket=name)

    def has_objects(self, name: str) -> bool:
        """Whether there is an object in it, or an old version of one."""
        answer = self._s3.list_object_versions(Bucket=name, MaxKeys=1)
        return bool(answer.get("Versions") or answer.get("DeleteMarkers"))

    def empty(self, name: str) -> None:
        """Delete every version of every object in it.

        Raises:
            AwsRefused: if some can't be deleted.
        """
        for page in self._s3.get_paginator("list_object_versions").paginate(Bucket=name):
            objects = [
                {"Key": version["Key"], "VersionId": version["VersionId"]}
                for version in (*page.get("Versions", []), *page.get("DeleteMarkers", []))
            ]
            if not objects:
                continue
            answer = self._s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
            if errors := answer.get("Errors"):
                problem = (
                    f"bucket {name}: {len(errors)} objects stay, such as {errors[0]['Key']}: {errors[0]['Code']}"
                )
                raise AwsRefused(problem, next="let the credentials do s3:DeleteObjectVersion")

    def _region(self, name: str) -> str | None:
        from botocore.exceptions import ClientError

        try:
            answer = self._s3.head_bucket(Bucket=name)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code == "404":
                return None
            if code == "403":
                raise UsageError(
                    f"bucket {name} is somebody else's, or the credentials may not do s3:ListBucket on it",
                    next='choose another name: [targets.aws] bucket = "..."',
                ) from None
            raise
        return str(answer.get("BucketRegion") or answer["ResponseMetadata"]["HTTPHeaders"]["x-amz-bucket-region"])

    def _encryption(self, name: str) -> str:
        configuration = self._asked(name, "get_bucket_encryption", "ServerSideEncryptionConfiguration")
        rules = configuration["Rules"] if configuration else []
        algorithms = [
            rule.get("ApplyServerSideEncryptionByDefault", {}).get("SSEAlgorithm", "none") for rule in rules
        ]
        return ",".join(algorithms) or "none"

    def _public_access(self, name: str) -> str:
        blocks = self._asked(name, "get_public_access_block", "PublicAccessBlockConfiguration") or {}
        open_doors = [block for block in _BLOCKS if not blocks.get(block)]
        return f"not {', '.join(open_doors)}" if open_doors else "blocked"

    def _asked(self, name: str, question: str, answer: str) -> Any:
        """A part of the bucket's configuration; None if it has none."""
        return (or_none(getattr(self._s3, question), Bucket=name) or {}).get(answer)


def _lifecycle(key: str, rule: Attributes) -> dict[str, Any]:
    terms = {words[0]: {words[1]: rule[term]} for term, words in _TERMS.items() if term in rule}
    return {"ID": key, "Status": "Enabled", "Filter": {"Prefix": rule["prefix"]}, **terms}


def _rule(rule: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A rule of a life cycle by its id as trikk writes it; one that says more than that as it is."""
    key = rule.get("ID", "")
    terms = {term: rule[outer][inner] for term, (outer, inner) in _TERMS.items() if inner in rule.get(outer, {})}
    read = {"prefix": rule.get("Filter", {}).get("Prefix", rule.get("Prefix", "")), **terms}
    return key, read if _lifecycle(key, read) == {**rule, "Filter": {"Prefix": read["prefix"]}} else rule
