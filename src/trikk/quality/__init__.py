"""Quality gates: checks of data that stop a run before bad data goes on."""

from __future__ import annotations

from trikk.quality.blocked import GateBlocked
from trikk.quality.check import Check
from trikk.quality.checks.distribution_checks import like
from trikk.quality.checks.frame_checks import fresh, has_columns, row_count
from trikk.quality.checks.key_checks import refers_to, unique
from trikk.quality.checks.statement_checks import holds
from trikk.quality.checks.training_checks import seen_in_training
from trikk.quality.checks.value_checks import between, matches, not_null, one_of
from trikk.quality.foreign.with_expectations import expectations
from trikk.quality.foreign.with_pandera import pandera_schema
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
