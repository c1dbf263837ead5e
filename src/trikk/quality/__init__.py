"""Quality gates: checks of data that stop a run before bad data goes on."""

from __future__ import annotations

from trikk.quality.blocked import GateBlocked
from trikk.quality.check import (
    Check,
    between,
    fresh,
    has_columns,
    holds,
    like,
    matches,
    not_null,
    one_of,
    refers_to,
    row_count,
    seen_in_training,
    unique,
)
from trikk.quality.foreign import expectations, pandera_schema
from trikk.quality.gate import quality_gate

__all__ = [
    "quality_gate",
    "Check",
    "has_columns",
    "not_null",
    "unique",
    "between",
    "one_of",
    "matches",
    "row_count",
    "fresh",
    "refers_to",
    "like",
    "seen_in_training",
    "holds",
    "pandera_schema",
    "expectations",
    "GateBlocked",
]
