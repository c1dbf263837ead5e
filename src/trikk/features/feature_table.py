"""`FeatureTable`: one definition for writing features, for training on them, and for serving them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.durations import Duration
from trikk.core.errors import DefinitionError, UsageError
from trikk.features.feature_definition import Definition, checked, microseconds_of, types_of
from trikk.pipeline.graph import WriteMode
from trikk.pipeline.location import caller, defining, explained
from trikk.pipeline.step import Step
from trikk.pipeline.table_reference import SchemaText, Table
from trikk.pipeline.tracing import current
from trikk.runs.context import current_step

if TYPE_CHECKING:
    from trikk.features.serve import Server


@explained
class FeatureTable(Table):
    """A table whose rows say what was known about an entity, and when.

    It is a `Table`: a step that is given it gets its rows, and `append`, `merge` and `overwrite` in a pipeline's
    body write it. A row is used from the moment on at which it was known: for training by `join_as_of`, for
    serving by `latest`, by the same rule.

    Args:
        name: the table's name.
        entity: the column or columns that say whom a row is about: whole numbers, texts, booleans or dates.
        time: the column with the moment at which the values became known (a Datetime), which is not the moment
            that they are about: a count for 08:00 to 09:00 that arrives at 11:00 has 11:00.
        event: the column with the moment that the values are about. With it, the row about the latest moment is
            used of those that were known, so that a late or corrected old value does not hide a newer one; without
            it, the row that was known last.
        features: names, or names with polars types (also as text: "Float64"); all other columns if not given.
        ttl: values older than this are not used; their age counts from `event`, or from `time` without it.
        available_after: how long after `time` a row can be used, if it comes with a known delay: "2h".
        online: where `latest` reads: "redis://user:${PASSWORD}@host:6379/0" or "sqlite:///file"; the project's
            `.trikk/features/NAME.db` if not given. `${NAME}` is read from the environment when it is used.

    Raises:
        DefinitionError: if these do not fit together.
    """

    def __init__(
        self,
        name: str,
        *,
        entity: str | Sequence[str],
        time: str,
        event: str | None = None,
        features: Sequence[str] | Mapping[str, object] | None = None,
        ttl: Duration | None = None,
        available_after: Duration = 0,
        online: str | None = None,
    ) -> None:
        super().__init__(name)
        with defining():
            self.definition = checked(
                Definition(
                    name,
                    (entity,) if isinstance(entity, str) else tuple(entity),
                    time,
                    event,
                    types_of(features),
                    None if ttl is None else microseconds_of(ttl, "ttl"),
                    microseconds_of(available_after, "available_after"),
                    online,
                )
            )
        self._servers: dict[str | Path, Server] = {}

    def append(self, rows: object, *, schema_mode: SchemaText | None = None, after: object = ()) -> Any:
        """Add rows, in a pipeline's body: a step that checks them, then a step that writes them.

        What was known at a moment does not change: a row whose entity and times are in the table already is left
        out. A correction is a row with a later `time`. To rewrite history all the same, `merge` or `overwrite`.

        Args:
            rows: a frame, or a list of frames, with the entity, the times and the features.
            schema_mode: "strict" refuses rows whose columns are not the table's; "merge" adds new columns.
            after: steps that must be over before.

        Returns:
            In the run, a dict with the table's new `version` and the number of `rows` given.

        Raises:
            DefinitionError: outside of a pipeline.
        """
        return self._write(WriteMode.APPEND, self._checked(rows), self.definition.keys, schema_mode, after)

    def overwrite(self, rows: object, *, schema_mode: SchemaText | None = None, after: object = ()) -> Any:
        """Replace all rows, checked first; arguments and result as for `append`."""
        return super().overwrite(self._checked(rows), schema_mode=schema_mode, after=after)

    def merge(
        self,
        rows: object,
        *,
        key: str | Sequence[str] | None = None,
        schema_mode: SchemaText | None = None,
        after: object = (),
    ) -> Any:
        """Replace the rows with the same key, the entity and the times if not given, and add the others.

        This rewrites what was known: training on it no longer sees what was served.
        """
        keys = self.definition.keys if key is None else key
        return super().merge(self._checked(rows), key=keys, schema_mode=schema_mode, after=after)

    def join_as_of(
        self,
        rows: Any,
        *,
        on: str,
        table: Any = None,
        features: Sequence[str] | None = None,
        prefix: str = "",
        after: object = (),
    ) -> Any:
        """Give each row the features that were known at its moment, and nothing that was known later.

        In a pipeline's body this is a step, which reads the table at the version that the run is locked to.

        Args:
            rows: a frame with the entity columns and the moment.
            on: the column with the moment; a row whose values became available exactly then is used.
            table: outside of a pipeline, the feature table's rows; the project's table as it is now if not given.
            features: which features; all if not given.
            prefix: put before the features' names.
            after: steps that must be over before.

        Returns:
            A polars DataFrame: `rows` in their order with the features, null where none was known or all that
            were are older than the ttl.

        Raises:
            UsageError: as `trikk.features.join.join_as_of`; inside of a step's function, without `table`.
        """
        if current() is None:
            from trikk.features.join import join_as_of

            frame = self._now() if table is None else table if hasattr(table, "lazy") else _frame(table)
            return join_as_of(self.definition, rows, frame, on=on, features=features, prefix=prefix)
        if table is not None:
            raise DefinitionError(
                "join_as_of reads its own table in a pipeline", where=caller(), next="leave table= out"
            )
        named = None if features is None else list(features)
        from trikk.features.actions import join_rows

        step = Step(join_rows, name=self._step("join"))
        return step.options(after=after)(rows, self, self.definition.to_json(), on, named, prefix)  # type: ignore[arg-type]

    def sync(
        self,
        written: object = None,
        *,
        at: Any = None,
        to: str | None = None,
        rebuild: bool = False,
        after: object = (),
    ) -> Any:
        """Bring what `latest` reads up to the table's newest version; only new rows are read where that is enough.

        Readers see all of it or nothing. In a pipeline's body it is a step, which a replay does not repeat.

        Args:
            written: in a pipeline, what `append` returned, so that it comes first.
            at: the earliest moment that `latest` will be asked for; five minutes before the run's moment, or
                before now, if not given. Rows that no later moment needs are not kept online.
            to: another online store than the definition's.
            rebuild: read the whole table, and forget what is online.
            after: steps that must be over before.

        Returns:
            A dict: `version` of the table, `entities` written, `rebuilt`, `at`.
        """
        from trikk.features.actions import sync_rows

        step = Step(sync_rows, name=self._step("sync"), effect=True)
        placed = step.options(after=after) if current() is not None else step
        return placed(self.definition.to_json(), at, to, rebuild, written)

    def latest(
        self,
        keys: Any,
        *,
        at: datetime | None = None,
        features: Sequence[str] | None = None,
        online: str | None = None,
    ) -> Any:
        """The features of some entities as they are known now, from the online store.

        The same values, bit for bit, as `join_as_of` gives a row with that entity and the moment `at`.

        Args:
            keys: a list of dicts with the entity columns, or a frame with them.
            at: the moment; now if not given. It can't be before the `at` of the last sync.
            features: which features; all if not given.
            online: another online store than the definition's.

        Returns:
            For a list of dicts, a list of dicts with the entity and the features; for a frame, a polars DataFrame
            with its entity columns and the features. None, or null, where nothing is known.

        Raises:
            UsageError: if a key lacks a column or has one of a wrong type; if nothing was synced, or under another
                definition.
            StorageError: if the online store can't be read: worth another attempt.
        """
        server = self._server(online)
        if isinstance(keys, Mapping):
            raise UsageError("latest takes a list of keys", next='write latest([{"line": "4"}])')
        return (server.rows if isinstance(keys, list | tuple) else server.frame)(keys, at, features)

    def _server(self, online: str | None) -> Server:
        """What answers, open for as long as this object lives."""
        from trikk.features.online import open_online
        from trikk.features.project_place import state_folder
        from trikk.features.serve import Server

        context = current_step()
        address = online or self.definition.online
        key = address or (Path.cwd() if context is None else context.state_dir)
        if key not in self._servers:
            self._servers[key] = Server(self.definition, open_online(self.definition, state_folder, online))
        return self._servers[key]

    def _checked(self, rows: object) -> Any:
        if current() is None:
            return rows  # the write itself says that it has no place here
        from trikk.features.actions import check_rows

        step = Step(check_rows, name=self._step("check"))
        return step(rows, self.definition.to_json())

    def _now(self) -> Any:
        from trikk.features.project_place import place

        if current_step() is not None:
            raise UsageError(
                f"a step that reads feature table {self.table_name} by itself can't be replayed",
                next="call join_as_of in the pipeline's body, or give the step the table and pass it on as table=",
            )
        return place().tables.scan(self.table_name)

    def _step(self, verb: str) -> str:
        return f"{verb}_{self.table_name}"[:96]

    def __repr__(self) -> str:
        return f"FeatureTable({self.table_name!r})"


def _frame(table: Any) -> Any:
    from trikk.storage.frames import rows_of

    return rows_of(table)
