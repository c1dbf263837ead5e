"""Compare rows, or profiles of rows, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from trikk.drift.profile import Profile
from trikk.drift.report import DriftReport, Method

if TYPE_CHECKING:
    import polars as pl


def compare(
    reference: Profile | pl.DataFrame | pl.LazyFrame,
    current: Profile | pl.DataFrame | pl.LazyFrame,
    *,
    columns: Sequence[str] | None = None,
    methods: Method | Mapping[str, Method] | None = None,
    thresholds: Mapping[str, float] | None = None,
    alpha: float = 0.05,
    minimum: int = 100,
    correction: str | None = "benjamini-hochberg",
) -> DriftReport:
    """Say for each column whether its values are distributed as they were."""
    raise NotImplementedError
