"""Where the exchange of a project is, if its trikk.toml does not say: beside its artifacts, which all jobs see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.core.settings import Settings

_FOLDER = "exchange"


def exchange_of(settings: Settings, target: str) -> str:
    """The exchange of a target's jobs: `[targets.NAME] exchange`, or `exchange` beside the project's artifacts.

    Raises:
        ProjectError: if a variable that its address names is not set.
    """
    section: Mapping[str, Any] = settings.targets.get(target, {})
    given = section.get("exchange") if isinstance(section, dict) else None
    if given:
        return settings.filled(f"targets.{target}.exchange", str(given))
    artifacts = settings.location("artifacts")
    return f"{artifacts.rstrip('/')}/{_FOLDER}" if "://" in artifacts else str(settings.state / _FOLDER)


def exchanges_of(settings: Settings) -> tuple[str, ...]:
    """All exchanges of a project, each once; raises as `exchange_of`."""
    return tuple(dict.fromkeys(exchange_of(settings, target) for target in (*settings.targets, "")))
