"""Summaries of frames that can be merged and sent, and compared later without the rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.values import JSON

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Profile:
    """A summary of rows: small, mergeable, the same whatever the order of the rows.

    Attributes:
        rows: how many rows were summed up.
    """

    rows: int

    def merge(self, *others: Profile) -> Profile:
        """The profile of all their rows together."""
        raise NotImplementedError

    def to_json(self) -> dict[str, JSON]:
        """The profile as JSON, less than 10 kB a column."""
        raise NotImplementedError

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote."""
        raise NotImplementedError


def profile(frame: pl.DataFrame | pl.LazyFrame, columns: Sequence[str] | None = None) -> Profile:
    """Sum up a frame; a LazyFrame is read in batches and never held whole."""
    raise NotImplementedError
