"""Messages that are one event together: each is in one run, whatever dies when, and whatever was not committed."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from trikk.pipeline.parameters.trigger_event import Event
from trikk.server.sources.messages.kafka_batches import Batches, Range

AT = datetime(2026, 3, 1, tzinfo=UTC)
FATES = ["goes on", "commit is lost", "killed before its run", "killed after it"]


def message(offset: int, payload: object = None, key: str = "") -> Event:
    return Event(id=f"topic/0/{offset}@{offset}", kind="message", at=AT, topic="topic", key=key, payload=payload)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from(FATES)), max_size=60))
def test_each_message_is_in_one_run_wherever_a_process_is_killed(turns: list[tuple[int, str]]) -> None:
    written: Range | None = None
    runs: dict[str, list[object]] = {}
    committed = position = 0
    batches, now = Batches(3, 10.0), 0.0
    for received, fate in [*turns, *[(4, "goes on")] * 3]:
        now += 4.0
        for offset in range(position, position + received):
            batches.take(0, offset, message(offset, offset), now)
            assert batches.passed(0, offset)
        position += received
        if not batches.to_close(now) or (batch := batches.close(0, written, "id")) is None:
            continue
        written = batch.range
        event = batch.event(0)
        if fate != "killed before its run":
            assert runs.setdefault(event.id, event.payload) == event.payload
        if fate == "goes on":
            first = batches.first(0)
            committed = position if first is None else first
        elif fate.startswith("killed"):
            batches, position = Batches(3, 10.0), committed
    in_runs = [offset for payload in runs.values() for offset in payload]
    assert sorted(in_runs) == list(range(len(in_runs)))
    assert len(in_runs) >= committed


def test_a_batch_is_closed_by_its_number_its_time_and_the_size_of_a_run_s_record() -> None:
    batches = Batches(10, 5.0)
    for offset, payload in enumerate(["x" * 150_000, "y" * 100_000, "z"]):
        batches.take(0, offset, message(offset, payload, "k"), float(offset))
        batches.passed(0, offset)
    assert batches.to_close(2.0) == [0]
    large = batches.close(0, None, "id")
    assert large is not None
    assert (large.range, large.is_known) == (Range(0, 1, "id"), False)
    assert batches.to_close(5.9) == []
    assert batches.to_close(6.0) == [0]
    rest = batches.close(0, large.range, "id")
    assert rest is not None
    assert (rest.event(0).id, rest.event(0).keys) == ("topic/0/1-2@1", ["k", "k"])


def test_a_topic_that_is_made_anew_counts_from_zero() -> None:
    batches = Batches(1, 5.0)
    batches.passed(0, 7)
    batches.take(0, 0, message(0), 0.0)
    assert not batches.passed(0, 0)
    assert batches.close(0, Range(5, 9, "old"), "old") is None, "it had its run"
    batches.take(0, 0, message(0), 0.0)
    batch = batches.close(0, Range(5, 9, "old"), "new")
    assert batch is not None
    assert batch.range == Range(0, 1, "new")
