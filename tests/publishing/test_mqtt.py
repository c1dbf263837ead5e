from __future__ import annotations

import json
import secrets
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tests.execution.command import until
from tests.publishing.publisher import context_for, rows_for, start_publisher
from tests.servers.mqtt import LARGEST, Mqtt, wait_for
from tests.servers.shared import free_ports

from trikk.core.errors import BrokerError, PermanentError, UsageError
from trikk.publishing import publish
from trikk.publishing.broker_messages import publication_of
from trikk.publishing.publication_records import fold
from trikk.runs.context import entered


@pytest.fixture(params=["5", "3.1.1"])
def mqtt(request: pytest.FixtureRequest) -> Mqtt:
    found: Mqtt = request.getfixturevalue("mqtt5" if request.param == "5" else "mqtt3")
    return found


@pytest.fixture(autouse=True)
def password(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "mqtt5" in request.fixturenames or "mqtt" in request.fixturenames:
        monkeypatch.setenv("MQTT_PASSWORD", request.getfixturevalue("mqtt5").password)


def new_topic() -> str:
    return "t" + secrets.token_hex(6)


def opened(message: Any, version: str) -> tuple[str, str | None, dict[str, str], Any]:
    """Id, key, headers and value as a reader gets them."""
    if version == "3.1.1":
        whole = json.loads(message.payload)
        return whole["id"], whole["key"], whole["headers"], whole["value"]
    headers = dict(message.properties.UserProperty) | {"content-type": message.properties.ContentType}
    return headers.pop("trikk-id"), headers.pop("trikk-key", None), headers, json.loads(message.payload)


def test_rows_arrive_with_topic_headers_and_id(mqtt: Mqtt, tmp_path: Path) -> None:
    topic = new_topic()
    with mqtt.listening(f"{topic}/#") as found, entered(context_for(tmp_path)):
        made = publish(rows_for(300), mqtt.address(topic + "/{key}"), key="key", model="people")
        wait_for(found, 300)
    assert [m.topic for m in found[:2]] == [f"{topic}/s0", f"{topic}/s1"]
    first = opened(found[0], mqtt.version)
    schema = made["schema"][:16]
    headers = {
        "content-type": "application/json",
        "trikk-run": "r1",
        "trikk-model": "people",
        "trikk-schema": schema,
    }
    assert first == (made["first_id"], "s0", headers, {"key": "s0", "row": 0, "value": 0.0})
    publication = publication_of("r1/publish", f"mqtt:{topic}/{{key}}")
    assert {opened(m, mqtt.version)[0] for m in found} == {f"{publication}-{row}" for row in range(300)}
    assert made["to"] == f"mqtt://{mqtt.host}/{topic}/{{key}}"


def test_a_publisher_that_is_killed_and_resumed_repeats_ids_and_loses_none(mqtt5: Mqtt, tmp_path: Path) -> None:
    topic, count = new_topic(), 3000
    with mqtt5.listening(topic) as found:
        process = start_publisher(tmp_path, mqtt5.address(topic), count)
        wait_for(found, 50)
        process.kill()
        process.communicate()
        assert len(found) < count
        with entered(context_for(tmp_path)):
            publish(rows_for(count), mqtt5.address(topic), key="key")
        publication = publication_of("r1/publish", f"mqtt:{topic}")
        wanted = {f"{publication}-{row}" for row in range(count)}
        until(lambda: {opened(m, "5")[0] for m in found} == wanted)
    assert len(found) >= count


def test_a_publisher_that_stopped_goes_on_behind_what_was_acknowledged(mqtt5: Mqtt, tmp_path: Path) -> None:
    topic = new_topic()
    context = context_for(tmp_path)
    publication = publication_of("r1/publish", f"mqtt:{topic}")
    with entered(context), mqtt5.listening(topic) as found:
        publish(rows_for(10), mqtt5.address(topic), key="key")
        entries = context.journal.entries(f"publication/{publication}")
        assert [e.kind for e in entries] == ["publication.begun", "publication.sending", "publication.done"]
        assert publish(rows_for(10), mqtt5.address(topic), key="key")["messages"] == 10
        wait_for(found, 10)
    assert len(found) == 10
    assert fold(entries).done is not None


def test_a_broker_that_refuses_the_password_is_told_from_one_that_is_away(
    mqtt5: Mqtt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MQTT_PASSWORD", "hush%2Fhush")
    with pytest.raises(PermanentError, match="refuses: ") as caught:
        publish(rows_for(2), mqtt5.address("t"), patience=5)
    said = f"{caught.value} {caught.value.next}"
    assert "does MQTT_PASSWORD hold %40" in said  # it may have been encoded by hand
    assert "hush" not in said


def test_a_broker_that_speaks_an_older_mqtt_is_answered_with_what_to_write(mqtt3: Mqtt) -> None:
    with pytest.raises(PermanentError, match=r"\?version=3\.1\.1"):
        publish(rows_for(2), f"mqtt://{mqtt3.host}/t", patience=5)
    with pytest.raises(UsageError, match="no place for a schema"):
        publish(rows_for(2), mqtt3.address("t"), format="avro")


def test_a_message_that_is_too_large_is_named_before_anything_is_sent(mqtt5: Mqtt) -> None:
    topic = new_topic()
    rows = pl.DataFrame({"text": ["a", "b" * LARGEST, "c"]})
    with mqtt5.listening(topic) as found:
        with pytest.raises(PermanentError, match=f"row 1 makes a message of .* the broker takes {LARGEST:,}"):
            publish(rows, mqtt5.address(topic))
        publish(rows_for(1), mqtt5.address(topic))
        wait_for(found, 1)
    assert len(found) == 1


def test_a_key_that_is_no_level_of_a_topic_is_named() -> None:
    for key in ("a/b", "a+", "#", ""):
        with pytest.raises(PermanentError, match=r"row 1, column 'key' .* can't be a level of a topic"):
            publish(pl.DataFrame({"key": ["good", key]}), "mqtt://127.0.0.1:1/t/{key}", key="key")
    with pytest.raises(UsageError, match="the topic wants a key"):
        publish(rows_for(1), "mqtt://127.0.0.1:1/t/{key}")


def test_a_broker_that_is_away_is_waited_for_a_while_and_everything_waits(tmp_path: Path) -> None:
    [port] = free_ports(1)
    with entered(context_for(tmp_path)), pytest.raises(BrokerError, match="the broker is away") as caught:
        publish(rows_for(5), f"mqtt://127.0.0.1:{port}/t", patience="200ms")
    assert caught.value.next is not None
    assert "5 of 5 messages wait" in caught.value.next
    assert "trikk resume r1" in caught.value.next


def test_a_message_that_the_broker_refuses_is_an_error_over_mqtt_5(mqtt5: Mqtt, tmp_path: Path) -> None:
    with entered(context_for(tmp_path)), pytest.raises(PermanentError, match="row 0: the user may not") as caught:
        publish(rows_for(3), mqtt5.address("denied"), key="key", patience=5)
    assert "3 of 3 messages wait" in str(caught.value.next)


def test_mqtt_3_1_1_says_that_it_can_not_tell(mqtt3: Mqtt, mqtt5: Mqtt, tmp_path: Path) -> None:
    context = context_for(tmp_path)
    with entered(context):
        publish(rows_for(3), mqtt3.address(new_topic()), key="key")
    assert context.notes[1:] == ["3 messages sent; over MQTT 3.1.1 a broker does not say if it refuses one"]
    other = context_for(tmp_path / "other")
    with entered(other):
        publish(rows_for(3), mqtt5.address(new_topic()), key="key")
    assert len(other.notes) == 1
