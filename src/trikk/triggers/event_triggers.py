"""Triggers that something brings: a run's end, a table's new version, a file, a message, a call from outside."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from msgspec.structs import force_setattr

from trikk.core.durations import lasting, seconds
from trikk.core.errors import UsageError
from trikk.core.names import check_name
from trikk.core.network.addresses import REFERENCE, refuse_secrets
from trikk.runs.states import OVER, RunStatus
from trikk.triggers.declaration import Trigger

_LONGEST_SETTLE, _LONGEST_WITHIN = 86_400.0, 3_600.0
_LARGEST_BATCH = 1_000
_PATH = re.compile(r"\$(\.[^.\s]+)+")


class AfterRun(Trigger, frozen=True, tag="after-run"):
    """Comes due when a run of another pipeline has ended: `AfterRun("nightly")`.

    Attributes:
        after: the pipeline.
        state: how the run has ended: `succeeded`, `failed` or `cancelled`; "" for whichever.
    """

    after: str
    state: str = RunStatus.SUCCEEDED

    def _check(self) -> None:
        super()._check()
        check_name("pipeline", self.after)
        if self.state not in ("", *OVER):
            raise UsageError(
                f"state={self.state!r} is no end of a run", next=f'use "" or one of {", ".join(OVER)}'
            )
        force_setattr(self, "state", str(self.state))

    def in_words(self) -> str:
        """When it comes due, for people."""
        return f"After each run of {self.after} that has {self.state or 'ended'}"


class TableChanged(Trigger, frozen=True, tag="table-changed"):
    """Comes due when a table has a new version: `TableChanged("counts")`.

    Attributes:
        table: the table.
    """

    table: str

    def _check(self) -> None:
        super()._check()
        check_name("table", self.table)

    def in_words(self) -> str:
        """When it comes due, for people."""
        return f"After each new version of table {self.table}"


class FileArrived(Trigger, frozen=True, tag="file-arrived"):
    """Comes due when a file is there that was not: `FileArrived("inbox/*.csv")`, `FileArrived("s3://bucket/in/*")`.

    A file counts once it no longer grows.

    Attributes:
        pattern: which files: a path within the project, or an absolute one, or an address in a bucket; with `*`,
            `?` and `[...]`, and `**/` for any depth.
        settle: for how many seconds a file must not change; written as a number or a text such as "1m", a day at
            most. Two looks have to see it equal even with 0.
    """

    pattern: str
    settle: str | float = 3.0

    def _check(self) -> None:
        super()._check()
        force_setattr(self, "settle", seconds(self.settle, what="settle"))
        if float(self.settle) > _LONGEST_SETTLE:
            raise UsageError(f"settle={self.settle!r} is more than a day", next='settle="1m"')
        if not isinstance(self.pattern, str) or not self.pattern.isprintable() or not self.pattern:
            raise UsageError(f"{self.pattern!r} is no path of files", next='FileArrived("inbox/*.csv")')
        if "://" in self.pattern:
            from trikk.storage.stores.object_names import locate

            if not locate(self.pattern).key:
                raise UsageError("the whole of a bucket is not a path of files", next='"s3://bucket/inbox/*.csv"')
            return
        path = PurePosixPath(self.pattern)
        if ".." in path.parts or self.pattern.endswith("/") or not path.name:
            raise UsageError(
                f"{self.pattern!r} is no path of files, or has .. in it", next='FileArrived("inbox/*.csv")'
            )

    def in_words(self) -> str:
        """When it comes due, for people."""
        changeless = lasting(float(self.settle)) if self.settle else "two looks"
        return f"For each new file {self.pattern}, once it has not changed for {changeless}"


def check_reading(address: object) -> None:
    """Check the address of a broker that messages are read from, as it is written.

    Raises:
        UsageError: if it is none, or holds a password, which is not repeated.
    """
    from trikk.publishing.broker_address import MQTT_WILDCARD, check_address

    text = address if isinstance(address, str) else ""
    if not text.startswith(("kafka://", "kafkas://", "mqtt://", "mqtts://")):
        raise UsageError(
            "messages come from a broker's address",
            next="use kafka://host:9092/topic, or mqtt://user:${PASSWORD}@host/topic/+",
        )
    plain, question, options = text.partition("?")
    is_mqtt = text.startswith("mqtt")
    check_address((MQTT_WILDCARD.sub("x", plain) if is_mqtt else plain) + question + options)


class Message(Trigger, frozen=True, tag="message"):
    """Comes due when a message has come: `Message("kafka://host:9092/topic")`, `Message("mqtt://host/sensors/+")`.

    Attributes:
        address: where messages come from, as `publish` has them; an MQTT topic may have `+` and `#`. `${NAME}` is
            read from the environment, and a password in the text is refused.
        id: where in a payload of MQTT its identity is, such as "$.order.number": messages with the same one
            are one event. Messages of Kafka are known by their offsets.
        batch: how many messages of a partition of Kafka one run is for, at most 1,000: `Event.payload` is a list.
        within: seconds after which a run is started for fewer, an hour at most; a number or a text such as "1m".
    """

    address: str
    id: str = ""
    batch: int = 1
    within: str | float = 5.0

    def _check(self) -> None:
        super()._check()
        check_reading(self.address)
        is_mqtt = self.address.startswith("mqtt")
        force_setattr(self, "within", seconds(self.within, what="within"))
        if (
            isinstance(self.batch, bool)
            or not isinstance(self.batch, int)
            or not 1 <= self.batch <= _LARGEST_BATCH
        ):
            raise UsageError(f"batch={self.batch!r} is no number of messages", next="use one from 1 to 1000")
        if float(self.within) > _LONGEST_WITHIN:
            raise UsageError(f"within={self.within!r} is more than an hour", next='within="1m"')
        if self.batch > 1 and is_mqtt:
            raise UsageError(
                "messages of MQTT can't be taken together: they have no offsets", next="leave out batch="
            )
        if self.id and not is_mqtt:
            raise UsageError("messages of Kafka are known by their offsets, and need no id=", next="leave out id=")
        if not isinstance(self.id, str) or (self.id and not _PATH.fullmatch(self.id)):
            raise UsageError(f"id={self.id!r} is no place in a payload", next='id="$.order.number"')

    def in_words(self) -> str:
        """When it comes due, for people."""
        place = self.address.partition("?")[0]
        if self.batch == 1:
            return f"For each message from {place}"
        within = lasting(float(self.within))
        return f"For {self.batch} messages from {place} together, or as many as come within {within}"


class Webhook(Trigger, frozen=True, tag="webhook"):
    """Comes due when somebody calls it over HTTP with a signature: `Webhook("orders", secret="${KEY}")`.

    Attributes:
        hook: what the call's path ends with.
        secret: what calls are signed with, as a reference to the environment.
        former_secret: what they were signed with before, which counts, too, while callers change to the new one.
    """

    hook: str
    secret: str = ""
    former_secret: str = ""

    def _check(self) -> None:
        super()._check()
        check_name("webhook", self.hook)
        secrets = {"secret": self.secret, **({"former_secret": self.former_secret} if self.former_secret else {})}
        for name, written in secrets.items():
            if not isinstance(written, str) or not REFERENCE.fullmatch(written):
                if isinstance(written, str):
                    refuse_secrets(written, "the webhook")
                raise UsageError(
                    f"webhook {self.hook} needs the secret that calls are signed with, by reference",
                    next=f'put it into the environment, and write {name}="${{NAME}}"',
                )

    def in_words(self) -> str:
        """When it comes due, for people."""
        return f"For each signed call of webhook {self.hook}"
