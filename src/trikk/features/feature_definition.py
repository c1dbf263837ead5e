"""What a feature table is: its entity, its times, its features. Pure, and JSON, so that a command needs no code.

Times are whole microseconds since 1970 here and in everything below; a time with a zone counts in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.digests import digest_bytes
from trikk.core.durations import Duration, seconds
from trikk.core.errors import UsageError
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.core.values import canonical
from trikk.features.stores.store_address import check_address


class Definition(Record, frozen=True):
    """A feature table's definition; its JSON holds no secret."""

    name: str  # the table's name
    entity: tuple[str, ...]  # the columns that say whom a row is about
    time: str  # the column with the moment at which the row's values became known
    # the column with the moment that the values are about, or None where the last known row counts
    event: str | None = None
    # the features' names, with their type as text ("Float64") or None for any; None: all the others
    features: dict[str, str | None] | None = None
    ttl: int | None = None  # how old values may be, in microseconds, or None for any age
    delay: int = 0  # how long after `time` a row may be used, in microseconds
    # where rows are served from, secrets by reference; None for the project's own SQLite file
    online: str | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that tell a table's rows apart."""
        return (*self.entity, self.time) if self.event is None else (*self.entity, self.event, self.time)

    @property
    def meaning(self) -> str:
        """A digest of all that decides which row is used when; where it is served from does not."""
        return digest_bytes(canonical({k: v for k, v in self.to_json().items() if k != "online"}))


def checked(definition: Definition) -> Definition:
    """The definition, if it can work.

    Raises:
        UsageError: if a name is wrong, a column has two roles, or no row could ever be used.
    """
    name, features = definition.name, definition.features
    check_name("feature table", name)
    event = [] if definition.event is None else [definition.event]
    roles = [*definition.entity, definition.time, *event, *(features or {})]
    if not definition.entity or not all(isinstance(column, str) and column for column in roles):
        raise UsageError(
            f"feature table {name} has a column without a name",
            next='write entity=["line", "stop"], time="known_at"',
        )
    twice = sorted({column for column in roles if roles.count(column) > 1})
    if twice:
        raise UsageError(
            f"column {twice[0]!r} has two roles in feature table {name}", next="name each column once"
        )
    if features is not None and not features:
        raise UsageError(f"feature table {name} has no features", next="name them, or leave features= out for all")
    if definition.online is not None:
        check_address(definition.online)
    if definition.ttl is not None and definition.ttl < definition.delay:
        raise UsageError(
            f"no value of feature table {name} could ever be used: it is too old (ttl) before it is available",
            next="make ttl longer than available_after",
        )
    return definition


def types_of(features: Sequence[str] | Mapping[str, object] | None) -> dict[str, str | None] | None:
    """Features as an author names them, with their types as text; None for all columns."""
    if features is None:
        return None
    if isinstance(features, str):
        return {features: None}
    if not isinstance(features, Mapping):
        return dict.fromkeys(features)
    return {name: None if kind is None else _type_text(kind) for name, kind in features.items()}


def _type_text(kind: object) -> str:
    """A polars type as the text that a stored column of it has."""
    if isinstance(kind, str):
        return kind
    from trikk.storage.tables.types import stored_type

    dtype: Any = kind() if isinstance(kind, type) else kind
    return str(stored_type("feature", dtype))


def microseconds_of(value: Duration, what: str) -> int:
    """A duration in whole microseconds; UsageError, naming the argument, if it is not one."""
    return round(seconds(value, what=what) * 1_000_000)
