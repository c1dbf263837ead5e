"""The columns of a stream's rows: the table's, or while there is none, those that its first messages have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.consuming.message_rows import Read, RowReader, inferred_schema
from trikk.core.errors import UnknownName, UsageError
from trikk.storage.ingest.column_types import dtype_of
from trikk.storage.ingest.reader import Part, Reading, united
from trikk.storage.tables.types import storable

if TYPE_CHECKING:
    import polars as pl

    from trikk.storage.tables.versioned_tables import Tables
    from trikk.streams.stream_declaration import Stream

_SAMPLE = 10_000  # messages that say which columns there are


class Columns:
    """The columns of one stream's rows.

    Args:
        stream: as it is declared.
        tables: the project's.

    Attributes:
        schema: the table's columns; None while there is no table.
    """

    def __init__(self, stream: Stream, tables: Tables) -> None:
        self._stream = stream
        self._tables = tables
        self._reader: RowReader | None = None
        self.schema = self._stored()
        if self.schema is not None:
            self._open(self.schema)

    def read(self, values: Sequence[bytes | None], topics: Sequence[str]) -> Read:
        """Read messages of JSON as rows.

        Args:
            values: the messages.
            topics: of each; needed where the rows take them.
        """
        import polars as pl

        is_first = self._reader is None
        if is_first and not self._open(self._inferred(values)):
            why = f"there is no table yet, and it is no object with {', '.join(self._key) or 'a field'}"
            return Read(pl.DataFrame(), [(place, why) for place in range(len(values))])
        assert self._reader is not None
        read = self._reader.read(values)
        if is_first and not read.rows.height:  # no table is made of what does not even fit itself
            self._reader = None
            return Read(pl.DataFrame(), read.misfits)
        if read.misfits and self._stream.new_columns:
            known = self._reader.schema
            more = inferred_schema([values[place] for place, _ in read.misfits], known)
            if new := {name: dtype for name, dtype in more.items() if name not in known}:
                self._open({**known, **new})
                read = self._reader.read(values)
        if self._stream.topic:
            misfits = {place for place, _ in read.misfits}
            fitting = [topic for place, topic in enumerate(topics) if place not in misfits]
            read = Read(read.rows.with_columns(pl.Series(self._stream.topic, fitting, pl.String())), read.misfits)
        return read

    def is_old(self) -> bool:
        """Whether somebody has given the table other columns since."""
        stored, known = self._stored() or {}, self.schema or {}
        if self._reader is not None:
            known = self._reader.schema
        return any(known.get(name) != dtype for name, dtype in stored.items() if name != self._stream.topic)

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(types=self._stream.types if self.schema is None else {}, union=True)

    def of_file(self, parts: Sequence[Part]) -> pl.DataFrame:
        """The rows of a file, in the table's columns; the first one makes the columns where there is no table.

        Raises:
            StorageError, UsageError: if it does not fit, as of `united` and `storable`.
        """
        import polars as pl

        table = None if self.schema is None else dict(self.schema)
        if table is not None and self._stream.new_columns:
            table |= {name: pl.Null() for part in parts for name in part.frame.columns if name not in table}
        known = None if table is None else pl.Schema(table)
        frame = united(parts, self.reading, table=known, for_table=True, may_lack=True).frame
        # With the columns of this file, since the next one may come into the same version of the table.
        self.schema = dict(storable(pl.DataFrame(schema={**(self.schema or {}), **frame.schema})).schema)
        return frame

    @property
    def takes_topics(self) -> bool:
        """Whether a column has the topic of each message."""
        return bool(self._stream.topic)

    def _stored(self) -> dict[str, pl.DataType] | None:
        """The table's columns; None if there is no table."""
        try:
            return dict(self._tables.scan(self._stream.table).collect_schema())
        except UnknownName:
            return None

    @property
    def _key(self) -> list[str]:
        """The columns of the key that a message itself must have."""
        return [name for name in self._stream.key if name != self._stream.topic]

    def _inferred(self, values: Sequence[bytes | None]) -> dict[str, pl.DataType]:
        named = {name: dtype_of(dtype) for name, dtype in self._stream.types.items()}
        return {**inferred_schema(values[:_SAMPLE]), **named}

    def _open(self, schema: dict[str, pl.DataType]) -> bool:
        """Read messages by these columns from now on; whether they can be."""
        own = {name: dtype for name, dtype in schema.items() if name != self._stream.topic}
        if self.schema is None and (not own or any(name not in own for name in self._key)):
            return False
        try:
            self._reader = RowReader(own, self._key)
        except UsageError as error:
            raise UsageError(error.what, where=f"table {self._stream.table}", next=error.next) from None
        return True
