"""Send pages to those who subscribe to them: written down first, then tried, and tried again until they have come.

A mail that can't be sent fails nothing: it stays in the ledger, and the next delivery, `trikk watch`, or `trikk
report --retry` sends it. A process that dies while it sends leaves an attempt of which nobody knows whether it
arrived; the mail is sent again, under the same Message-ID.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_file, digest_json
from trikk.core.errors import Conflict, PermanentError, StorageError
from trikk.core.settings import FILE, Settings, load_settings
from trikk.core.values import JSON
from trikk.reports.page.page_content import Content
from trikk.reports.page.render import MAIL, PAGE
from trikk.reports.report_config import ReportSettings, report_settings
from trikk.reports.report_definition import ReportSpec
from trikk.reports.sending.deliveries import ATTEMPTED, QUEUED, SENDING, Delivery, subject_of
from trikk.reports.sending.mail_server import Outcome, Post, post
from trikk.runs.context import StepContext
from trikk.runs.journals.lease import Holder
from trikk.runs.journals.ledger import Ledger
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

OUTBOX = "outbox"


def deliver(
    spec: ReportSpec, contents: Sequence[dict[str, Any]], folders: Sequence[Path], context: StepContext
) -> list[dict[str, Any]]:
    """Queue each page for those who subscribe to it, and send what is outstanding of this report.

    Args:
        spec: the report.
        contents: the pages as JSON.
        folders: as `render` made them, in the same order.
        context: the step.

    Returns:
        For each page: customer, digest, recipients, reached, refused, failed.

    Raises:
        ProjectError: if the section [reports] of trikk.toml can't be used.
        PermanentError: in a run that may change nothing outside of itself.
    """
    if context.dry:
        raise PermanentError("a replay sends no mail")
    settings = _settings(context.root)
    chosen = report_settings(settings)
    subjects = []
    for data, folder in zip(contents, folders, strict=True):
        content = Content.read(data)
        everyone = subscribers(spec, chosen, content.customer)
        subject = subject_of(spec.name, content.period, content.customer)
        _queue(context, subject, folder, everyone)
        subjects.append(subject)
    send_outstanding(
        context.journal,
        context.artifacts,
        settings,
        context.state_dir,
        {spec.name: spec},
        at=context.time(),
        report=spec.name,
        anew=subjects,
    )
    found = [told(Delivery.fold(subject, context.journal.entries(subject))) for subject in subjects]
    for one in found:
        print(_sentence(one))  # noqa: T201 - the step's log
    return found


def subscribers(spec: ReportSpec | None, settings: ReportSettings, customer: str) -> list[str]:
    """Who is to get a customer's ("*": the whole) page by now; nobody if the report is not declared any more."""
    if spec is None:
        return []
    own = spec.recipients.get(customer, ())
    return list(dict.fromkeys([*own, *settings.subscribers(spec.name, customer)]))


def _settings(root: Path) -> Settings:
    return load_settings(root, stored=True) if (root / FILE).is_file() else Settings(root=root, name=root.name)


def _queue(context: StepContext, subject: str, folder: Path, recipients: list[str]) -> None:
    """Write down who is to get the page, once for each page and set of people."""
    digest = digest_file(folder / PAGE)
    people: list[JSON] = [*recipients]
    message = context.artifacts.save(folder / MAIL).to_json()
    body: dict[str, JSON] = {
        "digest": digest,
        "message": message,
        "recipients": people,
        "run": context.recorded_in,
    }
    held = Delivery.fold(subject, context.journal.entries(subject))
    is_new = held.digest != digest and (recipients or held.recipients)
    if not is_new and set(recipients) == set(held.recipients):
        return
    identity = f"queued/{context.identity}/{digest}/{digest_json(people)[:16]}"
    context.journal.add(subject, QUEUED, body, at=context.time(), identity=identity)


def send_outstanding(
    ledger: Ledger,
    artifacts: Artifacts,
    settings: Settings,
    state_dir: Path,
    reports: Mapping[str, ReportSpec],
    *,
    at: float,
    report: str | None = None,
    anew: Collection[str] | None = None,
    patient: bool = False,
) -> list[Delivery]:
    """Try whatever has not come to everybody who subscribes to it still.

    Args:
        ledger: where deliveries are written down.
        artifacts: where mails are.
        settings: the project's.
        state_dir: the project's `.trikk`, where mails become files if there is no mail server.
        reports: those that the project declares, by name.
        at: the time, seconds since 1970.
        report: of this report alone; of all if None.
        anew: subjects of which those get a mail as well who have it by another kind of post, such as a file that
            was written before there was a mail server; all if None.
        patient: whether to leave alone what was tried a short time ago.

    Returns:
        The deliveries that were tried, as they are now.

    Raises:
        ProjectError: if the section [reports] of trikk.toml can't be used.
    """
    tried = []
    prefix = "report/" if report is None else f"report/{report}/delivery/"
    subjects = [s for s in ledger.subjects(prefix) if s.split("/")[2:3] == ["delivery"]]
    chosen = report_settings(settings)
    with post(chosen, state_dir / OUTBOX) as given_to:
        for subject in subjects:
            delivery = Delivery.fold(subject, ledger.entries(subject))
            today = subscribers(reports.get(delivery.report), chosen, delivery.customer)
            asked = delivery.outstanding if anew is None or subject in anew else delivery.waiting
            people = asked(given_to.kind, today)
            if not people or (patient and delivery.is_resting(at)):
                continue
            if _take(ledger, subject, delivery, people, given_to.kind, at):
                _send(ledger, artifacts, subject, delivery, people, given_to, at)
                tried.append(Delivery.fold(subject, ledger.entries(subject)))
    return tried


def _take(ledger: Ledger, subject: str, delivery: Delivery, people: Sequence[str], kind: str, at: float) -> bool:
    """Take the next attempt on; False if another process has it."""
    holder = Holder(**delivery.sending) if delivery.sending else None
    if delivery.is_taken(holder.is_alive() if holder else None, at):
        return False
    me: dict[str, JSON] = asdict(Holder.current())
    body: dict[str, JSON] = {"digest": delivery.digest, "recipients": [*people], "kind": kind, "holder": me}
    try:
        ledger.add(subject, SENDING, body, at=at, after=delivery.seq)
    except Conflict:
        return False
    return True


def _send(
    ledger: Ledger,
    artifacts: Artifacts,
    subject: str,
    delivery: Delivery,
    people: Sequence[str],
    given_to: Post,
    at: float,
) -> None:
    whose = "all" if delivery.customer == "*" else delivery.customer
    name = f"{delivery.report}-{delivery.period}-{whose}-{delivery.digest[:8]}.eml"
    try:
        message = artifacts.load(Artifact.from_json(delivery.message), Path).read_bytes()
        outcome = given_to.give(message, people, name)
    except StorageError as error:
        why = f"the mail is no longer stored ({error.what}): make the report again"
        outcome = Outcome(failed=dict.fromkeys(people, why))
    body: dict[str, JSON] = {
        "digest": delivery.digest,
        "kind": given_to.kind,
        "via": given_to.shown,
        "reached": [*outcome.reached],
        "refused": {**outcome.refused},
        "failed": {**outcome.failed},
    }
    ledger.add(subject, ATTEMPTED, body, at=at)


def told(delivery: Delivery) -> dict[str, Any]:
    """What became of a delivery, as JSON."""
    return {
        "customer": delivery.customer,
        "digest": delivery.digest,
        "recipients": delivery.recipients,
        "reached": sorted({one for reached in delivery.reached.values() for one in reached}),
        "refused": delivery.refused,
        "failed": delivery.failed,
    }


def _sentence(one: dict[str, Any]) -> str:
    whose = "the whole report" if one["customer"] == "*" else f"the page for {one['customer']}"
    if not one["recipients"]:
        return f"{whose}: nobody subscribes to it"
    text = f"{whose}: {len(one['reached'])} of {len(one['recipients'])} have it"
    lost = [f"{who}: {why}" for who, why in {**one["refused"], **one["failed"]}.items()]
    return text + (f" ({'; '.join(lost)})" if lost else "")
