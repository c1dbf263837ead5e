"""Secrets of steps: where they are looked for, and that their values are nowhere in what a run leaves behind."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder
from tests.servers.moto import MotoServer

import trikk
from trikk.core.errors import DefinitionError, ProjectError, UsageError
from trikk.core.network import masking, secret_places
from trikk.core.network.addresses import fill
from trikk.core.network.secret_places import SecretPlaces, use_places
from trikk.core.settings import load_settings

VALUE = 'hunter2-æ"/&\\x'
PEM = "-----BEGIN KEY-----\nMIIBVAIBADANBgkqhkiG9w0B\nAQEFAASCAT4wggE6AgEAAkEA\n-----END KEY-----"
PIPELINES = """
import json, logging, subprocess, sys
from pathlib import Path
import polars as pl
from trikk import log_artifact, log_param, pipeline, script, secret, step

@step
def careful() -> int:
    value, key = secret("SLACK_URL"), secret("KEY")
    print("printed", value, [value], json.dumps(value))
    print(key)
    logging.warning("logged %s", value)
    print("to stderr", value, file=sys.stderr)
    sys.stdout.buffer.write(f"as bytes {value}\\n".encode())
    subprocess.run(["printenv", "COPY"], env={"COPY": value, "PATH": "/usr/bin:/bin"}, check=True)
    log_param("url", "at " + value)
    return len(value)

@step
def failing() -> int:
    value = secret("SLACK_URL")
    try:
        raise KeyError(value)
    except KeyError as error:
        raise RuntimeError(f"refused {value}") from error

@step
def given(form: str) -> object:
    value = "x" * 30 + secret("SLACK_URL")
    if form == "logged":
        log_artifact("a", {"deep": [value]})
    Path("../leak").write_text(value)
    forms = {"text": value, "frame": pl.DataFrame({"a": [value, "b"]}), "nested": [{"a": (1, value)}],
             "file": Path("../leak"), "logged": 1, "mixed": {value: pl.DataFrame({"a": [1]})}}
    return forms[form]

@pipeline
def good():
    careful()
    script(["sh", "-c", "echo to the program $TOKEN"], env={"TOKEN": "${SLACK_URL}"})

@pipeline
def bad():
    failing()

@pipeline
def leaking(form: str):
    given(form)
"""


@pytest.fixture
def project(tmp_path: Path) -> Folder:
    """A project whose secrets lie in a folder beside it."""
    folder = Folder(tmp_path / "project")
    folder.root.mkdir()
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "SLACK_URL").write_text(VALUE + "\n")
    (tmp_path / "secrets" / "KEY").write_text(PEM)
    folder.write(trikk='[secrets]\nfolder = "../secrets"\n', pipelines=PIPELINES)
    return folder


def left_behind(folder: Folder) -> bytes:
    """All that a project's runs have written; no form of a value is in it."""
    written = b"".join(p.read_bytes() for p in sorted((folder.root / ".trikk").rglob("*")) if p.is_file())
    for line in (VALUE, json.dumps(VALUE)[1:-1], repr(VALUE)[1:-1], "MIIBVAIBADANBgkqhkiG9w0B"):
        assert line.encode() not in written
    return written


@pytest.mark.parametrize("log_format", ["text", "json"])
def test_a_value_is_masked_wherever_a_step_prints_it(project: Folder, log_format: str) -> None:
    run = project.trikk("run", "good", "--json", TRIKK_LOG_FORMAT=log_format)
    assert run.code == 0, run
    log = json.dumps(project.good("logs", run.json["id"]))
    for said in ("printed ***", "logged ***", "to stderr ***", "as bytes ****", "to the program ****"):
        assert said in log
    assert b'"at ***"' in left_behind(project)


def test_an_error_has_no_value_and_a_replay_needs_the_secret_again(project: Folder) -> None:
    done = project.trikk("run", "bad", "--json")
    assert done.code == 1
    assert "refused ***" in done.out
    assert "hunter2" not in done.out + done.err
    assert b"KeyError: '***'" in left_behind(project)
    run = project.good("run", "good")
    (project.root.parent / "secrets" / "SLACK_URL").unlink()
    replayed = project.trikk("replay", run["id"], "--json")
    assert replayed.code == 1
    assert "there is no secret SLACK_URL" in replayed.out


@pytest.mark.parametrize("form", ["text", "frame", "nested", "file", "logged", "mixed"])
def test_a_result_with_a_value_in_it_is_refused(project: Folder, form: str) -> None:
    done = project.trikk("run", "leaking", "-p", f"form={form}", "--json")
    assert done.code == 1, done
    assert "it holds the secret SLACK_URL" in done.out
    left_behind(project)


@pytest.fixture
def places() -> Iterator[None]:
    """None are known before and after."""
    before = secret_places._places, dict(masking._names)
    yield
    use_places(before[0])
    masking._names.clear()
    masking._names.update(before[1])


def test_the_environment_comes_first_then_a_folder_then_a_file(
    tmp_path: Path, places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = tmp_path / "lines"
    lines.write_text("# of the city\nexport FIRST='from the file'\nSECOND = second=2\nEMPTY=\n")
    lines.chmod(0o600)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "FIRST").write_text("from the folder")
    use_places(SecretPlaces(tmp_path / "folder", lines))
    assert trikk.secret("FIRST") == "from the folder"
    assert trikk.secret("SECOND") == "second=2"
    monkeypatch.setenv("FIRST", "from the environment")
    assert trikk.secret("FIRST") == "from the environment"
    filled = fill("postgresql://u:${SECOND}@h/d")
    assert filled.text == "postgresql://u:second%3D2@h/d"
    assert filled.hide("no second=2, second%3D2") == "no ***, ***"
    for name in ("EMPTY", "NOWHERE"):
        with pytest.raises(UsageError, match=f"no secret {name}") as refused:
            trikk.secret(name)
        assert f"{tmp_path}/folder/{name}, {lines}" in refused.value.what
        assert f"export {name}=..." in str(refused.value.next)


def test_a_file_that_others_may_read_or_that_is_none_is_refused(tmp_path: Path, places: None) -> None:
    lines, folder = tmp_path / "lines", tmp_path / "folder"
    lines.write_text("A=hunter2\n")
    lines.chmod(0o640)
    use_places(SecretPlaces(file=lines))
    with pytest.raises(UsageError, match="others may read") as refused:
        trikk.secret("A")
    assert refused.value.next == f"chmod 600 {lines}"
    (folder / "DEEP").mkdir(parents=True)
    (folder / "OPEN").write_text("hunter2")
    (folder / "OPEN").chmod(0o666)
    (folder / "BYTES").write_bytes(b"\xff\xfe")
    os.mkfifo(folder / "PIPE")
    use_places(SecretPlaces(folder))
    for name, problem in {"OPEN": "others may change", "BYTES": "no text", "DEEP": "can't be read"}.items():
        with pytest.raises(UsageError, match=problem) as refused:
            trikk.secret(name)
        assert "hunter2" not in str(refused.value)
    with pytest.raises(UsageError, match="not a name"):
        trikk.secret("../lines")


def test_aws_secrets_manager_is_asked_once_in_a_while(
    moto_server: MotoServer, places: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in moto_server.environment().items():
        monkeypatch.setenv(name, value)
    client: Any = moto_server.client("secretsmanager")
    client.create_secret(Name="city/TOKEN", SecretString=VALUE)
    client.create_secret(Name="city/BINARY", SecretBinary=b"hunter2")
    use_places(SecretPlaces(aws="city/"))
    assert trikk.secret("TOKEN") == VALUE
    with pytest.raises(UsageError, match="city/NOWHERE in AWS Secrets Manager"):
        trikk.secret("NOWHERE")
    with pytest.raises(UsageError, match="is no text"):
        trikk.secret("BINARY")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    assert trikk.secret("TOKEN") == VALUE
    secret_places._from_aws.clear()
    with pytest.raises(UsageError, match="EndpointConnectionError") as refused:
        trikk.secret("TOKEN")
    assert refused.value.where == "city/TOKEN"


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ('fodler = "/x"', "unknown setting 'secrets.fodler'"),
        ("folder = 3", "secrets.folder is no text"),
        ('file = "inside.env"', "lie in the project's folder"),
    ],
)
def test_a_wrong_section_is_refused(tmp_path: Path, places: None, section: str, problem: str) -> None:
    (tmp_path / "trikk.toml").write_text(f"[secrets]\n{section}\n")
    with pytest.raises(ProjectError, match=problem):
        load_settings(tmp_path)


def test_the_body_of_a_pipeline_gets_no_value(places: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", VALUE)

    @trikk.step
    def send(url: str) -> None: ...

    def nightly() -> None:
        send(trikk.secret("TOKEN"))

    with pytest.raises(DefinitionError, match="stored"):
        trikk.pipeline(nightly)
