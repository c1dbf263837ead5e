"""Send pages to those who subscribe to them: written down first, then tried, and tried again until they have come.

A mail that can't be sent fails nothing: it stays in the ledger, and the next delivery, `trikk watch`, or `trikk
report --retry` sends it. A process that dies while it sends leaves an attempt of which nobody knows whether it
arrived; the mail is sent again, under the same Message-ID.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trikk.core.digests import digest_file, digest_json
from trikk.core.errors import PermanentError, StorageError
from trikk.core.settings import Settings, settings_of_run
from trikk.core.values import JSON
from trikk.mailing.letter_message import personal
from trikk.mailing.mail_addresses import ALL
from trikk.mailing.mail_server import Outcome, Post, post
from trikk.mailing.topics.links import Leaving, leaving
from trikk.mailing.topics.subscriptions import subscribers as of_topic
from trikk.reports.page.page_content import Content
from trikk.reports.page.phrases import whose
from trikk.reports.page.render import MAIL, PAGE
from trikk.reports.report_config import ReportSettings, report_settings
from trikk.reports.report_definition import ReportSpec
from trikk.reports.sending.deliveries import ATTEMPTED, BACK_OFF, QUEUED, SENDING, Delivery, subject_of
from trikk.runs.context import StepContext
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.outbox import Note, Progress, Step, hand_over
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

OUTBOX = "outbox"


def deliver(
    spec: ReportSpec, contents: Sequence[dict[str, Any]], folders: Sequence[Path], context: StepContext
) -> list[dict[str, Any]]:
    """Queue each page for those who subscribe to it, and send what is outstanding of this report.

    Returns:
        For each page: customer, digest, recipients, reached, refused, failed.

    Raises:
        ProjectError: if the section [reports] of trikk.toml can't be used.
        PermanentError: in a run that may change nothing outside of itself.
    """
    if context.dry:
        raise PermanentError("a replay sends no mail")
    settings = settings_of_run(context.root)
    chosen = report_settings(settings)
    subjects = []
    for data, folder in zip(contents, folders, strict=True):
        content = Content.read(data)
        everyone = subscribers(spec, chosen, content.customer, context.journal)
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
    reached = [Delivery.fold(subject, context.journal.entries(subject)).outcome() for subject in subjects]
    for one in reached:
        print(_sentence(one))  # noqa: T201 - the step's log
    return reached


def topic_of(report: str, customer: str) -> str:
    """The topic of a customer's ("*": the whole) page of a report."""
    return f"report/{report}" if customer == ALL else f"report/{report}/{customer}"


def subscribers(spec: ReportSpec | None, settings: ReportSettings, customer: str, ledger: Ledger) -> list[str]:
    """Who is to get a customer's ("*": the whole) page by now; nobody if the report is not declared any more."""
    if spec is None:
        return []
    # By now, not when it was queued: whoever has unsubscribed since gets nothing.
    by_topic = of_topic(ledger, topic_of(spec.name, customer))
    return list(dict.fromkeys([*_named(spec, settings, customer), *by_topic]))


def _named(spec: ReportSpec, settings: ReportSettings, customer: str) -> list[str]:
    """Those whom code and settings name."""
    return [*spec.recipients.get(customer, ()), *settings.subscribers(spec.name, customer)]


def _queue(context: StepContext, subject: str, folder: Path, recipients: list[str]) -> None:
    """Write down who is to get the page, once for each page and set of people."""
    digest = digest_file(folder / PAGE)
    people: list[JSON] = [*recipients]
    # Stored before the entry that names it: a crash between the two leaves nothing that can't be sent.
    message = context.artifacts.save(folder / MAIL).to_json()
    body: dict[str, JSON] = {
        "digest": digest,
        "message": message,
        "recipients": people,
        "run": context.recorded_in,
    }
    delivery = Delivery.fold(subject, context.journal.entries(subject))
    # A page that nobody gets is not queued, unless it takes the place of one that somebody was to get.
    is_new = delivery.digest != digest and (recipients or delivery.recipients)
    if not is_new and set(recipients) == set(delivery.recipients):
        return
    # Of a step that is killed here and tried again, the second attempt adds nothing.
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
    prefix = "report/" if report is None else f"report/{report}/delivery/"
    subjects = [s for s in ledger.subjects(prefix) if s.split("/")[2:3] == ["delivery"]]
    chosen = report_settings(settings)
    deliveries: list[Delivery] = []
    with post(chosen, state_dir / OUTBOX) as mail_post:
        send = functools.partial(_sent, artifacts, mail_post)
        for subject in subjects:
            delivery = Delivery.fold(subject, ledger.entries(subject))
            spec = reports.get(delivery.report)
            today = subscribers(spec, chosen, delivery.customer, ledger)
            left = delivery.outstanding if anew is None or subject in anew else delivery.waiting
            people = left(mail_post.kind, today)
            mails = []
            if spec is not None and people:
                topic, named = topic_of(spec.name, delivery.customer), _named(spec, chosen, delivery.customer)
                own = {one: leaving(settings, state_dir, topic, one) for one in people if one not in named}
                mails = [_Mail(subject, delivery, people, mail_post.kind, own)]
            # Each is claimed when its turn has come: a process that is killed leaves one attempt without an end.
            if hand_over(ledger, mails, send, BACK_OFF, now=at, is_patient=patient):
                deliveries.append(delivery)
    return deliveries


@dataclass(frozen=True, slots=True)
class _Mail:
    """A page on its way to those who have yet to get it."""

    subject: str
    delivery: Delivery
    people: Sequence[str]
    post: str
    # of those who subscribe to the topic alone, how each gets no more of it: they get a mail of their own
    leaving: Mapping[str, Leaving]
    lost: str = ""

    @property
    def progress(self) -> Progress:
        return self.delivery.progress

    @property
    def name(self) -> str:
        """Of the mail's file, if it becomes one."""
        delivery = self.delivery
        return f"{delivery.report}-{delivery.period}-{whose(delivery.customer)}-{delivery.digest[:8]}.eml"

    def note(self, step: Step) -> Note:  # noqa: ARG002 - a mail is never given up, so it is an attempt
        # after=: if a newer page was queued meanwhile, or somebody else has claimed this one, nothing is sent.
        body: dict[str, JSON] = {
            "digest": self.delivery.digest,
            "recipients": [*self.people],
            "kind": self.post,
        }
        return Note(SENDING, body, after=self.delivery.seq)

    def take_in(self, entry: Entry) -> None:
        self.delivery.apply(entry)


def _sent(artifacts: Artifacts, mail_post: Post, claimed: Sequence[_Mail]) -> Iterator[tuple[_Mail, Note]]:
    for mail in claimed:
        delivery = mail.delivery
        try:
            message = artifacts.load(Artifact.read(delivery.message), Path).read_bytes()
            outcome = _given(mail, message, mail_post)
        except StorageError as error:
            why = f"the mail is no longer stored ({error.what}): make the report again"
            outcome = Outcome(failed=dict.fromkeys(mail.people, why))
        body: dict[str, JSON] = {
            "digest": delivery.digest,
            "kind": mail_post.kind,
            "via": mail_post.shown,
            "reached": [*outcome.reached],
            "refused": {**outcome.refused},
            "failed": {**outcome.failed},
        }
        yield mail, Note(ATTEMPTED, body)


def _given(mail: _Mail, message: bytes, mail_post: Post) -> Outcome:
    """Hand a page over: one mail for those whom code and settings name, and one for each subscriber."""
    outcome = Outcome()
    if together := [one for one in mail.people if one not in mail.leaving]:
        outcome.add(mail_post.give(message, together, mail.name))
    for one in mail.people:
        if one in mail.leaving:
            identity = f"{mail.subject}/{mail.delivery.digest}/{one}"
            own = personal(message, identity, mail.leaving[one])
            outcome.add(mail_post.give(own, [one], f"{digest_json([one])[:8]}-{mail.name}"))
    return outcome


def _sentence(one: dict[str, Any]) -> str:
    whose = "the whole report" if one["customer"] == "*" else f"the page for {one['customer']}"
    if not one["recipients"]:
        return f"{whose}: nobody subscribes to it"
    text = f"{whose}: {len(one['reached'])} of {len(one['recipients'])} have it"
    lost = [f"{who}: {why}" for who, why in {**one["refused"], **one["failed"]}.items()]
    return text + (f" ({'; '.join(lost)})" if lost else "")
