"""Mails: the server that takes them, the step that sends what a run has made, and topics with subscribers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from trikk.core.durations import Duration
from trikk.pipeline.location import defining
from trikk.pipeline.policies import Retry
from trikk.pipeline.step import Step
from trikk.steps.notebooks.notebook_step import Executed

__all__ = ["mail"]


def send_mail(content: Any, to: list[str], subject: str | None, text: str | None) -> dict[str, Any]:
    """The step; see `trikk.mailing.mail_step`."""
    from trikk.mailing import mail_step

    return mail_step.send_mail(content, to, subject, text)


_MAIL: Step[..., Any] = Step(send_mail, name="mail", effect=True)


def mail(
    content: Any,
    to: str | Sequence[str],
    *,
    subject: str | None = None,
    text: str | None = None,
    name: str | None = None,
    after: object = (),
    retry: Retry | None = None,
    timeout: Duration | None = None,
) -> Any:
    """Mail what a step has made, as a step: a page, a notebook, a figure, a frame, a text, or several of these.

    It is sent once for the run and the step. A mail server that is away fails nothing: the mail is tried again by
    `trikk watch` and servers, for a week. A replay sends nothing.

    Args:
        content: HTML (a Path of a page, or a text that begins with `<html` or `<!doctype html`) becomes the body;
            a frame a table of its first rows, with all of them attached as CSV; a figure of matplotlib a picture;
            what `notebook` gives its page, with the notebook attached; any other file is attached; a text or plain
            values are shown. A list of these gives one mail.
        to: mail addresses, `topic:NAME` for those who subscribe to it, `sns:arn:aws:sns:...`.
        subject: one line; the pipeline's and the step's name if not given.
        text: what is written above it.
        name: the step's name; "mail", "mail-2", ... if not given.
        after: steps that must be over before.
        retry: a `Retry`; the pipeline's default if not given.
        timeout: how long one attempt may take.

    Returns:
        A dict with letter, recipients, reached, refused, failed and state.

    Raises:
        DefinitionError: if a recipient is none.
        PermanentError: in the run, if the mail would have more than 15 MB.
    """
    from trikk.mailing.mail_step import check_to

    with defining():
        people = check_to(to)
    if isinstance(content, Executed):
        content = [content.html, content.notebook]
    step = _MAIL.options(name=name, after=after, retry=retry, timeout=timeout)
    return step(content, list(people), subject, text)
