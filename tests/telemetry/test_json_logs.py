"""Logs as JSON: every line of a step, a driver or a server says when, how bad, who, and of which run."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder
from tests.server.queue_folder import QueueFolder

from trikk.core.errors import ProjectError
from trikk.core.logs import tail_of
from trikk.core.settings import load_settings
from trikk.telemetry.span_records import trace_of


def records(log: Path) -> list[dict[str, Any]]:
    """The records of a log, all of whose lines are JSON."""
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_what_steps_log_print_and_fail_with_says_of_which_attempt_it_is(traced: Folder) -> None:
    run = traced.good("run", "people", "--log-format", "json")["id"]
    logs = traced.root / ".trikk" / "runs" / run
    (printed,) = records(logs / "rows.1.log")
    assert datetime.fromisoformat(printed.pop("time")).tzinfo is not None
    about = {"run": run, "pipeline": "people", "step": "rows", "attempt": 1, "trace_id": trace_of(run)}
    assert printed == {"level": "INFO", "logger": "stdout", "message": "two pages", **about}
    first, *trace = records(logs / "total.1.log")
    assert (first["level"], first["logger"], first["message"]) == ("WARNING", "people", "adding 3")
    assert {record["attempt"] for record in (first, *trace)} == {1}
    assert trace[-1]["message"] == "OSError: not yet"
    assert records(logs / "total.2.log")[0]["attempt"] == 2
    assert tail_of(logs / "total.1.log", 1) == ["OSError: not yet"], "people read no JSON"


def test_a_driver_says_of_which_run_it_can_go_on_with_nothing(tmp_path: Path) -> None:
    folder = QueueFolder(tmp_path / "queued")
    folder.write(trikk='name = "q"\ntimezone = "Europe/Oslo"\n[logs]\nformat = "json"\n')
    run = folder.ask_one("short")
    folder.write(pipelines="import nowhere\n")
    code, said = folder.driven(run)
    folder.project.close()
    assert code == 1
    record = json.loads(said.splitlines()[-1])
    assert (record["level"], record["logger"], record["run"]) == ("ERROR", "trikk.driver", run)
    assert "nowhere" in record["message"]
    assert datetime.fromisoformat(record["time"]).utcoffset() is not None


PROGRAM = """
import logging, sys
from pathlib import Path

logging.basicConfig(level=logging.DEBUG, format="mine: %(message)s")
from trikk.core.logs import log_as, log_to_stderr
from trikk.core.settings import load_settings

log_to_stderr(load_settings(Path(sys.argv[1])))
log_as({"run": "r", "item": None})
logging.debug("bad \\x1b[8m", extra={"run": "other"})
print("10 %\\r20 %\\r", end="", file=sys.stderr)
print("no end", end="", flush=True)
sys.stdout.buffer.write(b"bytes\\n")
try:
    1 / 0
except ZeroDivisionError:
    logging.exception("failed")
"""


def test_authors_handlers_progress_bars_and_text_without_an_end_of_line_are_records(tmp_path: Path) -> None:
    (tmp_path / "trikk.toml").write_text('[logs]\nformat = "json"\n')
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = [json.loads(line) for line in done.stderr.splitlines()]
    assert [record["message"] for record in said] == ["bad \x1b[8m", "10 %", "20 %", "failed"]
    assert [record["run"] for record in said] == ["other", "r", "r", "r"]
    assert "ZeroDivisionError" in said[-1]["exception"]
    assert "item" not in said[0]
    first, rest = done.stdout.splitlines()
    assert (json.loads(first)["message"], rest) == ("no end", "bytes")
    assert done.stderr.isascii()


def test_another_format_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trikk.toml").write_text("")
    monkeypatch.setenv("TRIKK_LOG_FORMAT", "xml")
    with pytest.raises(ProjectError, match="xml"):
        load_settings(tmp_path)
