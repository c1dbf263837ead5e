from __future__ import annotations

from tests.servers.kafka import kafka as kafka  # fixtures for the tests of this folder
from tests.servers.mqtt import mqtt3 as mqtt3
from tests.servers.mqtt import mqtt5 as mqtt5
from tests.servers.mqtt import mqtt5_tls as mqtt5_tls
from tests.servers.mqtt import mqtt_tls as mqtt_tls
