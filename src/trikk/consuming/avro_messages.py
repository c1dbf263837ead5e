"""Messages of Avro as records: without a registry, each by the schema that its publisher has written down.

What trikk publishes has the beginning of the schema's digest in a header, and the schema in the project's ledger
under the topic's address. For what others publish, the author gives the schema.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from trikk.core.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from trikk.runs.journals.ledger import Ledger

HEADER = "trikk-schema"


class AvroReader:
    """Reads messages of one topic.

    Args:
        given: the schema of messages that name none; None for no such.
        ledger: where schemas were written down; None outside of a run.
        label: the topic's address there.

    Raises:
        UsageError: if the schema is none.
        MissingExtra: if fastavro is not installed.
    """

    def __init__(self, given: Mapping[str, Any] | None, ledger: Ledger | None, label: str) -> None:
        try:
            import fastavro
        except ImportError:
            raise MissingExtra("Avro", "kafka") from None
        self._parse, self._read = fastavro.parse_schema, fastavro.schemaless_reader
        try:
            self._given = None if given is None else self._parse(dict(given))
        except (fastavro.schema.SchemaParseException, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"schema= is no schema of Avro: {error}", next="give one as a dict") from None
        self._known: dict[str, Any] = {}
        self._ledger, self._label = ledger, label

    def records(self, values: Sequence[bytes | None], schemas: Sequence[str]) -> list[dict[str, Any] | str]:
        """The messages as records; in the place of one that can't be read, why not.

        Args:
            values: the messages.
            schemas: of each, what its header says; "" for nothing.
        """
        return [self._record(value, schema) for value, schema in zip(values, schemas, strict=True)]

    def _record(self, value: bytes | None, name: str) -> dict[str, Any] | str:
        if value is None:
            return "it has no value: it says that its key is deleted"
        schema = self._schema(name)
        if schema is None:
            return f"its schema {name} is not written down here" if name else "it names no schema: give schema="
        stream = io.BytesIO(value)
        try:
            record = self._read(stream, schema)
        except Exception as error:  # noqa: BLE001 - bytes from outside make the decoder raise whatever they like
            return f"it can't be read by its schema: {type(error).__name__}"
        if stream.tell() != len(value):
            return f"it has {len(value) - stream.tell()} bytes more than its schema"
        return record if isinstance(record, dict) else "it is no record"

    def _schema(self, name: str) -> Any:
        if not name:
            return self._given
        if name not in self._known:
            schema = next((text for identity, text in self._written if identity.startswith(name)), None)
            self._known[name] = self._given if schema is None else self._parse(schema)
        return self._known[name]

    @cached_property
    def _written(self) -> list[tuple[str, Any]]:
        """The schemas that are written down, by digest: read once, however many messages name unknown ones."""
        written: list[tuple[str, Any]] = []
        for entry in () if self._ledger is None else self._ledger.entries(f"stream/{self._label}"):
            body: Any = entry.body
            if entry.identity and body.get("content_type") == "avro/binary":
                written.append((entry.identity, body["schema"]))
        return written


def schema_name(headers: Sequence[tuple[str, bytes | None]] | None) -> str:
    """What a message's headers say of its schema; "" for nothing."""
    named = next((value for name, value in headers or () if name == HEADER and value), b"")
    return named.decode(errors="replace")
