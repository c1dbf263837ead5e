"""`trikk aws` as its user has it, on moto's server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from tests.servers.moto import MotoServer

pytest.importorskip("boto3")
PIPELINES = """
from datetime import date

from trikk import pipeline, step
from trikk.triggers import Cron


@step
def fit(day: date) -> str:
    return str(day)


@pipeline(triggers=[Cron("0 4 * * *", day_offset=-1)])
def nightly(day: date) -> None:
    fit(day)
"""


@pytest.fixture
def project(tmp_path: Path, moto_server: MotoServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    name = f"city{uuid.uuid4().hex[:8]}"
    (tmp_path / "pipelines.py").write_text(PIPELINES)
    (tmp_path / "trikk.toml").write_text(
        f'name = "{name}"\ntimezone = "Europe/Oslo"\n\n[targets.aws]\nregion = "eu-west-1"\n'
        'alerts = ["https://hooks.example.com/${HOOK}"]\n\n'
        f'[storage]\nartifacts = "s3://{name}-main-123456789012/artifacts"\ntables = "s3://{name}-main-123456789012/tables"\n\n'
        '[targets.sagemaker]\nimage = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/city:1"\n'
    )
    monkeypatch.setenv("HOOK", "hunter2")
    return tmp_path


def trikk(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trikk.cli.main", "aws", *arguments]
    return subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_from_plan_to_destroy(project: Path, moto_server: MotoServer) -> None:
    plan = trikk(project, "plan")
    assert plan.returncode == 0, plan.stderr
    assert "+ bucket" in plan.stdout
    assert "hooks.example.com/${HOOK}" in plan.stdout
    assert "trigger nightly-cron" in plan.stdout

    asked = trikk(project, "apply")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr

    applied = trikk(project, "apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert "created schedule nightly-cron" in applied.stdout
    again = json.loads(trikk(project, "plan", "--json").stdout)
    assert again["changes"] == []
    assert again["unchanged"] > 12

    started = [
        json.loads(trikk(project, "start", "nightly-cron", "--for", "2026-11-30", "--json").stdout)
        for _ in range(2)
    ]
    assert started[0]["token"] == started[1]["token"]
    assert started[0]["tick"] == "2026-11-30T03:00:00+00:00"

    full = trikk(project, "destroy", "--yes")
    assert full.returncode == 2  # the code of the project lies in its bucket
    assert "--with-data" in full.stderr
    assert trikk(project, "destroy", "--yes", "--with-data").returncode == 0
    assert json.loads(trikk(project, "destroy", "--yes", "--json").stdout)["changes"] == []
    said = "".join(each.stdout + each.stderr for each in (plan, asked, applied, full))
    assert "hunter2" not in said
    log = subprocess.run(
        [sys.executable, "-m", "trikk.cli.main", "audit"], cwd=project, capture_output=True, text=True, check=True
    )
    assert "apply_aws" in log.stdout
    assert "destroy_aws" in log.stdout


def test_a_server_cannot_be_asked(project: Path) -> None:
    command = [sys.executable, "-m", "trikk.cli.main", "--server", "http://127.0.0.1:1", "aws", "plan"]
    refused = subprocess.run(
        command, cwd=project, capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert refused.returncode == 2
    assert "can't be had from a server" in refused.stderr
