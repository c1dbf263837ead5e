"""What the address of a table's page says beside its name."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from trikk.server.http.paging import Cursor
from trikk.server.http.routes import Given

Text = Annotated[str, Meta(max_length=1000)]


class TableQuery(Given, frozen=True):
    """What of a table is shown, and how."""

    tab: Literal["rows", "columns", "versions", "readers"] = "rows"
    version: Annotated[int, Meta(ge=0, le=1 << 62)] | None = None  # the newest if not given
    where: Annotated[str, Meta(max_length=4000)] | None = None  # conditions, as the API takes them
    column: Text | None = None  # of a condition that is added to these; or whose summary is shown
    comparison: Annotated[str, Meta(max_length=20)] | None = None
    value: Text | None = None
    sort: Text | None = None  # a column; "-" before it: largest first
    offset: Annotated[int, Meta(ge=0, le=1_000_000)] = 0  # of the rows
    across: Annotated[int, Meta(ge=0, le=100_000)] = 0  # how many columns to leave out
    named: Text | None = None  # only columns with this piece in their names
    cursor: Cursor | None = None  # of versions and readers
