"""A definition of somebody else's, in the official SDK's form, carried out as the service documents it."""

from __future__ import annotations

import json
import os
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
from tests.servers.s3 import S3Server
from tests.targets.sagemaker_local.job_processes import kill_first_process_of, wait_for

from trikk.core.errors import DefinitionError, UsageError
from trikk.targets.sagemaker.local.containers.bucket_transfer import S3Access
from trikk.targets.sagemaker.local.containers.job_process import best_view
from trikk.targets.sagemaker.local.definition.pipeline_definition import read_definition
from trikk.targets.sagemaker.local.definition.step_order import ExecutionPhase
from trikk.targets.sagemaker.local.local_execution import LocalExecution, LocalSettings

COPY = """
import json, pathlib, sys
inputs, output = pathlib.Path("/opt/ml/processing/input/raw"), pathlib.Path("/opt/ml/processing/rows")
for path in inputs.rglob("*.csv"):
    target = output / path.relative_to(inputs)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(path.read_bytes())
report = pathlib.Path("/opt/ml/processing/report")
report.joinpath("report.json").write_text(json.dumps({"mae": {"value": float(sys.argv[2])}, "argv": sys.argv[1:]}))
config = json.loads(pathlib.Path("/opt/ml/config/processingjobconfig.json").read_text())
hosts = json.loads(pathlib.Path("/opt/ml/config/resourceconfig.json").read_text())
assert config["AppSpecification"]["ContainerArguments"] == sys.argv[1:], config
assert hosts == {"current_host": "algo-1", "hosts": ["algo-1"]}, hosts
pathlib.Path("/opt/ml/output/message").write_text("copied " + "é" * 2000)
"""
TRAIN = """
import json, os, pathlib
ml = pathlib.Path("/opt/ml")
config = {p.stem: json.loads(p.read_text()) for p in (ml / "input/config").iterdir()}
rows = sorted(p.read_text() for p in (ml / "input/data/train").rglob("*.csv"))
(ml / "model" / "model.json").write_text(json.dumps({"rows": rows, **config}))
(ml / "output/data" / "figures.txt").write_text(os.environ["TRAINING_JOB_NAME"])
"""
FAIL = """
import pathlib, sys
pathlib.Path("/opt/ml/output/failure").write_text("the loss is nan " + "x" * 2000)
sys.exit(3)
"""
MACHINE = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 30}
RETRIES = [
    {
        "ExceptionType": ["SageMaker.JOB_INTERNAL_ERROR", "Step.SERVICE_FAULT"],
        "IntervalSeconds": 0,
        "BackoffRate": 2.0,
        "MaxAttempts": 2,
    }
]


@pytest.fixture
def bucket(s3_server: S3Server) -> str:
    try:
        best_view()
    except UsageError as error:
        pytest.skip(f"no private view of /opt/ml on this machine: {error.what}")
    name = s3_server.new_bucket()
    client = s3_server.client()
    for key, text in {
        "raw/a.csv": "a",
        "raw/deep/b.csv": "b",
        "rawer/c.csv": "not of this folder",
        "code/copy.py": COPY,
        "code/train.py": TRAIN,
        "code/fail.py": FAIL,
    }.items():
        client.put_object(Bucket=name, Key=key, Body=text.encode())
    return name


def processing(
    name: str, script: str, *arguments: Any, outputs: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    def place(*parts: Any) -> dict[str, Any]:
        return {"Std:Join": {"On": "/", "Values": ["s3:/", {"Get": "Parameters.Bucket"}, *parts]}}

    inputs = {"code": place("code", script), "raw": place("raw/")}
    return {
        "Name": name,
        "Type": "Processing",
        "Arguments": {
            "RoleArn": "arn:aws:iam::111122223333:role/steps",
            "AppSpecification": {
                "ImageUri": "111122223333.dkr.ecr.eu-west-1.amazonaws.com/steps:1",
                "ContainerEntrypoint": ["python3", f"/opt/ml/processing/input/code/{script}"],
                "ContainerArguments": list(arguments),
            },
            "ProcessingInputs": [
                {
                    "InputName": key,
                    "AppManaged": False,
                    "S3Input": {
                        "S3Uri": uri,
                        "LocalPath": f"/opt/ml/processing/input/{key}",
                        "S3DataType": "S3Prefix",
                        "S3InputMode": "File",
                        "S3DataDistributionType": "FullyReplicated",
                        "S3CompressionType": "None",
                    },
                }
                for key, uri in inputs.items()
            ],
            "ProcessingOutputConfig": {
                "Outputs": [
                    {
                        "OutputName": output,
                        "AppManaged": False,
                        "S3Output": {
                            "S3Uri": place({"Get": "Execution.PipelineExecutionId"}, name, output),
                            "LocalPath": f"/opt/ml/processing/{output}",
                            "S3UploadMode": "EndOfJob",
                        },
                    }
                    for output in outputs
                ]
            },
            "ProcessingResources": {"ClusterConfig": MACHINE},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
        **more,
    }


def training(name: str, entry: list[str] | None, **more: Any) -> dict[str, Any]:
    algorithm: dict[str, Any] = {"TrainingImage": "image", "TrainingInputMode": "File"}
    if entry is not None:
        algorithm["ContainerEntrypoint"] = entry
    channels = {
        "train": {"Get": "Steps.Prep.ProcessingOutputConfig.Outputs['rows'].S3Output.S3Uri"},
        "code": {"Std:Join": {"On": "", "Values": ["s3://", {"Get": "Parameters.Bucket"}, "/code/"]}},
    }
    return {
        "Name": name,
        "Type": "Training",
        "Arguments": {
            "RoleArn": "arn:aws:iam::111122223333:role/steps",
            "AlgorithmSpecification": algorithm,
            "InputDataConfig": [
                {
                    "ChannelName": channel,
                    "ContentType": "text/csv",
                    "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}},
                }
                for channel, uri in channels.items()
            ],
            "HyperParameters": {
                "depth": "6",
                "rounds": {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.Rounds"}]}},
            },
            "OutputDataConfig": {
                "S3OutputPath": {
                    "Std:Join": {"On": "", "Values": ["s3://", {"Get": "Parameters.Bucket"}, "/models"]}
                }
            },
            "ResourceConfig": MACHINE,
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
        **more,
    }


def document(*steps: dict[str, Any]) -> str:
    parameters = [
        {"Name": "Bucket", "Type": "String"},
        {"Name": "Rounds", "Type": "Integer", "DefaultValue": 100},
        {"Name": "MaxMae", "Type": "Float", "DefaultValue": 4.0},
    ]
    return json.dumps({"Version": "2020-12-01", "Metadata": {}, "Parameters": parameters, "Steps": list(steps)})


def gate(yes: list[dict[str, Any]], no: list[dict[str, Any]]) -> dict[str, Any]:
    mae = {"Std:JsonGet": {"PropertyFile": {"Get": "Steps.Prep.PropertyFiles.Report"}, "Path": "mae.value"}}
    condition = {"Type": "LessThanOrEqualTo", "LeftValue": mae, "RightValue": {"Get": "Parameters.MaxMae"}}
    arguments = {"Conditions": [condition], "IfSteps": yes, "ElseSteps": no}
    return {"Name": "Gate", "Type": "Condition", "Arguments": arguments, "DependsOn": ["Prep"]}


PREP = processing(
    "Prep",
    "copy.py",
    "--mae",
    "3.5",
    outputs=("rows", "report"),
    PropertyFiles=[{"PropertyFileName": "Report", "OutputName": "report", "FilePath": "report.json"}],
)
REGISTER = {
    "Name": "Register",
    "Type": "RegisterModel",
    "Arguments": {
        "ModelPackageGroupName": "delays",
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [
                {"Image": "image", "ModelDataUrl": {"Get": "Steps.Train.ModelArtifacts.S3ModelArtifacts"}}
            ]
        },
    },
}
STOP = {"Name": "Stop", "Type": "Fail", "Arguments": {"ErrorMessage": "the model is too bad"}}


def execution(text: str, server: S3Server, bucket: str, folder: Path, **more: Any) -> LocalExecution:
    access = S3Access(server.endpoint, server.access_key, server.secret_key)
    environment = {"PATH": os.environ["PATH"], **more.pop("environment", {})}
    given = {"Bucket": bucket, **more.pop("parameters", {})}
    settings = LocalSettings(folder / "run", access, environment, code=folder, **more)
    return LocalExecution(read_definition(text), "delays", given, "abc123def456", settings)


def steps_of(run: LocalExecution) -> dict[str, dict[str, Any]]:
    return {step["StepName"]: step for step in run.list_steps()}


def text_at(server: S3Server, bucket: str, key: str) -> str:
    body: bytes = server.client().get_object(Bucket=bucket, Key=key)["Body"].read()
    return body.decode()


def test_it_runs_from_the_input_to_the_registered_model(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    train = training("Train", ["python3", "/opt/ml/input/data/code/train.py"])
    run = execution(document(gate([train, REGISTER], [STOP]), PREP), s3_server, bucket, tmp_path)
    assert run.run() == ExecutionPhase.SUCCEEDED, run.describe()
    steps = steps_of(run)
    assert list(steps) == ["Prep", "Gate", "Train", "Register"]
    assert {step["StepStatus"] for step in steps.values()} == {"Succeeded"}
    assert steps["Gate"]["Metadata"] == {"Condition": {"Outcome": "True"}}
    assert run.describe()["PipelineExecutionStatus"] == "Succeeded"
    assert text_at(s3_server, bucket, "abc123def456/Prep/rows/deep/b.csv") == "b"
    prep, train_answer = run.answers()["Prep"], run.answers()["Train"]
    assert prep["ProcessingJobStatus"] == "Completed"
    assert len(prep["ExitMessage"].encode()) == 1023  # a character is not cut in two
    uri = train_answer["ModelArtifacts"]["S3ModelArtifacts"]
    assert uri == f"s3://{bucket}/models/{train_answer['TrainingJobName']}/output/model.tar.gz"
    archive = tmp_path / "model.tar.gz"
    s3_server.client().download_file(bucket, uri.split("/", 3)[3], str(archive))
    with tarfile.open(archive) as tar:
        model = json.load(tar.extractfile("model.json"))  # type: ignore[arg-type]
    assert model["rows"] == ["a", "b"]
    assert model["hyperparameters"] == {"depth": "6", "rounds": "100"}
    assert model["inputdataconfig"]["train"] == {
        "TrainingInputMode": "File",
        "S3DistributionType": "FullyReplicated",
        "RecordWrapperType": "None",
        "ContentType": "text/csv",
    }
    assert model["resourceconfig"]["current_host"] == "algo-1"
    registered = json.loads((tmp_path / "model-packages" / "delays" / "1.json").read_text())
    assert registered["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == uri
    assert steps["Register"]["Metadata"]["RegisterModel"]["Arn"].endswith("model-package/delays/1")
    assert list((tmp_path / "run" / "jobs").iterdir()) == []


def test_the_other_branch_ends_it_with_its_words(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    train = training("Train", ["python3", "/opt/ml/input/data/code/train.py"])
    text = document(PREP, gate([train], [STOP]))
    run = execution(text, s3_server, bucket, tmp_path, parameters={"MaxMae": "3"})
    assert run.run() == ExecutionPhase.FAILED
    assert "Train" not in steps_of(run)
    assert run.describe()["FailureReason"] == "Step failure: Stop: the model is too bad"


def test_a_failure_of_the_code_is_not_tried_again_and_tells_why(
    s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    train = training("Train", ["python3", "/opt/ml/input/data/code/fail.py"], RetryPolicies=RETRIES)
    copy = ("copy.py", "--mae", "1")
    outputs = ("rows", "report")
    alert = processing("Alert", *copy, outputs=outputs, DependsOn=[{"Step": "Train", "Trigger": "Failed"}])
    after = processing("After", *copy, outputs=outputs, DependsOn=["Train"])
    run = execution(document(PREP, train, after), s3_server, bucket, tmp_path)
    assert run.run() == ExecutionPhase.FAILED
    failed = steps_of(run)["Train"]
    assert failed["AttemptCount"] == 1
    assert failed["FailureReason"] == ("the loss is nan " + "x" * 2000)[:1024]
    assert run.answers()["Train"]["TrainingJobStatus"] == "Failed"
    assert "After" not in steps_of(run)
    answered = execution(document(PREP, train, alert), s3_server, bucket, tmp_path / "answered")
    assert answered.run() == ExecutionPhase.COMPLETED_WITH_FAILURES
    assert steps_of(answered)["Alert"]["StepStatus"] == "Succeeded"


def test_without_an_entry_point_a_training_job_runs_train(
    s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "train").write_text("#!/bin/sh\nexec python3 /opt/ml/input/data/code/train.py\n")
    (programs / "train").chmod(0o755)
    environment = {"PATH": f"{programs}:{os.environ['PATH']}"}
    run = execution(document(PREP, training("Train", None)), s3_server, bucket, tmp_path, environment=environment)
    assert run.run() == ExecutionPhase.SUCCEEDED, run.describe()


def test_what_the_platform_breaks_is_tried_again(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    script = (
        "import pathlib, sys, time\n"
        "mark = pathlib.Path(sys.argv[1])\n"
        "if not mark.exists():\n"
        "    mark.touch()\n"
        "    time.sleep(600)\n"
    )
    s3_server.client().put_object(Bucket=bucket, Key="code/die.py", Body=script.encode())
    mark = tmp_path / "begun"
    run = execution(
        document(processing("Dying", "die.py", str(mark), RetryPolicies=RETRIES)), s3_server, bucket, tmp_path
    )

    def kill() -> None:
        wait_for(mark)
        kill_first_process_of(str(mark))

    thread = threading.Thread(target=kill)
    thread.start()
    assert run.run() == ExecutionPhase.SUCCEEDED, run.describe()
    thread.join()
    assert steps_of(run)["Dying"]["AttemptCount"] == 2


def test_an_input_that_is_not_there_fails_its_job(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    lacking = processing("Lacking", "none.py", RetryPolicies=RETRIES)
    run = execution(document(lacking), s3_server, bucket, tmp_path)
    assert run.run() == ExecutionPhase.FAILED
    step = steps_of(run)["Lacking"]
    assert "no S3 objects lie under" in step["FailureReason"]
    assert step["AttemptCount"] == 1


def test_a_server_that_is_away_is_a_fault_of_the_service(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    away = S3Server("http://127.0.0.1:9", "a", "b", "c")
    run = execution(document(processing("Away", "copy.py", RetryPolicies=RETRIES)), away, bucket, tmp_path)
    assert run.run() == ExecutionPhase.FAILED
    step = steps_of(run)["Away"]
    assert step["AttemptCount"] == 3
    assert "S3 refused or did not answer" in step["FailureReason"]


def test_a_stopped_execution_leaves_what_its_training_has(
    s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    script = (
        "import pathlib, signal, sys\n"
        "def save(*_):\n"
        "    pathlib.Path('/opt/ml/model/half').write_text('half')\n"
        "    sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, save)\n"
        f"pathlib.Path({str(tmp_path / 'begun')!r}).touch()\n"
        "while True: signal.pause()\n"
    )
    s3_server.client().put_object(Bucket=bucket, Key="code/slow.py", Body=script.encode())
    slow = training("Slow", ["python3", "/opt/ml/input/data/code/slow.py"])
    run = execution(
        document(PREP, slow, {**REGISTER, "DependsOn": ["Slow"], "Arguments": {}}), s3_server, bucket, tmp_path
    )

    def stop() -> None:
        wait_for(tmp_path / "begun")
        run.stop()

    thread = threading.Thread(target=stop)
    thread.start()
    assert run.run() == ExecutionPhase.STOPPED
    thread.join()
    assert steps_of(run)["Slow"]["StepStatus"] == "Stopped"
    assert "Register" not in steps_of(run)
    key = run.answers()["Slow"]["ModelArtifacts"]["S3ModelArtifacts"].split("/", 3)[3]
    assert s3_server.client().head_object(Bucket=bucket, Key=key)["ContentLength"] > 0


def test_a_lambda_step_is_a_function_of_this_machine_or_refused(
    s3_server: S3Server, bucket: str, tmp_path: Path
) -> None:
    (tmp_path / "functions.py").write_text(
        "def double(event, context):\n    print('noise')\n    return {'twice': 2 * event['count'], 'more': 1}\n"
    )
    step = {
        "Name": "Double",
        "Type": "Lambda",
        "FunctionArn": "arn:aws:lambda:eu-west-1:111122223333:function:double",
        "Arguments": {"count": {"Get": "Parameters.Rounds"}},
        "OutputParameters": [{"OutputName": "twice", "OutputType": "Integer"}],
    }
    twice = {"Get": "Steps.Double.OutputParameters['twice']"}
    condition = {"Type": "Equals", "LeftValue": twice, "RightValue": 200}
    check = {"Name": "Check", "Type": "Condition", "Arguments": {"Conditions": [condition], "ElseSteps": [STOP]}}
    text = document(step, check)
    handlers = {"double": "functions:double"}
    run = execution(text, s3_server, bucket, tmp_path, functions=handlers)
    assert run.run() == ExecutionPhase.SUCCEEDED, run.describe()
    assert run.log_of("Double").read_text() == "noise\n"
    with pytest.raises(DefinitionError, match="which is not here"):
        execution(text, s3_server, bucket, tmp_path)


def test_names_of_objects_do_not_lead_out_of_the_folder(s3_server: S3Server, bucket: str, tmp_path: Path) -> None:
    manifest = json.dumps([{"prefix": f"s3://{bucket}/raw/"}, "../raw/a.csv"])
    s3_server.client().put_object(Bucket=bucket, Key="manifest", Body=manifest.encode())
    step = processing("Out", "copy.py", "--mae", "1")
    step["Arguments"]["ProcessingInputs"][1]["S3Input"] |= {
        "S3Uri": f"s3://{bucket}/manifest",
        "S3DataType": "ManifestFile",
    }
    run = execution(document(step), s3_server, bucket, tmp_path)
    assert run.run() == ExecutionPhase.FAILED
    assert "leads out" in str(run.describe()) or "named '../raw/a.csv'" in run.describe()["FailureReason"]
