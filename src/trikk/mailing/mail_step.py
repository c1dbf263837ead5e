"""What the step `mail` does: make the letter, write it down, try to send it once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trikk.core.errors import PermanentError, UsageError
from trikk.core.settings import settings_of_run
from trikk.core.text import counted
from trikk.core.values import JSON
from trikk.mailing.letter_message import compose
from trikk.mailing.letter_outbox import Recipients, queue, send_letters
from trikk.mailing.letter_parts import Parts
from trikk.mailing.letters import Letter
from trikk.mailing.topics.subscriptions import TOPIC, check_subscriber, check_topic
from trikk.runs import logged
from trikk.runs.context import StepContext, step_context

MOST = 100
"""Addresses that one mail may name; more belong in a topic."""


def check_to(given: str | Sequence[str]) -> tuple[str, ...]:
    """Return the recipients of a mail: addresses, `topic:NAME`, `sns:ARN`.

    Raises:
        UsageError: if there are none or too many, or one is neither.
    """
    texts = (given,) if isinstance(given, str) else tuple(given)
    if not texts:
        raise UsageError("a mail goes to somebody", next='to="team@city.example" or to="topic:city"')
    if len(texts) > MOST:
        raise UsageError(f"a mail names at most {MOST} addresses", next='make a topic of them: to="topic:city"')
    for text in texts:
        if isinstance(text, str) and text.startswith(TOPIC):
            check_topic(text.removeprefix(TOPIC))
        else:
            check_subscriber(text)
    return tuple(dict.fromkeys(texts))


def send_mail(content: Any, to: list[str], subject: str | None, text: str | None) -> dict[str, JSON]:
    """The step; as `trikk.mail`.

    Returns:
        letter (its name in the journal), recipients, reached, refused, failed (by address, with the reason; they
        are tried again), state.

    Raises:
        PermanentError: if the mail would be too large, or the value can't be mailed; in a replay.
        UsageError: if a recipient is none.
        ProjectError: if the mail server's address in trikk.toml can't be used.
    """
    context = step_context("sending a mail")
    if context.dry:
        raise PermanentError("a replay sends no mail", next="take the result of the first run")
    settings = settings_of_run(context.root)
    recipients = Recipients.of(context.journal, check_to(to))
    at = context.time()
    if recipients:
        title = subject or f"{context.pipeline}: {context.step}"
        message = _message(context, content, title, text)
        queue(context.journal, context.identity, {"message": message, "run": context.run}, recipients, at=at)
        places = (context.journal, context.artifacts, settings, context.state_dir)
        send_letters(*places, at=at, only=context.identity)
    letter = Letter.read(context.journal, context.identity)
    context.notes.append(_sentence(letter))
    return letter.outcome()


def _message(context: StepContext, content: Any, title: str, text: str | None) -> JSON:
    """The mail as an artifact, which the run keeps."""
    parts = Parts()
    for value in [*([] if text is None else [text]), *(content if _is_many(content) else [content])]:
        parts.add(value)
    mail = compose(parts, subject=title, identity=f"mail/{context.identity}", at=context.now)
    file = context.artifacts.scratch() / "mail.eml"
    file.write_bytes(mail)
    stored = context.artifacts.save(file)
    name = context.step if context.item is None else f"{context.step}-{context.item}"
    context.record(*logged.artifact(f"{name}.eml", "file", stored))
    return stored.to_json()


def _is_many(content: Any) -> bool:
    """Whether a list holds what is mailed one by one; a list of plain values is a value itself."""
    return isinstance(content, list | tuple) and not all(
        isinstance(one, str | int | float | dict) for one in content
    )


def _sentence(letter: Letter) -> str:
    if not letter.queued:
        return "nobody subscribes to it, so no mail was sent"
    waiting = f"; {counted(len(letter.failed), 'recipient')} later: {letter.progress.why}" if letter.failed else ""
    lost = f"; refused: {', '.join(letter.refused)}" if letter.refused else ""
    way = "as a file in .trikk/outbox" if letter.kind == "file" else "by mail"
    return f"{len(letter.reached)} of {counted(len(letter.recipients), 'recipient')} {way}{waiting}{lost}"
