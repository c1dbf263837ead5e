"""A stream in a folder: the broker that needs no broker. JSON lines, and an index that says what counts.

    000000000000.jsonl    one message a line; the name is the first offset in it
    index.jsonl           one line for each publication: which bytes of which file it is
    lock                  held while something is appended

A publication is in the stream from the moment at which its line in the index is complete. What a killed writer
left half-done is beyond the last complete line; readers do not see it, and the next writer cuts it off.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from trikk.core.errors import PermanentError, RecordError, StorageError, UnknownName
from trikk.core.names import check_name
from trikk.core.record import Record
from trikk.core.settings import Settings
from trikk.publishing.broker_messages import Messages
from trikk.storage.stores.locks import file_lock
from trikk.storage.stores.syncing import sync_path

SEGMENT_BYTES = 64_000_000  # after which a new file begins
_LOOK_EVERY = 0.2
_ROWS = 5_000  # some 2 MB of text: what stays in the cache is written in half the time


class Batch(Record, frozen=True):
    """One publication in a stream: a line of its index.

    Attributes:
        first: the offset of its first message.
        count: how many messages.
        segment: the file.
        start: its first byte there.
        length: its bytes.
        identity: what was published; at most one batch has it.
        digest: of its keys and values.
        at: when it was appended, in seconds since 1970.
        schema: digest of the values' schema.
    """

    first: int
    count: int
    segment: str
    start: int
    length: int
    identity: str
    digest: str
    at: float
    schema: str


class StreamMessage(Record, frozen=True):
    """One message in a stream: a line of its file.

    Attributes:
        offset: its place in the stream, 0 for the first.
        id: the same however often it was sent.
        key: what it is about, or None.
        time: when it was appended, ISO 8601 in UTC.
        headers: its run, model and the like.
        value: the row.
    """

    offset: int
    id: str
    key: str | None
    time: str
    headers: dict[str, str]
    value: dict[str, Any]


class PublishedStream(Record, frozen=True):
    """A stream of the project's folder.

    Attributes:
        name: its name.
        messages: how many it has.
        publications: how many have brought them.
        last: when the last one was appended, seconds since 1970; None for none.
    """

    name: str
    messages: int
    publications: int
    last: float | None


class StreamMessages(Record, frozen=True):
    """Messages of a stream, in their order.

    Attributes:
        stream: its name.
        end: the offset that the next message gets.
        messages: those that were asked for.
    """

    stream: str
    end: int
    messages: list[StreamMessage]


def streams_folder(state: Path, environment: str) -> Path:
    """The folder of an environment's streams in a project's `.trikk`."""
    return state / "streams" / environment


def find_stream(state: Path, environment: str, name: str) -> Stream:
    """A stream that exists; raises UnknownName, with those that do, if it does not."""
    folder = streams_folder(state, environment)
    stream = Stream(folder / check_name("stream", name))
    if not stream.exists():
        raise UnknownName("stream", name, list_streams(state, environment))
    return stream


def list_streams(state: Path, environment: str) -> list[str]:
    """The names of an environment's streams, sorted."""
    return sorted(index.parent.name for index in streams_folder(state, environment).glob("*/index.jsonl"))


class Stream:
    """A stream in a folder. Reading needs no lock; writers wait for each other.

    Args:
        path: its folder, made by the first `append`.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self._index = self.path / "index.jsonl"
        self._batches: list[Batch] = []
        self._known: dict[str, Batch] = {}
        self._read_to = 0

    def exists(self) -> bool:
        """Whether anything was ever published to it."""
        return self._index.exists()

    def batches(self) -> list[Batch]:
        """Every publication, in order.

        Raises:
            StorageError: if the index is damaged.
        """
        self._refresh()
        return list(self._batches)

    @property
    def end(self) -> int:
        """The offset that the next message gets, which is how many there are."""
        self._refresh()
        return self._end

    def append(self, messages: Messages, identity: str, *, at: float | None = None) -> tuple[Batch, bool]:
        """Append a publication, all of it or nothing; one that is there already is not appended again.

        Args:
            messages: what to append; JSON only.
            identity: what makes the publication this one.
            at: wall time in seconds since 1970; now if not given.

        Returns:
            Its batch, and whether it was there before.

        Raises:
            PermanentError: if it was there before with other messages.
            StorageError: if the folder can't be written, is damaged, or stays locked.
        """
        moment = time.time() if at is None else at
        try:
            with file_lock(self.path / "lock"):
                self._prepare()
                self._refresh()
                if (batch := self._known.get(identity)) is not None:
                    return self._same(batch, messages), True
                return self._append(messages, identity, moment), False
        except OSError as error:
            mend = "make room or mend the folder's rights; what was published before is unharmed"
            raise StorageError(
                f"can't append to the stream: {error.strerror or error}", where=str(self.path), next=mend
            ) from error

    def read(self, after: int = -1, limit: int | None = None) -> Iterator[StreamMessage]:
        """The messages with an offset greater than `after`, in order, as of now.

        Args:
            after: the last offset that was read; -1 for none.
            limit: at most so many.

        Raises:
            StorageError: if a file is missing or damaged.
        """
        self._refresh()
        left = -1 if limit is None else limit
        for batch in list(self._batches):
            if batch.first + batch.count <= after + 1:
                continue
            for record in self._read_batch(batch, after):
                if left == 0:
                    return
                left -= 1
                yield record

    def follow(self, after: int = -1) -> Iterator[StreamMessage]:
        """As `read`, and then whatever is appended; never ends."""
        while True:
            for record in self.read(after):
                after = record.offset
                yield record
            time.sleep(_LOOK_EVERY)

    @property
    def _end(self) -> int:
        return self._batches[-1].first + self._batches[-1].count if self._batches else 0

    def _refresh(self) -> None:
        """Take in the index's new complete lines."""
        try:
            with self._index.open("rb") as file:
                file.seek(self._read_to)
                new = file.read()
        except FileNotFoundError:
            return
        whole = new[: new.rfind(b"\n") + 1]
        for line in whole.splitlines():
            try:
                batch = Batch.read(json.loads(line))
            except (ValueError, RecordError):
                raise self._damaged(f"line {len(self._batches) + 1} of its index is not one") from None
            if batch.first != self._end:
                raise self._damaged(f"line {len(self._batches) + 1} of its index does not follow the one before")
            self._batches.append(batch)
            self._known[batch.identity] = batch
        self._read_to += len(whole)

    def _prepare(self) -> None:
        """Make the index, so that data without one is never taken for something that a killed writer left."""
        if self._index.exists():
            return
        if any(self.path.glob("*.jsonl")):
            raise self._damaged("its index is gone")
        self._index.touch()
        sync_path(self.path)

    def _append(self, messages: Messages, identity: str, moment: float) -> Batch:
        self._cut()
        first, last = self._end, self._batches[-1] if self._batches else None
        fresh = last is None or last.start + last.length >= SEGMENT_BYTES
        segment = f"{first:012}.jsonl" if fresh or last is None else last.segment
        start = 0 if fresh or last is None else last.start + last.length
        with (self.path / segment).open("ab") as file:
            write_lines(file, messages, first, moment)
            length = file.tell() - start
            # On the disk before its line in the index: that must never name bytes which a power cut takes.
            _sync(file)
        if fresh:
            sync_path(self.path)
        batch = Batch(
            first, len(messages), segment, start, length, identity, messages.digest, moment, messages.schema_digest
        )
        with self._index.open("ab") as file:
            file.write(json.dumps(batch.to_json(), separators=(",", ":")).encode() + b"\n")
            _sync(file)
        self._refresh()
        return batch

    def _cut(self) -> None:
        """Cut off what is beyond the last complete line of the index, and beyond what that line covers."""
        if self._index.stat().st_size > self._read_to:
            os.truncate(self._index, self._read_to)
        last = self._batches[-1] if self._batches else None
        for file in self.path.glob("[0-9]*.jsonl"):
            if int(file.stem) >= self._end and (last is None or file.name != last.segment):
                file.unlink()
        if last is not None:
            size, end = (self.path / last.segment).stat().st_size, last.start + last.length
            if size < end:
                raise self._damaged(f"{last.segment} is shorter than its index says")
            os.truncate(self.path / last.segment, end)

    def _same(self, batch: Batch, messages: Messages) -> Batch:
        if batch.digest == messages.digest:
            return batch
        raise PermanentError(
            "other rows were published under this identity before",
            where=f"{self.path.name}, {batch.identity}",
            next="they stay; start a new run to publish the present rows",
        )

    def _read_batch(self, batch: Batch, after: int) -> Iterator[StreamMessage]:
        """The messages of a batch behind an offset."""
        try:
            with (self.path / batch.segment).open("rb") as file:
                file.seek(batch.start)
                passed_over = max(0, after + 1 - batch.first)
                for _ in range(passed_over):
                    file.readline()
                for number in range(passed_over, batch.count):
                    message = StreamMessage.read(json.loads(file.readline()))
                    if message.offset != batch.first + number:
                        raise self._damaged(
                            f"{batch.segment} has another message where {batch.first + number} was"
                        )
                    yield message
        except FileNotFoundError:
            raise self._damaged(f"{batch.segment} is gone") from None
        except (ValueError, RecordError):
            raise self._damaged(f"{batch.segment} holds a line that is no message") from None

    def _damaged(self, problem: str) -> StorageError:
        return StorageError(
            f"the stream is damaged: {problem}", where=str(self.path), next="restore its folder from a copy"
        )


def published_streams(settings: Settings) -> list[PublishedStream]:
    """The streams of the project's environment, by name; StorageError if one is damaged."""
    folder = streams_folder(settings.state, settings.environment)
    streams = []
    for name in list_streams(settings.state, settings.environment):
        batches = Stream(folder / name).batches()
        last = batches[-1].at if batches else None
        streams.append(PublishedStream(name, sum(batch.count for batch in batches), len(batches), last))
    return streams


def messages_of(settings: Settings, name: str, after: int | None, limit: int) -> StreamMessages:
    """Messages of a stream.

    Args:
        settings: the project's.
        name: the stream's.
        after: the offset behind which they begin; the last ones if None.
        limit: how many at most.

    Raises:
        UnknownName: if there is no such stream.
        StorageError: if it is damaged.
    """
    stream = find_stream(settings.state, settings.environment, name)
    end = stream.end
    first = end - limit - 1 if after is None else after
    return StreamMessages(stream.path.name, end, list(stream.read(first, limit)))


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


def write_lines(file: IO[bytes], messages: Messages, first: int, moment: float) -> None:
    """Write each message as a line.

    `{"offset":0,"id":"...","key":null,"time":"...Z","headers":{...},"value":{...}}` and a newline.

    Args:
        file: where to, at its end.
        messages: their values are JSON.
        first: the offset of the first.
        moment: when they are appended, in seconds since 1970.

    Raises:
        OSError: if the file can't be written.
    """
    import polars as pl

    at = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    kinds = pl.Series(
        [json.dumps(dict(kind), ensure_ascii=False, separators=(",", ":")) for kind in messages.kinds]
    )
    for start in range(0, len(messages), _ROWS):
        value = messages.values.slice(start, _ROWS)
        number = pl.int_range(start, start + value.len(), eager=True)
        key: Any = pl.lit("null")
        if messages.keys is not None:
            # polars makes JSON of a struct only: its one field's name goes again
            named = pl.struct(pl.lit(messages.keys.slice(start, _ROWS)).alias(""))
            key = named.struct.json_encode().str.strip_prefix('{"":').str.strip_suffix("}")
        kind = None if messages.kind_of is None else messages.kind_of.slice(start, _ROWS)
        headers = kinds[0] if kind is None else kinds.gather(kind)
        parts: list[Any] = [
            '{"offset":',
            number + first,
            f',"id":"{messages.publication}-',
            number,
            '","key":',
            key,
        ]
        parts += [f',"time":"{at}","headers":', headers, ',"value":', value, "}"]
        line = pl.concat_str(part if isinstance(part, pl.Expr) else pl.lit(part).cast(pl.String) for part in parts)
        # straight from the column to the file: text of Python's would be two copies more, in memory that is new
        pl.select(line).write_csv(file, include_header=False, quote_style="never")
