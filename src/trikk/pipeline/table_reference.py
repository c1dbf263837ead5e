"""Tables as an author names them: what steps read, and what `append`, `overwrite` and `merge` write."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, get_origin

from trikk.core.errors import DefinitionError
from trikk.core.names import check_name
from trikk.pipeline.arguments import Constant, OutputRef, ParameterRef
from trikk.pipeline.arrivals import moved_by, positions_of
from trikk.pipeline.graph import Node, Role, SchemaMode, WriteMode, WriteTo
from trikk.pipeline.location import caller
from trikk.pipeline.symbols import Output, Symbol
from trikk.pipeline.tracing import Trace, current, step_names

SchemaText = Literal["strict", "merge"]  # as authors write it: texts, which type checkers know


class Table:
    """A versioned table of the project, by name.

    Given to a step, it arrives as the frame that the step's annotation asks for (polars LazyFrame or
    DataFrame, pandas DataFrame, pyarrow Table), at the version that the run is locked to; where the run itself
    has written it before, as the run wrote it.

    In a pipeline's body `append`, `overwrite` and `merge` are ordinary steps: they are retried, resumed,
    logged, and make each write once however often they are tried.

    Args:
        name: the table's name.
        optional: where there is no such table yet, a step that reads it gets None; without it the run is refused
            before anything starts.

    Raises:
        UsageError: if the name can't name a table.
    """

    def __init__(self, name: str, *, optional: bool = False) -> None:
        self.optional = optional
        self.table_name = check_name("table", name, where=caller())

    def append(self, rows: object, *, schema_mode: SchemaText | None = None, after: object = ()) -> Any:
        """Add rows.

        Args:
            rows: a frame, or a list of frames with the same columns.
            schema_mode: "strict" refuses rows whose columns are not the table's; "merge" adds new columns. "merge"
                for what `predict` returns, if not given, else "strict".
            after: steps that must be over before.

        Returns:
            In the run, a dict with the table's new `version` and the number of `rows` written.

        Raises:
            DefinitionError: outside of a pipeline.
        """
        return self._write(WriteMode.APPEND, rows, (), schema_mode, after)

    def overwrite(self, rows: object, *, schema_mode: SchemaText | None = None, after: object = ()) -> Any:
        """Replace all rows; earlier versions stay readable. Arguments and result as for `append`."""
        return self._write(WriteMode.OVERWRITE, rows, (), schema_mode, after)

    def merge(
        self,
        rows: object,
        *,
        key: str | Sequence[str],
        schema_mode: SchemaText | None = None,
        after: object = (),
    ) -> Any:
        """Replace the rows whose key is in `rows` and add the others; the same rows twice change nothing.

        Args:
            rows: a frame, or a list of frames with the same columns.
            key: the columns that identify a row; no nulls and no duplicates in `rows`.
            schema_mode: "strict" refuses rows whose columns are not the table's; "merge" adds new columns, and
                leaves those that `rows` lack as they are in rows that are there, and null in new ones.
            after: as for `append`.

        Raises:
            DefinitionError: outside of a pipeline, or without a key.
        """
        columns = (key,) if isinstance(key, str) else tuple(key)
        if not columns or not all(isinstance(c, str) for c in columns):
            raise DefinitionError("merge needs a key", where=caller(), next='name columns: key=["sensor", "slot"]')
        return self._write(WriteMode.MERGE, rows, columns, schema_mode, after)

    def _write(
        self, mode: WriteMode, rows: object, key: tuple[str, ...], schema_mode: str | None, after: object
    ) -> Output:
        where = caller()
        trace = current()
        if trace is None:
            raise DefinitionError(
                f"table {self.table_name} is written by pipelines only",
                where=where,
                next="call it in a pipeline's body, or load files with `trikk ingest`",
            )
        if schema_mode is not None and schema_mode not in [*SchemaMode]:
            raise DefinitionError(f"schema_mode={schema_mode!r}", where=where, next='use "strict" or "merge"')
        argument = trace.argument(rows, f"the rows for table {self.table_name}")
        if isinstance(argument, Constant | ParameterRef) or _is_surely_no_frame(rows):
            raise DefinitionError(
                f"table {self.table_name} is given {rows!r}, which is not a frame",
                where=where,
                next="give it the output of a step that returns a frame, or a list of such",
            )
        # A model's next version may know one more class, and so one more column: no night may fail of that.
        usual = SchemaMode.MERGE if _is_of_a_model(argument, trace) else SchemaMode.STRICT
        base = f"{mode}_{self.table_name}"[:96]
        # Each write after the one above it: what the table holds in the end must not depend on which was faster.
        earlier = trace.writes.setdefault(self.table_name, [])
        retry = trace.defaults.get("retry")
        arrivals = moved_by(trace.arrivals, self.table_name, argument, trace.nodes)
        kept = [name for arrival in arrivals for name in arrival.after]
        node = Node(
            name=trace.name_for(base, base),
            function=f"trikk:Table.{mode}",
            arguments={"rows": argument} | ({"positions": positions_of(arrivals)} if arrivals else {}),
            after=tuple(dict.fromkeys([*step_names(after), *earlier, *kept])),
            when=tuple(trace.conditions),
            retry=retry.to_json() if retry else None,
            timeout=trace.defaults.get("timeout"),
            write=WriteTo(self.table_name, mode, key, SchemaMode(schema_mode) if schema_mode else usual),
            where=where,
        )
        trace.add(node, None)
        earlier.append(node.name)
        return Output(OutputRef(node.name))

    def __repr__(self) -> str:
        return f"Table({self.table_name!r})"


def _is_of_a_model(argument: object, trace: Trace) -> bool:
    return isinstance(argument, OutputRef) and any(
        node.name == argument.step and node.role == Role.PREDICTIONS for node in trace.nodes
    )


def _is_surely_no_frame(rows: object) -> bool:
    annotation = rows.symbol_annotation if isinstance(rows, Symbol) else None
    return (get_origin(annotation) or annotation) in (bool, int, float, str, bytes, dict, type(None))
