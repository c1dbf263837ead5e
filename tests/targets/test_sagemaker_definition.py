"""Pipeline definitions: what they hold, that the API takes them, and what is refused before an upload."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from enum import Enum
from typing import Any, Literal

import botocore.session
import pytest
from botocore.validate import ParamValidator
from tests.servers.moto import MotoServer
from tests.targets.sagemaker_pipelines import CODE, IMAGE, ROLE, SECTION, fit, nightly, source

from trikk import Cache, Resources, Retry, approval, pipeline, register_model, step, when
from trikk.core.errors import ProjectError, UsageError
from trikk.targets.sagemaker.definition_limits import LONGEST_DEFINITION, all_steps
from trikk.targets.sagemaker.ml_instances import MACHINES, smallest_machine
from trikk.targets.sagemaker.sagemaker_target import SageMaker
from trikk.targets.target_port import Problem, Source


def compiled(from_source: Source) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(SageMaker().document(from_source))
    return document


def steps_of(from_source: Source) -> dict[str, dict[str, Any]]:
    return {each["Name"]: each for each in all_steps(compiled(from_source)["Steps"])}


def problems(from_source: Source, *, notes: bool = False) -> list[Problem]:
    return [problem for problem in SageMaker().problems(from_source) if problem.is_note == notes]


def filled(value: Any) -> Any:
    """A definition's value with a text in place of each reference, as an execution has it."""
    if isinstance(value, dict):
        if "Get" in value:
            return "arn:aws:iam::111122223333:role/given" if value["Get"] == "Parameters.Role" else "given"
        if "Std:Join" in value:
            return value["Std:Join"]["On"].join(map(filled, value["Std:Join"]["Values"]))
        return {key: filled(inner) for key, inner in value.items()}
    return [filled(inner) for inner in value] if isinstance(value, list) else value


OPERATIONS = {
    "Processing": ("CreateProcessingJob", {"ProcessingJobName": "pipelines-1-x"}),
    "Training": ("CreateTrainingJob", {"TrainingJobName": "pipelines-1-x"}),
    "RegisterModel": ("CreateModelPackage", {}),
}


def refusals(document: dict[str, Any]) -> Iterator[str]:
    """What botocore's model of the API says against the arguments of each step."""
    model = botocore.session.get_session().get_service_model("sagemaker")
    for each in all_steps(document["Steps"]):
        if each["Type"] in OPERATIONS:
            operation, added = OPERATIONS[each["Type"]]
            arguments = filled(each["Arguments"]) | added
            report = ParamValidator().validate(arguments, model.operation_model(operation).input_shape)
            if report.has_errors():
                yield f"{each['Name']}: {report.generate_report()}"


TRAINED = SECTION | {"model_group": "people", "steps": {"fit": {"kind": "training", "instance": "ml.m5.4xlarge"}}}


def test_the_api_takes_each_step() -> None:
    document = compiled(source(nightly, TRAINED))
    assert {each["Type"] for each in all_steps(document["Steps"])} == {*OPERATIONS, "Condition"}
    assert [*refusals(document)] == []


def test_moto_takes_it_and_starts_it(moto_server: MotoServer) -> None:
    client = moto_server.client("sagemaker")
    text = SageMaker().document(source(nightly))
    client.create_pipeline(
        PipelineName="city-main-nightly", PipelineDefinition=text, RoleArn=ROLE, ClientRequestToken="t" * 32
    )
    try:
        assert client.describe_pipeline(PipelineName="city-main-nightly")["PipelineDefinition"] == text
        given = [{"Name": "day", "Value": "2026-11-30"}]
        started = client.start_pipeline_execution(PipelineName="city-main-nightly", PipelineParameters=given)
        assert started["PipelineExecutionArn"].startswith("arn:aws:sagemaker:")
    finally:
        client.delete_pipeline(PipelineName="city-main-nightly", ClientRequestToken="t" * 32)


def test_parameters_are_typed_and_named_without_underscores() -> None:
    assert compiled(source(nightly))["Parameters"] == [
        {"Name": "day", "Type": "String"},
        {"Name": "max-mae", "Type": "Float", "DefaultValue": 4.0},
        {"Name": "mode", "Type": "String", "DefaultValue": "daily"},
        {"Name": "rounds", "Type": "Integer", "DefaultValue": 20},
        {"Name": "dry", "Type": "Boolean", "DefaultValue": False},
        {"Name": "Trigger", "Type": "String", "DefaultValue": ""},
        {"Name": "Tick", "Type": "String", "DefaultValue": ""},
    ]


def test_what_is_not_set_becomes_a_parameter() -> None:
    document = compiled(source(nightly, {}, artifacts="", tables=""))
    own = [each for each in document["Parameters"] if each["Name"] in ("Role", "Image", "Bucket")]
    assert own == [{"Name": name, "Type": "String"} for name in ("Role", "Image", "Bucket")]
    arguments = document["Steps"][0]["Arguments"]
    assert arguments["RoleArn"] == {"Get": "Parameters.Role"}
    command = arguments["AppSpecification"]["ContainerArguments"]
    exchange = command[command.index("--exchange") + 1]
    values = ["s3://", {"Get": "Parameters.Bucket"}, "/artifacts/exchange"]
    assert exchange == {"Std:Join": {"On": "", "Values": values}}
    assert [*refusals(document)] == []


class Colour(Enum):
    RED = 1
    BLUE = 2


def test_kinds_that_the_service_has_not_are_texts() -> None:
    @pipeline
    def p(
        at: date = date(2026, 1, 2),
        colour: Colour = Colour.BLUE,
        size: Literal[1, 2] = 2,
        names: list[str] = ["a", "b"],  # noqa: B006
        maybe: int | None = None,
    ) -> None:
        fit([], 1, 1)

    own = compiled(source(p))["Parameters"][:5]
    assert own == [
        {"Name": "at", "Type": "String", "DefaultValue": "2026-01-02"},
        {"Name": "colour", "Type": "String", "DefaultValue": "BLUE", "EnumValues": ["RED", "BLUE"]},
        {"Name": "size", "Type": "String", "DefaultValue": "2", "EnumValues": ["1", "2"]},
        {"Name": "names", "Type": "String", "DefaultValue": "a,b"},
        {"Name": "maybe", "Type": "String", "DefaultValue": ""},
    ]
    command = steps_of(source(p))["fit"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert command[command.index("maybe") - 1] == "--optional"  # "" means that it is not given


def test_numbers_that_become_texts_are_joined() -> None:
    command = steps_of(source(nightly))["fit"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert command[command.index("rounds") + 1] == {
        "Std:Join": {"On": "", "Values": [{"Get": "Parameters.rounds"}]}
    }
    assert command[command.index("mode") + 1] == {"Get": "Parameters.mode"}


def test_a_condition_starts_no_machine_for_what_it_skips() -> None:
    document = compiled(source(nightly))
    (condition,) = [each for each in document["Steps"] if each["Type"] == "Condition"]
    assert [each["Name"] for each in condition["Arguments"]["IfSteps"]] == ["register-model"]
    assert {"Get": "Steps.score.PropertyFiles.Outcome"} in [
        term["LeftValue"].get("Std:JsonGet", {}).get("PropertyFile")
        for term in condition["Arguments"]["Conditions"]
    ]
    score = steps_of(source(nightly))["score"]
    assert score["PropertyFiles"] == [
        {"PropertyFileName": "Outcome", "OutputName": "outcome", "FilePath": "outcome.json"}
    ]
    assert "--outcome" in score["Arguments"]["AppSpecification"]["ContainerArguments"]


def test_a_retry_becomes_policies_for_failures_of_the_service_alone() -> None:
    timing = {"IntervalSeconds": 30, "BackoffRate": 2.0, "MaxAttempts": 3}
    steps = steps_of(source(nightly))
    assert steps["counts"]["RetryPolicies"] == [
        {"ExceptionType": ["Step.SERVICE_FAULT", "Step.THROTTLING"], **timing},
        {
            "ExceptionType": [
                "SageMaker.CAPACITY_ERROR",
                "SageMaker.JOB_INTERNAL_ERROR",
                "SageMaker.RESOURCE_LIMIT",
            ],
            **timing,
        },
    ]
    assert "RetryPolicies" not in steps["fit"]
    # Four attempts of ten minutes, the pauses between them, and ten minutes to begin.
    assert steps["counts"]["Arguments"]["StoppingCondition"] == {
        "MaxRuntimeInSeconds": 4 * 600 + 30 + 60 + 120 + 600
    }


def test_a_step_gets_the_smallest_machine_that_has_what_it_asks_for() -> None:
    def instance(name: str, section: dict[str, Any] = SECTION) -> str:
        arguments = steps_of(source(nightly, section))[name]["Arguments"]
        return str(arguments["ProcessingResources"]["ClusterConfig"]["InstanceType"])

    assert instance("counts") == "ml.t3.medium"
    assert instance("fit") == "ml.r5.xlarge"  # 4 cores, 20 GB
    assert instance("fit", SECTION | {"instance": "ml.c5.9xlarge"}) == "ml.c5.9xlarge"
    assert instance("fit", SECTION | {"steps": {"fit": {"instance": "ml.g5.xlarge"}}}) == "ml.g5.xlarge"
    assert smallest_machine({"gpus": 1}) == (1, 4, 16, "ml.g4dn.xlarge")
    assert smallest_machine({"gpus": 5}) == (8, 192, 768, "ml.g5.48xlarge")
    assert smallest_machine({"cpus": 1000}) is None


def test_machines_are_as_ec2_and_the_api_have_them() -> None:
    import gzip
    from importlib.resources import files

    model = botocore.session.get_session().get_service_model("sagemaker")
    for shape in ("ProcessingInstanceType", "TrainingInstanceType"):
        assert {machine.name for machine in MACHINES} <= {*model.shape_for(shape).enum}
    packed = files("moto.ec2") / "resources" / "instance_types.json.gz"  # as EC2 describes them
    known = json.loads(gzip.decompress(packed.read_bytes()))
    for machine in MACHINES:
        ec2 = known[machine.name.removeprefix("ml.")]
        gpus = sum(gpu["Count"] for gpu in ec2.get("GpuInfo", {}).get("Gpus", []))
        assert machine[:3] == (gpus, ec2["VCpuInfo"]["DefaultVCpus"], ec2["MemoryInfo"]["SizeInMiB"] / 1024), (
            machine
        )


def test_a_training_job_has_its_plain_arguments_as_hyperparameters() -> None:
    trained = steps_of(source(nightly, TRAINED))["fit"]
    assert trained["Type"] == "Training"
    arguments = trained["Arguments"]
    assert arguments["HyperParameters"] == {
        "rounds": {"Std:Join": {"On": "", "Values": [{"Get": "Parameters.rounds"}]}},
        "depth": "6",
    }
    assert arguments["AlgorithmSpecification"]["ContainerArguments"][-2:] == ["--model", "/opt/ml/model"]
    assert arguments["ResourceConfig"]["InstanceType"] == "ml.m5.4xlarge"


def test_a_model_package_is_of_the_files_of_the_training_job() -> None:
    steps = steps_of(source(nightly, TRAINED))
    package = steps["register-model-package"]
    (container,) = package["Arguments"]["InferenceSpecification"]["Containers"]
    assert container == {"Image": IMAGE, "ModelDataUrl": {"Get": "Steps.fit.ModelArtifacts.S3ModelArtifacts"}}
    assert package["DependsOn"] == ["register-model"]
    condition = steps["when-register-model"]["Arguments"]
    assert [each["Name"] for each in condition["IfSteps"]] == ["register-model", "register-model-package"]
    assert CODE in package["Arguments"]["CustomerMetadataProperties"].values()


def test_the_same_source_gives_the_same_bytes() -> None:
    first, second = (SageMaker().document(source(nightly, TRAINED)) for _ in range(2))
    assert first == second
    assert first == json.dumps(json.loads(first), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def test_a_step_waits_for_those_before_it() -> None:
    steps = steps_of(source(nightly))
    assert steps["score"]["DependsOn"] == ["counts", "fit"]
    assert "DependsOn" not in steps["counts"]
    # What may fail is only waited for: its success is not needed.
    assert steps["tell"]["DependsOn"] == [{"Step": "risky", "Trigger": "Any"}, "score"]


@step
def shown(n: int = 0) -> int:
    return n


@step(name="a" * 100)
def long_name() -> int:
    return 1


@step(timeout="10d", retry=Retry(2))
def endless() -> int:
    return 1


@step(resources=Resources(cpus=500))
def vast() -> int:
    return 1


@step(retry=Retry(40, delay="1s", factor=10, max_delay="1m"), cache=Cache())
def often() -> int:
    return 1


def many(count: int, prefix: str = "p") -> Any:
    """A pipeline of so many parameters."""
    names: dict[str, Any] = {"pipeline": pipeline, "shown": shown}
    arguments = ", ".join(f"{prefix}{number}: int = 0" for number in range(count))
    exec(f"@pipeline\ndef p({arguments}):\n    shown(1)\n", names)
    return names["p"]


def test_a_pipeline_that_asks_people_is_refused_with_its_line() -> None:
    @pipeline
    def p() -> None:
        ok = approval("publish?")
        with when(ok):
            shown()

    refused = [problem for problem in problems(source(p)) if "asks people" in problem.what]
    assert [problem.step for problem in refused] == ["approval"]
    assert "test_sagemaker_definition.py:" in refused[0].where
    with pytest.raises(UsageError, match="asks people") as error:
        SageMaker().document(source(p))
    assert "trikk check --target sagemaker p" in str(error.value.next)


def test_all_problems_are_told_at_once() -> None:
    @pipeline
    def p() -> None:
        endless()
        vast()
        approval("publish?", on_refusal="fail")

    found = {problem.step: problem for problem in problems(source(p))}
    assert {*found} >= {"approval", "endless", "vast"}
    assert "777600" in found["endless"].what
    assert "no machine" in found["vast"].what


def test_a_name_of_a_hundred_characters_is_cut_and_told_of() -> None:
    @pipeline
    def p() -> None:
        long_name()

    (note,) = [note for note in problems(source(p), notes=True) if note.step == "a" * 100]
    (called,) = steps_of(source(p))
    assert len(called) <= 64
    assert called in note.what


def test_two_names_that_would_be_the_same_stay_two() -> None:
    @pipeline
    def p() -> None:
        shown.options(name="a_b")()
        shown.options(name="a-b")()

    assert problems(source(p)) == []
    assert len(steps_of(source(p))) == 2
    assert "a-b" in steps_of(source(p))


@pytest.mark.parametrize(("count", "said"), [(26, "arguments"), (199, "arguments"), (201, "203 parameters")])
def test_too_many_parameters_are_refused(count: int, said: str) -> None:
    assert any(said in problem.what for problem in problems(source(many(count))))


def test_as_many_parameters_as_fit_are_taken() -> None:
    assert problems(source(many(25))) == []
    command = steps_of(source(many(25)))["shown"]["Arguments"]["AppSpecification"]["ContainerArguments"]
    assert len(command) <= 100


def test_a_definition_over_a_megabyte_is_refused_unless_it_goes_by_s3() -> None:
    @pipeline
    def p() -> None:
        for number in range(1500):
            shown.options(name=f"{'s' * 40}-{number}")(number)

    (problem,) = problems(source(p))
    assert f"{LONGEST_DEFINITION:,}" in problem.what
    assert "PipelineDefinitionS3Location" in problem.next
    assert problems(source(p, SECTION | {"definition": "s3"})) == []


def test_what_a_policy_cannot_say_is_a_note() -> None:
    @pipeline
    def p() -> None:
        often()

    notes = [note.what for note in problems(source(p), notes=True) if note.step == "often"]
    assert any("20 times at most" in note and "without the cap of 1 min" in note for note in notes)
    assert any("not reused" in note for note in notes)
    assert [*refusals(compiled(source(p)))] == []


def test_a_registering_step_needs_a_journal_that_jobs_reach() -> None:
    (problem,) = problems(source(nightly, journal=""))
    assert problem.step == "register_model"
    assert "postgresql://" in problem.next


def test_a_package_needs_a_training_job() -> None:
    (problem,) = problems(source(nightly, SECTION | {"model_group": "people"}))
    assert 'kind = "training"' in problem.next


def test_a_step_whose_job_may_skip_it_makes_no_package() -> None:
    @pipeline
    def p(n: int, word: Literal["a", "b"] = "a") -> None:
        model = fit([], n, 1)
        with when(shown(n)["x"] == shown(n)["y"]):
            register_model(model, "people")

    found = problems(source(p, TRAINED))
    assert any("may be skipped by its own job" in problem.what for problem in found)


@pytest.mark.parametrize(
    "section",
    [
        {"rule": "x"},
        {"role": 3},
        {"steps": {"fit": {"kind": "tuning"}}},
        {"max_runtime": "soon"},
        {"subnets": ["subnet-1"]},
        {"volume": 0},
    ],
)
def test_a_wrong_section_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(ProjectError) as error:
        SageMaker().problems(source(nightly, section))
    assert "targets.sagemaker" in str(error.value.where)


def test_no_secret_stands_in_a_definition() -> None:
    @pipeline
    def p(address: str = "postgresql://me:hunter2@db.example.com/x") -> None:
        shown()

    assert any("password" in problem.what for problem in problems(source(p)))
    assert any("variable" in each.what for each in problems(source(nightly, artifacts="s3://${BUCKET}/artifacts")))


def test_jobs_in_a_network_and_with_variables() -> None:
    section = TRAINED | {"subnets": ["subnet-1"], "security_groups": ["sg-1"], "environment": {"STAGE": "main"}}
    document = compiled(source(nightly, section))
    steps = {each["Name"]: each for each in all_steps(document["Steps"])}
    assert steps["fit"]["Arguments"]["VpcConfig"]["Subnets"] == ["subnet-1"]
    assert steps["counts"]["Arguments"]["NetworkConfig"]["VpcConfig"]["SecurityGroupIds"] == ["sg-1"]
    assert steps["counts"]["Arguments"]["Environment"] == {"STAGE": "main"}
    assert [*refusals(document)] == []
