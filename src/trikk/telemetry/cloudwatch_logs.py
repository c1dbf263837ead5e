"""Lines of logs to CloudWatch Logs, within the limits of PutLogEvents, which boto3 does not check.

At most 10,000 events and 1 MiB a call, 26 bytes for each event included; in the order of their times, and within
24 hours. An event has 256 KiB at most: a longer line becomes several. The service drops what is 14 days old.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from trikk.core.errors import BrokerError, MissingExtra

_EVENTS, _BYTES, _EXTRA = 10_000, 1_048_576, 26
_LONGEST = 256 * 1024 - _EXTRA
_DAY = 86_400_000
_OLDEST, _AHEAD = 13 * _DAY, 3_600_000  # from a log's end to times that it may say; these the service takes
_SECONDS = 10  # for a connection, and for an answer
_FORBIDDEN = str.maketrans(":*", "__")  # in the name of a stream


class LogLine(NamedTuple):
    """A line, and its time in milliseconds since 1970."""

    at: int
    text: str


class CloudWatchLogs:
    """A log group, of the account and region that the standard AWS variables and files name.

    Args:
        group: its name; made if it is not there.

    Raises:
        MissingExtra: if boto3 is not installed.
    """

    def __init__(self, group: str) -> None:
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise MissingExtra("CloudWatch Logs", "aws") from error
        self._boto3 = boto3
        # One attempt: who calls it tries again, with growing pauses.
        self._limits = Config(connect_timeout=_SECONDS, read_timeout=_SECONDS, retries={"total_max_attempts": 1})
        self._group = group
        self._client: Any = None

    def put(self, stream: str, lines: Iterable[LogLine]) -> None:
        """Add lines to a stream of the group, which is made if it is not there.

        Raises:
            BrokerError: if that can't be done now; some of the lines may be there.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            for batch in batches(lines):
                # Late: without credentials or a region the server serves all the same.
                self._client = self._client or self._boto3.client("logs", config=self._limits)
                self._put(stream.translate(_FORBIDDEN), batch)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "error")
            raise BrokerError(f"CloudWatch refused logs: {code}") from error
        except BotoCoreError as error:
            raise BrokerError(f"CloudWatch is away: {type(error).__name__}") from error

    def _put(self, stream: str, batch: Sequence[LogLine]) -> None:
        client, place = self._client, {"logGroupName": self._group, "logStreamName": stream}
        events = [{"timestamp": line.at, "message": line.text} for line in batch]
        try:
            client.put_log_events(**place, logEvents=events)
        except client.exceptions.ResourceNotFoundException:
            for make, named in (
                (client.create_log_group, {"logGroupName": self._group}),
                (client.create_log_stream, place),
            ):
                try:
                    make(**named)
                except client.exceptions.ResourceAlreadyExistsException:
                    continue  # the other of both, or another server has made it
            client.put_log_events(**place, logEvents=events)


def batches(lines: Iterable[LogLine]) -> Iterator[list[LogLine]]:
    """Lines as calls may have them; those without text are left out."""
    batch: list[LogLine] = []
    size = least = most = 0
    for line in lines:
        for piece in _pieces(line):
            needs = len(piece.text.encode()) + _EXTRA
            least, most = (min(least, piece.at), max(most, piece.at)) if batch else (piece.at, piece.at)
            if batch and (len(batch) == _EVENTS or size + needs > _BYTES or most - least >= _DAY):
                yield sorted(batch, key=_time)
                batch, size, least, most = [], 0, piece.at, piece.at
            batch.append(piece)
            size += needs
    if batch:
        yield sorted(batch, key=_time)


def log_lines(texts: Iterable[str], at: float) -> Iterator[LogLine]:
    """Lines of a log with their times: a JSON record says its own, any other line is of the time of the last one.

    Args:
        texts: the lines.
        at: when the log ended, in seconds since 1970: the time of lines before the first record.
    """
    end = moment = int(at * 1000)
    for text in texts:
        line = text.rstrip("\r\n")
        if line.startswith('{"time": '):
            # Else it was cut off, or is something that the step has printed.
            with suppress(ValueError, KeyError, TypeError, OverflowError, RecursionError):
                said = int(datetime.fromisoformat(json.loads(line)["time"]).timestamp() * 1000)
                # A step may print rows of any year: the service drops old lines, and refuses all from before 1970.
                if end - _OLDEST <= said <= end + _AHEAD:
                    moment = said
        yield LogLine(moment, line)


def server_stream() -> str:
    """The stream of a server's own lines."""
    return f"server/{socket.gethostname()}"


def _time(line: LogLine) -> int:
    return line.at


def _pieces(line: LogLine) -> Iterator[LogLine]:
    if len(line.text) * 4 <= _LONGEST:
        if line.text.strip():
            yield line
        return
    data = line.text.encode()
    while data:
        piece = data[:_LONGEST].decode(errors="ignore")  # a character that is cut in two begins the next piece
        yield LogLine(line.at, piece)
        data = data[len(piece.encode()) :]
