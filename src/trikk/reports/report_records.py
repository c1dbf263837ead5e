"""What is told of reports, apart from what makes them, so that clients can read it and import little."""

from __future__ import annotations

from trikk.core.record import Record


class ReportLine(Record, frozen=True):
    """One report.

    Attributes:
        name: its name.
        declared: whether the code declares it still.
        title: of its pages.
        period: day, week or month.
        monitors: whose figures it has.
        customers: who have a page of their own.
        schedule: when it is made, as cron has it; None if only by hand.
        next: when it comes due next, ISO; None if it does not.
        due: since when it is due and not made, ISO; None if it is not.
        made: when the last run was created that makes it, seconds since 1970.
        outstanding: mails that have not come yet.
    """

    name: str
    declared: bool
    title: str | None
    period: str | None
    monitors: list[str]
    customers: list[str]
    schedule: str | None
    next: str | None
    due: str | None
    made: float | None
    outstanding: int


class Delivered(Record, frozen=True):
    """To whom one page has come.

    Attributes:
        report: its report.
        period: of which period, such as "2020-03".
        customer: whose page; "*" for the one on everything.
        run: the run that made it.
        digest: of the page.
        recipients: who is to get it.
        reached: who has it.
        refused: who can't get it, and why.
        failed: whom the last attempts did not reach, and why.
    """

    report: str
    period: str
    customer: str
    run: str
    digest: str
    recipients: list[str]
    reached: list[str]
    refused: dict[str, str]
    failed: dict[str, str]
