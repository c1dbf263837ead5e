"""What AWS's own SDK, 3.27, emits for the same pipeline, compared step by step."""

from __future__ import annotations

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tests.envs import python_of
from tests.targets.sagemaker_pipelines import SECTION, nightly, source

from trikk.targets.sagemaker.definition_limits import all_steps
from trikk.targets.sagemaker.sagemaker_target import SageMaker

pytestmark = pytest.mark.timeout(900)  # the environment is made once, of 132 distributions

OURS_ALONE = {
    # ModelTrainer gives a container neither entry point nor arguments unless it uploads source code of its own,
    # which it then starts by a shell script; CreateTrainingJob has both fields.
    ("fit", "AlgorithmSpecification", "ContainerEntrypoint"),
    ("fit", "AlgorithmSpecification", "ContainerArguments"),
}
THEIRS_ALONE = {
    # Null, which says the same as leaving them out: no experiment, no MLflow.
    "PipelineExperimentConfig",
    "MlflowConfig",
}


@cache
def sdk_definition() -> dict[str, Any]:
    script = Path(__file__).with_name("sagemaker_sdk_pipeline.py")
    ended = subprocess.run(
        [python_of("sagemaker-sdk"), script], capture_output=True, text=True, timeout=280, check=False
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    definition: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return definition


def our_definition() -> dict[str, Any]:
    section = SECTION | {"steps": {"fit": {"kind": "training", "instance": "ml.m5.4xlarge"}}}
    definition: dict[str, Any] = json.loads(SageMaker().document(source(nightly, section)))
    return definition


def in_order(step: dict[str, Any]) -> dict[str, Any]:
    """A step with its dependencies in one order, which has no meaning; without the steps of its branches."""
    ordered = json.loads(json.dumps(step))
    if "DependsOn" in ordered:
        ordered["DependsOn"].sort(key=json.dumps)
    for branch in ("IfSteps", "ElseSteps"):
        if branch in ordered["Arguments"]:
            ordered["Arguments"][branch] = [each["Name"] for each in ordered["Arguments"][branch]]
    return dict(ordered)


def test_what_stands_around_the_steps_is_equal() -> None:
    theirs, ours = sdk_definition(), our_definition()
    assert theirs.keys() - ours.keys() == THEIRS_ALONE
    assert all(theirs[key] is None for key in THEIRS_ALONE)
    assert ours.keys() <= theirs.keys()
    assert [theirs[key] for key in ("Version", "Metadata", "Parameters")] == [
        ours[key] for key in ("Version", "Metadata", "Parameters")
    ]


@pytest.mark.parametrize(
    "name", ["counts", "fit", "score", "risky", "tell", "register-model", "when-register-model"]
)
def test_a_step_is_equal(name: str) -> None:
    theirs, ours = (
        {each["Name"]: in_order(each) for each in all_steps(definition["Steps"])}
        for definition in (sdk_definition(), our_definition())
    )
    assert theirs.keys() == ours.keys()
    for step, *path, key in OURS_ALONE:
        if step == name:
            place = ours[name]["Arguments"]
            for part in path:
                place = place[part]
            assert place.pop(key)
    assert ours[name] == theirs[name]
