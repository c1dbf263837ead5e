"""What has happened that a run is for, as its pipeline may be told of it. Plain values only.

A pipeline's parameter that is annotated `Event` gets it. It lives in this package, since a parameter's kind is
read and checked by whoever holds the graph; authors import it from `trikk.triggers`.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, field

from trikk.core.record import Record


class Event(Record, frozen=True, kw_only=True, omit_defaults=True):
    """What a trigger's run is for: a moment that has come, a file, a message, a new version of a table ...

    Attributes:
        id: what makes it the same event wherever and however often it is seen; with the trigger's name it is the
            identity by which it starts one run.
        kind: what has happened: the kind of the trigger (`cron`, `file-arrived`, `message` ...), or `hand`.
        at: the scheduled moment, or when it happened; with its zone.
        path: of a file: where it is, `inbox/a.csv` within the project or `s3://bucket/key`.
        size: of a file, in bytes.
        tables: versions by table: those that are new.
        tables_before: the versions before them, of tables that were there.
        run: the run that has ended.
        state: what that run's state is.
        topic: of a message: the topic that it came by.
        key: of a message: its key, as text.
        keys: of several messages together: their keys, as texts; empty if none has one.
        payload: of a message or a webhook: its body; JSON where it is JSON, otherwise a text. Of several messages
            together: a list of theirs, in order.
        headers: of a message or a webhook, as texts.
    """

    id: str
    kind: str
    at: Annotated[datetime, Meta(tz=True)]
    path: str = ""
    size: int = 0
    tables: dict[str, int] = field(default_factory=dict)
    tables_before: dict[str, int] = field(default_factory=dict)
    run: str = ""
    state: str = ""
    topic: str = ""
    key: str = ""
    keys: list[str] = field(default_factory=list)
    payload: Any = None
    headers: dict[str, str] = field(default_factory=dict)
