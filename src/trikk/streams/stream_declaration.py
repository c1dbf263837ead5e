"""The streams that a trikk.toml declares, each in a section [streams.NAME]. Pure.

[streams.readings]
from = "mqtt://broker/plant/+/readings"   # Kafka, MQTT, or files: "inbox/*.jsonl"
table = "readings"
key = ["sensor", "at"]                    # a row whose key is in the table is left out
topic = "topic"                           # a column that takes the topic of each message; none if not given
types = { value = "Float64" }             # of the table's columns, where it is made by the stream
new_columns = true                        # take fields that the table does not have; else they are set aside
every = "1s"                              # how long rows are gathered for one version of the table
rows = 50_000                             # how many are at most
expected = "5m"                           # an incident opens when nothing has come for so long
set_aside = 1000                          # so many messages are set aside, then the stream stops
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trikk.core.durations import seconds
from trikk.core.errors import ProjectError, UsageError
from trikk.core.names import check_name
from trikk.core.settings import FILE, Settings
from trikk.storage.ingest.column_types import check_types
from trikk.triggers.event_triggers import check_reading

_LONGEST = 600.0  # seconds of a batch: an MQTT broker keeps what is not acknowledged for the session
_MOST = 1_000_000  # rows of a batch, which are in memory


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """One stream, as it is declared.

    Attributes:
        name: of its section.
        source: the address that it is read from, with variables as they are written.
        table: where its rows go.
        key: columns that tell rows apart; a row whose key is there already is left out. () for none.
        topic: the column that takes the topic of each message; "" for none.
        types: names of types by column, for a table that the stream makes.
        new_columns: whether a field that the table lacks becomes a column.
        every: seconds for which rows are gathered.
        rows: how many are gathered at most.
        expected: seconds after which it is late; None if it never is.
        set_aside: how many messages it sets aside before it stops.
    """

    name: str
    source: str
    table: str
    key: tuple[str, ...] = ()
    topic: str = ""
    types: Mapping[str, str] = field(default_factory=dict)
    new_columns: bool = False
    every: float = 1.0
    rows: int = 50_000
    expected: float | None = None
    set_aside: int = 1000

    @property
    def is_files(self) -> bool:
        """Whether it reads files, and not a broker."""
        return "://" not in self.source


def declared_streams(settings: Settings) -> dict[str, Stream]:
    """The streams of a project by name.

    Raises:
        ProjectError: naming the section, if one of them can't be gone by.
    """
    streams = {}
    for name, section in settings.streams.items():
        where = f"{settings.root / FILE}, [streams.{name}]"
        try:
            streams[name] = _read(check_name("stream", name), section)
        except UsageError as error:
            raise ProjectError(error.what, where=where, next=error.next) from None
    twice = [pair for pair, count in Counter((s.source, s.table) for s in streams.values()).items() if count > 1]
    if twice:
        raise ProjectError(
            f"two streams bring {twice[0][0]} into table {twice[0][1]}",
            where=str(settings.root / FILE),
            next="keep one of them: the table knows how far a source was brought into it, not by which stream",
        )
    return streams


def _read(name: str, section: Any) -> Stream:
    if not isinstance(section, dict):
        raise UsageError(
            f"streams.{name} is no section", next=f"write [streams.{name}], and its settings below it"
        )
    if unknown := sorted(set(section) - _READ.keys()):
        raise UsageError(f"a stream has no {unknown[0]!r}", next=f"there are: {', '.join(_READ)}")
    if missing := [key for key in ("from", "table") if key not in section]:
        raise UsageError(f"the stream has no {missing[0]!r}", next=f'write {missing[0]} = "..."')
    values: dict[str, Any] = {key: _READ[key](key, value) for key, value in section.items()}
    return Stream(name=name, source=values.pop("from"), **values)


def _source(key: str, value: object) -> str:
    text = _text(key, value)
    if "://" not in text:
        return text
    check_reading(text)
    return text


def _table(key: str, value: object) -> str:
    return check_name("table", _text(key, value))


def _text(key: str, value: object) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        raise UsageError(f"{key} = {value!r} is no text", next=f'write {key} = "..."')
    return value


def _columns(key: str, value: object) -> tuple[str, ...]:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
        raise UsageError(f"{key} = {value!r} names no columns", next=f'write {key} = ["sensor", "at"]')
    return tuple(names)


def _types(key: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value.values()):
        raise UsageError(f"{key} = {value!r} are no types", next=f'write {key} = {{ value = "Float64" }}')
    check_types(value)
    return dict(value)


def _switch(key: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise UsageError(f"{key} = {value!r}", next=f"write {key} = true, or leave it out")
    return value


def _every(key: str, value: Any) -> float:
    wanted = seconds(value, what=key)
    if wanted > _LONGEST:
        raise UsageError(f"{key} = {value!r} is longer than ten minutes", next='write every = "1m" or less')
    return wanted


def _time(key: str, value: Any) -> float:
    return seconds(value, what=key)


def _count(key: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _MOST:
        raise UsageError(f"{key} = {value!r}", next=f"use a whole number from 1 to {_MOST:,}")
    return value


_READ: Mapping[str, Any] = {
    "from": _source,
    "table": _table,
    "key": _columns,
    "topic": _text,
    "types": _types,
    "new_columns": _switch,
    "every": _every,
    "rows": _count,
    "expected": _time,
    "set_aside": _count,
}
