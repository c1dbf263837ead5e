from __future__ import annotations

from tests.servers import s3_server as s3_server  # a fixture for the tests of this folder
