"""Bringing an online store up to its table: what is new where that is enough, all of it where it is not."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from trikk.core.errors import Conflict, StorageError, UnknownName, UsageError
from trikk.core.record import Record
from trikk.features.cell_encoding import check_types, entity_text, moment_of, show_moment, to_wire
from trikk.features.cells import dump, merged
from trikk.features.feature_definition import Definition
from trikk.features.feature_rows import Facts, facts
from trikk.features.online import OnlineStore, State, open_online
from trikk.features.project_place import Place

if TYPE_CHECKING:
    import polars as pl

_SLICE = 50_000  # rows that are Python values at once
_FEW = 100_000  # new rows beyond which all cells are written anew
_ATTEMPTS = 5
_GRACE = timedelta(minutes=5)  # requests under way, and clocks that go behind, ask for a moment before the sync


class Synced(Record, frozen=True):
    """What a sync came to."""

    name: str  # the feature table
    version: int  # the table's version that is online now
    entities: int  # how many entities were written
    rebuilt: bool  # whether the whole table was read
    at: str  # the first moment that can be asked for, ISO 8601


def sync(
    definition: Definition,
    place: Place,
    *,
    at: datetime | None = None,
    to: str | None = None,
    rebuild: bool = False,
) -> Synced:
    """Bring the online store to the table's newest version. Doing it again changes nothing.

    Args:
        definition: the feature table.
        place: its project.
        at: the first moment that will be asked for; five minutes before the run's moment, or before now, if not
            given. It never goes back, unless everything is rebuilt.
        to: another store than the definition's.
        rebuild: read the whole table.

    Raises:
        UnknownName: if there is no such table.
        UsageError: if its rows do not fit the definition, or `at` has a zone where its times have none.
        StorageError: if the table or the store can't be read or written.
        Conflict: if others kept syncing at the same time.
    """
    store = open_online(definition, place.state_dir, to)
    for _ in range(_ATTEMPTS):
        try:
            return _once(definition, place, store, at, rebuild=rebuild)
        except Conflict:
            continue
    raise Conflict(
        f"feature table {definition.name} was synced by others at each of {_ATTEMPTS} attempts", next="sync again"
    )


def _once(
    definition: Definition, place: Place, store: OnlineStore, at: datetime | None, *, rebuild: bool
) -> Synced:
    version = place.tables.version(definition.name)
    if version is None:
        raise UnknownName("table", definition.name, place.tables.names())
    before = store.state()
    state = None if before is None else _parsed(before, definition, rebuild=rebuild)
    # a table that went back (restored, or made anew) is read whole, as after another definition
    if state is not None and (_meaning(state) != definition.meaning or state.version > version):
        state = None
    if state is not None and state.version == version:
        return Synced(definition.name, version, 0, False, show_moment(state.horizon, state.aware))
    if state is not None and before is not None:
        done = _added(definition, place, store, before, state, version, at)
        if done is not None:
            return done
    known = _facts(definition, place.tables.scan(definition.name, version))
    horizon = _horizon(definition, place, at, known.aware)
    # the horizon never goes back: cells before it may have been dropped already
    if state is not None and state.aware == known.aware:
        horizon = max(state.horizon, horizon)
    after = _state(definition, known, version, horizon)
    count = store.replace(before, after.dump(), _cells(known, horizon, definition.ttl))
    return Synced(definition.name, version, count, True, show_moment(horizon, known.aware))


def _parsed(before: str, definition: Definition, *, rebuild: bool) -> State | None:
    """What a store says of itself; None if it is to be filled anew whatever that is, but for another's."""
    try:
        state = State.parse(before, definition)
    except StorageError:  # damaged, which a rebuild mends
        if not rebuild:
            raise
        return None
    return None if rebuild else state


def _added(
    definition: Definition,
    place: Place,
    store: OnlineStore,
    before: str,
    state: State,
    version: int,
    at: datetime | None,
) -> Synced | None:
    """Put the rows that came since the last sync; None if all of the table is to be read."""
    new = place.tables.appended(definition.name, state.version, version)
    if new is None:
        return None
    known = _facts(definition, new)
    # It never goes back: cells of before may have been dropped.
    horizon = max(state.horizon, _horizon(definition, place, at, known.aware))
    after = _state(definition, known, version, horizon)
    # cells of other types can't be mixed with those that are there; and for many rows a rebuild is faster
    alike = (after.entity, after.values, after.aware) == (state.entity, state.values, state.aware)
    if not alike or known.entity.height > _FEW:
        return None
    cells = _cells(known, horizon, None)
    count = store.update(before, after.dump(), cells, partial(merged, horizon=horizon))
    return Synced(definition.name, version, count, False, show_moment(horizon, known.aware))


def _facts(definition: Definition, rows: pl.LazyFrame) -> Facts:
    known = facts(definition, rows)
    check_types(definition.name, known.values.schema)
    return known


def _meaning(state: State) -> str:
    return Definition.read(state.definition).meaning


def _state(definition: Definition, known: Facts, version: int, horizon: int) -> State:
    return State(
        definition=definition.to_json(),
        entity=[str(dtype) for dtype in known.entity.dtypes],
        values={name: str(dtype) for name, dtype in known.values.schema.items()},
        aware=known.aware,
        version=version,
        horizon=horizon,
        synced=time.time(),
    )


def _horizon(definition: Definition, place: Place, at: datetime | None, aware: bool) -> int:
    where = f"feature table {definition.name}"
    if at is None:
        if not aware:
            raise UsageError(
                f"the times of {where} have no time zone, so that it is not known which are past",
                next="store times with a zone, or say at= which moment to serve from",
            )
        moment = place.moment
        at = (datetime.now(UTC) if moment is None else datetime.fromtimestamp(moment, UTC)) - _GRACE
    return moment_of(at, aware, where)


def _cells(known: Facts, horizon: int, ttl: int | None) -> Iterator[tuple[str, str]]:
    """The entities' cells: of each the last row that is available at the horizon, and all that come later."""
    # `ttl` only where the cells take the place of all: an old row must not be left out while an older one stays.
    import polars as pl

    _, rows = known.by_entity()
    past = pl.col("available") <= horizon
    if ttl is not None:
        rows = rows.filter(~past | (horizon - pl.col("rank") <= ttl))
    last = rows.filter(past).unique("id", keep="last", maintain_order=True)
    rows = pl.concat([last, rows.filter(~past)]).sort("id", maintain_order=True)
    yield from _grouped(known, rows)


def _grouped(known: Facts, rows: pl.DataFrame) -> Iterator[tuple[str, str]]:
    for _, group in itertools.groupby(_encoded(known, rows), key=lambda row: row[0]):
        versions = list(group)
        yield (
            entity_text(versions[0][1]),
            dump([[available, rank, values] for _, _, available, rank, values in versions]),
        )


def _encoded(
    known: Facts, rows: pl.DataFrame
) -> Iterator[tuple[int, tuple[object, ...], int, int, tuple[object, ...]]]:
    """Of each row its entity's number, entity, times and values, as plain Python values."""
    import polars as pl

    keys = [to_wire(pl.col(name), dtype) for name, dtype in known.entity.schema.items()]
    wires = [to_wire(pl.col(name), dtype) for name, dtype in known.values.schema.items()]
    for part in rows.iter_slices(_SLICE):
        at = part["row"]
        entities = known.entity[at].select(keys).iter_rows()
        values = known.values[at].select(wires).iter_rows()
        times = part.select("id", "available", "rank").iter_rows()
        for (number, available, rank), entity, value in zip(times, entities, values, strict=True):
            yield number, entity, available, rank, value
