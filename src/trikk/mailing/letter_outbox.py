"""Queue a letter, and send what is still on its way: written down first, then tried until it has come.

A mail server that is away fails no run: the letter stays in the ledger, and `trikk watch` and servers try again. A
process that dies while it sends leaves an attempt of which nobody knows whether it arrived: then the mail is sent
again, under the same Message-ID. So each comes at least once; that it is shown once is up to the mail program.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from trikk.core.digests import digest_json
from trikk.core.errors import StorageError, TrikkError
from trikk.core.settings import Settings
from trikk.core.values import JSON
from trikk.mailing import sns
from trikk.mailing.letter_message import personal, plain_text, short_letter
from trikk.mailing.letters import (
    ATTEMPTED,
    BACK_OFF,
    GIVEN_UP,
    QUEUED,
    REACHED,
    SENDING,
    Letter,
    close_letter,
    list_letter,
    open_letters,
    subject_of,
)
from trikk.mailing.mail_server import Outcome, Post, post
from trikk.mailing.mail_settings import mail_settings
from trikk.mailing.topics.links import Leaving, leaving
from trikk.mailing.topics.subscriptions import TOPIC, subscribers
from trikk.runs.journals.ledger import Entry, Ledger
from trikk.runs.outbox import Do, Note, Progress, Step, hand_over
from trikk.storage.artifact import Artifact
from trikk.storage.artifacts import Artifacts

OUTBOX = "outbox"
_LOST_AFTER = 86400.0
_NOTED_EVERY = 50  # mails to subscribers


@dataclass(frozen=True, slots=True)
class Recipients:
    """To whom a letter goes: addresses, and who subscribes to topics by now, by topic."""

    to: Sequence[str] = ()
    members: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: Ledger, given: Sequence[str]) -> Recipients:
        """Those that texts name: addresses, `topic:NAME`, and `sns:ARN`."""
        topics = [one.removeprefix(TOPIC) for one in given if one.startswith(TOPIC)]
        to = tuple(dict.fromkeys(one for one in given if not one.startswith(TOPIC)))
        return cls(to, {topic: subscribers(ledger, topic) for topic in dict.fromkeys(topics)})

    def __bool__(self) -> bool:
        return bool(self.to) or any(self.members.values())


def queue(ledger: Ledger, identity: str, body: Mapping[str, JSON], recipients: Recipients, *, at: float) -> None:
    """Write down that a letter is to be sent; once for its identity, whatever else it says the second time.

    Args:
        ledger: where.
        identity: what makes it this letter.
        body: `message`, the mail's artifact as JSON; or subject, text and html.
        recipients: those who get it; a letter to nobody is not queued.
        at: the time, seconds since 1970.
    """
    if not recipients:
        return
    people: dict[str, JSON] = {
        "to": [*recipients.to],
        "members": {topic: [*group] for topic, group in recipients.members.items()},
    }
    if Letter.read(ledger, identity).queued:
        return
    list_letter(ledger, identity, at)
    ledger.add(subject_of(identity), QUEUED, {**body, **people}, at=at, identity="queued")


def send_letters(
    ledger: Ledger,
    artifacts: Artifacts,
    settings: Settings,
    state_dir: Path,
    *,
    at: float,
    only: str | None = None,
    patient: bool = True,
) -> list[Letter]:
    """Try the letters that have not come to everybody.

    Args:
        ledger: where they are written down.
        artifacts: where mails are.
        settings: the project's.
        state_dir: the project's `.trikk`, where mails become files if there is no mail server.
        at: the time, seconds since 1970.
        only: this letter alone; all if None.
        patient: whether to leave alone what was tried a short time ago.

    Returns:
        Those that were tried, as they are now.

    Raises:
        ProjectError: if the mail server's address in trikk.toml can't be used.
    """
    listed = open_letters(ledger)
    identities = [*listed] if only is None else [only]
    if not identities:
        return []
    tried: list[Letter] = []
    with post(mail_settings(settings), state_dir / OUTBOX) as mail_post:
        sending = _Sending(ledger, artifacts, settings, state_dir, mail_post)
        for identity in identities:
            letter = Letter.read(ledger, identity)
            people = sending.outstanding(letter)
            # Each is claimed when its turn has come: a process that is killed leaves one attempt without an end.
            mails = [_Mail(letter, people, mail_post.kind)] if people else []
            if hand_over(ledger, mails, sending.send, BACK_OFF, now=at, is_patient=patient):
                tried.append(letter)
            # One that was listed and never queued is of a process that died between the two; a step that is tried
            # again lists it anew.
            is_lost = not letter.queued and at > listed.get(identity, at) + _LOST_AFTER
            is_over = letter.queued and (letter.progress.state.is_over or not sending.outstanding(letter))
            if identity in listed and (is_over or is_lost):
                close_letter(ledger, identity, at)
    return tried


@dataclass(frozen=True, slots=True)
class _Mail:
    """A letter on its way to those who have yet to get it."""

    letter: Letter
    people: Sequence[str]
    post: str
    lost: str = ""

    @property
    def subject(self) -> str:
        return subject_of(self.letter.identity)

    @property
    def progress(self) -> Progress:
        return self.letter.progress

    def note(self, step: Step) -> Note:
        if step.do is Do.GIVE_UP:
            return Note(GIVEN_UP, {"why": step.why}, after=self.letter.seq)
        return Note(SENDING, {"recipients": [*self.people], "kind": self.post}, after=self.letter.seq)

    def take_in(self, entry: Entry) -> None:
        self.letter.apply(entry)


@dataclass(frozen=True, slots=True)
class _Sending:
    """What sends letters, and to whom by now."""

    ledger: Ledger
    artifacts: Artifacts
    settings: Settings
    state_dir: Path
    post: Post

    def outstanding(self, letter: Letter) -> list[str]:
        """Who has yet to get it; of subscribers those who still are."""
        by_now = [
            one
            for topic, group in letter.members.items()
            for one in set(group) & set(subscribers(self.ledger, topic))
        ]
        people = dict.fromkeys([*letter.queued.get("to", ()), *sorted(by_now)])
        return [one for one in people if not letter.has_settled(one)]

    def send(self, claimed: Sequence[_Mail]) -> Iterator[tuple[_Mail, Note]]:
        for mail in claimed:
            yield mail, Note(ATTEMPTED, self._attempted(self._given(mail.letter, mail.people)))

    def _attempted(self, outcome: Outcome) -> dict[str, JSON]:
        return {
            "kind": self.post.kind,
            "via": self.post.shown,
            "reached": [*outcome.reached],
            "refused": {**outcome.refused},
            "failed": {**outcome.failed},
        }

    def _given(self, letter: Letter, people: Sequence[str]) -> Outcome:
        """What became of a letter, of what is not written down yet."""
        try:
            message = self._message(letter)
        except StorageError as error:
            return Outcome(refused=dict.fromkeys(people, f"the mail is no longer stored ({error.what})"))
        named, left, whole = letter.queued.get("to", ()), set(people), Outcome()
        together = [one for one in people if one in named and not one.startswith(sns.PREFIX)]
        if together:
            whole.add(self.post.give(message, together, _file_name(letter)))
        left -= {*named}
        for topic, group in letter.members.items():
            for one in group:
                if one not in left or one.startswith(sns.PREFIX):
                    continue
                left.remove(one)
                mail = personal(message, f"mail/{letter.identity}/{one}", self._leaving(topic, one))
                whole.add(self.post.give(mail, [one], _file_name(letter, one)))
                if len(whole.reached) >= _NOTED_EVERY:
                    # A process that dies sends no more than these again.
                    noted = self._attempted(Outcome(reached=whole.reached))
                    added = self.ledger.add(subject_of(letter.identity), REACHED, noted, at=letter.progress.at)
                    letter.apply(added.entry)
                    whole.reached = []
        for one in people:
            if one.startswith(sns.PREFIX):
                whole.add(_by_sns(one, message))
        return whole

    def _message(self, letter: Letter) -> bytes:
        if "message" in letter.queued:
            file: Path = self.artifacts.load(Artifact.read(letter.queued["message"]), Path)
            return file.read_bytes()
        at = datetime.fromtimestamp(letter.at, UTC)
        return short_letter(letter.queued, f"mail/{letter.identity}", at)

    def _leaving(self, topic: str, address: str) -> Leaving:
        return leaving(self.settings, self.state_dir, topic, address)


def _by_sns(address: str, message: bytes) -> Outcome:
    try:
        sns.publish(address.removeprefix(sns.PREFIX), *plain_text(message))
    except TrikkError as error:
        return Outcome(failed={address: error.what})
    return Outcome(reached=[address])


def _file_name(letter: Letter, address: str = "") -> str:
    """Of the mail's file, if it becomes one; identities have slashes, and of a slice whatever a user wrote."""
    plain = "".join(c if c.isalnum() or c in "-." else "-" for c in letter.identity)
    return f"mail-{plain[:80]}-{digest_json([letter.identity, address])[:8]}.eml"
