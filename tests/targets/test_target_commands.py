"""`trikk check --target` and `trikk compile`, as people and Terraform call them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.servers.s3 import S3Server

from trikk.runs.bundle import contents
from trikk.storage.stores.locations import open_store

TOML = """name = "city"
[storage]
artifacts = "{artifacts}"
tables = "s3://city-main/tables"
journal = "postgresql://db.example.com/city"
[targets.sagemaker]
bucket = "city-main"
"""
PRINTED = "the project's code prints when it is imported\n"  # on standard error, so that it harms no document
CODE = """
from trikk import approval, pipeline, step, when

print("the project's code prints when it is imported")

@step
def number(n: int) -> int:
    return n

@pipeline
def good(n: int = 1):
    number(n)

@pipeline
def asking():
    with when(approval("publish?")):
        number(1)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "trikk.toml").write_text(TOML.format(artifacts="s3://city-main/artifacts"))
    (tmp_path / "pipelines.py").write_text(CODE)
    return tmp_path


def trikk(project: Path, *arguments: str, given: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "trikk.cli.main", *arguments],
        cwd=project,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


def test_check_says_what_can_not_be_and_where(project: Path) -> None:
    ended = trikk(project, "check", "--target", "sagemaker")
    assert ended.returncode == 1
    assert "ok   good runs on sagemaker" in ended.stdout
    assert "asks people" in ended.stdout
    assert "pipelines.py:" in ended.stdout
    assert trikk(project, "check", "--target", "sagemaker", "good").returncode == 0


def test_a_step_that_no_pipeline_has_is_a_slip(project: Path) -> None:
    with (project / "trikk.toml").open("a") as toml:
        toml.write("[targets.sagemaker.steps.nubmer]\nvolume = 9\n")
    ended = trikk(project, "check", "--target", "sagemaker")
    assert "[targets.sagemaker.steps.nubmer]" in ended.stdout
    assert "number" in ended.stdout


def test_check_has_one_document_for_programs(project: Path) -> None:
    ended = trikk(project, "check", "--target", "sagemaker", "--json")
    document: dict[str, Any] = json.loads(ended.stdout)
    assert ended.returncode == 1
    assert document["good"] is False
    (refused,) = [each for each in document["problems"] if not each["is_note"]]
    assert {*refused} == {"pipeline", "what", "next", "step", "where", "is_note"}
    assert (refused["pipeline"], refused["step"]) == ("asking", "approval")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("check", "--target", "sagemakr"), "did you mean sagemaker?"),
        (("check", "--target", "sagemaker", "god"), "did you mean good?"),
        (("compile", "sagemaker"), "which pipeline?"),
        (("compile", "sagemaker", "good", "-o", "nowhere/x.json"), "can't be written"),
        (("compile", "sagemaker", "asking"), "asks people"),
    ],
)
def test_wrong_usage_is_said_in_words(project: Path, arguments: tuple[str, ...], said: str) -> None:
    ended = trikk(project, *arguments)
    assert ended.returncode == 2
    assert said in ended.stderr
    assert ended.stdout == ""


def test_compile_prints_the_document_and_nothing_else(project: Path) -> None:
    first = trikk(project, "compile", "sagemaker", "good", PYTHONHASHSEED="1")
    second = trikk(project, "compile", "sagemaker", "good", PYTHONHASHSEED="2")
    assert json.loads(first.stdout)["Version"] == "2020-12-01"
    assert first.stdout == second.stdout
    written = trikk(project, "compile", "sagemaker", "good", "-o", "good.json")
    assert written.stdout == ""
    assert (project / "good.json").read_text() == first.stdout


def test_no_password_is_needed_to_compile(project: Path) -> None:
    toml = (project / "trikk.toml").read_text().replace("//db.example.com", "//me:${NO_PASSWORD}@db.example.com")
    (project / "trikk.toml").write_text(toml)
    assert trikk(project, "compile", "sagemaker", "good").returncode == 0


def test_terraform_gets_a_flat_object_of_texts(project: Path) -> None:
    query = json.dumps({"pipeline": "good", "environment": "stage"})
    ended = trikk(project, "compile", "sagemaker", "--external", given=query)
    assert (ended.returncode, ended.stderr) == (0, PRINTED)
    answer = json.loads(ended.stdout)
    assert {*answer} == {"definition", "sha256"}
    assert hashlib.sha256(answer["definition"].encode()).hexdigest() == answer["sha256"]
    assert (
        "stage"
        in json.loads(answer["definition"])["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"]
    )
    assert trikk(project, "compile", "sagemaker", "good", "--external", given="{}").returncode == 0


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("no json", "no JSON"),
        ("[]", "no object of texts"),
        ('{"pipeline": 3}', "no object of texts"),
        ('{"pipline": "good"}', "unknown key pipline"),
        ("{}", "no pipeline was named"),
        ('{"pipeline": "god"}', "did you mean good?"),
        ('{"pipeline": "asking"}', "asks people"),
    ],
)
def test_an_error_for_terraform_is_one_line(project: Path, query: str, said: str) -> None:
    ended = trikk(project, "compile", "sagemaker", "--external", given=query)
    assert (ended.returncode, ended.stdout) == (1, "")
    (line,) = ended.stderr.removeprefix(PRINTED).splitlines()
    assert said in line


def test_what_jobs_fetch_is_uploaded(project: Path, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3_server.environment().items():
        monkeypatch.setenv(name, value)
    place = f"s3://{s3_server.new_bucket()}/artifacts"
    ended = trikk(project, "compile", "sagemaker", "good", "--upload", TRIKK_ARTIFACTS=place)
    assert ended.returncode == 0, ended.stderr
    command = json.loads(ended.stdout)["Steps"][0]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert command[command.index("--store") + 1] == place
    code = command[command.index("--code") + 1]
    assert {*contents(open_store(place), code)} == {"pipelines.py", "trikk.toml"}


def test_nothing_is_uploaded_to_a_folder_that_jobs_do_not_see(project: Path) -> None:
    (project / "trikk.toml").write_text('name = "city"\n')
    ended = trikk(project, "compile", "sagemaker", "good", "--upload")
    assert ended.returncode == 2
    assert "jobs don't see" in ended.stderr
