"""Make and send the reports whose schedule has come due, once for each moment; send mails that have not come."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trikk.core.errors import Conflict, TrikkError, UnknownName, UsageError
from trikk.core.values import JSON
from trikk.core.zones import zone_of
from trikk.execution.once import BEING_MADE, Job, Move, attempts_of, look_and_decide, run_once
from trikk.execution.project import Project
from trikk.execution.queued_run import RunQueue
from trikk.execution.session import Session
from trikk.pipeline.graph import Graph, Role
from trikk.reports.monitor_history import MonitorHistory
from trikk.reports.page.phrases import whose
from trikk.reports.periods import Period
from trikk.reports.report_config import report_settings
from trikk.reports.report_definition import ReportSpec
from trikk.reports.schedule import DUE, MISSED_AT_MOST, Due, next_entry, next_moment, schedule_of, tick_of
from trikk.reports.sending.deliveries import Delivery, subject_of
from trikk.reports.sending.send_pages import send_outstanding
from trikk.runs.claims import Claim
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.states import RunStatus
from trikk.storage.artifact import Artifact

if TYPE_CHECKING:
    from trikk.runs.run_state import RunState

ATTEMPTS = 3
_ROUNDS = 10  # of losing against other looks, each of which has brought the schedule on


@dataclass(slots=True)
class Reported:
    """What a look has done about reports, for people and programs."""

    # those that came due: report, period, tick, pipeline, run, state, attempt, why, and for each page whom it has
    # reached, by mail or (`by`) as a file; and the folders of its pages (`files`)
    reports: list[dict[str, JSON]] = field(default_factory=list)
    # deliveries that were tried again: report, period, customer, recipients, reached, refused, failed
    mails: list[dict[str, JSON]] = field(default_factory=list)
    to_make: list[str] = field(default_factory=list)  # those that a process has to make which has the code
    notes: list[str] = field(default_factory=list)  # what was missed or could not be done, in sentences
    errors: list[str] = field(default_factory=list)  # what is wrong with the settings, in sentences


def declared(graphs: Mapping[str, Graph]) -> dict[str, ReportSpec]:
    """The reports that the project's code declares, by the pipelines that make them."""
    return {name: ReportSpec.read(spec) for name, graph in graphs.items() for spec in graph.declared(Role.REPORT)}


def moments(ledger: Ledger, spec: ReportSpec, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Since when a report is due without having been made, and when it comes due next, in its zone; None for not.

    A schedule begins when a look sees it; nothing is due before that.
    """
    # Without writing anything: `trikk report` only shows what a look would do.
    last = ledger.last(schedule_of(spec.name))
    new = next_entry(spec, last, now)
    due = Due.of(*new) if new else Due.read(last)
    if due is None or (new is None and _is_done(ledger, spec.name, last)):
        return None, next_moment(spec, now)
    return due.tick.astimezone(zone_of(spec.timezone)), next_moment(spec, now)


def report_due(project: Project, session: Session | RunQueue, *, now: datetime) -> Reported:
    """Make the reports that have come due by a time, and send what has not come to everybody.

    Reports are not queued, since one that fails is resumed: for a `RunQueue`, those are named that are to be made.
    Safe to be done by several processes at once, and again after a kill: a moment of a schedule has one run, which
    is resumed at later looks if it failed or its process is gone, `ATTEMPTS` times in all.
    """
    reported = Reported()
    reports = declared(session.graphs)
    # Those that the code no longer declares, too: their schedules have to be ended.
    scheduled = {s.split("/")[1] for s in project.journal.subjects("report/") if s.endswith("/schedule")}
    specs = {spec.name: spec for spec in reports.values()}
    pipelines = {spec.name: pipeline for pipeline, spec in reports.items()}
    try:
        by = "smtp" if report_settings(project.settings).server else "file"
    except UsageError as error:
        reported.errors.append(f"reports: {error.what}; {error.next}")
        return reported
    for name in sorted({*scheduled, *specs}):
        spec = specs.get(name)
        due = _due(project, name, spec, now, reported)
        if spec is not None and due is not None and due.tick <= now:
            _make(project, session, pipelines[name], spec, due, now, by, reported)
    _send_again(project, specs, now, reported)
    return reported


def _due(project: Project, name: str, spec: ReportSpec | None, now: datetime, reported: Reported) -> Due | None:
    """The moment that is to be made, after writing down whatever is new of the schedule."""
    subject = schedule_of(name)
    for _ in range(_ROUNDS):
        last = project.journal.last(subject)
        is_done = _is_done(project.journal, name, last)
        new = next_entry(spec, last, now, is_done=is_done, has_figures=_figures_of(project.journal, spec))
        if new is None:
            return Due.read(last)
        kind, body = new
        try:
            added = project.journal.add(subject, kind, body, at=now.timestamp(), after=last.seq if last else 0)
        except Conflict:
            continue  # another look was faster: decide anew by what it has written
        due = Due.read(added.entry)
        if kind == DUE and due is None:
            empty, mend = str(body["period"]), _by_hand(name, str(body["period"]))
            reported.notes.append(f"report {name} for {empty} is not made: no monitor of it has figures; {mend}")
        elif kind == DUE and due is not None and due.times:
            reported.notes.append(_missed(name, due))
        return due
    return None


def _figures_of(ledger: Ledger, spec: ReportSpec | None) -> Callable[[Period], bool]:
    """What tells whether any of a report's monitors has a case in a period."""
    monitors = spec.monitors if spec is not None else ()

    def has_figures(period: Period) -> bool:
        try:
            for known in (MonitorHistory(ledger, name) for name in monitors):
                for seen in known.between(known.kind_for(period.kind), period.start, period.end):
                    if seen.record is not None and (seen.record.whole.predicted or seen.record.whole.observed):
                        return True
        except UnknownName:  # a monitor that was not evaluated, or has no such windows: the run says so
            return True
        return False

    return has_figures


def _is_done(ledger: Ledger, name: str, last: Entry | None) -> bool:
    """Whether the moment that the last entry of a schedule tells of was made, or is being made."""
    due = Due.read(last)
    if due is None:
        return True
    attempts = attempts_of(ledger.entries(tick_of(name, due)))
    return bool(attempts) and attempts[-1].state in (RunStatus.SUCCEEDED, BEING_MADE)


def _make(
    project: Project,
    session: Session | RunQueue,
    pipeline: str,
    spec: ReportSpec,
    due: Due,
    now: datetime,
    by: str,
    reported: Reported,
) -> None:
    """Make a report for one moment of its schedule, unless that is done."""
    tick: dict[str, JSON] = {"kind": "schedule", "tick": due.tick.isoformat()}
    job = Job(
        subject=tick_of(spec.name, due),
        pipeline=pipeline,
        origin=tick,
        parameters={"period": due.period, "send": True},
        moment=due.tick,
        attempts=ATTEMPTS,
        repeats=True,
    )
    entries = project.journal.entries(job.subject)
    attempts = attempts_of(entries)
    if isinstance(session, RunQueue):
        wall = session.how.clock.now()
        if look_and_decide(project, job, attempts, wanted=True, now=wall)[0] is not Move.NOTHING:
            reported.to_make.append(spec.name)
        return
    done = run_once(project, session, job, attempts, after=entries[-1].seq if entries else 0, now=now)
    report_of: dict[str, JSON] = {"report": spec.name, "period": due.period, "tick": due.tick.isoformat()}
    if done is None:
        claim = attempts[-1].claim if attempts and attempts[-1].is_claimed else None
        if claim is not None and claim.is_alive() is None:
            reported.notes.append(_elsewhere(spec.name, due, claim))
        return
    pages: list[JSON] = []
    if done["state"] == RunStatus.SUCCEEDED:
        pages = _pages(project, spec, due)
        try:
            report_of["files"] = [str(folder) for folder, _ in copied(project, project.run(str(done["run"])))]
        except (OSError, TrikkError) as error:
            reason = error.what if isinstance(error, TrikkError) else error.strerror
            mend = f"trikk report {spec.name} --for {due.period}"
            reported.notes.append(f"the files of report {spec.name} can't be put in their place: {reason}; {mend}")
    reported.reports.append({**report_of, **done, "by": by, "deliveries": pages})
    if done["state"] != RunStatus.SUCCEEDED and done["attempt"] == ATTEMPTS:
        reported.notes.append(
            f"report {spec.name} for {due.period} has failed {ATTEMPTS} times and is not tried again; "
            f"{_by_hand(spec.name, due.period, str(done['run']))}"
        )


def copied(project: Project, state: RunState, out: Path | None = None) -> list[tuple[Path, dict[str, Any]]]:
    """Copies of the files of a run that has made a report, where people look for them.

    Args:
        project: the project.
        state: the run.
        out: where to; `.trikk/reports/REPORT/PERIOD` if not given. Each page has a folder in it, named "all" or as
            its customer, but `out` itself is the folder of a single page.

    Returns:
        Each page's folder, and what is on it.

    Raises:
        OSError: if they can't be written.
    """

    def output(step: str) -> Any:
        return project.artifacts.load(Artifact.read((state.steps[step].outputs or [])[0]))

    contents, folders, pages = output("collect"), output("render"), []
    for content, folder in zip(contents, folders, strict=True):
        base = out if out is not None else project.state_dir / "reports" / content["report"] / content["period"]
        target = base if out is not None and len(contents) == 1 else base / whose(content["customer"])
        shutil.copytree(folder, target, dirs_exist_ok=True)
        pages.append((target, content))
    return pages


def _pages(project: Project, spec: ReportSpec, due: Due) -> list[JSON]:
    subjects = [subject_of(spec.name, due.period, customer) for customer in spec.audiences()]
    return [Delivery.fold(subject, project.journal.entries(subject)).outcome() for subject in subjects]


def _send_again(project: Project, specs: Mapping[str, ReportSpec], now: datetime, reported: Reported) -> None:
    """Send what is still on its way, each after its pause."""
    try:
        deliveries = send_outstanding(
            project.journal,
            project.artifacts,
            project.settings,
            project.state_dir,
            specs,
            at=now.timestamp(),
            anew=(),
            patient=True,
        )
    except TrikkError as error:
        reported.notes.append(f"mails could not be sent: {error.what}")
        return
    reported.mails += [{"report": one.report, "period": one.period, **one.outcome()} for one in deliveries]


def _missed(name: str, due: Due) -> str:
    more = " or more" if due.times >= MISSED_AT_MOST else ""
    times = "1 earlier time was" if due.times == 1 else f"{due.times}{more} earlier times were"
    if not due.missed:
        return f"report {name}: {times} missed, of the same period"
    also = f" (also {', '.join(due.missed[1:])})" if due.missed[1:] else ""
    return f"report {name}: {times} missed; {_by_hand(name, due.missed[0])}{also}"


def _elsewhere(name: str, due: Due, claim: Claim) -> str:
    """A process on another host has taken it on, of which nothing is known."""
    process = f"process {claim.holder.pid} on {claim.holder.host}"
    return (
        f"report {name} for {due.period} was taken on by {process}, which can't be asked from here; "
        f"it is waited for; if it is known to be gone: {_by_hand(name, due.period)}"
    )


def _by_hand(name: str, period: str, run: str = "") -> str:
    return f"trikk resume {run}" if run else f"trikk report {name} --for {period} --send"
