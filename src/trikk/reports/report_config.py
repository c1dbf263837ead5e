"""What a project's trikk.toml says of reports.

    [reports]
    smtp = "smtp://user:${MAIL_PASSWORD}@mail.city.example:587"   # smtps:// for TLS from the start; ?ca=FILE
    sender = "City reports <reports@city.example>"

    [reports.subscribers]
    "*" = ["team@city.example"]                  # get every report on everything
    acme = ["ops@acme.example"]                  # this customer's page of every report

    [reports.subscribers.monthly]                # of the report `monthly` alone
    acme = ["boss@acme.example"]

Without smtp, mails are written to files in .trikk/outbox.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trikk.core.errors import ProjectError, UsageError
from trikk.core.settings import FILE, Settings
from trikk.mailing.mail_addresses import check_recipients
from trikk.mailing.mail_settings import MailSettings, mail_settings

_KEYS = ("smtp", "sender", "subscribers")


@dataclass(frozen=True, slots=True)
class ReportSettings(MailSettings):
    """The section, checked."""

    # addresses by customer for all reports, "*" for those who get the page on everything
    everywhere: dict[str, tuple[str, ...]]
    by_report: dict[str, dict[str, tuple[str, ...]]]  # the same by report

    def subscribers(self, report: str, customer: str) -> tuple[str, ...]:
        """Who gets a customer's ("*": the whole) page of a report."""
        own = self.by_report.get(report, {})
        return tuple(dict.fromkeys([*self.everywhere.get(customer, ()), *own.get(customer, ())]))


def report_settings(settings: Settings, *, with_server: bool = True) -> ReportSettings:
    """Read the section [reports]; `with_server` also fills in the mail server's address, which is None otherwise.

    Raises:
        ProjectError: if something in it can't be used, or a variable is not set.
    """
    data: Mapping[str, Any] = settings.reports
    try:
        _check(data)
        mail = mail_settings(settings, with_server=with_server)
        everywhere, by_report = _subscribers(data.get("subscribers", {}))
        return ReportSettings(mail.server, mail.sender, everywhere, by_report)
    except ProjectError:
        raise
    except UsageError as error:
        raise ProjectError(error.what, where=str(settings.root / FILE), next=error.next) from None


def has_server(settings: Settings) -> bool:
    """Whether mails go to a mail server, and not to files; it may not be one that can be used."""
    return bool(settings.reports.get("smtp"))


def _check(data: Mapping[str, Any]) -> None:
    unknown = sorted(set(data) - set(_KEYS))
    if unknown:
        raise UsageError(f"unknown setting reports.{unknown[0]}", next=f"there are: {', '.join(_KEYS)}")


def _subscribers(given: Any) -> tuple[dict[str, tuple[str, ...]], dict[str, dict[str, tuple[str, ...]]]]:
    if not isinstance(given, dict):
        raise UsageError(
            "reports.subscribers must be a section", next='write acme = ["ops@acme.example"] below it'
        )
    section = "reports.subscribers"
    everywhere = {key: value for key, value in given.items() if not isinstance(value, dict)}
    by_report = {key: value for key, value in given.items() if isinstance(value, dict)}
    checked = {name: check_recipients(value, f"{section}.{name}") for name, value in by_report.items()}
    return check_recipients(everywhere, section), checked
