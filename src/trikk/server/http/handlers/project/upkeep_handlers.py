"""Requests on a project's health and room: what `trikk doctor` says, and what `trikk gc` removes."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from trikk.core.durations import seconds
from trikk.server.http.documents.upkeep_documents import CollectedDocument, FindingsDocument
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Answer, Call, Given

_Time = Annotated[str, Meta(pattern="^[0-9]{1,9}([.][0-9]{1,3})? ?(ms|s|m|h|d)$", description="Such as 30d.")]


class CleanUpQuery(Given, frozen=True):
    """What would be removed, as of `trikk gc`."""

    keep_last: Annotated[int, Meta(ge=1)] | None = None  # runs of each pipeline; all if not given
    older_than: _Time | None = None  # only runs that ended longer ago
    grace: _Time = "1h"  # what is younger stays
    compress_after: _Time = "7d"  # what nobody has read for so long is compressed


class CleanUp(CleanUpQuery, frozen=True, kw_only=True):
    """What is removed."""

    by: str = ""


def check_health(doors: Doors, _: Call) -> Answer[FindingsDocument]:
    """Check settings, code, journal, artifacts, tables and channels, as `trikk doctor` does."""
    from trikk.server.declaration_check import check_project

    with at_length("the project is being checked"):
        findings = list(check_project(doors.site.project))
    healthy = all(finding.good for finding in findings)
    return Answer({"healthy": healthy, "findings": [finding.to_json() for finding in findings]})


def show_clean_up(doors: Doors, call: Call) -> Answer[CollectedDocument]:
    """Say what clean-up would remove and compress; nothing is."""
    return _collect(doors, call.query, dry_run=True)


def clean_up(doors: Doors, call: Call) -> Answer[CollectedDocument]:
    """Remove artifacts, logs and table versions that no kept run needs; without options every run is kept."""
    return _collect(doors, call.body, dry_run=False)


def _collect(doors: Doors, wanted: CleanUpQuery, *, dry_run: bool) -> Answer[CollectedDocument]:
    from trikk.execution.upkeep.cleanup import collect

    site = doors.site
    with at_length("the project is being cleaned up"):
        report = collect(
            site.project,
            keep_last=wanted.keep_last,
            older_than=None if wanted.older_than is None else seconds(wanted.older_than, what="time"),
            grace=seconds(wanted.grace, what="time"),
            compress_after=seconds(wanted.compress_after, what="time"),
            dry_run=dry_run,
            clock=site.clock,
        )
    return Answer(report.to_json())
