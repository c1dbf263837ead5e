"""Requests that bring files: their rows into a table, as `trikk ingest` does."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from msgspec import Meta

from trikk.server.http.documents.upkeep_documents import IngestedDocument
from trikk.server.http.doors import Doors, at_length
from trikk.server.http.routes import Answer, Call, Given, who
from trikk.storage.tables.types import Mode

_Listed = Annotated[str, Meta(pattern="^[^,]+(,[^,]+){0,99}$", max_length=4000)]


class IngestQuery(Given, frozen=True):
    """What the file is, and how its rows go into the table; as of `trikk ingest`."""

    # No path and no pattern; its end says what it is.
    file: Annotated[str, Meta(pattern="^[A-Za-z0-9_][A-Za-z0-9_ .-]{0,199}$", description="Its name: days.csv.")]
    key: _Listed | None = None  # columns, with commas between them
    mode: Mode = "append"  # append, merge or overwrite
    types: _Listed | None = None  # COLUMN=TYPE,...
    null: _Listed | None = None  # texts in CSV that mean no value
    separator: Annotated[str, Meta(min_length=1, max_length=1)] | None = None
    again: bool = False  # though it was loaded before
    by: str = ""


def ingest_file(doors: Doors, call: Call) -> Answer[IngestedDocument]:
    """Load the file that is sent into a table, all or nothing, in one commit; the same again changes nothing."""
    from trikk.storage.ingest.files_to_table import ingest
    from trikk.storage.ingest.reader import Reading, types_named

    query, received = call.query, call.body
    path: Path = received.rename(received.with_name(query.file))
    reading = Reading(types=types_named(_split(query.types)), nulls=_split(query.null), separator=query.separator)
    with at_length("files are being loaded"):
        report = ingest(
            doors.site.project.tables,
            call.path["table"],
            [str(path)],
            key=_split(query.key),
            mode=query.mode,
            again=query.again,
            reading=reading,
            origin={"by": who(call), "step": "ingest"},
        )
    doors.site.wake_all()  # somebody may wait for the table
    return Answer({**asdict(report), "files": [query.file]})


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(text.split(",")) if text else ()
