"""Where the exchange of a project is, if its trikk.toml does not say: beside its artifacts, which all jobs see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.core.settings import Settings

_FOLDER = "exchange"


def exchange_of(settings: Settings, target: str) -> str:
    """The exchange of a target's jobs: `[targets.NAME] exchange`, or `exchange` beside the artifacts.

    Where the project has its artifacts on this machine, jobs have theirs in the bucket of `[targets.NAME]`.

    Raises:
        ProjectError: if a variable that its address names is not set.
    """
    section: Mapping[str, Any] = settings.targets.get(target, {})
    given = section.get("exchange") if isinstance(section, dict) else None
    if given:
        return settings.filled(f"targets.{target}.exchange", str(given))
    artifacts = settings.location("artifacts")
    if "://" in artifacts:
        return f"{artifacts.rstrip('/')}/{_FOLDER}"
    bucket = section.get("bucket") if isinstance(section, dict) else None
    return f"s3://{bucket}/artifacts/{_FOLDER}" if bucket else str(settings.state / _FOLDER)


def exchanges_of(settings: Settings) -> tuple[str, ...]:
    """All exchanges of a project, each once; raises as `exchange_of`."""
    return tuple(dict.fromkeys(exchange_of(settings, target) for target in (*settings.targets, "")))
