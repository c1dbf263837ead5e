"""Summaries of frames that can be merged and sent, and compared later without the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.errors import StorageError, UnknownName
from trikk.core.values import JSON, decode, encode
from trikk.drift.measures.column_summary import ColumnProfile

if TYPE_CHECKING:
    import polars as pl

VERSION = 1
BATCH = 250_000
"""Rows that are summed up at once where a frame is read in batches."""

AT_ONCE = 16
"""Batches that are merged at once."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A summary of rows: a few kB a column, mergeable, the same whatever the order of the rows.

    Attributes:
        rows: how many rows were summed up.
        columns: the summary of each column, by name.
    """

    rows: int
    columns: dict[str, ColumnProfile]

    def merge(self, *more: Profile) -> Profile:
        """The profile of all their rows together.

        In any order and grouping, counts, least and greatest values and categories come out the same, means
        and deviations the same up to rounding, and distributions the same within the bounds that each digest
        gives.
        """
        parts: dict[str, list[ColumnProfile]] = {}
        for one in (self, *more):
            for name, column in one.columns.items():
                parts.setdefault(name, []).append(column)
        columns = {name: summaries[0].merge(*summaries[1:]) for name, summaries in parts.items()}
        return Profile(sum(one.rows for one in (self, *more)), columns)

    def to_json(self) -> dict[str, JSON]:
        """The profile as JSON, less than 10 kB a column."""
        columns: dict[str, JSON] = {name: encode(column.to_json()) for name, column in self.columns.items()}
        return {"version": VERSION, "rows": self.rows, "columns": columns}

    @classmethod
    def read(cls, data: Mapping[str, Any]) -> Profile:
        """The profile that `to_json` wrote.

        Raises:
            StorageError: if it is none, or of a later version.
        """
        try:
            if data["version"] != VERSION:
                raise StorageError(f"a profile of version {data['version']!r}", next="update trikk")
            columns = {name: ColumnProfile.read(decode(column)) for name, column in data["columns"].items()}
            return cls(int(data["rows"]), columns)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StorageError("this is not a profile of rows", next="make it again with profile(...)") from error

    def dumps(self) -> str:
        """The profile as a text without blanks: what a device sends."""
        return dumps(self.to_json())


def dumps(written: Mapping[str, JSON]) -> str:
    """A profile that is JSON already as a text without blanks."""
    return json.dumps(written, separators=(",", ":"), ensure_ascii=False)


def profile(frame: pl.DataFrame | pl.LazyFrame, columns: Sequence[str] | None = None) -> Profile:
    """Sum up a frame.

    Args:
        frame: any rows. A LazyFrame is read by the streaming engine in batches and never held whole.
        columns: the columns to sum up; None for all.

    Raises:
        UnknownName: if there is no such column.
    """
    import polars as pl

    schema = frame.collect_schema()
    wanted = list(columns if columns is not None else schema.names())
    for name in wanted:
        if name not in schema:
            raise UnknownName("column", name, schema.names())
    chosen = frame.select(wanted)
    if isinstance(chosen, pl.DataFrame):
        return _profile_of(chosen)
    profiles = [_profile_of(pl.DataFrame(schema={name: schema[name] for name in wanted}))]
    for batch in chosen.collect_batches(chunk_size=BATCH, engine="streaming"):
        profiles.append(_profile_of(batch))
        # some at once: all of them would need memory that grows with the rows, one by one takes longer
        if len(profiles) > AT_ONCE:
            profiles = [profiles[0].merge(*profiles[1:])]
    return profiles[0].merge(*profiles[1:])


def _profile_of(frame: pl.DataFrame) -> Profile:
    return Profile(frame.height, {column.name: ColumnProfile.of(column) for column in frame.get_columns()})
