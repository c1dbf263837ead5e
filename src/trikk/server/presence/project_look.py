"""A whole look at a project. Alerts and reports do not know each other; here one look is put together of both."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from trikk.alerts.look import Looked, look
from trikk.core.errors import TrikkError
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.execution.session import Session
from trikk.mailing.letter_outbox import send_letters
from trikk.reports.due_reports import Reported, report_due


@dataclass(frozen=True, slots=True)
class Watched:
    """What one look at a project has done."""

    outcome: Looked  # about monitors and incidents
    reported: Reported  # about reports
    letters: list[dict[str, JSON]] = field(default_factory=list)  # mails of steps and to subscribers
    unsent: str = ""  # why letters could not be sent; "" if nothing is wrong

    @property
    def notes(self) -> list[str]:
        """What could not be done, in sentences."""
        return [*self.outcome.notes, *self.reported.notes]

    @property
    def errors(self) -> list[str]:
        """What is wrong with the settings, in sentences."""
        # A mail server's address that is wrong is wrong for reports, too.
        own = [f"mails: {self.unsent}"] if self.unsent and not self.reported.errors else []
        return [*self.outcome.errors, *self.reported.errors, *own]

    @property
    def lines(self) -> list[str]:
        """What was done, a line for each thing."""
        return [*_lines_of(self.outcome), *_report_lines(self.reported), *_letter_lines(self.letters)]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON."""
        reports = {"reports": self.reported.reports, "mails": self.reported.mails, "letters": self.letters}
        return {**self.outcome.to_json(), **reports, "notes": self.notes, "errors": self.errors}


def look_at(
    project: Project, session: Session | RunQueue, now: datetime, trouble: TrikkError | None = None
) -> Watched:
    """Look once: evaluate, judge, tell and start; then make, of what was found, the reports that are due.

    Arguments as of `trikk.alerts.look.look`.

    Raises:
        UsageError: if the project's rules are wrong; nothing was done.
    """
    outcome = look(project, session, now=now, trouble=trouble)
    # Reports after the look: their figures are those that it has just evaluated. Letters last of all.
    reported = Reported() if outcome.is_broken else report_due(project, session, now=now)
    letters, why_not = _send_letters(project, now)
    return Watched(outcome, reported, letters, why_not)


def _send_letters(project: Project, now: datetime) -> tuple[list[dict[str, JSON]], str]:
    """Send what is on its way; what became of each that was tried, and why nothing could be done."""
    places = (project.journal, project.artifacts, project.settings, project.state_dir)
    try:
        return [letter.outcome() for letter in send_letters(*places, at=now.timestamp())], ""
    except TrikkError as error:
        return [], f"{error.what}; {error.next}" if error.next else error.what


def _lines_of(outcome: Looked) -> list[str]:
    lines = [f"evaluated {e['monitor']} (run {e['run']} {e['state']}): {e['why']}" for e in outcome.evaluated]
    lines += [f"{one['kind']:9} {one['incident']}: {one['why']}" for one in outcome.changes]
    for one in outcome.delivered:
        why = f": {one['why']}" if one.get("why") else ""
        lines.append(f"{one['state']:9} {one['incident']} ({one['message']}) on {one['channel']}{why}")
    for one in outcome.started:
        why = f": {one['why']}" if one.get("why") else ""
        run = f"run {one['run']} {one['state']}" if one["run"] else "not started"
        lines.append(f"started   {one['pipeline']} for {one['incident']}, {run}{why}")
    return lines


def _report_lines(reported: Reported) -> list[str]:
    lines = []
    for one in reported.reports:
        fields: Any = one
        run = f"run {one['run']} {one['state']}" if one["run"] else "not made"
        why = _sent(fields["deliveries"], fields["by"]) if one["state"] == "succeeded" else fields["why"]
        lines.append(f"report    {one['report']} for {one['period']}, {run}: {why}")
    for one in reported.mails:
        fields = one
        whose = "" if one["customer"] == "*" else f", {one['customer']}"
        people = f"{len(fields['reached'])} of {len(fields['recipients'])} have it"
        lines.append(f"mailed    {one['report']} for {one['period']}{whose}: {people}{_lost([fields])}")
    return lines


def _letter_lines(letters: list[dict[str, JSON]]) -> list[str]:
    lines = []
    for one in letters:
        fields: Any = one
        lost = {**fields["refused"], **fields["failed"]}
        people = f"{len(fields['reached'])} of {len(fields['recipients'])} have it"
        lines.append(f"mailed    {one['letter']}: {people}" + "".join(f"; {w}: {y}" for w, y in lost.items()))
    return lines


def _sent(pages: list[dict[str, Any]], by: str) -> str:
    """Whom a report has reached."""
    wanted, reached = (sum(len(page[key]) for page in pages) for key in ("recipients", "reached"))
    if not wanted:
        return "nobody subscribes to it"
    people = str(wanted) if reached == wanted else f"{reached} of {wanted}"
    return (f"sent to {people}" if by == "smtp" else f"mail for {people} is in .trikk/outbox") + _lost(pages)


def _lost(pages: list[dict[str, Any]]) -> str:
    lost = {who: why for page in pages for who, why in {**page["refused"], **page["failed"]}.items()}
    return "".join(f"; {who}: {why}" for who, why in lost.items())
