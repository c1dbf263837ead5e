"""Quality gates: checks of data that stop a run before bad data goes on.

All but the gate is loaded when it is asked for, since every process of a run imports trikk.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from trikk.core.package import lazy_names
from trikk.quality.gate import quality_gate

if TYPE_CHECKING:
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
__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "blocked": "GateBlocked",
        "check": "Check",
        "checks.distribution_checks": "like",
        "checks.frame_checks": "fresh has_columns row_count",
        "checks.key_checks": "refers_to unique",
        "checks.statement_checks": "holds",
        "checks.training_checks": "seen_in_training",
        "checks.value_checks": "between matches not_null one_of",
        "foreign.with_expectations": "expectations",
        "foreign.with_pandera": "pandera_schema",
    },
)
