"""What the client's own mock cluster shows where there is no Java; it knows no aborted transactions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import confluent_kafka
import pytest
from tests.publishing.publisher import rows_for
from tests.servers.kafka import Kafka

from trikk.publishing import kafka as transport
from trikk.publishing import publish


@pytest.fixture(scope="module")
def mock() -> Iterator[Kafka]:
    holder: Any = confluent_kafka.Producer({"test.mock.num.brokers": 3, "log_level": 0})
    brokers = holder.list_topics(timeout=20).brokers.values()
    yield Kafka(",".join(f"{b.host}:{b.port}" for b in brokers), "", "")
    holder.flush()


def test_rows_arrive_once_each_in_several_transactions(mock: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "BATCH_ROWS", 700)
    made = publish(rows_for(2000), f"kafka://{mock.host}/forecast", key="key", model="people")
    messages = mock.read("forecast")
    headers = [{k: v.decode() for k, v in m.headers()} for m in messages]
    prefix = made["first_id"].rpartition("-")[0]
    assert sorted(h["trikk-id"] for h in headers) == sorted(f"{prefix}-{row}" for row in range(2000))
    assert {(h["trikk-model"], h["trikk-schema"]) for h in headers} == {("people", made["schema"][:16])}
    by_id = {h["trikk-id"]: m.value() for h, m in zip(headers, messages, strict=True)}
    assert by_id[made["last_id"]] == b'{"key":"s4","row":1999,"value":999.5}'
    for key in ("s0", "s6"):
        assert len({m.partition() for m in messages if m.key() == key.encode()}) == 1
