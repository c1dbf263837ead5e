"""Pages of a list: so many of it, and a cursor that leads to the next ones.

A cursor names the last item of a page, and the next page begins behind that item, wherever it is by then. So what
is added meanwhile shifts no page: none of a list's items is missed, none comes twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, TypeVar

from msgspec import Meta

from trikk.server.http.routes import Given
from trikk.web.refused import Refused

T = TypeVar("T")
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many of them at most.")]
Cursor = Annotated[str, Meta(min_length=1, max_length=300, description="`next` of the page before.")]


class PageQuery(Given, frozen=True):
    """Which part of a list is wanted."""

    limit: Limit = 100
    cursor: Cursor | None = None


def page_of(items: Sequence[T], limit: int, key: Callable[[T], str]) -> tuple[list[T], str | None]:
    """The first so many items, and the cursor behind them: None if these are all.

    Args:
        items: what follows the query's cursor, one more than `limit` if there are so many.
        limit: how many are wanted.
        key: what a cursor says of the item that it is behind.
    """
    page = list(items[:limit])
    return page, key(page[-1]) if len(items) > limit else None


def names_page(names: Iterable[str], query: PageQuery) -> tuple[list[str], str | None]:
    """A page of names in their order, and the cursor behind it. A cursor need not be one of them: some go away."""
    after = query.cursor or ""
    return page_of(sorted(name for name in names if name > after), query.limit, str)


def number_cursor(cursor: str | None) -> int | None:
    """A cursor that is a number: of a line, or a version.

    Raises:
        Refused: 422 if it is none.
    """
    if cursor is not None and not (cursor.isascii() and cursor.isdecimal()):
        raise wrong_cursor()
    return None if cursor is None else int(cursor[:19])


def wrong_cursor() -> Refused:
    """The refusal of a cursor that leads nowhere."""
    return Refused(422, "there is no page behind this cursor", next="send `next` as the page before had it")
