"""Point-in-time joins as one would explain them: for each row, look at every fact. The reference for the tests."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from trikk.features.feature_definition import Definition


def naive_join(
    definition: Definition, facts: list[dict[str, Any]], moments: list[tuple[tuple[Any, ...], datetime]]
) -> list[dict[str, Any] | None]:
    """For each entity and moment the fact that counts, or None."""
    return [_one(definition, facts, entity, moment) for entity, moment in moments]


def _one(
    definition: Definition, facts: list[dict[str, Any]], entity: tuple[Any, ...], moment: datetime
) -> dict[str, Any] | None:
    best: dict[str, Any] | None = None
    for fact in facts:
        if tuple(fact[name] for name in definition.entity) != entity:
            continue
        if fact[definition.time] + timedelta(microseconds=definition.delay) > moment:
            continue  # not known, or not available, at that moment
        if best is None or _order(definition, fact) > _order(definition, best):
            best = fact
    if best is None or definition.ttl is None:
        return best
    age = moment - best[definition.event or definition.time]
    return best if age <= timedelta(microseconds=definition.ttl) else None


def _order(definition: Definition, fact: dict[str, Any]) -> tuple[datetime, datetime]:
    return fact[definition.event or definition.time], fact[definition.time]
