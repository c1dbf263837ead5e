"""moto's server with what it leaves out of the calls that are made here; started in the place of `moto.server`.

- A bucket's tags are taken from CreateBucket; moto takes them by PutBucketTagging only.
- A bucket's policy keeps nobody out: moto applies a denial without its conditions, here to all.
- A function keeps its LoggingConfig and its DeadLetterConfig.
"""

from __future__ import annotations

from typing import Any

import xmltodict
from moto.awslambda.models import LambdaFunction
from moto.s3.models import FakeBucket, S3Backend
from moto.s3.responses import S3Response
from moto.server import main

_KEPT = ("LoggingConfig", "DeadLetterConfig")
_create_bucket, _region = S3Backend.create_bucket, S3Response._get_location_constraint
_init, _configuration = LambdaFunction.__init__, LambdaFunction.get_configuration
_update = LambdaFunction.update_configuration


def _region_and_tags(self: Any) -> Any:
    """Read the tags where the region is read; the bucket is made right after that."""
    body = xmltodict.parse(self.body, force_list=("Tag",)) if self.body else {}
    tags = ((body.get("CreateBucketConfiguration") or {}).get("Tags") or {}).get("Tag", [])
    self.backend.tags_of_next_bucket = {tag["Key"]: tag["Value"] for tag in tags}
    return _region(self)


def _create_with_tags(self: Any, name: str, *args: Any, **options: Any) -> Any:
    tags = self.__dict__.pop("tags_of_next_bucket", {})
    bucket = _create_bucket(self, name, *args, **options)
    if tags:
        self.put_bucket_tagging(name, tags)
    return bucket


def _init_with_more(self: Any, account_id: str, spec: dict[str, Any], *args: Any, **options: Any) -> None:
    self.more = {key: spec[key] for key in _KEPT if key in spec}
    _init(self, account_id, spec, *args, **options)


def _configuration_with_more(self: Any, *args: Any, **options: Any) -> dict[str, Any]:
    return {**_configuration(self, *args, **options), **self.more}


def _update_with_more(self: Any, updates: dict[str, Any]) -> dict[str, Any]:
    self.more |= {key: updates[key] for key in _KEPT if key in updates}
    return _update(self, updates)


S3Response._get_location_constraint = _region_and_tags
S3Backend.create_bucket = _create_with_tags
FakeBucket.get_permission = lambda *_: None
LambdaFunction.__init__ = _init_with_more
LambdaFunction.get_configuration = _configuration_with_more
LambdaFunction.update_configuration = _update_with_more

if __name__ == "__main__":
    main()
