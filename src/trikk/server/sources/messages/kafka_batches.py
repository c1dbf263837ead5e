"""Several messages of a partition as one event: collected up to a number and a time. Pure.

What one process gives together, the next has to give together, wherever the first was killed: otherwise a message
would be in two runs. So the offsets of a batch are written down before it is given, and another one of the same
partition begins only when the one before has its run. What is read again after a crash is then told apart by the
batch that was written down last: before its first offset, everything has its run; within it, the messages are that
batch; after it, they are new.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.sources.payloads import LARGEST


class Range(NamedTuple):
    """A batch's first offset, the one after its last, and the topic's id: one that is made anew has another."""

    first: int
    end: int
    topic: str


class Collected(NamedTuple):
    """A message that is in no batch yet: its offset, its event, and when it was received, in seconds."""

    offset: int
    event: Event
    since: float


class Batch(NamedTuple):
    """Messages that belong together; `is_known` if their offsets were written down before."""

    range: Range
    messages: Sequence[Collected]
    is_known: bool

    def event(self, partition: int) -> Event:
        """The batch as one event: the payloads in order, and the keys if there are any."""
        first, keys = self.messages[0].event, [each.event.key for each in self.messages]
        sent = first.id.rpartition("@")[2]
        return Event(
            id=f"{first.topic}/{partition}/{self.range.first}-{self.range.end - 1}@{sent}",
            kind="message",
            at=first.at,
            topic=first.topic,
            payload=[each.event.payload for each in self.messages],
            keys=keys if any(keys) else [],
        )


class Batches:
    """The messages of each partition that are in no batch yet.

    Args:
        most: how many messages a batch has at most.
        within: seconds after which one is closed that has fewer.
    """

    def __init__(self, most: int, within: float) -> None:
        self._most = most
        self._within = within
        self._waiting: defaultdict[int, list[Collected]] = defaultdict(list)
        self._position: dict[int, int] = {}

    def take(self, partition: int, offset: int, event: Event, now: float) -> None:
        """Take in the next message of a partition; `now` by a clock that never jumps."""
        self._waiting[partition].append(Collected(offset, event, now))

    def passed(self, partition: int, offset: int) -> bool:
        """Take in that a message was read, for a batch or not; whether it is after those that were before."""
        before, self._position[partition] = self._position.get(partition, 0), offset + 1
        return offset >= before

    def forget(self, partition: int) -> None:
        """Leave a partition to whoever has it now."""
        self._waiting.pop(partition, None)
        self._position.pop(partition, None)

    def put_back(self, partition: int, batch: Batch) -> None:
        """Take back a batch that could not be written down."""
        self._waiting[partition] = [*batch.messages, *self._waiting[partition]]

    def first(self, partition: int) -> int | None:
        """The first offset that is in no batch; None if there is none."""
        waiting = self._waiting.get(partition)
        return waiting[0].offset if waiting else None

    def to_close(self, now: float) -> list[int]:
        """The partitions of which a batch may be closed: it is full, or has waited for long enough."""
        return [
            partition
            for partition, waiting in self._waiting.items()
            if waiting and (len(self._fitting(waiting)) < len(waiting) or self._is_due(waiting, now))
        ]

    def close(self, partition: int, last: Range | None, topic: str) -> Batch | None:
        """The next batch of a partition, whose messages are waited for no longer; None if it is not whole yet.

        Args:
            partition: one of `to_close`.
            last: the batch that was written down last.
            topic: the topic's id.
        """
        waiting = self._waiting[partition]
        if last is not None and last.topic == topic:
            known = [each for each in waiting if last.first <= each.offset < last.end]
            if known and self._position.get(partition, 0) < last.end:
                return None
            waiting = self._waiting[partition] = [each for each in waiting if each.offset >= last.end]
            if known:
                return Batch(last, known, is_known=True)
        messages = self._fitting(waiting)
        if not messages:
            return None
        self._waiting[partition] = waiting[len(messages) :]
        return Batch(Range(messages[0].offset, messages[-1].offset + 1, topic), messages, is_known=False)

    def _is_due(self, waiting: Sequence[Collected], now: float) -> bool:
        return len(waiting) >= self._most or now - waiting[0].since >= self._within

    def _fitting(self, waiting: Sequence[Collected]) -> Sequence[Collected]:
        """As many as fit into one event, one at least: a run's parameters have a limit."""
        size = 0
        for number, each in enumerate(waiting[: self._most]):
            size += _size(each.event.payload) + len(each.event.key) + 4
            if number and size > LARGEST:
                return waiting[:number]
        return waiting[: self._most]


def _size(payload: Any) -> int:
    return len(msgspec.json.encode(payload))
