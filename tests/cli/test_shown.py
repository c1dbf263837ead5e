"""What commands print of what users wrote: escaped on a pipe and on a terminal, shortened, and whole in JSON."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from tests.execution.command import Folder

from trikk.cli.printing import parameters_text, tick_shown

_STEERING = "\x1b]0;owned\x07\x1b[8mhidden\x9b2J\u202etxt"
_WRITTEN_OUT = r"\x1b]0;owned\x07\x1b[8mhidden\x9b2J\u202etxt"
_PIPELINES = """
import polars as pl
from trikk import Table, pipeline, step

names = Table("names")


@step
def rows(name: str) -> pl.DataFrame:
    print(name)
    return pl.DataFrame({"name": [name]})


@step
def fail(rows: pl.DataFrame) -> int:
    raise ValueError(rows["name"][0])


@pipeline
def keep(name: str):
    names.append(rows(name))


@pipeline
def break_off(name: str):
    fail(rows(name))
"""


def _on_a_pipe(root: Path, *command: str) -> str:
    """What a command prints on pipes, both streams."""
    line = [sys.executable, "-m", "trikk.cli.main", *command]
    return subprocess.run(
        line, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    ).stdout


def _on_a_terminal(root: Path, *command: str) -> str:
    """What a command prints on a terminal, both streams."""
    leader, follower = pty.openpty()
    child = subprocess.Popen(
        [sys.executable, "-m", "trikk.cli.main", *command],
        cwd=root,
        stdout=follower,
        stderr=follower,
        stdin=follower,
    )
    os.close(follower)
    chunks = []
    while True:
        try:
            chunk = os.read(leader, 65536)
        except OSError:  # the terminal's end on Linux
            break
        if not chunk:
            break
        chunks.append(chunk)
    child.wait()
    os.close(leader)
    return b"".join(chunks).decode(errors="replace")


@pytest.fixture
def steered(folder: Folder) -> Folder:
    """A project with a run whose parameter, rows, log and error would steer a terminal."""
    (folder.root / "pipelines.py").write_text(_PIPELINES)
    folder.trikk("run", "keep", "-p", f"name={_STEERING}")
    folder.trikk("run", "break_off", "-p", f"name={_STEERING}")
    return folder


def test_data_can_not_steer_the_terminal(steered: Folder) -> None:
    run = json.loads(steered.trikk("runs", "--json").out)["runs"][0]["id"]
    commands = [["runs"], ["show", run], ["show", run, "rows"], ["show", run, "fail"], ["logs", run]]
    commands += [
        ["tables", "names"],
        ["resume", run],
        ["run", "keep", "-p", f"{_STEERING}=1"],
        ["show", _STEERING],
    ]
    shown = {" ".join(command): _on_a_pipe(steered.root, *command) for command in commands}
    assert _WRITTEN_OUT in shown["runs"]
    assert _WRITTEN_OUT in shown[f"logs {run}"]
    for command in (["runs"], ["show", run, "fail"], ["resume", run]):
        shown[f"{command} on a terminal"] = _on_a_terminal(steered.root, *command)
    for command, text in shown.items():
        assert not {"\x07", "\x9b", "\u202e"} & set(text), command
        assert "\x1b]" not in text, command
        assert "\x1b[8m" not in text, command


def test_json_gives_the_value_itself_in_characters_that_steer_nothing(steered: Folder) -> None:
    out = steered.trikk("runs", "--json").out
    assert {row["parameters"]["name"] for row in json.loads(out)["runs"]} == {_STEERING}
    assert not {"\x1b", "\x9b", "\u202e"} & set(out)


def test_a_long_parameter_is_shortened_for_people_and_whole_in_json(folder: Folder) -> None:
    (folder.root / "pipelines.py").write_text(_PIPELINES)
    long = "x" * 100_000
    folder.trikk("run", "break_off", "-p", f"name={long}")
    for command in (["runs"], ["show", "last"], ["show", "last", "rows"], ["show", "last", "fail"]):
        assert len(folder.trikk(*command).out) < 5_000, command
    assert json.loads(folder.trikk("runs", "--json").out)["runs"][0]["parameters"]["name"] == long
    assert long in folder.trikk("logs", "last").out


_TIMES = """
import logging
from datetime import UTC, datetime
import polars as pl
from trikk import Table, pipeline, step

moments = Table("moments")


@step
def rows() -> pl.DataFrame:
    logging.info("a line")
    return pl.DataFrame({"at": [datetime(2020, 3, 26, 11, tzinfo=UTC)]})


@pipeline
def keep():
    moments.append(rows())
"""


def test_moments_of_rows_and_of_logs_are_the_projects(folder: Folder) -> None:
    (folder.root / "pipelines.py").write_text(_TIMES)
    toml = folder.root / "trikk.toml"
    toml.write_text(f'timezone = "Pacific/Auckland"\n{toml.read_text()}')
    folder.trikk("run", "keep", TZ="America/New_York")
    for command in (["tables", "moments"], ["show", "last", "rows"]):
        assert "2020-03-27 00:00:00+13:00" in folder.trikk(*command).out
    assert folder.good("tables", "moments")["head"] == [{"at": "2020-03-26 11:00:00+00:00"}]
    logged = datetime.fromisoformat(folder.trikk("logs", "last").out.splitlines()[1].partition(",")[0])
    here = datetime.now(ZoneInfo("Pacific/Auckland")).replace(tzinfo=None)
    assert abs(here - logged) < timedelta(minutes=10)


def test_rows_of_a_table_by_a_condition(folder: Folder) -> None:
    (folder.root / "pipelines.py").write_text(_PIPELINES)
    for name in ("Ada", "Grace", "Ada"):
        folder.trikk("run", "keep", "-p", f"name={name}")
    assert folder.good("tables", "names", "--where", "name = 'Ada'", "-n", "1") == {
        "name": "names",
        "version": 2,
        "where": "name = 'Ada'",
        "rows": 2,
        "head": [{"name": "Ada"}],
    }
    assert (
        "1 of 2 rows of names at version 2" in folder.trikk("tables", "names", "--where", "name='Ada'", "-n1").out
    )
    assert folder.refused("tables", "names", "--where", "nom = 'Ada'")["next"].endswith("there are: name")


def test_a_new_project_keeps_its_state_out_of_git(folder: Folder) -> None:
    folder.trikk("init", "new")
    assert ".trikk/" in (folder.root / "new" / ".gitignore").read_text().splitlines()


def test_an_event_is_shown_as_people_know_it() -> None:
    file = {"id": "inbox/oslo.csv@64a3b18ab2782683", "kind": "file-arrived", "at": "2026-11-30T03:00:00Z"}
    assert parameters_text({"event": file, "city": "oslo"}) == "event=inbox/oslo.csv city=oslo"
    moment = file | {"id": "2026-11-30T03:00:07.250000+00:00", "kind": "hand"}
    assert parameters_text({"event": moment}) == "event=2026-11-30 03:00:07 UTC"
    assert tick_shown("2026-11-30T03:00:00+00:00", ZoneInfo("Europe/Oslo")) == "2026-11-30 04:00 CET"
    assert [tick_shown(text) for text in ("20261130", "a@b", "htnsmnjz956f", None)] == [
        "20261130",
        "a@b",
        "htnsmnjz956f",
        "-",
    ]
