"""Which statements of policies allow more than they name, and those that may, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

MAY = {
    "AccountDecidesByItsPolicies": "a key's own policy: the resource is this key; nobody could change it without",
    "LogsAreEncrypted": "a key's own policy: the resource is this key",
    "ServicesPublishAlerts": "a key's own policy: the resource is this key",
    "Metrics": "PutMetricData knows no resources; the namespace limits it",
    "RegistryOfImages": "GetAuthorizationToken knows no resources; it gives no right to an image",
    "NetworkInterfaces": "an interface has no name before it is made; subnet and security group limit it",
    "NetworkAsItIs": "descriptions of networks know no resources",
    "SessionManager": "the agent's calls know no resources",
    "OwnKey": "keys have no names; tags limit it to the environment's",
    "NewKey": "a key is not there before it is made; its tags limit it",
    "Look": "lists know no resources",
    "Buckets": "one bucket, of which the provider reads each setting: thirty calls that begin with Get",
    "NewNetwork": "networks and machines have no names before they are made; their tags limit it",
    "LookAtNetworks": "descriptions know no resources",
    "OwnNetwork": "networks and machines have no names; tags limit it to the environment's",
}
_KINDS = "key|network-interface|role|policy|function|log-group|secret|alarm|topic|group|repository|[a-z]+-job"
_UNNAMED = re.compile(r"(\*|arn:[^:]*:[^:]*:[^:]*:[^:]*:((" + _KINDS + r")[/:])?\*.*)")


def too_wide(policy: dict[str, Any]) -> Iterator[str]:
    """The statements of a rendered policy that allow what they do not name, and are not among those that may."""
    statements = policy["Statement"]
    for statement in [statements] if isinstance(statements, dict) else statements:
        if statement["Effect"] == "Deny" or statement.get("Sid") in MAY:
            continue
        actions, resources = (_several(statement.get(key)) for key in ("Action", "Resource"))
        wide = [action for action in actions if "*" in action] + [r for r in resources if _UNNAMED.fullmatch(r)]
        if wide or "NotAction" in statement or "NotResource" in statement:
            yield f"{statement.get('Sid', 'a statement')}: {', '.join(wide) or 'by exclusion'}"


def _several(given: Any) -> list[str]:
    return [] if given is None else [given] if isinstance(given, str) else list(given)
