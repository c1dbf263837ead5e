"""What a server tells the process that looks for it. Not in that module, whose imports a server does not need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from trikk.core.record import Record
from trikk.core.settings import Settings

REPORTS = "--reports"


class Brief(Record, frozen=True):
    """What a look has to know of the code, which its process never loads.

    Attributes:
        settings: what trikk.toml said when the code was last loaded; it may be broken by now.
        graphs: the pipelines as JSON, by name.
        trouble: why the code that is there now does not load, as `TrikkError.to_json` gives it; None if it does.
    """

    settings: dict[str, Any]
    graphs: dict[str, Any]
    trouble: dict[str, Any] | None = None


def settings_as_json(settings: Settings) -> dict[str, Any]:
    """The settings for a `Brief`."""
    return {**msgspec.to_builtins(settings, enc_hook=str), "root": str(settings.root)}


def settings_of(brief: Brief) -> Settings:
    """The settings in it."""
    return msgspec.convert(
        brief.settings, Settings, dec_hook=lambda kind, value: Path(value) if kind is Path else value
    )
