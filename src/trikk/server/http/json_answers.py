"""JSON as answers have it: numbers that JSON does not know are null, and any text at all can be written."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec

from trikk.core.values import finite


def encoded(document: Any) -> bytes:
    """A document as JSON in UTF-8; what JSON has no kind for is its text."""
    try:
        return msgspec.json.encode(document, enc_hook=_plain)  # NaN and infinities become null
    except UnicodeEncodeError:
        # A lone surrogate, as in the name of a file that is not UTF-8: json escapes it.
        return json.dumps(finite(msgspec.to_builtins(document, enc_hook=_plain)), default=_plain).encode()


def _plain(value: object) -> object:
    to_json = getattr(value, "to_json", None)
    if to_json is not None:
        return to_json()
    return value.isoformat() if isinstance(value, date) else str(value)
