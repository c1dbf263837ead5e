"""Messages that are due, sent: one by one or as a digest, each attempt and its outcome written down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from trikk.alerts.config import AlertSettings
from trikk.alerts.delivery.channels import send
from trikk.alerts.delivery.log_end import log_end
from trikk.alerts.delivery.message import LOG_LINES, Failure, Message, digest, message, run_of
from trikk.alerts.delivery.reader_notices import notice
from trikk.alerts.incidents.book import subject_of
from trikk.alerts.incidents.decision import Decision
from trikk.alerts.incidents.incident import DELIVERED, GIVEN_UP, SENDING, UNDELIVERED, Incident
from trikk.core.errors import TrikkError, UsageError
from trikk.core.logs import tail_of
from trikk.core.values import JSON
from trikk.execution.project import Project
from trikk.execution.upkeep.next_command import way_on
from trikk.execution.workers.traces import headline
from trikk.mailing.letter_outbox import Recipients, queue
from trikk.mailing.topics.subscriptions import TOPIC, check_topic
from trikk.runs.back_off import BackOff
from trikk.runs.journals.ledger import Entry
from trikk.runs.outbox import Do, Note, Progress, Step, hand_over

BACK_OFF = BackOff(first=60.0, longest=3600.0, give_up=3 * 86400.0)
"""A channel may be away for a weekend; after three days a message tells of what everybody knows."""
_READ_LINES = 200  # of a failed step's log, of which a message shows the last that people need


def deliver(
    project: Project, settings: AlertSettings, incidents: Iterable[Incident], now: float
) -> tuple[list[dict[str, JSON]], list[str]]:
    """Send what is due of these incidents; a channel that fails stops no other, and is tried again later.

    Returns:
        For each attempt incident, message, channel, state ("delivered", "failed", "given up") and why; and what is
        wrong with channels, in sentences.
    """
    sender = _Sender(project, settings, now)
    messages = [
        _Outgoing(incident, decision, channel, _why_lost(settings, incident, channel, now))
        for incident in incidents
        # Oldest first, so that an opening is read before its all-clear.
        for decision in incident.told
        for channel in decision.channels
    ]
    ends = hand_over(project.journal, messages, sender.send, BACK_OFF, now=now)
    return [outgoing.outcome(entry) for outgoing, entry in ends], sender.errors


def _why_lost(settings: AlertSettings, incident: Incident, channel: str, now: float) -> str:
    """Why nothing is sent on a channel about an incident any more, whatever was to be; "" if it is."""
    if incident.mute is not None and incident.is_muted(now):
        return f"muted by {incident.mute.by}"
    has_channel = channel in settings.channels or channel.startswith(TOPIC)
    return "" if has_channel else f"there is no channel {channel!r} any more"


@dataclass(frozen=True, slots=True)
class _Outgoing:
    """What is told of an incident, on its way to one channel."""

    incident: Incident
    decision: Decision
    channel: str
    lost: str

    @property
    def subject(self) -> str:
        return subject_of(self.incident.id)

    @property
    def progress(self) -> Progress:
        return self.incident.delivery(self.decision.key, self.channel)

    def note(self, step: Step) -> Note:
        # Its identity makes one process win, not after=: somebody may acknowledge the incident meanwhile.
        if step.do is Do.GIVE_UP:
            return self._note(GIVEN_UP, "given_up", why=step.why)
        attempt = self.progress.attempts + 1
        return self._note(SENDING, f"{attempt}", attempt=attempt, why=step.why)

    def end(self, why: str, digested: int) -> Note:
        """The entry that ends an attempt: `why` it failed ("" if not), and how many were `digested` together."""
        attempt = self.progress.attempts
        more: dict[str, JSON] = {"attempt": attempt, **({"why": why} if why else {})}
        more |= {"digest": digested} if digested > 1 else {}
        return self._note(UNDELIVERED if why else DELIVERED, f"{attempt}/end", **more)

    def _note(self, kind: str, identity: str, **more: JSON) -> Note:
        body: dict[str, JSON] = {"message": self.decision.key, "channel": self.channel, **more}
        return Note(kind, body, f"{self.decision.key}/{self.channel}/{identity}")

    def take_in(self, entry: Entry) -> None:
        self.incident.apply(entry)

    def outcome(self, entry: Entry) -> dict[str, JSON]:
        """What an entry that ends an attempt tells, for people and programs."""
        return {"incident": self.incident.id, **entry.body, "state": self.progress.state}


@dataclass(slots=True)
class _Sender:
    """Sends through the project's channels, and keeps what is wrong with them."""

    project: Project
    settings: AlertSettings
    now: float
    errors: list[str] = field(default_factory=list)

    def send(self, claimed: Sequence[_Outgoing]) -> Iterator[tuple[_Outgoing, Note]]:
        """Send messages channel by channel: each by itself, or as a digest if they are many."""
        by_channel: defaultdict[str, list[_Outgoing]] = defaultdict(list)
        for outgoing in claimed:
            by_channel[outgoing.channel].append(outgoing)
        for channel, outgoings in by_channel.items():
            if channel.startswith(TOPIC):
                yield from ((outgoing, outgoing.end(self._tell_readers(outgoing), 1)) for outgoing in outgoings)
                continue
            away = ""
            for text, members in self._groups(outgoings):
                # What follows on a channel that is away is not tried: it would wait for each time-out in turn.
                away = away or self._why_not_sent(channel, text)
                yield from ((outgoing, outgoing.end(away, len(members))) for outgoing in members)

    def _groups(self, outgoings: Sequence[_Outgoing]) -> list[tuple[Message, Sequence[_Outgoing]]]:
        """What is sent on a channel, and what each of it tells."""
        messages = [self._message(outgoing) for outgoing in outgoings]
        if len(messages) <= self.settings.digest:
            return [(text, [outgoing]) for text, outgoing in zip(messages, outgoings, strict=True)]
        return [(digest(messages, project=self.project.settings.name, url=self.settings.url), outgoings)]

    def _message(self, outgoing: _Outgoing) -> Message:
        return message(
            outgoing.incident,
            outgoing.decision,
            project=self.project.settings.name,
            zone=self.project.settings.timezone,
            url=self.settings.url,
            failure=_failure_of(self.project, run_of(outgoing.decision)),
        )

    def _why_not_sent(self, channel: str, text: Message) -> str:
        """Send one message; why it failed, or "" if it was taken."""
        try:
            hand_to(self.project, self.settings, channel, text, self.now)
        except UsageError as error:
            self.errors.append(f"channel {channel}: {error.what}; {error.next}")
            return error.what
        except TrikkError as error:
            return error.what
        except Exception as error:  # noqa: BLE001 - a channel must never stop the others
            return f"{type(error).__name__} while sending"
        return ""

    def _tell_readers(self, outgoing: _Outgoing) -> str:
        """Write down what readers are told, as letters; why that failed, or ""."""
        topic, settings = outgoing.channel.removeprefix(TOPIC), self.project.settings
        incident, decision = outgoing.incident, outgoing.decision
        body = notice(incident, decision, topic, project=settings.name, zone=settings.timezone)
        people = Recipients.of(self.project.journal, [outgoing.channel])
        try:
            queue(self.project.journal, f"notice/{incident.id}/{decision.key}/{topic}", body, people, at=self.now)
        except TrikkError as error:
            return error.what
        return ""


def hand_to(project: Project, settings: AlertSettings, channel: str, message_: Message, now: float) -> None:
    """Hand a message to one of the project's channels; errors as of `send`.

    To a topic it is written down as a letter to those who subscribe by now; once, however often it is tried.
    """
    address = settings.channels[channel]
    if not address.startswith(TOPIC):
        send(project.settings, channel, address, message_)
        return
    topic = check_topic(address.removeprefix(TOPIC))
    body: dict[str, JSON] = {"subject": message_.subject, "text": message_.text, "html": message_.html}
    people = Recipients.of(project.journal, [f"{TOPIC}{topic}"])
    queue(project.journal, f"alert/{message_.key}/{channel}", body, people, at=now)


def _failure_of(project: Project, run: str) -> Failure | None:
    """The failed step of a run; None if there is none, or nothing is known of it any more."""
    if not run:
        return None
    try:
        state = project.run(run)
    except TrikkError:
        return None
    culprit = state.culprit()
    if culprit is None:
        return None
    name, step = culprit
    error = step.error or {}
    lines = tail_of(project.settings.state / step.log, _READ_LINES) if step.log else []
    lines = lines or str(error.get("traceback") or "").splitlines()
    return Failure(name, headline(step.error), log_end(lines, LOG_LINES), way_on(project, state))
