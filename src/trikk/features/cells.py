"""Cells: what is online of one entity, and which of its values count at a moment. Pure.

A cell is JSON, a list of versions `[available, rank, values]` in the order in which they become available. Of
those available at a moment the one with the greatest rank counts. From the horizon on (the moment of the last
sync) most cells need one version; another that is not available yet waits behind it and does not hide it.
"""

from __future__ import annotations

import json
from typing import Any

from trikk.core.errors import UsageError

Version = list[Any]  # [available, rank, values]


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
    """The values that count at a moment, None if none do.

    Args:
        cell: the entity's cell, None if it has none.
        moment: microseconds since 1970, not before the horizon.
        ttl: how much older than the moment the rank may be, in microseconds.
    """
    if cell is None:
        return None
    for available, rank, values in reversed(json.loads(cell)):
        if available <= moment:
            fresh = ttl is None or moment - rank <= ttl
            return list(values) if fresh else None
    return None
