"""`trikk compile terraform`: what the modules are told of a pipeline; and how Terraform asks for a definition."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.targets.terraform.aws_names import pipeline_problems, schedule_problems

TOML = """name = "city"
timezone = "Europe/Oslo"
[storage]
artifacts = "s3://city-main/artifacts"
tables = "s3://city-main/tables"
journal = "postgresql://db.example.com/city"
"""
CODE = """
from datetime import date

from trikk import pipeline, step
from trikk.triggers import Cron, Interval

@step
def rows(day: date, city: str) -> int:
    return len(city)

@pipeline(triggers=[Cron("0 4 * * MON-FRI", day_offset=-1, parameters={"city": "oslo"}), Interval("15m", name="often", parameters={"city": "oslo"})])
def nightly_load(day: date, city: str):
    '''Forecasts for tomorrow.

    More of it.
    '''
    rows(day, city)

@pipeline(triggers=[Cron("0 4 1 * MON")])
def either(day: date):
    rows(day, "oslo")

@pipeline(triggers=[Cron("0 4 1 * *")])
def monthly(day: date):
    rows(day, "oslo")
"""  # noqa: E501 - the author's line


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "trikk.toml").write_text(TOML)
    (tmp_path / "pipelines.py").write_text(CODE)
    return tmp_path


def trikk(project: Path, *arguments: str, given: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trikk.cli.main", *arguments],
        cwd=project,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
    )


def document_of(project: Path, pipeline: str) -> dict[str, Any]:
    ended = trikk(project, "compile", "terraform", pipeline)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, Any] = json.loads(ended.stdout)
    return document


def test_a_pipeline_is_told_with_its_definition_its_schedules_and_what_starts_them(project: Path) -> None:
    document = document_of(project, "nightly_load")
    assert document.keys() == {"pipelines", "start_function"}
    [(name, pipeline)] = document["pipelines"].items()
    assert (name, pipeline["name"], pipeline["description"]) == (
        "nightly_load",
        "nightly-load",
        "Forecasts for tomorrow.",
    )
    assert pipeline["definition"] == trikk(project, "compile", "sagemaker", "nightly_load").stdout.rstrip("\n")
    assert list(pipeline_problems("city-test-nightly-load", pipeline["definition"])) == []
    [(schedule_name, schedule)] = pipeline["schedules"].items()
    assert (schedule["expression"], schedule["timezone"]) == ("cron(0 4 ? * MON-FRI *)", "Europe/Oslo")
    told = json.loads(schedule["input"])
    assert (told["trigger"], told["scheduled"]) == ("nightly_load-cron", "<aws.scheduler.scheduled-time>")
    assert schedule_name == "nightly-load-cron"
    assert (told["day_offset"], told["parameters"], told["fill"]) == (-1, {"city": "oslo"}, {"day": "date"})
    assert "pipeline" not in told, "its name begins with the environment's, which the modules know"
    assert 72 < pipeline["missed_after"] < 80, "over a weekend nothing is missing"
    whole = {
        "Name": schedule_name,
        "ScheduleExpression": schedule["expression"],
        "ScheduleExpressionTimezone": schedule["timezone"],
        "FlexibleTimeWindow": {"Mode": "OFF"},
    }
    assert list(schedule_problems(whole)) == []
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(document["start_function"])))
    assert archive.namelist() == ["start_function.py"]


def test_the_same_project_gives_the_same_bytes(project: Path) -> None:
    first, again = (trikk(project, "compile", "terraform", "nightly_load").stdout for _ in range(2))
    assert first == again
    assert first.count("\n") == 1


def test_a_trigger_that_scheduler_has_not_is_refused_with_the_authors_line(project: Path) -> None:
    ended = trikk(project, "compile", "terraform", "either")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "EventBridge Scheduler can't say '0 4 1 * MON'" in ended.stderr
    assert "pipelines.py:" in ended.stderr


def test_a_trigger_of_another_kind_is_left_to_servers_and_said(project: Path) -> None:
    said = trikk(project, "check", "--target", "terraform", "nightly_load").stdout
    assert "trigger often is no Cron" in said


def test_a_pipeline_that_runs_monthly_has_no_alarm_for_what_is_missing(project: Path) -> None:
    assert document_of(project, "monthly")["pipelines"]["monthly"]["missed_after"] is None


def test_the_external_data_source_gets_one_flat_object_of_texts_and_nothing_else(project: Path) -> None:
    """As the provider calls the program of modules/pipeline_awscc."""
    program = ("-C", str(project), "compile", "sagemaker", "nightly_load", "--external")
    ended = trikk(project, *program, given="{}")
    assert ended.returncode == 0, ended.stderr
    answer = json.loads(ended.stdout)
    assert all(isinstance(value, str) for value in answer.values())
    assert answer["definition"] == trikk(project, "compile", "sagemaker", "nightly_load").stdout.rstrip("\n")
    failed = trikk(project, "compile", "sagemaker", "nightli", "--external", given="{}")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert len(failed.stderr.strip().splitlines()) == 1
    assert "did you mean nightly_load?" in failed.stderr
