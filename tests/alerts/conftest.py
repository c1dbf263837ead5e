"""Receivers of messages for these tests."""

from __future__ import annotations

from tests.alerts.servers import mail_server, web_server

__all__ = ["mail_server", "web_server"]
