"""Logs are brought to CloudWatch within its limits, each line once, whatever is away or ends meanwhile."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.servers.moto import MotoServer

from trikk.core.errors import BrokerError
from trikk.execution.project import Project
from trikk.server.logs_part import LogsPart
from trikk.server.site import Site
from trikk.telemetry.cloudwatch_logs import CloudWatchLogs, LogLine, batches, log_lines, server_stream
from trikk.testing import ManualClock

DAY = 86_400_000


class Bringing:
    """A project with runs, and a server's part that brings their logs, without the server."""

    def __init__(self, root: Path) -> None:
        (root / "trikk.toml").write_text('name = "city"\n')
        self.group = f"trikk/{root.name}"
        self.project = Project.open(root)
        self.clock = ManualClock(datetime.now(UTC).timestamp())
        self.part = self.another()

    def another(self) -> LogsPart:
        return LogsPart(Site(self.project, self.clock), CloudWatchLogs(self.group))

    def turn(self, seconds: float = 10.0) -> None:
        self.clock.advance(seconds)
        self.part.turn(self.clock.now())

    def log(self, run: str, name: str, *lines: str) -> None:
        with (self.project.logs_of(run) / name).open("a") as file:
            file.writelines(f"{line}\n" for line in lines)

    def record(self, text: str, ago: float = 0.0) -> str:
        at = datetime.fromtimestamp(self.clock.now() - ago, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, "message": text})

    def end(self, run: str, kind: str = "run.failed") -> None:
        self.project.journal.append(run, kind, {"error": {}}, at=self.clock.now())

    def brought(self, moto: MotoServer, stream: str) -> list[str]:
        client = moto.client("logs")
        events = client.get_log_events(logGroupName=self.group, logStreamName=stream, startFromHead=True)["events"]
        return [event["message"] for event in events]


def test_a_run_s_lines_are_brought_once_when_it_has_ended(
    tmp_path: Path, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("boto3", reason="boto3 is not installed")
    for name in moto_server.environment():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    bringing = Bringing(tmp_path)
    journal = bringing.project.journal
    journal.create("old", "nightly", {"parameters": {}}, at=bringing.clock.now())
    bringing.log("old", "rows.1.log", "before there was a server")
    bringing.end("old")
    bringing.turn()  # begins with what ends from now on
    journal.create("one", "nightly", {"parameters": {}}, at=bringing.clock.now())
    second, first = bringing.record("second"), bringing.record("first", ago=2.0)
    bringing.log("one", "fit.1.log", second, "of a library: æ")
    bringing.log("one", "driver.log", first)
    bringing.end("one")
    bringing.turn(1.0)  # its driver may still write
    bringing.log("one", "driver.log", bringing.record("the end", ago=-1.0))
    logging.getLogger("trikk.server").warning("something of the server's")
    with monkeypatch.context() as patched:
        patched.setattr(logging, "raiseExceptions", False)
        bringing.part._own.emit(logging.LogRecord("x", logging.INFO, "", 0, "%d", ("none",), None))
    for _ in range(2):
        with pytest.raises(BrokerError, match="CloudWatch is away: NoRegionError"):
            bringing.turn()

    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    bringing.turn()
    bringing.turn()
    lines = bringing.brought(moto_server, "one")
    assert lines[:3] == [first, second, "of a library: æ"]
    assert [json.loads(line)["message"] for line in lines[3:]] == ["the end"]
    own = bringing.brought(moto_server, server_stream())
    assert [line for line in own if "something of the server's" in line] == own[:1]

    other = bringing.another()  # beside it: the first one has the folder
    bringing.log("one", "fit.2.log", "resumed")
    journal.append("one", "run.resumed", {}, at=bringing.clock.now())
    bringing.end("one", "run.succeeded")
    bringing.clock.advance(10.0)
    other.turn(bringing.clock.now())
    assert len(bringing.brought(moto_server, "one")) == 4
    bringing.part.close()  # as its server ends
    other.turn(bringing.clock.now())
    bringing.clock.advance(100.0)
    other.turn(bringing.clock.now())
    other.close()
    assert sorted(bringing.brought(moto_server, "one")) == sorted([*lines, "resumed"])
    with pytest.raises(moto_server.client("logs").exceptions.ResourceNotFoundException):
        bringing.brought(moto_server, "old")


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 3 * DAY), st.sampled_from(["", "a", "æ" * 70_000, "x" * 600_000, "b" * 90_000])),
        max_size=30,
    ),
    st.integers(0, 12_000),
)
def test_batches_are_within_the_service_s_limits_and_have_every_character(
    given_lines: list[tuple[int, str]], many: int
) -> None:
    lines = [LogLine(*line) for line in given_lines] + [LogLine(5, "short")] * many
    calls = list(batches(lines))
    for batch in calls:
        times = [line.at for line in batch]
        sizes = [len(line.text.encode()) + 26 for line in batch]
        assert times == sorted(times)
        assert times[-1] - times[0] < DAY
        assert len(batch) <= 10_000
        assert sum(sizes) <= 1_048_576
        assert max(sizes) <= 256 * 1024
        assert all(line.text for line in batch)
    assert _counted(line for batch in calls for line in batch) == _counted(lines)


def test_a_line_that_says_no_time_is_of_the_time_of_the_one_before() -> None:
    texts = ["loose\n", '{"time": "2026-11-30T04:00:01.250+01:00", "message": "a"}\n', '{"time": 5}\r\n', "more\n"]
    lines = list(log_lines(texts, at=1796007700.0))
    assert [line.at for line in lines] == [1796007700000, 1796007601250, 1796007601250, 1796007601250]


@pytest.mark.parametrize("said", ['"1950-01-01"', '"2020-03-26"', '"0001-01-01"', '"9999-12-31"', "[" * 50_000])
def test_a_time_that_is_none_of_its_log_is_data_that_a_step_has_printed(said: str) -> None:
    # The service takes no time before 1970, and drops what is 14 days old.
    assert [line.at for line in log_lines([f'{{"time": {said}}}\n'], at=1796007700.0)] == [1796007700000]


def _counted(lines: Any) -> dict[int, int]:
    counted: dict[int, int] = {}
    for line in lines:
        counted[line.at] = counted.get(line.at, 0) + len(line.text)
    return {at: count for at, count in counted.items() if count}
