"""The port of online stores: a cell for each entity of one feature table, and the state that they are in.

A store knows nothing of times. It keeps texts by text, shows readers one consistent state of all of them, and
takes a change whole or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from trikk.core.errors import RecordError, StorageError, UsageError
from trikk.core.record import Record
from trikk.features.feature_definition import Definition

FORMAT = 1


class State(Record, frozen=True):
    """What the cells of a store are."""

    definition: dict[str, Any]  # the feature table's definition, as JSON
    entity: list[str]  # the entity columns' types, as text, in their order
    values: dict[str, str]  # the features' types, as text, in the order of a cell's values
    aware: bool  # whether the times have a zone
    version: int  # the table's version that the cells are at
    horizon: int  # the first moment that can be asked for, in microseconds since 1970
    synced: float  # seconds since 1970 at which the store was changed last

    def dump(self) -> str:
        """The state as text."""
        return json.dumps({"format": FORMAT, **self.to_json()})

    @classmethod
    def parse(cls, text: str | bytes, definition: Definition) -> State:
        """The state that `dump` wrote of a feature table, perhaps by another definition.

        Raises:
            StorageError: if it is not one, or another trikk wrote it.
            UsageError: if it is another feature table's.
        """
        state = None
        with suppress(ValueError, TypeError, LookupError, AttributeError, RecordError):
            data = json.loads(text)
            state = cls.read(data) if data.pop("format") == FORMAT else None
        if state is not None:
            owner = state.definition["name"]
            if owner != definition.name:  # whose cells a sync would replace
                raise UsageError(
                    f"the online store holds feature table {owner}, not {definition.name}",
                    next=f'give each a file of its own: online="sqlite:///{definition.name}.db"',
                )
            return state
        raise StorageError(
            "the online store can't be read: what it says of itself is damaged, or another trikk has written it",
            next="update trikk, or sync with --rebuild: all of it comes from the table",
        )


class OnlineStore(Protocol):
    """Where a feature table is served from. Every method raises StorageError if it can't be reached or read."""

    def state(self) -> str | None:
        """The state's text; None if nothing was synced."""

    def read(self, entities: Sequence[str]) -> tuple[str | None, list[str | None]]:
        """The state, and the cells of some entities (None where there is none), all of the same moment."""

    def count(self) -> int:
        """How many entities have a cell."""

    def replace(self, before: str | None, after: str, cells: Iterable[tuple[str, str]]) -> int:
        """Put these cells, and the state `after`, in the place of all; returns how many.

        Raises:
            Conflict: if the state is not `before` any more; nothing is changed.
        """

    def update(
        self,
        before: str,
        after: str,
        cells: Iterable[tuple[str, str]],
        combine: Callable[[str, str | None, str], str],
    ) -> int:
        """Put `combine(entity, what is there, cell)` for each cell, and the state `after`; returns how many.

        Raises:
            Conflict: if the state is not `before` any more; nothing is changed.
        """


def open_online(
    definition: Definition, state_dir: Path | Callable[[], Path], to: str | None = None
) -> OnlineStore:
    """The online store of a feature table.

    Args:
        definition: the table's definition, which may name the store.
        state_dir: the project's `.trikk`, where the default store lies; called for only if it is used.
        to: another store than the definition's.

    Raises:
        UsageError: if the address is of an unknown kind, or a variable that it names is not set.
        MissingExtra: if it is Redis and its client is not installed.
    """
    from trikk.features.stores.sqlite_store import SqliteOnline
    from trikk.features.stores.store_address import resolve, sqlite_path

    address = to or definition.online
    if address is None:
        folder = state_dir() if callable(state_dir) else state_dir
        return SqliteOnline(folder / "features" / f"{definition.name}.db")
    resolved = resolve(address)
    if resolved.scheme == "sqlite":
        return SqliteOnline(sqlite_path(resolved))
    from trikk.features.stores.redis_store import RedisOnline

    return RedisOnline(resolved, definition.name)
