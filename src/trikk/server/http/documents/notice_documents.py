"""Channels and reports as answers have them."""

from __future__ import annotations

from trikk.alerts.delivery.channel_records import Channel
from trikk.core.record import Record
from trikk.reports.report_records import Delivered, ReportLine


class ChannelsDocument(Record, frozen=True):
    """The project's channels."""

    channels: list[Channel]


class ReportsDocument(Record, frozen=True):
    """The project's reports."""

    reports: list[ReportLine]


class DeliveriesDocument(Record, frozen=True):
    """To whom pages have come."""

    deliveries: list[Delivered]
