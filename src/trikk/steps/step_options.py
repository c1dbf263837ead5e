"""What a ready-made step's options are kept as while a pipeline is defined."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def plain_options(**options: object) -> dict[str, Any]:
    """Options as a step's constants hold them: a dict for any mapping, a list for any other collection."""
    return {name: _plain(value) for name, value in options.items()}


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Collection) and not isinstance(value, str) else value
