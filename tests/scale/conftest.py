from __future__ import annotations

from tests.servers import s3_server as s3_server  # fixtures for the tests of this folder
from tests.servers_postgres import postgres_server as postgres_server
