"""When a cached step's earlier result stands: everything it depends on, named, so that a miss can say why."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

from trikk.core.digests import digest_json
from trikk.core.values import JSON
from trikk.runs.lock import installed_packages

Components = dict[str, str]
"""Name of a component, such as "code" or "argument rows", to a digest of it, in the order of comparison."""


def components(
    code: str, arguments: Mapping[str, Any], declared: Mapping[str, Any], outputs: int | None
) -> Components:
    """What a step's result depends on.

    Args:
        code: digest of the code that the step reaches.
        arguments: the call's arguments, as in a `StepCall`.
        declared: the step's `Cache` as JSON.
        outputs: how many outputs it declares.
    """
    digests = {"the step's code": code, "Python": f"{sys.version_info.major}.{sys.version_info.minor}"}
    digests["the number of outputs"] = str(outputs)
    for name, argument in sorted(arguments.items()):
        digests[f"argument {name!r}"] = digest_json(_content(argument))
    for name in declared["variables"]:
        digests[f"environment variable {name}"] = digest_json(os.environ.get(name))
    if declared["packages"]:
        versions = installed_packages()
        for name in declared["packages"]:
            digests[f"package {name}"] = versions.get(name.lower().replace("_", "-"), "not installed")
    return digests


def cache_key(pipeline: str, step: str, digests: Components) -> str:
    """The key under which a result with these components is kept."""
    return digest_json([pipeline, step, dict(digests)])


def first_difference(old: Mapping[str, Any] | None, new: Components) -> str:
    """Why there is no result to reuse: the first component that differs from the last one stored."""
    if old is None:
        return "no earlier result"
    for name, value in new.items():
        if old.get(name) != value:
            return f"{name} changed" if name in old else f"{name} is new"
    gone = next((name for name in old if name not in new), None)
    return f"{gone} is gone" if gone else "its artifact is gone"


def _content(argument: Any) -> JSON:
    """An argument without what does not change its value: artifacts by digest and codec."""
    if isinstance(argument, list):
        return [_content(a) for a in argument]
    if isinstance(argument, dict):
        if "digest" in argument and "codec" in argument:
            return [argument["codec"], argument["digest"]]
        return {key: _content(value) for key, value in argument.items()}
    return argument  # type: ignore[no-any-return]
