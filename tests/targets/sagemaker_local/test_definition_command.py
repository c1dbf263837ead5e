from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.targets.sagemaker_local.job_processes import processes_with, wait_for

from trikk.core.errors import MissingExtra, UsageError
from trikk.targets.sagemaker.local import object_server
from trikk.targets.sagemaker.local.containers.job_process import best_view

COMMAND = [sys.executable, "-m", "trikk.targets.sagemaker.local.definition_command"]
WITHOUT = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@pytest.fixture(autouse=True)
def _needs_a_server_and_a_view() -> None:
    try:
        object_server.program()
        best_view()
    except (MissingExtra, UsageError) as error:
        pytest.skip(str(error))


def definition(folder: Path, *command: str) -> Path:
    cluster = {"InstanceType": "ml.t3.medium", "InstanceCount": 1, "VolumeSizeInGB": 1}
    target = {"S3Uri": "s3://made/out", "LocalPath": "/opt/ml/processing/out", "S3UploadMode": "EndOfJob"}
    arguments: dict[str, Any] = {
        "AppSpecification": {"ImageUri": "image", "ContainerEntrypoint": list(command)},
        "ProcessingResources": {"ClusterConfig": cluster},
        "ProcessingOutputConfig": {"Outputs": [{"OutputName": "out", "S3Output": target}]},
    }
    source = {"S3Uri": "s3://made/out/", "LocalPath": "/opt/ml/processing/in"}
    check = {**arguments, "ProcessingInputs": [{"InputName": "in", "S3Input": source}]}
    check["AppSpecification"] = {
        "ImageUri": "image",
        "ContainerEntrypoint": ["grep", "^hello$", "/opt/ml/processing/in/said"],
    }
    steps = [
        {"Name": "Say", "Type": "Processing", "Arguments": arguments},
        {"Name": "Check", "Type": "Processing", "Arguments": check, "DependsOn": ["Say"]},
    ]
    path = folder / "greeting.json"
    path.write_text(json.dumps({"Version": "2020-12-01", "Parameters": [], "Steps": steps}))
    return path


def test_a_definition_runs_with_a_server_of_its_own(tmp_path: Path) -> None:
    path = definition(tmp_path, "sh", "-c", "echo hello > /opt/ml/processing/out/said")
    options = ["--data", str(tmp_path / "s3"), "--logs", str(tmp_path / "logs")]
    done = subprocess.run([*COMMAND, str(path), *options], env=WITHOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "  Check: Succeeded" in done.stdout
    assert (tmp_path / "logs" / "logs" / "Check.log").read_text() == "hello\n"
    assert processes_with(str(tmp_path)) == []


def test_what_is_wrong_is_said_and_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("{}")
    done = subprocess.run([*COMMAND, str(tmp_path / "none.json")], env=WITHOUT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "this is no pipeline definition" in done.stderr


def test_ctrl_c_stops_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = definition(tmp_path, "sh", "-c", f"touch {tmp_path}/begun; sleep 600")
    command = [*COMMAND, str(path), "--data", str(tmp_path / "s3")]
    process = subprocess.Popen(command, env=WITHOUT, stdout=subprocess.PIPE, text=True)
    wait_for(tmp_path / "begun")
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Stopped: " in said
    assert processes_with(str(tmp_path)) == []


def test_the_server_killed_in_the_middle_fails_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = definition(tmp_path, "sh", "-c", f"touch {tmp_path}/begun; sleep 600")
    command = [*COMMAND, str(path), "--data", str(tmp_path / "s3")]
    process = subprocess.Popen(command, env=WITHOUT, stdout=subprocess.PIPE, text=True)
    wait_for(tmp_path / "begun")
    (server, *_) = processes_with(f"-dir={tmp_path / 's3' / 'data'}")
    os.kill(server, signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1
    assert "Failed: the S3 server of this run has ended by signal SIGKILL" in said
    assert processes_with(str(tmp_path)) == []
