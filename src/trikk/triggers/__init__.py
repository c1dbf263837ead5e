"""What starts a pipeline's runs when nobody does: declarations, and what is decided by them. Pure."""

from __future__ import annotations

from trikk.pipeline.parameters.trigger_event import Event
from trikk.triggers.clock_triggers import Cron, Interval
from trikk.triggers.declaration import Missed, Overlap
from trikk.triggers.event_triggers import AfterRun, FileArrived, Message, TableChanged, Webhook

__all__ = [
    "AfterRun",
    "Cron",
    "Event",
    "FileArrived",
    "Interval",
    "Message",
    "Missed",
    "Overlap",
    "TableChanged",
    "Webhook",
]
