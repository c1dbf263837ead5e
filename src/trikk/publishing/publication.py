"""The step `publish`, and what it does: one publication, from rows to messages that have arrived."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.durations import Duration, seconds, show_bytes
from trikk.core.errors import CodecError, PermanentError, UsageError
from trikk.core.settings import find_project, load_settings
from trikk.core.values import JSON
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.publishing.broker_address import Address, Transport, check_address, resolve
from trikk.publishing.broker_messages import publication_of
from trikk.publishing.publication_records import PublicationRecords
from trikk.publishing.row_encoding import FORMATS, encode
from trikk.publishing.shipment import Shipment
from trikk.runs.context import current_step

if TYPE_CHECKING:
    from trikk.publishing.stream import Stream


def publish_rows(
    rows: Any,
    to: str,
    key: str | Sequence[str] | None = None,
    format: str = "json",  # noqa: A002 - the word for it
    model: Any = None,
    identity: str | None = None,
    patience: Duration = 30.0,
) -> dict[str, JSON]:
    """Publish rows; as `trikk.publish`, which is a step of it.

    Returns:
        `to` (without user and password), `format`, `messages`, `bytes` (of their values), `first_id`, `last_id`
        (None if there are no rows), `schema` (the digest under which it is written down).

    Raises:
        PermanentError: if a row can't be encoded (nothing was sent then), or the broker refuses for good.
        BrokerError: if the broker is away for longer than `patience`: worth another attempt.
        UsageError: if an argument is wrong.
        MissingExtra: if the client's library is not installed.
    """
    context = current_step()
    if context is not None and context.dry:
        raise PermanentError("a replay does not publish", next="take the result of the first run")
    if format not in FORMATS:
        raise UsageError(f"messages can't be written as {format!r}", next=f"use one of {', '.join(FORMATS)}")
    address = resolve(to)
    if address.kind == Transport.STREAM and format != "json":
        raise UsageError("a stream in a folder holds JSON", next="leave out format=, or publish to a broker")
    wait = seconds(patience, what="patience")
    name = identity or (context.identity if context is not None else os.urandom(12).hex())
    publication = publication_of(name, f"{address.kind}:{address.topic}")
    headers = {"trikk-run": context.run} if context is not None else {}
    messages = encode(_frame(rows), publication, key=key, form=format, headers=headers, model=_model(model))
    records = PublicationRecords.of(context, publication, name, address.label)
    shipment = Shipment(messages, name, address, wait, records, context)
    result = _result(shipment, format)
    if context is not None:
        context.notes.append(f"{len(messages):,} messages, {show_bytes(messages.size)}, to {address.label}")
    if records.known.done is not None:
        return _same(shipment, records.known.done, result)
    if records.known.sent and records.known.digest != messages.digest:
        raise shipment.other_rows(records.known.sent)
    # Before anything is sent: another attempt, perhaps on another machine, must know which rows these are.
    records.begin(messages, address.label)
    arrived = _sender(address)(shipment)
    records.done(result, arrived)
    return result


def _frame(rows: Any) -> Any:
    """The rows as one frame; PermanentError if they are none, as they will be none at the next attempt."""
    from trikk.storage.frames import rows_of

    try:
        return rows_of(rows)
    except CodecError as error:
        raise PermanentError(error.what, where=error.where, next=error.next) from None


def _same(shipment: Shipment, done: dict[str, JSON], result: dict[str, JSON]) -> dict[str, JSON]:
    if shipment.records.known.digest != shipment.messages.digest:
        raise shipment.other_rows(int(str(done["messages"])))
    return result


def _result(shipment: Shipment, form: str) -> dict[str, JSON]:
    messages = shipment.messages
    count = len(messages)
    return {
        "to": shipment.address.label,
        "format": form,
        "messages": count,
        "bytes": messages.size,
        "first_id": messages.id_of(0) if count else None,
        "last_id": messages.id_of(count - 1) if count else None,
        "schema": messages.schema_digest,
    }


def _model(model: Any) -> tuple[str, int | None] | None:
    """Name and version of a ModelVersion, of the dict of one, or of a plain name."""
    if model is None:
        return None
    if isinstance(model, str):
        return model, None
    given = model if isinstance(model, Mapping) else {k: getattr(model, k, None) for k in ("name", "version")}
    name, version = given.get("name"), given.get("version")
    if not isinstance(name, str):
        raise UsageError(
            "model= is not a model", next="give a ModelVersion, what register_model returned, or a name"
        )
    return name, version if isinstance(version, int) else None


def _sender(address: Address) -> Callable[[Shipment], int]:
    if address.kind == Transport.KAFKA:
        from trikk.publishing.kafka import send_kafka

        return send_kafka
    if address.kind == Transport.MQTT:
        from trikk.publishing.mqtt import send_mqtt

        return send_mqtt
    return send_stream


def send_stream(shipment: Shipment) -> int:
    """Append to the stream in the project's folder; returns how many messages were there before."""
    _, repeated = _stream(shipment).append(shipment.messages, shipment.identity)
    return len(shipment.messages) if repeated else 0


def _stream(shipment: Shipment) -> Stream:
    from trikk.publishing.stream import Stream, streams_folder

    if shipment.context is not None:
        folder = streams_folder(shipment.context.state_dir, shipment.context.environment)
    else:
        settings = load_settings(find_project(Path.cwd()), stored=True)
        folder = streams_folder(settings.state, settings.environment)
    return Stream(folder / shipment.address.topic)


_RETRY = Retry(attempts=3, delay="5s", factor=4, max_delay="1m")
_PUBLISH: Step[..., Any] = Step(publish_rows, name="publish", retry=_RETRY, effect=True)


def publish(
    rows: Any,
    to: str,
    key: str | Sequence[str] | None = None,
    *,
    format: str = "json",  # noqa: A002 - the word for it
    model: Any = None,
    identity: str | None = None,
    patience: Duration = 30.0,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
) -> Any:
    """Publish each row of a frame as a message, as a step; outside of a pipeline, at once.

    Each message has the headers `trikk-id` (the same however often it is sent), `trikk-run`, `trikk-model`,
    `trikk-model-version`, `trikk-schema` and `content-type`. To Kafka and to a stream it is delivered once,
    whatever crashes in between; to MQTT at least once: readers drop repeats by the id. A replay publishes nothing.

    Args:
        rows: a frame; NaN and infinities are refused, null is published as null.
        to: kafka://host:port[,host...]/topic, mqtt://host/topic/{key} or stream:name; kafkas:// and mqtts:// are
            encrypted. `${NAME}` is read from the environment when the step runs; a password in it is refused.
        key: the column that is each message's key; several give a JSON object.
        format: "json", or "avro" (plain records; the schema is written down in the journal's ledger).
        model: the model version whose predictions these are; columns `model` and `model_version` are used if not
            given.
        identity: what is to be published once; this step of this run if not given. Outside of a run, if not given,
            every call is a publication of its own.
        patience: for how long one attempt tries a broker that is away, as seconds or "30s".
        name: the step's name; "publish", "publish-2", ... if not given.
        after: steps that must be over before.
        retry: of the step; three attempts if not given.

    Returns:
        A dict with to, format, messages, bytes, first_id, last_id and schema.

    Raises:
        DefinitionError: if the address is of an unknown kind or holds a password.
        PermanentError: outside of a pipeline, as `BrokerError` (a broker that is away): if it was not published.
    """
    if isinstance(to, str):
        with defining():
            check_address(to)
    step = _PUBLISH.options(name=name, after=after, retry=retry)
    return step(rows, to, key, format=format, model=model, identity=identity, patience=patience)
