"""The section `[targets.aws]` of trikk.toml: what `trikk aws` makes for the project's environment, and where.

[targets.aws]
region = "eu-west-1"
account = "111122223333"           # any other is refused; whatever the credentials are for if not given
bucket = "acme-city-test"          # PROJECT-ENVIRONMENT-ACCOUNT if not given
pipelines = ["nightly"]            # those that a Cron trigger starts if not given
alerts = ["mail:ops@example.com", "https://hooks.example.com/${HOOK}"]
retention = 365                    # days that logs are kept
tags = {team = "city"}
vpc = false                        # a network of its own is made by the Terraform modules only
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from trikk.core.errors import ProjectError, UsageError
from trikk.core.network.addresses import refuse_secrets
from trikk.core.settings import FILE, Settings
from trikk.targets.jobs.exchange_place import exchange_of
from trikk.targets.sagemaker.definition_names import pipeline_prefix
from trikk.targets.target_settings import target_settings

_KINDS = {
    "region": str,
    "account": str,
    "bucket": str,
    "pipelines": list,
    "alerts": list,
    "retention": int,
    "tags": dict,
    "vpc": bool,
}
_RETENTIONS = (
    1,
    3,
    5,
    7,
    14,
    30,
    60,
    90,
    120,
    150,
    180,
    365,
    400,
    545,
    731,
    1096,
    1827,
    2192,
    2557,
    2922,
    3288,
    3653,
)
"""https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html"""

_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_BUCKET = re.compile(r"(?!xn--)[a-z0-9](?:[a-z0-9-]{1,61})[a-z0-9]")
_MAIL = re.compile(r"mail:[^@\s]+@[^@\s]+\.[^@\s]+")
_PREFIX_LENGTH = 40
PROJECT_TAG, ENVIRONMENT_TAG = "trikk:project", "trikk:environment"


@dataclass(frozen=True, slots=True)
class AwsSettings:
    """An environment at AWS.

    Attributes:
        prefix: what the names of its resources begin with, project-environment.
        owner: the tags by which its resources are known.
        region: where it is.
        account: the only one that is taken; "" for any.
        bucket: its name; "" for one made of prefix and account.
        pipelines: those that are put there; None for those that the clock starts.
        alerts: who is told of failures, `mail:ADDRESS` or `https://...`, with `${NAME}` for secrets.
        retention: days that logs are kept.
        tags: more tags of all resources.
        secrets: what the names of secrets that jobs may read begin with.
        exchange: where jobs report, BUCKET/PREFIX; without a bucket, it is the environment's.
    """

    prefix: str
    owner: dict[str, str]
    region: str
    account: str = ""
    bucket: str = ""
    pipelines: tuple[str, ...] | None = None
    alerts: tuple[str, ...] = ()
    retention: int = 365
    tags: dict[str, str] = field(default_factory=dict)
    secrets: str = ""
    exchange: str = "/artifacts/exchange"

    @property
    def all_tags(self) -> dict[str, str]:
        """The tags of each resource."""
        return {**self.tags, **self.owner}


def aws_settings(settings: Settings) -> AwsSettings:
    """What trikk.toml says of the environment at AWS.

    Raises:
        ProjectError: if the section is missing, or a value can't be.
    """
    where = f"{settings.root / FILE}, [targets.aws]"
    values: dict[str, Any] = dict(target_settings(settings, "aws", _KINDS).values)

    def refuse(problem: str, mend: str) -> ProjectError:
        return ProjectError(problem, where=where, next=mend)

    if not _REGION.fullmatch(values.get("region", "")):
        raise refuse(f"region = {values.get('region', '')!r} is no region", 'write region = "eu-west-1"')
    if not re.fullmatch(r"\d{12}|", values.get("account", "")):
        raise refuse(f"account = {values['account']!r} is no account", 'write account = "111122223333"')
    if "bucket" in values and not _BUCKET.fullmatch(values["bucket"]):
        mend = "use 3 to 63 small letters, digits and hyphens"
        raise refuse(f"bucket = {values['bucket']!r} is no name of a bucket", mend)
    if values.get("retention", 365) not in _RETENTIONS:
        raise refuse(f"retention = {values['retention']!r}", f"use one of {', '.join(map(str, _RETENTIONS))}")
    if values.pop("vpc", False):
        raise refuse("`trikk aws` makes no network", "use the Terraform modules, or write vpc = false")
    for alert in values.get("alerts", []):
        if not (_MAIL.fullmatch(alert) or alert.startswith("https://")):
            raise refuse("an address of alerts is none", 'write "mail:ops@example.com" or "https://..."')
        try:
            refuse_secrets(alert, "an address of alerts", channel=True)
        except UsageError as error:
            raise refuse(error.what, error.next or "") from None
    if reserved := [key for key in values.get("tags", {}) if key.startswith(("trikk:", "aws:")) or not key]:
        raise refuse(f"a tag can't be called {reserved[0]!r}", "choose another name")
    prefix = _prefix(settings, where)
    lists: dict[str, Any] = {
        key: tuple(dict.fromkeys(values[key])) for key in ("pipelines", "alerts") if key in values
    }
    owner = {PROJECT_TAG: settings.name, ENVIRONMENT_TAG: settings.environment}
    secrets = f"{prefix}/" if settings.secrets.aws is None else settings.secrets.aws
    values |= lists
    if "://" in settings.artifacts or "exchange" in settings.targets.get("sagemaker", {}):
        values["exchange"] = exchange_of(settings, "sagemaker").partition("://")[2].rstrip("/")
    return AwsSettings(**values, prefix=prefix, owner=owner, secrets=secrets)


def _prefix(settings: Settings, where: str) -> str:
    """What all names begin with: they become those of buckets, which have small letters only."""
    prefix = pipeline_prefix(settings)
    if not re.fullmatch(r"[a-z][a-z0-9-]*[a-z0-9]", prefix) or len(prefix) > _PREFIX_LENGTH:
        problem = f"names at AWS would begin with {prefix!r}, of project and environment"
        mend = f"choose a name that begins with a letter; both together have {_PREFIX_LENGTH} characters at most"
        raise ProjectError(problem, where=where, next=mend)
    return prefix
