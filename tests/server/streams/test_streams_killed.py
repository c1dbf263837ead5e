"""Servers that are killed while they read a stream; `python -m tests.crash_streams` does the same for longer."""

from __future__ import annotations

from pathlib import Path

from tests.crash_streams import Site, attack, to_kafka, to_mqtt
from tests.servers.kafka import Kafka
from tests.servers.mqtt import USER, Mqtt


def test_a_killed_server_loses_no_record_of_kafka_and_doubles_none(kafka: Kafka, tmp_path: Path) -> None:
    with to_kafka(kafka.host, "killed") as send:
        attack(Site(tmp_path / "project", f"kafka://{kafka.host}/killed"), send, kills=3, seed=11)


def test_a_killed_server_loses_no_message_of_mqtt_and_doubles_none(mqtt5: Mqtt, tmp_path: Path) -> None:
    site = Site(tmp_path / "project", mqtt5.address("killed/+"), MQTT_PASSWORD=mqtt5.password)
    with to_mqtt(mqtt5.host, "killed/a", USER, mqtt5.password) as send:
        attack(site, send, kills=3, seed=12)
