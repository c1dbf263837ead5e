"""State machines: what others say of the definition, and what an interpreter makes of it with real jobs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.execution.command import Folder
from tests.servers.state_language_checks import findings
from tests.servers.state_machines import StateMachines, state_machines
from tests.targets.compiled import compiled, problems, source_of

from trikk.core.clock import SystemClock
from trikk.core.errors import ProjectError, UsageError
from trikk.execution.project import Project
from trikk.runs.states import RunStatus, StepStatus
from trikk.targets.jobs.exchange import open_exchange
from trikk.targets.mirroring.engine_status import ExecutionState
from trikk.targets.mirroring.mirrored_run import mirror
from trikk.targets.step_functions.machine_limits import states_of
from trikk.targets.step_functions.step_functions_engine import StepFunctionsEngine

CODE = """
import os
import polars as pl
from trikk import Retry, Table, pipeline, step, when

counts = Table("counts")

@step(retry=Retry(4, delay="1s", factor=1.5, max_delay="2s", jitter=0.5))
def days(n: int) -> list[int]:
    return list(range(n))

@step
def doubled(day: int) -> int:
    return day * 2

@step
def rows(days: list[int], doubled: list[int]) -> pl.DataFrame:
    return pl.DataFrame({"day": days, "doubled": doubled})

@step
def judged(counts: pl.LazyFrame, factor: float) -> dict[str, float]:
    return {"sum": counts.collect()["doubled"].sum() * factor}

@step
def large(judged: dict[str, float]) -> str:
    return "large"

@step
def small(judged: dict[str, float]) -> str:
    return "small"

@step(allow_failure=True)
def risky(n: int) -> int:
    raise ValueError("as it may")

@step
def needs_risky(n: int) -> int:
    return n

@step
def strict(n: int, fail: bool) -> int:
    if fail:
        raise ValueError("this is the author's")
    return n

@pipeline
def nightly(n: int = 3, factor: float = 2.0, fail: bool = False, word: str = "plain"):
    numbers = days(n)
    frame = rows(numbers, doubled.map(numbers))
    counts.append(frame)
    sums = judged(counts, factor)
    with when(sums["sum"] > 1000):
        large(sums)
    with when((sums["sum"] <= 1000) & (sums["sum"] > 0)):
        small(sums)
    needs_risky(risky(n))
    strict(n, fail)
"""
SETTINGS = """
[targets.stepfunctions]
role = "arn:aws:iam::123456789012:role/jobs"
image = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/jobs@sha256:0f"
python = {python!r}
"""


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateMachines]:
    with state_machines(tmp_path_factory.mktemp("machines")) as running:
        yield running


@pytest.fixture
def folder(machines: StateMachines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    for name, value in machines.environment().items():
        monkeypatch.setenv(name, value)
    bucket = f"b{abs(hash(str(tmp_path)))}"
    machines.client("s3").create_bucket(
        Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    )
    (tmp_path / "project").mkdir()
    folder = Folder(tmp_path / "project")
    places = f'[storage]\nartifacts = "s3://{bucket}/artifacts"\ntables = "s3://{bucket}/tables"\n'
    folder.write(trikk=f'name = "jobs"\n{places}{SETTINGS.format(python=sys.executable)}', pipelines=CODE)
    return folder


def entered(history: list[dict[str, Any]]) -> list[str]:
    return [event["stateEnteredEventDetails"]["name"] for event in history if "stateEnteredEventDetails" in event]


def test_the_same_source_gives_the_same_text(folder: Folder) -> None:
    source = source_of(folder.root, "nightly")
    text = compiled("stepfunctions", source)
    assert text == compiled("stepfunctions", source_of(folder.root, "nightly"))
    assert json.dumps(json.loads(text), sort_keys=True, separators=(",", ":"), ensure_ascii=False) == text


def test_others_find_nothing_wrong_with_it(folder: Folder, tmp_path: Path) -> None:
    file = tmp_path / "machine.json"
    file.write_text(compiled("stepfunctions", source_of(folder.root, "nightly")))
    broken = json.loads(file.read_text())
    broken["States"]["parameters"]["Next"] = "nowhere"
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    said = findings([file, tmp_path / "broken.json"])
    assert said[str(file)] == {"validator": [], "service": []}
    assert all(said[str(tmp_path / "broken.json")].values())


def test_an_execution_makes_what_a_run_at_home_makes(machines: StateMachines, folder: Folder) -> None:
    machines.refuse("days", 2)
    definition = compiled("stepfunctions", source_of(folder.root, "nightly"))
    said = machines.run(definition, "first", {"n": "4"})
    assert said["status"] == "SUCCEEDED", said
    # refused twice and asked again, under a new name each time
    names = [request["ProcessingJobName"] for request in machines.requests("days")]
    assert len(set(names)) == len(names) == 3
    assert all(len(name) <= 63 for name in names)
    # a condition that is certainly false starts no machine; the other way round the job begins
    history = machines.history(said["executionArn"])
    assert machines.requests("large") == [], [e for e in history if "taskFailedEventDetails" in e]
    assert len(machines.requests("small")) == 1
    assert "large: skipped" in entered(history)
    project = Project.open(folder.root)
    engine = StepFunctionsEngine(machines.client("stepfunctions"), said["stateMachineArn"])
    exchange = open_exchange(f"{project.settings.location('artifacts')}/exchange")
    run = mirror(project, exchange, "nightly.first", engine, SystemClock())
    assert run is not None
    assert run.state == RunStatus.SUCCEEDED
    skipped = {name for name, step in run.steps.items() if step.state == StepStatus.SKIPPED}
    assert skipped == {"large", "needs_risky"}
    assert run.steps["risky"].allowed
    comparison = folder.trikk("replay", run.id, "--json").json
    assert comparison["identical"], json.dumps(comparison, indent=1)


def test_the_authors_failure_is_not_retried_and_is_told(machines: StateMachines, folder: Folder) -> None:
    topic = machines.client("sns").create_topic(Name="alerts")["TopicArn"]
    queue = machines.client("sqs").create_queue(QueueName="alerts")["QueueUrl"]
    arn = machines.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    machines.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"])
    toml = (folder.root / "trikk.toml").read_text()
    folder.write(trikk=f'{toml}topic = "{topic}"\n')
    before = len(machines.requests("strict"))
    said = machines.run(compiled("stepfunctions", source_of(folder.root, "nightly")), "second", {"fail": True})
    assert said["status"] == "FAILED"
    assert len(machines.requests("strict")) == before + 1
    [message] = machines.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    assert "this is the author's" in json.loads(message["Body"])["Message"]
    # a redrive begins at the choice that failed, and leads back to the job: its rule is all that can be shown here
    states = dict(states_of(json.loads(compiled("stepfunctions", source_of(folder.root, "nightly")))))
    assert states["strict: again if redriven"]["Choices"][0]["Next"] == "strict"
    engine = StepFunctionsEngine(machines.client("stepfunctions"), said["stateMachineArn"])
    status = engine.status("nightly.second", {"strict": "strict", "days": "days"})
    assert status is not None
    assert status.state == ExecutionState.FAILED
    assert status.jobs["strict"].state == ExecutionState.FAILED
    assert "this is the author's" in status.jobs["strict"].reason
    assert "ProcessingJobs" in status.jobs["strict"].log


def test_an_input_that_lacks_something_fails_before_any_job(machines: StateMachines, folder: Folder) -> None:
    folder.write(pipelines=CODE.replace("def nightly(n: int = 3,", "def nightly(n: int,"))
    before = len(machines.requests())
    said = machines.run(compiled("stepfunctions", source_of(folder.root, "nightly")), "third", {})
    assert (said["status"], said["error"]) == ("FAILED", "InputIncomplete")
    assert said["cause"] == "The input has to give n"
    assert len(machines.requests()) == before


def test_an_execution_that_nobody_knows_is_none(machines: StateMachines) -> None:
    engine = StepFunctionsEngine(
        machines.client("stepfunctions"), "arn:aws:states:eu-west-1:123456789012:stateMachine:no"
    )
    assert engine.status("nightly.none", {}) is None


def test_cloudformation_takes_it(folder: Folder, tmp_path: Path) -> None:
    definition = json.loads(compiled("stepfunctions", source_of(folder.root, "nightly")))
    role = "arn:aws:iam::123456789012:role/machine"
    machine = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"Definition": definition, "RoleArn": role},
    }
    template = tmp_path / "template.json"
    template.write_text(json.dumps({"Resources": {"Machine": machine}}))
    lint = [str(Path(sys.executable).with_name("cfn-lint")), str(template)]
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    definition["StartAt"] = "nowhere"  # where states lead to is not looked at: others do, above
    template.write_text(json.dumps({"Resources": {"Machine": machine}}))
    done = subprocess.run(lint, capture_output=True, text=True, check=False)
    assert "nowhere" in done.stdout


def test_what_it_cannot_do_is_said_all_at_once_with_the_authors_lines(folder: Folder) -> None:
    code = CODE.replace("import Retry,", "import Resources, Retry, approval,")
    code = code.replace("@step\ndef small(", "@step(resources=Resources(gpus=99))\ndef small(")
    code = code.replace("    strict(n, fail)", '    strict(n, fail, after=approval("go?"))')
    code = code.replace('word: str = "plain"', f'word: str = "{"x" * 300}", Role: str = ""')
    folder.write(pipelines=code)
    source = source_of(folder.root, "nightly", journal=".trikk/journal.db")
    wrong = [problem for problem in problems("stepfunctions", source) if not problem.is_note]
    texts = " ".join(problem.what for problem in wrong)
    for told in ("asks people", "gpus 99", "300 characters", "Role"):
        assert told in texts
    assert all(problem.where.startswith("pipelines.py:") for problem in wrong if problem.step)
    with pytest.raises(UsageError, match="can't run on stepfunctions"):
        compiled("stepfunctions", source)


def test_tasks_on_fargate_take_the_same_command(folder: Folder) -> None:
    toml = (folder.root / "trikk.toml").read_text()
    ecs = 'run = "ecs"\ncluster = "city"\ntask_definition = "jobs"\nsubnets = ["subnet-1"]\n'
    folder.write(trikk=toml + ecs)
    definition = json.loads(compiled("stepfunctions", source_of(folder.root, "nightly")))
    tasks = {name: state for name, state in states_of(definition) if state.get("Resource", "").endswith(".sync")}
    assert {state["Resource"] for state in tasks.values()} == {"arn:aws:states:::ecs:runTask.sync"}
    [container] = tasks["days"]["Parameters"]["Overrides"]["ContainerOverrides"]
    assert container["Command.$"].startswith(
        "States.Array('days', '--pipeline', 'nightly', '--execution', States."
    )
    assert not [name for name, _ in states_of(definition) if "looks at" in name]
    folder.write(trikk=toml + 'run = "ecs"\n')
    with pytest.raises(ProjectError, match="needs cluster"):
        compiled("stepfunctions", source_of(folder.root, "nightly"))
