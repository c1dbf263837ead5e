"""A run's parameters, and what it is for, on one line as people read them: in lists, in messages, in incidents."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from trikk.core.text import printable, shorten

_LONGEST = 60  # characters of one value
MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
"""With a zone: only such a time can be shown by another clock; a time without one stays as it is."""
_DIGEST_OF_FILE = re.compile(r"@[0-9a-f]{16}$")


def parameters_text(parameters: Mapping[str, Any], zone: ZoneInfo) -> str:
    """Parameters as `name=value`, joined by blanks; texts as they are, others as JSON, a long one shortened.

    Args:
        parameters: by name, as JSON.
        zone: whose clock shows the moment of an event.
    """
    shown = {name: _value_text(value, zone) for name, value in parameters.items()}
    return " ".join(f"{name}={shorten(printable(text), _LONGEST)}" for name, text in shown.items())


def tick_text(tick: str, zone: ZoneInfo) -> str:
    """What a trigger's run is for: a moment by a clock, with seconds if it has some, or an event.

    Args:
        tick: a moment in ISO, or an event's id; of a file that ends in a digest of its size and time, which only
            programs need.
        zone: whose clock.
    """
    if not MOMENT.fullmatch(tick):  # 20261130, as a caller may name an event, is no moment
        return _DIGEST_OF_FILE.sub("", tick)
    moment = datetime.fromisoformat(tick).astimezone(zone)
    return f"{moment:%Y-%m-%d %H:%M:%S %Z}" if moment.second else f"{moment:%Y-%m-%d %H:%M %Z}"


def _value_text(value: Any, zone: ZoneInfo) -> str:
    if isinstance(value, dict) and value.keys() >= {"id", "kind", "at"}:  # an Event: its JSON has all of it
        return tick_text(str(value["id"]), zone)
    return value if isinstance(value, str) else json.dumps(value)
