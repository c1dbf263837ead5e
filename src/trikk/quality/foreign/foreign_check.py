"""A check that another library runs."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.quality.check import Check

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class ForeignCheck(Check):
    """A schema or suite that its own library runs, over rows that are collected for it."""

    @abstractmethod
    def findings(self, rows: pl.LazyFrame, given: object, *, sample: int) -> list[dict[str, Any]]:
        """The results of its parts.

        Raises:
            MissingExtra: if the library is not installed.
        """
