"""What the steps of a feature table do: plain functions, so that they run in a worker and in a test alike."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from trikk.core.errors import PermanentError, UnknownName
from trikk.core.values import JSON
from trikk.features.feature_definition import Definition
from trikk.runs.context import current_step

if TYPE_CHECKING:
    import polars as pl

    from trikk.runs.journals.ledger import Ledger

DEFINED = "feature.defined"


def subject(name: str) -> str:
    """The ledger's subject for a feature table."""
    return f"feature/{name}"


def check_rows(rows: Any, definition: Mapping[str, Any]) -> pl.DataFrame:
    """Refuse rows that could not be joined or served, before they are written; write the definition down.

    Raises:
        UsageError: as `trikk.features.feature_rows.facts`, and if two rows contradict each other.
    """
    from trikk.features.cell_encoding import check_types
    from trikk.features.feature_rows import facts, in_declared_types, known_late
    from trikk.storage.frames import rows_of
    from trikk.storage.tables.types import storable

    wanted = Definition.read(definition)
    frame = rows_of(rows)
    if frame.height:
        frame = storable(
            known_late(wanted, in_declared_types(wanted, frame)), where=f"feature table {wanted.name}"
        )
        known = facts(wanted, frame)
        known.by_entity()
        check_types(wanted.name, known.values.schema)
    context = current_step()
    if context is not None and not context.dry:
        remember(context.journal, wanted, at=time.time())
    return frame


def join_rows(
    rows: Any,
    table: pl.LazyFrame,
    definition: Mapping[str, Any],
    on: str,
    features: Sequence[str] | None,
    prefix: str,
) -> pl.DataFrame:
    """`trikk.features.join.join_as_of` as a step, with the table at the version that the run is locked to."""
    from trikk.features.join import join_as_of

    return join_as_of(Definition.read(definition), rows, table, on=on, features=features, prefix=prefix)


def sync_rows(
    definition: Mapping[str, Any],
    at: datetime | None,
    to: str | None,
    rebuild: bool,
    written: object = None,  # noqa: ARG001 - an edge of the graph: what has to be written before
) -> dict[str, JSON]:
    """Bring the online store up to the table's newest version, as a step."""
    from trikk.features.project_place import place
    from trikk.features.sync import sync

    wanted = Definition.read(definition)
    project = place()
    context = current_step()
    if context is not None and context.dry:
        raise PermanentError(f"feature table {wanted.name} is not synced in a replay")
    remember(project.journal, wanted, at=time.time())
    return sync(wanted, project, at=at, to=to, rebuild=rebuild).to_json()


def remember(ledger: Ledger, definition: Definition, *, at: float) -> None:
    """Write a definition into the ledger, unless it is the last one there."""
    entries = ledger.entries(subject(definition.name))
    body = definition.to_json()
    if not entries or entries[-1].body != body:
        ledger.add(subject(definition.name), DEFINED, body, at=at)


def remembered(ledger: Ledger, name: str) -> Definition:
    """The last definition that a pipeline has used.

    Raises:
        UnknownName: if there is none of that name.
    """
    entries = ledger.entries(subject(name))
    if not entries:
        raise UnknownName("feature table", name, names(ledger), next=None if names(ledger) else _UNWRITTEN)
    return Definition.read(entries[-1].body)


_UNWRITTEN = "there is none yet: run a pipeline that writes one"


def names(ledger: Ledger) -> list[str]:
    """The names of all feature tables that pipelines have written or synced."""
    return [name.removeprefix(subject("")) for name in ledger.subjects(subject(""))]
