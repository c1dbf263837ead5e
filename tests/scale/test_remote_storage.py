"""The same project with its artifacts and tables on S3 and its journal in PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.servers.postgres import PostgresServer
from tests.servers.s3 import S3Server

PIPELINES = """
import polars as pl
from trikk import Table, pipeline, step

loads = Table("loads")


@step
def make(day: int) -> pl.DataFrame:
    return pl.DataFrame({"line": ["4", "10A"], "day": [day, day], "load": [day * 1.0, day * 2.0]})


@step
def total(loads: pl.DataFrame, fail: bool) -> float:
    if fail:
        import pathlib

        if not pathlib.Path("mended").exists():
            raise RuntimeError("not mended")
    return float(loads["load"].sum())


@pipeline
def daily(day: int, fail: bool = False):
    loads.merge(make(day), key=["line", "day"])
    total(loads, fail)
"""


@pytest.fixture
def project(tmp_path: Path, s3_server: S3Server, postgres_server: PostgresServer) -> tuple[Path, dict[str, str]]:
    bucket = s3_server.new_bucket()
    (tmp_path / "trikk.toml").write_text(
        'name = "scale"\n[storage]\n'
        f'artifacts = "s3://{bucket}/artifacts"\n'
        f'tables = "s3://{bucket}/tables"\n'
        'journal = "${JOURNAL_URL}"\n'
    )
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    environment = {**os.environ, **s3_server.environment(), "JOURNAL_URL": postgres_server.url}
    return tmp_path, environment


def trikk(project: tuple[Path, dict[str, str]], *arguments: str, code: int = 0) -> Any:
    folder, environment = project
    command = [sys.executable, "-m", "trikk.cli.main", *arguments, "--json"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_a_run_is_journalled_resumed_and_replayed_on_remote_storage(project: tuple[Path, dict[str, str]]) -> None:
    first = trikk(project, "run", "daily", "-p", "day=1")
    assert first["state"] == "succeeded"

    failed = trikk(project, "run", "daily", "-p", "day=2", "-p", "fail=true", code=1)
    assert failed["state"] == "failed"
    (project[0] / "mended").touch()
    resumed = trikk(project, "resume", failed["id"])
    steps = {step["name"]: step for step in resumed["steps"]}
    assert resumed["state"] == "succeeded"
    assert [steps[name]["reused"] for name in ("make", "merge_loads", "total")] == [True, True, False]

    table = trikk(project, "tables", "loads")
    assert table["rows"] == 4
    replayed = trikk(project, "replay", first["id"])
    assert replayed["identical"] is True
    assert trikk(project, "tables", "loads")["version"] == table["version"]

    assert {run["id"] for run in trikk(project, "runs")["runs"]} >= {first["id"], failed["id"], replayed["run"]}
    assert trikk(project, "doctor")["healthy"] is True
    assert trikk(project, "gc", "--grace", "0s")["forgotten"] == 0
    assert trikk(project, "replay", first["id"])["identical"] is True
    assert not any((project[0] / ".trikk").glob("artifacts/objects/*"))
