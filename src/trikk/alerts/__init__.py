"""Alerts: rules over figures and runs, incidents that open and resolve, and messages that reach people."""

from __future__ import annotations

from trikk.alerts.alarm import Alarm

__all__ = ["Alarm"]
