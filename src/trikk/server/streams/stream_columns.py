"""The columns of a stream's rows: the table's, or while there is none, those that its first messages have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trikk.consuming.message_rows import Read, RowReader, inferred_schema
from trikk.core.errors import UnknownName, UsageError
from trikk.storage.ingest.column_types import dtype_of
from trikk.storage.ingest.reader import Part, Reading, united

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
        self._reader: RowReader | None = None
        self.schema: dict[str, pl.DataType] | None = None
        try:
            self.schema = dict(tables.scan(stream.table).collect_schema())
        except UnknownName:
            return
        self._open(self.schema)

    def read(self, values: Sequence[bytes | None], topics: Sequence[str]) -> Read:
        """Read messages of JSON as rows.

        Args:
            values: the messages.
            topics: of each; needed where the rows take them.
        """
        import polars as pl

        if self._reader is None and not self._open(self._inferred(values)):
            why = f"there is no table yet, and it is no object with {', '.join(self._key) or 'a field'}"
            return Read(pl.DataFrame(), [(place, why) for place in range(len(values))])
        assert self._reader is not None
        read = self._reader.read(values)
        if read.misfits and self._stream.new_columns:
            more = inferred_schema([values[place] for place, _ in read.misfits])
            known = self._reader.schema
            if new := {name: dtype for name, dtype in more.items() if name not in known}:
                self._open({**known, **new})
                read = self._reader.read(values)
        if self._stream.topic:
            misfits = {place for place, _ in read.misfits}
            fitting = [topic for place, topic in enumerate(topics) if place not in misfits]
            read = Read(read.rows.with_columns(pl.Series(self._stream.topic, fitting, pl.String())), read.misfits)
        return read

    @property
    def reading(self) -> Reading:
        """How files are read."""
        return Reading(types=self._stream.types if self.schema is None else {}, union=True)

    def of_file(self, parts: Sequence[Part]) -> pl.DataFrame:
        """The rows of a file, in the table's columns; the first one makes the columns where there is no table.

        Raises:
            StorageError, UsageError: if it does not fit, as of `united`.
        """
        import polars as pl

        table = None if self.schema is None else dict(self.schema)
        if table is not None and self._stream.new_columns:
            table |= {name: pl.Null() for part in parts for name in part.frame.columns if name not in table}
        known = None if table is None else pl.Schema(table)
        frame = united(parts, self.reading, table=known, for_table=True, may_lack=True).frame
        if self.schema is None:
            self.schema = dict(frame.schema)
        return frame

    @property
    def takes_topics(self) -> bool:
        """Whether a column has the topic of each message."""
        return bool(self._stream.topic)

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
