"""Cells: what is online of one entity, and which of its values count at a moment. Pure.

A cell is JSON, a list of versions `[available, rank, values]` in the order in which they become available. Of
those available at a moment the one with the greatest rank counts. From the horizon on (the moment of the last
sync) most cells need one version; another that is not available yet waits behind it and does not hide it.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any

from trikk.core.errors import UsageError

Version = list[Any]  # [available, rank, values]


class Missing(StrEnum):
    """Why there are no values of an entity: there are none by then, or they are older than the ttl."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"


class Contradiction(Exception):
    """Two versions of an entity, of one time, say different things."""


def dump(versions: list[Version]) -> str:
    """A cell's text."""
    return json.dumps(versions, separators=(",", ":"))


def survivors(versions: list[Version], horizon: int) -> list[Version]:
    """The versions that count at some moment from `horizon` on, in order.

    Raises:
        Contradiction: if two versions of one time say different things.
    """
    kept: list[Version] = []
    # one that becomes available later with a smaller rank never counts, since the greater rank is there by then
    for version in sorted(versions, key=lambda v: (v[0], v[1])):
        if kept and version[1] < kept[-1][1]:
            continue
        if kept and version[:2] == kept[-1][:2]:
            if dump([version]) != dump([kept[-1]]):
                raise Contradiction
            continue
        if kept and version[0] <= horizon:
            kept.clear()  # all that was kept is available by then as well, and of smaller rank
        kept.append(version)
    return kept


def merged(entity: str, old: str | None, new: str, horizon: int) -> str:
    """The cell of an entity that had `old` and got `new`.

    Raises:
        UsageError: if they contradict each other.
    """
    if old is None:
        return new
    try:
        return dump(survivors([*json.loads(old), *json.loads(new)], horizon))
    except Contradiction:
        raise UsageError(
            f"rows contradict each other: the same entity and time with other values, for {entity}",
            next="keep one of them (merge or overwrite the table); a correction has the later time",
        ) from None


def pick(cell: str | bytes | None, moment: int, ttl: int | None) -> list[Any] | None:
    """The values that count at a moment; None if none do. All times are microseconds, moments since 1970."""
    newest = _newest(cell, moment)
    return list(newest[2]) if newest is not None and _is_fresh(newest, moment, ttl) else None


def why_none(cell: str | bytes | None, moment: int, ttl: int | None) -> tuple[Missing, int] | None:
    """Why no values count at a moment, and of an expired cell the rank of the newest; None if some do.

    Arguments as for `pick`.
    """
    newest = _newest(cell, moment)
    if newest is None:
        return Missing.UNKNOWN, 0
    return None if _is_fresh(newest, moment, ttl) else (Missing.EXPIRED, newest[1])


def _newest(cell: str | bytes | None, moment: int) -> Version | None:
    versions: list[Version] = [] if cell is None else json.loads(cell)
    return next((version for version in reversed(versions) if version[0] <= moment), None)


def _is_fresh(version: Version, moment: int, ttl: int | None) -> bool:
    return ttl is None or moment - version[1] <= ttl
