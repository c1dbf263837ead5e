"""Answers at serving time: a look into the online store, by the rule by which training rows were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trikk.core.errors import UnknownName, UsageError
from trikk.features.cell_encoding import (
    Convert,
    entity_text,
    from_wire,
    key_reader,
    moment_of,
    read_type,
    reader,
    show_moment,
    to_wire,
    wire_type,
)
from trikk.features.cells import Missing, pick, why_none
from trikk.features.feature_definition import Definition
from trikk.features.online import OnlineStore, State

if TYPE_CHECKING:
    import polars as pl

_SKEW = 5 * 60 * 1_000_000  # microseconds by which the clocks of who syncs and who serves may differ

Feature = tuple[str, int, Convert | None]  # its name, its position in a cell, what makes a Python value of it


@dataclass(frozen=True, slots=True)
class View:
    """A state with what reads keys and values by it, prepared once for as long as the state stays."""

    text: str  # the state's text
    state: State
    definition: Definition  # the feature table's definition
    keys: list[tuple[str, Convert]]  # for each entity column its name, and what reads a key's value
    values: list[Feature]  # the features

    @property
    def where(self) -> str:
        """The feature table, for errors."""
        return f"feature table {self.definition.name}"

    def chosen(self, features: Sequence[str] | None) -> list[Feature]:
        """The features of these names, all if None; UnknownName if there is none of a name."""
        if features is None:
            return self.values
        known = {feature[0]: feature for feature in self.values}
        for name in features:
            if name not in known:
                raise UnknownName("feature", name, known)
        return [known[name] for name in features]

    def moment(self, at: datetime | None) -> int:
        """The moment that is asked for; UsageError if the store does not know it."""
        horizon, aware = self.state.horizon, self.state.aware
        if at is None:
            if not aware:
                raise UsageError(
                    "the feature table's times have no time zone, so that it is not known which are past",
                    where=self.where,
                    next="store times with a zone, or say at= which moment is asked for",
                )
            now = moment_of(datetime.now(UTC), aware, self.where)
            if horizon > now + _SKEW:
                raise UsageError(
                    f"the online store answers from {show_moment(horizon, aware)} on, which is to come",
                    where=self.where,
                    next="say at=, or sync with rebuild for an earlier moment",
                )
            # The clock of who synced may be a little ahead.
            return max(horizon, now)
        moment = moment_of(at, aware, self.where)
        if moment < horizon:
            raise UsageError(
                f"the online store answers from {show_moment(horizon, aware)} on, not for {at.isoformat()}",
                where=self.where,
                next="use join_as_of for earlier moments",
            )
        return moment


def view_of(definition: Definition, text: str | None) -> View:
    """What a store's state means for a definition.

    Raises:
        UsageError: if nothing was synced, or under another definition.
    """
    name = definition.name
    if text is None:
        raise UsageError(
            f"feature table {name} is not online",
            next=f"run trikk features sync {name}, or call its sync() in a pipeline",
        )
    state = State.parse(text, definition)
    if Definition.read(state.definition).meaning != definition.meaning:
        raise UsageError(
            f"feature table {name} is online under another definition",
            next=f"sync it again: call its sync() in a pipeline, then run that, or trikk features sync {name}",
        )
    where = f"feature table {name}"
    types = zip(definition.entity, state.entity, strict=True)
    keys = [(column, key_reader(column, kind, where)) for column, kind in types]
    values = [(column, i, reader(kind)) for i, (column, kind) in enumerate(state.values.items())]
    return View(text, state, definition, keys, values)


class Server:
    """Answers for one feature table from one online store, which stays open."""

    def __init__(self, definition: Definition, store: OnlineStore) -> None:
        self._definition = definition
        self._store = store
        self._view: View | None = None

    def rows(
        self, keys: Sequence[Mapping[str, Any]], at: datetime | None, features: Sequence[str] | None
    ) -> list[dict[str, Any]]:
        """Answers for keys that are dicts, as `FeatureTable.latest` describes."""
        view, cells = self._cells_of(lambda view: [_entity(view, key) for key in keys], at)
        chosen = view.chosen(features)
        answers = []
        for key, values in zip(keys, cells, strict=True):
            answer = {name: key[name] for name in self._definition.entity}
            for name, position, convert in chosen:
                value = None if values is None else values[position]
                answer[name] = value if value is None or convert is None else convert(value)
            answers.append(answer)
        return answers

    def missing(self, key: Mapping[str, Any], at: datetime | None) -> tuple[Missing, str] | None:
        """Why there are no features of an entity at a moment, and of expired ones from when the newest are."""
        view = view_of(self._definition, self._store.state())
        entity = _entity(view, key)
        if entity is None:
            return Missing.UNKNOWN, ""
        (cell,) = self._store.read([entity])[1]
        reason = why_none(cell, view.moment(at), self._definition.ttl)
        if reason is None:
            return None
        why, rank = reason
        return why, "" if why is Missing.UNKNOWN else show_moment(rank, view.state.aware)

    def frame(self, keys: Any, at: datetime | None, features: Sequence[str] | None) -> pl.DataFrame:
        """Answers for keys that are rows of a frame, as `FeatureTable.latest` describes."""
        import polars as pl

        from trikk.storage.frames import rows_of

        frame = rows_of(keys)
        for name in self._definition.entity:
            if name not in frame.columns:
                raise _no_column(name, frame.columns, self._definition.name)
        frame = frame.select(self._definition.entity)
        view, cells = self._cells_of(lambda view: _entities(view, frame), at)
        columns = []
        for name, position, _ in view.chosen(features):
            dtype = read_type(view.state.values[name])
            plain = pl.Series(name, [None if row is None else row[position] for row in cells], wire_type(dtype))
            columns.append(plain.to_frame().select(from_wire(pl.col(name), dtype)).to_series())
        return frame.hstack(columns)

    def _cells_of(
        self, entities_of: Callable[[View], list[str | None]], at: datetime | None
    ) -> tuple[View, list[list[Any] | None]]:
        """The values that count at a moment for each entity, all from one state of the store."""
        view = self._view or view_of(self._definition, self._store.state())
        # the types of keys and values are the state's: if a sync came between, ask again by the new ones
        while True:
            entities = entities_of(view)
            state, cells = self._store.read([text for text in entities if text is not None])
            if state == view.text:
                break
            view = view_of(self._definition, state)
        # Kept only once a read has agreed with it.
        self._view = view
        moment, ttl = view.moment(at), self._definition.ttl
        left = iter(cells)
        return view, [None if text is None else pick(next(left), moment, ttl) for text in entities]


def _entity(view: View, key: Mapping[str, Any]) -> str | None:
    """What the entity of a key is stored under; None if a part of it is None."""
    plain = []
    for name, read in view.keys:
        if name not in key:
            raise _no_column(name, key, view.definition.name)
        plain.append(None if key[name] is None else read(key[name]))
    return None if None in plain else entity_text(plain)


def _entities(view: View, frame: pl.DataFrame) -> list[str | None]:
    import polars as pl

    from trikk.features.feature_rows import as_key

    types = [read_type(text) for text in view.state.entity]
    typed = [as_key(c, t, view.where) for c, t in zip(frame.get_columns(), types, strict=True)]
    wires = [to_wire(pl.col(c.name), c.dtype) for c in typed]
    rows = pl.DataFrame(typed).select(wires).iter_rows()
    return [None if None in row else entity_text(row) for row in rows]


def _no_column(name: str, columns: Any, table: str) -> UsageError:
    return UsageError(
        f"a key has no {name!r}", where=f"feature table {table}", next=f"it has: {', '.join(map(str, columns))}"
    )
