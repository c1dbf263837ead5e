"""What is sent: each row as one message with a key, a value, headers, and an id that is the same every time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from trikk.core.digests import digest_json
from trikk.core.values import JSON

if TYPE_CHECKING:
    import polars as pl

ID_LENGTH = 24  # hexadecimal characters, 96 bits: no two publications ever share one by chance


@dataclass(frozen=True, slots=True)
class Message:
    """One message, as a reader sees it.

    Attributes:
        id: the same however often it is sent: what a reader drops repeats by.
        key: what it is about, or None.
        value: the encoded row.
        headers: (name, text), the id among them.
    """

    id: str
    key: str | None
    value: bytes
    headers: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Messages:
    """All messages of one publication, in the order of its rows.

    Attributes:
        publication: what makes their ids theirs, `ID_LENGTH` hexadecimal characters.
        keys: a String column, or None.
        values: the encoded rows, a String or Binary column.
        kinds: headers that messages share; more than one tuple if rows are of several models.
        kind_of: for each row the index into `kinds`; None if there is one.
        digest: of keys and values: tells whether a second attempt has the same rows.
        size: bytes of all values.
        schema: how a value is to be read.
        content_type: "application/json" or "avro/binary".
    """

    publication: str
    keys: pl.Series | None
    values: pl.Series
    kinds: tuple[tuple[tuple[str, str], ...], ...]
    kind_of: pl.Series | None
    digest: str
    size: int
    schema: dict[str, JSON]
    content_type: str

    def __len__(self) -> int:
        return self.values.len()

    def id_of(self, row: int) -> str:
        """The id of a row's message."""
        return f"{self.publication}-{row}"

    def lengths(self) -> pl.Series:
        """The bytes of each value."""
        import polars as pl

        binary = self.values.dtype == pl.Binary
        return (self.values.bin.size() if binary else self.values.str.len_bytes()).cast(pl.Int64)

    @property
    def schema_digest(self) -> str:
        """The digest of the schema, under which it is written down."""
        return digest_json(self.schema)

    def columns(self, start: int, stop: int) -> tuple[Sequence[Any], Sequence[str | None], Sequence[int] | None]:
        """Values, keys and kinds of rows as lists, which is what a client's tight loop wants."""
        count = stop - start
        keys = [None] * count if self.keys is None else self.keys.slice(start, count).to_list()
        kinds = None if self.kind_of is None else self.kind_of.slice(start, count).to_list()
        return self.values.slice(start, count).to_list(), keys, kinds

    def messages(self, start: int = 0) -> Iterator[Message]:
        """The messages from a row on, made a few thousand at a time."""
        for begin in range(start, len(self), 10_000):
            values, keys, kinds = self.columns(begin, min(begin + 10_000, len(self)))
            for i, value in enumerate(values):
                name = self.id_of(begin + i)
                shared = self.kinds[kinds[i] if kinds else 0]
                raw = value if isinstance(value, bytes) else value.encode()
                yield Message(name, keys[i], raw, (*shared, ("trikk-id", name)))


def publication_of(identity: str, label: str) -> str:
    """What the ids of a publication begin with: a digest of what makes it this one, and of where it goes."""
    return digest_json(["publication", identity, label])[:ID_LENGTH]
