"""Opening a Delta table so that polars finds its files, and reads them in the order in which they came.

delta-rs lists the files of the newest commit first, those of one commit in the order in which they were written,
and a checkpoint keeps that (deltalake 1.6); read so, the last row of a key would be its oldest. It also writes the
names of local files as in a URL (`a%20b`), and polars takes them as they are (polars 2.1), so that a table in a
folder with a blank or an umlaut could be written and not be read.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable

    from trikk.storage.tables.data_files import Files

# With delta-rs' defaults a checkpoint drops the log of every version older than 30 days.
PROPERTIES = {
    "delta.enableExpiredLogCleanup": "false",
    "delta.logRetentionDuration": "interval 36500 days",
    "delta.deletedFileRetentionDuration": "interval 36500 days",
    "delta.checkpointInterval": "50",
}
_PART = re.compile(r"part-\d+-")


def open_table(location: str, version: int | None, options: Mapping[str, str] | None) -> DeltaTable:
    """A snapshot of the table at a folder or URL, whose files are in the order of their commits.

    Raises delta-rs' own errors if there is none.

    Args:
        location: an absolute path, or s3://...
        version: which; the newest if None.
        options: how an object store is reached.
    """
    given = None if options is None else dict(options)
    is_plain = "://" in location or quote(location) == location
    table: DeltaTable = _in_order()(location, version=version, storage_options=given)
    table.named_as_in_a_url = not is_plain  # type: ignore[attr-defined]
    return table


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table is: its name, its folder or URL, the options with which that is reached, and what lists it."""

    name: str
    location: str
    options: dict[str, str] | None
    files: Files

    def open(self, version: int | None = None) -> DeltaTable | None:
        """A fresh snapshot of the table, None if there is none; delta-rs' own errors otherwise."""
        from deltalake.exceptions import TableNotFoundError

        try:
            return open_table(self.location, version, self.options)
        except TableNotFoundError:
            return None


def oldest_first(paths: Sequence[str]) -> list[int]:
    """The places of files, listed newest commit first, in the order in which their rows came.

    Files of one write differ by the number of their part alone; they stay in its order.

    Args:
        paths: as delta-rs lists them.
    """
    writes = [_PART.sub("", path.rpartition("/")[2], count=1) for path in paths]
    groups = [list(places) for _, places in groupby(range(len(paths)), key=writes.__getitem__)]
    return list(chain.from_iterable(reversed(groups)))


@functools.cache
def _in_order() -> Any:
    import polars as pl
    from deltalake import DeltaTable

    class InOrder(DeltaTable):
        """A table that lists its files in the order of their commits, by the names that the filesystem knows."""

        named_as_in_a_url = False

        def file_uris(self, *args: Any, **kwargs: Any) -> list[str]:
            uris = super().file_uris(*args, **kwargs)
            ordered = [uris[place] for place in oldest_first(uris)]
            return [unquote(uri) for uri in ordered] if self.named_as_in_a_url else ordered

        def get_add_actions(self, *args: Any, **kwargs: Any) -> pl.DataFrame:  # type: ignore[override]
            actions = pl.DataFrame(super().get_add_actions(*args, **kwargs))
            return actions[oldest_first(actions["path"].to_list())]

    return InOrder
