"""The rows behind a prediction: of the tables that its run and its model's run read, at the versions they read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.storage.tables.row_filter import equals, rows_where

if TYPE_CHECKING:
    from trikk.execution.project import Project
    from trikk.runs.run_state import RunState


@dataclass(frozen=True, slots=True)
class SourceRows:
    """A table that a run has read, and which of its rows are about a prediction's entity.

    Attributes:
        table: its name.
        version: the version that the run was locked to.
        run: the run that read it.
        use: "prediction", or "training" of the model.
        where: the condition for the rows of the entity; "" where the table does not have its columns: all rows.
        rows: how many rows that are.
        head: the newest of them where the table has the prediction's slot, in its order, else the first; as dicts.
    """

    table: str
    version: int
    run: str
    use: str
    where: str
    rows: int
    head: list[dict[str, Any]]

    @property
    def command(self) -> str:
        """The command that shows all these rows."""
        condition = self.where.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$").replace("`", "\\`")
        where = f' --where "{condition}"' if condition else ""
        return f"trikk tables {self.table} --version {self.version}{where} -n {max(self.rows, 1)}"

    def to_json(self) -> dict[str, JSON]:
        """As JSON, with the command; times and what else JSON does not know as texts, in lists, too."""
        head = json.loads(json.dumps(self.head, default=plain_value))
        return {**asdict(self), "head": head, "command": self.command}


def source_rows(
    project: Project, runs: dict[str, RunState], entity: dict[str, Any], *, slot: str = "", most: int
) -> tuple[list[SourceRows], list[str]]:
    """The rows of an entity in every table that runs have read.

    Args:
        project: the project.
        runs: runs by what they were for: "prediction", "training".
        entity: the columns that name the entity, with its values.
        slot: the column with the prediction's time.
        most: how many rows of each table to give.

    Returns:
        The rows, table by table; and what could not be read, in sentences.
    """
    sources, notes = [], []
    for use, run in runs.items():
        try:
            tables = sorted(_read_tables(project, run).items())
        except TrikkError as error:
            notes.append(f"what run {run.id} read is not known: {error.what}")
            continue
        for table, version in tables:
            try:
                sources.append(_rows_of(project, table, version, run.id, use, entity, slot, most))
            except TrikkError as error:
                notes.append(f"rows of {table} at version {version} can't be read: {error.what}")
    return sources, notes


def _read_tables(project: Project, run: RunState) -> dict[str, int]:
    """The tables that a run's steps have read, with their versions; those that did not exist yet are left out."""
    locked: dict[str, int | None] = run.lock.get("tables", {})
    read = {ref.table for node in project.graph(run).nodes.values() for ref in node.tables()}
    return {name: version for name, version in locked.items() if name in read and version is not None}


def _rows_of(
    project: Project, table: str, version: int, run: str, use: str, entity: dict[str, Any], slot: str, most: int
) -> SourceRows:
    import polars as pl

    rows = project.tables.scan(table, version)
    names = rows.collect_schema().names()
    where = equals(entity) if entity and all(name in names for name in entity) else ""
    selected = rows_where(rows, where) if where else rows
    count = int(selected.select(pl.len()).collect().item())
    some = selected.top_k(most, by=slot).sort(slot) if slot in names else selected.head(most)
    return SourceRows(table, version, run, use, where, count, some.collect().to_dicts())


def plain_value(value: Any) -> JSON:
    """A value of a row as JSON has it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)
