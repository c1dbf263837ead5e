"""All kinds of checks by their names: what the step of a gate reads them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trikk.quality.check import Check
from trikk.quality.checks.distribution_checks import Like
from trikk.quality.checks.frame_checks import Fresh, HasColumns, RowCount
from trikk.quality.checks.key_checks import RefersTo, Unique
from trikk.quality.checks.statement_checks import Holds
from trikk.quality.checks.training_checks import SeenInTraining
from trikk.quality.checks.value_checks import Between, Matches, NotNull, OneOf
from trikk.quality.foreign.with_expectations import ExpectationSuite
from trikk.quality.foreign.with_pandera import PanderaSchema

_CLASSES: tuple[type[Check], ...] = (
    HasColumns,
    NotNull,
    Unique,
    Between,
    OneOf,
    Matches,
    RowCount,
    Fresh,
    RefersTo,
    Like,
    SeenInTraining,
    Holds,
    PanderaSchema,
    ExpectationSuite,
)
KINDS = {cls.kind: cls for cls in _CLASSES}


def read_check(data: Mapping[str, Any], what: object = None) -> Check:
    """The check that `Check.to_json` wrote, with the object that is not data."""
    return KINDS[data["kind"]].of_json(data, what)
