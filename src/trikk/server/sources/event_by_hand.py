"""The event that somebody names who fires a trigger by hand: a file, a message, a call, the end of a run.

Its identity is the one that the trigger's source gives it. So a file that is fired by hand and then noticed has
one run, whichever came first. What a message or a call is known by can't be read off its payload: whoever fires
says it (`id`), or the event is one of this moment that nobody repeats.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from trikk.core.durations import show_bytes
from trikk.core.errors import ParameterError
from trikk.core.record import Record
from trikk.core.text import printable, shorten
from trikk.execution.project import Project
from trikk.pipeline.parameters.trigger_event import Event
from trikk.runs.states import OVER
from trikk.server.sources.files.file_source import arrival_event
from trikk.server.sources.open_sources import place_of
from trikk.server.sources.payloads import LARGEST, LONGEST_ID, Unreadable, read_id
from trikk.triggers.declared import AnyTrigger, Declared
from trikk.triggers.event_triggers import AfterRun, FileArrived, Message, Webhook
from trikk.triggers.trigger_state import tick_text

_TAKES: dict[type[AnyTrigger], tuple[str, ...]] = {
    FileArrived: ("path",),
    Message: ("payload", "key", "id"),
    Webhook: ("payload", "id"),
    AfterRun: ("run",),
}
"""What names an event of a kind. Versions of a table come as ranges, which only its source can tell apart."""


class NamedEvent(Record, frozen=True, kw_only=True):
    """What a run that is started by hand is for.

    Attributes:
        path: of a file that has arrived.
        payload: of a message or a call, as JSON.
        key: of a message.
        id: what the message or call is known by where it comes from.
        run: that has ended.
    """

    path: str = ""
    payload: Any = None
    key: str = ""
    id: str = ""
    run: str = ""


def event_named(project: Project, declared: Declared, named: NamedEvent, now: datetime) -> Event | None:
    """The event that is named, with the identity that the trigger's source gives it; None if none is.

    Args:
        project: the project.
        declared: the trigger.
        named: what it is.
        now: the time, with its zone.

    Raises:
        ParameterError: if the trigger waits for something else, or there is no such file or end of a run.
        UnknownName: if there is no such run.
        StorageError: if the folder or bucket can't be listed.
    """
    trigger = declared.trigger
    given = [name for name in named.__struct_fields__ if getattr(named, name) not in ("", None)]
    if not given:
        return None
    takes = _TAKES.get(type(trigger), ())
    if wrong := [name for name in given if name not in takes]:
        raise ParameterError(
            f"trigger {declared.name} ({trigger.kind}) can't be fired with a {wrong[0]}",
            next=f"say which event it is by {' or '.join(takes)}" if takes else "fire it without",
        )
    if isinstance(trigger, FileArrived):
        return _file(project.root, trigger.pattern, named.path, now)
    if isinstance(trigger, AfterRun):
        return _end(project, trigger, named.run)
    if not named.id.isprintable() or len(named.id) > LONGEST_ID:
        raise ParameterError("an event's id is a printable text of 200 characters at most", next="give another id")
    if (size := len(msgspec.json.encode(named.payload))) > LARGEST:
        raise ParameterError(
            f"the payload has {show_bytes(size)}, and at most {show_bytes(LARGEST)} are taken",
            next="put it into a file or a table, and send its name",
        )
    identity = named.id or tick_text(now)
    if isinstance(trigger, Message) and trigger.id and not named.id:
        try:
            identity = read_id(named.payload, trigger.id)
        except Unreadable as error:
            raise ParameterError(f"the payload can't be taken: {error}", next="give such a payload") from None
    return Event(id=identity, kind=trigger.kind, at=now.astimezone(UTC), key=named.key, payload=named.payload)


def _file(root: Path, pattern: str, path: str, now: datetime) -> Event:
    """The arrival of a file as it is now; only what the listing has can be named."""
    wanted = path
    if "://" not in pattern:
        plain = PurePosixPath(path)
        is_below = plain.is_absolute() and not pattern.startswith("/") and plain.is_relative_to(root)
        wanted = str(plain.relative_to(root) if is_below else plain)
    place = place_of(root, pattern)
    for file in place.list():
        if place.path(file.name) == wanted:
            return arrival_event(place, file, now)
    raise ParameterError(
        f"{shorten(printable(path), 200)} is no file that {pattern} means",
        next="name one that is there; links, and hidden names that the pattern does not name, do not count",
    )


def _end(project: Project, trigger: AfterRun, run: str) -> Event:
    row = project.journal.row(run)
    if row.pipeline != trigger.after or row.origin.get("kind") == "replay":
        mend = f"trikk runs --pipeline {trigger.after}"
        raise ParameterError(f"run {run} is no run of {trigger.after}", next=mend)
    if row.state not in OVER or trigger.state not in ("", row.state):
        wrong = f"run {run} is {row.state}, and the trigger waits for {trigger.state or 'its end'}"
        raise ParameterError(wrong, next=f"trikk show {run}")
    at = datetime.fromtimestamp(row.ended or row.created, UTC)
    return Event(id=run, kind="after-run", at=at, run=run, state=str(row.state))
