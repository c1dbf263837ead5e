from __future__ import annotations

from tests.servers.kafka import kafka as kafka  # fixtures for the tests of this folder
from tests.servers.mqtt import mqtt3 as mqtt3
from tests.servers.mqtt import mqtt5 as mqtt5
