"""Files of a folder, each of which is brought into the table whole, once.

A file is known by its name, size and time of change, as for triggers. That it is in the table is in the table's
commits, a mark for each file; so what is in the folder when the stream begins is brought in, too. A file that does
not fit the table is set aside as a whole, with its line and the reason: it stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trikk.consuming.message_rows import Read
from trikk.core.clock import Clock
from trikk.core.durations import show_bytes
from trikk.core.errors import StorageError, TrikkError, UsageError
from trikk.core.text import printable, shorten
from trikk.server.sources.files.arrived_files import Arrival, ArrivedFiles
from trikk.server.sources.files.folder_place import FolderPlace
from trikk.server.streams.stream_columns import Columns
from trikk.server.streams.stream_reader import Lag, PositionsOf, SetAside
from trikk.storage.ingest.reader import format_of, read_parts
from trikk.storage.positions import Advance

_LARGEST = 256_000_000  # bytes of a file, which is in memory as a whole


class FileReader:
    """A folder's files as what a stream reads; methods as of `StreamReader`.

    Args:
        stream: the stream's name.
        root: the project's folder.
        pattern: which files: a path in the project, or an absolute one, with `*`, `?` and `**/`.
        clock: for how long a file has not changed.
        settle: seconds for which a file must not change.
    """

    stalled = False

    def __init__(self, stream: str, root: Path, pattern: str, clock: Clock, settle: float = 3.0) -> None:
        self._stream = stream
        self._root = root
        self._place = FolderPlace(root, pattern)
        self._clock = clock
        self._settle = settle
        self._files = ArrivedFiles((), settle)
        self._asked: set[bytes] = set()  # files of which it is known whether the table has them
        self._positions: PositionsOf | None = None
        self._given: list[Arrival] = []
        self._waiting: list[Arrival] = []

    def begin(self, positions: PositionsOf) -> list[SetAside]:
        """Look whether the folder is there."""
        self._positions = positions
        self._files, self._asked = ArrivedFiles((), self._settle), set()
        self._given, self._waiting = [], []
        self._place.list()
        return []

    def read(self, room: int, wait: float) -> Sequence[Any]:  # noqa: ARG002 - a file is not counted by its rows
        """The next file that the table does not have; waits if there is none."""
        if not self._waiting:
            given = {arrival.key for arrival in self._given}
            self._waiting = [arrival for arrival in self._arrived() if arrival.key not in given]
        if not self._waiting:
            self._clock.sleep(min(wait, self._place.every))
            return []
        self._given.append(self._waiting.pop(0))
        return self._given[-1:]

    def rows(self, messages: Sequence[Any], columns: Columns) -> Read:
        """The rows of all files, in their order; a file that does not fit is none of them."""
        import polars as pl

        frames: list[pl.DataFrame] = []
        misfits: list[tuple[int, str]] = []
        for place, arrival in enumerate(messages):
            try:
                frames.append(self._frame(arrival, columns))
            except FileNotFoundError:
                misfits.append((place, "it was removed before it was read"))
            except (StorageError, UsageError, OSError) as error:
                reason = error.what if isinstance(error, TrikkError) else str(error)
                misfits.append((place, shorten(printable(reason), 500)))
        return Read(pl.concat(frames, how="diagonal") if frames else pl.DataFrame(), misfits)

    def size(self, message: Any) -> int:
        """Bytes of the file."""
        return int(message.file.size)

    def describe(self, message: Any) -> SetAside:
        """It is known by its name and key, and stays where it is."""
        name = shorten(printable(message.file.name), 200)
        return SetAside(f"{name}@{message.key.hex()}", "", {"path": self._place.path(name)})

    def advances(self) -> tuple[Advance, ...]:
        """A mark for each file that was given."""
        return tuple(Advance(self._source(arrival.key), None, arrival.file.size) for arrival in self._given)

    def settle(self) -> None:
        """The table has the files that were given."""
        self._files.add(arrival.key for arrival in self._given)
        self._given = []

    def lag(self) -> Lag:
        """Files that wait."""
        waiting = [*self._given, *self._waiting]
        oldest = min((int(arrival.file.stamp) / 1e9 for arrival in waiting), default=None)
        return Lag(len(waiting), oldest)

    def close(self) -> None:
        """There is nothing to give back."""

    def _source(self, key: bytes) -> str:
        return f"stream/{self._stream}/file/{key.hex()}"

    def _arrived(self) -> list[Arrival]:
        """The files that no longer grow, and that the table does not have."""
        arrivals = self._files.look(self._place.list(), self._clock.monotonic())
        new = [arrival for arrival in arrivals if arrival.key not in self._asked]
        if new and self._positions is not None:
            known = self._positions([self._source(arrival.key) for arrival in new])
            self._asked |= {arrival.key for arrival in new}
            self._files.add(arrival.key for arrival in new if known[self._source(arrival.key)] is not None)
            arrivals = self._files.look(self._place.list(), self._clock.monotonic())
        return arrivals

    def _frame(self, arrival: Arrival, columns: Columns) -> Any:
        """The rows of a file, in the table's columns."""
        file = arrival.file
        if file.size > _LARGEST:
            raise StorageError(f"it has {show_bytes(file.size)}: bring it in by `trikk ingest`")
        path = self._root / self._place.path(file.name)
        kind, packed = format_of(file.name)
        return columns.of_file(read_parts(path, kind, packed, printable(file.name), columns.reading))
