"""`kafka(...)`: the messages of a topic as rows, each in its table once."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.core.errors import UsageError
from trikk.pipeline.arrivals import Arrival
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.pipeline.table_reference import Table
from trikk.pipeline.tracing import current, when
from trikk.publishing.broker_address import Transport, check_address

_RETRY = Retry(attempts=3, delay="5s", factor=4, max_delay="1m")
_HINT = "use kafka://host:port/topic or kafkas://user:${PASSWORD}@host/topic"


def kafka(
    url: str,
    into: Table | None = None,
    *,
    key: str | Sequence[str] = (),
    types: Mapping[str, str] | None = None,
    format: str = "json",  # noqa: A002 - the word for it
    schema: Mapping[str, object] | None = None,
    invalid: Table | None = None,
    at_most: float = 1.0,
    limit: int = 1_000_000,
    gaps: str = "fail",
    patience: Duration = 30.0,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Read messages that a table has not taken in yet, as a step; a replay does not read again.

    How far the table is stands in the commit of the first write to it, further down, that is made of these rows:
    so each message is in it once, whichever process dies when.

    Args:
        url: kafka://host:port[,host...]/topic, or kafkas:// in TLS; options and `${NAME}` as of `publish`.
        into: the table that the rows will be written into. Without one, the whole topic is read each time, and a
            message that does not fit fails the step; so does a plain call outside of a pipeline.
        key: columns that must have a value.
        types: types of columns by name, for a table that is not there yet or lacks them; else the values say it.
        format: "json", an object each, or "avro", records without a header.
        schema: of Avro messages whose schema is not in this project's ledger, as that of its own messages is.
        invalid: the table for messages that do not fit, with the reason; "INTO_set_aside" if not given.
        at_most: the share of the messages, 0 to 1, that may be set aside; if there are more, the step fails.
        limit: so many messages at most, and 256 MB; the rest is left for the next run.
        gaps: "fail", or "skip" to go on where messages are gone that have not been read.
        patience: for how long an attempt tries a broker that is away, as seconds or "30s".
        name: the step's name; "kafka", "kafka-2", ... if not given.
        after: steps that must be over before.
        retry: of the step; three attempts if not given.
        timeout: how long one attempt may take.

    Returns:
        The rows. Outside of a pipeline, a polars DataFrame.

    Raises:
        DefinitionError: if an argument is wrong, or holds a password.
    """
    _check(url, into, types, format, schema, invalid, at_most, limit, gaps)
    options: dict[str, Any] = {
        "types": dict(types or {}), "format": format, "schema": schema and dict(schema), "at_most": at_most,
        "limit": limit, "gaps": gaps, "patience": patience,
    }  # fmt: skip
    columns = [key] if isinstance(key, str) else list(key)
    step = _steps()[into is not None].options(name=name, after=after, retry=retry, timeout=timeout)
    if into is None:
        return step(url, None, columns, options)
    return _into(into, step(url, into.table_name, columns, options), invalid)


def _into(into: Table, arrived: Any, invalid: Table | None) -> Any:
    """The rows that fit; the others are kept, and then the table moves on with the rows."""
    trace = current()
    assert trace is not None
    aside = invalid or Table(f"{into.table_name}_set_aside")
    with when(arrived.result["set_aside"] > 0):
        kept = aside.merge(arrived.rejected, key=["source", "position"])
    # In this order: else a crash between the two would lose what does not fit.
    after = (kept.symbol_argument.step,)
    positions = arrived.result["positions"].symbol_argument
    trace.arrivals.append(Arrival(into.table_name, arrived.symbol_argument.step, positions, after))
    return arrived.rows


def _check(
    url: object,
    into: object,
    types: Mapping[str, str] | None,
    form: object,
    schema: object,
    invalid: object,
    at_most: object,
    limit: object,
    gaps: object,
) -> None:
    from trikk.storage.ingest.column_types import check_types

    with defining():
        if isinstance(url, str):
            check_address(url)
            if not url.startswith((Transport.KAFKA, "${")):
                raise UsageError("kafka() reads topics of Kafka", next=_HINT)
        check_types(types or {})
        if into is not None and current() is None:
            raise UsageError("a topic is read into a table by pipelines only", next="leave out into=")
        for label, value in (("into", into), ("invalid", invalid)):
            if value is not None and not isinstance(value, Table):
                raise UsageError(f"{label}={value!r} is no table", next=f'{label}=Table("readings")')
        if form not in ("json", "avro") or (schema is not None and form != "avro"):
            raise UsageError(
                f"format={form!r} and schema= don't go together", next='use "json", or "avro" with one'
            )
        if gaps not in ("fail", "skip"):
            raise UsageError(f"gaps={gaps!r}", next='use "fail" or "skip"')
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise UsageError(f"limit={limit!r}", next="give a number of messages")
        if isinstance(at_most, bool) or not isinstance(at_most, int | float) or not 0 <= at_most <= 1:
            raise UsageError(f"at_most={at_most!r}", next="give a share of the messages, 0 to 1")


@functools.cache
def _steps() -> tuple[Step[..., Any], Step[..., Any]]:
    from trikk.consuming.kafka_rows import read_all, read_arrived  # late: they need polars

    options: dict[str, Any] = {"name": "kafka", "source": True, "retry": _RETRY}
    return Step(read_all, **options), Step(read_arrived, **options)
