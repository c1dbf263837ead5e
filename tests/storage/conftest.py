from __future__ import annotations

from tests.servers import s3_server as s3_server  # noqa: PLC0414  a fixture for the tests of this folder
