"""Publishing: rows as messages that readers get once, by Kafka, MQTT or a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.publishing.broker_address import check_address
from trikk.publishing.publication import publish_rows
from trikk.publishing.stream import Stream

__all__ = ["publish", "Stream"]

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
