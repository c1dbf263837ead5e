"""What is logged goes to stderr, as text or JSON, in the project's time zone; and the last lines of a log."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, TextIO
from zoneinfo import ZoneInfo

from trikk.core.settings import LogFormat, Settings
from trikk.core.text import printable_lines

_TAIL_BYTES = 64_000
_LINE_END = re.compile(r"\r?\n|\r")


class _Printable(logging.Formatter):
    """Records with the zone of their time, and with what users wrote, which steers no terminal."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._zone = zone

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: N802, ARG002 - logging's
        moment = datetime.fromtimestamp(record.created, self._zone)
        return f"{moment:%Y-%m-%d %H:%M:%S},{moment.microsecond // 1000:03} {moment:%Z}"

    def format(self, record: logging.LogRecord) -> str:
        return printable_lines(super().format(record))


class _AsJson(logging.Formatter):
    """Records as JSON, one a line: time, level, logger, message, and of which run and step they are."""

    def __init__(self, zone: ZoneInfo) -> None:
        super().__init__()
        self._zone = zone

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, self._zone).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_about,
        }
        if run := getattr(record, "run", None):  # from a server, which speaks of many
            fields["run"] = run
        if record.exc_info:
            fields["exception"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)  # in ASCII: it ends no line and steers no terminal


class _JsonLines(io.TextIOBase):
    """A standard stream, each of whose lines is written as a JSON record."""

    encoding = "utf-8"

    def __init__(self, name: str, stream: TextIO, formatter: _AsJson) -> None:
        self._name, self._stream, self._formatter = name, stream, formatter
        self._rest = ""

    @property
    def buffer(self) -> BinaryIO:
        """The stream's bytes, which nothing makes records of."""
        return self._stream.buffer

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        # A progress bar goes back to the beginning of its line; each of its states is a record.
        *lines, self._rest = _LINE_END.split(self._rest + text)
        for line in lines:
            self._record(line)
        return len(text)

    def flush(self) -> None:
        rest, self._rest = self._rest, ""
        self._record(rest)
        self._stream.flush()

    def _record(self, line: str) -> None:
        if line:
            record = logging.LogRecord(self._name, logging.INFO, "", 0, "%s", (line,), None)
            self._stream.write(self._formatter.format(record) + "\n")


_handler = logging.StreamHandler()
_about: dict[str, object] = {}
_formatter: _AsJson | None = None
"""What makes this process's records JSON; None where they are text."""


def log_to_stderr(settings: Settings, level: int = logging.INFO) -> None:
    """Send log records to stderr, unless the root logger has a handler already, as an author's code may give it.

    Where the project logs as JSON, the author's handlers for stdout and stderr do so, too.

    Args:
        settings: name the zone of the times, and the format.
        level: records below it are left out.
    """
    global _formatter  # noqa: PLW0603 - a process has one stderr
    root, zone = logging.getLogger(), ZoneInfo(settings.timezone)
    as_json = settings.log_format is LogFormat.JSON
    _formatter = _AsJson(zone) if as_json else None
    if root.handlers in ([], [_handler]):  # or that of the process which this one is a fork of
        _handler.setFormatter(_formatter or _Printable(zone))
        root.handlers = [_handler]
        root.setLevel(level)
    elif as_json:
        for handler in root.handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stdout, sys.stderr):
                handler.setFormatter(_formatter)


def log_as(about: Mapping[str, object]) -> None:
    """Have every JSON record of this process say what it is about, and each line that is printed be one.

    It does nothing where the project logs as text.

    Args:
        about: fields of the records, such as run and step; those that are None are left out.
    """
    if _formatter is None:
        return
    _about.update({name: value for name, value in about.items() if value is not None})
    for name in ("stdout", "stderr"):
        setattr(sys, name, _JsonLines(name, getattr(sys, name), _formatter))


def tail_of(log: Path, lines: int) -> list[str]:
    """The last lines of a log as people read them, from its last 64 kB; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            read = [_said(line) for line in file.read().decode(errors="replace").splitlines()]
    except OSError:
        return []
    return list(deque((line for said in read for line in said), lines))


def _said(line: str) -> list[str]:
    """The lines of a JSON record's message; any other line is itself."""
    if line.startswith('{"time": '):
        try:
            return str(json.loads(line)["message"]).splitlines()
        except (ValueError, KeyError):
            pass  # it was cut off, or is something that the step has printed
    return [line]
