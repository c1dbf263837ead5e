"""What all tests share."""

from __future__ import annotations

from hypothesis import settings
from tests.certificates import authority, stranger
from tests.servers.moto import moto_server
from tests.servers.postgres import postgres_server
from tests.servers.s3 import s3_server

# one of each, for all tests of a process
__all__ = ["authority", "moto_server", "postgres_server", "s3_server", "stranger"]

settings.register_profile("trikk", deadline=None)  # a busy machine is no failure
settings.load_profile("trikk")
