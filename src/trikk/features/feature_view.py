"""Feature tables as commands and servers show them: what is online, and one entity's features as served."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError, UsageError
from trikk.core.record import Record
from trikk.core.values import JSON
from trikk.features.actions import names, remembered
from trikk.features.cells import Missing
from trikk.features.feature_definition import Definition
from trikk.features.online import State, open_online
from trikk.features.serve import Server, view_of

if TYPE_CHECKING:
    from trikk.execution.project import Project


_LARGEST_KEY = 64  # bits of a whole number that a column can hold


class FeatureTableLine(Record, frozen=True):
    """A feature table, and what is online of it.

    Attributes:
        name: its name.
        entity: the columns that say whom a row is about.
        table_version: the newest version of its table; None if there is none.
        online: the address of its online store, with secrets by reference; "sqlite" for the project's own file.
        entities: how many entities are online; this and the next three are None if nothing is.
        version: the table's version that is online.
        behind: how many versions that is behind the newest.
        synced: when the store was changed last, seconds since 1970.
        error: why it can't be served; None if it can.
    """

    name: str
    entity: tuple[str, ...]
    table_version: int | None
    online: str
    entities: int | None = None
    version: int | None = None
    behind: int | None = None
    synced: float | None = None
    error: str | None = None


class EntityFeatures(Record, frozen=True):
    """One entity's features as they are served.

    Attributes:
        features: the key and the features, by column.
        missing: why there are no values; None if there are.
        why: the same in a sentence; "" if there are.
    """

    features: dict[str, Any]
    missing: Missing | None = None
    why: str = ""


def feature_tables(project: Project) -> list[FeatureTableLine]:
    """All feature tables that pipelines have written or synced."""
    return [_line(project, name) for name in names(project.journal)]


def entity_features(
    project: Project, name: str, key: Mapping[str, str], at: datetime | None, online: str | None = None
) -> EntityFeatures:
    """The features of one entity.

    Args:
        project: the project.
        name: the feature table.
        key: the entity's columns, with their values as texts.
        at: for which moment; now if not given.
        online: another online store than the definition's.

    Raises:
        UnknownName: if there is no such feature table.
        UsageError: if the key is not the entity's, nothing is online, or the moment is not known there.
        StorageError: if the store can't be read.
    """
    definition = remembered(project.journal, name)
    store = open_online(definition, project.state_dir, online)
    text = store.state()
    state = None if text is None else view_of(definition, text).state
    typed = _typed(definition, state, key)
    server = Server(definition, store)
    (row,) = server.rows([typed], at, None)
    features = {column: _shown(value) for column, value in row.items()}
    missing = server.missing(typed, at)
    if missing is not None and missing[0] is Missing.UNKNOWN and state is not None:
        left_out = _left_out(project, definition, state, typed, at)
        missing = (Missing.EXPIRED, left_out) if left_out else missing
    if missing is None:
        return EntityFeatures(features)
    why = "nothing of it is online, or nothing by then"
    if missing[0] is Missing.EXPIRED:
        why = f"the newest features are of {missing[1]}, which is longer ago than the feature table's ttl"
    return EntityFeatures(features, missing[0], why)


def moment(text: str) -> datetime:
    """A moment as a user writes it; UsageError if it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a moment", next="write it such as 2024-03-01T09:30:00+00:00") from None


def _line(project: Project, name: str) -> FeatureTableLine:
    definition = remembered(project.journal, name)
    newest = project.tables.version(name)
    online: dict[str, Any] = {}
    try:
        store = open_online(definition, project.state_dir)
        text = store.state()
        if text is not None:
            state = State.parse(text, definition)
            behind = None if newest is None else newest - state.version
            counts = {"entities": store.count(), "version": state.version, "behind": behind}
            online = {**counts, "synced": state.synced}
            if Definition.read(state.definition).meaning != definition.meaning:
                online["error"] = "online under another definition: sync it"
    except TrikkError as error:
        online["error"] = error.what
    return FeatureTableLine(name, definition.entity, newest, definition.online or "sqlite", **online)


def _typed(definition: Definition, state: State | None, key: Mapping[str, str]) -> dict[str, Any]:
    for column, text in key.items():
        if column not in definition.entity:
            wanted = " ".join(f"{c}=..." for c in definition.entity)
            raise UsageError(f"'{column}={text}' is not a part of the key", next=f"write {wanted}")
    # Keys as the table has them: "7" may be a number or a text, and only one of them is found.
    types = ["String"] * len(definition.entity) if state is None else state.entity
    kinds = dict(zip(definition.entity, types, strict=True))
    return {column: _value(column, text, kinds[column]) for column, text in key.items()}


def _value(column: str, text: str, kind: str) -> Any:
    try:
        if kind == "Boolean":
            return {"true": True, "false": False}[text.lower()]
        if kind == "Date":
            return date.fromisoformat(text)
        return text if kind == "String" else int(text)
    except (KeyError, ValueError):
        raise UsageError(
            f"{column}={text} is not of type {kind}", next="write the key as the table has it"
        ) from None


def _left_out(
    project: Project, definition: Definition, state: State, key: Mapping[str, Any], at: datetime | None
) -> str:
    """From when an entity's newest features are that are in the table, and too old to be online; "" for none."""
    import polars as pl

    if any(isinstance(value, int) and value.bit_length() > _LARGEST_KEY for value in key.values()):
        return ""
    try:
        rows = project.tables.scan(definition.name, state.version)
    except TrikkError:
        return ""
    until = (at or datetime.now(UTC)) - timedelta(microseconds=definition.delay)
    own = [pl.col(column) == value for column, value in key.items()]
    by_then = pl.col(definition.time) <= (until if state.aware else until.replace(tzinfo=None))
    newest = rows.filter(*own, by_then).select(pl.col(definition.event or definition.time).max())
    return "".join(one.isoformat() for one in newest.collect().to_series() if one is not None)


def _shown(value: Any) -> JSON:
    if isinstance(value, list):
        return [_shown(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
