"""What a model was given for a prediction: rows of what the step that made it was called with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from trikk.core.errors import ArtifactMissing, TrikkError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.pipeline.arguments import OutputRef, TableRef, walk
from trikk.pipeline.graph import Graph
from trikk.storage.artifact import Artifact

if TYPE_CHECKING:
    import polars as pl

    from trikk.runs.run_state import RunState

ID = "prediction_id"
_MOST = 5


class Inputs:
    """The rows that a prediction was made from.

    Args:
        project: the project.
        run: the run that made it.
        row: the prediction's row.
        key: the columns that name its entity and slot.
        zone: in which a time without a zone is meant.

    Attributes:
        rows: rows of the same entity and slot, at most five each, by "step.argument".
        notes: what could not be looked at, and why, in sentences.
    """

    def __init__(
        self, project: Project, run: RunState, row: dict[str, Any], key: Sequence[str], zone: ZoneInfo
    ) -> None:
        self._project, self._run, self._row, self._zone = project, run, row, zone
        self._key = [name for name in key if name in row]
        self.rows: dict[str, list[dict[str, Any]]] = {}
        self.notes: list[str] = []
        try:
            graph = project.graph(run)
        except TrikkError as error:
            self.notes.append(f"what the model was given is not known: {error.what}")
            return
        maker = self._maker(graph)
        if maker:
            self._add(graph, maker)

    def _maker(self, graph: Graph) -> str:
        """The step whose output has the prediction; "" if none is found, which is noted."""
        import polars as pl

        trouble = []
        for name in graph.nodes:
            for output in self._outputs(name):
                try:
                    if self._rows_like(self._frame(output), [ID]):
                        return name
                except (TrikkError, pl.exceptions.PolarsError) as error:
                    trouble.append(f"the output of step {name} can't be read: {_reason(error)}")
        self.notes += trouble or [f"no output of a step of run {self._run.id} has this prediction"]
        return ""

    def _add(self, graph: Graph, maker: str) -> None:
        """Look into everything that the step was given."""
        import polars as pl

        searched = 0
        for argument, value in graph.nodes[maker].arguments.items():
            where = f"{maker}.{argument}"
            for part in walk(value):
                try:
                    frames = self._given(part)
                    searched += sum(frame is not None for frame in frames)
                    matching = [row for frame in frames for row in self._rows_like(frame, self._key)]
                except (TrikkError, pl.exceptions.PolarsError) as error:
                    self.notes.append(f"what was given as {where} can't be read: {_reason(error)}")
                    continue
                if matching:
                    self.rows.setdefault(where, []).extend(matching)
        if not self.rows and not self.notes:
            said = "has a row of the same entity and slot" if searched else "is a frame or a table"
            self.notes.append(f"nothing that step {maker} was given {said}")

    def _given(self, part: Any) -> list[pl.LazyFrame | None]:
        if isinstance(part, OutputRef):
            outputs = self._outputs(part.step)
            return [self._frame(outputs[part.index or 0])] if outputs and not part.path else []
        if isinstance(part, TableRef) and not part.writes:
            version = self._run.lock.get("tables", {}).get(part.table)
            return [] if version is None else [self._project.tables.scan(part.table, version)]
        return []

    def _outputs(self, step: str) -> list[dict[str, JSON]]:
        state = self._run.steps.get(step)
        return list(state.outputs or []) if state is not None else []

    def _frame(self, output: dict[str, JSON]) -> pl.LazyFrame | None:
        """An artifact's frame; None if it is none."""
        import polars as pl

        artifact = Artifact.read(output)
        if "columns" not in artifact.summary:
            return None
        frame: pl.LazyFrame = self._project.artifacts.load(artifact, pl.LazyFrame)
        return frame

    def _rows_like(self, frame: pl.LazyFrame | None, by: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of a frame that has these columns, where they equal the prediction's."""
        import polars as pl

        if frame is None or not by:
            return []
        schema = frame.collect_schema()
        if not all(name in schema for name in by):
            return []
        same = pl.all_horizontal(self._is_same(name, schema[name]) for name in by)
        return frame.filter(same).head(_MOST).collect().to_dicts()

    def _is_same(self, name: str, kind: pl.DataType) -> pl.Expr:
        """Whether a column has the prediction's value; of times, the same moment in whatever zone."""
        import polars as pl

        column, value = pl.col(name), self._row[name]
        if not (isinstance(kind, pl.Datetime) and isinstance(value, datetime)):
            return column.eq_missing(pl.lit(value))
        aware = value if value.tzinfo else value.replace(tzinfo=self._zone)
        if kind.time_zone is None:
            return column == pl.lit(aware.astimezone(self._zone).replace(tzinfo=None))
        return column.dt.convert_time_zone("UTC") == pl.lit(aware).dt.convert_time_zone("UTC")


def _reason(error: Exception) -> str:
    if isinstance(error, ArtifactMissing):
        return "it is not among the run's artifacts any more"
    return error.what if isinstance(error, TrikkError) else str(error).splitlines()[0]
