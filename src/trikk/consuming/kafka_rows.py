"""The messages of a topic that a table has not taken in yet, as rows for it: what the step `kafka` does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import polars as pl

from trikk.consuming.avro_messages import AvroReader, schema_name
from trikk.consuming.message_rows import Read, RowReader, inferred_schema, schema_of_records, set_aside
from trikk.consuming.topic_reading import Reading, read_topic
from trikk.core.durations import Duration, seconds
from trikk.core.errors import PermanentError, UnknownName
from trikk.core.values import JSON
from trikk.publishing.broker_address import Address, resolve
from trikk.runs.context import StepContext, current_step
from trikk.storage.ingest.column_types import dtype_of

_SAMPLE = 10_000  # messages by which a table that is not there yet gets its types


class Arrived(NamedTuple):
    """What has arrived."""

    rows: pl.DataFrame  # of the messages that fit
    rejected: pl.DataFrame  # the others, as they are set aside
    result: dict[str, Any]  # messages, set_aside, left, skipped, and positions: [source, before, after] each


def read_arrived(
    url: str,
    into: str | None,
    key: Sequence[str],
    options: Mapping[str, Any],
) -> Arrived:
    """Read; arguments as `trikk.kafka` describes them, `into` being the table's name."""
    context, address = current_step(), resolve(url)
    tables = context.tables if context is not None and into is not None else None

    def known(sources: Sequence[str]) -> Mapping[str, int | None]:
        return dict.fromkeys(sources) if tables is None else tables.positions(into, sources)

    patience: Duration = options["patience"]
    reading = read_topic(
        address,
        known,
        limit=int(options["limit"]),
        skip_gaps=options["gaps"] == "skip",
        patience=seconds(patience, what="patience"),
    )
    if reading.left and into is None:
        raise PermanentError(
            f"the topic holds {reading.left:,} messages more than the {len(reading.messages):,} that were read",
            where=address.label,
            next="raise limit=, or read it piece by piece into a table: into=Table(...)",
        )
    values = [message.value() for message in reading.messages]
    read = _read(reading, values, _stored(tables, into), key, options, address, context)
    _check_share(read, len(values), options["at_most"] if into is not None else 0.0, address)
    sources = {a.source.rpartition("/")[2]: a.source for a in reading.advances}
    unlike = {at: reading.messages[at] for at, _ in read.misfits}
    places = {at: (sources[str(message.partition())], message.offset()) for at, message in unlike.items()}
    rejected = set_aside(read.misfits, values, places, _about(context))
    result: dict[str, Any] = {
        "messages": len(values),
        "set_aside": len(read.misfits),
        "left": reading.left,
        "skipped": reading.skipped,
        "positions": [[a.source, a.before, a.after] for a in reading.advances],
    }
    if context is not None:
        _record(context, address, result)
    return Arrived(read.rows, rejected, result)


def read_all(url: str, into: str | None, key: Sequence[str], options: Mapping[str, Any]) -> pl.DataFrame:
    """Read a topic that no table keeps the positions of: all of it, and every message has to fit."""
    return read_arrived(url, into, key, options).rows


def _stored(tables: Any, into: str | None) -> dict[str, pl.DataType]:
    """The columns of the table; none if there is no table yet."""
    if tables is None or into is None:
        return {}
    try:
        return dict(tables.scan(into).collect_schema())
    except UnknownName:
        return {}


def _read(
    reading: Reading,
    values: list[bytes | None],
    stored: dict[str, pl.DataType],
    key: Sequence[str],
    options: Mapping[str, Any],
    address: Address,
    context: StepContext | None,
) -> Read:
    given = {name: dtype_of(type_name) for name, type_name in options["types"].items()}
    if options["format"] == "json":
        schema = (stored or inferred_schema(values[:_SAMPLE])) | given
        return RowReader(schema, key if schema else ()).read(values)
    ledger = None if context is None else context.journal
    avro = AvroReader(options["schema"], ledger, address.label)
    records = avro.records(values, [schema_name(message.headers()) for message in reading.messages])
    schema = (stored or schema_of_records(records[:_SAMPLE])) | given
    return RowReader(schema, key if schema else ()).read_records(records)


def _check_share(read: Read, count: int, at_most: float, address: Address) -> None:
    if len(read.misfits) > at_most * count:
        place, why = read.misfits[0]
        raise PermanentError(
            f"{len(read.misfits):,} of {count:,} messages do not fit; of the first, number {place}: {why}",
            where=address.label,
            next="mend who sends them, or give types=, or a table that they are read into; nothing was written",
        )


def _about(context: StepContext | None) -> dict[str, Any]:
    if context is None:
        return {"at": datetime.now(UTC), "run": None, "pipeline": None, "gate": "kafka"}
    return {"at": context.now, "run": context.run, "pipeline": context.pipeline, "gate": context.step}


def _record(context: StepContext, address: Address, result: dict[str, Any]) -> None:
    body: dict[str, JSON] = {"source": "kafka", "topic": address.label, **result}
    context.record("source.read", body)
    aside = f", {result['set_aside']:,} set aside" if result["set_aside"] else ""
    left = f", {result['left']:,} left for another run" if result["left"] else ""
    context.notes.append(f"{result['messages']:,} messages from {address.label}{aside}{left}")
