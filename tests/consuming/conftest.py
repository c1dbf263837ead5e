from __future__ import annotations

from tests.servers.kafka import kafka as kafka  # a fixture for the tests of this folder
